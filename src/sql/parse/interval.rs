//! Intervals of several units: `INTERVAL '1-2' YEAR TO MONTH`, `'1 10:20:30'`, `'2 days 02:47:33.5'`, `'+6 hours'`.
//!
//! They are written anew as the numbers and units that the planner's library reads. Where the units are said behind, one
//! sign stands for all of them, as in the standard; else each has its own, as in PostgreSQL.

use sqlparser::ast::{DataType, DateTimeField, Expr, Interval, TypedString, Value};

use crate::error::{Error, Result};

/// Rewrites an interval, or a text that is cast to one.
pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Interval(interval) => rewrite_interval(interval),
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

fn rewrite_interval(interval: &mut Interval) -> Result<()> {
    let Expr::Value(literal) = interval.value.as_mut() else { return Ok(()) };
    match (&interval.leading_field, &interval.last_field) {
        (None, _) => rewrite_text(&mut literal.value),
        (Some(first), Some(last)) => {
            let Value::SingleQuotedString(text) = &mut literal.value else { return Ok(()) };
            let units = between(first, last)
                .ok_or_else(|| Error::user(format!("not units of an interval: {first} TO {last}")))?;
            let wanted = || Error::user(format!("not an interval of {first} TO {last}: '{text}'"));
            *text = by_units(text, &units).ok_or_else(wanted)?;
            (interval.leading_field, interval.last_field) = (None, None);
            (interval.leading_precision, interval.fractional_seconds_precision) = (None, None);
        }
        (Some(_), None) => {
            if let Value::SingleQuotedString(text) = &mut literal.value
                && let Some(plain) = text.trim().strip_prefix('+')
            {
                *text = plain.to_string();
            }
        }
    }
    Ok(())
}

/// A text as the planner's library reads it.
pub(in crate::sql) fn interval_text(text: &str) -> String {
    respelled(text).unwrap_or_else(|| text.to_string())
}

/// What is not understood is left to the planner, which says so.
fn rewrite_text(value: &mut Value) {
    if let Value::SingleQuotedString(text) = value
        && let Some(respelled) = respelled(text)
    {
        *text = respelled;
    }
}

/// The units from the first to the last; years and months do not go with the others.
fn between(first: &DateTimeField, last: &DateTimeField) -> Option<Vec<&'static str>> {
    const UNITS: [&[&str]; 2] = [&["year", "month"], &["day", "hour", "minute", "second"]];
    let name = |field: &DateTimeField| field.to_string().to_lowercase();
    let (first, last) = (name(first), name(last));
    UNITS.iter().find_map(|units| {
        let at = |wanted: &str| units.iter().position(|unit| *unit == wanted);
        let (from, to) = (at(&first)?, at(&last)?);
        units.get(from..=to).map(<[_]>::to_vec)
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

/// A text without units behind it: units inside, or days and a time of day. `None`: nothing to write anew.
fn respelled(text: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_units_and_times_of_day() {
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
            ("-1-2", "-1 year -2 month"),
        ];
        for (text, expected) in cases {
            assert_eq!(respelled(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(respelled("5 days 3 hours"), None);
    }

    #[test]
    fn units_behind_share_the_sign() {
        let units = |first: DateTimeField, last: DateTimeField| between(&first, &last);
        let days = units(DateTimeField::Day, DateTimeField::Second).unwrap_or_default();
        assert_eq!(by_units("-1 10:20:30", &days).as_deref(), Some("-1 day -10 hour -20 minute -30 second"));
        let minutes = units(DateTimeField::Minute, DateTimeField::Second).unwrap_or_default();
        assert_eq!(by_units("10:20.25", &minutes).as_deref(), Some("10 minute 20.25 second"));
        assert_eq!(by_units("10", &minutes), None);
        assert_eq!(units(DateTimeField::Month, DateTimeField::Day), None);
    }
}
