//! Intervals in SQL: months, and ticks of a time column.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::Expr;

use super::constant;
use crate::error::{Error, Result};
use crate::pipeline::ticks_per_second;
use crate::sql::error::from_datafusion;
use crate::sql::parse::interval_text;

/// A constant interval: months differ in length, so they are counted apart.
#[derive(Debug, Clone)]
pub(super) struct Length {
    pub(super) months: i64,
    pub(super) nanoseconds: i128,
    /// As text, for errors.
    shown: String,
}

/// Nanoseconds of a day that has 24 hours.
pub(super) const DAY: i128 = 86_400_000_000_000;

/// Reads a constant interval; `what` names it in errors.
///
/// Failure: no constant, no interval.
pub(super) fn length(expr: &Expr, what: &str) -> Result<Length> {
    let value = constant(expr, &DFSchema::empty())?;
    let value =
        value.ok_or_else(|| Error::user(format!("the {what} of a window must be a constant interval: {expr}")))?;
    let value = match value.data_type() {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            let text = value.try_as_str().flatten().map(interval_text);
            let value = text.map_or(value, ScalarValue::from);
            value.cast_to(&DataType::Interval(IntervalUnit::MonthDayNano)).map_err(from_datafusion)?
        }
        _ => value,
    };
    let shown = value.to_array().map_err(from_datafusion)?;
    let shown = arrow::util::display::array_value_to_string(&shown, 0)?;
    let (months, nanoseconds) = match &value {
        ScalarValue::IntervalMonthDayNano(Some(interval)) => {
            (interval.months.into(), i128::from(interval.days) * DAY + i128::from(interval.nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            (0, i128::from(interval.days) * DAY + i128::from(interval.milliseconds) * 1_000_000)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => (i64::from(*months), 0),
        ScalarValue::DurationSecond(Some(value)) => (0, i128::from(*value) * 1_000_000_000),
        ScalarValue::DurationMillisecond(Some(value)) => (0, i128::from(*value) * 1_000_000),
        ScalarValue::DurationMicrosecond(Some(value)) => (0, i128::from(*value) * 1_000),
        ScalarValue::DurationNanosecond(Some(value)) => (0, i128::from(*value)),
        other => {
            let hint = "write INTERVAL '1' MINUTE";
            let message =
                format!("the {what} of a window must be an interval: {shown} is {}; {hint}", other.data_type());
            return Err(Error::user(message));
        }
    };
    Ok(Length { months, nanoseconds, shown })
}

impl Length {
    /// Nanoseconds, of an interval that has no months.
    pub(super) fn fixed(&self) -> Result<i128> {
        match self.months {
            0 => Ok(self.nanoseconds),
            _ => Err(Error::user(format!("months and years differ in length: {}; use days or less", self.shown))),
        }
    }

    /// The same without its months.
    pub(super) fn without_months(&self) -> Length {
        Length { months: 0, ..self.clone() }
    }

    /// Ticks of `unit`. Failure: months or years, parts of a tick.
    pub(super) fn ticks(&self, unit: TimeUnit, what: &str) -> Result<i64> {
        let shown = &self.shown;
        if self.months != 0 {
            let message = format!(
                "the {what} of a window must not be in months or years here, which differ in length: {shown}; use days or less"
            );
            return Err(Error::user(message));
        }
        let per_tick = i128::from(1_000_000_000 / ticks_per_second(unit));
        if self.nanoseconds % per_tick != 0 {
            let message = format!(
                "the {what} of a window must be a whole number of its time column's ticks: {shown} in a column of {unit:?}s"
            );
            return Err(Error::user(message));
        }
        i64::try_from(self.nanoseconds / per_tick)
            .map_err(|_| Error::user(format!("the {what} of a window is too long: {shown}")))
    }

    /// Months, when it is made of them alone. Failure: nothing of them, or something besides.
    pub(super) fn whole_months(&self, what: &str) -> Result<i64> {
        if self.months != 0 && self.nanoseconds == 0 {
            return Ok(self.months);
        }
        Err(Error::user(format!("the {what} of this window must be a whole number of months: {}", self.shown)))
    }

    /// Days, when it is made of them alone. Failure: anything else.
    pub(super) fn whole_days(&self, what: &str) -> Result<i64> {
        match i64::try_from(self.nanoseconds / DAY) {
            Ok(days) if self.months == 0 && self.nanoseconds % DAY == 0 => Ok(days),
            _ => Err(Error::user(format!(
                "the {what} of a window in a time zone must be a whole number of days, weeks, months or years: {}",
                self.shown
            ))),
        }
    }
}

/// Fails unless a length is longer than nothing.
pub(super) fn positive(length: i64, what: &str) -> Result<i64> {
    if length > 0 {
        Ok(length)
    } else {
        Err(Error::user(format!("the {what} of a window must be longer than nothing")))
    }
}
