//! What OVER and ranks ask for: functions of the rows around each row.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::SortOptions;
use arrow::datatypes::IntervalMonthDayNano;

use super::AggregateCall;
use crate::expression::Program;
use crate::function::PartitionFunction;

/// Computes functions of the rows around each row and puts the results behind its columns.
#[derive(Debug, Clone)]
pub struct OverSpec {
    /// Over the input's columns: the keys of PARTITION BY, those of ORDER BY, then each call's arguments and filter.
    pub program: Arc<Program>,
    /// How many of the program's first outputs are keys of PARTITION BY.
    pub key_count: usize,
    /// How the outputs behind them order the rows of a partition.
    pub order: Vec<SortOptions>,
    pub calls: Vec<OverCall>,
    /// Whether the order of rows that ORDER BY leaves equal shows in a result: then all columns decide it.
    pub breaks_ties: bool,
    pub completion: Completion,
    /// How long a partition is kept when no row of it comes, in microseconds, where nothing else ends it; `None`: for good.
    pub ttl: Option<i64>,
}

/// When the rows around a row are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// When the input ends.
    End,
    /// When the watermark has passed the window that a partition belongs to: the value of `column` of the input, which
    /// is among the keys, and `to_end` ticks more.
    Window { column: usize, to_end: i64 },
    /// When the watermark has passed the rows of a frame: rows are ordered by the event time, which is `column` of the
    /// input.
    Time { column: usize },
    /// At once: rows are ordered as they come.
    Arrival,
    /// Never: what a batch changes in its partitions is put out as changes.
    Changes,
}

impl OverSpec {
    /// Whether a partition that no row comes to is kept for good, unless there is a time to live.
    pub fn keeps_partitions(&self) -> bool {
        let by_change = matches!(self.completion, Completion::Changes | Completion::Time { .. } | Completion::Arrival);
        self.key_count > 0 && by_change && !self.forgets_keys()
    }

    /// Whether a partition is forgotten once the watermark has passed what its rows reach: where all frames are stretches of
    /// time. Else something is kept of every key there ever was.
    pub fn forgets_keys(&self) -> bool {
        let by_time = |call: &OverCall| {
            let Frame { units, start, .. } = call.frame;
            matches!(call.function, OverFunction::Nth { .. } | OverFunction::Aggregate(_))
                && units == FrameUnits::Range
                && start != FrameBound::Unbounded
        };
        matches!(self.completion, Completion::Time { .. }) && self.calls.iter().all(by_time)
    }
}

/// Keeps the rows of each partition that rank within bounds: Top-N, the first or the last row of a key.
#[derive(Debug, Clone)]
pub struct RankSpec {
    /// Over the input's columns: the keys of PARTITION BY, then those of ORDER BY.
    pub program: Arc<Program>,
    /// How many of the program's first outputs are keys of PARTITION BY.
    pub key_count: usize,
    /// How the outputs behind them order the rows of a partition; ties are broken by all columns.
    pub order: Vec<SortOptions>,
    pub function: RankFunction,
    /// The ranks to keep, counted from 1, both included.
    pub first: u64,
    pub last: u64,
    /// Whether somebody reads the rank, the column behind the rows' own. Else it is NULL, and rows that only move from one
    /// rank to another change nothing.
    pub shows_rank: bool,
    /// Whether the input may take rows back: then all rows are kept.
    pub takes_back: bool,
    /// `End`, `Window` or `Changes`.
    pub completion: Completion,
    /// How long the rows of a key are kept when no row of it comes, in microseconds; `None`: for good.
    pub ttl: Option<i64>,
}

/// How rows that ORDER BY leaves equal are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankFunction {
    /// One after the other.
    RowNumber,
    /// The same, and the next rank counts them all.
    Rank,
    /// The same, and the next rank is one more.
    DenseRank,
}

/// One function of an [`OverSpec`].
#[derive(Debug, Clone)]
pub struct OverCall {
    pub function: OverFunction,
    pub frame: Frame,
    /// How many outputs of the program are its arguments; a filter, if it has one, is one more.
    pub arg_count: usize,
    pub filtered: bool,
    /// As EXPLAIN shows it.
    pub text: String,
}

/// What is computed.
#[derive(Debug, Clone)]
pub enum OverFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    /// The number of the bucket, of as many as this.
    Ntile(u64),
    /// The argument as many rows before the row, or behind it where negative.
    Lag {
        offset: i64,
        default: Option<ArrayRef>,
        ignores_nulls: bool,
    },
    /// The argument in the n-th row of the frame, from its end where negative.
    Nth {
        n: i64,
        ignores_nulls: bool,
    },
    Aggregate(AggregateCall),
    /// A function of another library, of whole partitions.
    Foreign(Arc<dyn PartitionFunction>),
}

/// Which rows around a row a function sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub units: FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameUnits {
    Rows,
    Range,
    Groups,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FrameBound {
    /// The partition's first row, as a start; its last row, as an end.
    Unbounded,
    Preceding(FrameOffset),
    CurrentRow,
    Following(FrameOffset),
}

/// How far a bound is from the row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FrameOffset {
    /// Rows or groups of peers.
    Count(u64),
    /// Of an ORDER BY key that is an integer, a decimal, a date or a time: in its units.
    Ticks(i128),
    /// Of one that is a float.
    Float(f64),
    /// Of a date or a timestamp, with months or days in it.
    Calendar(IntervalMonthDayNano),
}

impl Frame {
    /// The whole partition.
    pub fn is_whole(&self) -> bool {
        self.start == FrameBound::Unbounded && self.end == FrameBound::Unbounded
    }
}

impl OverFunction {
    /// Whether rows that ORDER BY leaves equal may get results of their own.
    pub fn sees_ties(&self, frame: &Frame) -> bool {
        match self {
            OverFunction::Rank | OverFunction::DenseRank | OverFunction::PercentRank | OverFunction::CumeDist => false,
            OverFunction::RowNumber | OverFunction::Ntile(_) | OverFunction::Lag { .. } | OverFunction::Nth { .. } => {
                true
            }
            OverFunction::Foreign(_) => true,
            OverFunction::Aggregate(call) => {
                let cuts = frame.units == FrameUnits::Rows && !frame.is_whole();
                cuts || call.function.is_order_sensitive()
            }
        }
    }

    /// Whether the function looks at its frame at all.
    pub fn has_frame(&self) -> bool {
        match self {
            OverFunction::Aggregate(_) | OverFunction::Nth { .. } => true,
            OverFunction::Foreign(function) => function.has_frame(),
            _ => false,
        }
    }
}
