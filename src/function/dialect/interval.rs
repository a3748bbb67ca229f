//! Intervals by their fields: texts such as `1-2` of YEAR TO MONTH, and how many of a unit an interval is; and intervals as
//! PostgreSQL reads them: `2 days 02:47:33.5`, `+6 hours`, and a number alone, which is seconds.

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
            "text_interval",
            of_units,
            "The interval that a text is, as PostgreSQL reads it: what CAST(text AS INTERVAL) is.",
            "text_interval('2 days 02:47:33')",
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
    cut(of_units(text)?, fields)
}

/// By its units; a number alone is seconds.
fn of_units(text: &str) -> Result<Interval, String> {
    let config = IntervalParseConfig::new(IntervalUnit::Second);
    let spelled = in_units(text);
    let found = parse_interval_month_day_nano_config(spelled.as_deref().unwrap_or(text.trim()), config);
    let found = found.map_err(|_| format!("not an interval: '{text}'"))?;
    Ok(Interval { months: found.months, days: found.days, nanoseconds: found.nanoseconds })
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

/// `[sign]number separator number ...`, a unit each: `1-2`, `1 10:20:30.5`.
fn by_units(text: &str, units: &[&str]) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let separator = |unit: &str| match unit {
        "year" => '-',
        "day" => ' ',
        _ => ':',
    };
    let (mut parts, mut rest) = (Vec::new(), digits);
    for (at, unit) in units.iter().enumerate() {
        let number = match at + 1 == units.len() {
            true => std::mem::take(&mut rest),
            false => {
                let (number, behind) = rest.split_once(separator(unit))?;
                rest = behind;
                number
            }
        };
        parts.push(format!("{sign}{} {unit}", number_of(number.trim(), *unit == "second")?));
    }
    Some(parts.join(" "))
}

fn number_of(text: &str, may_have_fraction: bool) -> Option<&str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction) && (may_have_fraction || !text.contains('.'))).then_some(text)
}

/// A text of several units, of days and a time of day, or a number alone, as numbers with a unit each; `None`: it is that
/// already.
pub(super) fn in_units(text: &str) -> Option<String> {
    let number = text.trim().strip_prefix('+').unwrap_or(text.trim());
    if number_of(number.strip_prefix('-').unwrap_or(number), true).is_some() {
        return Some(format!("{number} second"));
    }
    if !text.contains([':', '+']) && !is_years(text.trim()) {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut parts = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let (sign, digits) = match word.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", word.strip_prefix('+').unwrap_or(word)),
        };
        let next = words.get(at + 1);
        if digits.contains(':') {
            let units: &[&str] =
                if digits.matches(':').count() == 1 { &["hour", "minute"] } else { &["hour", "minute", "second"] };
            parts.push(by_units(word, units)?);
        } else if is_years(word) {
            parts.push(by_units(word, &["year", "month"])?);
        } else if next.is_some_and(|next| next.contains(':')) && number_of(digits, false).is_some() {
            parts.push(format!("{sign}{digits} day"));
        } else {
            parts.push(format!("{sign}{digits}"));
        }
    }
    Some(parts.join(" "))
}

/// Whether a word is years and months, `1-2`.
fn is_years(word: &str) -> bool {
    let digits = word.trim_start_matches(['-', '+']);
    digits
        .split_once('-')
        .is_some_and(|(years, months)| number_of(years, false).is_some() && number_of(months, false).is_some())
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
    #[test]
    fn texts_are_units_and_times_of_day() {
        let cases = [
            ("1 10:20:30.5", "1 day 10 hour 20 minute 30.5 second"),
            ("-1 10:20", "-1 day 10 hour 20 minute"),
            (
                "2333 year 4 months 5 days 02:47:33.123456",
                "2333 year 4 months 5 days 02 hour 47 minute 33.123456 second",
            ),
            ("+6 HOURS", "6 HOURS"),
            ("-00:00:05", "-00 hour -00 minute -05 second"),
            ("1-2", "1 year 2 month"),
            (" 6 ", "6 second"),
            ("-6.5", "-6.5 second"),
            ("-1-2", "-1 year -2 month"),
        ];
        for (text, expected) in cases {
            assert_eq!(in_units(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(in_units("5 days 3 hours"), None);
        let tenths = |text: &str| of_units(text).map(|interval| interval.nanoseconds / 100_000_000);
        assert_eq!(
            (tenths("6"), tenths("-6.5"), tenths("+6"), tenths(" 1 hour ")),
            (Ok(60), Ok(-65), Ok(60), Ok(36_000))
        );
        assert!(tenths("").is_err() && tenths("6 apples").is_err());
    }
}
