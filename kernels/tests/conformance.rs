//! Every kernel at every level of this machine against its plain truth. `SEED=n` repeats a failure.

mod support;

use millstream_kernels::{
    Integer, Native, Number, aggregate, arithmetic, bitmap, cast, choose, compare, filter, fused, gather, grouped,
    hash, level, logic, pane, partition, probe, scan, unpack,
};
use support::{Case, Rng, Sample, every_case, every_length};

/// Calls a generic test for each listed type.
macro_rules! for_types {
    ($test:ident($case:expr, $rng:expr): $($t:ty)*) => { $($test::<$t>($case, $rng);)* };
}

/// Like `assert_eq!` for long slices: shows only the first row that differs.
macro_rules! assert_rows {
    ($out:expr, $truth:expr, $($message:tt)*) => {
        let (out, truth) = (&$out[..], &$truth[..]);
        let differs = out.iter().zip(truth).position(|(a, b)| a != b);
        assert_eq!(differs.map(|row| (row, &out[row])), differs.map(|row| (row, &truth[row])), $($message)*);
        assert_eq!(out.len(), truth.len(), $($message)*);
    };
}

const COMPARISONS: [compare::Op; 6] =
    [compare::Op::Eq, compare::Op::Ne, compare::Op::Lt, compare::Op::Le, compare::Op::Gt, compare::Op::Ge];

#[test]
fn levels_are_named_and_ordered() {
    let levels = level::available();
    assert!(!levels.is_empty());
    assert_eq!(level::name(*levels.last().unwrap()), level::name(level::detect()));
}

#[test]
fn packed_numbers_are_unpacked() {
    every_length(|case, rng| {
        for bits in 0..=32u32 {
            for first in [0, 5, 8, 31] {
                let bytes: Vec<u8> =
                    (0..((first + case.rows) * bits as usize).div_ceil(8)).map(|_| rng.next() as u8).collect();
                let (mut out, mut truth) = (vec![7; case.rows], vec![9; case.rows]);
                unpack::unpack(case.level, &bytes, bits, first, &mut out);
                unpack::scalar::unpack(&bytes, bits, first, &mut truth);
                assert_rows!(out, truth, "{case}, {bits} bits from {first}");
            }
        }
    });
}

#[test]
fn bitmaps_combine() {
    every_length(|case, rng| {
        let (a, b) = (rng.bits(case.rows, 5), rng.bits(case.rows, 5));
        let (mut out, mut truth) = (vec![7; case.words()], vec![7; case.words()]);
        let mut check = |kernel: &dyn Fn(&mut [u64]), op: fn(bool, bool) -> bool| {
            kernel(&mut out);
            bitmap::scalar::combine(&a, &b, case.rows, &mut truth, op);
            bitmap::trim(&mut out, case.rows);
            assert_rows!(out, truth, "{case}");
        };
        check(&|out| bitmap::and(case.level, &a, &b, out), |a, b| a & b);
        check(&|out| bitmap::or(case.level, &a, &b, out), |a, b| a | b);
        check(&|out| bitmap::and_not(case.level, &a, &b, out), |a, b| a & !b);
        check(&|out| bitmap::not(case.level, &a, case.rows, out), |a, _| !a);
        check(&|out| (out.copy_from_slice(&a), bitmap::and_with(case.level, out, &b)).1, |a, b| a & b);
        check(&|out| (out.copy_from_slice(&a), bitmap::or_with(case.level, out, &b)).1, |a, b| a | b);
    });
}

#[test]
fn bitmaps_count_and_list() {
    every_length(|case, rng| {
        for tenths in [0, 1, 3, 5, 9, 10] {
            let words = rng.bits(case.rows, tenths);
            let count = bitmap::scalar::count_ones(&words, case.rows);
            assert_eq!(bitmap::count_ones(&words, case.rows), count, "{case}");
            assert_eq!(bitmap::all_set(&words, case.rows), count == case.rows, "{case}");
            assert_eq!(bitmap::none_set(&words, case.rows), count == 0, "{case}");
            let (mut out, mut truth) = (vec![9; 3], Vec::new());
            bitmap::to_selection(case.level, &words, case.rows, &mut out);
            bitmap::scalar::to_selection(&words, case.rows, &mut truth);
            assert_rows!(out, truth, "{case}, {tenths} tenths");
            let (mut out, mut truth) = (vec![9; 3], vec![9; 3]);
            for base in [0, 77, u32::MAX - words.len() as u32 * 64] {
                bitmap::positions(case.level, &words, base, &mut out);
                bitmap::scalar::positions(&words, base, &mut truth);
                assert_rows!(out, truth, "{case}, {tenths} tenths from {base}");
            }
            // The truth counts from the start for every bit.
            if case.rows <= 1000 {
                for some in [1, 5] {
                    let some = rng.bits(case.rows, some);
                    let (mut out, mut truth) = (vec![9; 3], vec![9; 3]);
                    bitmap::ranks(case.level, &words, &some, 7, &mut out);
                    bitmap::scalar::ranks(&words, &some, 7, &mut truth);
                    assert_rows!(out, truth, "{case}, {tenths} tenths");
                }
            }
        }
    });
}

#[test]
fn bitmaps_move() {
    every_length(|case, rng| {
        let (words, mask) = (rng.bits(case.rows, 5), rng.bits(case.rows, 6));
        let (mut out, mut truth) = (vec![9; 3], Vec::new());
        let count = bitmap::compress(&words, &mask, case.rows, &mut out);
        assert_eq!(count, bitmap::scalar::compress(&words, &mask, case.rows, &mut truth), "{case}");
        assert_rows!(out, truth, "{case}");

        let rows: Vec<u16> = (0..case.rows).map(|_| rng.below(case.rows as u64) as u16).collect();
        bitmap::gather(&words, &rows, &mut out);
        bitmap::scalar::gather(&words, &rows, &mut truth);
        assert_rows!(out, truth, "{case}");

        let bytes: Vec<u8> = (0..case.rows / 8 + 4).map(|_| rng.next() as u8).collect();
        for offset in [0, 1, 7, 8, 13] {
            bitmap::from_bytes(&bytes, offset, case.rows, &mut out);
            bitmap::scalar::from_bytes(&bytes, offset, case.rows, &mut truth);
            assert_rows!(out, truth, "{case}, offset {offset}");
        }
    });
}

#[test]
fn bitmaps_append_and_fill() {
    let mut rng = Rng::new(3);
    let (mut out, mut rows, mut truth) = (Vec::new(), 0, Vec::new());
    for more in [0, 1, 63, 64, 65, 0, 100, 128, 3, 1000] {
        let words = rng.bits(more, 5);
        bitmap::append(&mut out, &mut rows, &words, more);
        truth.extend((0..more).map(|i| bitmap::get(&words, i)));
        assert_eq!((0..rows).map(|i| bitmap::get(&out, i)).collect::<Vec<_>>(), truth);
        assert_eq!(out.len(), bitmap::words(rows));
        assert_eq!(bitmap::count_ones(&out, rows), bitmap::count_ones(&out, out.len() * 64), "zeros past the end");
    }
    bitmap::fill(&mut out, 70, true);
    assert_eq!(out, [u64::MAX, 63]);
    bitmap::clear(&mut out, 64);
    assert_eq!(out, [u64::MAX, 62]);
    bitmap::fill(&mut out, 70, false);
    assert_eq!(out, [0, 0]);
}

#[test]
fn logic_has_three_values() {
    every_case(|case, rng| {
        let (a, b, b_validity) = (rng.bits(case.rows, 5), rng.bits(case.rows, 5), rng.bits(case.rows, 5));
        for b_validity in [None, Some(&b_validity[..])] {
            let (a, b) = ((&a[..], case.validity()), (&b[..], b_validity));
            let fresh = || (vec![7; case.words()], vec![7; case.words()]);
            let (mut out, mut truth) = (fresh(), fresh());
            logic::and(case.level, a, b, case.rows, &mut out.0, &mut out.1);
            logic::scalar::and(a, b, case.rows, &mut truth.0, &mut truth.1);
            assert_eq!(out, truth, "and, {case}");
            logic::or(case.level, a, b, case.rows, &mut out.0, &mut out.1);
            logic::scalar::or(a, b, case.rows, &mut truth.0, &mut truth.1);
            assert_eq!(out, truth, "or, {case}");
        }
    });
}

fn choose_type<T: Sample>(case: &Case, rng: &mut Rng) {
    // Small ones: NaN is not what it is.
    let (values, before) = (rng.small::<T>(case.rows), rng.small::<T>(case.rows));
    for density in [0, 5, 10] {
        let mask = rng.bits(case.rows, density);
        let (mut out, mut truth) = (before.clone(), before.clone());
        choose::column(case.level, &mask, &values, &mut out);
        choose::scalar::column(&mask, &values, &mut truth);
        assert_rows!(out, truth, "{case}, column, density {density}");
        let (mut out, mut truth) = (before.clone(), before.clone());
        choose::constant(case.level, &mask, T::default(), &mut out);
        choose::scalar::constant(&mask, T::default(), &mut truth);
        assert_rows!(out, truth, "{case}, constant, density {density}");
    }
}

#[test]
fn columns_are_chosen_from() {
    every_length(|case, rng| {
        for_types!(choose_type(case, rng): i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
    });
}

fn compare_type<T: Sample>(case: &Case, rng: &mut Rng) {
    let (a, b) = (rng.values::<T>(case.rows), rng.values::<T>(case.rows));
    let (mut out, mut truth) = (vec![7; case.words()], vec![7; case.words()]);
    for op in COMPARISONS {
        compare::columns(case.level, op, &a, &b, &mut out);
        compare::scalar::columns(op, &a, &b, &mut truth);
        assert_rows!(out, truth, "{op:?}, {case}");
        let constants = if case.rows > 1000 { &T::SPECIAL[..1] } else { T::SPECIAL };
        for &c in constants {
            compare::constant(case.level, op, &a, c, &mut out);
            compare::scalar::constant(op, &a, c, &mut truth);
            assert_rows!(out, truth, "{op:?} {c:?}, {case}");
        }
    }
}

#[test]
fn comparisons() {
    every_length(|case, rng| {
        for_types!(compare_type(case, rng): i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
    });
}

/// Steps over two columns and a constant, drawn at random, beside the same columns made one after the other.
fn fused_type<T: Sample + fused::Fuse>(case: &Case, rng: &mut Rng) {
    use fused::{Source, Step};
    // Mostly small: else a batch without overflow is rare.
    let many = |rng: &mut Rng| if rng.below(3) == 0 { rng.values::<T>(case.rows) } else { rng.small::<T>(case.rows) };
    let (a, b) = (many(rng), many(rng));
    for _ in 0..12 {
        let c = if rng.below(2) == 0 { T::small(3) } else { T::sample(rng) };
        let source = |rng: &mut Rng, steps: usize| match rng.below(3 + 2 * steps as u64) {
            0 => Source::Column(&a[..]),
            1 => Source::Column(&b[..]),
            2 => Source::Constant(c),
            step => Source::Step(step as usize % steps),
        };
        let count = 1 + rng.below(fused::STEPS_MAX as u64) as usize;
        let step = |at: usize, rng: &mut Rng| Step {
            op: OPERATIONS[rng.below(3) as usize],
            left: source(rng, at),
            right: source(rng, at),
        };
        let steps: Vec<Step<T>> = (0..count).map(|at| step(at, rng)).collect();
        let (left, right) = (source(rng, count), source(rng, count));
        let of_constants =
            |left: &Source<T>, right: &Source<T>| matches!((left, right), (Source::Constant(_), Source::Constant(_)));
        let refused = of_constants(&left, &right) || steps.iter().any(|step| of_constants(&step.left, &step.right));

        let mut made: Vec<Vec<T>> = Vec::new();
        let values = |source: Source<T>, made: &[Vec<T>]| match source {
            Source::Column(values) => values.to_vec(),
            Source::Constant(value) => vec![value; case.rows],
            Source::Step(step) => made[step].clone(),
        };
        let mut fits = !refused;
        for step in &steps {
            let (left, right) = (values(step.left, &made), values(step.right, &made));
            let mut column = vec![T::default(); case.rows];
            fits &= arithmetic::scalar::columns(step.op, &left, &right, None, &mut column).is_ok();
            made.push(column);
        }
        for op in COMPARISONS {
            let (mut out, mut truth) = (vec![7; case.words()], vec![7; case.words()]);
            let done = fused::compare(case.level, &steps, op, left, right, case.rows, &mut out);
            assert_eq!(done, fits, "{steps:?} {op:?} {left:?} {right:?}, {case}");
            if done {
                compare::scalar::columns(op, &values(left, &made), &values(right, &made), &mut truth);
                assert_rows!(out, truth, "{op:?}, {case}");
                assert!(fused::scalar::compare(&steps, op, left, right, case.rows, &mut out));
                assert_rows!(out, truth, "{op:?} row by row, {case}");
            }
        }
    }
}

#[test]
fn arithmetic_fuses_with_comparisons() {
    every_length(|case, rng| {
        if case.rows < 65536 {
            for_types!(fused_type(case, rng): i64 f64);
        }
    });
}

#[test]
fn float_order() {
    assert!(f64::NAN.same(-f64::NAN) && f64::INFINITY.less(f64::NAN) && (-0.0).same(0.0) && !(-0.0f64).less(0.0));
    assert!(!f64::NAN.less(f64::NAN) && !f64::NAN.less(1.0) && f64::LEAST.less(f64::MIN));
}

const OPERATIONS: [arithmetic::Op; 5] =
    [arithmetic::Op::Add, arithmetic::Op::Sub, arithmetic::Op::Mul, arithmetic::Op::Div, arithmetic::Op::Rem];

/// Same fault; or none, and the same bits in every valid row.
fn check_rows<T: Number>(
    case: &Case,
    what: &dyn std::fmt::Debug,
    (result, out): (Result<(), arithmetic::Fault>, &[T]),
    (expected, truth): (Result<(), arithmetic::Fault>, &[T]),
) {
    assert_eq!(result, expected, "{what:?}, {case}");
    if result.is_ok() {
        for row in 0..out.len() {
            let valid = case.validity().is_none_or(|v| bitmap::get(v, row));
            assert!(!valid || out[row].same(truth[row]), "{what:?}, row {row}, {case}");
        }
    }
}

fn arithmetic_pair<T: Sample>(case: &Case, a: &[T], b: &[T]) {
    let (mut out, mut truth) = (vec![T::default(); case.rows], vec![T::default(); case.rows]);
    for op in OPERATIONS {
        let expected = arithmetic::scalar::columns(op, a, b, case.validity(), &mut truth);
        let result = arithmetic::columns(case.level, op, a, b, case.validity(), &mut out);
        check_rows(case, &op, (result, &out), (expected, &truth));
        let constants = if case.rows > 1000 { &T::SPECIAL[..1] } else { T::SPECIAL };
        for &c in constants.iter().chain(&[T::small(3)]) {
            let constant = vec![c; case.rows];
            let expected = arithmetic::scalar::columns(op, a, &constant, case.validity(), &mut truth);
            let result = arithmetic::column_constant(case.level, op, a, c, case.validity(), &mut out);
            check_rows(case, &(op, c), (result, &out), (expected, &truth));
            let expected = arithmetic::scalar::columns(op, &constant, b, case.validity(), &mut truth);
            let result = arithmetic::constant_column(case.level, op, c, b, case.validity(), &mut out);
            check_rows(case, &(c, op), (result, &out), (expected, &truth));
        }
    }
}

fn arithmetic_signs<T: Sample>(case: &Case, a: &[T]) {
    let truth = |op: fn(T) -> Result<T, arithmetic::FaultKind>| {
        let valid = |row: &usize| case.validity().is_none_or(|v| bitmap::get(v, *row));
        let mut truth = vec![T::default(); case.rows];
        let fault = (0..case.rows).filter(valid).try_for_each(|row| {
            truth[row] = op(a[row]).map_err(|kind| arithmetic::Fault { row, kind })?;
            Ok(())
        });
        (fault, truth)
    };
    let mut out = vec![T::default(); case.rows];
    let (expected, negated) = truth(T::checked_negate);
    let result = arithmetic::negate(case.level, a, case.validity(), &mut out);
    check_rows(case, &"negate", (result, &out), (expected, &negated));
    let (expected, absolute) = truth(T::checked_abs);
    let result = arithmetic::abs(case.level, a, case.validity(), &mut out);
    check_rows(case, &"abs", (result, &out), (expected, &absolute));
}

fn arithmetic_type<T: Sample>(case: &Case, rng: &mut Rng) {
    let (a, b) = (rng.values::<T>(case.rows), rng.values::<T>(case.rows));
    arithmetic_pair(case, &a, &b);
    arithmetic_signs(case, &a);
    let (a, b) = (rng.small::<T>(case.rows), rng.small::<T>(case.rows));
    arithmetic_pair(case, &a, &b);
    arithmetic_signs(case, &a);
}

#[test]
fn arithmetic_is_checked() {
    every_case(|case, rng| {
        if case.rows < 65536 {
            for_types!(arithmetic_type(case, rng): i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
        }
    });
}

#[test]
fn a_single_fault_is_found() {
    for level in level::available() {
        for bad in [0, 63, 64, 8191] {
            let (mut a, b) = (vec![3i64; 8192], vec![5i64; 8192]);
            a[bad] = i64::MAX;
            let mut out = vec![0; 8192];
            let mut validity = vec![u64::MAX; 128];
            for op in [arithmetic::Op::Add, arithmetic::Op::Mul] {
                let fault = arithmetic::columns(level, op, &a, &b, Some(&validity), &mut out).unwrap_err();
                assert_eq!(fault, arithmetic::Fault { row: bad, kind: arithmetic::FaultKind::Overflow });
            }
            bitmap::clear(&mut validity, bad);
            assert_eq!(arithmetic::columns(level, arithmetic::Op::Mul, &a, &b, Some(&validity), &mut out), Ok(()));
            assert_eq!(out[(bad + 1) % 8192], 15);
        }
    }
}

#[test]
fn products_near_the_limit() {
    let edges: Vec<i64> =
        (0..64).flat_map(|p| [1i64 << p, (1i64 << p).wrapping_sub(1), (1i64 << p).wrapping_neg()]).collect();
    for level in level::available() {
        for &a in &edges {
            for &b in &edges {
                let mut out = [0];
                let result = arithmetic::columns(level, arithmetic::Op::Mul, &[a], &[b], None, &mut out);
                assert_eq!(result.ok().map(|()| out[0]), a.checked_mul(b), "{a} * {b}");
                let (a, b) = (a as u64, b as u64);
                let mut out = [0];
                let result = arithmetic::columns(level, arithmetic::Op::Mul, &[a], &[b], None, &mut out);
                assert_eq!(result.ok().map(|()| out[0]), a.checked_mul(b), "{a} * {b}");
            }
        }
    }
}

#[test]
fn casts_widen() {
    every_length(|case, rng| {
        fn check<A: Sample + cast::Widen<B>, B: Number>(case: &Case, rng: &mut Rng) {
            let values = rng.values::<A>(case.rows);
            let mut out = vec![B::default(); case.rows];
            cast::widen(case.level, &values, &mut out);
            assert!(values.iter().zip(&out).all(|(a, b)| a.widen().same(*b)), "{case}");
        }
        check::<i8, i64>(case, rng);
        check::<i16, f32>(case, rng);
        check::<i32, i64>(case, rng);
        check::<i32, f64>(case, rng);
        check::<i64, f64>(case, rng);
        check::<i64, i128>(case, rng);
        check::<u32, i64>(case, rng);
        check::<u64, f64>(case, rng);
        check::<i128, f64>(case, rng);
        check::<f32, f64>(case, rng);
    });
}

fn sum_type<T: Sample + aggregate::Sum + TryInto<i128>>(case: &Case, rng: &mut Rng) {
    let values = rng.values::<T>(case.rows);
    let truth = aggregate::scalar::sum_int(&values, case.validity());
    assert_eq!(aggregate::sum_int(case.level, &values, case.validity()), truth, "{case}");
}

fn extremes_type<T: Sample>(case: &Case, rng: &mut Rng) {
    let values = rng.values::<T>(case.rows);
    let same = |a: Option<T>, b: Option<T>| match (a, b) {
        (Some(a), Some(b)) => a.same(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let (least, greatest) =
        (aggregate::scalar::min(&values, case.validity()), aggregate::scalar::max(&values, case.validity()));
    assert!(same(aggregate::min(case.level, &values, case.validity()), least), "min, {case}");
    assert!(same(aggregate::max(case.level, &values, case.validity()), greatest), "max, {case}");
    let both = aggregate::min_max(case.level, &values, case.validity());
    assert!(same(both.map(|b| b.0), least) && same(both.map(|b| b.1), greatest), "min and max, {case}");
}

#[test]
fn aggregates() {
    every_case(|case, rng| {
        for_types!(sum_type(case, rng): i8 i16 i32 i64 u8 u16 u32 u64);
        for_types!(extremes_type(case, rng): i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
        let valid = (0..case.rows).filter(|&row| case.validity().is_none_or(|v| bitmap::get(v, row))).count();
        assert_eq!(aggregate::count(case.validity(), case.rows), valid, "{case}");

        let (a, b) = (rng.values::<i64>(case.rows), rng.values::<f64>(case.rows));
        let truth = aggregate::scalar::valid(&a, case.validity()).filter(|&a| a > 5).count();
        assert_eq!(aggregate::count_where(case.level, &a, case.validity(), |a| a > 5), truth, "{case}");
        let both: Vec<(i64, f64)> = a.iter().copied().zip(b.iter().copied()).collect();
        let truth = aggregate::scalar::valid(&both, case.validity()).filter(|&(a, b)| a as f64 > b).count();
        let count = aggregate::count_where_2(case.level, &a, &b, case.validity(), |a, b| a as f64 > b);
        assert_eq!(count, truth, "{case}");
    });
}

#[test]
fn float_sums() {
    every_case(|case, rng| {
        // NaN under nulls: whatever touches one of them shows.
        let mut value = |row| match case.validity() {
            Some(validity) if !bitmap::get(validity, row) => f64::NAN,
            _ => (rng.next() as i64 >> 24) as f64 / 1024.0,
        };
        let values: Vec<f64> = (0..case.rows).map(&mut value).collect();
        let magnitude: f64 = aggregate::scalar::valid(&values, case.validity()).map(f64::abs).sum();
        let truth = aggregate::scalar::sum_f64(&values, case.validity());
        let sum = aggregate::sum_f64(case.level, &values, case.validity());
        assert!((sum - truth).abs() <= magnitude * 1e-11, "{sum} {truth}, {case}");
        let lowest = aggregate::sum_f64(level::available()[0], &values, case.validity());
        assert_eq!(sum.to_bits(), lowest.to_bits(), "every level the same bits, {case}");
    });
    let level = level::detect();
    assert!(aggregate::sum_f64(level, &[f64::INFINITY, f64::NEG_INFINITY], None).is_nan());
    assert_eq!(aggregate::sum_f64(level, &[1e308, f64::INFINITY], None), f64::INFINITY);
}

#[test]
fn sums_of_extremes_are_exact() {
    for level in level::available() {
        assert_eq!(aggregate::sum_i64(level, &[i64::MIN; 1000], None), i128::from(i64::MIN) * 1000);
        assert_eq!(aggregate::sum_i64(level, &[i64::MAX; 1000], None), i128::from(i64::MAX) * 1000);
        assert_eq!(aggregate::sum_int(level, &[u64::MAX; 1000], None), i128::from(u64::MAX) * 1000);
    }
    assert_eq!(aggregate::sum_i128(&[1, 2], Some(&[2])), Some(2));
    assert_eq!(aggregate::sum_i128(&[i128::MAX, 2], None), None);
}

#[test]
fn groups() {
    every_case(|case, rng| {
        for group_count in [1, 7, 1000, 200_000] {
            let groups: Vec<u32> = (0..case.rows).map(|_| rng.below(group_count as u64) as u32).collect();
            let values = rng.values::<i64>(case.rows);
            let floats: Vec<f64> = values.iter().map(|&v| v as f64).collect();
            let changes: Vec<i8> = (0..case.rows).map(|_| if rng.below(3) == 0 { -1 } else { 1 }).collect();
            let validity = case.validity();
            macro_rules! check {
                ($zero:expr, |$states:ident| $kernel:expr, |$state:ident, $row:ident| $step:expr) => {
                    let (mut out, mut truth) = (vec![$zero; group_count], vec![$zero; group_count]);
                    let $states = &mut out;
                    $kernel;
                    grouped::scalar::update(&groups, validity, &mut truth, |$state, $row| $step);
                    assert_rows!(out, truth, "{case}, {group_count} groups");
                };
            }
            check!(0, |s| grouped::count(&groups, validity, s), |s, _row| *s += 1);
            check!(0, |s| grouped::count_weighted(&groups, validity, &changes, s), |s, row| *s +=
                i64::from(changes[row]));
            check!(0i128, |s| grouped::sum_i64(&groups, &values, validity, s), |s, row| *s += i128::from(values[row]));
            check!(0i128, |s| grouped::sum_i64_weighted(&groups, &values, validity, &changes, s), |s, row| *s +=
                i128::from(values[row]) * i128::from(changes[row]));
            check!(0.0, |s| grouped::sum_f64(&groups, &floats, validity, s), |s, row| *s += floats[row]);
            check!(0.0, |s| grouped::sum_f64_weighted(&groups, &floats, validity, &changes, s), |s, row| *s +=
                floats[row] * f64::from(changes[row]));
            check_checked_sums(case, &groups, &values, &changes, group_count);
            check_group_extremes::<i64>(case, rng, &groups, group_count);
            check_group_extremes::<f32>(case, rng, &groups, group_count);
        }
    });
}

fn check_checked_sums(case: &Case, groups: &[u32], values: &[i64], changes: &[i8], group_count: usize) {
    let checked = |weight: &dyn Fn(usize) -> i8| {
        let (mut sums, mut fault) = (vec![0i64; group_count], Ok(()));
        grouped::scalar::update(groups, case.validity(), &mut sums, |sum, row| {
            let next = i128::from(*sum) + i128::from(values[row]) * i128::from(weight(row));
            if i64::try_from(next).is_err() && fault.is_ok() {
                fault = Err(row);
            }
            *sum = next as i64;
        });
        (fault, sums)
    };
    let (truth, truth_weighted) = (checked(&|_| 1), checked(&|row| changes[row]));
    let mut sums = vec![0; group_count];
    let result = grouped::sum_i64_checked(groups, values, case.validity(), &mut sums);
    assert_eq!((result, sums), truth, "{case}");
    let mut sums = vec![0; group_count];
    let result = grouped::sum_i64_checked_weighted(groups, values, case.validity(), changes, &mut sums);
    assert_eq!((result, sums), truth_weighted, "{case}");
}

fn check_group_extremes<T: Sample>(case: &Case, rng: &mut Rng, groups: &[u32], group_count: usize) {
    let values = rng.values::<T>(case.rows);
    for greatest in [false, true] {
        let mut truth: Vec<Option<T>> = vec![None; group_count];
        grouped::scalar::update(groups, case.validity(), &mut truth, |best, row| {
            let value = values[row];
            if best.is_none_or(|best| if greatest { best.less(value) } else { value.less(best) }) {
                *best = Some(value);
            }
        });
        let (mut best, mut seen) = (vec![T::default(); group_count], vec![0; bitmap::words(group_count)]);
        let kernel = if greatest { grouped::max::<T> } else { grouped::min::<T> };
        kernel(groups, &values, case.validity(), &mut best, &mut seen);
        for group in 0..group_count {
            assert_eq!(bitmap::get(&seen, group), truth[group].is_some(), "{case}");
            assert!(truth[group].is_none_or(|truth| truth.same(best[group])), "{case}");
        }
    }
}

#[test]
#[should_panic(expected = "each group has a state")]
fn a_group_without_state_is_refused() {
    grouped::count(&[0, 1, 2], None, &mut [0, 0]);
}

fn filter_type<T: Sample + filter::Compress>(case: &Case, rng: &mut Rng) {
    let values = rng.values::<T>(case.rows);
    let (mut out, mut truth) = (values.clone(), Vec::new());
    for tenths in [0, 1, 5, 9, 10] {
        let mask = rng.bits(case.rows, tenths);
        let count = filter::compress(case.level, &values, &mask, &mut out);
        assert_eq!(count, filter::scalar::compress(&values, &mask, &mut truth), "{case}");
        assert!(out.len() == count && out.iter().zip(&truth).all(|(a, b)| a.same(*b)), "{tenths} tenths, {case}");
    }
}

#[test]
fn filters() {
    every_length(|case, rng| {
        for_types!(filter_type(case, rng): i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
    });
}

#[test]
fn gathers_and_scatters() {
    every_length(|case, rng| {
        let values = rng.values::<u128>(case.rows);
        let rows: Vec<u16> = (0..case.rows).map(|_| rng.below(case.rows as u64) as u16).collect();
        let (mut out, mut truth) = (vec![5], Vec::new());
        gather::take(&values, &rows, &mut out);
        gather::scalar::take(&values, &rows, &mut truth);
        assert_rows!(out, truth, "{case}");
        gather::append(&values, &rows, &mut out);
        assert_rows!(out[case.rows..], truth, "{case}");
        let indexes: Vec<u32> = rows.iter().map(|&row| row.into()).collect();
        gather::take_u32(&values, &indexes, &mut out);
        assert_rows!(out, truth, "{case}");
        let (mut back, mut back_truth) = (vec![0; case.rows], vec![0; case.rows]);
        gather::scatter(&out, &rows, &mut back);
        gather::scalar::scatter(&out, &rows, &mut back_truth);
        assert_rows!(back, back_truth, "{case}");
        // Rows without a gap between them, and almost so.
        let from = rng.below(case.rows as u64 + 1) as u16;
        let mut run: Vec<u16> = (from..case.rows as u16).collect();
        for _ in 0..2 {
            gather::take(&values, &run, &mut out);
            gather::scalar::take(&values, &run, &mut truth);
            assert_rows!(out, truth, "{case}");
            if let [_, .., second, _] = &mut run[..] {
                *second -= 1;
            }
        }
    });
}

#[test]
#[should_panic(expected = "each row has a value")]
fn a_row_past_the_end_is_refused() {
    gather::take(&[1, 2], &[2], &mut Vec::new());
}

fn hash_type<T: Sample>(case: &Case, rng: &mut Rng) {
    let values = rng.values::<T>(case.rows);
    let mut out = Vec::new();
    hash::fixed(case.level, 7, &values, &mut out);
    assert_eq!(out, values.iter().map(|&v| hash::scalar::one(7, v)).collect::<Vec<_>>(), "{case}");
    let truth: Vec<u64> = out.iter().zip(&values).map(|(&h, &v)| hash::scalar::with(h, v)).collect();
    hash::combine(case.level, &mut out, &values);
    assert_rows!(out, truth, "{case}");
}

#[test]
fn hashes() {
    every_length(|case, rng| {
        for_types!(hash_type(case, rng): i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64);
    });
    every_case(|case, rng| {
        let words: Vec<u64> = (0..case.rows).map(|_| rng.next() >> 32).collect();
        let mut out = Vec::new();
        hash::exact(case.level, 7, &words, &mut out);
        assert_eq!(out, words.iter().map(|&word| hash::scalar::one_exactly(7, word)).collect::<Vec<_>>(), "{case}");
        let mut hashes: Vec<u64> = (0..case.rows).map(|_| rng.next()).collect();
        if let Some(validity) = case.validity() {
            let truth: Vec<u64> = hashes
                .iter()
                .enumerate()
                .map(|(i, &h)| if bitmap::get(validity, i) { h } else { hash::NULL })
                .collect();
            hash::nulls(&mut hashes, validity);
            assert_rows!(hashes, truth, "{case}");
        }
    });
}

#[test]
fn equal_keys_hash_alike_and_others_apart() {
    let one = hash::scalar::one::<f64>;
    assert_eq!(one(1, 0.0), one(1, -0.0));
    assert_eq!(one(1, f64::NAN), one(1, -f64::NAN));
    assert_eq!(hash::scalar::one(1, -5i32), hash::scalar::one(1, -5i64));
    assert_ne!(hash::scalar::one(1, 5i64), hash::scalar::one(2, 5i64));
    let text = "the quick brown fox jumps over the lazy dog, again and again and again";
    let mut seen = std::collections::HashSet::new();
    for length in 0..=text.len() {
        assert!(seen.insert(hash::bytes(1, &text.as_bytes()[..length])), "length {length}");
        assert!(seen.insert(hash::bytes(1, &vec![0; length + 100])), "zeros {length}");
        let mut changed = text.as_bytes()[..length].to_vec();
        for at in 0..length {
            changed[at] ^= 1;
            assert!(seen.insert(hash::bytes(1, &changed)), "length {length}, byte {at}");
            changed[at] ^= 1;
        }
    }
}

/// Each step back from the hash, so that no two values can share one.
#[test]
fn an_exact_hash_can_be_undone() {
    let inverse =
        |odd: u32| (0..5).fold(odd, |guess, _| guess.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(guess))));
    let undo = |hash: u64, seed: u64| {
        let mut bits = (hash >> 32) as u32;
        bits ^= bits >> 16;
        bits = bits.wrapping_mul(inverse(0xC2B2_AE35));
        bits ^= bits >> 13 ^ bits >> 26;
        bits = bits.wrapping_mul(inverse(0x85EB_CA6B));
        u64::from(bits ^ bits >> 16 ^ (seed ^ seed >> 32) as u32)
    };
    for seed in [0, 7, u64::MAX - 5] {
        for word in (0..1 << 16).chain((1 << 32) - (1 << 16)..1 << 32).chain((0..1 << 32).step_by(65_521)) {
            assert_eq!(undo(hash::scalar::one_exactly(seed, word), seed), word);
        }
    }
}

#[test]
fn hashes_spread() {
    // 65,536 consecutive keys into 256 cells by low and by high bits: each within 20 % of its share.
    let mut hashes = Vec::new();
    hash::fixed(level::detect(), 0, &(0..65536i64).collect::<Vec<_>>(), &mut hashes);
    let texts: Vec<u64> = (0..65536).map(|i| hash::bytes(0, format!("key-{i}").as_bytes())).collect();
    for hashes in [hashes, texts] {
        for shift in [0, 32, 56] {
            let mut cells = [0u32; 256];
            hashes.iter().for_each(|hash| cells[(hash >> shift & 255) as usize] += 1);
            assert!(cells.iter().all(|&count| (186..=326).contains(&count)), "shift {shift}: {cells:?}");
        }
    }
}

#[test]
fn partitions() {
    every_length(|case, rng| {
        let hashes: Vec<u64> = (0..case.rows).map(|_| rng.next()).collect();
        let (mut out, mut truth) = (vec![vec![3]; 9], Vec::new());
        for count in [1, 2, 7, 16] {
            partition::by_hash(&hashes, count, &mut out);
            partition::scalar::by_hash(&hashes, count, &mut truth);
            assert_rows!(out, truth, "{count} partitions, {case}");
        }
    });
}

#[test]
fn panes() {
    every_length(|case, rng| {
        let spreads: [(i64, u64); 6] = [
            (0, 100),
            (-5000, 10_000),
            (1_700_000_000_000, 60_000),
            (-9, 1 << 33),
            (i64::MIN, 50_000),
            (i64::MAX - 49_999, 50_000),
        ];
        for (base, spread) in spreads {
            let ts: Vec<i64> = (0..case.rows).map(|_| base.wrapping_add(rng.below(spread) as i64)).collect();
            for (size, offset) in
                [(1, 0), (10, 3), (1000, -1), (10_000, 0), (60_000, 123_456), (i64::MAX, 5), (1 << 40, 0)]
            {
                check_panes(case, &ts, size, offset);
            }
        }
        let ts = rng.values::<i64>(case.rows);
        check_panes(case, &ts, 1 << 50, 0);
        check_panes(case, &ts, 3, 1);
        let mut ascending: Vec<i64> = (0..case.rows).map(|row| row as i64 * 3 + rng.below(5) as i64).collect();
        check_panes(case, &ascending, 1000, 0);
        ascending.sort_unstable();
        check_panes(case, &ascending, 1000, 0);
    });
}

fn check_panes(case: &Case, ts: &[i64], size: i64, offset: i64) {
    let (mut out, mut truth) = (vec![1], Vec::new());
    pane::bucket(case.level, ts, size, offset, &mut out);
    pane::scalar::bucket(ts, size, offset, &mut truth);
    assert_rows!(out, truth, "size {size}, offset {offset}, {case}");
    assert!(ts.iter().zip(&truth).all(|(&ts, &start)| pane::start(ts, size, offset) == start), "{case}");
    let (mut runs, mut truth) = (Vec::new(), Vec::new());
    pane::runs(case.level, ts, size, offset, &mut runs);
    pane::scalar::runs(ts, size, offset, &mut truth);
    assert_rows!(runs, truth, "size {size}, offset {offset}, {case}");
}

#[test]
fn panes_split() {
    every_length(|case, rng| {
        let starts: Vec<i64> = (0..case.rows).map(|row| (row / 50 + rng.below(20) as usize) as i64 / 10 * 10).collect();
        let (mut panes, mut selections) = (vec![9], vec![vec![7], vec![8]]);
        let (mut panes_truth, mut truth) = (Vec::new(), Vec::new());
        pane::split(&starts, &mut panes, &mut selections);
        pane::scalar::split(&starts, &mut panes_truth, &mut truth);
        assert_eq!((panes, selections), (panes_truth, truth), "{case}");
    });
}

#[test]
fn scans() {
    every_length(|case, rng| {
        let bytes: Vec<u8> = (0..case.rows).map(|_| b"ab,\"\n:xyz\0\xFF"[rng.below(11) as usize]).collect();
        let (mut out, mut truth) = (vec![3], Vec::new());
        scan::structural2(case.level, &bytes, b',', b'\n', &mut out);
        scan::scalar::structural(&bytes, b",\n", &mut truth);
        assert_rows!(out, truth, "{case}");
        scan::structural3(case.level, &bytes, b',', b'\0', b'"', &mut out);
        scan::scalar::structural(&bytes, b",\0\"", &mut truth);
        assert_rows!(out, truth, "{case}");
        let mut each = [vec![1], vec![2]];
        scan::each(case.level, &bytes, *b"\xFFx", &mut each);
        for (needle, out) in [0xFF, b'x'].into_iter().zip(&each) {
            scan::scalar::structural(&bytes, &[needle], &mut truth);
            assert_rows!(out, truth, "{case}");
        }
        let (mut special, mut lines) = (vec![1], vec![2]);
        scan::json_marks(case.level, &bytes, &mut special, &mut lines);
        scan::scalar::json_special(&bytes, &mut truth);
        assert_rows!(special, truth, "{case}");
        scan::scalar::structural(&bytes, b"\n", &mut truth);
        assert_rows!(lines, truth, "{case}");
        for (delimiter, quote) in [(b',', b'"'), (b'x', 0), (b',', b'q')] {
            let has_quote = scan::csv_marks(case.level, &bytes, [delimiter, quote], &mut special, &mut lines);
            assert_eq!(has_quote, bytes.contains(&quote), "{case}");
            scan::scalar::structural(&bytes, &[delimiter, b'\n'], &mut truth);
            assert_rows!(special, truth, "{case}");
            scan::scalar::structural(&bytes, b"\n", &mut truth);
            assert_rows!(lines, truth, "{case}");
        }
        for needle in [b',', b'\0', b'q'] {
            assert_eq!(
                scan::count_byte(case.level, &bytes, needle),
                scan::scalar::count_byte(&bytes, needle),
                "{case}"
            );
        }
        for from in [0, 1, case.rows / 2] {
            let bytes = &bytes[from.min(case.rows)..];
            for needles in [*b",q", *b"\xFF\0", *b"qr"] {
                assert_eq!(
                    scan::find_any(case.level, bytes, needles),
                    scan::scalar::find_any(bytes, &needles),
                    "{case}"
                );
            }
        }
    });
}

#[test]
fn prefetch_is_harmless_anywhere() {
    probe::prefetch(&[1u8, 2], 1);
    probe::prefetch(&[1u8, 2], usize::MAX);
    probe::prefetch::<u64>(&[], 0);
}

/// One bound is enough for code that calls several rooms.
#[test]
fn native_is_one_bound_for_all() {
    fn all<T: Native>(values: &[T]) -> Option<T> {
        let mut out = vec![0; bitmap::words(values.len())];
        compare::constant(level::detect(), compare::Op::Gt, values, T::default(), &mut out);
        aggregate::max(level::detect(), values, Some(&out))
    }
    fn integer<T: Integer>(value: T) -> T {
        value
    }
    assert_eq!(all(&[1, integer(3), 2]), Some(3));
}
