//! `sum` and `avg` of floats, compensated: the rounding error of each addition is kept and added at the end.
//!
//! Invariants  adding rows one by one loses nothing but the rounding of the errors themselves, so the result hardly
//!             depends on the order of the rows; a table of one group adds up each batch in lanes first, within the
//!             error that the kernel states (about 133 * 2^-53 of the sum of the magnitudes at worst).
//!             NaN and infinities are counted apart, so that taking one back gives the finite sum again. A sum that
//!             overflowed to infinity stays there.

use std::any::Any;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::{aggregate, grouped};

use super::compensated::Compensated;
use super::count::Count;
use super::table::{Native, Rows, Table};
use super::value::{self, Wide};
use crate::batch::{Argument, Column, Kind};
use crate::error::Result;
use crate::function::AggregateFunction;

/// `sum` or `avg` to a float, `None` for arguments that are no floats.
pub(super) fn function(name: &str, arg: &DataType, result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    if !matches!(arg, DataType::Float32 | DataType::Float64) || *result != DataType::Float64 {
        return None;
    }
    let (name, is_average) = if name == "sum" { ("sum", false) } else { ("avg", true) };
    let empty = Sum { kind: Kind::of(arg), is_average, states: Vec::new(), specials: Vec::new(), memory: Vec::new() };
    Some(Native::retractable(name, result, empty))
}

/// What is kept per group: the sum of the finite values, and how many values there are in all.
///
/// Aligned so that no state lies in two cache lines: with a million groups that is twice as fast (16 to 8 ns/row), and
/// then the compensation costs nothing; with a thousand it costs 0.5 ns/row.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct State {
    finite: Compensated,
    count: i64,
}

/// How many NaN, +infinity and -infinity a group holds.
pub(super) type Specials = [i64; 3];

/// The sum of all values of a group, of its finite ones and the others.
pub(super) fn total(finite: Compensated, specials: Option<&Specials>) -> f64 {
    match specials {
        None | Some([0, 0, 0]) => finite.total(),
        Some([0, up, 0]) if *up > 0 => f64::INFINITY,
        Some([0, 0, down]) if *down > 0 => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

/// Sums; what keeps sums beside other things gives its results too.
#[derive(Debug, Clone)]
pub(super) struct Sum {
    pub(super) kind: Kind,
    pub(super) is_average: bool,
    states: Vec<State>,
    /// Per group, or empty when there was none.
    specials: Vec<Specials>,
    memory: Vec<f64>,
}

impl Sum {
    fn total(&self, group: usize) -> f64 {
        total(self.states[group].finite, self.specials.get(group))
    }

    fn write(&self, is_average: bool, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| {
            let count = self.states[group].count;
            let total = self.total(group);
            Ok((count > 0).then(|| if is_average { total / count as f64 } else { total }))
        })
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
                state.count += 1;
                if values[row].is_finite() { state.finite.add(values[row]) } else { special(row, 1) }
            }),
            Some(weights) => grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| {
                let (value, weight) = (values[row], weights[row]);
                state.count += i64::from(weight);
                if value.is_finite() {
                    state.finite.add(value * f64::from(weight))
                } else {
                    special(row, weight.into())
                }
            }),
        }
    }
}

/// Which of [`Specials`] counts a value that is not finite.
pub(super) fn kind_of(value: f64) -> usize {
    if value.is_nan() { 0 } else { 1 + usize::from(value < 0.0) }
}

impl Table for Sum {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.states, group_count, State::default());
        if !self.specials.is_empty() {
            value::grow(&mut self.specials, group_count, [0; 3]);
        }
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let mut memory = std::mem::take(&mut self.memory);
        let values = f64::values(rows.level, &args[0], self.kind, rows.count(), &mut memory)?;
        let sum = if rows.is_plain() { aggregate::sum_f64(rows.level, values, rows.validity) } else { f64::NAN };
        if sum.is_finite() {
            self.states[0].finite.add(sum);
            self.states[0].count += aggregate::count(rows.validity, rows.count()) as i64;
        } else {
            self.add_rows(rows, values);
        }
        self.memory = memory;
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            let state = &mut self.states[group as usize];
            state.finite.add_sum(from.finite);
            state.count += from.count;
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
        let (float, count) = (DataType::Float64, DataType::Int64);
        vec![float.clone(), float, count.clone(), count.clone(), count.clone(), count]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let (float, count) = (DataType::Float64, DataType::Int64);
        let special = |group: usize, kind: usize| self.specials.get(group).map_or(0, |special| special[kind]);
        Ok(vec![
            value::saved(&float, group_count, |group| Some(self.states[group].finite.sum))?,
            value::saved(&float, group_count, |group| Some(self.states[group].finite.error))?,
            value::saved(&count, group_count, |group| Some(self.states[group].count))?,
            value::saved(&count, group_count, |group| Some(special(group, 0)))?,
            value::saved(&count, group_count, |group| Some(special(group, 1)))?,
            value::saved(&count, group_count, |group| Some(special(group, 2)))?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (sums, errors) = (value::loaded::<f64>(&columns[0])?, value::loaded::<f64>(&columns[1])?);
        let counts = value::loaded::<i64>(&columns[2])?;
        let states = sums.iter().zip(errors).zip(counts);
        self.states.extend(states.map(|((&sum, &error), &count)| State { finite: Compensated { sum, error }, count }));
        for kind in 0..3 {
            let counts = value::loaded::<i64>(&columns[3 + kind])?;
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
