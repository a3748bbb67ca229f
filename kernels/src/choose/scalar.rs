//! The plain truth.

use crate::bitmap::get;

/// See [`super::column`].
pub fn column<T: Copy>(mask: &[u64], values: &[T], out: &mut [T]) {
    out.iter_mut().enumerate().filter(|(row, _)| get(mask, *row)).for_each(|(row, out)| *out = values[row]);
}

/// See [`super::constant`].
pub fn constant<T: Copy>(mask: &[u64], value: T, out: &mut [T]) {
    out.iter_mut().enumerate().filter(|(row, _)| get(mask, *row)).for_each(|(_, out)| *out = value);
}
