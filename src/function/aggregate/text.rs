//! `min` and `max` of strings and bytes.
//!
//! Invariants  the order is that of the bytes; most rows are decided by the four bytes in the view.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;

use super::store::{Store, Text};
use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column, Selection};
use crate::error::Result;
use crate::function::AggregateFunction;

/// `min` or `max`, `None` for arguments that are no string views.
pub(super) fn function(name: &str, arg: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    if !matches!(arg, DataType::Utf8View | DataType::BinaryView) {
        return None;
    }
    let (name, better) = if name == "min" { ("min", Ordering::Greater) } else { ("max", Ordering::Less) };
    let empty = Extremes { better, data_type: arg.clone(), best: Text::default(), seen: Vec::new() };
    Some(Native::append_only(name, arg, empty))
}

#[derive(Debug, Clone)]
struct Extremes {
    /// How the kept string is ordered against one that takes its place.
    better: Ordering,
    data_type: DataType,
    best: Text,
    /// The groups that have one.
    seen: Vec<u64>,
}

impl Table for Extremes {
    fn grow(&mut self, group_count: usize) {
        self.best.grow(group_count);
        value::grow_bits(&mut self.seen, group_count);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let (strings, stride) = Text::values(&args[0])?;
        let (best, seen, better) = (&mut self.best, &mut self.seen, self.better);
        rows.each(|group, row| {
            let row = row * stride;
            if !bitmap::get(seen, group) || best.order(group, &strings, row) == better {
                best.keep(group, &strings, row);
                bitmap::set(seen, group);
            }
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in groups.iter().enumerate() {
            let group = group as usize;
            if !bitmap::get(&other.seen, from) {
                continue;
            }
            if !bitmap::get(&self.seen, group) || self.best.order_of(group, &other.best, from) == self.better {
                self.best.copy(group, &other.best, from);
                bitmap::set(&mut self.seen, group);
            }
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.best.write(groups, &self.data_type, out, |group| bitmap::get(&self.seen, group))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone()]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let groups: Vec<u32> = (0..group_count as u32).collect();
        let mut column = Column::default();
        self.best.write(&groups, &self.data_type, &mut column, |group| bitmap::get(&self.seen, group))?;
        Ok(vec![column.to_array(&self.data_type, group_count, &Selection::default())?])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.grow(columns[0].len());
        value::load_seen(&columns[0], &mut self.seen);
        let column = Column::Array(columns[0].clone());
        let (strings, _) = Text::values(&Argument::new(&column, None, columns[0].len()))?;
        for group in (0..columns[0].len()).filter(|&group| bitmap::get(&self.seen, group)) {
            self.best.keep(group, &strings, group);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.best.clear();
        self.seen.clear();
    }

    fn size_bytes(&self) -> usize {
        self.best.size_bytes() + value::bytes(&self.seen)
    }
}
