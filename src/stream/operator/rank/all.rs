//! All rows of each key, in order: where rows may be taken back, what falls out may come back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::row::{Row as ArrowRow, RowConverter, SortField};

use super::RankShape;
use super::changes::Changed;
use super::ranking::{Ranked, Ranking, Row, Written};
use crate::batch::Change;
use crate::error::Result;
use crate::stream::operator::order::canonical;

/// The rows of all keys, and how often each is there: less than not at all for those taken back too early.
pub(super) struct All {
    shape: Arc<RankShape>,
    rows: Vec<BTreeMap<Written, i64>>,
    order: RowConverter,
    row: RowConverter,
    bytes: usize,
}

impl All {
    /// Failure: columns that cannot be ordered.
    pub fn new(shape: &Arc<RankShape>) -> Result<Self> {
        let types = &shape.types;
        let (key_count, own) = (shape.spec.key_count, shape.own());
        let options = shape.spec.order.iter().copied();
        let order = types[key_count..own].iter().cloned().zip(options);
        let order = order.map(|(data_type, options)| SortField::new_with_options(data_type, options));
        let row = types[own..].iter().cloned().map(SortField::new);
        Ok(All {
            rows: Vec::new(),
            order: RowConverter::new(order.collect())?,
            row: RowConverter::new(row.collect())?,
            bytes: 0,
            shape: shape.clone(),
        })
    }

    pub fn grow(&mut self, count: usize) {
        self.rows.resize_with(count, BTreeMap::new);
    }

    /// Adds rows, or takes rows back.
    pub fn change(
        &mut self,
        wide: &[ArrayRef],
        groups: &[u32],
        changes: Option<&[Change]>,
        mut changed: Option<&mut Changed>,
    ) -> Result<()> {
        let write = |converter: &RowConverter, columns: &[ArrayRef]| match columns.is_empty() {
            true => Ok(None),
            false => converter.convert_columns(columns).map(Some),
        };
        let keys: Vec<ArrayRef> = wide[self.shape.spec.key_count..self.shape.own()].iter().map(canonical).collect();
        let (order, own) = (write(&self.order, &keys)?, write(&self.row, &wide[self.shape.own()..])?);
        for (row, &group) in groups.iter().enumerate() {
            let weight = changes.map_or(1, |changes| changes[row].weight());
            let order = order.as_ref().map_or(&[][..], |order| order.row(row).data());
            let written = Written::new(order, own.as_ref().map_or(&[][..], |own| own.row(row).data()));
            // What was forgotten is taken back by nobody.
            if self.shape.spec.ttl.is_some() && weight < 0 && !self.rows[group as usize].contains_key(&written) {
                continue;
            }
            if let Some(changed) = changed.as_deref_mut() {
                changed.touch(group, |shown| self.ranked(group, shown));
            }
            let grown = change(&mut self.rows[group as usize], written, weight);
            self.bytes = self.bytes.wrapping_add_signed(grown);
        }
        Ok(())
    }

    /// Keeps the rows of these keys only, ascending, which are numbered anew in this order.
    pub fn keep(&mut self, left: &[u32]) {
        let kept: Vec<_> = left.iter().map(|&group| std::mem::take(&mut self.rows[group as usize])).collect();
        self.rows = kept;
        let size = |written: &Written| written.size_bytes() + size_of::<i64>();
        self.bytes = self.rows.iter().flat_map(BTreeMap::keys).map(size).sum();
    }

    /// The rows of a group that are shown, in order.
    pub fn ranked(&self, group: u32, shown: &mut Vec<Ranked>) {
        let mut ranking = Ranking::new(&self.shape);
        let mut last: Option<&Written> = None;
        for (written, &count) in &self.rows[group as usize] {
            for time in 0..count {
                let is_behind = time == 0 && last.is_none_or(|last| last.parts().0 != written.parts().0);
                let show = |rank| shown.push(Ranked { rank, row: Row::Written(written.clone()) });
                if !ranking.add(is_behind, show) {
                    return;
                }
            }
            if count > 0 {
                last = Some(written);
            }
        }
    }

    /// All rows of a group, and how often each is there.
    pub fn each(&self, group: u32) -> impl Iterator<Item = (&Written, i64)> {
        self.rows[group as usize].iter().map(|(written, count)| (written, *count))
    }

    /// The columns of rows.
    pub fn columns<'a>(&self, rows: impl Iterator<Item = &'a Written>) -> Result<Vec<ArrayRef>> {
        read(&self.row, rows.map(|row| row.parts().1))
    }

    /// The ORDER BY keys of rows.
    pub fn order_columns<'a>(&self, rows: impl Iterator<Item = &'a Written>) -> Result<Vec<ArrayRef>> {
        if self.shape.spec.order.is_empty() {
            return Ok(Vec::new());
        }
        read(&self.order, rows.map(|row| row.parts().0))
    }

    pub fn size_bytes(&self) -> usize {
        self.bytes + self.rows.capacity() * size_of::<BTreeMap<Written, i64>>()
    }
}

fn read<'a>(converter: &RowConverter, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
    let parser = converter.parser();
    let rows: Vec<ArrowRow<'_>> = rows.map(|row| parser.parse(row)).collect();
    Ok(converter.convert_rows(rows)?)
}

/// Adds a row, or takes one back; by how many bytes the rows have grown.
fn change(rows: &mut BTreeMap<Written, i64>, written: Written, weight: i64) -> isize {
    let size = (written.size_bytes() + size_of::<i64>()) as isize;
    let is_new = !rows.contains_key(&written);
    let count = rows.entry(written.clone()).or_insert(0);
    *count += weight;
    match *count {
        0 => {
            rows.remove(&written);
            if is_new { 0 } else { -size }
        }
        _ if is_new => size,
        _ => 0,
    }
}
