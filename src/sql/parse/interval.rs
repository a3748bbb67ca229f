//! Intervals of several units: `INTERVAL '1-2' YEAR TO MONTH`, `'1 10:20:30'`, `'2 days 02:47:33.5'`, `'+6 hours'`; and of
//! one unit, so often: `INTERVAL '2' QUARTER`, `INTERVAL n DAY`.
//!
//! They are written anew as the numbers and units that the planner's library reads. Where the units are said behind, one
//! sign stands for all of them, as in the standard; else each has its own, as in PostgreSQL.

use sqlparser::ast::{BinaryOperator, DataType, DateTimeField, Expr, Interval, TypedString, UnaryOperator, Value};

use crate::error::{Error, Result};
use crate::function::dialect::{interval_in_units, interval_of};
use crate::sql::tree::{binary, nested, text};

/// Rewrites an interval, or a text that is cast to one.
pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Interval(_) => rewrite_interval(expr),
        Expr::Cast { expr: value, data_type: DataType::Interval { fields: None, .. }, .. } => {
            if let Expr::Value(literal) = value.as_mut() {
                rewrite_text(&mut literal.value);
            }
            Ok(())
        }
        Expr::TypedString(TypedString { data_type: DataType::Interval { fields: None, .. }, value, .. }) => {
            rewrite_text(&mut value.value);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `INTERVAL '1-2' YEAR TO MONTH` as one of 14 months, `INTERVAL '2' QUARTER` as one of six, and `INTERVAL n DAY` as so often a
/// day.
fn rewrite_interval(expr: &mut Expr) -> Result<()> {
    let Expr::Interval(interval) = expr else { return Ok(()) };
    let Some(first) = interval.leading_field.clone() else {
        if let Expr::Value(literal) = interval.value.as_mut() {
            rewrite_text(&mut literal.value);
        }
        return Ok(());
    };
    let (value, is_negative) = match interval.value.as_mut() {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (expr.as_mut(), true),
        value => (value, false),
    };
    let literal = match value {
        Expr::Value(literal) => literal,
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Nested(_)
        | Expr::Function(_)
        | Expr::Cast { .. }
        | Expr::Case { .. }
            if interval.last_field.is_none() =>
        {
            let count = std::mem::replace(interval.value.as_mut(), text("1"));
            let one = Expr::Interval(interval.clone());
            *expr = nested(binary(count, BinaryOperator::Multiply, one));
            return Ok(());
        }
        _ => return Ok(()),
    };
    let written = match &literal.value {
        Value::SingleQuotedString(text) | Value::Number(text, _) => text.trim().to_string(),
        _ => return Ok(()),
    };
    let is_quarter = matches!(first, DateTimeField::Quarter);
    let spelled = match &interval.last_field {
        Some(last) => {
            let found = interval_of(&written, &format!("{first} TO {last}").to_uppercase()).map_err(Error::user)?;
            let sign = if is_negative { -1 } else { 1 };
            let (months, days) = (sign * i64::from(found.months), sign * i64::from(found.days));
            format!("{months} months {days} days {} nanoseconds", sign * found.nanoseconds)
        }
        None if is_quarter => {
            let count: i64 =
                written.parse().map_err(|_| Error::user(format!("not a number of quarters: '{written}'")))?;
            let months = count.checked_mul(if is_negative { -3 } else { 3 });
            let months = months.ok_or_else(|| Error::user("so long an interval cannot be told"))?;
            format!("{months} months")
        }
        // Two signs are none, and a plus says nothing.
        None => match (written.strip_prefix('-').filter(|_| is_negative), written.strip_prefix('+')) {
            (Some(positive), _) => format!("{positive} {first}"),
            (None, Some(plain)) => {
                literal.value = Value::SingleQuotedString(plain.to_string());
                return Ok(());
            }
            (None, None) => {
                literal.value = Value::SingleQuotedString(written);
                return Ok(());
            }
        },
    };
    let literal = Value::SingleQuotedString(spelled).with_span(literal.span);
    *interval = Interval {
        value: Box::new(Expr::Value(literal)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    };
    Ok(())
}

/// A text as the planner's library reads it.
pub(in crate::sql) fn interval_text(text: &str) -> String {
    interval_in_units(text).unwrap_or_else(|| text.to_string())
}

/// What is not understood is left to the planner, which says so.
fn rewrite_text(value: &mut Value) {
    if let Value::SingleQuotedString(text) = value
        && let Some(spelled) = interval_in_units(text)
    {
        *text = spelled;
    }
}
