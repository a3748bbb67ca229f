//! Functions kept up row by row beside the same functions over kept rows, on random rows; snapshots.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, TimestampMillisecondArray, new_null_array,
};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::expression::Program;
use crate::function::{KernelContext, aggregate};
use crate::pipeline::{
    AggregateCall, Completion, Frame, FrameBound, FrameOffset, FrameUnits, OverCall, OverFunction, OverSpec,
};
use crate::stream::operator::Operator;
use crate::stream::operator::over::{OverShape, StreamOver};
use crate::stream::operator::testing::{Told, check_snapshots, outputs};

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);
/// The rows' own columns: time, key, a number, a float, a condition, a decimal.
const OWN: [DataType; 6] =
    [TIME, DataType::Int64, DataType::Int64, DataType::Float64, DataType::Boolean, DataType::Decimal128(10, 2)];
const NUMBER: usize = 2;
const FLOAT: usize = 3;
const CONDITION: usize = 4;
const DECIMAL: usize = 5;

const GROWING: (FrameUnits, FrameBound) = (FrameUnits::Rows, FrameBound::Unbounded);
const BY_PEERS: (FrameUnits, FrameBound) = (FrameUnits::Range, FrameBound::Unbounded);

fn rows_before(count: u64) -> (FrameUnits, FrameBound) {
    (FrameUnits::Rows, FrameBound::Preceding(FrameOffset::Count(count)))
}

fn ticks_before(ticks: i128) -> (FrameUnits, FrameBound) {
    (FrameUnits::Range, FrameBound::Preceding(FrameOffset::Ticks(ticks)))
}

/// A call, the columns of its argument and filter, and its type.
type Asked = (OverCall, Vec<usize>, DataType);

fn aggregated(name: &str, arg: usize, (units, start): (FrameUnits, FrameBound), filter: Option<usize>) -> Asked {
    let types = vec![OWN[arg].clone()];
    let result = match (name, arg) {
        ("count", _) => DataType::Int64,
        ("avg", DECIMAL) => DataType::Decimal128(14, 6),
        ("sum", DECIMAL) => DataType::Decimal128(20, 2),
        ("avg", _) => DataType::Float64,
        _ => OWN[arg].clone(),
    };
    let function = aggregate::resolve(name, &types, &result).expect("a native one");
    let (text, filtered) = (name.to_string(), filter.is_some());
    let call = AggregateCall { function, arg_count: 1, arg_types: types, distinct: false, filtered, of: None, text };
    let frame = Frame { units, start, end: FrameBound::CurrentRow };
    let function = OverFunction::Aggregate(call);
    let call = OverCall { function, frame, arg_count: 1, filtered, text: String::new() };
    (call, [arg].into_iter().chain(filter).collect(), result)
}

/// The same where frames end so many rows or ticks before the row.
fn ended((mut call, columns, result): Asked, before: u64) -> Asked {
    let offset = match call.frame.units {
        FrameUnits::Rows => FrameOffset::Count(before),
        FrameUnits::Range | FrameUnits::Groups => FrameOffset::Ticks(before.into()),
    };
    call.frame.end = FrameBound::Preceding(offset);
    (call, columns, result)
}

fn placed(function: OverFunction, args: &[usize], result: DataType) -> Asked {
    let frame = Frame { units: FrameUnits::Range, start: FrameBound::Unbounded, end: FrameBound::CurrentRow };
    let arg_count = args.len();
    (OverCall { function, frame, arg_count, filtered: false, text: String::new() }, args.to_vec(), result)
}

fn lag(offset: i64, default: Option<i64>) -> Asked {
    let default = default.map(|default| Arc::new(Int64Array::from(vec![default])) as ArrayRef);
    placed(OverFunction::Lag { offset, default, ignores_nulls: false }, &[NUMBER], DataType::Int64)
}

/// What both orders of rows know.
fn by_rows() -> Vec<Asked> {
    vec![
        aggregated("sum", NUMBER, GROWING, None),
        aggregated("avg", FLOAT, GROWING, Some(CONDITION)),
        aggregated("max", FLOAT, GROWING, None),
        aggregated("count", FLOAT, rows_before(2), Some(CONDITION)),
        aggregated("sum", NUMBER, rows_before(9), Some(CONDITION)),
        aggregated("sum", FLOAT, rows_before(3), None),
        aggregated("avg", NUMBER, rows_before(40), None),
        aggregated("min", NUMBER, rows_before(5), None),
        aggregated("max", FLOAT, rows_before(1), Some(CONDITION)),
        aggregated("sum", DECIMAL, rows_before(6), Some(CONDITION)),
        aggregated("avg", DECIMAL, rows_before(4), None),
        aggregated("sum", DECIMAL, GROWING, None),
        aggregated("min", DECIMAL, rows_before(3), None),
        ended(aggregated("sum", NUMBER, rows_before(9), None), 2),
        ended(aggregated("count", FLOAT, GROWING, None), 1),
        ended(aggregated("avg", DECIMAL, GROWING, Some(CONDITION)), 3),
        ended(aggregated("max", FLOAT, rows_before(5), Some(CONDITION)), 5),
        ended(aggregated("min", NUMBER, GROWING, None), 4),
        lag(0, None),
        lag(3, Some(-1)),
        placed(OverFunction::RowNumber, &[], DataType::UInt64),
    ]
}

/// What the order of time knows beside it.
fn by_time() -> Vec<Asked> {
    let mut calls = by_rows();
    calls.extend([
        placed(OverFunction::Rank, &[], DataType::UInt64),
        placed(OverFunction::DenseRank, &[], DataType::UInt64),
    ]);
    calls.extend(by_ticks());
    calls.extend([aggregated("sum", FLOAT, BY_PEERS, None), aggregated("min", NUMBER, BY_PEERS, Some(CONDITION))]);
    calls
}

/// Frames that are stretches of time alone.
fn by_ticks() -> Vec<Asked> {
    vec![
        aggregated("sum", NUMBER, ticks_before(12), None),
        aggregated("avg", FLOAT, ticks_before(3), Some(CONDITION)),
        aggregated("max", NUMBER, ticks_before(20), None),
        aggregated("count", NUMBER, ticks_before(0), None),
        aggregated("sum", DECIMAL, ticks_before(9), None),
        ended(aggregated("sum", FLOAT, ticks_before(9), None), 4),
        ended(aggregated("min", DECIMAL, ticks_before(15), None), 1),
    ]
}

fn shape(completion: Completion, asked: Vec<Asked>) -> OverShape {
    // Rows as they come have no ORDER BY.
    let by_time = completion != Completion::Arrival;
    let mut wide = if by_time { vec![1, 0] } else { vec![1] };
    wide.extend(asked.iter().flat_map(|(_, columns, _)| columns.iter().copied()));
    let columns: Vec<(usize, DataType)> = wide.iter().map(|&at| (at, OWN[at].clone())).collect();
    let fields = OWN.iter().chain(asked.iter().map(|(.., result)| result)).enumerate();
    let fields: Vec<Field> =
        fields.map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true)).collect();
    let spec = OverSpec {
        program: Arc::new(Program::columns(&columns)),
        key_count: 1,
        order: vec![SortOptions::default(); usize::from(by_time)],
        calls: asked.into_iter().map(|(call, ..)| call).collect(),
        breaks_ties: by_time,
        completion,
        ttl: None,
    };
    OverShape {
        types: columns.iter().map(|(_, data_type)| data_type.clone()).chain(OWN).collect(),
        spec: Arc::new(spec),
        output: Arc::new(Schema::new(fields)),
        seed: 7,
        context: KernelContext::default(),
        batch_rows: 50,
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound) as i64
    }
}

/// Rows a little out of order, with watermarks between them. Floats are of quarters, so that sums are exact.
fn told(shape: &OverShape, seed: u64) -> Vec<Told> {
    let mut random = Random(seed);
    let mut told = Vec::new();
    for step in 0..12 {
        let rows = 1 + random.below(40) as usize;
        let mut some = |bound: u64| (random.below(8) > 0).then(|| random.below(bound));
        let numbers: Vec<Option<i64>> = (0..rows).map(|_| some(100)).collect();
        let floats: Vec<Option<f64>> = (0..rows).map(|_| some(64).map(|value| value as f64 / 4.0 - 5.0)).collect();
        let conditions: Vec<Option<bool>> = (0..rows).map(|_| some(3).map(|value| value > 0)).collect();
        let decimals: Vec<Option<i128>> = (0..rows).map(|_| some(9_999).map(|value| value as i128 - 4_000)).collect();
        let decimals = Decimal128Array::from(decimals).with_data_type(OWN[DECIMAL].clone());
        let own: [ArrayRef; 6] = [
            Arc::new(TimestampMillisecondArray::from_iter_values((0..rows).map(|_| step * 10 + random.below(25)))),
            Arc::new(Int64Array::from_iter_values((0..rows).map(|_| random.below(4)))),
            Arc::new(Int64Array::from(numbers)),
            Arc::new(Float64Array::from(floats)),
            Arc::new(BooleanArray::from(conditions)),
            Arc::new(decimals),
        ];
        let program = shape.spec.program.outputs.len();
        let wide = shape.spec.program.outputs.iter().map(|output| match output {
            crate::expression::Operand::Input(at) => own[*at].clone(),
            other => panic!("columns: {other:?}"),
        });
        let columns: Vec<ArrayRef> = wide.chain(own.iter().cloned()).collect();
        assert_eq!(columns.len(), program + OWN.len());
        told.push(Told::Rows(columns, Vec::new()));
        if step % 3 == 1 {
            told.push(Told::Watermark(step * 10));
        }
    }
    told.push(Told::End);
    told
}

fn check(completion: Completion, asked: fn() -> Vec<Asked>) {
    let shape = shape(completion, asked());
    let kept_up = || -> Box<dyn Operator> {
        let over = StreamOver::new(shape.clone());
        assert!(over.running.is_some(), "all of these can be kept up");
        Box::new(over)
    };
    let over_rows = || -> Box<dyn Operator> {
        let mut over = StreamOver::new(shape.clone());
        over.running = None;
        Box::new(over)
    };
    for seed in 0..30 {
        let told = told(&shape, seed);
        let (mut got, mut expected) = (outputs(kept_up, &told), outputs(over_rows, &told));
        got.sort();
        expected.sort();
        let differ = got.iter().zip(&expected).find(|(got, expected)| got != expected);
        assert_eq!((got.len(), differ), (expected.len(), None), "seed {seed}");
    }
    check_snapshots(kept_up, &told(&shape, 77));
}

#[test]
fn functions_of_rows_in_the_order_of_time() {
    check(Completion::Time { column: 0 }, by_time);
    check(Completion::Time { column: 0 }, by_ticks);
}

#[test]
fn functions_of_rows_as_they_come() {
    check(Completion::Arrival, by_rows);
}

#[test]
fn floats_that_leave_take_their_mark_along() {
    let mut over = StreamOver::new(shape(Completion::Arrival, vec![aggregated("sum", FLOAT, rows_before(1), None)]));
    let values =
        [1.0, 1e300, 1e300, 1e308, 1e308, 2.0, 3.0, f64::NAN, 1.0, f64::INFINITY, 4.0, f64::NEG_INFINITY, 5.0, 6.0];
    let floats: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; values.len()]));
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0; values.len()]));
    let conditions: ArrayRef = Arc::new(BooleanArray::from(vec![true; values.len()]));
    let decimals = new_null_array(&OWN[DECIMAL], values.len());
    let rows = vec![zeros.clone(), floats.clone(), times, zeros.clone(), zeros, floats, conditions, decimals];
    let running = over.running.as_mut().expect("a sum can be kept up");
    let numbers: Vec<i64> = (0..values.len() as i64).collect();
    let in_order = super::InOrder {
        partitions: &vec![0; values.len()],
        numbers: &numbers,
        times: None,
        sorted: None,
        partition_count: 1,
    };
    let sums = running.results(&over.shape, &rows, &in_order).expect("sums");
    let expected = (0..values.len()).map(|at| if at == 0 { values[0] } else { values[at - 1] + values[at] });
    let expected: ArrayRef = Arc::new(Float64Array::from_iter_values(expected));
    assert_eq!(format!("{:?}", sums[0]), format!("{expected:?}"));
}
