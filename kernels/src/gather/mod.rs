//! The rows of a list, in the order of the list; and back.
//!
//! Invariants  each list is checked against the column once per call, before anything is read or written.
//!
//! There is no SIMD tier: gather instructions are no faster than loads on the CPUs we know (measured on probes of hash
//! tables, where they lost).

pub mod scalar;

use fearless_simd::dispatch;

/// Makes `out` the values at the listed rows. Panics when a row lies past the values.
///
/// Rows that follow each other without a gap are copied at once: parts of batches in order of time are such.
pub fn take<T: Copy>(values: &[T], rows: &[u16], out: &mut Vec<T>) {
    out.clear();
    match rows.first().map(|&first| usize::from(first)) {
        Some(first) if is_run(rows) => {
            assert!(first + rows.len() <= values.len(), "each row has a value");
            out.extend_from_slice(&values[first..first + rows.len()]);
        }
        _ => append(values, rows, out),
    }
}

/// Whether each row is the one behind the row before it.
fn is_run(rows: &[u16]) -> bool {
    let (Some(&first), Some(&last)) = (rows.first(), rows.last()) else { return false };
    // Looked at whole only where the ends agree.
    usize::from(last) + 1 == usize::from(first) + rows.len()
        && dispatch!(crate::level::detect(), _s => all_follow(rows, first))
}

#[inline(always)]
fn all_follow(rows: &[u16], first: u16) -> bool {
    let mut follow = true;
    for (at, &row) in rows.iter().enumerate() {
        follow &= row == first.wrapping_add(at as u16);
    }
    follow
}

/// Adds the values at the listed rows behind what `out` holds. Panics when a row lies past the values.
pub fn append<T: Copy>(values: &[T], rows: &[u16], out: &mut Vec<T>) {
    let greatest = dispatch!(crate::level::detect(), _s => greatest(rows));
    assert!(greatest.is_none_or(|row| usize::from(row) < values.len()), "each row has a value");
    // SAFETY: the line above.
    out.extend(rows.iter().map(|&row| unsafe { *values.get_unchecked(usize::from(row)) }));
}

/// Makes `out` the values at the listed indexes. Panics when an index lies past the values.
pub fn take_u32<T: Copy>(values: &[T], indexes: &[u32], out: &mut Vec<T>) {
    out.clear();
    append_u32(values, indexes, out);
}

/// Adds the values at the listed indexes behind what `out` holds. Panics when an index lies past the values.
pub fn append_u32<T: Copy>(values: &[T], indexes: &[u32], out: &mut Vec<T>) {
    let greatest = dispatch!(crate::level::detect(), _s => greatest(indexes));
    assert!(greatest.is_none_or(|index| (index as usize) < values.len()), "each index has a value");
    // SAFETY: the line above.
    out.extend(indexes.iter().map(|&index| unsafe { *values.get_unchecked(index as usize) }));
}

/// Writes `values[i]` to `out[rows[i]]`, the later one where a row is listed twice: what [`take`] took, put back.
///
/// Shapes: `values` and `rows` of one length. Panics otherwise, or when a row lies past `out`.
pub fn scatter<T: Copy>(values: &[T], rows: &[u16], out: &mut [T]) {
    assert_eq!(values.len(), rows.len(), "a row for each value");
    let greatest = dispatch!(crate::level::detect(), _s => greatest(rows));
    assert!(greatest.is_none_or(|row| usize::from(row) < out.len()), "each row has a place");
    for (&value, &row) in values.iter().zip(rows) {
        // SAFETY: the line above the loop.
        unsafe { *out.get_unchecked_mut(usize::from(row)) = value };
    }
}

/// Returns the greatest of the indexes.
pub fn greatest_u32(indexes: &[u32]) -> Option<u32> {
    dispatch!(crate::level::detect(), _s => greatest(indexes))
}

/// A bare loop: `Iterator::max` calls a function per item where it is not compiled for the level.
#[inline(always)]
fn greatest<I: Copy + Ord>(indexes: &[I]) -> Option<I> {
    let mut greatest = *indexes.first()?;
    for &index in indexes {
        greatest = if index > greatest { index } else { greatest };
    }
    Some(greatest)
}
