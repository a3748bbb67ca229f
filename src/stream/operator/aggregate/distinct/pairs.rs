//! The pairs of group and arguments of one table, numbered as they appear.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, UInt32Type};
use smallvec::SmallVec;

use super::super::TableShape;
use crate::batch::{Argument, Column, Flat, Selection, Values};
use crate::error::Result;
use crate::state::GroupIndex;

/// Numbers for pairs, and those of the rows at hand.
pub(super) struct Pairs {
    index: GroupIndex,
    /// Whether group 0 is all there is: then values alone are the keys.
    one_group: bool,
    pub(super) arg_types: Vec<DataType>,
    /// The rows of the batch at hand that count; `None`: all.
    pub(super) rows: Option<Vec<u32>>,
    /// The pair of each of these rows; after a merge, of each pair of the other table.
    pub(super) found: Vec<u32>,
}

impl Pairs {
    pub(super) fn new(shape: &TableShape, arg_types: &[DataType]) -> Self {
        let one_group = shape.one_group && !arg_types.is_empty();
        let group = (!one_group).then_some(DataType::UInt32);
        let types = group.into_iter().chain(arg_types.iter().cloned()).collect();
        Pairs {
            index: GroupIndex::new(types, shape.seed, shape.level()),
            one_group,
            arg_types: arg_types.to_vec(),
            rows: None,
            found: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Finds the pair of each row, new ones made, and leaves them in `found`.
    pub(super) fn find(&mut self, groups: &[u32], args: &[Argument<'_>]) -> Result<()> {
        if self.one_group {
            return self.index.lookup(args, groups.len(), &mut self.found);
        }
        let group_column = group_column(groups);
        let mut keys: SmallVec<[Argument<'_>; 4]> = SmallVec::new();
        keys.push(Argument::new(&group_column, None, groups.len()));
        keys.extend(args.iter().copied());
        self.index.lookup(&keys, groups.len(), &mut self.found)
    }

    /// The groups and the argument columns of some pairs.
    pub(super) fn columns(&self, pairs: &[u32]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let column = |key: usize, data_type: &DataType| {
            let mut column = Column::default();
            self.index.keys(key, pairs, &mut column)?;
            column.to_array(data_type, pairs.len(), &Selection::default())
        };
        let first = usize::from(!self.one_group);
        let args = self.arg_types.iter().enumerate().map(|(arg, data_type)| column(first + arg, data_type));
        let args = args.collect::<Result<_>>()?;
        if self.one_group {
            return Ok((vec![0; pairs.len()], args));
        }
        Ok((column(0, &DataType::UInt32)?.as_primitive::<UInt32Type>().values().to_vec(), args))
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.index.size_bytes()
    }
}

fn group_column(groups: &[u32]) -> Column {
    let mut flat = Flat::new(Values::U32(groups.to_vec()));
    flat.rows = groups.len();
    Column::Flat(flat)
}
