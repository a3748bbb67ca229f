//! `bit_and`, `bit_or` and `bit_xor` of integers.
//!
//! Invariants  of the three only XOR is its own inverse, so only its rows can be taken back.

use std::ops::{BitAnd, BitOr, BitXor, Not};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::grouped;

use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::Result;
use crate::function::AggregateFunction;

/// The function called `name`, `None` for arguments that are no integers.
pub(super) fn function(name: &str, arg: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let (name, op) = match name {
        "bit_and" => ("bit_and", Op::And),
        "bit_or" => ("bit_or", Op::Or),
        "bit_xor" => ("bit_xor", Op::Xor),
        _ => return None,
    };
    macro_rules! table {
        ($($kind:ident $type:ty),+) => {
            match Kind::of(arg) {
                $(Kind::$kind => Some(native::<$type>(name, op, arg)),)+
                _ => None,
            }
        };
    }
    if !arg.is_integer() {
        return None;
    }
    table!(I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64)
}

fn native<T: Word>(name: &'static str, op: Op, arg: &DataType) -> Arc<dyn AggregateFunction> {
    let empty = Bits::<T> { op, data_type: arg.clone(), states: Vec::new(), memory: Vec::new() };
    match op {
        Op::Xor => Native::retractable(name, arg, empty),
        Op::And | Op::Or => Native::append_only(name, arg, empty),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    And,
    Or,
    Xor,
}

trait Word: Fixed + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self> {}
impl<T> Word for T where T: Fixed + BitAnd<Output = T> + BitOr<Output = T> + BitXor<Output = T> + Not<Output = T> {}

#[derive(Debug, Clone, Copy)]
struct State<T> {
    value: T,
    count: i64,
}

#[derive(Debug, Clone)]
struct Bits<T> {
    op: Op,
    data_type: DataType,
    states: Vec<State<T>>,
    memory: Vec<T>,
}

impl<T: Word> Bits<T> {
    fn take(&self, state: &mut State<T>, value: T, count: i64) {
        state.value = match self.op {
            Op::And => state.value & value,
            Op::Or => state.value | value,
            Op::Xor => state.value ^ value,
        };
        state.count += count;
    }

    fn result(&self, group: usize) -> Option<T> {
        let state = self.states[group];
        (state.count > 0).then_some(state.value)
    }
}

impl<T: Word> Table for Bits<T> {
    fn grow(&mut self, group_count: usize) {
        let value = if self.op == Op::And { !T::default() } else { T::default() };
        value::grow(&mut self.states, group_count, State { value, count: 0 });
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let (mut memory, mut states) = (std::mem::take(&mut self.memory), std::mem::take(&mut self.states));
        let values = value::values::<T>(&args[0], rows.count(), &mut memory)?;
        grouped::update(rows.groups, rows.validity, &mut states, |state, row| {
            self.take(state, values[row], rows.weights.map_or(1, |weights| i64::from(weights[row])));
        });
        (self.memory, self.states) = (memory, states);
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            let mut state = self.states[group as usize];
            self.take(&mut state, from.value, from.count);
            self.states[group as usize] = state;
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| Ok(self.result(group)))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![self.data_type.clone(), DataType::Int64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        Ok(vec![
            value::saved(&self.data_type, group_count, |group| Some(self.states[group].value))?,
            value::saved(&DataType::Int64, group_count, |group| Some(self.states[group].count))?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (value::loaded::<T>(&columns[0])?, value::loaded::<i64>(&columns[1])?);
        self.states.extend(values.iter().zip(counts).map(|(&value, &count)| State { value, count }));
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.states) + value::bytes(&self.memory)
    }
}
