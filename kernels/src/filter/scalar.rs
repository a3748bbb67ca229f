//! The plain truth, a row at a time.

use crate::bitmap::get;

/// See [`super::compress`].
pub fn compress<T: Copy>(values: &[T], mask: &[u64], out: &mut Vec<T>) -> usize {
    *out = values.iter().enumerate().filter(|(i, _)| get(mask, *i)).map(|(_, &value)| value).collect();
    out.len()
}
