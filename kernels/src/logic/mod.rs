//! SQL's three-valued AND and OR over bitmaps. (NOT is [`crate::bitmap::not`] of the values; validity stays.)
//!
//! Invariants  a null decides nothing: `false AND null` is false, `true OR null` is true, else null; value bits under
//!             nulls may be anything on the way in and are zero on the way out.

pub mod scalar;
mod simd;

use crate::bitmap::words;
use fearless_simd::{Level, dispatch};

/// Values and, unless there are no nulls, validity.
pub type Nullable<'a> = (&'a [u64], Option<&'a [u64]>);

/// Writes `a AND b`, values to `out` and validity to `out_validity`.
///
/// Shapes: every slice is `words(rows)` long. Panics otherwise.
pub fn and(level: Level, a: Nullable, b: Nullable, rows: usize, out: &mut [u64], out_validity: &mut [u64]) {
    check(a, b, rows, out, out_validity);
    dispatch!(level, _s => simd::combine(a, b, out, out_validity, simd::and));
    crate::bitmap::trim(out, rows);
    crate::bitmap::trim(out_validity, rows);
}

/// Writes `a OR b`, values to `out` and validity to `out_validity`.
///
/// Shapes: every slice is `words(rows)` long. Panics otherwise.
pub fn or(level: Level, a: Nullable, b: Nullable, rows: usize, out: &mut [u64], out_validity: &mut [u64]) {
    check(a, b, rows, out, out_validity);
    dispatch!(level, _s => simd::combine(a, b, out, out_validity, simd::or));
    crate::bitmap::trim(out, rows);
    crate::bitmap::trim(out_validity, rows);
}

fn check(a: Nullable, b: Nullable, rows: usize, out: &[u64], out_validity: &[u64]) {
    let count = words(rows);
    let fits = |side: Nullable| side.0.len() == count && side.1.is_none_or(|v| v.len() == count);
    assert!(fits(a) && fits(b), "the inputs cover the rows");
    assert!(out.len() == count && out_validity.len() == count, "the outputs cover the rows");
}
