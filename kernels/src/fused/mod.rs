//! Sums, differences and products, and a comparison of what they give, in one pass: no column between the steps.
//!
//! ```text
//! a * 3 + b > 2000     steps 0: a * 3     1: step 0 + b     compared: step 1 > 2000     64 rows ─▶ one word
//! ```
//! Invariants  every bit is that of `arithmetic` and `compare` one after the
//!             other. Where a row may be at fault, under a null or not, nothing is told but that: these then say which.
//! Source      bench `fused`: two columns less to write and to read again.

pub mod scalar;
mod simd;

use crate::arithmetic::{self, Arithmetic, Side};
use crate::bitmap::words;
use crate::compare::{self, Compare};
use fearless_simd::{Level, dispatch};

/// The most steps before the comparison.
pub const STEPS_MAX: usize = 4;

/// Where a number comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a, T> {
    /// A value per row.
    Column(&'a [T]),
    /// One for all rows.
    Constant(T),
    /// What an earlier step gave.
    Step(usize),
}

/// One operation: a sum, a difference or a product.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a, T> {
    /// What is done: `Add`, `Sub` or `Mul`.
    pub op: arithmetic::Op,
    /// The first operand.
    pub left: Source<'a, T>,
    /// The second operand.
    pub right: Source<'a, T>,
}

/// A number whose steps fuse. Its methods are compiled here, once.
pub trait Fuse: Arithmetic + Compare {
    #[doc(hidden)]
    fn fuse(level: Level, steps: &[Step<'_, Self>], test: Test<'_, Self>, out: &mut [u64]) -> bool;
}

/// The comparison at the end.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Test<'a, T> {
    op: compare::Op,
    left: Source<'a, T>,
    right: Source<'a, T>,
    rows: usize,
}

/// Writes `left op right` as bit `i` of `out` for the first `rows` rows; returns `false`, and leaves nothing of use, where
/// a row of some step overflows or is not computed here.
///
/// Shapes: columns cover `rows`; `out` holds `words(rows)` words; at most [`STEPS_MAX`] steps, which name earlier ones.
/// Panics otherwise, and on a division.
pub fn compare<T: Fuse>(
    level: Level,
    steps: &[Step<'_, T>],
    op: compare::Op,
    left: Source<'_, T>,
    right: Source<'_, T>,
    rows: usize,
    out: &mut [u64],
) -> bool {
    assert_eq!(out.len(), words(rows), "the bitmap covers the rows");
    assert!(steps.len() <= STEPS_MAX, "no more steps than there are blocks for");
    let known = |source: &Source<'_, T>, before: usize| match source {
        Source::Column(values) => values.len() >= rows,
        Source::Constant(_) => true,
        Source::Step(step) => *step < before,
    };
    for (at, step) in steps.iter().enumerate() {
        assert!(known(&step.left, at) && known(&step.right, at), "operands are there and cover the rows");
        assert!(!matches!(step.op, arithmetic::Op::Div | arithmetic::Op::Rem), "quotients do not fuse");
    }
    assert!(known(&left, steps.len()) && known(&right, steps.len()), "what is compared is there and covers the rows");
    let is_constant = |source: &Source<'_, T>| matches!(source, Source::Constant(_));
    if steps.iter().any(|step| is_constant(&step.left) && is_constant(&step.right))
        || is_constant(&left) && is_constant(&right)
    {
        return false;
    }
    // A constant stands on the right.
    let test = match left {
        Source::Constant(_) => Test { op: op.swapped(), left: right, right: left, rows },
        _ => Test { op, left, right, rows },
    };
    T::fuse(level, steps, test, out)
}

impl<'a, T: Copy> Source<'a, T> {
    /// Its values from row `from` on, or the constant; those of a step begin there.
    #[inline(always)]
    fn rows<'b, const BLOCK: usize>(self, from: usize, rows: usize, done: &'b [[T; BLOCK]]) -> Side<'b, T>
    where
        'a: 'b,
    {
        match self {
            Source::Column(values) => Side::Column(&values[from..from + rows]),
            Source::Constant(value) => Side::Constant(value),
            Source::Step(step) => Side::Column(&done[step][..rows]),
        }
    }
}

macro_rules! fuse {
    ($($t:ty)*) => {$(
        impl Fuse for $t {
            fn fuse(level: Level, steps: &[Step<'_, Self>], test: Test<'_, Self>, out: &mut [u64]) -> bool {
                use compare::Op;
                use compare::simd::{GREATER, LESS, SAME};
                let flip = test.op.flip();
                let whole = test.rows / 64;
                let fits = match test.op {
                    Op::Eq | Op::Ne => dispatch!(level, s => simd::words::<_, _, SAME>(s, steps, test, flip, &mut out[..whole])),
                    Op::Lt | Op::Ge => dispatch!(level, s => simd::words::<_, _, LESS>(s, steps, test, flip, &mut out[..whole])),
                    Op::Gt | Op::Le => dispatch!(level, s => simd::words::<_, _, GREATER>(s, steps, test, flip, &mut out[..whole])),
                };
                fits && match test.rows % 64 {
                    0 => true,
                    _ => scalar::rows_of(steps, (test.op, test.left, test.right), whole * 64..test.rows, &mut out[whole]),
                }
            }
        }
    )*};
}
fuse!(i64 f64);
