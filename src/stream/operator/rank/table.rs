//! Keys and the rows of each, in order: the best ones, or all where rows may be taken back.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use super::RankShape;
use super::all::All;
use super::best::Best;
use super::changes::Changed;
use super::ranking::{Ranked, Row};
use crate::batch::{Change, Column, ROWS_MAX, Selection};
use crate::error::{Error, Result};
use crate::state::GroupIndex;
use crate::stream::operator::Next;
use crate::stream::operator::over::look_up;

/// Keys and their rows.
pub(super) struct RankTable {
    shape: Arc<RankShape>,
    index: GroupIndex,
    rows: Rows,
}

enum Rows {
    Best(Box<Best>),
    All(Box<All>),
}

impl RankTable {
    /// Failure: columns that cannot be ordered or kept.
    pub fn new(shape: &Arc<RankShape>) -> Result<Self> {
        let rows = match shape.spec.takes_back {
            true => Rows::All(Box::new(All::new(shape)?)),
            false => Rows::Best(Box::new(Best::new(shape)?)),
        };
        Ok(RankTable { index: new_index(shape), rows, shape: shape.clone() })
    }

    pub fn key_count(&self) -> usize {
        self.index.len()
    }

    /// The group of each of `rows` wide rows.
    pub fn find_groups(&mut self, wide: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let groups = look_up(&mut self.index, &wide[..self.shape.spec.key_count], rows)?;
        match &mut self.rows {
            Rows::Best(best) => best.grow(self.index.len()),
            Rows::All(all) => all.grow(self.index.len()),
        }
        Ok(groups)
    }

    /// Keeps these groups only, ascending, which are numbered anew in this order.
    pub fn retain(&mut self, left: &[u32]) -> Result<()> {
        let keys = self.keys(left)?;
        self.index = new_index(&self.shape);
        for from in (0..left.len()).step_by(ROWS_MAX) {
            let rows = ROWS_MAX.min(left.len() - from);
            let piece: Vec<ArrayRef> = keys.iter().map(|key| key.slice(from, rows)).collect();
            look_up(&mut self.index, &piece, rows)?;
        }
        match &mut self.rows {
            Rows::Best(best) => best.keep(left),
            Rows::All(all) => {
                all.keep(left);
                Ok(())
            }
        }
    }

    /// Takes wide rows in, whose groups are known. What the groups showed before is noted in `changed`: rows that are not
    /// shown any more are there until [`settle`](Self::settle) is called. Without it they go at once.
    pub fn take(
        &mut self,
        wide: &[ArrayRef],
        groups: &[u32],
        changes: Option<&[Change]>,
        changed: Option<&mut Changed>,
    ) -> Result<()> {
        match &mut self.rows {
            Rows::Best(best) => best.add(wide, groups, changed),
            Rows::All(all) => all.change(wide, groups, changes, changed),
        }
    }

    /// The number of the first ORDER BY key behind which no row of the first key is among the best.
    pub fn bound(&self) -> u64 {
        match &self.rows {
            Rows::Best(best) if !self.index.is_empty() => best.bound(0),
            _ => u64::MAX,
        }
    }

    /// Lets go of rows that are not shown any more.
    pub fn settle(&mut self) -> Result<()> {
        match &mut self.rows {
            Rows::Best(best) => best.settle(),
            Rows::All(_) => Ok(()),
        }
    }

    /// Pushes everything on that is shown, with its rank as the last column.
    pub fn emit(&mut self, rank: impl Fn(&[u64]) -> Result<ArrayRef>, next: &mut Next<'_>) -> Result<()> {
        match &mut self.rows {
            Rows::Best(best) => best.emit(rank, next),
            Rows::All(_) => Err(Error::bug("rows that may be taken back are shown as changes")),
        }
    }

    /// Adds the rows of a group that are shown, in order.
    pub fn ranked(&self, group: u32, shown: &mut Vec<Ranked>) {
        match &self.rows {
            Rows::Best(best) => best.ranked(group, shown),
            Rows::All(all) => all.ranked(group, shown),
        }
    }

    /// All rows of a group, and how often each is there.
    pub fn each(&self, group: u32, mut tell: impl FnMut(Row, i64)) {
        match &self.rows {
            Rows::Best(best) => best.each(group).for_each(|place| tell(Row::At(place), 1)),
            Rows::All(all) => all.each(group).for_each(|(row, count)| tell(Row::Written(row.clone()), count)),
        }
    }

    /// Whether a group has rows: always, where none are taken back.
    pub fn has_rows(&self, group: u32) -> bool {
        match &self.rows {
            Rows::Best(_) => true,
            Rows::All(all) => all.each(group).next().is_some(),
        }
    }

    /// Compares rows of one group, ties by all columns.
    pub fn compare(&self, a: &Row, b: &Row) -> Ordering {
        match (&self.rows, a, b) {
            (Rows::Best(best), Row::At(a), Row::At(b)) if a != b => best.compare(*a, *b),
            (_, Row::Written(a), Row::Written(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// Rows as the columns that they were made of.
    pub fn columns<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<ArrayRef>> {
        match &self.rows {
            Rows::Best(best) => best.columns(&places(rows)),
            Rows::All(all) => all.columns(rows.filter_map(Row::written)),
        }
    }

    /// The ORDER BY keys of rows.
    pub fn order_columns<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<ArrayRef>> {
        match &self.rows {
            Rows::Best(best) => best.order_columns(&places(rows)),
            Rows::All(all) => all.order_columns(rows.filter_map(Row::written)),
        }
    }

    /// The keys of groups.
    pub fn keys(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let key = |(key, data_type): (usize, &DataType)| {
            let mut column = Column::default();
            self.index.keys(key, groups, &mut column)?;
            column.to_array(data_type, groups.len(), &Selection::default())
        };
        self.shape.types[..self.shape.spec.key_count].iter().enumerate().map(key).collect()
    }

    pub fn size_bytes(&self) -> usize {
        self.index.size_bytes()
            + match &self.rows {
                Rows::Best(best) => best.size_bytes(),
                Rows::All(all) => all.size_bytes(),
            }
    }
}

fn new_index(shape: &RankShape) -> GroupIndex {
    GroupIndex::new(shape.types[..shape.spec.key_count].to_vec(), shape.seed, shape.context.level)
}

fn places<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<u32> {
    rows.filter_map(|row| if let Row::At(place) = row { Some(*place) } else { None }).collect()
}

/// Fails where rows cannot be written as bytes.
pub(super) fn check(types: &[DataType]) -> Result<()> {
    let refused =
        types.iter().find(|data_type| !RowConverter::supports_fields(&[SortField::new((*data_type).clone())]));
    match refused {
        None => Ok(()),
        Some(data_type) => Err(Error::user(format!("rows with a column of this type cannot be ranked: {data_type}"))),
    }
}
