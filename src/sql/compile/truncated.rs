//! `GROUP BY date_trunc('minute', ts)`: a function that cuts event time into stretches makes windows of them, where the
//! input does not end. Groups then leave when the watermark has passed their stretch, each once.
//!
//! `ts` may have been cut further down: what comes of it lies in the same stretch.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;

use super::columns::{Columns, Slot};
use super::window::Windowed;
use super::{Compiler, Result};
use crate::pipeline::{CalendarUnit, CalendarWindow, NodeId, WindowKind, ticks_per_second};

/// A column that was cut out of the event time, and into what.
pub(super) type Truncated = Vec<(usize, WindowKind)>;

impl Compiler {
    /// The rows of `node` in windows of event time, when a key cuts it.
    pub(super) fn in_truncated_time(
        &mut self,
        node: NodeId,
        columns: &Columns,
        keys: &[&Expr],
    ) -> Result<Option<Windowed>> {
        let found = keys.iter().find_map(|key| self.truncation(node, columns, key));
        let Some((time, kind)) = found else { return Ok(None) };
        let data_type = self.nodes[node].schema.field(time).data_type().clone();
        debug_assert!(columns.slots.iter().all(|slot| matches!(slot, Slot::Input { .. })), "no window stands below");
        Ok(Some(Windowed {
            node,
            columns: columns.clone(),
            kind,
            time: Some(time),
            data_type,
            late: Vec::new(),
            closed: None,
        }))
    }

    /// The column and the windows of a key that cuts event time, here or below.
    pub(super) fn truncation(&self, node: NodeId, columns: &Columns, key: &Expr) -> Option<(usize, WindowKind)> {
        if let Some(column) = columns.plain(key) {
            let known = self.truncated.get(&node)?.iter().find(|(known, _)| *known == column)?;
            return Some(known.clone());
        }
        let time = self.nodes[node].time.as_ref()?.column;
        let (cut, kind) = cut(key, self.nodes[node].schema.field(time).data_type())?;
        (columns.plain(uncast(cut)) == Some(time)).then_some((time, kind))
    }

    /// Notes which columns of a projection cut event time, those that are in its ticks still.
    pub(super) fn truncated_by(&mut self, input: NodeId, node: NodeId, columns: &Columns, exprs: &[&Expr]) {
        let Some(time) = self.nodes[input].time.as_ref() else { return };
        let time_type = self.nodes[input].schema.field(time.column).data_type().clone();
        let types: Vec<DataType> =
            self.nodes[node].schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let is_computed = |expr: &Expr| columns.plain(expr).is_none();
        let cut = |(at, expr): (usize, &&Expr)| Some((at, self.truncation(input, columns, expr)?.1));
        let computed = exprs.iter().enumerate().filter(|(at, expr)| is_computed(expr) && types[*at] == time_type);
        let cut: Truncated = computed.filter_map(cut).collect();
        if !cut.is_empty() {
            self.truncated.entry(node).or_default().extend(cut);
        }
    }

    /// The same columns behind a node whose columns are these of its input, or computed ones.
    pub(super) fn truncated_after(&mut self, input: NodeId, node: NodeId, sources: &[Option<usize>]) {
        let Some(known) = self.truncated.get(&input) else { return };
        let passed = |(column, kind): &(usize, WindowKind)| {
            Some((sources.iter().position(|source| *source == Some(*column))?, kind.clone()))
        };
        let passed: Truncated = known.iter().filter_map(passed).collect();
        self.truncated.entry(node).or_default().extend(passed);
    }
}

/// What a call of `date_trunc` or `date_bin` cuts, and into which windows.
fn cut<'a>(expr: &'a Expr, data_type: &DataType) -> Option<(&'a Expr, WindowKind)> {
    let (unit, zone) = match data_type {
        DataType::Timestamp(unit, zone) => (*unit, zone.as_deref().unwrap_or("UTC")),
        _ => return None,
    };
    match expr {
        Expr::Alias(alias) => cut(&alias.expr, data_type),
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            ("date_trunc", [part, time]) => Some((time, truncation(text(part)?, unit, zone)?)),
            ("date_bin", [size, time]) => Some((time, bin(size, None, unit)?)),
            ("date_bin", [size, time, origin]) => Some((time, bin(size, Some(origin), unit)?)),
            _ => None,
        },
        _ => None,
    }
}

/// What is cast from one timestamp to another, which keeps the instant.
fn uncast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, None)) => {
            &cast.expr
        }
        expr => expr,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_ascii_lowercase),
        _ => None,
    }
}

fn truncation(part: String, unit: TimeUnit, zone: &str) -> Option<WindowKind> {
    let seconds = match part.as_str() {
        "second" => 1,
        "minute" => 60,
        // Hours of some zones begin at half past.
        "hour" if zone == "UTC" => 3_600,
        _ => 0,
    };
    if seconds > 0 {
        return Some(WindowKind::Tumble { size: seconds * ticks_per_second(unit), offset: 0 });
    }
    let (unit, size, offset) = match part.as_str() {
        "day" => (CalendarUnit::Day, 1, 0),
        "week" => (CalendarUnit::Day, 7, 4),
        "month" => (CalendarUnit::Month, 1, 0),
        "quarter" => (CalendarUnit::Month, 3, 0),
        "year" => (CalendarUnit::Month, 12, 0),
        _ => return None,
    };
    Some(WindowKind::Calendar(CalendarWindow { unit, size, slide: size, offset, shift: 0, zone: zone.into() }))
}

fn bin(size: &Expr, origin: Option<&Expr>, unit: TimeUnit) -> Option<WindowKind> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(size)), _) = size else { return None };
    let per_tick = 1_000_000_000 / ticks_per_second(unit);
    let nanoseconds = i64::from(size.days) * 86_400_000_000_000 + size.nanoseconds;
    if size.months != 0 || nanoseconds <= 0 || nanoseconds % per_tick != 0 {
        return None;
    }
    let size = nanoseconds / per_tick;
    let origin = match origin {
        None => 0,
        Some(Expr::Literal(value, _)) => {
            let of_unit = value.cast_to(&DataType::Timestamp(unit, None)).ok()?;
            match of_unit {
                ScalarValue::TimestampSecond(ticks, _)
                | ScalarValue::TimestampMillisecond(ticks, _)
                | ScalarValue::TimestampMicrosecond(ticks, _)
                | ScalarValue::TimestampNanosecond(ticks, _) => ticks?,
                _ => return None,
            }
        }
        Some(_) => return None,
    };
    Some(WindowKind::Tumble { size, offset: origin.rem_euclid(size) })
}
