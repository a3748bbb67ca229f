//! `sum` and `avg` of integers: exact, whatever overflows on the way.
//!
//! Invariants  the true sum of a group is `sum + carry * 2^64`. Carries exist only once a sum has left 64 bits, which
//!             most tables never see; that the final sum does not fit its type is an error when it is asked for.

use std::any::Any;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::{aggregate, grouped};

use super::count::Count;
use super::table::{Native, Rows, Table};
use super::value::{self, Wide};
use crate::batch::{Argument, Column, Kind};
use crate::error::{Error, Result};
use crate::function::AggregateFunction;

/// `sum` to 64 bits or `avg` to a float, `None` for arguments that are no integers.
pub(super) fn function(name: &str, arg: &DataType, result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let (name, is_average) = if name == "sum" { ("sum", false) } else { ("avg", true) };
    let kind = Kind::of(arg);
    if arg.is_signed_integer() && *result == if is_average { DataType::Float64 } else { DataType::Int64 } {
        return Some(Native::retractable(name, result, Sum::<i64>::new(kind, is_average)));
    }
    if arg.is_unsigned_integer() && *result == if is_average { DataType::Float64 } else { DataType::UInt64 } {
        return Some(Native::retractable(name, result, Sum::<u64>::new(kind, is_average)));
    }
    None
}

/// A 64-bit integer that sums are kept in.
trait Word: Wide + aggregate::Sum + TryFrom<i128> + Into<i128> + Display {
    const DATA_TYPE: DataType;
    const SQL_TYPE: &'static str;
    /// The low 64 bits of a sum.
    fn low(sum: i128) -> Self;
    /// `self` plus or minus `value`, and by how many times 2^64 the true result differs.
    fn add(self, value: Self) -> (Self, bool);
    fn subtract(self, value: Self) -> (Self, bool);
    /// The sign of the carry when `self` plus `value` overflows.
    fn carry(value: Self) -> i64;
}

macro_rules! word {
    ($word:ty, $data_type:ident, $sql:literal, $carry:expr) => {
        impl Word for $word {
            const DATA_TYPE: DataType = DataType::$data_type;
            const SQL_TYPE: &'static str = $sql;
            fn low(sum: i128) -> Self {
                sum as $word
            }
            #[inline(always)]
            fn add(self, value: Self) -> (Self, bool) {
                self.overflowing_add(value)
            }
            #[inline(always)]
            fn subtract(self, value: Self) -> (Self, bool) {
                self.overflowing_sub(value)
            }
            fn carry(value: Self) -> i64 {
                ($carry)(value)
            }
        }
    };
}
word!(i64, Int64, "BIGINT", |value: i64| if value < 0 { -1 } else { 1 });
word!(u64, UInt64, "BIGINT UNSIGNED", |_| 1);

/// What is kept per group; the count tells a sum of nothing from a sum of zero.
#[derive(Debug, Clone, Copy, Default)]
struct State<T> {
    sum: T,
    count: i64,
}

#[derive(Debug, Clone)]
struct Sum<T> {
    kind: Kind,
    is_average: bool,
    states: Vec<State<T>>,
    /// Per group, or empty when no sum has ever left 64 bits.
    carries: Vec<i64>,
    memory: Vec<T>,
}

impl<T: Word> Sum<T> {
    fn new(kind: Kind, is_average: bool) -> Self {
        Sum { kind, is_average, states: Vec::new(), carries: Vec::new(), memory: Vec::new() }
    }

    fn total(&self, group: usize) -> i128 {
        self.states[group].sum.into() + (i128::from(self.carry(group)) << 64)
    }

    fn carry(&self, group: usize) -> i64 {
        self.carries.get(group).copied().unwrap_or(0)
    }

    fn add(&mut self, group: usize, sum: i128, count: i64) {
        let total = self.total(group) + sum;
        let low = T::low(total);
        let carry = ((total - low.into()) >> 64) as i64;
        let change = carry - self.carry(group);
        if change != 0 {
            carry_of(&mut self.carries, self.states.len(), group, change);
        }
        let state = &mut self.states[group];
        state.sum = low;
        state.count += count;
    }
}

impl<T: Word> Sum<T> {
    fn write(&self, is_average: bool, groups: &[u32], out: &mut Column) -> Result<()> {
        if is_average {
            return value::write(groups, out, |group| {
                let count = self.states[group].count;
                Ok((count > 0).then(|| self.total(group) as f64 / count as f64))
            });
        }
        if self.carries.is_empty() {
            return value::write(groups, out, |group| {
                let state = self.states[group];
                Ok((state.count > 0).then_some(state.sum))
            });
        }
        value::write(groups, out, |group| {
            if self.states[group].count <= 0 {
                return Ok(None);
            }
            let total = self.total(group);
            T::try_from(total).map(Some).map_err(|_| {
                let sql_type = T::SQL_TYPE;
                Error::user(format!("sum overflows {sql_type}: {total}; cast the argument to DECIMAL(38, 0)"))
            })
        })
    }

    /// Adds states whose sums fit their word, one to each of `groups`.
    fn add_all(&mut self, groups: &[u32], others: &[State<T>]) {
        let (group_count, others) = (self.states.len(), &others[..groups.len()]);
        let carries = &mut self.carries;
        grouped::update(groups, None, &mut self.states, |state, row| {
            let other = others[row];
            let (sum, overflows) = state.sum.add(other.sum);
            *state = State { sum, count: state.count + other.count };
            if overflows {
                carry_of(carries, group_count, groups[row] as usize, T::carry(other.sum));
            }
        });
    }

    /// Takes such states off again.
    fn subtract_all(&mut self, groups: &[u32], others: &[State<T>]) {
        let (group_count, others) = (self.states.len(), &others[..groups.len()]);
        let carries = &mut self.carries;
        grouped::update(groups, None, &mut self.states, |state, row| {
            let other = others[row];
            let (sum, overflows) = state.sum.subtract(other.sum);
            *state = State { sum, count: state.count - other.count };
            if overflows {
                carry_of(carries, group_count, groups[row] as usize, -T::carry(other.sum));
            }
        });
    }
}

/// Adds to the carry of a group.
#[cold]
fn carry_of(carries: &mut Vec<i64>, group_count: usize, group: usize, carry: i64) {
    value::grow(carries, group_count, 0);
    carries[group] += carry;
}

impl<T: Word> Table for Sum<T> {
    const CAN_UNMERGE: bool = true;

    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.states, group_count, State::default());
        if !self.carries.is_empty() {
            value::grow(&mut self.carries, group_count, 0);
        }
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let mut memory = std::mem::take(&mut self.memory);
        let values = T::values(rows.level, &args[0], self.kind, rows.count(), &mut memory)?;
        let group_count = self.states.len();
        let carries = &mut self.carries;
        match rows.weights {
            None if rows.one_group => {
                let count = aggregate::count(rows.validity, rows.count());
                let sum = aggregate::sum_int(rows.level, values, rows.validity);
                self.add(0, sum, count as i64);
            }
            None => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                let (sum, overflows) = state.sum.add(values[row]);
                *state = State { sum, count: state.count + 1 };
                if overflows {
                    carry_of(carries, group_count, rows.groups[row] as usize, T::carry(values[row]));
                }
            }),
            Some(weights) => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                let (value, weight) = (values[row], i64::from(weights[row]));
                let (sum, overflows) = if weight < 0 { state.sum.subtract(value) } else { state.sum.add(value) };
                *state = State { sum, count: state.count + weight };
                if overflows {
                    carry_of(carries, group_count, rows.groups[row] as usize, T::carry(value) * weight);
                }
            }),
        }
        self.memory = memory;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        if other.carries.is_empty() {
            self.add_all(groups, &other.states);
            return Ok(());
        }
        for (from, &group) in groups.iter().enumerate() {
            self.add(group as usize, other.total(from), other.states[from].count);
        }
        Ok(())
    }

    fn unmerge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        if other.carries.is_empty() {
            self.subtract_all(groups, &other.states);
            return Ok(());
        }
        for (from, &group) in groups.iter().enumerate() {
            self.add(group as usize, -other.total(from), -other.states[from].count);
        }
        Ok(())
    }

    fn pick(&self, groups: &[u32]) -> Option<Self> {
        let mut picked = Sum::new(self.kind, self.is_average);
        picked.states.extend(groups.iter().map(|&group| self.states[group as usize]));
        if !self.carries.is_empty() {
            picked.carries.extend(groups.iter().map(|&group| self.carry(group as usize)));
        }
        Some(picked)
    }

    fn covers(&self, other: &dyn Any) -> bool {
        other.is::<Count>() || other.downcast_ref::<Self>().is_some_and(|other| other.kind == self.kind)
    }

    fn finish_as(&mut self, other: &dyn Any, groups: &[u32], out: &mut Column) -> Result<()> {
        match other.downcast_ref::<Self>() {
            Some(other) => self.write(other.is_average, groups, out),
            None => value::write(groups, out, |group| Ok(Some(self.states[group].count))),
        }
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.write(self.is_average, groups, out)
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![T::DATA_TYPE, DataType::Int64, DataType::Int64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        Ok(vec![
            value::saved(&T::DATA_TYPE, group_count, |group| Some(self.states[group].sum))?,
            value::saved(&DataType::Int64, group_count, |group| Some(self.carry(group)))?,
            value::saved(&DataType::Int64, group_count, |group| Some(self.states[group].count))?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (sums, carries) = (value::loaded::<T>(&columns[0])?, value::loaded::<i64>(&columns[1])?);
        let counts = value::loaded::<i64>(&columns[2])?;
        self.states.extend(sums.iter().zip(counts).map(|(&sum, &count)| State { sum, count }));
        if carries.iter().any(|&carry| carry != 0) {
            self.carries.extend_from_slice(carries);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
        self.carries.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.states) + value::bytes(&self.carries) + value::bytes(&self.memory)
    }
}
