//! What a window function says: its name and arguments to a kind of window.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::Expr;

use super::constant;
use super::duration::{Length, length, positive};
use crate::error::{Error, Result};
use crate::pipeline::{
    CalendarUnit, CalendarWindow, CustomWindow, WindowArgument, WindowFunction, WindowKind, ticks_per_second,
};
use crate::time::is_zone;

/// The window functions of users, by name.
pub(super) type WindowFunctions = BTreeMap<String, Arc<dyn WindowFunction>>;

/// The shapes of windows.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    Tumble,
    Hop,
    Cumulate,
    Session,
    TumbleRows,
    HopRows,
    /// A registered function, and its name.
    Custom(String, Arc<dyn WindowFunction>),
}

impl Shape {
    /// The shape that a function of this name, in lower case, makes.
    pub(super) fn named(name: &str, custom: &WindowFunctions) -> Option<Shape> {
        Some(match name {
            "tumble" => Shape::Tumble,
            "hop" => Shape::Hop,
            "cumulate" => Shape::Cumulate,
            "session" => Shape::Session,
            "tumble_rows" => Shape::TumbleRows,
            "hop_rows" => Shape::HopRows,
            _ => Shape::Custom(name.to_string(), custom.get(name)?.clone()),
        })
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Shape::Tumble => "tumble",
            Shape::Hop => "hop",
            Shape::Cumulate => "cumulate",
            Shape::Session => "session",
            Shape::TumbleRows => "tumble_rows",
            Shape::HopRows => "hop_rows",
            Shape::Custom(name, _) => name,
        }
    }

    /// Whether it goes by a time column.
    pub(super) fn has_time(&self) -> bool {
        !matches!(self, Shape::TumbleRows | Shape::HopRows)
    }

    /// Whether each key has windows of its own.
    pub(super) fn is_per_key(&self) -> bool {
        matches!(self, Shape::Session | Shape::TumbleRows | Shape::HopRows)
    }

    /// Its arguments behind the table and the time, in order: those it needs, then those it may have.
    pub(super) fn args(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Shape::Tumble => (&["size"], &["offset", "zone"]),
            Shape::Hop => (&["slide", "size"], &["offset", "zone"]),
            Shape::Cumulate => (&["step", "size"], &["offset"]),
            Shape::Session => (&["gap"], &[]),
            Shape::TumbleRows => (&["size"], &[]),
            Shape::HopRows => (&["slide", "size"], &[]),
            Shape::Custom(..) => (&[], &[]),
        }
    }

    /// How the function in GROUP BY is called.
    pub(super) fn usage(&self) -> Error {
        Error::user(match self {
            Shape::Tumble => {
                "tumble takes (ts, size [, offset] [, time zone]), such as tumble(ts, INTERVAL '1' MINUTE)".to_string()
            }
            Shape::Hop => "hop takes (ts, slide, size [, offset] [, time zone]), such as hop(ts, INTERVAL '1' MINUTE, \
                           INTERVAL '5' MINUTE)"
                .to_string(),
            Shape::Cumulate => "cumulate takes (ts, step, size [, offset]), such as cumulate(ts, INTERVAL '1' HOUR, \
                                INTERVAL '1' DAY)"
                .to_string(),
            Shape::Session => "session takes (ts, gap), such as session(ts, INTERVAL '10' SECOND)".to_string(),
            Shape::TumbleRows => "tumble_rows takes (rows), such as tumble_rows(100)".to_string(),
            Shape::HopRows => "hop_rows takes (slide, size) in rows, such as hop_rows(10, 100)".to_string(),
            Shape::Custom(name, _) => format!("{name} takes (ts, constants ...)"),
        })
    }

    /// How the table function is called.
    pub(super) fn table_usage(&self) -> Error {
        Error::user(match self {
            Shape::Tumble => "TUMBLE takes (TABLE t, DESCRIPTOR(ts), size [, offset] [, time zone])".to_string(),
            Shape::Hop => "HOP takes (TABLE t, DESCRIPTOR(ts), slide, size [, offset] [, time zone])".to_string(),
            Shape::Cumulate => "CUMULATE takes (TABLE t, DESCRIPTOR(ts), step, size [, offset])".to_string(),
            Shape::Session => "SESSION takes (TABLE t [PARTITION BY k], DESCRIPTOR(ts), gap)".to_string(),
            Shape::TumbleRows => "TUMBLE_ROWS takes (TABLE t [PARTITION BY k], rows)".to_string(),
            Shape::HopRows => "HOP_ROWS takes (TABLE t [PARTITION BY k], slide, size)".to_string(),
            Shape::Custom(name, _) => format!("{name} takes (TABLE t, DESCRIPTOR(ts), constants ...)"),
        })
    }

    /// The kind of window, given the planned arguments behind the time in order. An argument that is a time zone may stand
    /// where an offset may.
    pub(super) fn kind(&self, time_type: &DataType, args: &[Expr]) -> Result<WindowKind> {
        let unit = super::window::unit_of(time_type);
        if let Shape::Custom(_, function) = self {
            let args = args.iter().map(|arg| argument(arg, unit)).collect::<Result<Vec<_>>>()?;
            return Ok(WindowKind::Custom(CustomWindow { assigner: function.bind(unit, &args)? }));
        }
        let needed = self.args().0.len();
        if args.len() < needed {
            return Err(self.usage());
        }
        let (sizes, rest) = args.split_at(needed);
        if !self.has_time() {
            let sizes = sizes.iter().map(|size| row_count(size, self)).collect::<Result<Vec<_>>>()?;
            return match (sizes.as_slice(), rest) {
                ([size], []) => Ok(WindowKind::Rows { size: *size, slide: *size }),
                ([slide, size], []) => Ok(WindowKind::Rows { size: *size, slide: *slide }),
                _ => Err(self.usage()),
            };
        }
        let (mut offset, mut zone) = (None, None);
        for arg in rest {
            match zone_name(arg)? {
                Some(name) if zone.is_none() && !matches!(self, Shape::Session | Shape::Cumulate) => zone = Some(name),
                None if offset.is_none() && !matches!(self, Shape::Session) => offset = Some(length(arg, "offset")?),
                _ => return Err(self.usage()),
            }
        }
        let names = self.args().0;
        let sizes = sizes.iter().zip(names).map(|(size, name)| length(size, name)).collect::<Result<Vec<_>>>()?;
        let column_zone =
            if let DataType::Timestamp(_, Some(zone)) = time_type { Some(zone.to_string()) } else { None };
        let in_months = matches!(self, Shape::Tumble | Shape::Hop) && sizes.iter().any(|size| size.months != 0);
        if in_months || zone.is_some() {
            let zone = zone.or(column_zone).unwrap_or_else(|| "UTC".to_string());
            return calendar(names, &sizes, offset, &zone, unit);
        }
        let offset = offset.map_or(Ok(0), |offset| offset.ticks(unit, "offset"))?;
        let ticks = sizes.iter().zip(names).map(|(size, name)| positive(size.ticks(unit, name)?, name));
        match (self, ticks.collect::<Result<Vec<_>>>()?.as_slice()) {
            (Shape::Tumble, [size]) => Ok(WindowKind::Tumble { size: *size, offset: offset.rem_euclid(*size) }),
            (Shape::Hop, [slide, size]) => {
                Ok(WindowKind::Hop { size: *size, slide: *slide, offset: offset.rem_euclid(*slide) })
            }
            (Shape::Cumulate, [step, size]) if size % step != 0 => {
                Err(Error::user("the size of a cumulating window must be a whole number of its steps"))
            }
            (Shape::Cumulate, [step, size]) => {
                Ok(WindowKind::Cumulate { size: *size, step: *step, offset: offset.rem_euclid(*size) })
            }
            (Shape::Session, [gap]) => Ok(WindowKind::Session { gap: *gap }),
            _ => Err(self.usage()),
        }
    }
}

/// Windows of days or months, as the clocks of a zone have them.
fn calendar(
    names: &[&str],
    sizes: &[Length],
    offset: Option<Length>,
    zone: &str,
    unit: TimeUnit,
) -> Result<WindowKind> {
    let in_months = sizes.iter().any(|size| size.months != 0);
    let count = |(size, name): (&Length, &&str)| {
        positive(if in_months { size.whole_months(name) } else { size.whole_days(name) }?, name)
    };
    let counts = sizes.iter().zip(names).map(count).collect::<Result<Vec<_>>>()?;
    let (size, slide) = match counts.as_slice() {
        [slide, size] => (*size, *slide),
        counts => (counts[0], counts[0]),
    };
    let (months, shift) = match offset {
        None => (0, 0),
        Some(offset) => (offset.months, offset.without_months().ticks(unit, "offset")?),
    };
    if months != 0 && !in_months {
        return Err(Error::user("the offset of a window of days must not be in months"));
    }
    if shift % ticks_per_second(unit) != 0 {
        return Err(Error::user("the offset of a window in a time zone must be a number of whole seconds"));
    }
    // 1970-01-01 was a Thursday and weeks start on Monday: the first Monday came four days later.
    let first = if !in_months && slide % 7 == 0 { 4 } else { months };
    let calendar_unit = if in_months { CalendarUnit::Month } else { CalendarUnit::Day };
    let window =
        CalendarWindow { unit: calendar_unit, size, slide, offset: first.rem_euclid(slide), shift, zone: zone.into() };
    let kind = WindowKind::Calendar(window);
    kind.fixed(unit)?;
    Ok(kind)
}

/// The name of a time zone, when the argument is a string that is no interval.
///
/// Failure: a string that is neither.
fn zone_name(arg: &Expr) -> Result<Option<String>> {
    let Some(text) = text(arg)? else { return Ok(None) };
    let is_interval = text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    match is_zone(&text) {
        true => Ok(Some(text)),
        false if is_interval => Ok(None),
        false => Err(Error::user(format!("unknown time zone: {text}; write a name such as 'Europe/Berlin'"))),
    }
}

fn text(arg: &Expr) -> Result<Option<String>> {
    Ok(constant(arg, &DFSchema::empty())?.and_then(|value| value.try_as_str().flatten().map(str::to_string)))
}

fn row_count(arg: &Expr, shape: &Shape) -> Result<i64> {
    match constant(arg, &DFSchema::empty())? {
        Some(ScalarValue::Int64(Some(rows))) if rows > 0 => Ok(rows),
        _ => Err(shape.usage()),
    }
}

/// An argument of a user's window function.
fn argument(arg: &Expr, unit: TimeUnit) -> Result<WindowArgument> {
    let value = constant(arg, &DFSchema::empty())?;
    let value = value.ok_or_else(|| Error::user(format!("an argument of a window must be a constant: {arg}")))?;
    if let Some(text) = value.try_as_str().flatten() {
        return Ok(WindowArgument::Text(text.to_string()));
    }
    match &value {
        ScalarValue::Int64(Some(number)) => Ok(WindowArgument::Integer(*number)),
        ScalarValue::Float64(Some(number)) => Ok(WindowArgument::Float(*number)),
        _ => Ok(WindowArgument::Ticks(length(arg, "argument")?.ticks(unit, "argument")?)),
    }
}
