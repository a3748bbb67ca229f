//! Constant intervals as ticks of a timestamp.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_expr::Expr;

use crate::pipeline::ticks_per_second;

const DAY: i128 = 86_400_000_000_000;

/// The unit of a timestamp whose days all have 24 hours.
pub fn steady_unit(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, None) => Some(*unit),
        DataType::Timestamp(unit, Some(zone)) if matches!(&**zone, "UTC" | "+00:00") => Some(*unit),
        _ => None,
    }
}

/// A literal interval in ticks; `None` with months, with parts of a tick, or for another expression.
pub fn ticks(expr: &Expr, unit: TimeUnit) -> Option<i64> {
    let Expr::Literal(value, _) = expr else { return None };
    let nanoseconds = match value {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months: 0, days, nanoseconds })) => {
            i128::from(*days) * DAY + i128::from(*nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            i128::from(interval.days) * DAY + i128::from(interval.milliseconds) * 1_000_000
        }
        ScalarValue::DurationSecond(Some(value)) => i128::from(*value) * 1_000_000_000,
        ScalarValue::DurationMillisecond(Some(value)) => i128::from(*value) * 1_000_000,
        ScalarValue::DurationMicrosecond(Some(value)) => i128::from(*value) * 1_000,
        ScalarValue::DurationNanosecond(Some(value)) => i128::from(*value),
        _ => return None,
    };
    let per_tick = i128::from(1_000_000_000 / ticks_per_second(unit));
    (nanoseconds % per_tick == 0).then(|| i64::try_from(nanoseconds / per_tick).ok())?
}
