//! The plain truth, a value at a time.

use crate::bitmap::get;
use crate::number::Number;

/// Returns the values that are not null.
pub fn valid<T: Copy>(values: &[T], validity: Option<&[u64]>) -> impl Iterator<Item = T> {
    values.iter().enumerate().filter(move |(i, _)| validity.is_none_or(|v| get(v, *i))).map(|(_, &value)| value)
}

/// See [`super::sum_int`].
pub fn sum_int<T: Number + TryInto<i128>>(values: &[T], validity: Option<&[u64]>) -> i128 {
    valid(values, validity).map(|v| v.try_into().ok().expect("at most 64 bits")).sum()
}

/// Sums in the order of the rows, unlike [`super::sum_f64`]: the same number only up to the error of both.
pub fn sum_f64(values: &[f64], validity: Option<&[u64]>) -> f64 {
    valid(values, validity).sum()
}

/// See [`super::min`].
pub fn min<T: Number>(values: &[T], validity: Option<&[u64]>) -> Option<T> {
    valid(values, validity).reduce(|best, value| if value.less(best) { value } else { best })
}

/// See [`super::max`].
pub fn max<T: Number>(values: &[T], validity: Option<&[u64]>) -> Option<T> {
    valid(values, validity).reduce(|best, value| if best.less(value) { value } else { best })
}
