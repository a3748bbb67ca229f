//! One body for every width: a block of rows goes through all steps while it lies in L1, the last of them together with the
//! comparison, and becomes some words.
//!
//! Integers are not checked row by row: how many bits the values of a block need says how many a result needs at most. Only
//! a step that may need more than there are is computed with its overflows looked for.

use super::{STEPS_MAX, Source, Step, Test};
use crate::arithmetic::simd::{self, Constant, Operand};
use crate::arithmetic::{Op, Side};
use crate::compare::simd::{against, pairs, test};
use crate::lanes::Lanes;
use fearless_simd::{Simd, prelude::*};

/// Rows that go through all steps together: a multiple of a word's.
const BLOCK: usize = 256;

/// A number with its loops over a block.
pub trait Blocks: Lanes {
    /// How many bits a value may need beside its sign; `None`: nothing overflows.
    const BITS: Option<u32>;
    /// Adds to `all` where the bits of the lanes begin.
    fn mark<S: Simd>(all: Self::Vector<S>, values: Self::Vector<S>) -> Self::Vector<S>;
    /// How many bits beside the sign the values need that were marked in a lane.
    fn marked(self) -> u32;
    /// Computes a block and returns whether a row overflows.
    fn checked_block(op: Op, a: impl Operand<Self>, b: impl Operand<Self>, out: &mut [Self]) -> bool;
}

impl Blocks for i64 {
    const BITS: Option<u32> = Some(63);
    #[inline(always)]
    fn mark<S: Simd>(all: Self::Vector<S>, values: Self::Vector<S>) -> Self::Vector<S> {
        // The first bit that differs from the one before it is the first that is not the sign's.
        all | (values ^ (values + values))
    }
    #[inline(always)]
    fn marked(self) -> u32 {
        63u32.saturating_sub(self.leading_zeros())
    }
    #[inline(always)]
    fn checked_block(op: Op, a: impl Operand<Self>, b: impl Operand<Self>, out: &mut [Self]) -> bool {
        match op {
            Op::Add => simd::sum(a, b, out),
            Op::Sub => simd::difference(a, b, out),
            _ => simd::product_of_blocks(a, b, out),
        }
    }
}

impl Blocks for f64 {
    const BITS: Option<u32> = None;
    #[inline(always)]
    fn mark<S: Simd>(all: Self::Vector<S>, _: Self::Vector<S>) -> Self::Vector<S> {
        all
    }
    #[inline(always)]
    fn marked(self) -> u32 {
        0
    }
    #[inline(always)]
    fn checked_block(_: Op, _: impl Operand<Self>, _: impl Operand<Self>, _: &mut [Self]) -> bool {
        true
    }
}

const ADD: usize = 0;
const SUB: usize = 1;
const MUL: usize = 2;

/// Writes the words of whole blocks of 64 rows, flipped by `flip`; `false` where a row overflows.
#[inline(always)]
pub fn words<S: Simd, T: Blocks, const TEST: usize>(
    s: S,
    steps: &[Step<'_, T>],
    test: Test<'_, T>,
    flip: u64,
    out: &mut [u64],
) -> bool {
    let mut blocks = [[T::default(); BLOCK]; STEPS_MAX];
    let mut bits = [0; STEPS_MAX];
    let ended = match (test.left, test.right) {
        (Source::Step(left), Source::Constant(right)) if left + 1 == steps.len() => Some(right),
        _ => None,
    };
    for (index, out) in out.chunks_mut(BLOCK / 64).enumerate() {
        let (from, rows) = (index * BLOCK, out.len() * 64);
        let mut is_done = false;
        for (at, step) in steps.iter().enumerate() {
            let (done, rest) = blocks.split_at_mut(at);
            let block = &mut rest[0][..rows];
            let (a, b) = (step.left.rows(from, rows, done), step.right.rows(from, rows, done));
            let marks = match (ended, step.op) {
                (Some(c), op) if at + 1 == steps.len() => {
                    is_done = true;
                    match op {
                        Op::Add => each_compared::<S, T, ADD, TEST>(s, a, b, c, flip, out),
                        Op::Sub => each_compared::<S, T, SUB, TEST>(s, a, b, c, flip, out),
                        _ => each_compared::<S, T, MUL, TEST>(s, a, b, c, flip, out),
                    }
                }
                (_, Op::Add) => each::<S, T, ADD>(s, a, b, block),
                (_, Op::Sub) => each::<S, T, SUB>(s, a, b, block),
                _ => each::<S, T, MUL>(s, a, b, block),
            };
            if let Some(most) = T::BITS {
                bits[at] = needs(
                    step.op,
                    bits_of::<S, T>(step.left, marks.0, &bits),
                    bits_of::<S, T>(step.right, marks.1, &bits),
                );
                if bits[at] > most {
                    if checked(step.op, a, b, block) {
                        return false;
                    }
                    // What was compared is right: no row has overflowed.
                    bits[at] = most;
                }
            }
        }
        if is_done {
            continue;
        }
        let Side::Column(left) = test.left.rows(from, rows, &blocks) else { return false };
        let left = left.as_chunks::<64>().0;
        match test.right.rows(from, rows, &blocks) {
            Side::Column(right) => {
                let right = right.as_chunks::<64>().0;
                for word in 0..out.len() {
                    out[word] = flip ^ pairs::<S, T, TEST>(s, &left[word], &right[word]);
                }
            }
            Side::Constant(right) => {
                let right = T::Vector::<S>::splat(s, right);
                for word in 0..out.len() {
                    out[word] = flip ^ against::<S, T, TEST>(s, &left[word], right);
                }
            }
        }
    }
    true
}

/// How many bits a result needs at most.
#[inline(always)]
fn needs(op: Op, a: u32, b: u32) -> u32 {
    match op {
        Op::Add | Op::Sub => a.max(b) + 1,
        // The product of two least numbers is one more than the bits of both can say.
        _ => a + b + 1,
    }
}

/// How many bits the values of an operand need at most: known of a step, marked of others.
#[inline(always)]
fn bits_of<S: Simd, T: Blocks>(source: Source<'_, T>, marks: T::Vector<S>, known: &[u32; STEPS_MAX]) -> u32 {
    if let Source::Step(step) = source {
        return known[step];
    }
    let mut most = 0;
    for lane in marks.as_slice() {
        most = most.max(lane.marked());
    }
    most
}

/// A side inside a loop: vectors of a column, or the same one.
trait Vectors<S: Simd, T: Blocks>: Copy {
    fn at(self, s: S, row: usize) -> T::Vector<S>;
}

impl<S: Simd, T: Blocks> Vectors<S, T> for &[T] {
    #[inline(always)]
    fn at(self, s: S, row: usize) -> T::Vector<S> {
        T::Vector::<S>::from_slice(s, &self[row..row + T::Vector::<S>::LEN])
    }
}

#[derive(Clone, Copy)]
struct Same<V>(V);

impl<S: Simd, T: Blocks> Vectors<S, T> for Same<T::Vector<S>> {
    #[inline(always)]
    fn at(self, _: S, _: usize) -> T::Vector<S> {
        self.0
    }
}

/// Computes `OP` on each pair of rows; the marks of both sides. Loops and no closures: these are not compiled for the level.
#[inline(always)]
fn each<S: Simd, T: Blocks, const OP: usize>(
    s: S,
    a: Side<'_, T>,
    b: Side<'_, T>,
    out: &mut [T],
) -> (T::Vector<S>, T::Vector<S>) {
    match (a, b) {
        (Side::Column(a), Side::Column(b)) => each_pair::<S, T, OP>(s, &a[..out.len()], &b[..out.len()], out),
        (Side::Column(a), Side::Constant(b)) => {
            each_pair::<S, T, OP>(s, &a[..out.len()], Same(T::Vector::<S>::splat(s, b)), out)
        }
        (Side::Constant(a), Side::Column(b)) => {
            each_pair::<S, T, OP>(s, Same(T::Vector::<S>::splat(s, a)), &b[..out.len()], out)
        }
        (Side::Constant(_), Side::Constant(_)) => unreachable!("refused before"),
    }
}

#[inline(always)]
fn each_pair<S: Simd, T: Blocks, const OP: usize>(
    s: S,
    a: impl Vectors<S, T>,
    b: impl Vectors<S, T>,
    out: &mut [T],
) -> (T::Vector<S>, T::Vector<S>) {
    let none = T::Vector::<S>::splat(s, T::default());
    let mut marks = (none, none);
    for row in (0..out.len()).step_by(T::Vector::<S>::LEN) {
        let (a, b) = (a.at(s, row), b.at(s, row));
        marks = (T::mark::<S>(marks.0, a), T::mark::<S>(marks.1, b));
        apply::<S, T, OP>(a, b).store_slice(&mut out[row..row + T::Vector::<S>::LEN]);
    }
    marks
}

/// Computes `OP` on each pair of rows and compares what it gives with `c`; the marks of both sides.
#[inline(always)]
fn each_compared<S: Simd, T: Blocks, const OP: usize, const TEST: usize>(
    s: S,
    a: Side<'_, T>,
    b: Side<'_, T>,
    c: T,
    flip: u64,
    out: &mut [u64],
) -> (T::Vector<S>, T::Vector<S>) {
    let (rows, c) = (out.len() * 64, T::Vector::<S>::splat(s, c));
    match (a, b) {
        (Side::Column(a), Side::Column(b)) => {
            each_pair_compared::<S, T, OP, TEST>(s, &a[..rows], &b[..rows], c, flip, out)
        }
        (Side::Column(a), Side::Constant(b)) => {
            let b = Same(T::Vector::<S>::splat(s, b));
            each_pair_compared::<S, T, OP, TEST>(s, &a[..rows], b, c, flip, out)
        }
        (Side::Constant(a), Side::Column(b)) => {
            let a = Same(T::Vector::<S>::splat(s, a));
            each_pair_compared::<S, T, OP, TEST>(s, a, &b[..rows], c, flip, out)
        }
        (Side::Constant(_), Side::Constant(_)) => unreachable!("refused before"),
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "an iterator over the words is not compiled for the level")]
fn each_pair_compared<S: Simd, T: Blocks, const OP: usize, const TEST: usize>(
    s: S,
    a: impl Vectors<S, T>,
    b: impl Vectors<S, T>,
    c: T::Vector<S>,
    flip: u64,
    out: &mut [u64],
) -> (T::Vector<S>, T::Vector<S>) {
    let none = T::Vector::<S>::splat(s, T::default());
    let mut marks = (none, none);
    for word in 0..out.len() {
        let mut bits = 0;
        for bit in (0..64).step_by(T::Vector::<S>::LEN) {
            let (a, b) = (a.at(s, word * 64 + bit), b.at(s, word * 64 + bit));
            marks = (T::mark::<S>(marks.0, a), T::mark::<S>(marks.1, b));
            bits |= test::<S, T, TEST>(apply::<S, T, OP>(a, b), c) << bit;
        }
        out[word] = flip ^ bits;
    }
    marks
}

#[inline(always)]
fn apply<S: Simd, T: Blocks, const OP: usize>(a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
    match OP {
        ADD => a + b,
        SUB => a - b,
        _ => a * b,
    }
}

#[inline(always)]
fn checked<T: Blocks>(op: Op, a: Side<'_, T>, b: Side<'_, T>, out: &mut [T]) -> bool {
    match (a, b) {
        (Side::Column(a), Side::Column(b)) => T::checked_block(op, a, b, out),
        (Side::Column(a), Side::Constant(b)) => T::checked_block(op, a, Constant(b), out),
        (Side::Constant(a), Side::Column(b)) => T::checked_block(op, Constant(a), b, out),
        (Side::Constant(_), Side::Constant(_)) => unreachable!("refused before"),
    }
}
