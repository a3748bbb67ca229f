//! The frame of each row: which sorted rows around it a function sees.

use arrow::array::{Array, ArrayRef, AsArray, Scalar};
use arrow::compute::SortOptions;
use arrow::compute::kernels::{cast, numeric};
use arrow::datatypes::*;
use std::sync::Arc;

use super::sorted::Sorted;
use crate::batch::{Fixed, Kind, float};
use crate::error::{Error, Result};
use crate::pipeline::{Frame, FrameBound, FrameOffset, FrameUnits};

/// A frame per row; a frame whose end is not behind its start has no rows.
pub(super) struct Frames {
    pub starts: Vec<u32>,
    pub ends: Vec<u32>,
    /// Whether every frame starts with its partition.
    pub from_first: bool,
}

/// Which side of a frame a bound is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Start,
    End,
}

/// Finds the frames of all rows.
pub(super) fn frames(sorted: &Sorted, frame: &Frame, order: &[SortOptions]) -> Result<Frames> {
    let starts = edges(sorted, frame, frame.start, Side::Start, order)?;
    let mut ends = edges(sorted, frame, frame.end, Side::End, order)?;
    for (start, end) in starts.iter().zip(&mut ends) {
        *end = (*end).max(*start);
    }
    Ok(Frames { starts, ends, from_first: frame.start == FrameBound::Unbounded })
}

fn edges(sorted: &Sorted, frame: &Frame, bound: FrameBound, side: Side, order: &[SortOptions]) -> Result<Vec<u32>> {
    match (frame.units, bound) {
        (_, FrameBound::Unbounded) => Ok(of_partitions(sorted, side)),
        (FrameUnits::Rows, _) => of_rows(sorted, bound, side),
        (FrameUnits::Range | FrameUnits::Groups, FrameBound::CurrentRow) => Ok(of_groups(sorted, 0, side)),
        (FrameUnits::Groups, _) => Ok(of_groups(sorted, count(bound)?, side)),
        (FrameUnits::Range, _) => of_range(sorted, bound, side, order),
    }
}

/// A bound in rows or groups: how many behind the row, negative before it.
fn count(bound: FrameBound) -> Result<i64> {
    let clamp = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    match bound {
        FrameBound::CurrentRow => Ok(0),
        FrameBound::Preceding(FrameOffset::Count(count)) => Ok(-clamp(count)),
        FrameBound::Following(FrameOffset::Count(count)) => Ok(clamp(count)),
        other => Err(Error::bug(format!("a frame of rows or groups is counted: {other:?}"))),
    }
}

fn of_partitions(sorted: &Sorted, side: Side) -> Vec<u32> {
    let mut edges = Vec::with_capacity(sorted.rows);
    sorted.each_partition(|_, start, end| edges.resize(end, if side == Side::Start { start } else { end } as u32));
    edges
}

fn of_rows(sorted: &Sorted, bound: FrameBound, side: Side) -> Result<Vec<u32>> {
    let shift = count(bound)?.saturating_add(i64::from(side == Side::End));
    let mut edges = Vec::with_capacity(sorted.rows);
    sorted.each_partition(|_, start, end| {
        let place = |row: usize| (row as i64).saturating_add(shift).clamp(start as i64, end as i64) as u32;
        edges.extend((start..end).map(place));
    });
    Ok(edges)
}

/// Edges that are those of the group of peers `shift` groups on.
fn of_groups(sorted: &Sorted, shift: i64, side: Side) -> Vec<u32> {
    let mut edges = Vec::with_capacity(sorted.rows);
    let mut first_group = 0;
    let mut group = 0;
    sorted.each_partition(|_, start, end| {
        debug_assert_eq!(sorted.peers[group] as usize, start, "a partition begins a group of peers");
        first_group = group;
        let last_group = first_group + sorted.peers[first_group..].partition_point(|&peer| (peer as usize) < end);
        while group < last_group {
            let wanted = (group as i64).saturating_add(shift).saturating_add(i64::from(side == Side::End));
            let wanted = wanted.clamp(first_group as i64, last_group as i64) as usize;
            edges.resize(sorted.peers[group + 1] as usize, sorted.peers[wanted]);
            group += 1;
        }
    });
    edges
}

/// Edges at a distance of the one ORDER BY key.
fn of_range(sorted: &Sorted, bound: FrameBound, side: Side, order: &[SortOptions]) -> Result<Vec<u32>> {
    let ([column], [options]) = (sorted.order.as_slice(), order) else {
        return Err(Error::bug("RANGE with a distance has one ORDER BY key"));
    };
    let keys = places(column, options.descending)?;
    let targets = targets(column, &keys, bound, options.descending)?;
    let mut edges = Vec::with_capacity(sorted.rows);
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    sorted.each_partition(|_, start, end| {
        // Nulls are at one end, peers of each other and near no value.
        let first = start + (start..end).take_while(|&row| options.nulls_first && is_null(row)).count();
        let last = end - (first..end).rev().take_while(|&row| is_null(row)).count();
        let null_edge = |from: usize, to: usize| if side == Side::Start { from } else { to } as u32;
        edges.resize(first, null_edge(start, first));
        let mut at = first;
        for &target in &targets[first..last] {
            let before = |key: i128| if side == Side::Start { key < target } else { key <= target };
            while at < last && before(keys[at]) {
                at += 1;
            }
            edges.push(at as u32);
        }
        edges.resize(end, null_edge(last, end));
    });
    Ok(edges)
}

/// The values as numbers that ascend with the sorted rows; those under nulls mean nothing.
pub(super) fn places(column: &ArrayRef, descending: bool) -> Result<Vec<i128>> {
    fn whole<T: Fixed + Into<i128>>(column: &ArrayRef) -> Option<Vec<i128>> {
        Some(T::of_array(column.as_ref())?.iter().map(|&value| value.into()).collect())
    }
    let numbers = match Kind::of(column.data_type()) {
        Kind::I8 => whole::<i8>(column),
        Kind::I16 => whole::<i16>(column),
        Kind::I32 => whole::<i32>(column),
        Kind::I64 => whole::<i64>(column),
        Kind::U8 => whole::<u8>(column),
        Kind::U16 => whole::<u16>(column),
        Kind::U32 => whole::<u32>(column),
        Kind::U64 => whole::<u64>(column),
        Kind::I128 => whole::<i128>(column),
        Kind::F32 | Kind::F64 => Some(floats(column)?.iter().map(|&value| float_place(value)).collect()),
        Kind::Bool | Kind::View | Kind::Other => None,
    };
    let mut numbers = numbers.ok_or_else(|| {
        Error::user(format!(
            "RANGE with a distance needs a number, a date or a time to order by: {}",
            column.data_type()
        ))
    })?;
    if descending {
        numbers.iter_mut().for_each(|number| *number = number.wrapping_neg());
    }
    Ok(numbers)
}

fn floats(column: &ArrayRef) -> Result<Vec<f64>> {
    Ok(match column.as_primitive_opt::<Float64Type>() {
        Some(floats) => floats.values().to_vec(),
        None => cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().values().to_vec(),
    })
}

/// A float as a whole number in the order of floats, NaN last.
fn float_place(value: f64) -> i128 {
    i128::from(float(value))
}

/// Where the bound of each row lies, in the numbers of `places`.
fn targets(column: &ArrayRef, keys: &[i128], bound: FrameBound, descending: bool) -> Result<Vec<i128>> {
    let (offset, before) = match bound {
        FrameBound::Preceding(offset) => (offset, true),
        FrameBound::Following(offset) => (offset, false),
        other => return Err(Error::bug(format!("this bound has no distance: {other:?}"))),
    };
    match offset {
        FrameOffset::Ticks(ticks) => {
            let ticks = if before { -ticks } else { ticks };
            Ok(keys.iter().map(|key| key.saturating_add(ticks)).collect())
        }
        FrameOffset::Float(distance) => {
            // Before a row of a descending order lie greater values.
            let distance = if before == descending { distance } else { -distance };
            let sign = |place: i128| if descending { -place } else { place };
            Ok(floats(column)?.iter().map(|value| sign(float_place(value + distance))).collect())
        }
        FrameOffset::Calendar(interval) => {
            let interval = Scalar::new(Arc::new(IntervalMonthDayNanoArray::from(vec![interval])) as ArrayRef);
            let moved = match before == descending {
                true => numeric::add(column, &interval),
                false => numeric::sub(column, &interval),
            };
            let moved = moved.map_err(|e| Error::user(format!("the bound of a RANGE frame is no date: {e}")))?;
            let moved = if moved.data_type() == column.data_type() { moved } else { cast(&moved, column.data_type())? };
            places(&moved, descending)
        }
        FrameOffset::Count(_) => Err(Error::bug("RANGE is measured, not counted")),
    }
}

type IntervalMonthDayNanoArray = arrow::array::PrimitiveArray<IntervalMonthDayNanoType>;
