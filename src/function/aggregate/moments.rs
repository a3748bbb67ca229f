//! Variance and standard deviation, of a sample and of a population.
//!
//! Invariants  sum and sum of squares are kept with their rounding errors, about 32 digits, so that their difference
//!             still has its digits when the mean is large. Unlike Welford's running mean these are plain sums: rows
//!             can be taken back, from another table than the one they came into, and no order is better than another.
//!             NaN and infinities are counted apart: a group that holds one has NaN for a result, and its finite
//!             result again when they are taken back. Squares beyond 1e308 make the variance infinite for good.

use std::any::Any;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::grouped;

use super::compensated::Compensated;
use super::count::Count;
use super::float::{self, Specials, kind_of};
use super::table::{Native, Rows, Table};
use super::value::{self, Wide};
use crate::batch::{Argument, Column, Kind};
use crate::error::Result;
use crate::function::AggregateFunction;

/// The function called `name`, `None` for arguments that are no floats.
pub(super) fn function(name: &str, arg: &DataType, result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let (name, is_sample, is_deviation) = match name {
        "var" | "var_samp" | "var_sample" => ("var", true, false),
        "var_pop" | "var_population" => ("var_pop", false, false),
        "stddev" | "stddev_samp" => ("stddev", true, true),
        "stddev_pop" => ("stddev_pop", false, true),
        _ => return None,
    };
    if !matches!(arg, DataType::Float32 | DataType::Float64) || *result != DataType::Float64 {
        return None;
    }
    let (kind, states) = (Kind::of(arg), Vec::new());
    let empty = Moments { kind, is_sample, is_deviation, states, specials: Vec::new(), memory: Vec::new() };
    Some(Native::retractable(name, result, empty))
}

/// Of the finite values of a group, in one cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct State {
    count: i64,
    sum: Compensated,
    squares: Compensated,
}

impl State {
    #[inline(always)]
    fn add(&mut self, value: f64, weight: i64) {
        let square = Compensated::square(value);
        let sign = weight as f64;
        self.count += weight;
        self.sum.add(value * sign);
        self.squares.add(square.sum * sign);
        self.squares.error += square.error * sign;
    }

    fn merge(&mut self, other: &State) {
        self.count += other.count;
        self.sum.add_sum(other.sum);
        self.squares.add_sum(other.squares);
    }

    /// The sum of the squared distances from the mean; infinite when the squares are.
    fn distances(&self) -> f64 {
        if !self.squares.sum.is_finite() {
            return f64::INFINITY;
        }
        let mean = self.sum.over(self.count as f64);
        self.squares.minus(self.sum.times(mean)).total().max(0.0)
    }
}

#[derive(Debug, Clone)]
struct Moments {
    kind: Kind,
    is_sample: bool,
    is_deviation: bool,
    states: Vec<State>,
    /// How many values of a group are not finite; empty when there was none.
    specials: Vec<Specials>,
    memory: Vec<f64>,
}

impl Moments {
    /// Writes what the settings of `of` make of the states of `groups`.
    fn write(&self, of: &Self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| Ok(self.result(of, group)))
    }

    fn special(&self, group: usize) -> i64 {
        self.specials.get(group).map_or(0, |specials| specials.iter().sum())
    }

    fn total(&self, group: usize) -> f64 {
        float::total(self.states[group].sum, self.specials.get(group))
    }

    fn count(&self, group: usize) -> i64 {
        self.states[group].count + self.special(group)
    }

    fn result(&self, of: &Self, group: usize) -> Option<f64> {
        let (count, special) = (self.count(group), self.special(group));
        let degrees = count - i64::from(of.is_sample);
        if count <= 0 || degrees <= 0 {
            return None;
        }
        let variance = if special > 0 { f64::NAN } else { self.states[group].distances() / degrees as f64 };
        Some(if of.is_deviation { variance.sqrt() } else { variance })
    }

    fn add_rows(&mut self, rows: &Rows<'_>, values: &[f64]) {
        let group_count = self.states.len();
        let specials = &mut self.specials;
        let mut special = |row: usize, weight: i64| {
            value::grow(specials, group_count, [0; 3]);
            specials[rows.groups[row] as usize][kind_of(values[row])] += weight;
        };
        match rows.weights {
            None => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                if values[row].is_finite() { state.add(values[row], 1) } else { special(row, 1) }
            }),
            Some(weights) => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                let (value, weight) = (values[row], i64::from(weights[row]));
                if value.is_finite() { state.add(value, weight) } else { special(row, weight) }
            }),
        }
    }
}

impl Table for Moments {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.states, group_count, State::default());
        if !self.specials.is_empty() {
            value::grow(&mut self.specials, group_count, [0; 3]);
        }
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let mut memory = std::mem::take(&mut self.memory);
        let values = f64::values(rows.level, &args[0], self.kind, rows.count(), &mut memory)?;
        self.add_rows(rows, values);
        self.memory = memory;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            self.states[group as usize].merge(from);
        }
        if other.specials.iter().any(|special| special != &[0; 3]) {
            value::grow(&mut self.specials, self.states.len(), [0; 3]);
            for (from, &group) in other.specials.iter().zip(groups) {
                self.specials[group as usize].iter_mut().zip(from).for_each(|(count, from)| *count += from);
            }
        }
        Ok(())
    }

    fn covers(&self, other: &dyn Any) -> bool {
        let is_sum = || other.downcast_ref::<float::Sum>().is_some_and(|other| other.kind == self.kind);
        let is_kin = || other.downcast_ref::<Self>().is_some_and(|other| other.kind == self.kind);
        other.is::<Count>() || is_kin() || is_sum()
    }

    fn finish_as(&mut self, other: &dyn Any, groups: &[u32], out: &mut Column) -> Result<()> {
        if let Some(other) = other.downcast_ref::<Self>() {
            return self.write(other, groups, out);
        }
        let Some(sum) = other.downcast_ref::<float::Sum>() else {
            return value::write(groups, out, |group| Ok(Some(self.count(group))));
        };
        value::write(groups, out, |group| {
            let (count, total) = (self.count(group), self.total(group));
            Ok((count > 0).then(|| if sum.is_average { total / count as f64 } else { total }))
        })
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.write(self, groups, out)
    }

    fn state_types(&self) -> Vec<DataType> {
        let (float, count) = (DataType::Float64, DataType::Int64);
        vec![count.clone(), float.clone(), float.clone(), float.clone(), float, count.clone(), count.clone(), count]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let (float, count) = (DataType::Float64, DataType::Int64);
        let part = |of: fn(&State) -> f64| value::saved(&float, group_count, |group| Some(of(&self.states[group])));
        let special = |kind: usize| {
            value::saved(&count, group_count, |group| Some(self.specials.get(group).map_or(0, |special| special[kind])))
        };
        Ok(vec![
            value::saved(&count, group_count, |group| Some(self.states[group].count))?,
            part(|state| state.sum.sum)?,
            part(|state| state.sum.error)?,
            part(|state| state.squares.sum)?,
            part(|state| state.squares.error)?,
            special(0)?,
            special(1)?,
            special(2)?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (sums, sum_errors) = (value::loaded::<f64>(&columns[1])?, value::loaded::<f64>(&columns[2])?);
        let (squares, square_errors) = (value::loaded::<f64>(&columns[3])?, value::loaded::<f64>(&columns[4])?);
        self.states.extend(value::loaded::<i64>(&columns[0])?.iter().enumerate().map(|(row, &count)| State {
            count,
            sum: Compensated { sum: sums[row], error: sum_errors[row] },
            squares: Compensated { sum: squares[row], error: square_errors[row] },
        }));
        for kind in 0..3 {
            let counts = value::loaded::<i64>(&columns[5 + kind])?;
            if counts.iter().any(|&count| count != 0) {
                value::grow(&mut self.specials, counts.len(), [0; 3]);
                self.specials.iter_mut().zip(counts).for_each(|(special, &count)| special[kind] = count);
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
        self.specials.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.states) + value::bytes(&self.specials) + value::bytes(&self.memory)
    }
}
