//! Every kernel against Arrow's own, or against a plain loop where ours means something else.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::*;
use arrow::compute::kernels::{boolean, cmp, numeric};
use arrow::compute::{CastOptions, DatePart, cast_with_options, date_part};
use arrow::datatypes::*;
use arrow::error::ArrowError;

use super::testing::{Loaded, Random, column, evaluate, one_nan, repeated};
use super::*;
use crate::batch::{Column, Values};
use crate::error::Kind as ErrorKind;
use crate::function::KernelContext;
use crate::time::ticks_per_second;

const ROWS: [usize; 6] = [0, 1, 63, 64, 65, 200];

fn numbers() -> Vec<DataType> {
    use DataType::*;
    vec![Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float32, Float64]
}

/// Calls `check` with both sides as columns and as constants, with and without nulls, sliced and whole: each time with
/// the arguments and the arrays that they stand for.
fn each_pair(
    seed: u64,
    data_type: &DataType,
    small: bool,
    mut check: impl FnMut(&[Loaded], &ArrayRef, &ArrayRef, usize),
) {
    let random = &mut Random(seed);
    for rows in ROWS {
        for nulls in [false, true] {
            let mut side = || column(random, data_type, rows + 5, nulls, small);
            let (a, b) = (side().slice(3, rows), side().slice(1, rows));
            let (one, other) = (side(), side());
            let null = arrow::array::new_null_array(data_type, 1);
            check(&[Loaded::array(&a), Loaded::array(&b)], &a, &b, rows);
            for constant in [&one, &null] {
                let all = repeated(constant, rows);
                check(&[Loaded::array(&a), Loaded::constant(constant, rows)], &a, &all, rows);
                check(&[Loaded::constant(constant, rows), Loaded::array(&b)], &all, &b, rows);
                let others = repeated(&other, rows);
                let both = [Loaded::constant(constant, rows), Loaded::constant(&other, rows)];
                check(&both, &all, &others, rows);
            }
        }
    }
}

#[track_caller]
fn assert_same(ours: &ArrayRef, expected: &ArrayRef, what: &str) {
    assert_eq!(one_nan(ours).to_data(), one_nan(expected).to_data(), "{what}");
}

type Arrow = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

#[test]
fn arithmetic_gives_what_arrow_gives_and_fails_where_it_fails() {
    let ops: [(BinaryOp, Arrow); 5] = [
        (BinaryOp::Add, numeric::add),
        (BinaryOp::Sub, numeric::sub),
        (BinaryOp::Mul, numeric::mul),
        (BinaryOp::Div, numeric::div),
        (BinaryOp::Rem, numeric::rem),
    ];
    let (mut passed, mut failed) = (0, 0);
    for data_type in numbers() {
        for (op, arrow) in ops {
            let kernel = binary(op, &data_type, &data_type).unwrap();
            for (seed, small) in [(1, true), (2, false), (3, true), (4, false)] {
                each_pair(seed, &data_type, small, |args, a, b, rows| {
                    match (evaluate(&*kernel, args, rows), arrow(a, b)) {
                        (Ok(ours), Ok(expected)) => {
                            passed += 1;
                            assert_same(&ours, &expected, &format!("{op:?} of {data_type}"));
                        }
                        (Err(error), Err(_)) => {
                            failed += 1;
                            assert_eq!(error.kind(), ErrorKind::User);
                        }
                        // Arrow calls MIN % -1 an overflow or not, depending on its path; SQL says it is 0.
                        (Ok(_), Err(_)) if op == BinaryOp::Rem && data_type.is_signed_integer() => {}
                        (ours, expected) => panic!("{op:?} of {data_type}: {ours:?} against {expected:?}"),
                    }
                });
            }
        }
    }
    assert!(passed > 1000 && failed > 100, "both happen: {passed} passed, {failed} failed");
}

#[test]
fn decimals_add_and_multiply_as_arrows_do_within_38_digits() {
    let ops: [(BinaryOp, Arrow); 3] =
        [(BinaryOp::Add, numeric::add), (BinaryOp::Sub, numeric::sub), (BinaryOp::Mul, numeric::mul)];
    let types = [(15, 2), (20, 0), (10, 7), (38, 2), (38, 12)].map(|(p, s)| DataType::Decimal128(p, s));
    let random = &mut Random(60);
    let (mut passed, mut failed) = (0, 0);
    for left in &types {
        for right in &types {
            for (op, arrow) in ops {
                let Some(kernel) = binary(op, left, right) else { continue };
                let mut side = |data_type: &DataType| {
                    let column = column(random, data_type, 80, true, true);
                    // Numbers of all sizes that the precision allows.
                    let values: Decimal128Array = column
                        .as_primitive::<Decimal128Type>()
                        .iter()
                        .map(|value| {
                            let digits = random.below(usize::from(precision(data_type)) - 9);
                            value.map(|value| value / 3 * 10i128.pow(digits as u32))
                        })
                        .collect();
                    Arc::new(values.with_data_type(data_type.clone())) as ArrayRef
                };
                let (a, b) = (side(left), side(right));
                for rows in [1usize, 2, 3, 80] {
                    let (a, b) = (a.slice(80 - rows, rows), b.slice(80 - rows, rows));
                    let constant = repeated(&b, rows);
                    for (args, b) in [
                        ([Loaded::array(&a), Loaded::array(&b)], &b),
                        ([Loaded::array(&a), Loaded::constant(&b, rows)], &constant),
                    ] {
                        let expected = arrow(&a, b).and_then(|array| {
                            let decimals = array.as_primitive::<Decimal128Type>();
                            decimals.validate_decimal_precision(precision(array.data_type()))?;
                            Ok(array)
                        });
                        match (evaluate(&*kernel, &args, rows), expected) {
                            (Ok(ours), Ok(expected)) => {
                                passed += 1;
                                assert_same(&ours, &expected, &format!("{left} {op:?} {right}"));
                            }
                            (Err(error), Err(_)) => {
                                failed += 1;
                                assert!(error.message().starts_with("decimal overflow in a "), "{error}");
                            }
                            (ours, expected) => panic!("{left} {op:?} {right}: {ours:?} against {expected:?}"),
                        }
                    }
                }
            }
        }
    }
    assert!(passed > 200 && failed > 20, "{passed} passed, {failed} failed");
}

fn precision(data_type: &DataType) -> u8 {
    if let DataType::Decimal128(precision, _) = data_type { *precision } else { panic!("{data_type} is no decimal") }
}

fn int32(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

#[test]
fn faults_name_the_values_of_their_row() {
    let check = |op: BinaryOp, a: &[Option<i32>], b: &[Option<i32>], expected: &str| {
        let kernel = binary(op, &DataType::Int32, &DataType::Int32).unwrap();
        let args = [Loaded::array(&int32(a)), Loaded::array(&int32(b))];
        let error = evaluate(&*kernel, &args, a.len()).unwrap_err();
        assert!(error.message().starts_with(expected), "{error}");
    };
    let some = |values: &[i32]| values.iter().map(|&v| Some(v)).collect::<Vec<_>>();
    let (a, b) = (some(&[1, i32::MAX, 7]), some(&[2, 3, 0]));
    check(BinaryOp::Add, &a, &b, "integer overflow in a + b: 2147483647 + 3; cast to a wider type first");
    check(BinaryOp::Div, &a, &b, "division by zero in a / b: 7 / 0; test the divisor first, or use nullif(b, 0)");
    check(BinaryOp::Rem, &a, &b, "division by zero in a % b: 7 % 0");
    check(BinaryOp::Mul, &a, &b, "integer overflow in a * b: 2147483647 * 3");
}

#[test]
fn faults_under_nulls_are_none() {
    // The null slots hold values that would overflow and divide by zero.
    let nulls = Some(arrow::buffer::NullBuffer::from(vec![true, false]));
    let a: ArrayRef = Arc::new(Int64Array::new(vec![1, i64::MIN].into(), nulls.clone()));
    let b: ArrayRef = Arc::new(Int64Array::new(vec![1, 0].into(), None));
    for op in [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div, BinaryOp::Rem] {
        let kernel = binary(op, &DataType::Int64, &DataType::Int64).unwrap();
        let result = evaluate(&*kernel, &[Loaded::array(&a), Loaded::array(&b)], 2).unwrap();
        assert!(result.is_valid(0) && result.is_null(1));
    }
    for kernel in [negate(&DataType::Int64).unwrap(), abs(&DataType::Int64).unwrap()] {
        let result = evaluate(&*kernel, &[Loaded::array(&a)], 2).unwrap();
        assert!(result.is_valid(0) && result.is_null(1));
        let whole: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN]));
        assert!(evaluate(&*kernel, &[Loaded::array(&whole)], 1).is_err());
    }
}

#[test]
fn negation_and_distance_from_zero() {
    for data_type in numbers() {
        let random = &mut Random(9);
        let a = column(random, &data_type, 150, true, true);
        if let Some(kernel) = negate(&data_type) {
            let expected = numeric::neg(&a).unwrap();
            assert_same(&evaluate(&*kernel, &[Loaded::array(&a)], 150).unwrap(), &expected, "negate");
        }
        let kernel = abs(&data_type).unwrap();
        let zero = arrow::compute::cast(&Int64Array::from_value(0, 150), &data_type).unwrap();
        let is_less = cmp::lt(&a, &zero).unwrap();
        let expected = if data_type.is_unsigned_integer() {
            a.clone()
        } else {
            arrow::compute::kernels::zip::zip(&is_less, &numeric::neg(&a).unwrap(), &a).unwrap()
        };
        assert_same(&evaluate(&*kernel, &[Loaded::array(&a)], 150).unwrap(), &expected, "abs");
    }
    assert!(negate(&DataType::UInt8).is_none() && negate(&DataType::Date32).is_none());
}

/// How two values of a column are ordered, by their meaning.
fn order(a: &ArrayRef, b: &ArrayRef, row: usize) -> Option<Ordering> {
    if a.is_null(row) || b.is_null(row) {
        return None;
    }
    fn floats(a: f64, b: f64) -> Ordering {
        a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }
    Some(match a.data_type() {
        DataType::Float64 | DataType::Float32 => {
            let wide = |array: &ArrayRef| arrow::compute::cast(array, &DataType::Float64).unwrap();
            floats(
                wide(&a.slice(row, 1)).as_primitive::<Float64Type>().value(0),
                wide(&b.slice(row, 1)).as_primitive::<Float64Type>().value(0),
            )
        }
        _ => arrow::array::make_comparator(a, b, Default::default()).unwrap()(row, row),
    })
}

#[test]
fn comparisons_of_every_type() {
    let mut types = numbers();
    types.extend([
        DataType::Boolean,
        DataType::Utf8View,
        DataType::BinaryView,
        DataType::Date32,
        DataType::Decimal128(20, 3),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Second, Some("+02:00".into())),
    ]);
    type Holds = fn(Ordering) -> bool;
    let ops: [(BinaryOp, Holds); 6] = [
        (BinaryOp::Eq, Ordering::is_eq),
        (BinaryOp::NotEq, Ordering::is_ne),
        (BinaryOp::Lt, Ordering::is_lt),
        (BinaryOp::LtEq, Ordering::is_le),
        (BinaryOp::Gt, Ordering::is_gt),
        (BinaryOp::GtEq, Ordering::is_ge),
    ];
    for data_type in types {
        for (seed, small) in [(11, true), (12, false)] {
            each_pair(seed, &data_type, small, |args, a, b, rows| {
                let orders: Vec<Option<Ordering>> = (0..rows).map(|row| order(a, b, row)).collect();
                for (op, holds) in ops {
                    let kernel = binary(op, &data_type, &data_type).unwrap();
                    let expected: BooleanArray = orders.iter().map(|order| order.map(holds)).collect();
                    let ours = evaluate(&*kernel, args, rows).unwrap();
                    assert_eq!(ours.as_boolean(), &expected, "{op:?} of {data_type}");
                }
                for (op, wanted) in [(BinaryOp::IsDistinctFrom, true), (BinaryOp::IsNotDistinctFrom, false)] {
                    let kernel = binary(op, &data_type, &data_type).unwrap();
                    let distinct = |row: usize| match orders[row] {
                        Some(order) => order.is_ne(),
                        None => a.is_null(row) != b.is_null(row),
                    };
                    let expected: BooleanArray = (0..rows).map(|row| Some(distinct(row) == wanted)).collect();
                    assert_eq!(
                        evaluate(&*kernel, args, rows).unwrap().as_boolean(),
                        &expected,
                        "{op:?} of {data_type}"
                    );
                }
            });
        }
    }
}

#[test]
fn types_that_differ_have_no_kernel() {
    use DataType::*;
    let second = Timestamp(TimeUnit::Second, None);
    assert!(binary(BinaryOp::Lt, &Int32, &Int64).is_none());
    assert!(binary(BinaryOp::Lt, &second, &Timestamp(TimeUnit::Millisecond, None)).is_none());
    assert!(binary(BinaryOp::Eq, &Decimal128(10, 2), &Decimal128(10, 3)).is_none());
    assert!(binary(BinaryOp::Eq, &Decimal128(10, 2), &Decimal128(12, 2)).is_some());
    assert!(binary(BinaryOp::Eq, &Utf8, &Utf8).is_none());
    assert!(binary(BinaryOp::Add, &second, &second).is_none());
    assert!(binary(BinaryOp::Div, &Decimal128(10, 2), &Decimal128(10, 2)).is_none());
    assert!(binary(BinaryOp::Mul, &Decimal128(38, 20), &Decimal128(38, 20)).is_none(), "a scale above 38");
    assert!(binary(BinaryOp::And, &Int32, &Int32).is_none());
}

#[test]
fn three_valued_logic() {
    let boolean = DataType::Boolean;
    for (op, arrow) in [
        (BinaryOp::And, boolean::and_kleene as fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>),
        (BinaryOp::Or, boolean::or_kleene),
    ] {
        let kernel = binary(op, &boolean, &boolean).unwrap();
        for seed in 0..5 {
            each_pair(seed, &boolean, true, |args, a, b, rows| {
                let expected = arrow(a.as_boolean(), b.as_boolean()).unwrap();
                assert_eq!(evaluate(&*kernel, args, rows).unwrap().as_boolean(), &expected, "{op:?}");
            });
        }
    }
    each_pair(20, &boolean, true, |args, a, _, rows| {
        let expected = boolean::not(a.as_boolean()).unwrap();
        assert_eq!(evaluate(&*not(), &args[..1], rows).unwrap().as_boolean(), &expected);
    });
    for data_type in [boolean, DataType::Int16, DataType::Utf8View] {
        each_pair(21, &data_type, true, |args, a, _, rows| {
            let expected = boolean::is_null(a).unwrap();
            assert_eq!(evaluate(&*is_null(), &args[..1], rows).unwrap().as_boolean(), &expected);
            let expected = boolean::is_not_null(a).unwrap();
            assert_eq!(evaluate(&*is_not_null(), &args[..1], rows).unwrap().as_boolean(), &expected);
        });
    }
}

/// How many ticks of one timestamp make one of a coarser one.
fn coarser(from: &DataType, to: &DataType) -> Option<i64> {
    let (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) = (from, to) else { return None };
    Some(ticks_per_second(*from) / ticks_per_second(*to)).filter(|size| *size > 1)
}

#[test]
fn casts_give_what_arrow_gives_and_fail_where_it_fails() {
    let mut types = numbers();
    types.push(DataType::Date32);
    types.extend([(12, 2), (7, 2), (20, 6), (38, 30)].map(|(p, s)| DataType::Decimal128(p, s)));
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    types.extend(units.map(|unit| DataType::Timestamp(unit, None)));
    types.push(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let (mut kernels, mut failed) = (0, 0);
    for from in &types {
        for to in &types {
            let Some(kernel) = cast(from, to) else { continue };
            kernels += 1;
            for small in [true, false] {
                each_pair(30, from, small, |args, a, _, rows| {
                    let expected = match coarser(from, to) {
                        // Arrow cuts towards 1970.
                        Some(size) => {
                            let ticks = arrow::compute::cast(a, &DataType::Int64).unwrap();
                            let cut: Int64Array = ticks.as_primitive::<Int64Type>().unary(|tick| tick.div_euclid(size));
                            arrow::compute::cast(&cut, to)
                        }
                        None => cast_with_options(a, to, &options),
                    };
                    match (evaluate(&*kernel, &args[..1], rows), expected) {
                        (Ok(ours), Ok(expected)) => assert_same(&ours, &expected, &format!("{from} to {to}")),
                        (Err(error), Err(_)) => {
                            failed += 1;
                            assert!(error.message().starts_with("out of range in a cast"), "{error}");
                        }
                        (ours, expected) => panic!("{from} to {to}: {ours:?} against {expected:?}"),
                    }
                });
            }
        }
    }
    assert!(kernels > 50 && failed > 10, "{kernels} kernels, {failed} failures");
    assert!(cast(&DataType::Float64, &DataType::Int64).is_none());
}

#[test]
fn panes_reach_below_the_epoch() {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let day = 86_400_000;
    for (kernel, size, offset) in [
        (date_trunc("second", &millis).unwrap(), 1_000, 0),
        (date_trunc("MINUTE", &millis).unwrap(), 60_000, 0),
        (date_trunc("hour", &millis).unwrap(), 3_600_000, 0),
        (date_trunc("day", &millis).unwrap(), day, 0),
        (date_trunc("week", &millis).unwrap(), 7 * day, 4 * day),
        (date_trunc("microsecond", &millis).unwrap(), 1, 0),
        (date_bin(777, 100, &millis).unwrap(), 777, 100),
        (window_start(10_000, -3, &millis).unwrap(), 10_000, -3),
    ] {
        each_pair(40, &millis, false, |args, a, _, rows| {
            let start = |ts: i64| {
                let start = (i128::from(ts) - offset).div_euclid(size) * size + offset;
                start.max(i128::from(i64::MIN)) as i64
            };
            let expected: TimestampMillisecondArray = a.as_primitive::<TimestampMillisecondType>().unary(start);
            let ours = evaluate(&*kernel, &args[..1], rows).unwrap();
            assert_eq!(ours.as_primitive::<TimestampMillisecondType>(), &expected, "{}", kernel.show(&["ts".into()]));
        });
    }
    assert!(date_trunc("month", &millis).is_none());
    assert!(date_trunc("day", &DataType::Timestamp(TimeUnit::Second, Some("Europe/Berlin".into()))).is_none());
    assert!(date_bin(0, 0, &millis).is_none());
    let monday = Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_000])) as ArrayRef; // a Tuesday
    let week = evaluate(&*date_trunc("week", &millis).unwrap(), &[Loaded::array(&monday)], 1).unwrap();
    assert_eq!(week.as_primitive::<TimestampMillisecondType>().value(0), 1_699_833_600_000); // Monday, 2023-11-13
}

#[test]
fn parts_of_dates_are_arrows() {
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types: Vec<DataType> = units.map(|unit| DataType::Timestamp(unit, None)).into();
    types.push(DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())));
    types.push(DataType::Date32);
    let parts = [
        ("year", DatePart::Year),
        ("quarter", DatePart::Quarter),
        ("month", DatePart::Month),
        ("day", DatePart::Day),
        ("doy", DatePart::DayOfYear),
        ("dow", DatePart::DayOfWeekSunday0),
        ("isodow", DatePart::DayOfWeekMonday1),
        ("hour", DatePart::Hour),
        ("minute", DatePart::Minute),
        ("SECOND", DatePart::Second),
    ];
    let random = &mut Random(50);
    for data_type in types {
        // A few thousand years around now, which is what Arrow's calendar can do.
        let a = match &data_type {
            DataType::Timestamp(unit, _) => {
                let ticks = crate::time::ticks_per_second(*unit);
                let seconds = if *unit == TimeUnit::Nanosecond { 9_000_000_000 } else { 90_000_000_000 };
                let ts = |_| {
                    Some(
                        (random.below(2 * seconds) as i64 - seconds as i64) * ticks
                            + random.below(ticks as usize) as i64,
                    )
                };
                arrow::compute::cast(&(0..3000).map(ts).collect::<Int64Array>(), &data_type).unwrap()
            }
            _ => column(random, &data_type, 3000, true, false),
        };
        for (name, part) in parts {
            let Some(kernel) = super::date_part(name, &data_type) else {
                assert!(data_type == DataType::Date32, "{name} of {data_type}");
                continue;
            };
            let expected = date_part(&a, part).unwrap();
            assert_same(&evaluate(&*kernel, &[Loaded::array(&a)], 3000).unwrap(), &expected, name);
            let ours = evaluate(&*kernel, &[Loaded::constant(&a, 3)], 3).unwrap();
            assert_same(&ours, &repeated(&expected, 3), name);
        }
    }
}

#[test]
fn fractions_of_seconds_and_the_epoch() {
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    // 1969-12-31 23:59:58.75 and 1970-01-01 00:01:02.000003
    let a = Arc::new(TimestampMicrosecondArray::from(vec![-1_250_000, 62_000_003])) as ArrayRef;
    let part = |name: &str| evaluate(&*super::date_part(name, &micros).unwrap(), &[Loaded::array(&a)], 2).unwrap();
    assert_eq!(part("millisecond").as_primitive::<Int32Type>().values(), &[58_750, 2_000]);
    assert_eq!(part("microsecond").as_primitive::<Int32Type>().values(), &[58_750_000, 2_000_003]);
    assert_eq!(part("epoch").as_primitive::<Float64Type>().values(), &[-1.25, 62.000003]);
    assert_eq!(part("second").as_primitive::<Int32Type>().values(), &[58, 2]);
    let far = Arc::new(TimestampSecondArray::from(vec![i64::MAX])) as ArrayRef;
    let kernel = super::date_part("year", far.data_type()).unwrap();
    assert!(evaluate(&*kernel, &[Loaded::array(&far)], 1).unwrap_err().message().contains("out of range"));
    assert!(super::date_part("century", &micros).is_none());
}

#[test]
fn a_second_batch_is_written_where_the_first_one_was() {
    let int = DataType::Int64;
    let random = &mut Random(70);
    let (a, b) = (column(random, &int, 100, true, true), column(random, &int, 100, true, true));
    let args = [Loaded::array(&a), Loaded::array(&b)];
    let arguments = [args[0].argument(), args[1].argument()];
    for op in [BinaryOp::Add, BinaryOp::Mul, BinaryOp::LtEq, BinaryOp::IsDistinctFrom] {
        let kernel = binary(op, &int, &int).unwrap();
        let mut out = Column::default();
        let mut places = Vec::new();
        for rows in [100, 40, 100] {
            kernel.evaluate(&KernelContext::default(), &arguments, rows, &mut out).unwrap();
            let Column::Flat(flat) = &out else { panic!("a flat column") };
            let values = match &flat.values {
                Values::I64(values) => values.as_ptr() as usize,
                Values::Bool(words) => words.as_ptr() as usize,
                other => panic!("{other:?}"),
            };
            places.push((values, flat.validity().map(|words| words.as_ptr() as usize)));
        }
        assert!(places[0] == places[1] && places[1] == places[2], "{op:?} moved");
    }
}

#[test]
fn shown_as_sql() {
    let names = ["a".to_string(), "b".to_string()];
    let int = DataType::Int64;
    assert_eq!(binary(BinaryOp::Add, &int, &int).unwrap().show(&names), "(a + b)");
    assert_eq!(binary(BinaryOp::IsDistinctFrom, &int, &int).unwrap().show(&names), "(a IS DISTINCT FROM b)");
    assert_eq!(is_null().show(&names[..1]), "(a IS NULL)");
    assert_eq!(cast(&int, &DataType::Float64).unwrap().show(&names[..1]), "CAST(a AS Float64)");
}
