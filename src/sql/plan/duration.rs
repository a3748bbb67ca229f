//! Intervals in SQL to ticks of a time column.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::Expr;

use super::constant;
use crate::error::{Error, Result};
use crate::pipeline::{WindowKind, ticks_per_second};
use crate::sql::error::from_datafusion;

/// Ticks of `unit` in a constant interval; `what` names it in errors.
///
/// Failure: no constant, months or years, parts of a tick.
pub(super) fn ticks(expr: &Expr, unit: TimeUnit, what: &str) -> Result<i64> {
    let (nanoseconds, shown) = nanoseconds(expr, what)?;
    let per_tick = i128::from(1_000_000_000 / ticks_per_second(unit));
    if nanoseconds % per_tick != 0 {
        let message = format!(
            "the {what} of a window must be a whole number of its time column's ticks: {shown} in a column of {unit:?}s"
        );
        return Err(Error::user(message));
    }
    i64::try_from(nanoseconds / per_tick)
        .map_err(|_| Error::user(format!("the {what} of a window is too long: {shown}")))
}

/// Nanoseconds of a constant interval that is not a window's.
pub(super) fn length(expr: &Expr) -> Result<i128> {
    nanoseconds(expr, "duration").map(|(nanoseconds, _)| nanoseconds)
}

/// The length of an interval, and the interval as text.
fn nanoseconds(expr: &Expr, what: &str) -> Result<(i128, String)> {
    const DAY: i128 = 86_400_000_000_000;
    let value = constant(expr, &DFSchema::empty())?;
    let value =
        value.ok_or_else(|| Error::user(format!("the {what} of a window must be a constant interval: {expr}")))?;
    let value = match value.data_type() {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano)).map_err(from_datafusion)?
        }
        _ => value,
    };
    let shown = value.to_array().map_err(from_datafusion)?;
    let shown = arrow::util::display::array_value_to_string(&shown, 0)?;
    let nanoseconds = match &value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            i128::from(interval.days) * DAY + i128::from(interval.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            i128::from(interval.days) * DAY + i128::from(interval.milliseconds) * 1_000_000
        }
        ScalarValue::DurationSecond(Some(value)) => i128::from(*value) * 1_000_000_000,
        ScalarValue::DurationMillisecond(Some(value)) => i128::from(*value) * 1_000_000,
        ScalarValue::DurationMicrosecond(Some(value)) => i128::from(*value) * 1_000,
        ScalarValue::DurationNanosecond(Some(value)) => i128::from(*value),
        ScalarValue::IntervalMonthDayNano(Some(_)) | ScalarValue::IntervalYearMonth(Some(_)) => {
            let hint = "use days or less, or GROUP BY date_trunc('month', ...)";
            let message = format!(
                "the {what} of a window must not be in months or years, which differ in length: {shown}; {hint}"
            );
            return Err(Error::user(message));
        }
        other => {
            let hint = "write INTERVAL '1' MINUTE";
            let message =
                format!("the {what} of a window must be an interval: {shown} is {}; {hint}", other.data_type());
            return Err(Error::user(message));
        }
    };
    Ok((nanoseconds, shown))
}

/// A tumbling window, checked.
pub(super) fn tumble(size: i64, offset: i64) -> Result<WindowKind> {
    positive(size, "size")?;
    Ok(WindowKind::Tumble { size, offset: offset.rem_euclid(size) })
}

/// A hopping window, checked.
pub(super) fn hop(size: i64, slide: i64, offset: i64) -> Result<WindowKind> {
    positive(size, "size")?;
    positive(slide, "slide")?;
    Ok(WindowKind::Hop { size, slide, offset: offset.rem_euclid(slide) })
}

fn positive(ticks: i64, what: &str) -> Result<()> {
    if ticks > 0 { Ok(()) } else { Err(Error::user(format!("the {what} of a window must be longer than nothing"))) }
}
