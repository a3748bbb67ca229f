//! How fast is a kernel? Nanoseconds per row and bytes per second at each CPU level, beside the engine's own addition of
//! the same columns and what memory gives.

use std::fmt::Write;
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::level;

use super::columns::{Nulls, Random, Spread, column};
use crate::batch::{Argument, Column, KernelColumn};
use crate::error::Result;
use crate::function::custom::{Body, Function};
use crate::function::scalar::{self, BinaryOp};
use crate::function::{KernelContext, ScalarKernel};

/// Rows per call: a batch.
const ROWS: usize = 8192;
const SAMPLES: usize = 15;
const SAMPLE: Duration = Duration::from_millis(2);

/// Measures a scalar kernel over a batch that lies in the cache, without nulls and with some; a table as text.
///
/// Failure: an aggregate, a type no column can be made of, or what the kernel says of plain values.
pub fn bench_kernel(kernel: impl Into<Function>) -> Result<String> {
    let function: Function = kernel.into();
    let Body::Scalar { kernel, .. } = &function.body else {
        return Err(crate::error::Error::user("an aggregate is measured within a query"));
    };
    let bandwidth = bandwidth();
    let mut text = format!("{} over {ROWS} rows; memory is copied at {bandwidth:.1} GB/s\n", kernel.name());
    let _ = writeln!(
        text,
        "{:<10} {:<6} {:>8} {:>8} {:>10} {:>8}",
        "level", "nulls", "ns/row", "GB/s", "of memory", "x own"
    );
    for nulls in [Nulls::None, Nulls::Some] {
        let mut random = Random(7);
        let columns = function.args.iter().map(|data_type| column(&mut random, data_type, ROWS, nulls, Spread::Small));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let bytes: usize = function.args.iter().chain([&kernel.result_type()]).map(width).sum();
        for level in level::available() {
            let context = KernelContext { level, ..KernelContext::default() };
            let taken = measure(kernel.as_ref(), &context, &columns)?;
            let own = built_in(&function.args, &context, &columns)?;
            let speed = bytes as f64 / taken;
            let beside = own.map_or_else(|| "-".to_string(), |own| format!("{:.2}", taken / own));
            let _ = writeln!(
                text,
                "{:<10} {:<6} {taken:>8.3} {speed:>8.2} {:>9.0}% {beside:>8}",
                level::name(level),
                if nulls == Nulls::None { "none" } else { "some" },
                100.0 * speed / bandwidth
            );
        }
    }
    Ok(text)
}

/// Nanoseconds per row, of the fastest sample.
fn measure(kernel: &dyn ScalarKernel, context: &KernelContext, columns: &[ArrayRef]) -> Result<f64> {
    let ready: Vec<KernelColumn> =
        columns.iter().map(|array| KernelColumn::new(Column::Array(array.clone()))).collect();
    let args: Vec<Argument<'_>> = ready.iter().map(|column| column.argument(ROWS)).collect();
    let mut out = Column::default();
    let mut best = f64::INFINITY;
    for _ in 0..SAMPLES {
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < SAMPLE {
            kernel.evaluate(context, &args, ROWS, &mut out)?;
            calls += 1;
        }
        best = best.min(started.elapsed().as_nanos() as f64 / f64::from(calls) / ROWS as f64);
    }
    Ok(best)
}

/// The engine's own kernels for the sum of these columns, where they are numbers of one type.
fn built_in(types: &[DataType], context: &KernelContext, columns: &[ArrayRef]) -> Result<Option<f64>> {
    let Some(first) = types.first() else { return Ok(None) };
    let Some(add) = scalar::binary(BinaryOp::Add, first, first) else { return Ok(None) };
    if types.iter().any(|data_type| data_type != first) {
        return Ok(None);
    }
    let pair = [columns[0].clone(), columns[columns.len().min(2) - 1].clone()];
    let one = measure(add.as_ref(), context, &pair)?;
    Ok(Some(one * (types.len() - 1).max(1) as f64))
}

fn width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => 16,
        other => other.primitive_width().unwrap_or(1),
    }
}

/// Gigabytes per second, read and written, of a copy that no cache holds.
fn bandwidth() -> f64 {
    let from = vec![1u8; 64 << 20];
    let mut to = vec![0u8; from.len()];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        to.copy_from_slice(&from);
        best = best.min(started.elapsed().as_nanos() as f64);
    }
    assert_eq!(to[from.len() - 1], 1, "the copy is there");
    2.0 * from.len() as f64 / best
}
