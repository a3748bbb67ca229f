//! Parts of times and dates by functions of their own names, and the remainder as a function.

use super::scalar;
use crate::function::custom::{Date, Scalar, Timestamp};
use crate::function::scalar::month_start;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

pub(super) fn functions() -> Vec<Scalar> {
    let clock = |name: &str, unit: i64, modulus: i64| {
        let doc = format!("The {name} of a time, from 0.");
        let example = format!("{name}(TIMESTAMP '2024-02-29 12:34:56')");
        scalar(name, move |at: Timestamp| at.0.div_euclid(unit).rem_euclid(modulus), &doc, &example).infallible()
    };
    let mut all = vec![
        clock("hour", 3_600 * SECOND, 24),
        clock("minute", 60 * SECOND, 60),
        clock("second", SECOND, 60),
        scalar(
            "mod",
            remainder,
            "What is left of a whole number divided by another, with the sign of the first.",
            "mod(7, 3)",
        ),
        scalar("mod", |a: f64, b: f64| a % b, "What is left of a number divided by another.", "mod(7.5, 2.0)"),
    ];
    let last = "The last day of the month of a date or time.";
    all.push(scalar("last_day", |date: Date| last_day(date.0.into()), last, "last_day(DATE '2024-02-01')"));
    all.push(scalar(
        "last_day",
        |at: Timestamp| last_day(at.0.div_euclid(DAY)),
        last,
        "last_day(TIMESTAMP '2024-02-01 10:00:00')",
    ));
    for (name, doc, of) in DATE_PARTS {
        let example = format!("{name}(DATE '2024-02-29')");
        all.push(scalar(name, move |date: Date| of(date.0.into()), doc, &example));
        all.push(scalar(name, move |at: Timestamp| of(at.0.div_euclid(DAY)), doc, &example));
    }
    all
}

/// Of days since 1970: a day of the next month leads to its first day, before which this one ends.
fn last_day(day: i64) -> Option<Date> {
    let next = month_start(month_start(day, 1)? + 31, 1)?;
    i32::try_from(next - 1).ok().map(Date)
}

fn remainder(a: i64, b: i64) -> Result<i64, &'static str> {
    match b {
        0 => Err("division by zero"),
        -1 => Ok(0),
        _ => Ok(a % b),
    }
}

/// Of days since 1970: name, description, value.
type DatePart = (&'static str, &'static str, fn(i64) -> Option<i64>);

const DATE_PARTS: [DatePart; 7] = [
    ("year", "The year of a date or time.", |day| Some(calendar(day)?.year().into())),
    ("quarter", "The quarter of the year, 1 to 4.", |day| Some(i64::from(calendar(day)?.month0() / 3 + 1))),
    ("month", "The month of the year, 1 to 12.", |day| Some(calendar(day)?.month().into())),
    ("week", "The week of the year by ISO 8601, 1 to 53.", |day| Some(calendar(day)?.iso_week().week().into())),
    ("dayofyear", "The day of the year, 1 to 366.", |day| Some(calendar(day)?.ordinal().into())),
    ("dayofmonth", "The day of the month, 1 to 31.", |day| Some(calendar(day)?.day().into())),
    ("dayofweek", "The day of the week, 1 (Sunday) to 7.", |day| Some((day + 4).rem_euclid(7) + 1)),
];

use chrono::{Datelike, NaiveDate};

/// A day as the calendar has it; `None`: it has no such day.
fn calendar(day: i64) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(i32::try_from(day).ok()?)
}
