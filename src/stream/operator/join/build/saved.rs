//! The build side as sections of a snapshot, and back.
//!
//! A row goes with its key in front, so that it can be sent to the key's owner, and with whether it has found a match.
//! Restored rows are rows that come in: the side ends once more, and only then is the table complete.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{filter_record_batch, not, take};
use arrow::datatypes::UInt32Type;
use millstream_kernels::bitmap;

use super::super::perfect::integers;
use super::{Build, with_null_key};
use crate::batch::{Argument, Batch, Column, KernelColumn, Kind, ROWS_MAX, Selection};
use crate::error::Result;
use crate::state::{NO_GROUP, Section, SectionRoute};
use crate::stream::operator::saved::{check, keys_of, section};

/// Rows: their keys, what is stored of them, and whether each has found a match.
pub(in crate::stream::operator::join) const ROWS: &str = "table rows 1";
/// Keys without rows: the keys, and how many rows of each have not answered for one of the other side.
pub(in crate::stream::operator::join) const KEYS: &str = "table keys 1";
/// That a row had no key, as a row of no columns but a zero.
pub(in crate::stream::operator::join) const NULL_KEY: &str = "table null key 1";

impl Build {
    /// What is held; `matched` has a bit per row where matches are noted, else nothing.
    pub(in crate::stream::operator::join) fn sections(&self, matched: &[u64]) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        if self.keeps_rows && !self.rows.is_empty() {
            sections.push(self.row_section(matched)?);
        }
        if !self.keeps_rows || self.each_once {
            let (mut columns, count) = self.all_keys()?;
            let left = |group: usize| self.left_over.get(group).copied().unwrap_or(0);
            columns.push(Arc::new(UInt32Array::from_iter_values((0..count).map(left))));
            sections.push(section(KEYS, columns, count, self.key_count)?);
        }
        if self.has_null_key {
            let mut own = section(NULL_KEY, vec![Arc::new(UInt32Array::from(vec![0]))], 1, 0)?;
            own.route = SectionRoute::All;
            sections.push(own);
        }
        Ok(sections)
    }

    fn row_section(&self, matched: &[u64]) -> Result<Section> {
        let count = self.rows.len();
        let mut columns = self.row_keys()?;
        for column in 0..self.stored.len() {
            columns.push(self.rows.array(column)?);
        }
        let found = |row: usize| !matched.is_empty() && bitmap::get(matched, row);
        columns.push(Arc::new(BooleanArray::from_iter((0..count).map(|row| Some(found(row))))));
        section(ROWS, columns, count, self.key_count)
    }

    /// The keys of the rows, in their order; NULL where a row has a NULL among them.
    fn row_keys(&self) -> Result<Vec<ArrayRef>> {
        let count = self.rows.len();
        if let Some(values) = &self.values {
            let mut groups: Vec<Option<u32>> = vec![Some(0); count];
            self.rows_aside.iter().for_each(|&row| groups[row as usize] = None);
            let mut next = 0..values.len() as u32;
            groups.iter_mut().filter(|group| group.is_some()).for_each(|group| *group = next.next());
            return self.taken(vec![self.integer_keys(values)?], groups);
        }
        let groups: Vec<u32> = match () {
            () if !self.row_groups.is_empty() => self.row_groups.clone(),
            () if self.starts.is_empty() => (0..count as u32).collect(),
            () => {
                let mut groups = vec![NO_GROUP; count];
                for (group, bounds) in self.starts.windows(2).enumerate() {
                    let rows = &self.chained[bounds[0] as usize..bounds[1] as usize];
                    rows.iter().for_each(|row| groups[*row as usize] = group as u32);
                }
                groups
            }
        };
        let (keys, _) = self.all_keys()?;
        self.taken(keys, groups.into_iter().map(|group| (group != NO_GROUP).then_some(group)).collect())
    }

    /// The keys of these groups, NULL where there is none.
    fn taken(&self, keys: Vec<ArrayRef>, groups: Vec<Option<u32>>) -> Result<Vec<ArrayRef>> {
        let groups = UInt32Array::from(groups);
        if groups.null_count() == groups.len() {
            return Ok(keys.iter().map(|key| new_null_array(key.data_type(), groups.len())).collect());
        }
        Ok(keys.iter().map(|key| take(key, &groups, None)).collect::<Result<_, _>>()?)
    }

    /// The keys of all groups, and how many groups there are.
    fn all_keys(&self) -> Result<(Vec<ArrayRef>, usize)> {
        let values = match (&self.values, &self.perfect) {
            (Some(values), _) => values.clone(),
            (None, Some(perfect)) => perfect.values(),
            (None, None) => {
                let groups: Vec<u32> = (0..self.index.len() as u32).collect();
                return Ok((keys_of(&self.index, self.index.key_types(), &groups)?, groups.len()));
            }
        };
        Ok((vec![self.integer_keys(&values)?], values.len()))
    }

    fn integer_keys(&self, values: &[i64]) -> Result<ArrayRef> {
        let data_type = &self.index.key_types()[0];
        Column::Flat(integers(Kind::of(data_type), values)).to_array(data_type, values.len(), &Selection::default())
    }

    /// Takes rows over; which of them have found a match is added to `matched`, in the order in which they are kept now.
    pub(in crate::stream::operator::join) fn restore_rows(
        &mut self,
        section: &Section,
        matched: &mut Vec<bool>,
    ) -> Result<()> {
        check(section, ROWS, self.key_count + self.stored.len() + 1)?;
        for from in (0..section.rows.num_rows()).step_by(ROWS_MAX) {
            let rows = section.rows.slice(from, ROWS_MAX.min(section.rows.num_rows() - from));
            let nulls = if self.nulls_match {
                None
            } else {
                with_null_key(&arguments(&key_columns(self, &rows), rows.num_rows()), rows.num_rows())
            };
            let Some(nulls) = nulls else {
                self.restore_batch(&rows, true, matched)?;
                continue;
            };
            let nulls = BooleanArray::from(nulls);
            self.restore_batch(&filter_record_batch(&rows, &nulls)?, false, matched)?;
            self.restore_batch(&filter_record_batch(&rows, &not(&nulls)?)?, true, matched)?;
        }
        Ok(())
    }

    fn restore_batch(&mut self, rows: &RecordBatch, have_keys: bool, matched: &mut Vec<bool>) -> Result<()> {
        let count = rows.num_rows();
        if count == 0 {
            return Ok(());
        }
        self.seen += count as u64;
        let before = self.rows.len() as u32;
        if have_keys {
            let columns = key_columns(self, rows);
            // What has answered for a row of the other side stands in the section of keys.
            self.add_keys(&arguments(&columns, count), count, false)?;
        } else {
            self.set_rows_aside(before, before + count as u32);
        }
        let stored: Vec<usize> = (self.key_count..self.key_count + self.stored.len()).collect();
        self.rows.append(&Batch::from_record(rows), &stored)?;
        let found = rows.column(rows.num_columns() - 1).as_boolean();
        matched.extend((0..count).map(|row| found.value(row)));
        Ok(())
    }

    /// Takes keys over that have no rows.
    pub(in crate::stream::operator::join) fn restore_keys(&mut self, section: &Section) -> Result<()> {
        check(section, KEYS, self.key_count + 1)?;
        for from in (0..section.rows.num_rows()).step_by(ROWS_MAX) {
            let rows = section.rows.slice(from, ROWS_MAX.min(section.rows.num_rows() - from));
            self.seen += rows.num_rows() as u64;
            let columns = key_columns(self, &rows);
            self.add_keys(&arguments(&columns, rows.num_rows()), rows.num_rows(), false)?;
            if self.each_once {
                let left = rows.column(self.key_count).as_primitive::<UInt32Type>();
                self.groups.iter().zip(left.values()).for_each(|(group, left)| self.left_over[*group as usize] += left);
            }
        }
        Ok(())
    }

    /// Remembers that a row had no key.
    pub(in crate::stream::operator::join) fn restore_null_key(&mut self) {
        self.seen += 1;
        self.has_null_key = true;
    }
}

/// The keys of saved rows.
fn key_columns(build: &Build, rows: &RecordBatch) -> Vec<KernelColumn> {
    let keys = rows.columns()[..build.key_count].iter();
    keys.map(|key| KernelColumn::new(Column::Array(key.clone()))).collect()
}

fn arguments(columns: &[KernelColumn], rows: usize) -> Vec<Argument<'_>> {
    columns.iter().map(|column| column.argument(rows)).collect()
}
