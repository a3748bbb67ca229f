//! Users' kernels beside the engine's own of the same shape, in nanoseconds per row of one core.
//!
//! Question    does a closure cost more than the built-in expression, an aggregate of closures more than SUM, the same
//!             through the interface for shared libraries more than either?
//! Sizes       batches of 8,192 rows in the cache, 0 and 10 % nulls; groups: one, 100 (dense), 1,000. Queries: two million
//!             rows in memory, one partition.
//! Answers     the sums of both sides are compared.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, TimestampMillisecondArray};
use millstream::arrow::datatypes::DataType;
use millstream::batch::{Argument, Column, KernelColumn};
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::function::custom::{Aggregate, AggregateDefinition, Body, Fold, Function, Scalar};
use millstream::function::scalar::{self, BinaryOp};
use millstream::function::{AggregateFunction, KernelContext, ScalarKernel, Update, aggregate, native};
use millstream::testing::bench_kernel;

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

/// The kernels of this bench in C, where there is a compiler.
const IN_C: &str = r#"
#include "millstream_kernel.h"

static int32_t fused(const struct ArrowArray *const *args, int64_t rows, struct ArrowArray *out,
                     struct MillstreamError *error) {
  (void)error;
  const double *a = args[0]->buffers[1], *b = args[1]->buffers[1];
  double *result = (double *)out->buffers[1];
  for (int64_t row = 0; row < rows; row++) result[row] = a[row] * b[row] + 1.0;
  return 0;
}

const struct MillstreamKernel *fused_kernel(void) {
  static const struct MillstreamKernel kernel = {
      .abi_version = MILLSTREAM_KERNEL_ABI_VERSION,
      .struct_size = sizeof(struct MillstreamKernel),
      .name = "fused_in_c",
      .signature = "(DOUBLE, DOUBLE) -> DOUBLE",
      .evaluate = fused,
  };
  return &kernel;
}
"#;

/// `a * b + 1.0` and the sum of squares, compiled from C for this machine, as kernels of the engine are for each CPU level; none
/// without a compiler.
fn in_c() -> Option<(Function, Function)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().ok()?;
    let compiled = |name: &str, source: &Path| {
        let library = folder.path().join(name);
        let mut command = Command::new("cc");
        command
            .args(["-O3", "-march=native", "-shared", "-fPIC", "-I"])
            .arg(root.join("include"))
            .arg(source)
            .arg("-lm");
        command.arg("-o").arg(&library).status().ok().filter(ExitStatus::success).map(|_| library)
    };
    let source = folder.path().join("fused.c");
    std::fs::write(&source, IN_C).ok()?;
    let fused = native::load(&compiled("libfused.so", &source)?, "fused_kernel").ok()?;
    let example = compiled("libexample.so", &root.join("examples/plugin-c/kernels.c"))?;
    Some((fused, native::load(&example, "squares_kernel").ok()?))
}

/// Whole queries: grouped and windowed, in CPU time of one worker.
fn queries(is_test: bool, report: impl Fn(&str, f64, f64)) {
    let rows: i64 = if is_test { 10_000 } else { 2_000_000 };
    let engine = Engine::new(Config { partitions: 1, ..Config::default() });
    engine.aggregate("squares", squares()).expect("a name that is free");
    let x: Float64Array = (0..rows).map(|row| (row % 10 != 3).then_some((row % 1000) as f64 / 8.0)).collect();
    let columns: [(&str, ArrayRef); 4] = [
        ("x", Arc::new(x)),
        ("dense", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 7919 % 100)))),
        ("thousand", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 7919 % 1000 * 1_000_003)))),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(0..rows))),
    ];
    let whole = RecordBatch::try_from_iter(columns).expect("the columns fit");
    engine.register_batches("t", vec![whole]).expect("a table");
    let groups = [
        ("GROUP BY, 100 dense keys", "SELECT dense, #(x) FROM t GROUP BY dense"),
        ("GROUP BY, 1,000 keys", "SELECT thousand, #(x) FROM t GROUP BY thousand"),
        (
            "tumbling windows of 100,000 rows",
            "SELECT thousand, #(x) FROM t GROUP BY thousand WINDOW TUMBLING(at, 100s)",
        ),
        ("hopping windows, ten panes", "SELECT thousand, #(x) FROM t GROUP BY thousand WINDOW HOPPING(at, 100s, 10s)"),
    ];
    for (name, template) in groups {
        let once = |aggregate: &str| {
            let started = Instant::now();
            let batches = engine.sql(&template.replace('#', aggregate)).and_then(|query| query.collect());
            assert!(batches.expect("an answer").iter().map(RecordBatch::num_rows).sum::<usize>() >= 100);
            started.elapsed().as_nanos() as f64 / rows as f64
        };
        let (mut own, mut closure) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..if is_test { 1 } else { 15 } {
            (own, closure) = (own.min(once("SUM")), closure.min(once("squares")));
        }
        report(&format!("SUM and squares, {name}"), own, closure);
    }
}

fn squares() -> impl Aggregate {
    Fold::new(|| 0.0, |sum: &mut f64, x: f64| *sum += x * x, |sum, other| *sum += other, |sum| *sum)
}

fn main() {
    let is_test = std::env::args().any(|arg| arg == "--test");
    let samples = if is_test { 1 } else { 41 };
    let context = KernelContext::default();
    println!("{:<50} {:>10} {:>10} {:>7}", "ns/row", "own", "user's", "ratio");
    let report = |name: &str, own: f64, closure: f64| {
        println!("{name:<50} {own:>10.3} {closure:>10.3} {:>7.2}", closure / own);
    };
    let float = DataType::Float64;
    let multiply = scalar::binary(BinaryOp::Mul, &float, &float).expect("floats are multiplied");
    let add = scalar::binary(BinaryOp::Add, &float, &float).expect("floats are added");
    let fused = scalar_kernel(Scalar::new("fma", |a: f64, b: f64| a * b + 1.0));
    let (c_fused, c_squares) =
        in_c().map_or((None, None), |(fused, squares)| (Some(scalar_kernel(fused)), Some(aggregate_function(squares))));
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
        let shown = if nulls { ", 10 % nulls" } else { "" };
        if let Some(kernel) = &c_fused {
            let mut made = Column::default();
            let taken = nanoseconds(samples, || {
                kernel.evaluate(&context, &args, ROWS, &mut made).expect("floats do not fail");
            });
            report(&format!("closure and C, a * b + 1.0{shown}"), closure, taken);
        }
        let (left, right) = (KernelColumn::new(sum), KernelColumn::new(out));
        let (left, right) = (left.argument(ROWS), right.argument(ROWS));
        for row in 0..ROWS {
            assert_eq!(left.is_null(row), right.is_null(row));
            let of = |side: &Argument<'_>| side.values::<f64>().expect("floats")[row];
            assert!(left.is_null(row) || of(&left) == of(&right));
        }
        report(&format!("closure, a * b + 1.0{shown}"), own, closure);
    }
    let squares = aggregate_function(AggregateDefinition::new("squares", squares()));
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
            let shown = if nulls { ", nulls" } else { "" };
            report(&format!("SUM and squares, {name}{shown}"), own, closure);
            if let Some(function) = &c_squares {
                report(&format!("closure and C, squares, {name}{shown}"), closure, run(function));
            }
        }
    }
    queries(is_test, report);
    // What a user's own bench prints, for the closure of this one.
    println!("{}", bench_kernel(Scalar::new("fma", |a: f64, b: f64| a * b + 1.0)).expect("floats do not fail"));
}
