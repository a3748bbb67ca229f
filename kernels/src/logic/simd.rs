//! One body for every width: known-true and known-false bits, a word at a time.

use super::Nullable;

/// The bits that are certainly true, and those that are certainly false.
pub type Known = (u64, u64);

#[inline(always)]
pub fn and(a: Known, b: Known) -> Known {
    (a.0 & b.0, a.1 | b.1)
}

#[inline(always)]
pub fn or(a: Known, b: Known) -> Known {
    (a.0 | b.0, a.1 & b.1)
}

#[inline(always)]
pub fn combine(
    a: Nullable,
    b: Nullable,
    out: &mut [u64],
    out_validity: &mut [u64],
    op: impl Fn(Known, Known) -> Known + Copy,
) {
    match (a.1, b.1) {
        (None, None) => each(a.0, a.0, b.0, b.0, out, out_validity, |a, _, b, _| op((a, !a), (b, !b))),
        (Some(av), None) => each(a.0, av, b.0, b.0, out, out_validity, |a, av, b, _| op(known(a, av), (b, !b))),
        (None, Some(bv)) => each(a.0, a.0, b.0, bv, out, out_validity, |a, _, b, bv| op((a, !a), known(b, bv))),
        (Some(av), Some(bv)) => {
            each(a.0, av, b.0, bv, out, out_validity, |a, av, b, bv| op(known(a, av), known(b, bv)));
        }
    }
}

#[inline(always)]
fn known(value: u64, validity: u64) -> Known {
    (value & validity, !value & validity)
}

#[inline(always)]
fn each(
    a: &[u64],
    a_validity: &[u64],
    b: &[u64],
    b_validity: &[u64],
    out: &mut [u64],
    out_validity: &mut [u64],
    op: impl Fn(u64, u64, u64, u64) -> Known,
) {
    let left = a.iter().zip(a_validity);
    let right = b.iter().zip(b_validity);
    for ((out, valid), ((a, av), (b, bv))) in out.iter_mut().zip(out_validity).zip(left.zip(right)) {
        let (yes, no) = op(*a, *av, *b, *bv);
        *out = yes;
        *valid = yes | no;
    }
}
