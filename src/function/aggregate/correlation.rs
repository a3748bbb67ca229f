//! `corr`: the coefficient of correlation of pairs of floats.
//!
//! Invariants  sums are of distances from the first pair of the group, so that a large mean costs no digits; merging moves
//!             them to the first pair of the other table. Pairs with a null do not count. Fewer than two pairs, or one
//!             value all along on a side, have no result; neither has a group with NaN on one side. With NaN on both it
//!             is NaN, and so it is with infinities.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::grouped;

use super::table::{Native, Rows, Table};
use super::value::{self, Wide};
use crate::batch::{Argument, Column, Kind};
use crate::error::Result;
use crate::function::AggregateFunction;

/// `corr`, `None` for arguments that are no floats. Rows are not taken back: sums of distances would keep their rounding.
pub(super) fn function(x: &DataType, y: &DataType, result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let all_floats = [x, y, result].iter().all(|data_type| **data_type == DataType::Float64);
    all_floats.then(|| Native::append_only("corr", result, Pairs::default()))
}

/// What is kept per group, in one cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct State {
    count: i64,
    /// The pair that distances are from: the first one, if it is finite.
    from: [f64; 2],
    /// Sums of the distances, of their squares, and of their products.
    sums: [f64; 2],
    squares: [f64; 2],
    products: f64,
}

impl State {
    #[inline(always)]
    fn add(&mut self, x: f64, y: f64) {
        if self.count == 0 && x.is_finite() && y.is_finite() {
            self.from = [x, y];
        }
        let (x, y) = (x - self.from[0], y - self.from[1]);
        self.count += 1;
        self.sums = [self.sums[0] + x, self.sums[1] + y];
        self.squares = [self.squares[0] + x * x, self.squares[1] + y * y];
        self.products += x * y;
    }

    fn merge(&mut self, other: &State) {
        if self.count == 0 || other.count == 0 {
            *self = if self.count == 0 { *other } else { *self };
            return;
        }
        let count = other.count as f64;
        let apart = [other.from[0] - self.from[0], other.from[1] - self.from[1]];
        self.count += other.count;
        self.products +=
            other.products + apart[0] * other.sums[1] + apart[1] * other.sums[0] + count * apart[0] * apart[1];
        for side in 0..2 {
            let (apart, sum) = (apart[side], other.sums[side]);
            self.squares[side] += other.squares[side] + 2.0 * apart * sum + count * apart * apart;
            self.sums[side] += sum + count * apart;
        }
    }

    fn result(&self) -> Option<f64> {
        match self.sums.map(f64::is_nan) {
            [true, true] => return Some(f64::NAN),
            [false, false] if self.count >= 2 => {}
            _ => return None,
        }
        let means = self.sums.map(|sum| sum / self.count as f64);
        let spread = |side: usize| self.squares[side] - self.sums[side] * means[side];
        let scale = (spread(0) * spread(1)).sqrt();
        (scale != 0.0).then(|| (self.products - self.sums[0] * means[1]) / scale)
    }
}

#[derive(Debug, Clone, Default)]
struct Pairs {
    states: Vec<State>,
    memory: [Vec<f64>; 2],
}

impl Table for Pairs {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.states, group_count, State::default());
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let [x_memory, y_memory] = &mut self.memory;
        let x = f64::values(rows.level, &args[0], Kind::F64, rows.count(), x_memory)?;
        let y = f64::values(rows.level, &args[1], Kind::F64, rows.count(), y_memory)?;
        let (x, y) = (&x[..rows.count()], &y[..rows.count()]);
        grouped::update(rows.groups, rows.validity, &mut self.states, |state, row| state.add(x[row], y[row]));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.states.iter().zip(groups) {
            self.states[group as usize].merge(from);
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| Ok(self.states[group].result()))
    }

    fn state_types(&self) -> Vec<DataType> {
        let mut types = vec![DataType::Float64; 8];
        types[0] = DataType::Int64;
        types
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let part = |of: fn(&State) -> f64| {
            value::saved(&DataType::Float64, group_count, |group| Some(of(&self.states[group])))
        };
        Ok(vec![
            value::saved(&DataType::Int64, group_count, |group| Some(self.states[group].count))?,
            part(|state| state.from[0])?,
            part(|state| state.from[1])?,
            part(|state| state.sums[0])?,
            part(|state| state.sums[1])?,
            part(|state| state.squares[0])?,
            part(|state| state.squares[1])?,
            part(|state| state.products)?,
        ])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let counts = value::loaded::<i64>(&columns[0])?;
        let parts = columns[1..].iter().map(value::loaded::<f64>).collect::<Result<Vec<_>>>()?;
        self.states.extend(counts.iter().enumerate().map(|(row, &count)| State {
            count,
            from: [parts[0][row], parts[1][row]],
            sums: [parts[2][row], parts[3][row]],
            squares: [parts[4][row], parts[5][row]],
            products: parts[6][row],
        }));
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.states) + self.memory.iter().map(value::bytes).sum::<usize>()
    }
}
