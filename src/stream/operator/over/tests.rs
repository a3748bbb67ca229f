//! Snapshots: stopped anywhere and taken up by a fresh operator, the same leaves. What is kept falls when it may.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::{Over, OverShape, StreamOver, UpdatingOver};
use crate::batch::Change;
use crate::expression::Program;
use crate::function::{KernelContext, aggregate};
use crate::pipeline::{
    AggregateCall, Completion, Frame, FrameBound, FrameOffset, FrameUnits, OverCall, OverFunction, OverSpec,
};
use crate::stream::operator::Operator;
use crate::stream::operator::testing::{Alone, Told, check_snapshots, outputs};

/// Columns of the rows themselves: time, key, number.
const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn sum(frame: Frame) -> OverCall {
    let types = vec![DataType::Int64];
    let function = aggregate::resolve("sum", &types, &DataType::Int64).expect("a sum");
    let text = "sum(n)".to_string();
    let call =
        AggregateCall { function, arg_count: 1, arg_types: types, distinct: false, filtered: false, of: None, text };
    OverCall { function: OverFunction::Aggregate(call), frame, arg_count: 1, filtered: false, text: "sum".to_string() }
}

fn call(function: OverFunction, arg_count: usize) -> OverCall {
    let frame = Frame { units: FrameUnits::Range, start: FrameBound::Unbounded, end: FrameBound::CurrentRow };
    OverCall { function, frame, arg_count, filtered: false, text: String::new() }
}

/// Sums over a frame that grows and one of three rows, a lead, a number; by key, ordered by time.
fn shape(completion: Completion) -> OverShape {
    let rows = |count| FrameBound::Preceding(FrameOffset::Count(count));
    let calls = vec![
        sum(Frame { units: FrameUnits::Range, start: FrameBound::Unbounded, end: FrameBound::CurrentRow }),
        sum(Frame { units: FrameUnits::Rows, start: rows(2), end: FrameBound::CurrentRow }),
        call(OverFunction::Lag { offset: -1, default: None, ignores_nulls: false }, 1),
        call(OverFunction::RowNumber, 0),
    ];
    let own = [TIME, DataType::Int64, DataType::Int64];
    let wide = [(1, &own[1]), (0, &own[0]), (2, &own[2]), (2, &own[2]), (2, &own[2])];
    let columns: Vec<(usize, DataType)> = wide.iter().map(|(at, data_type)| (*at, (*data_type).clone())).collect();
    let program = Arc::new(Program::columns(&columns));
    let spec = OverSpec {
        program,
        key_count: 1,
        order: vec![SortOptions::default()],
        calls,
        breaks_ties: true,
        completion,
        ttl: None,
    };
    let types = columns.iter().map(|(_, data_type)| data_type.clone()).chain(own.iter().cloned()).collect();
    let results = [DataType::Int64, DataType::Int64, DataType::Int64, DataType::UInt64];
    let fields = own.iter().chain(&results).enumerate();
    let fields: Vec<Field> =
        fields.map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true)).collect();
    OverShape {
        spec: Arc::new(spec),
        types,
        output: Arc::new(Schema::new(fields)),
        seed: 7,
        context: KernelContext::default(),
        batch_rows: 3,
    }
}

fn rows(rows: &[(i64, i64, i64)]) -> Vec<ArrayRef> {
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.0)));
    let key: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2)));
    vec![key.clone(), time.clone(), n.clone(), n.clone(), n.clone(), time, key, n]
}

/// Rows a little out of order, with watermarks between them.
fn told() -> Vec<Told> {
    let mut told = Vec::new();
    for step in 0..8i64 {
        let batch: Vec<(i64, i64, i64)> =
            (0..5).map(|row| (step * 10 + row * 7 % 20, (step + row) % 3, step * 5 + row)).collect();
        told.push(Told::Rows(rows(&batch), Vec::new()));
        if step % 2 == 1 {
            told.push(Told::Watermark(step * 10));
        }
    }
    told.push(Told::End);
    told
}

#[test]
fn streams_go_on_from_a_snapshot() {
    check_snapshots(|| Box::new(StreamOver::new(shape(Completion::Time { column: 0 }))), &told());
    check_snapshots(|| Box::new(StreamOver::new(shape(Completion::Arrival))), &told());
}

#[test]
fn gathered_rows_go_on_from_a_snapshot() {
    check_snapshots(|| Box::new(Over::new(shape(Completion::End))), &told());
    // The key tells the end of a window.
    let batches = [[(1, 20, 5), (2, 30, 6), (3, 20, 7)], [(4, 30, 8), (5, 40, 9), (6, 40, 1)]];
    let told = [
        Told::Rows(rows(&batches[0]), Vec::new()),
        Told::Watermark(20),
        Told::Rows(rows(&batches[1]), Vec::new()),
        Told::Watermark(35),
        Told::End,
    ];
    let make = || -> Box<dyn Operator> { Box::new(Over::new(shape(Completion::Window { column: 0, to_end: 0 }))) };
    check_snapshots(make, &told);
    let lines = outputs(make, &told[..2]);
    assert_eq!(lines.len(), 2, "the window that ends at 20 has closed: {lines:?}");
}

#[test]
fn changing_partitions_go_on_from_a_snapshot() {
    let told = [
        Told::Rows(rows(&[(1, 1, 10), (2, 1, 20), (3, 2, 30)]), Vec::new()),
        Told::Rows(rows(&[(2, 1, 20), (2, 1, 25)]), vec![Change::UPDATE_BEFORE, Change::UPDATE_AFTER]),
        Told::Rows(rows(&[(3, 2, 30)]), vec![Change::DELETE]),
        Told::Rows(rows(&[(0, 1, 1)]), Vec::new()),
        Told::End,
    ];
    let make = || -> Box<dyn Operator> {
        Box::new(UpdatingOver::new(shape(Completion::Changes)).expect("columns that can be written"))
    };
    check_snapshots(make, &told);
}

#[test]
fn what_no_frame_reaches_is_dropped() {
    let mut spec = shape(Completion::Time { column: 0 });
    let over = Arc::make_mut(&mut spec.spec);
    over.calls.retain(|call| !matches!(call.function, OverFunction::Lag { .. }));
    let mut alone = Alone::new(Box::new(StreamOver::new(spec)));
    let mut most = 0;
    for step in 0..200i64 {
        let batch: Vec<(i64, i64, i64)> = (0..50).map(|row| (step * 50 + row, row % 5, row)).collect();
        alone.tell(&Told::Rows(rows(&batch), Vec::new()));
        alone.tell(&Told::Watermark(step * 50 + 50));
        let bytes = alone.size_bytes();
        if step == 20 {
            most = bytes;
        }
        assert!(step <= 20 || bytes <= 2 * most, "state grows: {bytes} after step {step}, {most} after 20");
    }
}
