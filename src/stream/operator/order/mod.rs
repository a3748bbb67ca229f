//! Rows in order: by a short number per row first, then by bytes where the numbers are equal.
//!
//! ```text
//! keys ─▶ as many bits of them as fit 64 ─▶ sort (number, row) ─▶ runs of equal numbers ─▶ whole keys as bytes ─▶ ties
//!         ranges of integers squeezed,                             only these rows are written as bytes
//!         first bytes of strings
//! ```
//! Place       behind ORDER BY and OVER, which hold the rows.
//! Invariants  `-0.0` equals `0.0`, NaN is greater than all else; rows that keys and ties leave equal keep their order.

mod prefix; // keys to numbers
mod refine; // equal numbers: by bytes

pub(super) use prefix::prefix;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::error::Result;

/// A column to order rows by, and how.
pub(super) type Key = (ArrayRef, SortOptions);

/// How ties are ordered: what it is does not matter, only that it is always the same.
const TIES: SortOptions = SortOptions { descending: false, nulls_first: false };

/// All of so many rows in order, as row numbers.
pub(super) fn order_all(rows: usize, keys: &[Key], ties: &[ArrayRef]) -> Result<Vec<u32>> {
    order((0..rows as u32).collect(), std::iter::once(0..rows).collect(), keys, ties)
}

/// The rows in order, as row numbers.
///
/// Shapes: `runs` part the rows `rows` into pieces that are ordered each by itself. `ties` order what keys leave equal.
pub(super) fn order(mut rows: Vec<u32>, runs: Vec<Range<usize>>, keys: &[Key], ties: &[ArrayRef]) -> Result<Vec<u32>> {
    let keys: Vec<Key> = keys.iter().map(|(array, options)| (canonical(array), *options)).collect();
    let mut runs = runs;
    runs.retain(|run| run.len() > 1);
    if runs.is_empty() {
        return Ok(rows);
    }
    if !keys.is_empty() {
        let numbers = prefix(&keys, keys[0].0.len());
        runs = by_number(&mut rows, runs, &numbers.numbers);
        if !numbers.is_exact {
            runs = refine::by_bytes(&mut rows, runs, &keys)?;
        }
    }
    let ties: Vec<Key> =
        ties.iter().filter(|tie| refine::is_supported(tie.data_type())).map(|tie| (tie.clone(), TIES)).collect();
    if !ties.is_empty() && !runs.is_empty() {
        refine::by_bytes(&mut rows, runs, &ties)?;
    }
    Ok(rows)
}

/// Orders the rows of each run by their numbers; the runs of equal ones that are left.
fn by_number(rows: &mut [u32], runs: Vec<Range<usize>>, numbers: &[u64]) -> Vec<Range<usize>> {
    let mut left = Vec::new();
    let mut pairs: Vec<(u64, u32)> = Vec::new();
    for run in runs {
        pairs.clear();
        pairs.extend(rows[run.clone()].iter().map(|&row| (numbers[row as usize], row)));
        // Stable, and quick where the rows are in order already, or in a few pieces that are.
        pairs.sort_by_key(|pair| pair.0);
        for (row, pair) in rows[run.clone()].iter_mut().zip(&pairs) {
            *row = pair.1;
        }
        equal_runs(run.start, pairs.len(), |at| pairs[at].0 == pairs[at - 1].0, &mut left);
    }
    left
}

/// Adds the runs of more than one row in which each row is `same` as the one before it.
fn equal_runs(first: usize, count: usize, same: impl Fn(usize) -> bool, runs: &mut Vec<Range<usize>>) {
    let mut from = 0;
    for at in 1..=count {
        if at == count || !same(at) {
            if at - from > 1 {
                runs.push(first + from..first + at);
            }
            from = at;
        }
    }
}

/// Floats with one zero and one NaN; other columns as they are.
pub(super) fn canonical(array: &ArrayRef) -> ArrayRef {
    macro_rules! floats {
        ($type:ty, $native:ty) => {{
            let plain = |value: $native| if value.is_nan() { <$native>::NAN } else { value + 0.0 };
            Arc::new(array.as_primitive::<$type>().unary::<_, $type>(plain))
        }};
    }
    match array.data_type() {
        DataType::Float32 => floats!(Float32Type, f32),
        DataType::Float64 => floats!(Float64Type, f64),
        _ => array.clone(),
    }
}

#[cfg(test)]
mod tests;
