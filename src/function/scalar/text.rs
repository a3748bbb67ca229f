//! Comparing strings and bytes by their views: four bytes of each are at hand without following a pointer.
//!
//! Invariants  the order is that of the bytes. Up to 12 bytes are in the view itself, padded with zeros, so two short
//!             strings are equal when their views are, and ordered by their bytes, then by their length.

use std::cmp::Ordering;

use millstream_kernels::compare::{self, Op};
use millstream_kernels::level::Level;

use super::write;
use crate::batch::{Argument, Strings};
use crate::error::Result;

/// Strings of up to this many bytes are in their view.
pub(in crate::function) const INLINE: u32 = 12;

/// Writes `a op b` of every row as bits.
pub(super) fn bits(level: Level, op: Op, args: &[Argument<'_>], rows: usize, out: &mut [u64]) -> Result<()> {
    let (a, b) = (args[0].strings()?, args[1].strings()?);
    match (args[0].is_constant(), args[1].is_constant()) {
        (false, false) => columns(op, a, b, rows, out),
        (false, true) => constant(level, op, a, b, rows, out),
        (true, false) => constant(level, op.swapped(), b, a, rows, out),
        (true, true) => write::fill_bits(rows, out, holds(op, order_rows(a, 0, b, 0))),
    }
    Ok(())
}

fn columns(op: Op, a: Strings<'_>, b: Strings<'_>, rows: usize, out: &mut [u64]) {
    match op {
        Op::Eq => write::bits_of(rows, out, |row| same(a, row, b, row)),
        Op::Ne => write::bits_of(rows, out, |row| !same(a, row, b, row)),
        Op::Lt => write::bits_of(rows, out, |row| order_rows(a, row, b, row).is_lt()),
        Op::Le => write::bits_of(rows, out, |row| order_rows(a, row, b, row).is_le()),
        Op::Gt => write::bits_of(rows, out, |row| order_rows(a, row, b, row).is_gt()),
        Op::Ge => write::bits_of(rows, out, |row| order_rows(a, row, b, row).is_ge()),
    }
}

fn constant(level: Level, op: Op, a: Strings<'_>, constant: Strings<'_>, rows: usize, out: &mut [u64]) {
    let view = constant.views[0];
    match op {
        Op::Eq | Op::Ne if length(view) <= INLINE => compare::constant(level, op, &a.views[..rows], view, out),
        Op::Eq => write::bits_of(rows, out, |row| same(a, row, constant, 0)),
        Op::Ne => write::bits_of(rows, out, |row| !same(a, row, constant, 0)),
        Op::Lt => write::bits_of(rows, out, |row| order_rows(a, row, constant, 0).is_lt()),
        Op::Le => write::bits_of(rows, out, |row| order_rows(a, row, constant, 0).is_le()),
        Op::Gt => write::bits_of(rows, out, |row| order_rows(a, row, constant, 0).is_gt()),
        Op::Ge => write::bits_of(rows, out, |row| order_rows(a, row, constant, 0).is_ge()),
    }
}

/// Whether two strings are equal.
#[inline(always)]
fn same(a: Strings<'_>, row: usize, b: Strings<'_>, other: usize) -> bool {
    let (left, right) = (a.views[row], b.views[other]);
    // Length and prefix first; of strings in their views, that leaves the other half of the view.
    left as u64 == right as u64
        && (left == right && length(left) <= INLINE || length(left) > INLINE && a.bytes(row) == b.bytes(other))
}

#[inline(always)]
fn order_rows(a: Strings<'_>, row: usize, b: Strings<'_>, other: usize) -> Ordering {
    order(a.views[row], b.views[other], || a.bytes(row), || b.bytes(other))
}

/// How two strings are ordered, by their views as far as these tell. Of long ones only length and prefix are looked at.
#[inline(always)]
pub(in crate::function) fn order<'a, 'b>(
    left: u128,
    right: u128,
    left_bytes: impl FnOnce() -> &'a [u8],
    right_bytes: impl FnOnce() -> &'b [u8],
) -> Ordering {
    let (left_prefix, right_prefix) = (prefix(left), prefix(right));
    if left_prefix != right_prefix {
        return left_prefix.cmp(&right_prefix);
    }
    if length(left) <= INLINE && length(right) <= INLINE {
        return short_key(left).cmp(&short_key(right));
    }
    left_bytes().cmp(right_bytes())
}

/// How many bytes a view stands for.
#[inline(always)]
pub(in crate::function) fn length(view: u128) -> u32 {
    view as u32
}

/// The first four bytes as a number that is ordered like them.
#[inline(always)]
fn prefix(view: u128) -> u32 {
    ((view >> 32) as u32).swap_bytes()
}

/// The bytes of a short string, then its length, as a number that is ordered like them.
#[inline(always)]
fn short_key(view: u128) -> u128 {
    (view >> 32).swap_bytes() | u128::from(length(view))
}

fn holds(op: Op, order: Ordering) -> bool {
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
    }
}
