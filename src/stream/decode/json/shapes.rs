//! The shapes that lines have had of late: lines become rows many at a time, a value of all of them after the other.
//!
//! Invariants  which shapes are known changes no answer: a line of none is read key by key, and so is one of a shape whose
//!             values are not what they should be.

use millstream_kernels::bitmap;

use super::fill::{Job, Row};
use super::keys::Keys;
use super::lines::{Line, Lines};
use super::shape::Shape;
use crate::stream::decode::column::ColumnBuilder;

/// Shapes known at once, at most.
const SHAPES_MAX: usize = 8;
/// Lines that are read one by one where shapes have not been worth it, before they are tried again.
const PAUSE_LINES: usize = 4096;
/// So many lines tell whether shapes are worth it.
const LINES_TO_TELL: usize = 64;
/// Of so many lines, one must be of a shape.
const LINES_PER_HIT: usize = 4;
/// How often in a row it may be fewer: shapes are still being learnt.
const MISSES_MAX: usize = 3;
/// Lines read at once, at most.
const LINES_MAX: usize = 1024;
/// The same while no shape is known.
const LINES_MIN: usize = 16;
/// Shapes learnt from the lines at hand, at most.
const LEARNT_MAX: usize = 4;

/// The shapes known.
#[derive(Debug, Default)]
pub struct Shapes {
    list: Vec<Known>,
    /// The shape that the last line had.
    last: usize,
    /// A bit for each of the lines at hand: whether it is still to be read.
    odd: Vec<u64>,
    /// Shapes learnt from the lines at hand.
    learnt: usize,
    /// How often in a row shapes were not worth it.
    misses: usize,
    /// Lines to be read one by one.
    pause: usize,
}

/// A shape, and the lines at hand that are of it.
#[derive(Debug)]
struct Known {
    shape: Shape,
    rows: Vec<Row>,
    /// Lines it had; what was long ago counts less.
    uses: u64,
}

impl Shapes {
    /// Whether lines are to be compared with shapes.
    pub fn are_worth_it(&self) -> bool {
        self.pause == 0
    }

    /// How many lines are to be compared at once.
    pub fn lines_max(&self) -> usize {
        if self.list.is_empty() { LINES_MIN } else { LINES_MAX }
    }

    /// How many lines are to be read one by one.
    pub fn pause(&self) -> usize {
        if self.pause == 0 { usize::MAX } else { self.pause }
    }

    /// Counts lines that were read one by one.
    pub fn pass(&mut self, lines: usize) {
        self.pause = self.pause.saturating_sub(lines);
    }

    /// Reads the lines that are of a shape into rows from `base` on. Inlined, so that it is compiled for the CPU level it is
    /// dispatched to.
    #[inline(always)]
    pub fn fill(&mut self, padded: &[u8], lines: &Lines, builders: &mut [ColumnBuilder], base: usize, rows_max: usize) {
        self.sort(padded, lines);
        self.learnt = 0;
        for Known { shape, rows, uses } in &mut self.list {
            if rows.is_empty() {
                continue;
            }
            *uses += rows.len() as u64;
            for &value in &shape.values {
                let (start, end) = shape.places(value);
                let (written, odd) = (value.written, &mut self.odd[..]);
                let mut job =
                    Job { text: padded, positions: &lines.positions, rows, start, end, written, base, rows_max, odd };
                match value.column {
                    Some(column) => job.column(&mut builders[column]),
                    None => job.check(),
                }
            }
            for &column in &shape.missing {
                for row in &*rows {
                    builders[column].set_null(base + row.row as usize, rows_max);
                }
                if !builders[column].field.is_nullable() {
                    rows.iter().for_each(|row| bitmap::set(&mut self.odd, row.row as usize));
                }
            }
        }
        self.judge(lines.list.len());
    }

    /// Looks whether shapes are worth it.
    fn judge(&mut self, lines: usize) {
        let hits = lines - bitmap::count_ones(&self.odd, lines);
        if lines < LINES_TO_TELL || hits * LINES_PER_HIT >= lines {
            self.misses = 0;
            return;
        }
        self.misses += 1;
        if self.misses > MISSES_MAX {
            (self.misses, self.pause) = (0, PAUSE_LINES);
        }
    }

    /// Gives each line to its shape.
    #[inline(always)]
    fn sort(&mut self, padded: &[u8], lines: &Lines) {
        self.list.iter_mut().for_each(|known| known.rows.clear());
        bitmap::fill(&mut self.odd, lines.list.len(), false);
        for (row, &line) in lines.list.iter().enumerate() {
            let is_of = |known: &Known| known.shape.is_of(padded, &lines.positions, line);
            if !self.list.get(self.last).is_some_and(is_of) {
                match self.list.iter().position(is_of) {
                    Some(other) => self.last = other,
                    None => {
                        bitmap::set(&mut self.odd, row);
                        continue;
                    }
                }
            }
            self.list[self.last].rows.push(Row { row: row as u32, base: line.base });
        }
    }

    /// The first of the lines at hand from `from` on that is still to be read.
    pub fn next_odd(&self, from: usize) -> Option<usize> {
        let mut index = from / 64;
        let mut word = self.odd.get(index)? & !0 << (from % 64);
        while word == 0 {
            index += 1;
            word = *self.odd.get(index)?;
        }
        Some(index * 64 + word.trailing_zeros() as usize)
    }

    /// Learns the shape of a line that was read.
    pub fn learn(&mut self, padded: &[u8], lines: &Lines, line: Line, keys: &Keys, columns: usize) {
        let is_of = |known: &Known| known.shape.is_of(padded, &lines.positions, line);
        if self.learnt == LEARNT_MAX || self.list.iter().any(is_of) {
            return;
        }
        let Some(shape) = Shape::of(padded, &lines.positions, line, keys, columns) else { return };
        self.learnt += 1;
        let known = Known { shape, rows: Vec::new(), uses: 1 };
        if self.list.len() < SHAPES_MAX {
            return self.list.push(known);
        }
        self.list.iter_mut().for_each(|known| known.uses /= 2);
        if let Some(least) = self.list.iter_mut().min_by_key(|known| known.uses) {
            *least = known;
        }
    }
}
