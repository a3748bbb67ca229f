//! Several keys with strings among them: each string column has a table of its own, and its numbers stand for it.
//!
//! ```text
//! 'apple' ─ views ─▶ 3 ┐
//! 'open'  ─ views ─▶ 0 ├─▶ packed 64 ─▶ group
//! ```
//! So a dictionary column costs a load per row, and no string is written once per group.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use millstream_kernels::level::Level;
use smallvec::SmallVec;

use super::views::Views;
use super::{EMPTY, GroupIndex};
use crate::batch::{Argument, Column, Kind, Values};
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Numbered {
    columns: Vec<Option<Numbers>>,
    /// Over the keys with numbers in place of strings.
    groups: Box<GroupIndex>,
}

/// A string column.
#[derive(Debug)]
struct Numbers {
    table: Views,
    column: Column,
    /// All strings of the table by their numbers, once that pays and until it grows.
    values: OnceLock<ArrayRef>,
    /// Strings written one by one since it grew.
    written: AtomicUsize,
}

/// Whether keys of these types have strings among others.
pub(super) fn takes(key_types: &[DataType]) -> bool {
    key_types.len() > 1 && key_types.iter().any(|data_type| Kind::of(data_type) == Kind::View)
}

impl Numbered {
    pub(super) fn new(key_types: &[DataType], seed: u64, level: Level) -> Self {
        let is_string = |data_type: &DataType| Kind::of(data_type) == Kind::View;
        let numbers = |data_type: &DataType| is_string(data_type).then(|| Numbers::new(seed));
        let number_type =
            |data_type: &DataType| if is_string(data_type) { DataType::UInt32 } else { data_type.clone() };
        let inner = key_types.iter().map(number_type).collect();
        Numbered {
            columns: key_types.iter().map(numbers).collect(),
            groups: Box::new(GroupIndex::new(inner, seed, level)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn lookup(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        for (numbers, key) in self.columns.iter_mut().zip(keys) {
            if let Some(numbers) = numbers {
                let known = numbers.table.len();
                numbers.fill(rows, |table, out| table.lookup(key, rows, out))?;
                if numbers.table.len() > known {
                    numbers.forget_values();
                }
            }
        }
        self.groups.lookup(&numbered(&self.columns, keys, rows), rows, groups)
    }

    /// The group of each row, `EMPTY` where there is none.
    pub(super) fn find(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        let mut missing = Vec::new();
        for (numbers, key) in self.columns.iter_mut().zip(keys) {
            let Some(numbers) = numbers else { continue };
            numbers.fill(rows, |table, out| {
                table.find(key, rows, out)?;
                // Any number does where there is none.
                let rows = out.iter_mut().enumerate().filter(|(_, number)| **number == EMPTY);
                missing.extend(rows.map(|(row, number)| {
                    *number = 0;
                    row
                }));
                Ok(())
            })?;
        }
        self.groups.find(&numbered(&self.columns, keys, rows), rows, groups)?;
        missing.into_iter().for_each(|row| groups[row] = EMPTY);
        Ok(())
    }

    pub(super) fn keys(&self, key: usize, data_type: &DataType, groups: &[u32], out: &mut Column) -> Result<()> {
        let Some(numbers) = &self.columns[key] else { return self.groups.keys(key, groups, out) };
        let mut column = Column::default();
        self.groups.keys(key, groups, &mut column)?;
        let values = Argument::new(&column, None, groups.len()).values::<u32>()?;
        *out = Column::Array(numbers.strings(data_type, values)?);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.groups.clear();
        for numbers in self.columns.iter_mut().flatten() {
            numbers.table.clear();
            numbers.forget_values();
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.groups.size_bytes() + self.columns.iter().flatten().map(|n| n.table.size_bytes()).sum::<usize>()
    }
}

/// The keys with numbers in place of strings.
fn numbered<'a>(columns: &'a [Option<Numbers>], keys: &[Argument<'a>], rows: usize) -> SmallVec<[Argument<'a>; 4]> {
    let number = |(numbers, key): (&'a Option<Numbers>, &Argument<'a>)| match numbers {
        Some(numbers) => Argument::new(&numbers.column, None, rows),
        None => *key,
    };
    columns.iter().zip(keys).map(number).collect()
}

impl Numbers {
    fn new(seed: u64) -> Self {
        Numbers {
            table: Views::new(seed),
            column: Column::default(),
            values: OnceLock::new(),
            written: AtomicUsize::new(0),
        }
    }

    /// The strings of some numbers. Groups share strings: where as many have been asked for as there are, each is written
    /// and checked once more, and from then on its view is copied.
    fn strings(&self, data_type: &DataType, numbers: &[u32]) -> Result<ArrayRef> {
        if self.values.get().is_none() {
            let written = self.written.fetch_add(numbers.len(), Ordering::Relaxed) + numbers.len();
            if written < self.table.len() {
                return self.table.keys(data_type, numbers);
            }
            let all: Vec<u32> = (0..self.table.len() as u32).collect();
            let _ = self.values.set(self.table.keys(data_type, &all)?);
        }
        let values = self.values.get().ok_or_else(|| Error::bug("the strings of numbers were not written"))?;
        Ok(take(values, &UInt32Array::from(numbers.to_vec()), None)?)
    }

    fn forget_values(&mut self) {
        self.values.take();
        *self.written.get_mut() = 0;
    }

    /// Makes the column what `find` puts out.
    fn fill(&mut self, rows: usize, find: impl FnOnce(&mut Views, &mut Vec<u32>) -> Result<()>) -> Result<()> {
        let flat = self.column.flat_mut(|values| matches!(values, Values::U32(_)), || Values::U32(Vec::new()));
        let Values::U32(numbers) = &mut flat.values else { return Err(Error::bug("numbers are u32")) };
        numbers.clear();
        find(&mut self.table, numbers)?;
        flat.rows = rows;
        flat.set_all_valid();
        Ok(())
    }
}
