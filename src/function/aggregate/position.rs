//! `first_value` and `last_value` in the order of the rows, for a query that gives no other.
//!
//! Invariants  a null is a value like others; a group has none only while it has no rows. Merging puts the rows of the
//!             merged table behind this one's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt8Array};
use arrow::datatypes::DataType;

use super::store::{Booleans, Numbers, Store, Text};
use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column, Kind, Selection};
use crate::error::Result;
use crate::function::AggregateFunction;

/// `first_value` or `last_value`, `None` for arguments of types that have no machine form.
pub(super) fn function(name: &str, arg: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let (name, is_first) = if name == "first_value" { ("first_value", true) } else { ("last_value", false) };
    macro_rules! table {
        ($($kind:ident $store:ty),+) => {
            match Kind::of(arg) {
                $(Kind::$kind => Some(native::<$store>(name, is_first, arg)),)+
                Kind::Other => None,
            }
        };
    }
    table!(Bool Booleans, I8 Numbers<i8>, I16 Numbers<i16>, I32 Numbers<i32>, I64 Numbers<i64>, U8 Numbers<u8>,
        U16 Numbers<u16>, U32 Numbers<u32>, U64 Numbers<u64>, F32 Numbers<f32>, F64 Numbers<f64>, I128 Numbers<i128>,
        View Text)
}

fn native<S: Store>(name: &'static str, is_first: bool, arg: &DataType) -> Arc<dyn AggregateFunction> {
    let empty = Position { is_first, data_type: arg.clone(), held: Vec::new(), values: S::default() };
    let result_type = arg.clone();
    Arc::new(Native { name: name.into(), result_type, can_retract: false, is_order_sensitive: true, empty })
}

/// What a group holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
enum Held {
    #[default]
    Nothing,
    Null,
    Value,
}

#[derive(Debug, Clone)]
struct Position<S> {
    is_first: bool,
    data_type: DataType,
    held: Vec<Held>,
    values: S,
}

impl<S: Store> Table for Position<S> {
    const TAKES_NULLS: bool = true;

    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.held, group_count, Held::Nothing);
        self.values.grow(group_count);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let values = S::values(&args[0])?;
        let is_first = self.is_first;
        rows.each(|group, row| {
            if is_first && self.held[group] != Held::Nothing {
                return;
            }
            if args[0].is_null(row) {
                self.held[group] = Held::Null;
            } else {
                self.held[group] = Held::Value;
                self.values.set(group, &values, row);
            }
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in groups.iter().enumerate() {
            let group = group as usize;
            let stays = self.is_first && self.held[group] != Held::Nothing;
            if stays || other.held[from] == Held::Nothing {
                continue;
            }
            self.held[group] = other.held[from];
            if other.held[from] == Held::Value {
                self.values.copy(group, &other.values, from);
            }
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.values.write(groups, &self.data_type, out, |group| self.held[group] == Held::Value)
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone(), DataType::UInt8]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let groups: Vec<u32> = (0..group_count as u32).collect();
        let mut column = Column::default();
        self.values.write(&groups, &self.data_type, &mut column, |group| self.held[group] == Held::Value)?;
        let values = column.to_array(&self.data_type, group_count, &Selection::default())?;
        let held: UInt8Array = self.held[..group_count].iter().map(|&held| Some(held as u8)).collect();
        Ok(vec![values, Arc::new(held)])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let group_count = columns[0].len();
        self.grow(group_count);
        let held = value::loaded::<u8>(&columns[1])?;
        let column = value::loaded_column(&columns[0]);
        let values = S::values(&Argument::new(&column, None, group_count))?;
        for (group, &held) in held.iter().enumerate() {
            if columns[0].is_valid(group) {
                self.held[group] = Held::Value;
                self.values.set(group, &values, group);
            } else if held == Held::Null as u8 {
                self.held[group] = Held::Null;
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.held.clear();
        self.values.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.held) + self.values.size_bytes()
    }
}
