//! How many nanoseconds a row costs in each kernel, at each level, in L2 (8,192 rows) and in memory (1 M rows).
//!
//! Names read `compare/i64/gt-constant/avx512/8192`; kernels without tiers leave out the level. Each bench asserts its
//! answer once. `cargo bench -p millstream-kernels -- --test` runs each once; a word after `--` selects benches.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use millstream_kernels::{
    Level, aggregate, arithmetic, bitmap, cast, choose, compare, filter, fused, gather, grouped, hash, level, logic,
    pane, partition, scan, snappy,
};
use std::hint::black_box;
use std::time::Duration;

const IN_CACHE: usize = 8192;
const IN_MEMORY: usize = 1 << 20;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

fn numbers(rows: usize) -> Vec<u64> {
    let mut state = SEED;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..rows).map(step).collect()
}

/// Numbers from 0 to 999.
fn small(rows: usize) -> Vec<i64> {
    numbers(rows).iter().map(|bits| (bits >> 33) as i64 % 1000).collect()
}

fn floats(rows: usize) -> Vec<f64> {
    small(rows).iter().map(|&value| value as f64).collect()
}

/// A bitmap in which one bit of `one_in` is set.
fn mask(rows: usize, one_in: u64) -> Vec<u64> {
    let mut words = vec![0; bitmap::words(rows)];
    numbers(rows)
        .iter()
        .enumerate()
        .filter(|(_, bits)| (*bits >> 20).is_multiple_of(one_in))
        .for_each(|(i, _)| bitmap::set(&mut words, i));
    words
}

/// Benches `kernel` at every level; runs it once even where the benches are filtered out, for the asserts behind.
fn levels(c: &mut Criterion, name: &str, rows: usize, mut kernel: impl FnMut(Level)) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(rows as u64));
    for level in level::available() {
        kernel(level);
        group.bench_function(BenchmarkId::new(level::name(level), rows), |b| b.iter(|| kernel(level)));
    }
    group.finish();
}

/// Benches a `kernel` without tiers.
fn plain(c: &mut Criterion, name: &str, rows: usize, mut kernel: impl FnMut()) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(rows as u64));
    kernel();
    group.bench_function(BenchmarkId::from_parameter(rows), |b| b.iter(&mut kernel));
    group.finish();
}

fn compares(c: &mut Criterion) {
    for rows in [IN_CACHE, IN_MEMORY] {
        let (a, b) = (small(rows), small(rows).into_iter().rev().collect::<Vec<_>>());
        let mut out = vec![0; bitmap::words(rows)];
        levels(c, "compare/i64/gt-constant", rows, |level| {
            compare::constant(level, compare::Op::Gt, black_box(&a), 500, &mut out);
        });
        assert_eq!(bitmap::count_ones(&out, rows), a.iter().filter(|&&a| a > 500).count());
        levels(c, "compare/i64/lt-columns", rows, |level| {
            compare::columns(level, compare::Op::Lt, black_box(&a), &b, &mut out);
        });
        assert_eq!(bitmap::count_ones(&out, rows), a.iter().zip(&b).filter(|(a, b)| a < b).count());
    }
    let rows = IN_CACHE;
    let mut out = vec![0; bitmap::words(rows)];
    let truth = small(rows).iter().filter(|&&a| a > 500).count();
    let values = floats(rows);
    levels(c, "compare/f64/gt-constant", rows, |level| {
        compare::constant(level, compare::Op::Gt, black_box(&values), 500.0, &mut out);
    });
    assert_eq!(bitmap::count_ones(&out, rows), truth);
    let values: Vec<i32> = small(rows).iter().map(|&v| v as i32).collect();
    levels(c, "compare/i32/gt-constant", rows, |level| {
        compare::constant(level, compare::Op::Gt, black_box(&values), 500, &mut out);
    });
    assert_eq!(bitmap::count_ones(&out, rows), truth);
    let values: Vec<i128> = small(rows).iter().map(|&v| v.into()).collect();
    levels(c, "compare/i128/gt-constant", rows, |level| {
        compare::constant(level, compare::Op::Gt, black_box(&values), 500, &mut out);
    });
    assert_eq!(bitmap::count_ones(&out, rows), truth);
}

fn choices(c: &mut Criterion) {
    let rows = IN_CACHE;
    let values = small(rows);
    for (name, limit) in [("half", 500), ("few", 10)] {
        let mut out = vec![0; rows];
        let mut mask = vec![0; bitmap::words(rows)];
        compare::constant(level::detect(), compare::Op::Lt, &small(rows), limit, &mut mask);
        levels(c, &format!("choose/i64/column-{name}"), rows, |level| {
            choose::column(level, black_box(&mask), &values, &mut out);
        });
        levels(c, &format!("choose/i64/constant-{name}"), rows, |level| {
            choose::constant(level, black_box(&mask), 7, &mut out);
        });
        assert_eq!(out.iter().filter(|&&value| value == 7).count(), bitmap::count_ones(&mask, rows));
    }
}

fn arithmetics(c: &mut Criterion) {
    let rows = IN_CACHE;
    let (a, b) = (small(rows), small(rows));
    let mut out = vec![0; rows];
    for (name, op) in [("add", arithmetic::Op::Add), ("mul", arithmetic::Op::Mul)] {
        levels(c, &format!("arithmetic/i64/{name}-columns"), rows, |level| {
            arithmetic::columns(level, op, black_box(&a), &b, None, &mut out).expect("small numbers");
        });
    }
    assert!(out.iter().zip(&a).all(|(out, a)| *out == a * a));
    levels(c, "arithmetic/i64/mul-constant", rows, |level| {
        arithmetic::column_constant(level, arithmetic::Op::Mul, black_box(&a), 908, None, &mut out).expect("small");
    });
    for (name, op) in [("div", arithmetic::Op::Div), ("rem", arithmetic::Op::Rem)] {
        levels(c, &format!("arithmetic/i64/{name}-constant"), rows, |level| {
            arithmetic::column_constant(level, op, black_box(&a), 123, None, &mut out).expect("no zero");
        });
    }
    assert!(out.iter().zip(&a).all(|(out, a)| *out == a % 123));
    let (a, b) = (floats(rows), floats(rows));
    let mut out = vec![0.0; rows];
    levels(c, "arithmetic/f64/mul-columns", rows, |level| {
        arithmetic::columns(level, arithmetic::Op::Mul, black_box(&a), &b, None, &mut out).expect("floats");
    });
    let values: Vec<i32> = small(rows).iter().map(|&v| v as i32).collect();
    levels(c, "cast/i32-f64", rows, |level| cast::widen(level, black_box(&values), &mut out));
    assert_eq!(out[7], f64::from(values[7]));
}

/// `a * 3 + b > 2000` in one pass, with overflow looked for.
fn fusions(c: &mut Criterion) {
    use fused::{Source, Step};
    let rows = IN_CACHE;
    let (a, b) = (small(rows), small(rows).into_iter().rev().collect::<Vec<_>>());
    let mut out = vec![0; bitmap::words(rows)];
    levels(c, "fused/i64/a*k+b>c", rows, |level| {
        let left = Source::Column(black_box(&a[..]));
        let steps = [
            Step { op: arithmetic::Op::Mul, left, right: Source::Constant(3) },
            Step { op: arithmetic::Op::Add, left: Source::Step(0), right: Source::Column(&b) },
        ];
        let limit = Source::Constant(2000);
        assert!(fused::compare(level, &steps, compare::Op::Gt, Source::Step(1), limit, rows, &mut out));
    });
    assert_eq!(bitmap::count_ones(&out, rows), a.iter().zip(&b).filter(|(a, b)| **a * 3 + **b > 2000).count());
    let (a, b) = (floats(rows), floats(rows).into_iter().rev().collect::<Vec<_>>());
    levels(c, "fused/f64/a*k+b>c", rows, |level| {
        let left = Source::Column(black_box(&a[..]));
        let steps = [
            Step { op: arithmetic::Op::Mul, left, right: Source::Constant(3.0) },
            Step { op: arithmetic::Op::Add, left: Source::Step(0), right: Source::Column(&b) },
        ];
        let limit = Source::Constant(2000.0);
        assert!(fused::compare(level, &steps, compare::Op::Gt, Source::Step(1), limit, rows, &mut out));
    });
}

fn aggregates(c: &mut Criterion) {
    for rows in [IN_CACHE, IN_MEMORY] {
        let (a, b, values, valid) = (small(rows), small(rows), floats(rows), mask(rows, 2));
        let mut sum = 0.0;
        levels(c, "aggregate/sum-f64/masked", rows, |level| {
            sum = aggregate::sum_f64(level, black_box(&values), Some(&valid));
        });
        assert_eq!(sum, aggregate::scalar::sum_f64(&values, Some(&valid)));
        levels(c, "aggregate/sum-f64/all", rows, |level| {
            sum = aggregate::sum_f64(level, black_box(&values), None);
        });
        let mut total = 0;
        levels(c, "aggregate/sum-i64/masked", rows, |level| {
            total = aggregate::sum_i64(level, black_box(&a), Some(&valid));
        });
        assert_eq!(total, aggregate::scalar::sum_int(&a, Some(&valid)));
        levels(c, "aggregate/sum-i64/all", rows, |level| {
            total = aggregate::sum_i64(level, black_box(&a), None);
        });
        let mut both = None;
        levels(c, "aggregate/min-max-i64/all", rows, |level| {
            both = aggregate::min_max(level, black_box(&a), None);
        });
        assert_eq!(both, Some((0, 999)));
        let mut least = None;
        levels(c, "aggregate/min-f64/masked", rows, |level| {
            least = aggregate::min(level, black_box(&values), Some(&valid));
        });
        assert_eq!(least, Some(0.0));
        let mut count = 0;
        let (k, limit) = (black_box(3), black_box(2000));
        levels(c, "aggregate/count-where/a*k+b>c", rows, |level| {
            count = aggregate::count_where_2(level, black_box(&a), &b, None, |a, b| {
                a.wrapping_mul(k).wrapping_add(b) > limit
            });
        });
        assert_eq!(count, a.iter().zip(&b).filter(|(a, b)| **a * 3 + **b > 2000).count());
    }
}

fn groups(c: &mut Criterion) {
    for (group_count, rows) in [(1000, IN_CACHE), (1 << 20, IN_MEMORY)] {
        let groups: Vec<u32> = numbers(rows).iter().map(|bits| (bits >> 33) as u32 % group_count as u32).collect();
        let (values, ints, valid) = (floats(rows), small(rows), mask(rows, 2));
        let (mut counts, mut sums, mut wide) =
            (vec![0i64; group_count], vec![0.0; group_count], vec![0i128; group_count]);
        let name = |kernel| format!("grouped/{kernel}/{group_count}-groups");
        plain(c, &name("count"), rows, || grouped::count(black_box(&groups), None, &mut counts));
        assert_eq!(counts.iter().sum::<i64>() % rows as i64, 0);
        plain(c, &name("count-masked"), rows, || grouped::count(black_box(&groups), Some(&valid), &mut counts));
        plain(c, &name("sum-f64"), rows, || grouped::sum_f64(black_box(&groups), &values, None, &mut sums));
        plain(c, &name("sum-i64"), rows, || grouped::sum_i64(black_box(&groups), &ints, None, &mut wide));
        let mut best = vec![0i64; group_count];
        let mut seen = vec![0; bitmap::words(group_count)];
        plain(c, &name("max-i64"), rows, || grouped::max(black_box(&groups), &ints, None, &mut best, &mut seen));
        let mut states = vec![(0i64, 0.0f64); group_count];
        plain(c, &name("count+sum"), rows, || {
            grouped::update(black_box(&groups), None, &mut states, |state, row| {
                state.0 += 1;
                state.1 += values[row];
            });
        });
    }
}

fn filters(c: &mut Criterion) {
    let rows = IN_CACHE;
    for (name, one_in) in [("1-in-2", 2), ("1-in-64", 64)] {
        let selected = mask(rows, one_in);
        let count = bitmap::count_ones(&selected, rows);
        let mut list = Vec::new();
        levels(c, &format!("bitmap/to-selection/{name}"), rows, |level| {
            bitmap::to_selection(level, black_box(&selected), rows, &mut list);
        });
        assert_eq!(list.len(), count);
        let mut places = Vec::new();
        levels(c, &format!("bitmap/positions/{name}"), rows, |level| {
            places.clear();
            bitmap::positions(level, black_box(&selected), 0, &mut places);
        });
        assert_eq!(places.len(), count);
        let some = mask(rows, 100).iter().zip(&selected).map(|(some, selected)| some & selected).collect::<Vec<_>>();
        levels(c, &format!("bitmap/ranks/{name}"), rows, |level| {
            places.clear();
            bitmap::ranks(level, black_box(&selected), &some, 0, &mut places);
        });
        assert_eq!(places.len(), bitmap::count_ones(&some, rows));
        let (values, mut out) = (small(rows), Vec::new());
        levels(c, &format!("filter/i64/{name}"), rows, |level| {
            filter::compress(level, black_box(&values), &selected, &mut out);
        });
        assert_eq!(out.len(), count);
        let (ints, mut out) = (values.iter().map(|&v| v as i32).collect::<Vec<_>>(), Vec::new());
        levels(c, &format!("filter/i32/{name}"), rows, |level| {
            filter::compress(level, black_box(&ints), &selected, &mut out);
        });
        assert_eq!(out.len(), count);
        let (views, mut out) = (values.iter().map(|&v| v as u128).collect::<Vec<_>>(), Vec::new());
        levels(c, &format!("filter/u128/{name}"), rows, |level| {
            filter::compress(level, black_box(&views), &selected, &mut out);
        });
        assert_eq!(out.len(), count);
        let mut out = Vec::new();
        plain(c, &format!("gather/i64/{name}"), list.len(), || gather::take(&values, black_box(&list), &mut out));
        assert_eq!(out.len(), count);
        let mut out = Vec::new();
        plain(c, &format!("bitmap/compress/{name}"), rows, || {
            bitmap::compress(black_box(&selected), &selected, rows, &mut out);
        });
        assert_eq!(bitmap::count_ones(&out, count), count);
        plain(c, &format!("bitmap/gather/{name}"), list.len(), || {
            bitmap::gather(black_box(&selected), &list, &mut out)
        });
        assert_eq!(bitmap::count_ones(&out, count), count);
    }
    let (a, b) = (mask(rows, 2), mask(rows, 3));
    let (mut out, mut valid) = (vec![0; a.len()], vec![0; a.len()]);
    levels(c, "bitmap/and", rows, |level| bitmap::and(level, black_box(&a), &b, &mut out));
    levels(c, "logic/and", rows, |level| {
        logic::and(level, (black_box(&a), Some(&b)), (&b, Some(&a)), rows, &mut out, &mut valid);
    });
    assert!(out.iter().zip(a.iter().zip(&b)).all(|(out, (a, b))| *out == a & b));
}

fn keys(c: &mut Criterion) {
    for rows in [IN_CACHE, IN_MEMORY] {
        let (values, mut out) = (small(rows), Vec::new());
        levels(c, "hash/i64", rows, |level| hash::fixed(level, 1, black_box(&values), &mut out));
        assert_eq!(out[0], hash::scalar::one(1, values[0]));
        levels(c, "hash/i64-combine", rows, |level| hash::combine(level, &mut out, black_box(&values)));
        let words: Vec<u64> = values.iter().map(|&value| u64::from(value as u32)).collect();
        levels(c, "hash/exact", rows, |level| hash::exact(level, 1, black_box(&words), &mut out));
    }
    let rows = IN_CACHE;
    let texts: Vec<String> = small(rows).iter().map(|v| format!("channel-{v}")).collect();
    let mut sum = 0;
    plain(c, "hash/bytes/11", rows, || {
        sum = black_box(&texts).iter().fold(0, |sum, t| sum ^ hash::bytes(1, t.as_bytes()))
    });
    assert_ne!(sum, 0);
    let (hashes, mut lists) = (numbers(rows), Vec::new());
    for count in [2, 16, 64] {
        plain(c, &format!("partition/{count}"), rows, || partition::by_hash(black_box(&hashes), count, &mut lists));
        assert_eq!(lists.iter().map(Vec::len).sum::<usize>(), rows);
    }
}

fn panes(c: &mut Criterion) {
    let rows = IN_CACHE;
    let start = 1_700_000_000_000;
    let ascending: Vec<i64> = (0..rows).map(|row| start + row as i64).collect();
    let mixed: Vec<i64> = numbers(rows).iter().map(|bits| start + (bits >> 33) as i64 % 100_000).collect();
    let far: Vec<i64> = mixed.iter().map(|ts| ts * 1_000_000).collect();
    let (mut out, mut found, mut runs) = (Vec::new(), None, Vec::new());
    levels(c, "pane/min-max", rows, |level| found = pane::min_max(level, black_box(&ascending), None));
    assert_eq!(found, Some((start, start + rows as i64 - 1)));
    levels(c, "pane/bucket/one-pane", rows, |level| pane::bucket(level, black_box(&ascending), 100_000, 0, &mut out));
    assert_eq!(out[5], start);
    levels(c, "pane/bucket/mixed", rows, |level| pane::bucket(level, black_box(&mixed), 10_000, 0, &mut out));
    assert_eq!(out[5], mixed[5] / 10_000 * 10_000);
    levels(c, "pane/bucket/far", rows, |level| pane::bucket(level, black_box(&far), 10_000_000_000, 0, &mut out));
    assert_eq!(out[5], far[5] / 10_000_000_000 * 10_000_000_000);
    levels(c, "pane/runs/ascending", rows, |level| pane::runs(level, black_box(&ascending), 1000, 0, &mut runs));
    assert_eq!(runs.len(), 9);
    pane::bucket(level::detect(), &mixed, 10_000, 0, &mut out);
    let (mut starts, mut selections) = (Vec::new(), Vec::new());
    plain(c, "pane/split/10-panes", rows, || pane::split(black_box(&out), &mut starts, &mut selections));
    assert_eq!(starts.len(), 10);
}

fn scans(c: &mut Criterion) {
    let rows = 1 << 16;
    let text: Vec<u8> = numbers(rows).iter().map(|bits| b"abcdefghijklm\n,\""[(bits >> 40) as usize % 16]).collect();
    let (mut out, mut count, mut each) = (Vec::new(), 0, [Vec::new(), Vec::new(), Vec::new()]);
    levels(c, "scan/structural3", rows, |level| {
        scan::structural3(level, black_box(&text), b'\n', b',', b'"', &mut out)
    });
    let [special, lines] = &mut each[..2] else { panic!("there are three") };
    levels(c, "scan/json-marks", rows, |level| scan::json_marks(level, black_box(&text), special, lines));
    levels(c, "scan/each-of-3", rows, |level| scan::each(level, black_box(&text), *b"\n,\"", &mut each));
    levels(c, "scan/count-byte", rows, |level| count = scan::count_byte(level, black_box(&text), b'\n'));
    assert_eq!(count, bitmap::count_ones(&each[0], rows));
    let mut at = None;
    levels(c, "scan/find-any", rows, |level| at = scan::find_any(level, black_box(&text), *b"XYZ"));
    assert_eq!(at, None);
}

/// A block as Snappy makes it of numbers that are alike: short literals and copies from nearby, in turn.
fn compressed(elements: usize) -> (Vec<u8>, usize) {
    let (mut body, mut size) = (Vec::new(), 0);
    for bits in numbers(elements) {
        let literal = 1 + (bits >> 20) as usize % 4;
        body.push((literal as u8 - 1) << 2);
        body.extend_from_slice(&bits.to_le_bytes()[..literal]);
        size += literal;
        // From four to eleven bytes of what lies at most 255 bytes before.
        let length = 4 + (bits >> 40) as usize % 8;
        body.extend([1 | (length as u8 - 4) << 2, 1 + (bits >> 50) as u8 % size.min(255) as u8]);
        size += length;
    }
    let mut block = Vec::new();
    let mut left = size;
    while left > 127 {
        block.push(left as u8 | 0x80);
        left >>= 7;
    }
    block.push(left as u8);
    block.extend(body);
    (block, size)
}

/// Snappy, by the byte that it makes; the loop with its checks one by one beside it.
fn blocks(c: &mut Criterion) {
    let (block, size) = compressed(IN_CACHE);
    let (mut out, mut truth) = (Vec::new(), Vec::new());
    plain(c, "snappy/append", size, || {
        out.clear();
        assert!(snappy::append(black_box(&block), size, &mut out));
    });
    let elements = block.iter().position(|byte| byte & 0x80 == 0).expect("a size ends") + 1;
    plain(c, "snappy/scalar", size, || {
        truth.clear();
        assert!(snappy::scalar::append(black_box(&block[elements..]), 0, size, &mut truth));
    });
    assert_eq!(out, truth);
}

fn config() -> Criterion {
    Criterion::default()
        .without_plots()
        .sample_size(15)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(150))
}

criterion_group!(
    name = kernels;
    config = config();
    targets = compares, choices, arithmetics, fusions, aggregates, groups, filters, keys, panes, scans, blocks
);
criterion_main!(kernels);
