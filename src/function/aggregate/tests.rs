//! Every aggregate against a naive model over random rows: cut into batches, taken back, merged, saved, cleared.

use std::collections::BTreeMap;

use arrow::array::*;
use arrow::datatypes::*;
use millstream_kernels::bitmap;

use super::*;
use crate::batch::{Argument, Change, Column, Selection};
use crate::error::{Kind as ErrorKind, Result};
use crate::function::scalar::testing::{Loaded, Random, column};
use crate::function::{AggregateStates, KernelContext, Update};

/// A value out of an array.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Bytes(Vec<u8>),
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Utf8View => Value::Bytes(array.as_string_view().value(row).into()),
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Decimal128(..) => Value::Integer(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::UInt64 => Value::Integer(array.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Date32 => Value::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(TimeUnit::Millisecond, None) => {
            Value::Integer(array.as_primitive::<TimestampMillisecondType>().value(row).into())
        }
        integers => {
            assert!(integers.is_integer(), "{integers}");
            let wide = arrow::compute::cast(&array.slice(row, 1), &DataType::Int64).unwrap();
            Value::Integer(wide.as_primitive::<Int64Type>().value(0).into())
        }
    }
}

/// One batch, and which of its rows count how.
struct Step {
    groups: Vec<u32>,
    group_count: usize,
    args: Vec<ArrayRef>,
    /// Whether row 0 of the argument stands for all rows.
    constant: bool,
    filter: Option<Vec<bool>>,
    changes: Option<Vec<Change>>,
}

impl Step {
    fn run(&self, states: &mut dyn AggregateStates) -> Result<()> {
        let rows = self.groups.len();
        let load = |arg: &ArrayRef| if self.constant { Loaded::constant(arg, rows) } else { Loaded::array(arg) };
        let loaded: Vec<Loaded> = self.args.iter().map(load).collect();
        let args: Vec<Argument<'_>> = loaded.iter().map(Loaded::argument).collect();
        let filter = self.filter.as_ref().map(|filter| {
            let mut words = vec![0; bitmap::words(rows)];
            (0..rows).filter(|&row| filter[row]).for_each(|row| bitmap::set(&mut words, row));
            words
        });
        let update = Update {
            groups: &self.groups,
            group_count: self.group_count,
            args: &args,
            filter: filter.as_deref(),
            changes: self.changes.as_deref(),
        };
        states.update(&KernelContext::default(), &update)
    }

    /// What each group holds afterwards, in order of arrival.
    fn model(&self, groups: &mut BTreeMap<u32, Vec<Vec<Value>>>) {
        for (row, &group) in self.groups.iter().enumerate() {
            if self.filter.as_ref().is_some_and(|filter| !filter[row]) {
                continue;
            }
            let held = groups.entry(group).or_default();
            let at = if self.constant { 0 } else { row };
            let values: Vec<Value> = self.args.iter().map(|arg| value(arg, at)).collect();
            match self.changes.as_ref().is_some_and(|changes| changes[row].is_retraction()) {
                false => held.push(values),
                true => {
                    let same = |other: &Vec<Value>| format!("{other:?}") == format!("{values:?}");
                    let at = held.iter().position(same).expect("only rows that came are taken back");
                    held.remove(at);
                }
            }
        }
    }
}

/// Random batches; with `retract`, later ones take rows of earlier ones back.
fn script(random: &mut Random, args: &[DataType], groups: usize, retract: bool, small: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut group_count = 1;
    for round in 0..6 {
        let rows = [0, 1, 64, 100, 257][random.below(5)];
        group_count = if groups == 1 { 1 } else { (group_count + random.below(groups)).min(groups) };
        let (nulls, sliced) = (random.one_in(2), random.below(3));
        let constant = rows > 0 && random.one_in(6);
        let args =
            args.iter().map(|arg| column(random, arg, rows + 2, nulls, small).slice(sliced.min(2), rows)).collect();
        let filter = random.one_in(2).then(|| (0..rows).map(|_| !random.one_in(3)).collect());
        let group = |_| random.below(group_count) as u32;
        let step = Step { groups: (0..rows).map(group).collect(), group_count, args, constant, filter, changes: None };
        steps.push(step);
        if retract && round > 1 {
            let back = random.below(steps.len());
            if let Some(step) = taken_back(random, &steps[back], group_count) {
                steps.push(step);
            }
        }
    }
    steps
}

/// Rows of a step taken back, some given again in the same batch; `None` when that was done before.
fn taken_back(random: &mut Random, step: &Step, group_count: usize) -> Option<Step> {
    if step.changes.is_some() || step.constant {
        return None;
    }
    let (mut rows, mut changes) = (Vec::new(), Vec::new());
    for row in 0..step.groups.len() as u32 {
        // The row is taken back, and comes again so that a second turn of this step finds it.
        rows.extend([row, row]);
        let is_update = random.one_in(3);
        changes.push(if is_update { Change::UPDATE_BEFORE } else { Change::DELETE });
        changes.push(if is_update { Change::UPDATE_AFTER } else { Change::INSERT });
    }
    let indices = UInt32Array::from(rows.clone());
    let filter = rows.iter().map(|&row| step.filter.as_ref().is_none_or(|filter| filter[row as usize]));
    Some(Step {
        groups: rows.iter().map(|&row| step.groups[row as usize]).collect(),
        group_count,
        args: step.args.iter().map(|arg| arrow::compute::take(arg, &indices, None).unwrap()).collect(),
        constant: false,
        filter: Some(filter.collect()),
        changes: Some(changes),
    })
}

/// The last step's inserts taken back for good.
fn final_deletes(step: &Step, group_count: usize) -> Step {
    Step {
        groups: step.groups.clone(),
        group_count,
        args: step.args.clone(),
        constant: step.constant,
        filter: step.filter.clone(),
        changes: Some(vec![Change::DELETE; step.groups.len()]),
    }
}

fn finish(function: &dyn AggregateFunction, states: &mut dyn AggregateStates, groups: usize) -> Result<ArrayRef> {
    let order: Vec<u32> = (0..groups as u32).rev().collect();
    let mut out = Column::default();
    states.finish(&order, &mut out)?;
    out.to_array(&function.result_type(), groups, &Selection::default())
}

/// The result of a group by the book.
type Book = fn(&[Vec<Value>]) -> Value;

#[track_caller]
fn compare(what: &str, ours: &ArrayRef, groups: &BTreeMap<u32, Vec<Vec<Value>>>, book: Book) {
    let count = ours.len();
    for row in 0..count {
        let group = (count - 1 - row) as u32;
        let expected = book(groups.get(&group).map_or(&[], |rows| &rows[..]));
        let got = value(ours, row);
        let same = match (&got, &expected) {
            (Value::Float(a), Value::Float(b)) => {
                a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * b.abs().max(1.0)
            }
            (a, b) => a == b,
        };
        assert!(same, "{what}, group {group}: {got:?}, by the book {expected:?}");
    }
}

fn check(name: &str, args: &[DataType], result: &DataType, small: bool, book: Book) {
    let function = resolve(name, args, result).unwrap_or_else(|| panic!("there is {name} of {args:?}"));
    assert_eq!(&function.result_type(), result);
    for seed in 0..12 {
        let groups = [1, 3, 70, 300][seed as usize % 4];
        let what = format!("{name} of {args:?}, seed {seed}");
        let random = &mut Random(seed);
        let mut steps = script(random, args, groups, function.can_retract(), small);
        let group_count = steps.last().unwrap().group_count;
        if function.can_retract() {
            let last = final_deletes(steps.iter().rfind(|step| step.changes.is_none()).unwrap(), group_count);
            steps.push(last);
        }
        let mut model = BTreeMap::new();
        steps.iter().for_each(|step| step.model(&mut model));

        let mut one = function.states();
        steps.iter().for_each(|step| step.run(&mut *one).unwrap());
        let result = finish(&*function, &mut *one, group_count).unwrap();
        compare(&what, &result, &model, book);
        assert_eq!(result.to_data(), finish(&*function, &mut *one, group_count).unwrap().to_data(), "{what}, again");

        // The same rows in two tables, with other group numbers in the second one.
        let half = steps.len() / 2;
        let (mut first, mut second) = (function.states(), function.states());
        steps[..half].iter().for_each(|step| step.run(&mut *first).unwrap());
        for step in &steps[half..] {
            let groups = step.groups.iter().map(|group| group_count as u32 - 1 - group).collect();
            let (args, changes, filter) = (step.args.clone(), step.changes.clone(), step.filter.clone());
            let turned = Step { groups, group_count, args, constant: step.constant, filter, changes };
            turned.run(&mut *second).unwrap();
        }
        let turned: Vec<u32> = (0..group_count as u32).rev().collect();
        let (saved_first, saved_second) = (first.save(group_count).unwrap(), second.save(group_count).unwrap());
        first.merge(&turned, group_count, &mut *second).unwrap();
        compare(&format!("{what}, merged"), &finish(&*function, &mut *first, group_count).unwrap(), &model, book);

        // The same by way of columns, into a table that was used before.
        let straight: Vec<u32> = (0..group_count as u32).collect();
        second.clear();
        second.merge_saved(&straight, group_count, &saved_first).unwrap();
        second.merge_saved(&turned, group_count, &saved_second).unwrap();
        compare(&format!("{what}, saved"), &finish(&*function, &mut *second, group_count).unwrap(), &model, book);

        // Cleared and used again.
        one.clear();
        let nothing = finish(&*function, &mut *one, group_count).unwrap();
        compare(&format!("{what}, cleared"), &nothing, &BTreeMap::new(), book);
        one.clear();
        steps.iter().for_each(|step| step.run(&mut *one).unwrap());
        assert_eq!(result.to_data(), finish(&*function, &mut *one, group_count).unwrap().to_data(), "{what}, reused");
        assert!(one.size_bytes() >= group_count / 8);
    }
}

fn present(rows: &[Vec<Value>]) -> Vec<Value> {
    rows.iter().map(|row| row[0].clone()).filter(|value| *value != Value::Null).collect()
}

fn floats(rows: &[Vec<Value>]) -> Vec<f64> {
    let float = |value: Value| match value {
        Value::Float(float) => float,
        Value::Integer(integer) => integer as f64,
        other => panic!("{other:?} is no number"),
    };
    present(rows).into_iter().map(float).collect()
}

fn integers(rows: &[Vec<Value>]) -> Vec<i128> {
    let integer = |value: Value| if let Value::Integer(integer) = value { integer } else { panic!("no integer") };
    present(rows).into_iter().map(integer).collect()
}

fn or_null<T>(values: &[T], result: impl FnOnce(&[T]) -> Value) -> Value {
    if values.is_empty() { Value::Null } else { result(values) }
}

#[test]
fn counts() {
    check("count", &[], &DataType::Int64, true, |rows| Value::Integer(rows.len() as i128));
    check("count", &[DataType::Utf8View], &DataType::Int64, true, |rows| Value::Integer(present(rows).len() as i128));
    check("count", &[DataType::Int32, DataType::Boolean], &DataType::Int64, true, |rows| {
        let whole = rows.iter().filter(|row| !row.contains(&Value::Null));
        Value::Integer(whole.count() as i128)
    });
}

#[test]
fn sums_and_averages_of_integers() {
    let sum: Book = |rows| or_null(&integers(rows), |values| Value::Integer(values.iter().sum()));
    let average: Book =
        |rows| or_null(&integers(rows), |v| Value::Float(v.iter().sum::<i128>() as f64 / v.len() as f64));
    for (signed, unsigned) in [
        (DataType::Int8, DataType::UInt8),
        (DataType::Int16, DataType::UInt16),
        (DataType::Int32, DataType::UInt32),
        (DataType::Int64, DataType::UInt64),
    ] {
        check("sum", std::slice::from_ref(&signed), &DataType::Int64, true, sum);
        check("sum", std::slice::from_ref(&unsigned), &DataType::UInt64, true, sum);
        // Sums that leave 64 bits on the way: an average has room for them.
        check("avg", &[signed], &DataType::Float64, false, average);
        check("avg", &[unsigned], &DataType::Float64, false, average);
    }
}

#[test]
fn a_sum_may_leave_its_type_on_the_way_but_not_at_the_end() {
    let function = resolve("sum", &[DataType::Int64], &DataType::Int64).unwrap();
    for groups in [1usize, 2] {
        let mut states = function.states();
        let step = |values: Vec<i64>, changes: Option<Vec<Change>>| Step {
            groups: vec![groups as u32 - 1; values.len()],
            group_count: groups,
            args: vec![Arc::new(Int64Array::from(values))],
            constant: false,
            filter: None,
            changes,
        };
        step(vec![i64::MAX, i64::MAX, 5], None).run(&mut *states).unwrap();
        let error = finish(&*function, &mut *states, groups).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.message().starts_with("sum overflows BIGINT: 18446744073709551619; cast"), "{error}");
        step(vec![i64::MAX], Some(vec![Change::DELETE])).run(&mut *states).unwrap();
        step(vec![i64::MIN], None).run(&mut *states).unwrap();
        let result = finish(&*function, &mut *states, groups).unwrap();
        assert_eq!(value(&result, 0), Value::Integer(4));
    }
}

#[test]
fn sums_and_averages_of_floats() {
    for small in [true, false] {
        for data_type in [DataType::Float64, DataType::Float32] {
            // 1e300 among the others is more than a naive sum can take back, and infinity in 32 bits.
            let exact: Book = |rows| or_null(&floats(rows), |values| Value::Float(exact_sum(values)));
            let average: Book = |rows| or_null(&floats(rows), |v| Value::Float(exact_sum(v) / v.len() as f64));
            check("sum", std::slice::from_ref(&data_type), &DataType::Float64, small, exact);
            check("avg", &[data_type], &DataType::Float64, small, average);
        }
    }
}

/// The sum in the order least magnitude last, which for the tests' values (multiples of 1/64, and 1e300) is exact.
fn exact_sum(values: &[f64]) -> f64 {
    let (huge, others): (Vec<f64>, Vec<f64>) = values.iter().partition(|value| value.abs() > 1e200);
    huge.iter().sum::<f64>() + others.iter().sum::<f64>()
}

#[test]
fn what_a_large_float_swallowed_comes_back() {
    let function = resolve("sum", &[DataType::Float64], &DataType::Float64).unwrap();
    let mut states = function.states();
    let step = |values: Vec<f64>, changes: Option<Vec<Change>>| Step {
        groups: (0..values.len() as u32).map(|row| row % 2).collect(),
        group_count: 2,
        args: vec![Arc::new(Float64Array::from(values))],
        constant: false,
        filter: None,
        changes,
    };
    step(vec![0.1, 0.2, 1e17, f64::INFINITY], None).run(&mut *states).unwrap();
    step(vec![1e17, f64::INFINITY], Some(vec![Change::DELETE; 2])).run(&mut *states).unwrap();
    let result = finish(&*function, &mut *states, 2).unwrap();
    assert_eq!((value(&result, 1), value(&result, 0)), (Value::Float(0.1), Value::Float(0.2)));
}

#[test]
fn sums_and_averages_of_decimals() {
    let sum: Book = |rows| or_null(&integers(rows), |values| Value::Integer(values.iter().sum()));
    check("sum", &[DataType::Decimal128(12, 2)], &DataType::Decimal128(22, 2), true, sum);
    check("avg", &[DataType::Decimal128(12, 2)], &DataType::Decimal128(16, 6), true, |rows| {
        or_null(&integers(rows), |v| Value::Integer(v.iter().sum::<i128>() * 10_000 / v.len() as i128))
    });
    // The widest type has no digits left for a sum to grow into.
    let widest = DataType::Decimal128(38, 0);
    let function = resolve("sum", std::slice::from_ref(&widest), &widest).unwrap();
    let values = Decimal128Array::from(vec![9 * 10i128.pow(37); 2]).with_data_type(widest);
    let step = Step {
        groups: vec![0; 2],
        group_count: 1,
        args: vec![Arc::new(values)],
        constant: false,
        filter: None,
        changes: None,
    };
    let mut states = function.states();
    step.run(&mut *states).unwrap_err();
    let one = Step { groups: vec![0], args: vec![step.args[0].slice(0, 1)], ..step };
    let mut states = function.states();
    one.run(&mut *states).unwrap();
    assert_eq!(value(&finish(&*function, &mut *states, 1).unwrap(), 0), Value::Integer(9 * 10i128.pow(37)));
}

#[test]
fn least_and_greatest() {
    let integers_too = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Millisecond, None),
        DataType::Decimal128(20, 4),
    ];
    for data_type in integers_too {
        check("min", std::slice::from_ref(&data_type), &data_type, false, |rows| {
            or_null(&integers(rows), |values| Value::Integer(*values.iter().min().unwrap()))
        });
        check("max", std::slice::from_ref(&data_type), &data_type, false, |rows| {
            or_null(&integers(rows), |values| Value::Integer(*values.iter().max().unwrap()))
        });
    }
    // NaN is the greatest of all.
    fn order(a: &f64, b: &f64) -> std::cmp::Ordering {
        a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    }
    for data_type in [DataType::Float32, DataType::Float64] {
        check("min", std::slice::from_ref(&data_type), &data_type, false, |rows| {
            or_null(&floats(rows), |values| Value::Float(values.iter().copied().min_by(order).unwrap()))
        });
        check("max", std::slice::from_ref(&data_type), &data_type, false, |rows| {
            or_null(&floats(rows), |values| Value::Float(values.iter().copied().max_by(order).unwrap()))
        });
    }
    for data_type in [DataType::Utf8View, DataType::BinaryView] {
        check("min", std::slice::from_ref(&data_type), &data_type, false, |rows| {
            present(rows).into_iter().min_by(by_bytes).unwrap_or(Value::Null)
        });
        check("max", std::slice::from_ref(&data_type), &data_type, false, |rows| {
            present(rows).into_iter().max_by(by_bytes).unwrap_or(Value::Null)
        });
    }
}

fn by_bytes(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a, b) {
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => panic!("no bytes"),
    }
}

#[test]
fn an_arena_gives_back_what_longer_strings_left() {
    let function = resolve("max", &[DataType::Utf8View], &DataType::Utf8View).unwrap();
    let mut states = function.states();
    for round in 0..200u32 {
        // Each round a longer and greater string for each of 20 groups: all older ones are waste.
        let texts: StringViewArray =
            (0..20).map(|g| Some(format!("{round:05}{}{g}", "x".repeat(100 + round as usize)))).collect();
        let step = Step {
            groups: (0..20).collect(),
            group_count: 20,
            args: vec![Arc::new(texts)],
            constant: false,
            filter: None,
            changes: None,
        };
        step.run(&mut *states).unwrap();
    }
    let result = finish(&*function, &mut *states, 20).unwrap();
    assert_eq!(value(&result, 0), Value::Bytes(format!("00199{}19", "x".repeat(299)).into()));
    assert!(states.size_bytes() < 600_000, "{} bytes for 6,000 that count", states.size_bytes());
}

#[test]
fn booleans() {
    let boolean = DataType::Boolean;
    let all: Book = |rows| or_null(&present(rows), |values| Value::Boolean(!values.contains(&Value::Boolean(false))));
    let any: Book = |rows| or_null(&present(rows), |values| Value::Boolean(values.contains(&Value::Boolean(true))));
    for name in ["bool_and", "min"] {
        check(name, std::slice::from_ref(&boolean), &boolean, true, all);
    }
    for name in ["bool_or", "max"] {
        check(name, std::slice::from_ref(&boolean), &boolean, true, any);
    }
}

/// The sum of squared distances from the mean, in two passes.
fn squares(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean) * (value - mean)).sum()
}

#[test]
fn variances_and_deviations() {
    let float = DataType::Float64;
    let sample: Book = |rows| match &floats(rows)[..] {
        [] | [_] => Value::Null,
        values => Value::Float(squares(values) / (values.len() - 1) as f64),
    };
    let population: Book = |rows| or_null(&floats(rows), |v| Value::Float(squares(v) / v.len() as f64));
    let deviation: Book = |rows| match &floats(rows)[..] {
        [] | [_] => Value::Null,
        values => Value::Float((squares(values) / (values.len() - 1) as f64).sqrt()),
    };
    for name in ["var", "var_samp", "var_sample"] {
        check(name, std::slice::from_ref(&float), &float, true, sample);
    }
    for name in ["var_pop", "var_population"] {
        check(name, std::slice::from_ref(&float), &float, true, population);
    }
    check("stddev", std::slice::from_ref(&float), &float, true, deviation);
    check("stddev_pop", std::slice::from_ref(&float), &float, true, |rows| {
        or_null(&floats(rows), |v| Value::Float((squares(v) / v.len() as f64).sqrt()))
    });
    // Small distances from a large mean, where a sum of squares would give nothing but rounding.
    let function = resolve("var_pop", std::slice::from_ref(&float), &float).unwrap();
    for groups in [1u32, 2] {
        let values: Float64Array = (0..1000).map(|i| Some(1e9 + f64::from(i % 2))).collect();
        let step = Step {
            groups: vec![groups - 1; 1000],
            group_count: groups as usize,
            args: vec![Arc::new(values)],
            constant: false,
            filter: None,
            changes: None,
        };
        let mut states = function.states();
        step.run(&mut *states).unwrap();
        let Value::Float(variance) = value(&finish(&*function, &mut *states, groups as usize).unwrap(), 0) else {
            panic!("there is a variance")
        };
        assert!((variance - 0.25).abs() < 1e-9, "{variance}");
    }
}

#[test]
fn first_and_last_values_respect_nulls() {
    for data_type in
        [DataType::Int32, DataType::Boolean, DataType::Utf8View, DataType::Decimal128(10, 2), DataType::Float64]
    {
        check("first_value", std::slice::from_ref(&data_type), &data_type, true, |rows| {
            rows.first().map_or(Value::Null, |row| row[0].clone())
        });
        check("last_value", std::slice::from_ref(&data_type), &data_type, true, |rows| {
            rows.last().map_or(Value::Null, |row| row[0].clone())
        });
        assert!(resolve("first_value", std::slice::from_ref(&data_type), &data_type).unwrap().is_order_sensitive());
    }
}

#[test]
fn bits() {
    for data_type in [DataType::Int8, DataType::Int64, DataType::UInt16, DataType::UInt64] {
        let one = std::slice::from_ref(&data_type);
        check("bit_and", one, &data_type, false, |rows| {
            or_null(&integers(rows), |v| Value::Integer(v.iter().copied().reduce(|a, b| a & b).unwrap()))
        });
        check("bit_or", one, &data_type, false, |rows| {
            or_null(&integers(rows), |v| Value::Integer(v.iter().copied().reduce(|a, b| a | b).unwrap()))
        });
        check("bit_xor", one, &data_type, false, |rows| {
            or_null(&integers(rows), |v| Value::Integer(v.iter().copied().reduce(|a, b| a ^ b).unwrap()))
        });
    }
}

/// The pairs without nulls.
fn pairs(rows: &[Vec<Value>]) -> Vec<(f64, f64)> {
    let pair = |row: &Vec<Value>| match row[..] {
        [Value::Float(x), Value::Float(y)] => Some((x, y)),
        _ => None,
    };
    rows.iter().filter_map(pair).collect()
}

#[test]
fn correlations() {
    let float = DataType::Float64;
    check("corr", &[float.clone(), float.clone()], &float, true, |rows| {
        let pairs = pairs(rows);
        let count = pairs.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count;
        let (x_mean, y_mean) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let distances = pairs.iter().map(|(x, y)| (x - x_mean, y - y_mean));
        let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
        distances.for_each(|(x, y)| (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y));
        let constant = |of: fn(&(f64, f64)) -> f64| pairs.iter().all(|pair| of(pair) == of(&pairs[0]));
        match pairs.len() {
            0 | 1 => Value::Null,
            _ if constant(|pair| pair.0) || constant(|pair| pair.1) => Value::Null,
            _ => Value::Float(xy / (xx * yy).sqrt()),
        }
    });
    // A mean of a billion, and what is not a number; twice, the second time merged out of halves.
    let function = resolve("corr", &[float.clone(), float.clone()], &float).unwrap();
    let of = |pairs: &[(f64, f64)], split: usize| {
        let mut states = [function.states(), function.states()];
        for (states, part) in states.iter_mut().zip([&pairs[..split], &pairs[split..]]) {
            let column = |of: fn(&(f64, f64)) -> f64| Arc::new(part.iter().map(of).map(Some).collect::<Float64Array>());
            let args: Vec<ArrayRef> = vec![column(|pair| pair.0), column(|pair| pair.1)];
            let groups = vec![0; part.len()];
            let step = Step { groups, group_count: 1, args, constant: false, filter: None, changes: None };
            step.run(&mut **states).unwrap();
        }
        let [mut first, mut second] = states;
        first.merge(&[0], 1, &mut *second).unwrap();
        value(&finish(&*function, &mut *first, 1).unwrap(), 0)
    };
    let far: Vec<(f64, f64)> = (0..1000).map(|i| (1e9 + f64::from(i % 7), 1e9 - f64::from(i % 7))).collect();
    for split in [0, 1, 500, 1000] {
        let Value::Float(corr) = of(&far, split) else { panic!("there is a correlation") };
        assert!((corr + 1.0).abs() < 1e-9, "{corr}");
        let nan = [(1.0, 2.0), (f64::NAN, f64::NAN), (3.0, 5.0)];
        assert!(matches!(of(&nan, split.min(3)), Value::Float(corr) if corr.is_nan()));
        assert_eq!(of(&[(1.0, 2.0), (f64::NAN, 3.0), (3.0, 5.0)], split.min(3)), Value::Null);
        assert!(matches!(of(&[(f64::INFINITY, 2.0), (1.0, 3.0)], split.min(2)), Value::Float(corr) if corr.is_nan()));
        assert_eq!(of(&[(1.0, 2.0), (1.0, 3.0)], split.min(2)), Value::Null);
    }
}

#[test]
fn medians_and_percentiles() {
    check("median", &[DataType::Int64], &DataType::Int64, true, |rows| {
        or_null(&integers(rows), |values| {
            let mut sorted = values.to_vec();
            sorted.sort();
            let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
            Value::Integer((low + high) / 2)
        })
    });
    check("median", &[DataType::Float64], &DataType::Float64, true, |rows| {
        or_null(&floats(rows), |values| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f64::total_cmp);
            Value::Float((sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0)
        })
    });
    let float = DataType::Float64;
    let function = resolve("percentile_cont", &[float.clone(), float.clone()], &float).unwrap();
    let mut states = function.states();
    for chunk in (0..1000).collect::<Vec<i32>>().chunks(300) {
        let values: Float64Array = chunk.iter().map(|&i| Some(f64::from((i * 7) % 1000))).collect();
        let column = Column::Array(Arc::new(values));
        let share = Column::Constant(Arc::new(Float64Array::from(vec![0.25])));
        let rows = chunk.len();
        let args = [Argument::new(&column, None, rows), Argument::new(&share, None, rows)];
        let groups: Vec<u32> = vec![0; rows];
        let update = Update { groups: &groups, group_count: 1, args: &args, filter: None, changes: None };
        states.update(&KernelContext::default(), &update).unwrap();
    }
    let result = finish(&*function, &mut *states, 1).unwrap();
    assert_eq!(value(&result, 0), Value::Float(249.75));
    let saved = states.save(1).unwrap();
    let mut restored = function.states();
    restored.merge_saved(&[0], 1, &saved).unwrap();
    assert_eq!(value(&finish(&*function, &mut *restored, 1).unwrap(), 0), Value::Float(249.75));
}

#[test]
fn what_cannot_give_rows_back_says_so() {
    let function = resolve("min", &[DataType::Int64], &DataType::Int64).unwrap();
    assert!(!function.can_retract());
    let step = Step {
        groups: vec![0],
        group_count: 1,
        args: vec![Arc::new(Int64Array::from(vec![1]))],
        constant: false,
        filter: None,
        changes: Some(vec![Change::DELETE]),
    };
    assert_eq!(step.run(&mut *function.states()).unwrap_err().kind(), ErrorKind::Bug);
    let inserts = Step { changes: Some(vec![Change::UPDATE_AFTER]), ..step };
    inserts.run(&mut *function.states()).unwrap();
}

#[test]
fn what_there_is_not() {
    let none =
        |name: &str, arg: DataType, result: DataType| assert!(resolve(name, &[arg], &result).is_none(), "{name}");
    none("sum", DataType::Int64, DataType::Float64);
    none("sum", DataType::Utf8View, DataType::Utf8View);
    none("avg", DataType::Duration(TimeUnit::Second), DataType::Duration(TimeUnit::Second));
    none("min", DataType::Utf8, DataType::Utf8);
    none("array_agg", DataType::Int64, DataType::Int64);
    let (count, sum) = (
        resolve("count", &[], &DataType::Int64).unwrap(),
        resolve("sum", &[DataType::Int64], &DataType::Int64).unwrap(),
    );
    assert_eq!(count.states().merge(&[], 0, &mut *sum.states()).unwrap_err().kind(), ErrorKind::Bug);
    let saved = count.states().save(3).unwrap();
    assert_eq!(sum.states().merge_saved(&[0, 1, 2], 3, &saved).unwrap_err().kind(), ErrorKind::Bug);
}

/// What is read from the states of another function is what its own states give: also after merging and taking back.
#[test]
fn covered_functions_are_read_from_the_states_of_others() {
    use DataType::{Decimal128, Float32, Float64, Int16, Int64, UInt32, UInt64};
    let integers = |sum: DataType| vec![("sum", sum), ("avg", Float64), ("count", Int64)];
    let mut floats = integers(Float64);
    floats.extend(["var", "var_pop", "stddev", "stddev_pop"].map(|name| (name, Float64)));
    let decimals = vec![("sum", Decimal128(20, 2)), ("avg", Decimal128(14, 6)), ("count", Int64)];
    let kinds = [
        (Int16, integers(Int64)),
        (Int64, integers(Int64)),
        (UInt32, integers(UInt64)),
        (Float32, floats.clone()),
        (Float64, floats),
        (Decimal128(10, 2), decimals),
    ];
    let mut pairs = 0;
    for (arg, functions) in kinds {
        let all: Vec<_> = functions
            .iter()
            .map(|(name, result)| resolve(name, std::slice::from_ref(&arg), result).expect("there is one"))
            .collect();
        for (owner, other) in all.iter().flat_map(|owner| all.iter().map(move |other| (owner, other))) {
            if !owner.covers(other.as_ref()) {
                continue;
            }
            pairs += 1;
            for seed in 0..8 {
                let what = format!("{other:?} of {owner:?}, seed {seed}");
                let steps =
                    script(&mut Random(seed), std::slice::from_ref(&arg), [1, 70][seed as usize % 2], true, true);
                let count = steps.last().unwrap().group_count;
                let (mut own, mut told) = (other.states(), owner.states());
                for step in &steps {
                    step.run(&mut *own).unwrap();
                    step.run(&mut *told).unwrap();
                }
                let order: Vec<u32> = (0..count as u32).rev().collect();
                let mut out = Column::default();
                told.finish_as(other.as_ref(), &order, &mut out).unwrap();
                let told = out.to_array(&other.result_type(), count, &Selection::default()).unwrap();
                let expected = finish(other.as_ref(), &mut *own, count).unwrap();
                for row in 0..count {
                    let same = match (value(&told, row), value(&expected, row)) {
                        (Value::Float(a), Value::Float(b)) => {
                            a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * b.abs().max(1.0)
                        }
                        (a, b) => a == b,
                    };
                    assert!(same, "{what}: {:?} for {:?}", value(&told, row), value(&expected, row));
                }
            }
        }
    }
    // Sum and average tell each other and themselves; both tell the count, and moments tell all of them.
    assert_eq!(pairs, 4 * 6 + 2 * (6 + 4 * 7));
}
