//! Stretches of time between two times, and times moved by them, in whole units; and how long an interval is.

use chrono::{DateTime, Datelike, Months, NaiveDateTime};

use super::scalar;
use crate::function::custom::{Decimal, Interval, Scalar, StringWriter, Time, Timestamp};

pub(super) fn functions() -> Vec<Scalar> {
    vec![
        scalar(
            "timestampdiff",
            timestampdiff,
            "How many whole units lie between two times; negative where the second is the earlier.",
            "timestampdiff(DAY, TIMESTAMP '2024-02-28 12:00:00', TIMESTAMP '2024-03-01 11:00:00')",
        ),
        scalar(
            "timestampadd",
            timestampadd,
            "A time moved by units; a day that a month does not have becomes its last.",
            "timestampadd(MONTH, 1, TIMESTAMP '2024-01-31 12:00:00')",
        ),
        scalar(
            "interval_nanoseconds",
            nanoseconds,
            "How long an interval is, with months of 30 days of 24 hours: what intervals are compared by.",
            "interval_nanoseconds(INTERVAL '1' DAY)",
        )
        .infallible(),
        scalar(
            "interval_times",
            times,
            "An interval so often: what an interval multiplied by a whole number is.",
            "interval_times(INTERVAL '1' DAY, 3)",
        ),
        scalar(
            "interval_times",
            times_float,
            "An interval so often; of a month that is not whole the rest is days of 30, and of a day hours of 24.",
            "interval_times(INTERVAL '1' DAY, 1.5)",
        ),
        scalar(
            "interval_divide",
            divide,
            "An interval in so many parts; of a month that is not whole the rest is days of 30, and of a day hours of 24.",
            "interval_divide(INTERVAL '1' DAY, 2)",
        ),
        scalar(
            "interval_part",
            |part: &str, interval: Interval| {
                part_of(part, interval.months.into(), interval.days.into(), interval.nanoseconds)
            },
            "A part of an interval: what EXTRACT gives.",
            "interval_part('hour', INTERVAL '90' MINUTE)",
        ),
        scalar(
            "interval_epoch",
            |interval: Interval| {
                // Years of 365 days and a quarter, months of 30 days.
                let (years, months) = (f64::from(interval.months / 12), f64::from(interval.months % 12));
                let days = years * 365.25 + months * 30.0 + f64::from(interval.days);
                days * 86_400.0 + interval.nanoseconds as f64 / 1e9
            },
            "The seconds of an interval, with years of 365.25 days and months of 30.",
            "interval_epoch(INTERVAL '90' MINUTE)",
        )
        .infallible(),
        scalar(
            "span_part",
            |part: &str, micros: i64| {
                let day = 86_400_000_000;
                part_of(part, 0, micros / day, micros % day * 1_000)
            },
            "A part of the time between two times in microseconds: what EXTRACT gives.",
            "span_part('hour', 90000000000)",
        ),
        scalar(
            "span_epoch",
            |micros: i64| micros as f64 / 1e6,
            "The seconds of the time between two times in microseconds.",
            "span_epoch(90000000)",
        )
        .infallible(),
        scalar(
            "interval_text",
            text_of,
            "An interval as PostgreSQL writes it: what CAST to a text gives.",
            "interval_text(INTERVAL '90' MINUTE)",
        )
        .infallible(),
        scalar(
            "span_text",
            span_text,
            "The time between two times in microseconds as an interval is written: what CAST to a text gives.",
            "span_text(90000000000)",
        )
        .infallible(),
        scalar(
            "timestampdiff",
            |unit: &str, from: Time, to: Time| timestampdiff(unit, Timestamp(from.0 / 1_000), Timestamp(to.0 / 1_000)),
            "How many whole units lie between two times of day; negative where the second is the earlier.",
            "timestampdiff(MINUTE, TIME '12:00:00', TIME '10:00:00')",
        ),
    ]
}

const BEYOND: &str = "so long an interval cannot be told";

fn times(interval: Interval, count: i64) -> Result<Interval, &'static str> {
    let small = |part: i32| i64::from(part).checked_mul(count).and_then(|part| i32::try_from(part).ok()).ok_or(BEYOND);
    Ok(Interval {
        months: small(interval.months)?,
        days: small(interval.days)?,
        nanoseconds: interval.nanoseconds.checked_mul(count).ok_or(BEYOND)?,
    })
}

fn times_float(interval: Interval, count: f64) -> Result<Interval, &'static str> {
    const DAY: f64 = 86_400e9;
    let months = f64::from(interval.months) * count;
    let days = f64::from(interval.days) * count + months.fract() * 30.0;
    let nanoseconds = interval.nanoseconds as f64 * count + days.fract() * DAY;
    let fits = |value: f64, most: f64| value.is_finite() && value.abs() < most;
    let small = f64::from(i32::MAX);
    if !fits(months, small) || !fits(days, small) || !fits(nanoseconds, i64::MAX as f64) {
        return Err(BEYOND);
    }
    Ok(Interval { months: months.trunc() as i32, days: days.trunc() as i32, nanoseconds: nanoseconds.round() as i64 })
}

/// A part as PostgreSQL has it; seconds count in milliseconds and microseconds as well.
fn part_of(part: &str, months: i64, days: i64, nanoseconds: i64) -> Result<i64, String> {
    const SECOND: i64 = 1_000_000_000;
    const MINUTE: i64 = 60 * SECOND;
    let years = months / 12;
    Ok(match part {
        "millennium" | "millenniums" => years / 1_000,
        "century" | "centuries" => years / 100,
        "decade" | "decades" => years / 10,
        "year" | "years" => years,
        "quarter" | "quarters" => months % 12 / 3 + 1,
        "month" | "months" => months % 12,
        "week" | "weeks" => days / 7,
        "day" | "days" => days,
        "hour" | "hours" => nanoseconds / (60 * MINUTE),
        "minute" | "minutes" => nanoseconds % (60 * MINUTE) / MINUTE,
        "second" | "seconds" => nanoseconds % MINUTE / SECOND,
        "millisecond" | "milliseconds" => nanoseconds % MINUTE / 1_000_000,
        "microsecond" | "microseconds" => nanoseconds % MINUTE / 1_000,
        "nanosecond" | "nanoseconds" => nanoseconds % MINUTE,
        _ => return Err(format!("an interval has no such part: {part}")),
    })
}

/// What is left over of a unit goes on to the next finer one.
fn divide(interval: Interval, by: f64) -> Result<Interval, &'static str> {
    const DAY: f64 = 86_400e9;
    if by == 0.0 {
        return Err("an interval divided by zero");
    }
    // Of a part that comes out whole nothing is left over.
    let split = |value: f64| {
        let quotient = value / by;
        let nearest = quotient.round();
        if (quotient - nearest).abs() < 1e-9 { (nearest, 0.0) } else { (quotient.trunc(), quotient - quotient.trunc()) }
    };
    let (months, rest_of_months) = split(f64::from(interval.months));
    let (days, rest_of_days) = split(f64::from(interval.days) + rest_of_months * 30.0 * by);
    let nanoseconds = interval.nanoseconds as f64 / by + rest_of_days * DAY;
    let fits = |value: f64, most: f64| value.is_finite() && value.abs() < most;
    let small = f64::from(i32::MAX);
    if !fits(months, small) || !fits(days, small) || !fits(nanoseconds, i64::MAX as f64) {
        return Err(BEYOND);
    }
    Ok(Interval { months: months as i32, days: days as i32, nanoseconds: nanoseconds.round() as i64 })
}

fn text_of(interval: Interval, out: &mut StringWriter) -> Option<()> {
    out.push_str(&spelled(interval));
    Some(())
}

/// The days of a time between two times count, as in an interval.
fn span_text(micros: i64, out: &mut StringWriter) -> Option<()> {
    let day = 86_400_000_000;
    let days = i32::try_from(micros / day).ok()?;
    out.push_str(&spelled(Interval { months: 0, days, nanoseconds: micros % day * 1_000 }));
    Some(())
}

/// `1 year 2 mons -3 days +04:05:06.5`: a sign where one is needed, and one where the part before had a minus.
pub(super) fn spelled(interval: Interval) -> String {
    let Interval { months, days, nanoseconds } = interval;
    let mut text = String::new();
    let mut was_negative = false;
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count == 0 {
            continue;
        }
        let blank = if text.is_empty() { "" } else { " " };
        let plus = if was_negative && count > 0 { "+" } else { "" };
        let plural = if count == 1 { "" } else { "s" };
        text.push_str(&format!("{blank}{plus}{count} {unit}{plural}"));
        was_negative = count < 0;
    }
    if nanoseconds == 0 && !text.is_empty() {
        return text;
    }
    let blank = if text.is_empty() { "" } else { " " };
    let sign = match nanoseconds < 0 {
        true => "-",
        false if was_negative => "+",
        false => "",
    };
    let all = nanoseconds.unsigned_abs();
    let (seconds, rest) = (all / 1_000_000_000, all % 1_000_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    text.push_str(&format!("{blank}{sign}{hours:02}:{minutes:02}:{seconds:02}"));
    if rest > 0 {
        text.push_str(format!(".{rest:09}").trim_end_matches('0'));
    }
    text
}

/// A unit of time.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Microseconds(i64),
    Months(i64),
}

fn unit(name: &str) -> Result<Unit, String> {
    const SECOND: i64 = 1_000_000;
    let lower = name.to_lowercase();
    let short = lower.strip_prefix("sql_tsi_").unwrap_or(&lower);
    Ok(match short.strip_suffix('s').unwrap_or(short) {
        "microsecond" => Unit::Microseconds(1),
        "millisecond" => Unit::Microseconds(1_000),
        "second" => Unit::Microseconds(SECOND),
        "minute" => Unit::Microseconds(60 * SECOND),
        "hour" => Unit::Microseconds(3_600 * SECOND),
        "day" => Unit::Microseconds(86_400 * SECOND),
        "week" => Unit::Microseconds(7 * 86_400 * SECOND),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => {
            let known = "MICROSECOND, MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER and YEAR";
            return Err(format!("not a unit of time: {name}; there are {known}"));
        }
    })
}

fn timestampdiff(name: &str, from: Timestamp, to: Timestamp) -> Result<i64, String> {
    match unit(name)? {
        Unit::Microseconds(size) => {
            let span = to.0.checked_sub(from.0).ok_or("the two times lie too far apart")?;
            Ok(span / size)
        }
        Unit::Months(count) => Ok(months_between(calendar(from)?, calendar(to)?) / count),
    }
}

fn timestampadd(name: &str, count: i64, at: Timestamp) -> Result<Timestamp, String> {
    let beyond = || format!("{count} {name} later there is no time that can be told");
    match unit(name)? {
        Unit::Microseconds(size) => {
            let moved = count.checked_mul(size).and_then(|span| at.0.checked_add(span));
            moved.map(Timestamp).ok_or_else(beyond)
        }
        Unit::Months(each) => {
            let time = calendar(at)?;
            let months = count.checked_mul(each).ok_or_else(beyond)?;
            let span = Months::new(u32::try_from(months.unsigned_abs()).map_err(|_| beyond())?);
            let moved = if months < 0 { time.checked_sub_months(span) } else { time.checked_add_months(span) };
            moved.map(|moved| Timestamp(moved.and_utc().timestamp_micros())).ok_or_else(beyond)
        }
    }
}

fn calendar(at: Timestamp) -> Result<NaiveDateTime, String> {
    let time = DateTime::from_timestamp_micros(at.0).map(|time| time.naive_utc());
    time.ok_or_else(|| format!("a time that no calendar has: {} microseconds since 1970", at.0))
}

/// Whole months from one time to another, towards zero.
fn months_between(from: NaiveDateTime, to: NaiveDateTime) -> i64 {
    if to < from {
        return -months_between(to, from);
    }
    let month = |time: NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
    let in_month = |time: NaiveDateTime| (time.day(), time.time());
    month(to) - month(from) - i64::from(in_month(to) < in_month(from))
}

fn nanoseconds(interval: Interval) -> Decimal<38, 0> {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    Decimal(days * 86_400_000_000_000 + i128::from(interval.nanoseconds))
}
