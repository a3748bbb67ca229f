//! The plain truth: `Option<bool>` a row at a time.

use super::Nullable;
use crate::bitmap::{get, set};

/// See [`super::and`].
pub fn and(a: Nullable, b: Nullable, rows: usize, out: &mut [u64], out_validity: &mut [u64]) {
    rowwise(a, b, rows, out, out_validity, |a, b| match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    });
}

/// See [`super::or`].
pub fn or(a: Nullable, b: Nullable, rows: usize, out: &mut [u64], out_validity: &mut [u64]) {
    rowwise(a, b, rows, out, out_validity, |a, b| match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    });
}

fn rowwise(
    a: Nullable,
    b: Nullable,
    rows: usize,
    out: &mut [u64],
    out_validity: &mut [u64],
    op: impl Fn(Option<bool>, Option<bool>) -> Option<bool>,
) {
    out.fill(0);
    out_validity.fill(0);
    let value = |side: Nullable, i| side.1.is_none_or(|v| get(v, i)).then(|| get(side.0, i));
    for i in 0..rows {
        if let Some(bit) = op(value(a, i), value(b, i)) {
            set(out_validity, i);
            if bit {
                set(out, i);
            }
        }
    }
}
