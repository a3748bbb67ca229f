//! `sum` and `avg` of decimals: exact in 128 bits, checked on the way and against the result's precision.
//!
//! Invariants  an average is cut off, not rounded, at the scale of its type, four digits below the argument's.

use std::any::Any;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType};
use millstream_kernels::{aggregate, grouped};

use super::count::Count;
use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::AggregateFunction;

/// `sum` or `avg` to a decimal, `None` for arguments that are no decimals of 128 bits.
pub(super) fn function(name: &str, arg: &DataType, result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let comes_to = Result128::of(name, arg, result)?;
    let empty = Sum { comes_to, states: Vec::new(), memory: Vec::new() };
    Some(Native::retractable(comes_to.name(), result, empty))
}

/// What an exact sum comes to: itself, or an average.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Result128 {
    /// Of the argument and of the sum.
    scale: i8,
    /// Of the result.
    precision: u8,
    result_scale: i8,
    /// For an average, what brings a sum to the result's scale.
    average: Option<i128>,
}

impl Result128 {
    /// Of `sum` or `avg`; `None` for arguments and results that are no decimals of 128 bits.
    pub(crate) fn of(name: &str, arg: &DataType, result: &DataType) -> Option<Self> {
        let (DataType::Decimal128(_, scale), DataType::Decimal128(precision, result_scale)) = (arg, result) else {
            return None;
        };
        let is_average = name != "sum";
        let factor = 10i128.checked_pow(u32::try_from(i32::from(*result_scale) - i32::from(*scale)).ok()?)?;
        let average = is_average.then_some(factor);
        let found = Result128 { scale: *scale, precision: *precision, result_scale: *result_scale, average };
        (is_average || factor == 1).then_some(found)
    }

    fn name(&self) -> &'static str {
        if self.average.is_some() { "avg" } else { "sum" }
    }

    /// The result of `count` values, 1 or more.
    pub(crate) fn result(&self, sum: i128, count: i64) -> Result<i128> {
        let result = match self.average {
            None => Some(sum),
            Some(factor) => sum.checked_mul(factor).map(|sum| sum / i128::from(count)),
        };
        let fits = |value: &i128| value.unsigned_abs() < 10u128.pow(self.precision.into());
        result.filter(fits).ok_or_else(|| self.overflow(sum))
    }

    #[cold]
    fn overflow(&self, sum: i128) -> Error {
        let (name, precision, scale) = (self.name(), self.precision, self.result_scale);
        let sum = Decimal128Type::format_decimal(sum, DECIMAL128_MAX_PRECISION, self.scale);
        Error::user(format!(
            "{name} overflows DECIMAL({precision}, {scale}): the sum is {sum}; cast the argument to a smaller scale"
        ))
    }
}

/// What is kept per group, within one cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct State {
    sum: i128,
    count: i64,
}

#[derive(Debug, Clone)]
struct Sum {
    comes_to: Result128,
    states: Vec<State>,
    memory: Vec<i128>,
}

impl Sum {
    /// Writes what this makes of the states of `groups`.
    fn write(&self, states: &[State], groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| {
            let state = states[group];
            if state.count > 0 { self.comes_to.result(state.sum, state.count).map(Some) } else { Ok(None) }
        })
    }
}

impl Table for Sum {
    const CAN_UNMERGE: bool = true;

    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.states, group_count, State::default());
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let mut memory = std::mem::take(&mut self.memory);
        let values = value::values::<i128>(&args[0], rows.count(), &mut memory)?;
        let mut overflow = None;
        let mut add = |state: &mut State, value: i128, count: i64| match state.sum.checked_add(value) {
            Some(sum) => *state = State { sum, count: state.count + count },
            None => overflow = Some(state.sum),
        };
        match rows.weights {
            None if rows.one_group => {
                let count = aggregate::count(rows.validity, rows.count()) as i64;
                match aggregate::sum_i128(values, rows.validity) {
                    Some(sum) => add(&mut self.states[0], sum, count),
                    None => overflow = Some(i128::MAX),
                }
            }
            None => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                add(state, values[row], 1);
            }),
            Some(weights) => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                let weight = weights[row];
                add(state, values[row] * i128::from(weight), i64::from(weight));
            }),
        }
        self.memory = memory;
        overflow.map_or(Ok(()), |sum| Err(self.comes_to.overflow(sum)))
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            let state = self.states[group as usize];
            let sum = state.sum.checked_add(from.sum).ok_or_else(|| self.comes_to.overflow(state.sum))?;
            self.states[group as usize] = State { sum, count: state.count + from.count };
        }
        Ok(())
    }

    fn unmerge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            let state = self.states[group as usize];
            let sum = state.sum.checked_sub(from.sum).ok_or_else(|| self.comes_to.overflow(state.sum))?;
            self.states[group as usize] = State { sum, count: state.count - from.count };
        }
        Ok(())
    }

    fn pick(&self, groups: &[u32]) -> Option<Self> {
        let states = groups.iter().map(|&group| self.states[group as usize]).collect();
        Some(Sum { comes_to: self.comes_to, states, memory: Vec::new() })
    }

    fn covers(&self, other: &dyn Any) -> bool {
        other.is::<Count>()
            || other.downcast_ref::<Self>().is_some_and(|other| other.comes_to.scale == self.comes_to.scale)
    }

    fn finish_as(&mut self, other: &dyn Any, groups: &[u32], out: &mut Column) -> Result<()> {
        match other.downcast_ref::<Self>() {
            Some(other) => other.write(&self.states, groups, out),
            None => value::write(groups, out, |group| Ok(Some(self.states[group].count))),
        }
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.write(&self.states, groups, out)
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Decimal128(DECIMAL128_MAX_PRECISION, self.comes_to.scale), DataType::Int64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let types = self.state_types();
        Ok(vec![
            value::saved(&types[0], group_count, |group| Some(self.states[group].sum))?,
            value::saved(&types[1], group_count, |group| Some(self.states[group].count))?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (sums, counts) = (value::loaded::<i128>(&columns[0])?, value::loaded::<i64>(&columns[1])?);
        self.states.extend(sums.iter().zip(counts).map(|(&sum, &count)| State { sum, count }));
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.states) + value::bytes(&self.memory)
    }
}
