//! What the engine aims at, line by line, in nanoseconds a row of one core: kernels in L2 beside Arrow's and DataFusion's
//! in turn, then whole queries over rows in memory. `compare/reach.py` puts other engines beside the queries.
//!
//! Question    is each line of the table in docs/benchmarks.md kept on this machine, and what do two partitions gain?
//! Data        seeded here. Kernels: 8,192 rows. Queries: groups of integers and short strings; times in order, 6,400 rows
//!             a second, over 1,000 and 100,000 keys.
//! Sizes       `MILLSTREAM_BENCH_ROWS` (default eight million); 20,000 when run by `cargo test`.
//! Answers     kernels against Arrow's; queries fold their answer into counts and sums, which the script compares.
//!
//! A line of JSON for each piece of work. `MILLSTREAM_REACH_DATA` names a folder to write the tables to, as Parquet.
//! `reach CASE PARTITIONS ROWS TIMES` runs one query so many times: for callgrind.

mod support;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion_common::ScalarValue;
use datafusion_common::config::ConfigOptions;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};
use millstream::arrow;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream_kernels::fused::{self, Source, Step};
use millstream_kernels::{aggregate, arithmetic, bitmap, compare, level, pane};
use serde_json::json;
use support::own_nanoseconds;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray,
};
use arrow::compute::kernels::{cmp, numeric};
use arrow::datatypes::{DataType, Field, Int64Type, IntervalUnit, TimeUnit, TimestampMillisecondType};

const ROWS: usize = 8192;
const SAMPLES: usize = 31;
const REPEATS: usize = 5;

/// A query: how it is asked here, and how an engine without windows is asked, `panes(n, t)` being a table of the first `n`
/// multiples of `t` as `r`; nothing where none is asked. Each gives a count `c` and a sum `s`.
struct Case {
    name: &'static str,
    /// The table that it is over.
    table: &'static str,
    work: &'static str,
    sql: &'static str,
    plain: &'static str,
}

const CASES: [Case; 13] = [
    Case {
        name: "group-dense",
        table: "g",
        work: "GROUP BY of 1,000 dense BIGINT keys, count and sum",
        sql: "SELECT dense, count(*) AS c, sum(v) AS s FROM g GROUP BY dense",
        plain: "SELECT dense, count(*) AS c, sum(v) AS s FROM g GROUP BY dense",
    },
    Case {
        name: "group-1k",
        table: "g",
        work: "GROUP BY of 1,000 BIGINT keys far apart",
        sql: "SELECT thousand, count(*) AS c, sum(v) AS s FROM g GROUP BY thousand",
        plain: "SELECT thousand, count(*) AS c, sum(v) AS s FROM g GROUP BY thousand",
    },
    Case {
        name: "group-1m",
        table: "g",
        work: "GROUP BY of 1,000,000 BIGINT keys far apart",
        sql: "SELECT million, count(*) AS c, sum(v) AS s FROM g GROUP BY million",
        plain: "SELECT million, count(*) AS c, sum(v) AS s FROM g GROUP BY million",
    },
    Case {
        name: "group-string",
        table: "g",
        work: "GROUP BY of 1,000 short strings",
        sql: "SELECT name, count(*) AS c, sum(v) AS s FROM g GROUP BY name",
        plain: "SELECT name, count(*) AS c, sum(v) AS s FROM g GROUP BY name",
    },
    Case {
        name: "tumble-1k",
        table: "w",
        work: "tumbling 60 s, count and sum, 1,000 keys a window",
        sql: "SELECT few AS k, window_start, count(*) AS c, sum(v) AS s FROM TUMBLE(TABLE w, DESCRIPTOR(ts), INTERVAL '60' SECOND) GROUP BY few, window_start, window_end",
        plain: "SELECT few AS k, ms - ms % 60000 AS p, count(*) AS c, sum(v) AS s FROM w GROUP BY few, ms - ms % 60000",
    },
    Case {
        name: "tumble-100k",
        table: "w",
        work: "tumbling 60 s, count and sum, 100,000 keys a window",
        sql: "SELECT many AS k, window_start, count(*) AS c, sum(v) AS s FROM TUMBLE(TABLE w, DESCRIPTOR(ts), INTERVAL '60' SECOND) GROUP BY many, window_start, window_end",
        plain: "SELECT many AS k, ms - ms % 60000 AS p, count(*) AS c, sum(v) AS s FROM w GROUP BY many, ms - ms % 60000",
    },
    Case {
        name: "hop10-1k",
        table: "w",
        work: "hop 60 s by 10 s, 1,000 keys",
        sql: "SELECT few AS k, window_start, count(*) AS c, sum(v) AS s FROM HOP(TABLE w, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND) GROUP BY few, window_start, window_end",
        plain: "SELECT k, p - r AS q, sum(c) AS c, sum(s) AS s FROM (SELECT few AS k, ms - ms % 10000 AS p, count(*) AS c, sum(v) AS s FROM w GROUP BY few, ms - ms % 10000) AS b CROSS JOIN panes(6, 10000) GROUP BY k, p - r",
    },
    Case {
        name: "hop10-100k",
        table: "w",
        work: "hop 60 s by 10 s, 100,000 keys",
        sql: "SELECT many AS k, window_start, count(*) AS c, sum(v) AS s FROM HOP(TABLE w, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND) GROUP BY many, window_start, window_end",
        plain: "SELECT k, p - r AS q, sum(c) AS c, sum(s) AS s FROM (SELECT many AS k, ms - ms % 10000 AS p, count(*) AS c, sum(v) AS s FROM w GROUP BY many, ms - ms % 10000) AS b CROSS JOIN panes(6, 10000) GROUP BY k, p - r",
    },
    Case {
        name: "hop30-1k",
        table: "w",
        work: "hop 60 s by 30 s, 1,000 keys",
        sql: "SELECT few AS k, window_start, count(*) AS c, sum(v) AS s FROM HOP(TABLE w, DESCRIPTOR(ts), INTERVAL '30' SECOND, INTERVAL '60' SECOND) GROUP BY few, window_start, window_end",
        plain: "SELECT k, p - r AS q, sum(c) AS c, sum(s) AS s FROM (SELECT few AS k, ms - ms % 30000 AS p, count(*) AS c, sum(v) AS s FROM w GROUP BY few, ms - ms % 30000) AS b CROSS JOIN panes(2, 30000) GROUP BY k, p - r",
    },
    Case {
        name: "hop1-1k",
        table: "w",
        work: "hop 60 s by 1 s, 1,000 keys",
        sql: "SELECT few AS k, window_start, count(*) AS c, sum(v) AS s FROM HOP(TABLE w, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '60' SECOND) GROUP BY few, window_start, window_end",
        plain: "",
    },
    Case {
        name: "filter-fused",
        table: "l2",
        work: "WHERE a * 3 + b > 2000, rows counted: the whole query, overflow checked",
        sql: "SELECT count(*) AS c, count(*) AS s FROM l2 WHERE a * 3 + b > 2000",
        plain: "",
    },
    Case {
        name: "filter-float",
        table: "l2",
        work: "the same of DOUBLE columns",
        sql: "SELECT count(*) AS c, count(*) AS s FROM l2 WHERE x * 3.0 + y > 2000.0",
        plain: "",
    },
    Case {
        name: "filter-plain",
        table: "l2",
        work: "WHERE a > 500, rows counted: the whole query",
        sql: "SELECT count(*) AS c, count(*) AS s FROM l2 WHERE a > 500",
        plain: "",
    },
];

/// Cases that two partitions run too.
const SCALED: [&str; 3] = ["group-1k", "group-1m", "tumble-1k"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [case, partitions, rows, times] = &arguments[..] {
        let case = CASES.iter().find(|known| known.name == case).expect("a case of that name");
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let table = match case.table {
            "g" => groups(number(rows)),
            "w" => windows(number(rows)),
            _ => in_cache(number(rows)),
        };
        let engine = engine(number(partitions), &[table]);
        (0..number(times)).for_each(|_| _ = time(&engine, case.sql));
        return;
    }
    let tiny = !std::env::args().any(|argument| argument == "--bench");
    let wanted = std::env::var("MILLSTREAM_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows: usize = wanted.unwrap_or(if tiny { 20_000 } else { 8_000_000 });
    kernels(if tiny { 1 } else { SAMPLES });
    panes(if tiny { 1 } else { SAMPLES });
    queries(rows, if tiny { 1 } else { REPEATS });
}

/// A table's name, its columns for a definition, and its rows.
type Rows = (&'static str, &'static str, Vec<RecordBatch>);

fn queries(rows: usize, repeats: usize) {
    let folder = std::env::var("MILLSTREAM_REACH_DATA").ok();
    for table in [groups, windows, in_cache] {
        let table = table(rows);
        let name = table.0;
        if let Some(folder) = folder.as_deref().filter(|_| name != "l2") {
            write(&table, Path::new(folder));
        }
        let tables = vec![table];
        let cases = CASES.iter().filter(|case| case.table == name);
        let engines = [1, 2].map(|partitions| engine(partitions, &tables));
        for case in cases {
            let used: u64 = if name == "l2" { tables[0].2.len() as u64 * ROWS as u64 } else { rows as u64 };
            let mut best = [f64::MAX; 2];
            let runs = if SCALED.contains(&case.name) { 2 } else { 1 };
            for _ in 0..repeats {
                for (best, engine) in best.iter_mut().zip(&engines).take(runs) {
                    *best = best.min(time(engine, case.sql) * 1e9 / used as f64);
                }
            }
            let mut line = json!({
                "name": case.name, "work": case.work, "here": best[0], "plain": case.plain, "rows": used,
                "answer": answer(&engines[0], case.sql),
            });
            if runs == 2 {
                assert_eq!(answer(&engines[0], case.sql), answer(&engines[1], case.sql), "{}", case.name);
                line["two"] = best[1].into();
            }
            println!("{line}");
        }
    }
}

fn engine(partitions: usize, tables: &[Rows]) -> Engine {
    let engine = Engine::new(Config { partitions, ..Config::default() });
    for (name, columns, batches) in tables {
        engine.execute(&format!("CREATE TABLE {name} ({columns})")).expect("a table");
        engine.register_batches(name, batches.clone()).expect("its rows");
    }
    engine
}

/// Seconds of a query whose rows are dropped.
fn time(engine: &Engine, sql: &str) -> f64 {
    let started = Instant::now();
    engine.sql(sql).and_then(|query| query.drain()).expect("the query runs");
    started.elapsed().as_secs_f64()
}

/// Groups, rows counted and values summed.
fn answer(engine: &Engine, sql: &str) -> Vec<i64> {
    let folded = format!("SELECT count(*), CAST(sum(c) AS BIGINT), CAST(sum(s) AS BIGINT) FROM ({sql}) AS q");
    let batches = engine.sql(&folded).and_then(|query| query.collect()).expect("an answer");
    batches[0].columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0)).collect()
}

fn write((name, _, batches): &Rows, folder: &Path) {
    let schema = batches[0].schema();
    let file = std::fs::File::create(folder.join(format!("{name}.parquet"))).expect("a file");
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, schema, None).expect("a writer");
    batches.iter().for_each(|batch| writer.write(batch).expect("rows are written"));
    writer.close().expect("an end");
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit) as i64
    }
}

/// Batches of rows from `make`, which gives a batch of so many rows from this row on.
fn batches(rows: usize, mut make: impl FnMut(usize, usize) -> Vec<(&'static str, ArrayRef)>) -> Vec<RecordBatch> {
    let batch = |from: usize| RecordBatch::try_from_iter(make(from, ROWS.min(rows - from))).expect("of one length");
    (0..rows).step_by(ROWS).map(batch).collect()
}

/// A column of `count` values.
fn column(count: usize, value: impl FnMut(usize) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..count).map(value)))
}

fn groups(rows: usize) -> Rows {
    let mut random = Random(1);
    let made = batches(rows, |_, count| {
        let dense: Vec<i64> = (0..count).map(|_| random.below(1000)).collect();
        let names = dense.iter().map(|key| format!("SYM{key:04}"));
        vec![
            ("name", Arc::new(StringViewArray::from_iter_values(names)) as ArrayRef),
            ("thousand", column(count, |row| (dense[row] + 1).wrapping_mul(0x1E37_79B9_7F4A_7C15))),
            ("million", column(count, |_| (random.below(1_000_000) + 1).wrapping_mul(0x1E37_79B9_7F4A_7C15))),
            ("v", column(count, |_| random.below(1000))),
            ("dense", column(count, |row| dense[row])),
        ]
    });
    ("g", "name VARCHAR, thousand BIGINT, million BIGINT, v BIGINT, dense BIGINT", made)
}

fn windows(rows: usize) -> Rows {
    const START: i64 = 1_700_000_000_000;
    let mut random = Random(2);
    let made = batches(rows, |from, count| {
        let tick = |row: usize| START + ((from + row) as i64 * 10) / 64;
        let times = TimestampMillisecondArray::from_iter_values((0..count).map(tick));
        vec![
            ("ts", Arc::new(times) as ArrayRef),
            ("ms", column(count, tick)),
            ("few", column(count, |_| random.below(1000))),
            ("many", column(count, |_| random.below(100_000))),
            ("v", column(count, |_| random.below(1000))),
        ]
    });
    ("w", "ts TIMESTAMP(3), ms BIGINT, few BIGINT, many BIGINT, v BIGINT, WATERMARK FOR ts AS ts", made)
}

/// The same batch again and again: its columns stay in L2.
fn in_cache(rows: usize) -> Rows {
    let mut random = Random(3);
    let (a, b) = (column(ROWS, |_| random.below(1000)), column(ROWS, |row| row as i64 * 7 % 1000));
    let float = |column: &ArrayRef| arrow::compute::cast(column, &DataType::Float64).expect("numbers");
    let columns = [("x", float(&a)), ("y", float(&b)), ("a", a), ("b", b)];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let columns = "x DOUBLE, y DOUBLE, a BIGINT, b BIGINT";
    ("l2", columns, std::iter::repeat_n(batch, (rows / ROWS).max(1) * 4).collect())
}

/// Nanoseconds a row of both sides, the fastest of some samples taken in turn.
fn beside(samples: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    let sample = |run: &mut dyn FnMut()| {
        let mut runs = 0;
        let taken = own_nanoseconds(|| {
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(2) {
                run();
                runs += 1;
            }
        });
        taken / f64::from(runs) / ROWS as f64
    };
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..samples {
        best = (best.0.min(sample(&mut ours)), best.1.min(sample(&mut theirs)));
    }
    best
}

fn report(name: &str, work: &str, peer: &str, (here, there): (f64, f64)) {
    println!("{}", json!({ "name": name, "work": work, "here": here, "peer": peer, "there": there }));
}

/// Comparison, sum under a mask, and both with arithmetic before them.
fn kernels(samples: usize) {
    let level = level::detect();
    let mut random = Random(4);
    let a: Vec<i64> = (0..ROWS).map(|_| random.below(1000)).collect();
    let b: Vec<i64> = (0..ROWS).map(|_| random.below(1000)).collect();
    let floats: Vec<f64> = a.iter().map(|&value| value as f64).collect();
    let valid: Vec<bool> = (0..ROWS).map(|_| random.below(2) == 0).collect();
    let (a_array, b_array) = (Int64Array::from(a.clone()), Int64Array::from(b.clone()));
    let mut mask = vec![0; bitmap::words(ROWS)];

    let limit = Int64Array::new_scalar(500);
    let mut compared = BooleanArray::from(Vec::<bool>::new());
    let times = beside(
        samples,
        || compare::constant(level, compare::Op::Gt, black_box(&a), 500, &mut mask),
        || compared = cmp::gt(black_box(&a_array), &limit).expect("numbers"),
    );
    assert_eq!(bitmap::count_ones(&mask, ROWS), compared.true_count());
    report("compare", "i64 > c to a bitmap, in L2", "arrow-rs", times);

    let values: Float64Array = floats.iter().zip(&valid).map(|(&value, &valid)| valid.then_some(value)).collect();
    let mut validity = vec![0; bitmap::words(ROWS)];
    (0..ROWS).filter(|&row| valid[row]).for_each(|row| bitmap::set(&mut validity, row));
    let (mut sum, mut their_sum) = (0.0, None);
    let times = beside(
        samples,
        || sum = aggregate::sum_f64(level, black_box(&floats), Some(&validity)),
        || their_sum = arrow::compute::sum(black_box(&values)),
    );
    assert_eq!(Some(sum), their_sum, "whole numbers are summed exactly");
    report("sum", "f64 summed under a mask, in L2", "arrow-rs", times);

    let (k, c) = (Int64Array::new_scalar(3), Int64Array::new_scalar(2000));
    let (mut count, mut their_count) = (0, 0);
    let counted = |product: ArrayRef, sum: fn(&ArrayRef, &Int64Array) -> ArrayRef| {
        cmp::gt(&sum(&product, &b_array), &c).expect("numbers").true_count()
    };
    let times = beside(
        samples,
        || {
            let (k, c) = (black_box(3), black_box(2000));
            count =
                aggregate::count_where_2(level, black_box(&a), &b, None, |a, b| a.wrapping_mul(k).wrapping_add(b) > c);
        },
        || {
            let product = numeric::mul_wrapping(black_box(&a_array), &k).expect("numbers");
            their_count = counted(product, |a, b| numeric::add_wrapping(a, b).expect("numbers"));
        },
    );
    assert_eq!(count, their_count);
    report("fused", "a * k + b > c counted, i64 that wraps, in L2", "arrow-rs", times);
    let mut fused = || {
        let steps = [
            Step { op: arithmetic::Op::Mul, left: Source::Column(black_box(&a[..])), right: Source::Constant(3) },
            Step { op: arithmetic::Op::Add, left: Source::Step(0), right: Source::Column(&b) },
        ];
        assert!(fused::compare(
            level,
            &steps,
            compare::Op::Gt,
            Source::Step(1),
            Source::Constant(2000),
            ROWS,
            &mut mask
        ));
    };
    let times = beside(samples, &mut fused, || {
        let product = numeric::mul(black_box(&a_array), &k).expect("numbers");
        their_count = counted(product, |a, b| numeric::add(a, b).expect("numbers"));
    });
    assert_eq!(bitmap::count_ones(&mask, ROWS), their_count);
    report("fused-checked", "a * k + b > c to a bitmap, i64, overflow looked for, in L2", "arrow-rs", times);
}

/// The pane of each timestamp.
fn panes(samples: usize) {
    let level = level::detect();
    let start = 1_700_000_000_000;
    let mut random = Random(5);
    let one: Vec<i64> = (0..ROWS).map(|row| start + row as i64 * 2).collect();
    let some: Vec<i64> = (0..ROWS).map(|_| start + random.below(100_000)).collect();
    for (name, work, times, size) in [
        ("pane-one", "pane of a timestamp, the batch in one pane", one, 100_000),
        ("pane", "pane of a timestamp, ten panes mixed", some, 10_000),
    ] {
        let array: ArrayRef = Arc::new(TimestampMillisecondArray::from(times.clone()));
        let bin = date_bin(&array, size);
        let (mut out, mut theirs) = (Vec::new(), None);
        let taken =
            beside(samples, || pane::bucket(level, black_box(&times), size, 0, &mut out), || theirs = Some(bin()));
        let theirs = theirs.expect("it has run");
        assert_eq!(&out[..], &theirs.as_primitive::<TimestampMillisecondType>().values()[..]);
        report(name, work, "DataFusion date_bin", taken);
    }
}

/// A call of DataFusion's `date_bin` over `times`.
fn date_bin(times: &ArrayRef, size: i64) -> impl Fn() -> ArrayRef {
    let function = datafusion_functions::datetime::date_bin();
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let field = |name: &str, data_type: &DataType| Arc::new(Field::new(name, data_type.clone(), true));
    let origin = ScalarValue::TimestampNanosecond(Some(0), None);
    let args = ScalarFunctionArgs {
        args: vec![
            ColumnarValue::Scalar(ScalarValue::new_interval_mdn(0, 0, size * 1_000_000)),
            ColumnarValue::Array(times.clone()),
            ColumnarValue::Scalar(origin),
        ],
        arg_fields: vec![field("stride", &interval), field("source", &time), field("origin", &nanoseconds)],
        number_rows: ROWS,
        return_field: field("bin", &time),
        config_options: Arc::new(ConfigOptions::default()),
    };
    move || match function.invoke_with_args(black_box(args.clone())).expect("times have bins") {
        ColumnarValue::Array(array) => array,
        ColumnarValue::Scalar(_) => panic!("a column of times has a column of bins"),
    }
}
