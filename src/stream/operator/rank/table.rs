//! Keys and the rows of each, in order: the best ones, or all where rows may be taken back.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use super::all::All;
use super::best::{Best, Places};
use super::changes::Changed;
use super::ranking::{Ranked, Row};
use super::told::Told;
use super::{RankShape, key_of_groups};
use crate::batch::{Change, ROWS_MAX};
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
    Told(Box<Told>),
    Best(Box<Best>),
    All(Box<All>),
}

/// All rows that are kept.
#[derive(Default)]
pub(super) struct Kept {
    /// The group of each row, and how often the row is there.
    pub groups: Vec<u32>,
    pub counts: Vec<i64>,
    /// The wide columns: keys, ORDER BY keys, the rows' columns.
    pub columns: Vec<ArrayRef>,
}

impl RankTable {
    /// Failure: columns that cannot be ordered or kept.
    pub fn new(shape: &Arc<RankShape>) -> Result<Self> {
        let rows = match Told::new(shape) {
            Some(told) => Rows::Told(Box::new(told)),
            None if shape.spec.takes_back => Rows::All(Box::new(All::new(shape)?)),
            None => Rows::Best(Box::new(Best::new(shape)?)),
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
            // Grows as rows are added: each of its keys has one.
            Rows::Told(_) => {}
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
            Rows::Told(_) => Err(Error::bug("keys whose rows leave at once are not forgotten one by one")),
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
        if let Rows::Told(told) = &mut self.rows {
            if told.holds(wide)? {
                told.add(groups, self.index.len());
                return Ok(());
            }
            self.keep_told()?;
        }
        match &mut self.rows {
            Rows::Told(_) => unreachable!("moved on above"),
            Rows::Best(best) => best.add(wide, groups, changed),
            Rows::All(all) => all.change(wide, groups, changes, changed),
        }
    }

    /// Keeps the rows that their keys have told so far.
    fn keep_told(&mut self) -> Result<()> {
        let mut best = Best::new(&self.shape)?;
        best.grow(self.index.len());
        if let Rows::Told(told) = &self.rows {
            told.each(ROWS_MAX, |rows| best.add(&told.wide(rows, &self.index)?, &rows.groups, None))?;
        }
        self.rows = Rows::Best(Box::new(best));
        Ok(())
    }

    /// The number of the first ORDER BY key behind which no row of the first key is among the best.
    pub fn bound(&self) -> u64 {
        match &self.rows {
            Rows::Told(told) if !self.index.is_empty() => told.bound(0),
            Rows::Best(best) if !self.index.is_empty() => best.bound(0),
            _ => u64::MAX,
        }
    }

    /// Lets go of rows that are not shown any more.
    pub fn settle(&mut self) -> Result<()> {
        match &mut self.rows {
            Rows::Best(best) => best.settle(),
            Rows::Told(_) | Rows::All(_) => Ok(()),
        }
    }

    /// Pushes everything on that is shown, with its rank as the last column.
    pub fn emit(&mut self, rank: impl Fn(&[u64]) -> Result<ArrayRef>, next: &mut Next<'_>) -> Result<()> {
        match &mut self.rows {
            Rows::Told(told) => told.emit(&self.index, rank, next),
            Rows::Best(best) => best.emit(&self.index, rank, next),
            Rows::All(_) => Err(Error::bug("rows that may be taken back are shown as changes")),
        }
    }

    /// Adds the rows of a group that are shown, in order, where they leave as changes.
    pub fn ranked(&self, group: u32, shown: &mut Vec<Ranked>) {
        match &self.rows {
            Rows::Told(_) => unreachable!("rows that leave as changes are kept"),
            Rows::Best(best) => best.ranked(group, shown),
            Rows::All(all) => all.ranked(group, shown),
        }
    }

    /// All rows that are kept.
    pub fn kept(&self) -> Result<Kept> {
        let mut kept = Kept::default();
        match &self.rows {
            Rows::Told(told) => told.each(usize::MAX, |rows| {
                kept.groups.clone_from(&rows.groups);
                kept.columns = told.wide(rows, &self.index)?;
                Ok(())
            })?,
            Rows::Best(best) => {
                let mut rows = Places::default();
                for group in 0..self.key_count() as u32 {
                    best.each(group).for_each(|place| rows.push(group, place));
                }
                let own = best.columns(&self.index, &rows)?;
                kept.columns = [self.keys(&rows.groups)?, best.order_columns(&rows)?, own].concat();
                kept.groups = rows.groups;
            }
            Rows::All(all) => {
                let mut rows = Vec::new();
                for group in 0..self.key_count() as u32 {
                    for (row, count) in all.each(group) {
                        rows.push(row);
                        kept.counts.push(count);
                    }
                    kept.groups.resize(rows.len(), group);
                }
                let order = all.order_columns(rows.iter().copied())?;
                kept.columns = [self.keys(&kept.groups)?, order, all.columns(rows.into_iter())?].concat();
            }
        }
        kept.counts.resize(kept.groups.len(), 1);
        Ok(kept)
    }

    /// Whether a group has rows: always, where none are taken back.
    pub fn has_rows(&self, group: u32) -> bool {
        match &self.rows {
            Rows::Told(_) | Rows::Best(_) => true,
            Rows::All(all) => all.each(group).next().is_some(),
        }
    }

    /// Compares rows of one group, ties by all columns.
    pub fn compare(&self, a: &Row, b: &Row) -> Ordering {
        match (&self.rows, a, b) {
            (Rows::Best(best), Row::At { place: a, .. }, Row::At { place: b, .. }) if a != b => best.compare(*a, *b),
            (_, Row::Written(a), Row::Written(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// Rows that leave as changes, as the columns that they were made of.
    pub fn columns<'a>(&self, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<ArrayRef>> {
        match &self.rows {
            Rows::Told(_) => unreachable!("rows that leave as changes are kept"),
            Rows::Best(best) => best.columns(&self.index, &places(rows)),
            Rows::All(all) => all.columns(rows.filter_map(Row::written)),
        }
    }

    /// The keys of groups.
    fn keys(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        (0..self.shape.spec.key_count).map(|key| key_of_groups(&self.index, key, groups)).collect()
    }

    pub fn size_bytes(&self) -> usize {
        self.index.size_bytes()
            + match &self.rows {
                Rows::Told(told) => told.size_bytes(),
                Rows::Best(best) => best.size_bytes(),
                Rows::All(all) => all.size_bytes(),
            }
    }
}

fn new_index(shape: &RankShape) -> GroupIndex {
    GroupIndex::new(shape.types[..shape.spec.key_count].to_vec(), shape.seed, shape.context.level)
}

fn places<'a>(rows: impl Iterator<Item = &'a Row>) -> Places {
    let mut places = Places::default();
    for row in rows {
        if let Row::At { group, place } = row {
            places.push(*group, *place);
        }
    }
    places
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
