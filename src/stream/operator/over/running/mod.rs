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
mod reach; //    which rows a frame has
mod saved; //    what snapshots have of it
mod sums; //     count, sum and avg
mod words; //    values as 64 bits

use std::ops::Range;
use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, UInt64Array};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, prep_null_mask_filter};
use arrow::datatypes::DataType;

pub(super) use saved::{load, save};

use self::extremes::Extremes;
use self::lag::Lag;
use self::reach::{Begin, ROWS_MAX, Reach};
use self::sums::{Made, Sums};
use self::words::Words;
use super::sorted::Sorted;
use super::{OverShape, rank};
use crate::error::Result;
use crate::function::aggregate::decimal::Result128;
use crate::pipeline::{Completion, OverCall, OverFunction};
use crate::stream::operator::order::canonical;

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

/// Results in the making, held as `T`.
pub(super) struct Results<T> {
    values: Vec<T>,
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

    /// Makes room for so many partitions.
    pub fn resize(&mut self, count: usize) {
        for call in &mut self.calls {
            match call {
                Call::RowNumber | Call::Rank | Call::DenseRank => {}
                Call::Sums(sums) => sums.resize(count),
                Call::Extremes(extremes) => extremes.resize(count),
                Call::Lag(lag) => lag.queues.resize(count),
            }
        }
    }

    /// Keeps these partitions only, ascending, which are numbered anew in this order.
    pub fn keep(&mut self, left: &[u32]) {
        for call in &mut self.calls {
            match call {
                Call::RowNumber | Call::Rank | Call::DenseRank => {}
                Call::Sums(sums) => sums.keep(left),
                Call::Extremes(extremes) => extremes.keep(left),
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
                Call::Extremes(extremes) => extremes.clear(partition),
                Call::Lag(lag) => lag.queues.clear(partition),
            }
        }
    }

    pub fn size_bytes(&self) -> usize {
        let bytes = self.calls.iter().map(|call| match call {
            Call::RowNumber | Call::Rank | Call::DenseRank => 0,
            Call::Sums(sums) => sums.size_bytes(),
            Call::Extremes(extremes) => extremes.queues.size_bytes() + extremes.gate.size_bytes(),
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
                let reach = Reach::of(call, by_time, second)?;
                let sums = |made, arg| Some(Call::Sums(Sums::new(made, arg, reach)));
                let (name, result) = (aggregate.function.name(), aggregate.function.result_type());
                match (name, call.arg_count, Words::of(&result)) {
                    ("count", ..) => sums(Made::Count, Words::Signed),
                    ("sum" | "avg", 1, _) if matches!(words, Some(Words::Decimal(..))) => {
                        sums(Made::Exact(Result128::of(name, arg?, &result)?, result), words?)
                    }
                    ("sum", 1, Some(result)) => sums(Made::Sum(result), sum_of(words?, result)?),
                    ("avg", 1, Some(Words::Float)) if arg.is_some_and(DataType::is_numeric) => {
                        sums(Made::Average, words?)
                    }
                    ("min" | "max", 1, _) => Some(Call::Extremes(Extremes::new(words?, name == "max", reach))),
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
            Call::Sums(sums) if matches!(sums.made, Made::Count) => sums.results(rows, &Values::counted(args, filter)),
            Call::Sums(sums) => {
                let values = Values::of(sums.arg, &args[0], filter)?;
                sums.results(rows, &values)
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

impl<'a> InOrder<'a> {
    /// What rows enter and leave frames by.
    fn places(&self, begin: Begin) -> &'a [i64] {
        match begin {
            Begin::Partition { by_peers: false } | Begin::Rows(_) => self.numbers,
            Begin::Partition { by_peers: true } | Begin::Ticks(_) => self.times.expect("rows in the order of time"),
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

impl<T: Copy + Default> Results<T> {
    fn with_capacity(rows: usize) -> Self {
        Results { values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }

    /// The same result for `rows` rows.
    #[inline]
    fn push(&mut self, result: Option<T>, rows: usize) {
        self.values.resize(self.values.len() + rows, result.unwrap_or_default());
        match result {
            Some(_) => self.nulls.append_n_non_nulls(rows),
            None => self.nulls.append_n_nulls(rows),
        }
    }
}

impl Results<u64> {
    fn array(mut self, words: Words) -> ArrayRef {
        words.array(self.values, self.nulls.finish())
    }
}

impl Results<i128> {
    fn array(mut self, decimal: &DataType) -> ArrayRef {
        let array = Decimal128Array::new(self.values.into(), self.nulls.finish());
        Arc::new(array.with_data_type(decimal.clone()))
    }
}

#[cfg(test)]
mod tests;
