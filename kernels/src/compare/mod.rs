//! Two columns, or a column and a constant, to one bit per row.
//!
//! Invariants  the order is [`Number`]'s: NaN equals NaN and is greater than everything, -0.0 equals 0.0. Rows under
//!             nulls are compared too; the caller keeps the validity.
//!
//! Two loops do for six operators: `a > b` is `b < a`, and the other half is the opposite of these.

pub mod scalar;
pub(crate) mod simd;

use crate::bitmap::{trim, words};
use crate::number::Number;
use fearless_simd::{Level, dispatch};
use simd::{GREATER, LESS, SAME};

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `a = b`
    Eq,
    /// `a <> b`
    Ne,
    /// `a < b`
    Lt,
    /// `a <= b`
    Le,
    /// `a > b`
    Gt,
    /// `a >= b`
    Ge,
}

impl Op {
    /// Returns the operator that says the same with the sides swapped: `a < b` is `b > a`.
    pub const fn swapped(self) -> Op {
        match self {
            Op::Lt => Op::Gt,
            Op::Le => Op::Ge,
            Op::Gt => Op::Lt,
            Op::Ge => Op::Le,
            same => same,
        }
    }

    /// Returns the operator that says the opposite (nulls apart): `a < b` against `a >= b`.
    pub const fn negated(self) -> Op {
        match self {
            Op::Eq => Op::Ne,
            Op::Ne => Op::Eq,
            Op::Lt => Op::Ge,
            Op::Le => Op::Gt,
            Op::Gt => Op::Le,
            Op::Ge => Op::Lt,
        }
    }

    /// The word to flip results with: `Ne`, `Le` and `Ge` are computed as their opposites.
    pub(crate) const fn flip(self) -> u64 {
        match self {
            Op::Eq | Op::Lt | Op::Gt => 0,
            Op::Ne | Op::Le | Op::Ge => u64::MAX,
        }
    }
}

/// A number whose columns compare: all of them. Its methods are compiled here, once.
pub trait Compare: Number {
    #[doc(hidden)]
    fn columns(level: Level, op: Op, a: &[Self], b: &[Self], out: &mut [u64]);
    #[doc(hidden)]
    fn constant(level: Level, op: Op, a: &[Self], c: Self, out: &mut [u64]);
}

/// Writes `a[i] op b[i]` as bit `i` of `out`.
///
/// Shapes: `a` and `b` of one length; `out` holds `words(a.len())` words. Panics otherwise.
pub fn columns<T: Compare>(level: Level, op: Op, a: &[T], b: &[T], out: &mut [u64]) {
    assert_eq!(a.len(), b.len(), "columns of one length");
    assert_eq!(out.len(), words(a.len()), "the bitmap covers the rows");
    T::columns(level, op, a, b, out);
    trim(out, a.len());
}

/// Writes `a[i] op c` as bit `i` of `out`.
///
/// Shapes: `out` holds `words(a.len())` words. Panics otherwise.
pub fn constant<T: Compare>(level: Level, op: Op, a: &[T], c: T, out: &mut [u64]) {
    assert_eq!(out.len(), words(a.len()), "the bitmap covers the rows");
    T::constant(level, op, a, c, out);
    trim(out, a.len());
}

macro_rules! compare {
    ($body:path: $($t:ty)*) => {$(
        impl Compare for $t {
            fn columns(level: Level, op: Op, a: &[Self], b: &[Self], out: &mut [u64]) {
                use $body as body;
                let flip = op.flip();
                match op {
                    Op::Eq | Op::Ne => dispatch!(level, s => body::columns::<_, _, SAME>(s, a, b, flip, out)),
                    Op::Lt | Op::Ge => dispatch!(level, s => body::columns::<_, _, LESS>(s, a, b, flip, out)),
                    Op::Gt | Op::Le => <Self as Compare>::columns(level, op.swapped(), b, a, out),
                }
            }
            fn constant(level: Level, op: Op, a: &[Self], c: Self, out: &mut [u64]) {
                use $body as body;
                let flip = op.flip();
                match op {
                    Op::Eq | Op::Ne => dispatch!(level, s => body::constant::<_, _, SAME>(s, a, c, flip, out)),
                    Op::Lt | Op::Ge => dispatch!(level, s => body::constant::<_, _, LESS>(s, a, c, flip, out)),
                    Op::Gt | Op::Le => dispatch!(level, s => body::constant::<_, _, GREATER>(s, a, c, flip, out)),
                }
            }
        }
    )*};
}
compare!(simd: i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);
compare!(simd::plain: i128 u128);
