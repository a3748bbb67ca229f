//! The plain truth, a row at a time; also the rows behind the last whole block.

use std::ops::Range;

use super::{STEPS_MAX, Source, Step};
use crate::arithmetic::Arithmetic;
use crate::compare::{self, scalar::holds};

/// See [`super::compare()`].
pub fn compare<T: Arithmetic>(
    steps: &[Step<'_, T>],
    op: compare::Op,
    left: Source<'_, T>,
    right: Source<'_, T>,
    rows: usize,
    out: &mut [u64],
) -> bool {
    let words = out.iter_mut().enumerate();
    words.fold(true, |fits, (word, out)| {
        rows_of(steps, (op, left, right), word * 64..rows.min(word * 64 + 64), out) && fits
    })
}

/// Writes the bits of at most 64 rows; `false` where one of them is at fault.
pub fn rows_of<T: Arithmetic>(
    steps: &[Step<'_, T>],
    (op, left, right): (compare::Op, Source<'_, T>, Source<'_, T>),
    rows: Range<usize>,
    out: &mut u64,
) -> bool {
    *out = 0;
    let mut done = [T::default(); STEPS_MAX];
    let value = |source: Source<'_, T>, row: usize, done: &[T]| match source {
        Source::Column(values) => values[row],
        Source::Constant(value) => value,
        Source::Step(step) => done[step],
    };
    for (bit, row) in rows.enumerate() {
        for (at, step) in steps.iter().enumerate() {
            match T::checked(step.op, value(step.left, row, &done), value(step.right, row, &done)) {
                Ok(result) => done[at] = result,
                Err(_) => return false,
            }
        }
        *out |= u64::from(holds(op, value(left, row, &done), value(right, row, &done))) << bit;
    }
    true
}
