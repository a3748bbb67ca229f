//! Variance and standard deviation, of a sample and of a population, in one stable pass.
//!
//! Invariants  mean and sum of squared distances are kept, never the sum of squares. NaN and infinities are counted
//!             apart: a group that holds one has NaN for a result, and its finite result again when they are taken
//!             back. Taking rows back rounds; what is left below zero counts as zero.
//! Source      Welford 1962; merging as in Chan, Golub and LeVeque 1979.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::{aggregate, bitmap, grouped};

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

/// Of the finite values of a group.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    count: i64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl State {
    #[inline(always)]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    fn remove(&mut self, value: f64) {
        self.count -= 1;
        if self.count == 0 {
            *self = State::default();
            return;
        }
        let after = value - self.mean;
        self.mean -= after / self.count as f64;
        self.squares -= after * (value - self.mean);
    }

    fn merge(&mut self, other: &State) {
        if self.count == 0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        if other.count == 0 || count == 0 {
            return;
        }
        let distance = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.squares += other.squares + distance * distance * self.count as f64 * share;
        self.mean += distance * share;
        self.count = count;
    }
}

#[derive(Debug, Clone)]
struct Moments {
    kind: Kind,
    is_sample: bool,
    is_deviation: bool,
    states: Vec<State>,
    /// How many values of a group are not finite; empty when there was none.
    specials: Vec<i64>,
    memory: Vec<f64>,
}

impl Moments {
    fn result(&self, group: usize) -> Option<f64> {
        let state = self.states[group];
        let special = self.specials.get(group).copied().unwrap_or(0);
        let count = state.count + special;
        let degrees = count - i64::from(self.is_sample);
        if count <= 0 || degrees <= 0 {
            return None;
        }
        let variance = if special > 0 { f64::NAN } else { state.squares.max(0.0) / degrees as f64 };
        Some(if self.is_deviation { variance.sqrt() } else { variance })
    }

    fn add_rows(&mut self, rows: &Rows<'_>, values: &[f64]) {
        let group_count = self.states.len();
        let specials = &mut self.specials;
        let mut special = |row: usize, weight: i64| {
            value::grow(specials, group_count, 0);
            specials[rows.groups[row] as usize] += weight;
        };
        match rows.weights {
            None => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                if values[row].is_finite() { state.add(values[row]) } else { special(row, 1) }
            }),
            Some(weights) => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                match (values[row].is_finite(), weights[row] < 0) {
                    (true, false) => state.add(values[row]),
                    (true, true) => state.remove(values[row]),
                    (false, _) => special(row, weights[row].into()),
                }
            }),
        }
    }
}

/// The state of the rows of one group: the mean first, then the distances. `None` when a value is not finite.
fn of_rows(rows: &Rows<'_>, values: &[f64]) -> Option<State> {
    let count = aggregate::count(rows.validity, values.len());
    let sum = aggregate::sum_f64(rows.level, values, rows.validity);
    if count == 0 || !sum.is_finite() {
        return (count == 0).then(State::default);
    }
    let mean = sum / count as f64;
    let valid = |row: usize| rows.validity.is_none_or(|words| bitmap::get(words, row));
    let (mut squares, mut rest) = (0.0, 0.0);
    for (row, value) in values.iter().enumerate() {
        if valid(row) {
            squares += (value - mean) * (value - mean);
            rest += value - mean;
        }
    }
    // The mean is rounded; what the distances do not cancel out corrects for it.
    let squares = squares - rest * rest / count as f64;
    Some(State { count: count as i64, mean, squares })
}

impl Table for Moments {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.states, group_count, State::default());
        if !self.specials.is_empty() {
            value::grow(&mut self.specials, group_count, 0);
        }
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let mut memory = std::mem::take(&mut self.memory);
        let values = f64::values(rows.level, &args[0], self.kind, rows.count(), &mut memory)?;
        match if rows.is_plain() { of_rows(rows, values) } else { None } {
            Some(state) => self.states[0].merge(&state),
            None => self.add_rows(rows, values),
        }
        self.memory = memory;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            self.states[group as usize].merge(from);
        }
        if other.specials.iter().any(|&special| special != 0) {
            value::grow(&mut self.specials, self.states.len(), 0);
            for (from, &group) in other.specials.iter().zip(groups) {
                self.specials[group as usize] += from;
            }
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| Ok(self.result(group)))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64, DataType::Float64, DataType::Float64, DataType::Int64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let (float, count) = (DataType::Float64, DataType::Int64);
        Ok(vec![
            value::saved(&count, group_count, |group| Some(self.states[group].count))?,
            value::saved(&float, group_count, |group| Some(self.states[group].mean))?,
            value::saved(&float, group_count, |group| Some(self.states[group].squares))?,
            value::saved(&count, group_count, |group| Some(self.specials.get(group).copied().unwrap_or(0)))?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (means, squares) = (value::loaded::<f64>(&columns[1])?, value::loaded::<f64>(&columns[2])?);
        let states = value::loaded::<i64>(&columns[0])?.iter().zip(means).zip(squares);
        self.states.extend(states.map(|((&count, &mean), &squares)| State { count, mean, squares }));
        let specials = value::loaded::<i64>(&columns[3])?;
        if specials.iter().any(|&special| special != 0) {
            self.specials.extend_from_slice(specials);
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
