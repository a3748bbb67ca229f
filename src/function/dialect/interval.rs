//! Intervals by their fields: texts such as `1-2` of YEAR TO MONTH, and how many of a unit an interval is.

use arrow::compute::kernels::cast_utils::{IntervalParseConfig, IntervalUnit, parse_interval_month_day_nano_config};

use super::scalar;
use crate::function::custom::{Decimal, Interval, Scalar};

pub(super) fn functions() -> Vec<Scalar> {
    vec![
        scalar(
            "to_interval",
            of_text,
            "The interval that a text is, by the fields it has: what CAST(text AS INTERVAL DAY TO HOUR) is.",
            "to_interval('1 10', 'DAY TO HOUR')",
        ),
        scalar(
            "to_interval",
            |interval: Interval, fields: &str| cut(interval, fields),
            "An interval without what is finer than its last field.",
            "to_interval(INTERVAL '90' MINUTE, 'HOUR')",
        ),
        scalar(
            "to_interval",
            |count: i64, fields: &str| parse(&count.to_string(), fields),
            "So many of a unit.",
            "to_interval(3, 'DAY')",
        ),
        scalar(
            "interval_units",
            |interval: Interval, unit: &str| Ok::<i64, String>((nanoseconds_of(interval, unit)? / size(unit)?) as i64),
            "How many whole units an interval is.",
            "interval_units(INTERVAL '90' MINUTE, 'HOUR')",
        ),
        scalar(
            "interval_units_exact",
            exact,
            "How many units an interval is, to nine places behind the point.",
            "interval_units_exact(INTERVAL '90' MINUTE, 'HOUR')",
        ),
    ]
}

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// The nanoseconds of a unit; of a month and a year, months.
fn size(unit: &str) -> Result<i128, String> {
    Ok(match unit {
        "YEAR" => 12,
        "MONTH" => 1,
        "WEEK" => 7 * DAY,
        "DAY" => DAY,
        "HOUR" => 3_600 * SECOND,
        "MINUTE" => 60 * SECOND,
        "SECOND" => SECOND,
        _ => return Err(format!("not a unit of an interval: {unit}")),
    })
}

/// An interval in what [`size`] measures units in.
fn nanoseconds_of(interval: Interval, unit: &str) -> Result<i128, String> {
    let is_of_months = matches!(unit, "YEAR" | "MONTH");
    let nanoseconds = i128::from(interval.days) * DAY + i128::from(interval.nanoseconds);
    match is_of_months {
        true if nanoseconds == 0 => Ok(interval.months.into()),
        false if interval.months == 0 => Ok(nanoseconds),
        true => Err("an interval of days is no number of months".to_string()),
        false => Err("an interval of months is no number of days".to_string()),
    }
}

fn exact(interval: Interval, unit: &str) -> Result<Decimal<38, 9>, String> {
    Ok(Decimal(nanoseconds_of(interval, unit)? * SECOND / size(unit)?))
}

/// The fields of intervals, the largest first.
const FIELDS: [&str; 6] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];

/// The places of the first and the last field.
fn range(fields: &str) -> Result<(usize, usize), String> {
    let place = |name: &str| FIELDS.iter().position(|field| *field == name);
    let (first, last) = fields.split_once(" TO ").unwrap_or((fields, fields));
    match (place(first), place(last)) {
        (Some(first), Some(last)) if first <= last && (last < 2 || first >= 2) => Ok((first, last)),
        _ => Err(format!("not fields of an interval: {fields}")),
    }
}

/// By its fields, or by words, as in `1 day`.
fn of_text(text: &str, fields: &str) -> Result<Interval, String> {
    if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return parse(text, fields);
    }
    let config = IntervalParseConfig::new(IntervalUnit::Second);
    let found = parse_interval_month_day_nano_config(text, config).map_err(|e| format!("not an interval: {e}"))?;
    cut(Interval { months: found.months, days: found.days, nanoseconds: found.nanoseconds }, fields)
}

/// `-1-2` of YEAR TO MONTH, `3 10:20:30.5` of DAY TO SECOND, and what lies between.
pub(super) fn parse(text: &str, fields: &str) -> Result<Interval, String> {
    let wrong = || format!("not an interval of {fields}: '{text}'");
    let (first, last) = range(fields)?;
    let trimmed = text.trim();
    let (sign, rest) = match trimmed.as_bytes().first() {
        Some(b'-') => (-1, &trimmed[1..]),
        Some(b'+') => (1, &trimmed[1..]),
        _ => (1, trimmed),
    };
    let separator = |field: usize| match FIELDS[field] {
        "MONTH" => '-',
        "HOUR" => ' ',
        _ => ':',
    };
    let (mut months, mut nanoseconds, mut rest) = (0i128, 0i128, rest.trim());
    for (field, name) in FIELDS.iter().copied().enumerate().take(last + 1).skip(first) {
        let (part, behind) = match field < last {
            true => rest.split_once(separator(field + 1)).ok_or_else(wrong)?,
            false => (rest, ""),
        };
        rest = behind.trim_start();
        let (whole, fraction) = match name {
            "SECOND" => part.split_once('.').unwrap_or((part, "")),
            _ => (part, ""),
        };
        let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.is_empty() || whole.len() > 18 || !is_number(whole) || !is_number(fraction) {
            return Err(wrong());
        }
        let whole: i128 = whole.parse().map_err(|_| wrong())?;
        // Fields behind the first count up to where the one before begins.
        let limit = match name {
            "MONTH" => 12,
            "HOUR" => 24,
            "MINUTE" | "SECOND" => 60,
            _ => i128::MAX,
        };
        if field > first && whole >= limit {
            return Err(wrong());
        }
        match name {
            unit @ ("YEAR" | "MONTH") => months += whole * size(unit)?,
            unit => nanoseconds += whole * size(unit)?,
        }
        // Nine digits at most: what is finer is cut.
        let digits = fraction.bytes().take(9).enumerate();
        nanoseconds += digits.map(|(at, digit)| i128::from(digit - b'0') * 10i128.pow(8 - at as u32)).sum::<i128>();
    }
    let days = if FIELDS[first] == "DAY" { nanoseconds / DAY } else { 0 };
    let beyond = |_| format!("so long an interval cannot be told: '{text}'");
    Ok(Interval {
        months: i32::try_from(sign * months).map_err(beyond)?,
        days: i32::try_from(sign * days).map_err(beyond)?,
        nanoseconds: i64::try_from(sign * (nanoseconds - days * DAY)).map_err(beyond)?,
    })
}

/// What is finer than the last field goes, as PostgreSQL has it.
fn cut(interval: Interval, fields: &str) -> Result<Interval, String> {
    let (_, last) = range(fields)?;
    let Interval { months, days, nanoseconds } = interval;
    Ok(match FIELDS[last] {
        "YEAR" => Interval { months: months / 12 * 12, days: 0, nanoseconds: 0 },
        "MONTH" => Interval { months, days: 0, nanoseconds: 0 },
        "DAY" => Interval { months, days, nanoseconds: 0 },
        unit => {
            let size = if unit == "SECOND" { 1 } else { size(unit)? as i64 };
            Interval { months, days, nanoseconds: nanoseconds / size * size }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_by_their_fields() {
        let read = |text: &str, fields: &str| {
            parse(text, fields).map(|interval| (interval.months, interval.days, interval.nanoseconds))
        };
        const HOUR: i64 = 3_600_000_000_000;
        assert_eq!(read("1-1", "YEAR TO MONTH"), Ok((13, 0, 0)));
        assert_eq!(read("-1-1", "YEAR TO MONTH"), Ok((-13, 0, 0)));
        assert_eq!(read("100 1", "DAY TO HOUR"), Ok((0, 100, HOUR)));
        assert_eq!(read("-10 10:1", "DAY TO MINUTE"), Ok((0, -10, -10 * HOUR - HOUR / 60)));
        assert_eq!(read("+1:1.111111", "MINUTE TO SECOND"), Ok((0, 0, 61_111_111_000)));
        assert_eq!(read("1000.23", "SECOND"), Ok((0, 0, 1_000_230_000_000)));
        assert!(read("1:60", "HOUR TO MINUTE").is_err() && read("1", "HOUR TO MINUTE").is_err());
        assert!(read("1 day", "DAY").is_err() && read("1", "MONTH TO DAY").is_err());
    }
}
