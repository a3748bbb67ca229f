//! `min` and `max` over frames that slide, by a queue of the rows that may still be the least.
//!
//! A row behind another that is not greater makes that one hopeless: it leaves the frame later. So the queue ascends, and
//! its front is the answer; each row enters once and leaves once. Source: Lemire 2006.

use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;

use super::aggregate::Aggregated;
use super::frame::{Frames, places};
use super::sorted::Sorted;
use crate::batch::Kind;
use crate::error::Result;
use crate::stream::operator::order::canonical;

/// The results of `min` and `max` of numbers, dates and times; `None` for other calls.
pub(super) fn results(call: &Aggregated<'_>, sorted: &Sorted, frames: &Frames) -> Result<Option<ArrayRef>> {
    let function = &call.call.function;
    let is_max = match function.name() {
        _ if !function.is_native() => return Ok(None),
        "min" => false,
        "max" => true,
        _ => return Ok(None),
    };
    let [arg] = call.args else { return Ok(None) };
    if matches!(Kind::of(arg.data_type()), Kind::Bool | Kind::View | Kind::Other) {
        return Ok(None);
    }
    let values = canonical(arg);
    // The greatest is the least of what descends.
    let keys = places(&values, is_max)?;
    let counts =
        |row: usize| values.is_valid(row) && call.filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
    let mut best: Vec<Option<u32>> = Vec::with_capacity(sorted.rows);
    let mut queue: VecDeque<u32> = VecDeque::new();
    sorted.each_partition(|_, first, last| {
        queue.clear();
        let mut entered = first;
        for row in first..last {
            let (start, end) = (frames.starts[row], frames.ends[row] as usize);
            while entered < end {
                if counts(entered) {
                    while queue.back().is_some_and(|&back| keys[back as usize] >= keys[entered]) {
                        queue.pop_back();
                    }
                    queue.push_back(entered as u32);
                }
                entered += 1;
            }
            while queue.front().is_some_and(|&front| front < start) {
                queue.pop_front();
            }
            best.push(queue.front().copied());
        }
    });
    Ok(Some(take(&values, &UInt32Array::from(best), None)?))
}
