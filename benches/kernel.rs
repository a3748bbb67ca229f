//! Users' kernels beside the engine's own of the same shape, in nanoseconds per row of one core.
//!
//! Question    does a closure cost more than the built-in expression, an aggregate of closures more than SUM?
//! Sizes       batches of 8,192 rows in the cache, 0 and 10 % nulls; groups: one, 100 (dense), 1,000.
//! Answers     the sums of both sides are compared.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::arrow::array::{ArrayRef, Float64Array};
use millstream::arrow::datatypes::DataType;
use millstream::batch::{Argument, Column, KernelColumn};
use millstream::function::custom::{AggregateDefinition, Body, Fold, Function, Scalar};
use millstream::function::scalar::{self, BinaryOp};
use millstream::function::{AggregateFunction, KernelContext, ScalarKernel, Update, aggregate};

const ROWS: usize = 8192;

/// Nanoseconds per row of the fastest of some samples.
fn nanoseconds(samples: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..samples {
        let (started, mut runs) = (Instant::now(), 0);
        while started.elapsed() < Duration::from_millis(2) {
            run();
            runs += 1;
        }
        best = best.min(started.elapsed().as_nanos() as f64 / f64::from(runs) / ROWS as f64);
    }
    best
}

fn column(nulls: bool, shift: usize) -> ArrayRef {
    let value = |row: usize| ((row + shift) % 1000) as f64 / 8.0;
    Arc::new((0..ROWS).map(|row| (!nulls || (row + shift) % 10 != 3).then(|| value(row))).collect::<Float64Array>())
}

fn scalar_kernel(function: impl Into<Function>) -> Arc<dyn ScalarKernel> {
    match function.into().body {
        Body::Scalar { kernel, .. } => kernel,
        Body::Aggregate(_) => panic!("a scalar"),
    }
}

fn aggregate_function(function: impl Into<Function>) -> Arc<dyn AggregateFunction> {
    match function.into().body {
        Body::Aggregate(function) => function,
        Body::Scalar { .. } => panic!("an aggregate"),
    }
}

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let samples = if is_test { 1 } else { 41 };
    let context = KernelContext::default();
    println!("{:<34} {:>10} {:>10} {:>7}", "", "own", "closure", "ratio");
    let report = |name: &str, own: f64, closure: f64| {
        println!("{name:<34} {own:>10.3} {closure:>10.3} {:>7.2}", closure / own);
    };
    let float = DataType::Float64;
    let multiply = scalar::binary(BinaryOp::Mul, &float, &float).expect("floats are multiplied");
    let add = scalar::binary(BinaryOp::Add, &float, &float).expect("floats are added");
    let fused = scalar_kernel(Scalar::new("fma", |a: f64, b: f64| a * b + 1.0));
    for nulls in [false, true] {
        let (a, b) =
            (KernelColumn::new(Column::Array(column(nulls, 0))), KernelColumn::new(Column::Array(column(nulls, 7))));
        let args = [a.argument(ROWS), b.argument(ROWS)];
        let one = Column::Constant(Arc::new(Float64Array::from(vec![1.0])));
        let (mut product, mut sum, mut out) = (KernelColumn::default(), Column::default(), Column::default());
        let own = nanoseconds(samples, || {
            multiply.evaluate(&context, &args, ROWS, &mut product.column).expect("floats do not fail");
            product.settle();
            let args = [product.argument(ROWS), Argument::new(&one, None, ROWS)];
            add.evaluate(&context, &args, ROWS, &mut sum).expect("floats do not fail");
        });
        let closure = nanoseconds(samples, || {
            fused.evaluate(&context, &args, ROWS, &mut out).expect("floats do not fail");
        });
        let (left, right) = (KernelColumn::new(sum), KernelColumn::new(out));
        let (left, right) = (left.argument(ROWS), right.argument(ROWS));
        for row in 0..ROWS {
            assert_eq!(left.is_null(row), right.is_null(row));
            let of = |side: &Argument<'_>| side.values::<f64>().expect("floats")[row];
            assert!(left.is_null(row) || of(&left) == of(&right));
        }
        report(if nulls { "a * b + 1.0, 10 % nulls" } else { "a * b + 1.0" }, own, closure);
    }
    let squares = aggregate_function(AggregateDefinition::new(
        "squares",
        Fold::new(|| 0.0, |sum: &mut f64, x: f64| *sum += x * x, |sum, other| *sum += other, |sum| *sum),
    ));
    let sum = aggregate::resolve("sum", std::slice::from_ref(&float), &float).expect("floats are summed");
    for (name, group_count) in [("one group", 1), ("100 groups", 100), ("1,000 groups", 1000)] {
        for nulls in [false, true] {
            let values = KernelColumn::new(Column::Array(column(nulls, 0)));
            let groups: Vec<u32> = (0..ROWS).map(|row| (row * 7919 % group_count) as u32).collect();
            let args = [values.argument(ROWS)];
            let update = Update { groups: &groups, group_count, args: &args, filter: None, changes: None };
            let run = |function: &Arc<dyn AggregateFunction>| {
                let mut states = function.states();
                let taken = nanoseconds(samples, || states.update(&context, &update).expect("floats do not fail"));
                black_box(&states);
                taken
            };
            let (own, closure) = (run(&sum), run(&squares));
            report(&format!("SUM and squares, {name}{}", if nulls { ", nulls" } else { "" }), own, closure);
        }
    }
}
