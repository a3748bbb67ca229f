//! A column to one value per group: state arrays, indexed by the group number of each row.
//!
//! Invariants  every group number is checked against the states once per call, before any state changes; rows under
//!             nulls touch no state.
//!
//! There is no SIMD tier: a row is a load, an operation and a store at a place that only its group number knows.
//! Large state arrays are asked for some rows ahead. A weighted variant takes `changes`, the signed number of times
//! that each row counts: -1 takes back what +1 brought.

pub mod scalar;
mod unchecked;

use crate::bitmap;
use crate::number::Number;

/// Adds 1 to the count of each valid row's group.
///
/// Shapes: `validity` covers the groups. Panics when a group has no state.
pub fn count(groups: &[u32], validity: Option<&[u64]>, counts: &mut [i64]) {
    update(groups, validity, counts, |count, _| *count += 1);
}

/// Adds each valid row's change to the count of its group; see [`count`].
pub fn count_weighted(groups: &[u32], validity: Option<&[u64]>, changes: &[i8], counts: &mut [i64]) {
    let changes = cover(changes, groups);
    update(groups, validity, counts, |count, row| *count += i64::from(changes[row]));
}

/// Adds each valid value to the sum of its group, in 128 bits.
///
/// Shapes: `values` and `groups` of one length, `validity` covers them. Panics otherwise, or when a group has no state.
pub fn sum_i64(groups: &[u32], values: &[i64], validity: Option<&[u64]>, sums: &mut [i128]) {
    let values = cover(values, groups);
    update(groups, validity, sums, |sum, row| *sum += i128::from(values[row]));
}

/// Adds each valid value, as often as its change says; see [`sum_i64`].
pub fn sum_i64_weighted(groups: &[u32], values: &[i64], validity: Option<&[u64]>, changes: &[i8], sums: &mut [i128]) {
    let (values, changes) = (cover(values, groups), cover(changes, groups));
    update(groups, validity, sums, |sum, row| *sum += i128::from(values[row]) * i128::from(changes[row]));
}

/// Adds each valid value to the sum of its group, in 64 bits, or returns the first row that overflows.
///
/// After a fault the sums hold nothing of use. Shapes and panics as in [`sum_i64`].
pub fn sum_i64_checked(
    groups: &[u32],
    values: &[i64],
    validity: Option<&[u64]>,
    sums: &mut [i64],
) -> Result<(), usize> {
    let values = cover(values, groups);
    let mut fault = usize::MAX;
    update(groups, validity, sums, |sum, row| {
        let (next, overflow) = sum.overflowing_add(values[row]);
        *sum = next;
        fault = if overflow { fault.min(row) } else { fault };
    });
    if fault == usize::MAX { Ok(()) } else { Err(fault) }
}

/// Adds each valid value, as often as its change says, or returns the first row that overflows; see
/// [`sum_i64_checked`].
pub fn sum_i64_checked_weighted(
    groups: &[u32],
    values: &[i64],
    validity: Option<&[u64]>,
    changes: &[i8],
    sums: &mut [i64],
) -> Result<(), usize> {
    let (values, changes) = (cover(values, groups), cover(changes, groups));
    let mut fault = usize::MAX;
    update(groups, validity, sums, |sum, row| {
        let next = i128::from(*sum) + i128::from(values[row]) * i128::from(changes[row]);
        *sum = next as i64;
        fault = if i128::from(*sum) == next { fault } else { fault.min(row) };
    });
    if fault == usize::MAX { Ok(()) } else { Err(fault) }
}

/// Adds each valid value to the sum of its group, in the order of the rows. Shapes and panics as in [`sum_i64`].
pub fn sum_f64(groups: &[u32], values: &[f64], validity: Option<&[u64]>, sums: &mut [f64]) {
    let values = cover(values, groups);
    update(groups, validity, sums, |sum, row| *sum += values[row]);
}

/// Adds each valid value times its change to the sum of its group; see [`sum_f64`].
pub fn sum_f64_weighted(groups: &[u32], values: &[f64], validity: Option<&[u64]>, changes: &[i8], sums: &mut [f64]) {
    let (values, changes) = (cover(values, groups), cover(changes, groups));
    update(groups, validity, sums, |sum, row| *sum += values[row] * f64::from(changes[row]));
}

/// Keeps the least valid value of each group in `best`, and in `seen` the groups that have one.
///
/// Shapes: `values` and `groups` of one length, `validity` covers them, `seen` holds a bit per state. Panics
/// otherwise, or when a group has no state. `best` counts only where `seen` is set.
pub fn min<T: Number>(groups: &[u32], values: &[T], validity: Option<&[u64]>, best: &mut [T], seen: &mut [u64]) {
    keep(groups, values, validity, best, seen, |value, best| value.less(best));
}

/// Keeps the greatest valid value of each group in `best`, and in `seen` the groups that have one; see [`min`].
pub fn max<T: Number>(groups: &[u32], values: &[T], validity: Option<&[u64]>, best: &mut [T], seen: &mut [u64]) {
    keep(groups, values, validity, best, seen, |value, best| best.less(value));
}

/// Calls `step` with the state of each valid row's group and the row, in the order of the rows.
///
/// The loop behind all others, for states of a caller's own shape (several aggregates side by side in one state cost
/// one miss instead of several). Shapes: `validity` covers the groups. Panics when a group has no state.
#[inline]
pub fn update<S>(groups: &[u32], validity: Option<&[u64]>, states: &mut [S], step: impl FnMut(&mut S, usize)) {
    assert!(validity.is_none_or(|v| v.len() >= bitmap::words(groups.len())), "the validity covers the rows");
    assert!(unchecked::all_below(groups, states.len()), "each group has a state");
    // SAFETY: the line above.
    unsafe { unchecked::update(groups, validity, states, step) }
}

fn keep<T: Number>(
    groups: &[u32],
    values: &[T],
    validity: Option<&[u64]>,
    best: &mut [T],
    seen: &mut [u64],
    better: impl Fn(T, T) -> bool,
) {
    let values = cover(values, groups);
    assert!(seen.len() >= bitmap::words(best.len()), "a bit for each state");
    // The bits first, so that the loop over the values only compares: an unseen group takes its first value at once.
    update(groups, validity, best, |best, row| {
        let group = groups[row] as usize;
        let new = !bitmap::get(seen, group);
        let value = values[row];
        if new | better(value, *best) {
            *best = value;
            bitmap::set(seen, group);
        }
    });
}

fn cover<'a, T>(values: &'a [T], groups: &[u32]) -> &'a [T] {
    assert_eq!(values.len(), groups.len(), "columns of one length");
    values
}
