//! Frames of the plan as frames of the pipeline.

use arrow::datatypes::{DataType, IntervalDayTimeType, IntervalMonthDayNano, IntervalYearMonthType, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};

use crate::error::{Error, Result};
use crate::pipeline::{Frame, FrameBound, FrameOffset, FrameUnits, ticks_per_second};
use crate::sql::bridge::foreign;

const NANOSECONDS: i128 = 1_000_000_000;
const DAY_SECONDS: i128 = 86_400;

/// The frame of a call; `key` is the type of its first ORDER BY key, which RANGE measures.
pub(super) fn frame(frame: &WindowFrame, key: Option<&DataType>) -> Result<Frame> {
    let units = match frame.units {
        WindowFrameUnits::Rows => FrameUnits::Rows,
        WindowFrameUnits::Range => FrameUnits::Range,
        WindowFrameUnits::Groups => FrameUnits::Groups,
    };
    let bound = |bound: &WindowFrameBound| {
        let (value, wrap): (_, fn(FrameOffset) -> FrameBound) = match bound {
            WindowFrameBound::CurrentRow => return Ok(FrameBound::CurrentRow),
            WindowFrameBound::Preceding(value) => (value, FrameBound::Preceding),
            WindowFrameBound::Following(value) => (value, FrameBound::Following),
        };
        match value.is_null() {
            true => Ok(FrameBound::Unbounded),
            false => offset(units, value, key).map(wrap),
        }
    };
    Ok(Frame { units, start: bound(&frame.start_bound)?, end: bound(&frame.end_bound)? })
}

fn offset(units: FrameUnits, value: &ScalarValue, key: Option<&DataType>) -> Result<FrameOffset> {
    if units != FrameUnits::Range {
        let count = value.cast_to(&DataType::UInt64).map_err(foreign)?;
        return match count {
            ScalarValue::UInt64(Some(count)) => Ok(FrameOffset::Count(count)),
            _ => Err(Error::user(format!("a frame of rows is counted in whole numbers: {value}"))),
        };
    }
    let key = key.ok_or_else(|| Error::user("RANGE with a distance needs ORDER BY"))?;
    let measured = match key {
        DataType::Timestamp(unit, zone) => span(value).map(|span| on_clock(span, *unit, zone.is_some())),
        DataType::Date32 => span(value).map(days),
        DataType::Date64 => span(value).map(|span| on_clock(span, TimeUnit::Millisecond, false)),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            match value.cast_to(&DataType::Float64).map_err(foreign)? {
                ScalarValue::Float64(Some(distance)) => Some(FrameOffset::Float(distance)),
                _ => None,
            }
        }
        DataType::Decimal128(..) => match value.cast_to(key).map_err(foreign)? {
            ScalarValue::Decimal128(Some(distance), ..) => Some(FrameOffset::Ticks(distance)),
            _ => None,
        },
        key if key.is_integer() => match value.cast_to(&DataType::Decimal128(38, 0)).map_err(foreign)? {
            ScalarValue::Decimal128(Some(distance), ..) => Some(FrameOffset::Ticks(distance)),
            _ => None,
        },
        DataType::Time32(unit) | DataType::Time64(unit) => span(value).map(|span| on_clock(span, *unit, false)),
        _ => None,
    };
    match measured {
        Some(FrameOffset::Ticks(ticks)) if ticks < 0 => {
            Err(Error::user(format!("the distance of a frame's bound must not be negative: {value}")))
        }
        Some(FrameOffset::Float(distance)) if distance.is_nan() || distance < 0.0 => {
            Err(Error::user(format!("the distance of a frame's bound must not be negative: {value}")))
        }
        Some(offset) => Ok(offset),
        None => Err(Error::user(format!("RANGE with this distance cannot be measured on {key}: {value}"))),
    }
}

/// An interval or a duration.
fn span(value: &ScalarValue) -> Option<IntervalMonthDayNano> {
    let nanoseconds = |ticks: i64, unit: TimeUnit| ticks.checked_mul(1_000_000_000 / ticks_per_second(unit));
    let clock = |nanoseconds: i64| IntervalMonthDayNano { months: 0, days: 0, nanoseconds };
    match value {
        ScalarValue::IntervalMonthDayNano(span) => *span,
        ScalarValue::IntervalYearMonth(months) => {
            let months = IntervalYearMonthType::to_months((*months)?);
            Some(IntervalMonthDayNano { months, days: 0, nanoseconds: 0 })
        }
        ScalarValue::IntervalDayTime(span) => {
            let (days, milliseconds) = IntervalDayTimeType::to_parts((*span)?);
            Some(IntervalMonthDayNano { months: 0, days, nanoseconds: i64::from(milliseconds) * 1_000_000 })
        }
        ScalarValue::DurationSecond(ticks) => nanoseconds((*ticks)?, TimeUnit::Second).map(clock),
        ScalarValue::DurationMillisecond(ticks) => nanoseconds((*ticks)?, TimeUnit::Millisecond).map(clock),
        ScalarValue::DurationMicrosecond(ticks) => nanoseconds((*ticks)?, TimeUnit::Microsecond).map(clock),
        ScalarValue::DurationNanosecond(ticks) => (*ticks).map(clock),
        _ => None,
    }
}

fn on_clock(span: IntervalMonthDayNano, unit: TimeUnit, in_zone: bool) -> FrameOffset {
    if span.months != 0 || (in_zone && span.days != 0) {
        return FrameOffset::Calendar(span);
    }
    let nanoseconds = i128::from(span.days) * DAY_SECONDS * NANOSECONDS + i128::from(span.nanoseconds);
    FrameOffset::Ticks(nanoseconds.div_euclid(NANOSECONDS / i128::from(ticks_per_second(unit))))
}

fn days(span: IntervalMonthDayNano) -> FrameOffset {
    match span.months {
        0 => {
            let nanoseconds = i128::from(span.nanoseconds).div_euclid(DAY_SECONDS * NANOSECONDS);
            FrameOffset::Ticks(i128::from(span.days) + nanoseconds)
        }
        _ => FrameOffset::Calendar(span),
    }
}
