//! `min` and `max` of fixed-width values: numbers, decimals, dates and times.
//!
//! Invariants  the order is the comparison operators': NaN is greater than everything, zeros are one value (0.0 is
//!             given for either). What is least cannot be taken back: the next one is not known.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::aggregate::Extreme;
use millstream_kernels::{aggregate, bitmap, grouped};

use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::Result;
use crate::function::AggregateFunction;

/// `min` or `max`, `None` for arguments that are not of fixed width.
pub(super) fn function(name: &str, arg: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let (name, is_min) = if name == "min" { ("min", true) } else { ("max", false) };
    macro_rules! table {
        ($($kind:ident $type:ty),+) => {
            match Kind::of(arg) {
                $(Kind::$kind => Some(Native::append_only(name, arg, Extremes::<$type>::new(is_min, arg))),)+
                _ => None,
            }
        };
    }
    table!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64, I128 i128)
}

#[derive(Debug, Clone)]
struct Extremes<T> {
    is_min: bool,
    data_type: DataType,
    best: Vec<T>,
    /// The groups that have one.
    seen: Vec<u64>,
    memory: Vec<T>,
}

impl<T: Fixed + Extreme> Extremes<T> {
    fn new(is_min: bool, data_type: &DataType) -> Self {
        let data_type = data_type.clone();
        Extremes { is_min, data_type, best: Vec::new(), seen: Vec::new(), memory: Vec::new() }
    }

    fn take(&mut self, group: usize, value: T) {
        let better = if self.is_min { value.less(self.best[group]) } else { self.best[group].less(value) };
        if better || !bitmap::get(&self.seen, group) {
            self.best[group] = value;
            bitmap::set(&mut self.seen, group);
        }
    }

    fn result(&self, group: usize) -> Option<T> {
        let value = self.best[group];
        let value = if value.same(T::default()) { T::default() } else { value };
        bitmap::get(&self.seen, group).then_some(value)
    }
}

impl<T: Fixed + Extreme> Table for Extremes<T> {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.best, group_count, T::default());
        value::grow_bits(&mut self.seen, group_count);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let mut memory = std::mem::take(&mut self.memory);
        let values = value::values::<T>(&args[0], rows.count(), &mut memory)?;
        if rows.is_plain() {
            let of_rows = if self.is_min { aggregate::min } else { aggregate::max };
            if let Some(value) = of_rows(rows.level, values, rows.validity) {
                self.take(0, value);
            }
        } else {
            let of_groups = if self.is_min { grouped::min } else { grouped::max };
            of_groups(rows.groups, values, rows.validity, &mut self.best, &mut self.seen);
        }
        self.memory = memory;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in groups.iter().enumerate() {
            if bitmap::get(&other.seen, from) {
                self.take(group as usize, other.best[from]);
            }
        }
        Ok(())
    }

    fn pick(&self, groups: &[u32]) -> Option<Self> {
        let mut picked = Extremes::new(self.is_min, &self.data_type);
        picked.grow(groups.len());
        for (to, &group) in groups.iter().enumerate() {
            picked.best[to] = self.best[group as usize];
            if bitmap::get(&self.seen, group as usize) {
                bitmap::set(&mut picked.seen, to);
            }
        }
        Some(picked)
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| Ok(self.result(group)))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone()]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        Ok(vec![value::saved(&self.data_type, group_count, |group| self.result(group))?])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.best.extend_from_slice(value::loaded(&columns[0])?);
        value::load_seen(&columns[0], &mut self.seen);
        Ok(())
    }

    fn clear(&mut self) {
        self.best.clear();
        self.seen.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.best) + value::bytes(&self.seen) + value::bytes(&self.memory)
    }
}
