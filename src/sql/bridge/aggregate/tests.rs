//! Bridged aggregates against DataFusion's own accumulators fed group by group, and against rows kept by hand.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::ScalarValue;
use millstream_kernels::bitmap;

use super::*;
use crate::batch::{Change, Column, Selection};
use crate::function::KernelContext;

const GROUPS: usize = 5;
const UP: SortOptions = SortOptions { descending: false, nulls_first: false };
const DOWN: SortOptions = SortOptions { descending: true, nulls_first: true };

/// A call over columns x (BIGINT), y (DOUBLE), s (VARCHAR) and an order key o that never repeats.
struct Case {
    name: &'static str,
    args: &'static [&'static str],
    literal: Option<ScalarValue>,
    order_by: &'static [(&'static str, SortOptions)],
    incremental: bool,
    retracts: bool,
}

fn case(name: &'static str, args: &'static [&'static str]) -> Case {
    Case { name, args, literal: None, order_by: &[], incremental: false, retracts: false }
}

fn column_type(name: &str) -> DataType {
    match name {
        "x" | "o" => DataType::Int64,
        "y" => DataType::Float64,
        _ => DataType::Utf8View,
    }
}

impl Case {
    fn bind(&self) -> ForeignAggregate {
        let mut fields: Vec<Field> = Vec::new();
        let field = |index: usize, data_type| Field::new(format!("c{index}"), data_type, true);
        for name in self.args {
            fields.push(field(fields.len(), column_type(name)));
        }
        let mut literals = Vec::new();
        if let Some(value) = &self.literal {
            literals.push((fields.len(), value.clone()));
            fields.push(field(fields.len(), value.data_type()));
        }
        let arg_count = fields.len();
        let mut order_by = Vec::new();
        for (name, options) in self.order_by {
            order_by.push((fields.len(), *options));
            fields.push(field(fields.len(), column_type(name)));
        }
        let all = datafusion_functions_aggregate::all_default_aggregate_functions();
        let function = all.into_iter().find(|function| function.name() == self.name).expect("there is one");
        let schema = Arc::new(Schema::new(fields));
        let types: Vec<_> = schema.fields()[..arg_count].to_vec();
        let result = function.return_field(&types).unwrap().data_type().clone();
        let (incremental, retracts, ignore_nulls) = (self.incremental, self.retracts, false);
        let call = ForeignAggregateCall {
            function,
            schema,
            literals,
            arg_count,
            order_by,
            ignore_nulls,
            result,
            incremental,
            retracts,
        };
        ForeignAggregate::new(call).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// The arguments of a call over some rows, literal and order keys in their places.
    fn arrays(&self, rows: &RecordBatch) -> Vec<Column> {
        let column = |name: &&str| Column::Array(rows.column_by_name(name).unwrap().clone());
        let literal = self.literal.iter().map(|value| Column::Constant(value.to_array().unwrap()));
        let order = self.order_by.iter().map(|(name, _)| column(name));
        self.args.iter().map(column).chain(literal).chain(order).collect()
    }

    fn update(&self, states: &mut dyn AggregateStates, rows: &RecordBatch, changes: Option<&[Change]>) {
        let groups = rows.column_by_name("g").unwrap().as_primitive::<arrow::datatypes::UInt32Type>().values().to_vec();
        let keep = keeps(rows);
        let columns = self.arrays(rows);
        let args: Vec<Argument<'_>> = columns.iter().map(|column| Argument::new(column, None, groups.len())).collect();
        let update = Update { groups: &groups, group_count: GROUPS, args: &args, filter: Some(&keep), changes };
        states.update(&KernelContext::default(), &update).unwrap();
    }

    /// What the answer for each group is: a fresh accumulator over its rows, in the order asked for.
    fn expected(&self, parts: &[&RecordBatch]) -> Vec<ScalarValue> {
        let rows = arrow::compute::concat_batches(&parts[0].schema(), parts.iter().copied()).unwrap();
        let kept: Vec<u64> = keeps(&rows);
        let groups = rows.column_by_name("g").unwrap().as_primitive::<arrow::datatypes::UInt32Type>().clone();
        let order: Vec<i64> =
            rows.column_by_name("o").unwrap().as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
        let function = self.bind();
        (0..GROUPS as u32)
            .map(|group| {
                let mut mine: Vec<u32> = (0..rows.num_rows())
                    .filter(|&row| groups.value(row) == group && bitmap::get(&kept, row))
                    .map(|row| row as u32)
                    .collect();
                if let Some((_, options)) = self.order_by.first() {
                    mine.sort_by_key(
                        |&row| if options.descending { -order[row as usize] } else { order[row as usize] },
                    );
                }
                let mine = UInt32Array::from(mine);
                let mut arrays: Vec<ArrayRef> = self
                    .args
                    .iter()
                    .map(|name| take(rows.column_by_name(name).unwrap(), &mine, None).unwrap())
                    .collect();
                arrays.extend(self.literal.iter().map(|value| value.to_array_of_size(mine.len()).unwrap()));
                if function.0.takes_order {
                    arrays.extend(
                        self.order_by
                            .iter()
                            .map(|(name, _)| take(rows.column_by_name(name).unwrap(), &mine, None).unwrap()),
                    );
                }
                let mut accumulator = function.0.call.create_accumulator().unwrap();
                if !mine.is_empty() {
                    accumulator.update_batch(&arrays).unwrap();
                }
                accumulator.evaluate().unwrap()
            })
            .collect()
    }

    fn check(&self) {
        let (first, second, third) = (rows(1, 70), rows(2, 41), rows(3, 64));
        let all: Vec<u32> = (0..GROUPS as u32).collect();
        let function = self.bind();
        let (mut one, mut other) = (function.states(), function.states());
        self.update(one.as_mut(), &first, None);
        self.assert(one.as_mut(), &all, &[&first], "after one batch");
        self.update(one.as_mut(), &second, None);
        self.update(other.as_mut(), &third, None);
        one.merge(&all, GROUPS, other.as_mut()).unwrap();
        self.assert(one.as_mut(), &all, &[&first, &second, &third], "merged");
        self.assert(one.as_mut(), &all, &[&first, &second, &third], "asked again");
        self.assert(other.as_mut(), &all, &[&third], "merged from");
        self.assert(one.as_mut(), &[4, 2], &[&first, &second, &third], "some groups");
        let saved = one.save(GROUPS).unwrap();
        assert_eq!(
            saved.iter().map(|column| column.data_type().clone()).collect::<Vec<_>>(),
            function.state_types(),
            "{}",
            self.name
        );
        let mut restored = function.states();
        restored.merge_saved(&all, GROUPS, &saved).unwrap();
        self.assert(restored.as_mut(), &all, &[&first, &second, &third], "restored");
        self.assert(one.as_mut(), &all, &[&first, &second, &third], "saved from");
        self.update(restored.as_mut(), &second, None);
        self.assert(restored.as_mut(), &all, &[&first, &second, &third, &second], "restored and updated");
        one.clear();
        self.assert(one.as_mut(), &all, &[&first.slice(0, 0)], "cleared");
    }

    fn assert(&self, states: &mut dyn AggregateStates, groups: &[u32], parts: &[&RecordBatch], when: &str) {
        let mut out = Column::default();
        states.finish(groups, &mut out).unwrap();
        let result = self.bind().result_type();
        let array = out.to_array(&result, groups.len(), &Selection::default()).unwrap();
        assert_eq!(array.data_type(), &result);
        let expected = self.expected(parts);
        for (row, &group) in groups.iter().enumerate() {
            let (found, wanted) = (ScalarValue::try_from_array(&array, row).unwrap(), &expected[group as usize]);
            assert!(near(&found, wanted), "{} {when}, group {group}: {found} instead of {wanted}", self.name);
        }
    }
}

/// Equal, floats but for what the order of additions makes of them.
fn near(found: &ScalarValue, wanted: &ScalarValue) -> bool {
    match (found, wanted) {
        (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0) || a.is_nan() && b.is_nan()
        }
        _ => found == wanted,
    }
}

/// Rows whose order key leaves a remainder when divided by 7 count.
fn keeps(rows: &RecordBatch) -> Vec<u64> {
    let order = rows.column_by_name("o").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    let mut words = vec![0; rows.num_rows().div_ceil(64)];
    (0..rows.num_rows()).filter(|&row| order.value(row) % 7 != 0).for_each(|row| words[row / 64] |= 1 << (row % 64));
    words
}

fn rows(seed: u64, count: usize) -> RecordBatch {
    let mut state = seed;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let nullable = |value: u64, null: u64| (null != 0).then_some(value);
    let groups: Vec<u32> = (0..count).map(|_| next(GROUPS as u64 - 1) as u32).collect(); // the last group stays empty
    let x: Vec<Option<i64>> = (0..count).map(|_| nullable(next(20), next(6)).map(|x| x as i64 - 5)).collect();
    let y: Vec<Option<f64>> = (0..count).map(|_| nullable(next(1000), next(6)).map(|y| y as f64 / 8.0)).collect();
    let s: Vec<Option<String>> =
        (0..count).map(|_| nullable(next(12), next(6)).map(|s| format!("word number {s}"))).collect();
    // Every key appears once in all batches, in no order.
    let order = (0..count).map(|row| (row as i64 * 37 % 101) * 8 + seed as i64);
    RecordBatch::try_from_iter(vec![
        ("g", Arc::new(UInt32Array::from(groups)) as ArrayRef),
        ("x", Arc::new(Int64Array::from(x))),
        ("y", Arc::new(Float64Array::from(y))),
        ("s", Arc::new(StringViewArray::from_iter(s))),
        ("o", Arc::new(Int64Array::from_iter_values(order))),
    ])
    .unwrap()
}

#[test]
fn results_survive_merging_and_saving() {
    for incremental in [false, true] {
        for (name, args) in [
            ("approx_distinct", &["x"] as &'static [_]),
            ("avg", &["y"]),
            ("bit_xor", &["x"]),
            ("corr", &["y", "y"]),
            ("count", &["s"]),
            ("covar_samp", &["y", "y"]),
            ("max", &["s"]),
            ("median", &["x"]),
            ("min", &["y"]),
            ("regr_slope", &["y", "y"]),
            ("stddev", &["y"]),
            ("sum", &["y"]),
            ("var_pop", &["y"]),
        ] {
            Case { incremental, ..case(name, args) }.check();
        }
        let half = Some(ScalarValue::Float64(Some(0.5)));
        Case { incremental, literal: half.clone(), ..case("percentile_cont", &["y"]) }.check();
    }
}

#[test]
fn ordered_calls_do_not_depend_on_how_rows_arrive() {
    for incremental in [false, true] {
        for order_by in [&[("o", UP)] as &'static [_], &[("o", DOWN)]] {
            Case { order_by, incremental, ..case("array_agg", &["x"]) }.check();
            Case { order_by, incremental, ..case("first_value", &["x"]) }.check();
            Case { order_by, incremental, ..case("last_value", &["s"]) }.check();
            let second = Some(ScalarValue::Int64(Some(2)));
            Case { order_by, incremental, literal: second, ..case("nth_value", &["x"]) }.check();
            let comma = Some(ScalarValue::Utf8View(Some(", ".to_string())));
            Case { order_by, incremental, literal: comma, ..case("string_agg", &["s"]) }.check();
        }
    }
}

#[test]
fn rows_are_taken_back() {
    let cases = [
        case("min", &["x"]),
        case("max", &["s"]),
        case("max", &["y"]),
        case("median", &["x"]),
        case("approx_distinct", &["x"]),
        Case { order_by: &[("o", DOWN)], ..case("array_agg", &["x"]) },
        Case { order_by: &[("o", UP)], ..case("first_value", &["x"]) },
    ];
    for case in cases {
        let case = Case { retracts: true, incremental: true, ..case };
        case.check();
        let (first, second) = (rows(1, 70), rows(2, 41));
        let all: Vec<u32> = (0..GROUPS as u32).collect();
        let function = case.bind();
        assert!(function.can_retract());
        let (mut states, mut other) = (function.states(), function.states());
        case.update(states.as_mut(), &first, None);
        case.update(states.as_mut(), &second, None);
        let half = first.slice(0, 35);
        case.update(states.as_mut(), &half, Some(&[Change::DELETE; 35]));
        case.assert(states.as_mut(), &all, &[&first.slice(35, 35), &second], "taken back");
        // Taken back in another partition than where it came.
        case.update(other.as_mut(), &second, Some(&[Change::UPDATE_BEFORE; 41]));
        states.merge(&all, GROUPS, other.as_mut()).unwrap();
        case.assert(states.as_mut(), &all, &[&first.slice(35, 35)], "taken back elsewhere");
    }
}

#[test]
fn groups_come_up_after_results_were_read() {
    let case = Case { order_by: &[("o", UP)], ..case("first_value", &["x"]) };
    let values = RecordBatch::try_from_iter(vec![
        ("x", Arc::new(Int64Array::from(vec![7, 8, 9])) as ArrayRef),
        ("o", Arc::new(Int64Array::from(vec![3, 2, 1]))),
    ])
    .unwrap();
    let mut states = case.bind().states();
    let update = |states: &mut dyn AggregateStates, groups: &[u32], group_count: usize| {
        let columns = case.arrays(&values.slice(0, groups.len()));
        let args: Vec<Argument<'_>> = columns.iter().map(|column| Argument::new(column, None, groups.len())).collect();
        let update = Update { groups, group_count, args: &args, filter: None, changes: None };
        states.update(&KernelContext::default(), &update).unwrap();
    };
    let read = |states: &mut dyn AggregateStates, groups: &[u32]| {
        let mut out = Column::default();
        states.finish(groups, &mut out).unwrap();
        let found = out.to_array(&DataType::Int64, groups.len(), &Selection::default()).unwrap();
        found.as_primitive::<arrow::datatypes::Int64Type>().iter().collect::<Vec<_>>()
    };
    update(states.as_mut(), &[0, 1], 2);
    assert_eq!(read(states.as_mut(), &[0, 1]), [Some(7), Some(8)]);
    update(states.as_mut(), &[1, 4, 4], 5);
    assert_eq!(read(states.as_mut(), &[0, 1, 2, 4]), [Some(7), Some(8), None, Some(9)]);
}
