//! `GROUP BY trading_day(ts)`: a function of the user's own that never falls makes windows of event time, where the input
//! does not end: the stretches over which it has one value. Groups leave when the watermark has passed their stretch.
//!
//! Where a stretch begins and ends is found by calling the function: in steps that double until the value is another, then
//! by halving, so that it is asked for no time farther off than twice the stretch.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Int64Type};
use datafusion_expr::Expr;

use super::columns::{Columns, Slot};
use super::expression::Expressions;
use super::types::engine_type;
use super::window::Windowed;
use super::{Compiler, Result};
use crate::batch::{Batch, Column};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{Bounds, CustomWindow, NodeId, WindowAssigner, WindowKind, ticks_per_second, time_unit};
use crate::sql::bridge::function::scalar_kernel;

/// Seconds of 9999 years: no time farther from 1970 is asked for.
const SECONDS_MAX: i64 = 9_999 * 366 * 86_400;

impl Compiler {
    /// The rows of `node` in windows of event time, when a key is a function of it that never falls.
    pub(super) fn in_stretches(&mut self, node: NodeId, columns: &Columns, keys: &[&Expr]) -> Result<Option<Windowed>> {
        let Some(time) = self.nodes[node].time.as_ref().map(|time| time.column) else { return Ok(None) };
        let data_type = self.nodes[node].schema.field(time).data_type().clone();
        if !columns.slots.iter().all(|slot| matches!(slot, Slot::Input { .. })) {
            return Ok(None);
        }
        for key in keys {
            let Some(result) = never_falling(key, columns, time, &data_type) else { continue };
            let mut expressions = Expressions::new(columns);
            expressions.output_as(key, &result)?;
            let program = expressions.finish();
            let names: Vec<String> =
                self.nodes[node].schema.fields().iter().map(|field| field.name().clone()).collect();
            let shown = format!("stretches of {}", program.show(program.outputs[0], &names));
            let assigner = Stretches { shown, program, time, data_type: data_type.clone(), result };
            let kind = WindowKind::Custom(CustomWindow { assigner: Arc::new(assigner) });
            let columns = columns.clone();
            let (time, late, closed) = (Some(time), Vec::new(), None);
            return Ok(Some(Windowed { node, columns, kind, time, data_type, late, closed }));
        }
        Ok(None)
    }
}

/// The type of a call that never falls with the event time, its other arguments being constants.
fn never_falling(key: &Expr, columns: &Columns, time: usize, data_type: &DataType) -> Option<DataType> {
    let call = match key {
        Expr::Alias(alias) => return never_falling(&alias.expr, columns, time, data_type),
        Expr::ScalarFunction(call) => call,
        _ => return None,
    };
    let (first, others) = call.args.split_first()?;
    if columns.plain(uncast(first)) != Some(time) {
        return None;
    }
    let first = match first {
        Expr::Cast(cast) => cast.field.data_type().clone(),
        _ => data_type.clone(),
    };
    let mut types = vec![engine_type(&first)];
    for other in others {
        let Expr::Literal(value, _) = other else { return None };
        types.push(engine_type(&value.data_type()));
    }
    let kernel = scalar_kernel(&call.func, &types)?;
    kernel.is_monotonic().then(|| kernel.result_type())
}

/// What is cast from one time to another, which keeps the order.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(_, None) | DataType::Date32) => {
            &cast.expr
        }
        expr => expr,
    }
}

/// The stretches of event time over which an expression has one value.
struct Stretches {
    shown: String,
    program: Arc<Program>,
    /// The column the program reads.
    time: usize,
    data_type: DataType,
    result: DataType,
}

impl Stretches {
    /// The value of the expression at a time; `None` where it fails, as it would for a row.
    fn value(&self, tick: i64) -> Option<ArrayRef> {
        let ticks: PrimitiveArray<Int64Type> = Int64Array::from(vec![tick]);
        let times = cast(&ticks, &self.data_type).ok()?;
        let mut columns: Vec<Column> = (0..self.time).map(|_| Column::default()).collect();
        columns.push(Column::Array(times));
        let batch = Batch { rows: 1, columns, ..Batch::default() };
        let mut evaluator = Evaluator::new(self.program.clone(), KernelContext::default());
        evaluator.run(&batch).ok()?;
        evaluator.output(&batch, 0).to_array(&self.result).ok()
    }

    /// The last tick on one side of `tick`, up to `limit`, with the same value.
    fn reach(&self, tick: i64, value: &ArrayRef, limit: i64) -> i64 {
        let is_same = |other: i64| {
            let other = self.value(other).filter(|other| other.len() == value.len());
            other.and_then(|other| not_distinct(&other, value).ok()).is_some_and(|same| same.value(0))
        };
        let sign = (limit - tick).signum();
        let room = (limit - tick).abs();
        let (mut near, mut far) = (0, 1.min(room));
        while near < far && is_same(tick + sign * far) {
            near = far;
            far = far.saturating_mul(2).min(room);
        }
        while far - near > 1 {
            let middle = near + (far - near) / 2;
            if is_same(tick + sign * middle) { near = middle } else { far = middle }
        }
        tick + sign * near
    }
}

impl WindowAssigner for Stretches {
    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn is_gapless(&self) -> bool {
        true
    }

    fn assign(&self, tick: i64, windows: &mut Vec<Bounds>) {
        let per_second = time_unit(&self.data_type).map_or(1, ticks_per_second);
        let limit = SECONDS_MAX.saturating_mul(per_second).min(i64::MAX / 4);
        // A value that fails fails the row by its key as well.
        let found = if tick.abs() < limit { self.value(tick) } else { None };
        windows.push(match found {
            Some(value) => {
                let (first, last) = (self.reach(tick, &value, -limit), self.reach(tick, &value, limit));
                let start = if first == -limit { i64::MIN } else { first };
                Bounds { start, end: if last == limit { i64::MAX } else { last + 1 } }
            }
            None => Bounds { start: tick, end: tick.saturating_add(1) },
        });
    }
}

impl fmt::Debug for Stretches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
