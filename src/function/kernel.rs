//! The traits that scalar and aggregate functions implement, ours and the users' alike.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::level::Level;

use super::scalar::BinaryOp;
use crate::batch::{Argument, Change, Column};
use crate::error::{Error, Result};

/// What every kernel call is told.
#[derive(Debug, Clone, Copy)]
pub struct KernelContext {
    /// What this CPU can do, or what a test wants it to.
    pub level: Level,
    /// The clock when the batch at hand set out, in microseconds since 1970.
    pub now: i64,
    /// The watermark that had come to the operator before the batch at hand, in ticks of its event time; `None`: none yet.
    pub watermark: Option<i64>,
}

impl Default for KernelContext {
    fn default() -> Self {
        KernelContext { level: millstream_kernels::level::detect(), now: 0, watermark: None }
    }
}

/// A scalar function bound to its argument types: columns in, one column out.
pub trait ScalarKernel: Send + Sync + Debug {
    /// Its name, as EXPLAIN shows it.
    fn name(&self) -> &str;

    /// The type of the column it makes.
    fn result_type(&self) -> DataType;

    /// Computes `rows` values into `out`.
    ///
    /// Shapes: each argument covers `rows` or is constant; `out` holds a column of an earlier batch whose memory may
    /// be reused, and afterwards one of `rows` rows: flat, an Arrow array of `result_type`, or constant.
    /// Failure: an error with a reason the user understands; values under nulls must not cause one.
    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()>;

    /// The kernel of calls that give some of the arguments as constants, if there is a better one for them: it takes the other
    /// arguments only, in their order, and gives what this one would. `constants` has a column of one row for each argument
    /// that is one.
    fn for_constants(&self, constants: &[Option<ArrayRef>]) -> Option<Arc<dyn ScalarKernel>> {
        let _ = constants;
        None
    }

    /// The operator between two numbers of one type that it is; of the engine's own kernels only. Such steps may be done
    /// together.
    fn operator(&self) -> Option<BinaryOp> {
        None
    }

    /// Whether equal arguments give equal results.
    fn is_deterministic(&self) -> bool {
        true
    }

    /// Whether some arguments make it fail; such a kernel is never moved before a filter.
    fn can_fail(&self) -> bool {
        true
    }

    /// Whether a greater first argument never gives a smaller result, the others being the same, and none gives NULL.
    fn is_monotonic(&self) -> bool {
        false
    }

    /// About how many nanoseconds a row takes: cheaper conditions are evaluated first. The engine's own stay in the
    /// order they are written in.
    fn cost(&self) -> f64 {
        0.0
    }

    /// Whether it is one of the engine's vectorized kernels rather than a function of another library.
    fn is_native(&self) -> bool {
        true
    }

    /// The call as SQL text, given its arguments as text.
    fn show(&self, args: &[String]) -> String {
        format!("{}({})", self.name(), args.join(", "))
    }
}

/// An aggregate function bound to its argument types.
pub trait AggregateFunction: Send + Sync + Debug {
    /// Its name, as EXPLAIN shows it.
    fn name(&self) -> &str;

    /// The type of its result.
    fn result_type(&self) -> DataType;

    /// The types of the columns that hold its state when it leaves the operator: for an exchange or a snapshot.
    fn state_types(&self) -> Vec<DataType>;

    /// Empty states for a table of groups.
    fn states(&self) -> Box<dyn AggregateStates>;

    /// Whether a row can be taken out again, as changes on the input need.
    fn can_retract(&self) -> bool {
        false
    }

    /// Whether states merged into others can be taken out of them again, leaving exactly what was there before.
    fn can_unmerge(&self) -> bool {
        false
    }

    /// Whether the result depends on the order of the rows.
    fn is_order_sensitive(&self) -> bool {
        false
    }

    /// Whether a row with a null argument changes nothing: then `DISTINCT` leaves such rows out.
    fn skips_nulls(&self) -> bool {
        true
    }

    /// Whether its states also tell what `other` would give over the same rows: then that one needs none of its own.
    fn covers(&self, other: &dyn AggregateFunction) -> bool {
        let _ = other;
        false
    }

    /// What the states of a function that covers this one are to be read as; of the engine's own functions only.
    fn reading(&self) -> Option<&dyn Any> {
        None
    }

    /// Whether it is one of the engine's own rather than a function of another library.
    fn is_native(&self) -> bool {
        true
    }
}

/// One batch's worth of work for an aggregate.
pub struct Update<'a> {
    /// The group of each row.
    pub groups: &'a [u32],
    /// How many groups the table has now; every group number is below.
    pub group_count: usize,
    /// The function's arguments, each covering the rows of `groups` or constant.
    pub args: &'a [Argument<'a>],
    /// Rows that count (`FILTER (WHERE ...)`), as words; `None` for all.
    pub filter: Option<&'a [u64]>,
    /// What each row does: retractions take the value out again. `None` means all inserts.
    pub changes: Option<&'a [Change]>,
}

/// The states of one aggregate for all groups of a table, as columns indexed by group number.
pub trait AggregateStates: Send {
    /// Takes a batch in. Groups not seen before start from the empty state. A batch without rows, which then may come
    /// without arguments, only makes room for `group_count` groups.
    ///
    /// Failure: overflow of an exact sum; a retraction where `can_retract` is false is a bug.
    fn update(&mut self, context: &KernelContext, update: &Update<'_>) -> Result<()>;

    /// Merges the states of another table of the same function: its group `i` into `groups[i]`.
    ///
    /// Shapes: `groups` has a number for each of the first groups of `other`, all below `group_count`.
    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()>;

    /// Takes the states of another table out again that were merged in: its group `i` out of `groups[i]`.
    ///
    /// Failure: a function that cannot is a bug, see [`AggregateFunction::can_unmerge`].
    fn unmerge(&mut self, groups: &[u32], other: &mut dyn AggregateStates) -> Result<()> {
        let _ = (groups, other);
        Err(Error::bug("states were taken out of an aggregate that cannot give them back"))
    }

    /// The states of some groups as a table of their own: its group `i` is `groups[i]`. `None`: it has no quick way, and
    /// `save` is to be used.
    fn pick(&mut self, groups: &[u32]) -> Result<Option<Box<dyn AggregateStates>>> {
        let _ = groups;
        Ok(None)
    }

    /// Writes the results of `groups` into `out`, one row each, without disturbing the states.
    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()>;

    /// Writes what `function` would give of the same rows; the states' own function covers it.
    fn finish_as(&mut self, function: &dyn AggregateFunction, groups: &[u32], out: &mut Column) -> Result<()> {
        let (_, _) = (groups, out);
        Err(Error::bug(format!("{} is read from states that do not tell it", function.name())))
    }

    /// The states of the first `group_count` groups as columns of `state_types`, without disturbing them.
    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>>;

    /// Merges saved states: row `i` of `columns` into `groups[i]`.
    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()>;

    /// Forgets all groups and keeps the memory.
    fn clear(&mut self);

    /// Bytes held.
    fn size_bytes(&self) -> usize;

    /// For `merge`, which needs the other's own type.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
