//! Functions of the rows up to each row, kept up as rows come: a partition holds a few numbers, and those in its frames.
//!
//! ```text
//! rows in order, each with its partition ─▶ what leaves the frame, what enters it ─▶ a result, per call
//! ```
//! Owns        per call and partition: the values in the frame, and what they come to.
//! Invariants  a row enters once and leaves once, however wide frames are and wherever batches are cut; sums of integers
//!             are exact (128 bits), those of floats keep their rounding errors and are made anew now and then.

mod extremes; // min and max
mod lag; //      the value so many rows before
mod queue; //    the values in frames
mod saved; //    what snapshots have of it
mod sums; //     count, sum and avg
mod words; //    values as 64 bits

use std::ops::Range;
use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, prep_null_mask_filter};
use arrow::datatypes::DataType;

pub(super) use saved::{load, save};

use self::extremes::Extremes;
use self::lag::Lag;
use self::sums::{Made, Sums};
use self::words::Words;
use super::sorted::Sorted;
use super::{OverShape, rank};
use crate::error::Result;
use crate::pipeline::{Completion, FrameBound, FrameOffset, FrameUnits, OverCall, OverFunction};
use crate::stream::operator::order::canonical;

/// Rows before the row in the widest frame that is kept up: a value takes 16 bytes there.
const ROWS_MAX: u64 = 1 << 24;
const NANOSECONDS_PER_DAY: i128 = 86_400_000_000_000;
const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// All calls of an operator.
pub(super) struct Running {
    calls: Vec<Call>,
}

enum Call {
    RowNumber,
    /// Of rows in the order of time.
    Rank,
    DenseRank,
    Sums(Sums),
    Extremes(Extremes),
    Lag(Lag),
}

/// Where a frame begins that ends with its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// With the partition. `by_peers`: rows of one time share a frame.
    Partition { by_peers: bool },
    /// So many rows before the row.
    Rows(i64),
    /// So many ticks before the row's time; rows of one time share a frame.
    Ticks(i64),
}

/// Rows in the order of their partitions' frames.
pub(super) struct InOrder<'a> {
    /// For each row.
    pub partitions: &'a [u32],
    /// For each row, how many rows of its partition came before it.
    pub numbers: &'a [i64],
    /// For each row, where rows are in the order of their times.
    pub times: Option<&'a [i64]>,
    /// The same rows, where they have been sorted.
    pub sorted: Option<&'a Sorted>,
    /// How many partitions there are.
    pub partition_count: usize,
}

/// The argument of a call, of each row.
pub(super) struct Values {
    words: Option<ScalarBuffer<u64>>,
    valid: Option<NullBuffer>,
}

/// Results in the making.
pub(super) struct Results {
    words: Vec<u64>,
    nulls: NullBufferBuilder,
}

impl Running {
    /// `None` where a call needs rows, or rows behind the row.
    ///
    /// `second`: a second in ticks of the time.
    pub fn of(shape: &OverShape, second: i64) -> Option<Self> {
        let mut column = shape.order().end;
        let mut calls = Vec::with_capacity(shape.spec.calls.len());
        for call in &shape.spec.calls {
            let arg = (call.arg_count > 0).then(|| &shape.types[column]);
            calls.push(Call::of(call, arg, shape.spec.completion, second)?);
            column += call.arg_count + usize::from(call.filtered);
        }
        Some(Running { calls })
    }

    /// The results of rows in order: a column per call.
    ///
    /// `wide`: the rows, in this order.
    pub fn results(&mut self, shape: &OverShape, wide: &[ArrayRef], rows: &InOrder<'_>) -> Result<Vec<ArrayRef>> {
        let mut column = shape.order().end;
        let fields = &shape.output.fields()[shape.types.len() - shape.computed()..];
        let mut results = Vec::with_capacity(self.calls.len());
        for ((call, spec), field) in self.calls.iter_mut().zip(&shape.spec.calls).zip(fields) {
            let args = &wide[column..column + spec.arg_count];
            column += spec.arg_count;
            let filter = spec.filtered.then(|| &wide[column]);
            column += usize::from(spec.filtered);
            let result = call.results(args, filter, rows)?;
            let fits = result.data_type() == field.data_type();
            results.push(if fits { result } else { cast(&result, field.data_type())? });
        }
        Ok(results)
    }

    /// Keeps these partitions only, ascending, which are numbered anew in this order.
    pub fn keep(&mut self, left: &[u32]) {
        for call in &mut self.calls {
            match call {
                Call::RowNumber | Call::Rank | Call::DenseRank => {}
                Call::Sums(sums) => sums.keep(left),
                Call::Extremes(extremes) => extremes.queues.keep(left),
                Call::Lag(lag) => lag.queues.keep(left),
            }
        }
    }

    /// Forgets the values of a partition, which keeps its number.
    pub fn clear(&mut self, partition: u32) {
        for call in &mut self.calls {
            match call {
                Call::RowNumber | Call::Rank | Call::DenseRank => {}
                Call::Sums(sums) => sums.clear(partition),
                Call::Extremes(extremes) => extremes.queues.clear(partition),
                Call::Lag(lag) => lag.queues.clear(partition),
            }
        }
    }

    pub fn size_bytes(&self) -> usize {
        let bytes = self.calls.iter().map(|call| match call {
            Call::RowNumber | Call::Rank | Call::DenseRank => 0,
            Call::Sums(sums) => sums.size_bytes(),
            Call::Extremes(extremes) => extremes.queues.size_bytes(),
            Call::Lag(lag) => lag.queues.size_bytes(),
        });
        bytes.sum()
    }
}

impl Call {
    fn of(call: &OverCall, arg: Option<&DataType>, completion: Completion, second: i64) -> Option<Self> {
        let by_time = matches!(completion, Completion::Time { .. });
        let words = arg.and_then(Words::of);
        match &call.function {
            OverFunction::RowNumber => Some(Call::RowNumber),
            OverFunction::Rank if by_time => Some(Call::Rank),
            OverFunction::DenseRank if by_time => Some(Call::DenseRank),
            OverFunction::Lag { offset, default, ignores_nulls: false } if (0..=ROWS_MAX as i64).contains(offset) => {
                let words = words?;
                let default = default.as_ref().filter(|default| default.is_valid(0));
                let default = default.map(|default| words.read(default)).transpose().ok()?;
                let default = default.map(|default| default[0]);
                Some(Call::Lag(Lag { words, offset: *offset, default, queues: Default::default() }))
            }
            OverFunction::Aggregate(aggregate) if aggregate.function.is_native() && !aggregate.distinct => {
                let begin = Begin::of(call, by_time, second)?;
                let result = Words::of(&aggregate.function.result_type());
                match (aggregate.function.name(), call.arg_count) {
                    ("count", _) => Some(Call::Sums(Sums::new(Made::Count, Words::Signed, Words::Signed, begin))),
                    ("sum", 1) => Some(Call::Sums(Sums::new(Made::Sum, sum_of(words?, result?)?, result?, begin))),
                    ("avg", 1) if result == Some(Words::Float) && arg.is_some_and(DataType::is_numeric) => {
                        Some(Call::Sums(Sums::new(Made::Average, words?, Words::Float, begin)))
                    }
                    (name @ ("min" | "max"), 1) => {
                        let (words, is_max) = (words?, name == "max");
                        Some(Call::Extremes(Extremes { words, is_max, begin, queues: Default::default() }))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn results(&mut self, args: &[ArrayRef], filter: Option<&ArrayRef>, rows: &InOrder<'_>) -> Result<ArrayRef> {
        match self {
            Call::RowNumber => {
                Ok(Arc::new(UInt64Array::from_iter_values(rows.numbers.iter().map(|at| *at as u64 + 1))))
            }
            Call::Rank => Ok(rank::rank(sorted(rows))),
            Call::DenseRank => Ok(rank::dense_rank(sorted(rows))),
            Call::Sums(sums) if sums.made == Made::Count => {
                let results = sums.results(rows, &Values::counted(args, filter))?;
                Ok(results.array(Words::Signed))
            }
            Call::Sums(sums) => {
                let values = Values::of(sums.arg, &args[0], filter)?;
                let results = sums.results(rows, &values)?;
                Ok(results.array(sums.result))
            }
            Call::Extremes(extremes) => {
                let values = Values::of(extremes.words, &canonical(&args[0]), filter)?;
                let results = extremes.results(rows, &values)?;
                Ok(results.array(extremes.words))
            }
            Call::Lag(lag) => {
                let values = Values::of(lag.words, &args[0], filter)?;
                let results = lag.results(rows, &values)?;
                Ok(results.array(lag.words))
            }
        }
    }
}

/// How the values of a sum are held: as its result where that is a float.
fn sum_of(arg: Words, result: Words) -> Option<Words> {
    match (arg, result) {
        (_, Words::Float) => Some(Words::Float),
        (Words::Float, _) => None,
        (arg, _) => Some(arg),
    }
}

fn sorted<'a>(rows: &InOrder<'a>) -> &'a Sorted {
    rows.sorted.expect("ranks are of rows in the order of time")
}

impl Begin {
    /// `None` for frames that do not end with their row, or that are not measured in rows or ticks.
    fn of(call: &OverCall, by_time: bool, second: i64) -> Option<Self> {
        let frame = call.frame;
        if frame.end != FrameBound::CurrentRow {
            return None;
        }
        match (frame.units, frame.start) {
            (FrameUnits::Rows, FrameBound::Unbounded) => Some(Begin::Partition { by_peers: false }),
            (FrameUnits::Range, FrameBound::Unbounded) if by_time => Some(Begin::Partition { by_peers: true }),
            (FrameUnits::Rows, FrameBound::CurrentRow) => Some(Begin::Rows(0)),
            (FrameUnits::Rows, FrameBound::Preceding(FrameOffset::Count(count))) if count < ROWS_MAX => {
                Some(Begin::Rows(count as i64))
            }
            (FrameUnits::Range, FrameBound::CurrentRow) if by_time => Some(Begin::Ticks(0)),
            (FrameUnits::Range, FrameBound::Preceding(offset)) if by_time => ticks(offset, second).map(Begin::Ticks),
            _ => None,
        }
    }

    /// The position of the first row in the frame of a row at `position`.
    fn first(self, position: i64) -> i64 {
        match self {
            Begin::Partition { .. } => i64::MIN,
            Begin::Rows(before) | Begin::Ticks(before) => position.saturating_sub(before),
        }
    }
}

/// A distance in whole ticks, if it is one.
fn ticks(offset: FrameOffset, second: i64) -> Option<i64> {
    let ticks = match offset {
        FrameOffset::Ticks(ticks) => ticks,
        FrameOffset::Calendar(span) if span.months == 0 => {
            let nanoseconds = i128::from(span.days) * NANOSECONDS_PER_DAY + i128::from(span.nanoseconds);
            let ticks = nanoseconds * i128::from(second);
            (ticks % NANOSECONDS_PER_SECOND == 0).then_some(ticks / NANOSECONDS_PER_SECOND)?
        }
        _ => return None,
    };
    i64::try_from(ticks).ok().filter(|&ticks| ticks >= 0)
}

impl<'a> InOrder<'a> {
    /// What rows enter and leave frames by; `None` where none leaves.
    fn positions(&self, begin: Begin) -> Option<&'a [i64]> {
        match begin {
            Begin::Partition { .. } => None,
            Begin::Rows(_) => Some(self.numbers),
            Begin::Ticks(_) => self.times,
        }
    }

    /// Calls `each` with the rows that share a frame, in order.
    fn each(&self, begin: Begin, mut each: impl FnMut(Range<usize>) -> Result<()>) -> Result<()> {
        let by_peers = matches!(begin, Begin::Ticks(_) | Begin::Partition { by_peers: true });
        match self.sorted.filter(|_| by_peers) {
            Some(sorted) => {
                let mut peers = sorted.peers.windows(2);
                peers.try_for_each(|bounds| each(bounds[0] as usize..bounds[1] as usize))
            }
            None => (0..self.partitions.len()).try_for_each(|row| each(row..row + 1)),
        }
    }
}

impl Values {
    fn of(words: Words, array: &ArrayRef, filter: Option<&ArrayRef>) -> Result<Self> {
        let valid = NullBuffer::union(array.nulls(), mask(filter).as_ref());
        Ok(Values { words: Some(words.read(array)?), valid })
    }

    /// Rows in which no argument is NULL.
    fn counted(args: &[ArrayRef], filter: Option<&ArrayRef>) -> Self {
        let nulls = args.iter().map(|arg| arg.logical_nulls());
        let valid = nulls.fold(mask(filter), |all, nulls| NullBuffer::union(all.as_ref(), nulls.as_ref()));
        Values { words: None, valid }
    }

    #[inline]
    fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid.is_valid(row))
    }

    #[inline]
    fn word(&self, row: usize) -> u64 {
        self.words.as_ref().map_or(0, |words| words[row])
    }
}

/// The rows that a filter lets through.
fn mask(filter: Option<&ArrayRef>) -> Option<NullBuffer> {
    let filter = filter?.as_boolean();
    let filter = if filter.null_count() > 0 { prep_null_mask_filter(filter) } else { filter.clone() };
    Some(NullBuffer::new(filter.values().clone()))
}

impl Results {
    fn with_capacity(rows: usize) -> Self {
        Results { words: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }

    /// The same result for `rows` rows.
    #[inline]
    fn push(&mut self, result: Option<u64>, rows: usize) {
        self.words.resize(self.words.len() + rows, result.unwrap_or_default());
        match result {
            Some(_) => self.nulls.append_n_non_nulls(rows),
            None => self.nulls.append_n_nulls(rows),
        }
    }

    fn array(mut self, words: Words) -> ArrayRef {
        words.array(self.words, self.nulls.finish())
    }
}

#[cfg(test)]
mod tests;
