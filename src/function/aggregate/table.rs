//! What all native aggregates share: which rows count, growing to new groups, merging tables, saving.
//!
//! Invariants  a [`Table`] is asked only about groups it has grown to; `merge` and `save` see tables of the same
//!             function, so the settings inside of it agree.

use std::any::Any;
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::level::Level;
use millstream_kernels::{bitmap, gather};

use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{AggregateFunction, AggregateStates, KernelContext, Update};

/// The states of one aggregate, one per group. A clone of an empty table carries the settings to a new one.
pub(in crate::function) trait Table: Clone + Debug + Send + Sync + 'static {
    /// Whether a row whose argument is null counts like others.
    const TAKES_NULLS: bool = false;
    /// Whether `unmerge` gives back exactly what was before.
    const CAN_UNMERGE: bool = false;

    /// Makes room for `group_count` groups; new ones start empty. Never shrinks.
    fn grow(&mut self, group_count: usize);

    /// Takes rows in.
    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()>;

    /// Merges group `i` of `other` into `groups[i]`; the rows of `other` come after this table's.
    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()>;

    /// Takes group `i` of `other` out of `groups[i]` again; only asked for with `CAN_UNMERGE`.
    fn unmerge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        let _ = (groups, other);
        Err(Error::bug("states were taken out of an aggregate that cannot give them back"))
    }

    /// Whether the results of an empty table `other`, of this or another kind, can be told from this one.
    fn covers(&self, other: &dyn Any) -> bool {
        let _ = other;
        false
    }

    /// Writes the results of `groups` as `other` would; only asked for where it is covered.
    fn finish_as(&mut self, other: &dyn Any, groups: &[u32], out: &mut Column) -> Result<()> {
        let (_, _, _) = (other, groups, out);
        Err(Error::bug("a result was read from states that do not tell it"))
    }

    /// An empty table's clone with the states of `groups`; `None`: by way of `save`.
    fn pick(&self, groups: &[u32]) -> Option<Self> {
        let _ = groups;
        None
    }

    /// Writes the results of `groups`.
    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()>;

    /// The types of the columns that `save` makes.
    fn state_types(&self) -> Vec<DataType>;

    /// The states of the first `group_count` groups.
    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>>;

    /// Fills this empty table with saved states: group `i` is row `i`.
    fn load(&mut self, columns: &[ArrayRef]) -> Result<()>;

    /// Forgets all groups and keeps the memory.
    fn clear(&mut self);

    /// Bytes held beside the struct itself.
    fn size_bytes(&self) -> usize;
}

/// The rows of one update.
pub(in crate::function) struct Rows<'a> {
    /// The group of each row.
    pub groups: &'a [u32],
    /// Which rows count: neither filtered nor null; `None` for all.
    pub validity: Option<&'a [u64]>,
    /// +1 or -1 per row, `None` when all are +1.
    pub weights: Option<&'a [i8]>,
    /// Whether all rows belong to group 0.
    pub one_group: bool,
    pub level: Level,
}

impl Rows<'_> {
    pub fn count(&self) -> usize {
        self.groups.len()
    }

    /// Calls `step` with the group and the row of each row that counts, in order: for states in more than one place.
    pub fn each(&self, mut step: impl FnMut(usize, usize)) {
        let visit = |row: usize| step(self.groups[row] as usize, row);
        match self.validity {
            None => (0..self.groups.len()).for_each(visit),
            Some(words) => (0..self.groups.len()).filter(|&row| bitmap::get(words, row)).for_each(visit),
        }
    }

    /// Whether all rows are added to group 0: then kernels without groups do.
    pub fn is_plain(&self) -> bool {
        self.one_group && self.weights.is_none()
    }
}

/// A native aggregate function: its description around an empty table.
#[derive(Debug)]
pub(in crate::function) struct Native<T: Table> {
    pub name: Cow<'static, str>,
    pub result_type: DataType,
    pub can_retract: bool,
    pub is_order_sensitive: bool,
    pub empty: T,
}

impl<T: Table> Native<T> {
    /// A function whose rows may come in any order and may be taken back.
    pub fn retractable(name: &'static str, result_type: &DataType, empty: T) -> Arc<dyn AggregateFunction> {
        let result_type = result_type.clone();
        Arc::new(Native { name: name.into(), result_type, can_retract: true, is_order_sensitive: false, empty })
    }

    /// A function whose rows may come in any order and stay.
    pub fn append_only(name: &'static str, result_type: &DataType, empty: T) -> Arc<dyn AggregateFunction> {
        let result_type = result_type.clone();
        Arc::new(Native { name: name.into(), result_type, can_retract: false, is_order_sensitive: false, empty })
    }
}

impl<T: Table> AggregateFunction for Native<T> {
    fn name(&self) -> &str {
        &self.name
    }

    fn result_type(&self) -> DataType {
        self.result_type.clone()
    }

    fn state_types(&self) -> Vec<DataType> {
        self.empty.state_types()
    }

    fn states(&self) -> Box<dyn AggregateStates> {
        let table = self.empty.clone();
        let empty = self.empty.clone();
        let (validity, weights) = (Vec::new(), Vec::new());
        Box::new(States { table, empty, can_retract: self.can_retract, validity, weights })
    }

    fn can_retract(&self) -> bool {
        self.can_retract
    }

    fn can_unmerge(&self) -> bool {
        T::CAN_UNMERGE
    }

    fn is_order_sensitive(&self) -> bool {
        self.is_order_sensitive
    }

    fn skips_nulls(&self) -> bool {
        !T::TAKES_NULLS
    }

    fn covers(&self, other: &dyn AggregateFunction) -> bool {
        other.reading().is_some_and(|other| self.empty.covers(other))
    }

    fn reading(&self) -> Option<&dyn Any> {
        Some(&self.empty)
    }
}

/// A table with the memory that its updates need.
struct States<T: Table> {
    table: T,
    empty: T,
    can_retract: bool,
    validity: Vec<u64>,
    weights: Vec<i8>,
}

impl<T: Table> AggregateStates for States<T> {
    fn update(&mut self, context: &KernelContext, update: &Update<'_>) -> Result<()> {
        self.table.grow(update.group_count);
        if update.groups.is_empty() {
            return Ok(());
        }
        let retracts = update.changes.is_some_and(|changes| changes.iter().any(|change| change.is_retraction()));
        if retracts && !self.can_retract {
            return Err(Error::bug("rows were taken back from an aggregate that cannot give them back"));
        }
        let weights = update.changes.filter(|_| retracts).map(|changes| {
            self.weights.clear();
            self.weights.extend(changes.iter().map(|change| change.0.signum()));
            &self.weights[..]
        });
        let validity = counted::<T>(context.level, update, &mut self.validity);
        let one_group = update.group_count == 1;
        let rows = Rows { groups: update.groups, validity, weights, one_group, level: context.level };
        self.table.update(&rows, update.args)
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Self>();
        let other = other.ok_or_else(|| Error::bug("states of different aggregates cannot be merged"))?;
        other.table.grow(groups.len());
        self.table.grow(group_count);
        self.table.merge(groups, &other.table)
    }

    fn unmerge(&mut self, groups: &[u32], other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Self>();
        let other = other.ok_or_else(|| Error::bug("states of different aggregates cannot be taken out"))?;
        other.table.grow(groups.len());
        self.table.unmerge(groups, &other.table)
    }

    fn pick(&mut self, groups: &[u32]) -> Result<Option<Box<dyn AggregateStates>>> {
        self.table.grow(group_count(groups));
        let Some(table) = self.table.pick(groups) else { return Ok(None) };
        let (validity, weights) = (Vec::new(), Vec::new());
        let empty = self.empty.clone();
        Ok(Some(Box::new(States { table, empty, can_retract: self.can_retract, validity, weights })))
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.table.grow(group_count(groups));
        self.table.finish(groups, out)
    }

    fn finish_as(&mut self, function: &dyn AggregateFunction, groups: &[u32], out: &mut Column) -> Result<()> {
        let reading = function.reading().ok_or_else(|| Error::bug("only native functions are read from others"))?;
        self.table.grow(group_count(groups));
        self.table.finish_as(reading, groups, out)
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        self.table.grow(group_count);
        self.table.save(group_count)
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        let expected = self.table.state_types();
        if !columns.iter().map(|column| column.data_type()).eq(&expected) {
            return Err(Error::bug("saved states are of another aggregate"));
        }
        let mut saved = self.empty.clone();
        saved.load(columns)?;
        saved.grow(groups.len());
        self.table.grow(group_count);
        self.table.merge(groups, &saved)
    }

    fn clear(&mut self) {
        self.table.clear();
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.table.size_bytes() + self.validity.capacity() * 8 + self.weights.capacity()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// How many groups there must be for all of `groups` to be among them.
fn group_count(groups: &[u32]) -> usize {
    gather::greatest_u32(groups).map_or(0, |group| group as usize + 1)
}

/// The rows that count, as words: not filtered, no argument null. `None` for all; `memory` is used if need be.
fn counted<'a, T: Table>(level: Level, update: &'a Update<'a>, memory: &'a mut Vec<u64>) -> Option<&'a [u64]> {
    let args = if T::TAKES_NULLS { &[] } else { update.args };
    let rows = update.groups.len();
    if args.iter().any(Argument::constant_is_null) {
        bitmap::fill(memory, rows, false);
        return Some(memory);
    }
    let of_args = args.iter().filter(|arg| !arg.is_constant()).filter_map(|arg| arg.validity());
    let mut masks = update.filter.into_iter().chain(of_args).map(|mask| &mask[..bitmap::words(rows)]);
    let first = masks.next()?;
    let Some(second) = masks.next() else { return Some(first) };
    memory.clear();
    memory.extend_from_slice(first);
    bitmap::and_with(level, memory, second);
    masks.for_each(|mask| bitmap::and_with(level, memory, mask));
    Some(memory)
}
