//! `date_part`: year, month, day and their kin out of dates and timestamps, by arithmetic instead of a calendar per row.
//!
//! Invariants  the proleptic Gregorian calendar, without leap seconds. Fields of timestamps without a time zone, or
//!             with one that is always UTC; other zones go to the function library.
//! Source      civil-from-days as in Hinnant, "chrono-compatible low-level date algorithms".

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use millstream_kernels::{aggregate, bitmap};

use super::write::{self, Side};
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};
use crate::time::ticks_per_second;

/// The kernel that extracts `part` (case does not matter), `None` where there is no native one.
///
/// Its one argument is the date or timestamp. The result is an `Int32`, of `epoch` a `Float64`.
pub fn date_part(part: &str, data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let clock = match data_type {
        DataType::Date32 => Clock::Days,
        DataType::Timestamp(unit, zone) if zone.as_deref().is_none_or(is_utc) => Clock::Ticks(*unit),
        _ => return None,
    };
    let part = match &part.to_ascii_lowercase()[..] {
        "year" | "years" => Part::Year,
        "quarter" | "qtr" => Part::Quarter,
        "month" | "months" => Part::Month,
        "day" | "days" => Part::Day,
        "doy" => Part::DayOfYear,
        "dow" => Part::DayOfWeek,
        "isodow" => Part::DayOfIsoWeek,
        "hour" | "hours" if clock != Clock::Days => Part::Hour,
        "minute" | "minutes" if clock != Clock::Days => Part::Minute,
        "second" | "seconds" if clock != Clock::Days => Part::Second,
        "millisecond" | "milliseconds" if clock != Clock::Days => Part::Millisecond,
        "microsecond" | "microseconds" if clock != Clock::Days => Part::Microsecond,
        "epoch" => return Some(Arc::new(Epoch { clock })),
        _ => return None,
    };
    Some(Arc::new(DatePart { part, clock }))
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Etc/UTC" | "Z" | "+00:00" | "+00")
}

/// What a number of the argument counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Days,
    Ticks(TimeUnit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Year,
    Quarter,
    Month,
    Day,
    DayOfYear,
    DayOfWeek,
    DayOfIsoWeek,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Year => "year",
            Part::Quarter => "quarter",
            Part::Month => "month",
            Part::Day => "day",
            Part::DayOfYear => "doy",
            Part::DayOfWeek => "dow",
            Part::DayOfIsoWeek => "isodow",
            Part::Hour => "hour",
            Part::Minute => "minute",
            Part::Second => "second",
            Part::Millisecond => "millisecond",
            Part::Microsecond => "microsecond",
        }
    }
}

/// Seconds that are so far from 1970 that their year does not fit: 200 million years.
const SECONDS_MAX: i64 = 200_000_000 * 31_556_952;

#[derive(Debug)]
struct DatePart {
    part: Part,
    clock: Clock,
}

impl ScalarKernel for DatePart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn result_type(&self) -> DataType {
        DataType::Int32
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        match self.clock {
            Clock::Days => {
                let days = write::side::<i32>(&args[0], rows)?;
                write::values::<i32>(context.level, args, rows, out, |out, _| {
                    each(days, out, |days, out| extract_dates(self.part, days, out));
                    Ok(())
                })
            }
            Clock::Ticks(unit) => {
                let ts = write::side::<i64>(&args[0], rows)?;
                write::values::<i32>(context.level, args, rows, out, |out, validity| {
                    if unit == TimeUnit::Second {
                        check_range(context, ts, rows, validity)?;
                    }
                    each(ts, out, |ts, out| match unit {
                        TimeUnit::Second => extract::<1>(self.part, ts, out),
                        TimeUnit::Millisecond => extract::<1_000>(self.part, ts, out),
                        TimeUnit::Microsecond => extract::<1_000_000>(self.part, ts, out),
                        TimeUnit::Nanosecond => extract::<1_000_000_000>(self.part, ts, out),
                    });
                    Ok(())
                })
            }
        }
    }

    fn can_fail(&self) -> bool {
        self.clock == Clock::Ticks(TimeUnit::Second)
    }

    fn show(&self, args: &[String]) -> String {
        format!("date_part('{}', {})", self.part.name(), args.join(", "))
    }
}

/// Runs `extract` over a column, or over one value that is then copied to all rows.
fn each<T: Copy>(side: Side<'_, T>, out: &mut [i32], extract: impl Fn(&[T], &mut [i32])) {
    match side {
        Side::Column(values) => extract(values, out),
        Side::Constant(value) => {
            let mut one = [0];
            extract(&[value], &mut one);
            out.fill(one[0]);
        }
    }
}

fn check_range(context: &KernelContext, ts: Side<'_, i64>, rows: usize, validity: Option<&[u64]>) -> Result<()> {
    let range = match ts {
        Side::Column(ts) => aggregate::min_max(context.level, ts, validity),
        Side::Constant(_) if bitmap::words(rows) == 0 || validity.is_some() => None,
        Side::Constant(ts) => Some((ts, ts)),
    };
    match range {
        Some((least, _)) if least < -SECONDS_MAX => Err(out_of_range(least)),
        Some((_, greatest)) if greatest > SECONDS_MAX => Err(out_of_range(greatest)),
        _ => Ok(()),
    }
}

#[cold]
fn out_of_range(seconds: i64) -> Error {
    Error::user(format!("timestamp out of range of the calendar: {seconds} seconds; check the unit of the column"))
}

fn extract_dates(part: Part, days: &[i32], out: &mut [i32]) {
    match part {
        Part::Year => map(days, out, |day| civil(i64::from(day)).0),
        Part::Quarter => map(days, out, |day| (civil(i64::from(day)).1 + 2) / 3),
        Part::Month => map(days, out, |day| civil(i64::from(day)).1),
        Part::Day => map(days, out, |day| civil(i64::from(day)).2),
        Part::DayOfYear => map(days, out, |day| day_of_year(i64::from(day))),
        Part::DayOfWeek => map(days, out, |day| day_of_week(i64::from(day))),
        Part::DayOfIsoWeek => map(days, out, |day| day_of_iso_week(i64::from(day))),
        Part::Hour | Part::Minute | Part::Second | Part::Millisecond | Part::Microsecond => {
            unreachable!("not offered for dates")
        }
    }
}

/// The loops for one unit: a constant to divide by is a multiplication.
fn extract<const PER_SECOND: i64>(part: Part, ts: &[i64], out: &mut [i32]) {
    let day = |ts: i64| ts.div_euclid(86_400 * PER_SECOND);
    let second_of_day = |ts: i64| ts.div_euclid(PER_SECOND).rem_euclid(86_400) as i32;
    match part {
        Part::Year => map(ts, out, |ts| civil(day(ts)).0),
        Part::Quarter => map(ts, out, |ts| (civil(day(ts)).1 + 2) / 3),
        Part::Month => map(ts, out, |ts| civil(day(ts)).1),
        Part::Day => map(ts, out, |ts| civil(day(ts)).2),
        Part::DayOfYear => map(ts, out, |ts| day_of_year(day(ts))),
        Part::DayOfWeek => map(ts, out, |ts| day_of_week(day(ts))),
        Part::DayOfIsoWeek => map(ts, out, |ts| day_of_iso_week(day(ts))),
        Part::Hour => map(ts, out, |ts| second_of_day(ts) / 3_600),
        Part::Minute => map(ts, out, |ts| second_of_day(ts) / 60 % 60),
        Part::Second => map(ts, out, |ts| second_of_day(ts) % 60),
        // Seconds and what is below them, as one number.
        Part::Millisecond => map(ts, out, |ts| rescale(ts.rem_euclid(60 * PER_SECOND), PER_SECOND, 1_000)),
        Part::Microsecond => map(ts, out, |ts| rescale(ts.rem_euclid(60 * PER_SECOND), PER_SECOND, 1_000_000)),
    }
}

#[inline(always)]
fn map<T: Copy>(values: &[T], out: &mut [i32], of: impl Fn(T) -> i32) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = of(value);
    }
}

/// Ticks within a minute from one unit to another, cut off.
#[inline(always)]
fn rescale(ticks: i64, from: i64, to: i64) -> i32 {
    if from >= to { (ticks / (from / to)) as i32 } else { (ticks * (to / from)) as i32 }
}

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01.
#[inline(always)]
fn civil(day: i64) -> (i32, i32, i32) {
    let (era, day_of_era) = era(day);
    let (year_of_era, day_of_year) = year_of_era(day_of_era);
    // Years that start in March have their odd day at the end, and months of a regular pattern.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + i64::from(year_of_era) + i64::from(month <= 2);
    (year as i32, month as i32, day as i32)
}

/// The first day of the stretch of so many months that holds a day, counted from 1970-01-01; stretches begin with year 0.
///
/// `None`: days that no calendar of 32 bits has.
pub fn month_start(day: i64, months: i64) -> Option<i64> {
    let (year, month, _) = civil(day);
    if i64::from(year) != era(day).0.checked_mul(400)?.checked_add(civil_year_of_era(day))? {
        return None;
    }
    let first = (i64::from(year) * 12 + i64::from(month) - 1).div_euclid(months) * months;
    Some(first_of_month(first.div_euclid(12), first.rem_euclid(12) + 1))
}

/// The year that a day lies in, counted from that of its era.
fn civil_year_of_era(day: i64) -> i64 {
    let (year, day_of_year) = year_of_era(era(day).1);
    i64::from(year) + i64::from(day_of_year >= 306)
}

/// The first day of a month, counted from 1970-01-01.
fn first_of_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * if month > 2 { month - 3 } else { month + 9 } + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// The stretch of 400 years that holds a day, counted from 0000-03-01, and the day within.
#[inline(always)]
fn era(day: i64) -> (i64, u32) {
    let shifted = day + 719_468;
    (shifted.div_euclid(146_097), shifted.rem_euclid(146_097) as u32)
}

/// The year of an era and its day, both from 0; years start in March.
#[inline(always)]
fn year_of_era(day: u32) -> (u32, u32) {
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    (year, day - (365 * year + year / 4 - year / 100))
}

/// 1 to 366.
#[inline(always)]
fn day_of_year(day: i64) -> i32 {
    let (_, day_of_era) = era(day);
    let (year, day) = year_of_era(day_of_era);
    // Days 306 and on belong to January and February of the next civil year.
    let year = year + u32::from(day >= 306);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if day >= 306 { day as i32 - 305 } else { day as i32 + 60 + i32::from(leap) }
}

/// 0 is Sunday.
#[inline(always)]
fn day_of_week(day: i64) -> i32 {
    (day + 4).rem_euclid(7) as i32
}

/// 1 is Monday, 7 is Sunday.
#[inline(always)]
fn day_of_iso_week(day: i64) -> i32 {
    (day + 3).rem_euclid(7) as i32 + 1
}

/// Seconds since 1970 with their fraction.
#[derive(Debug)]
struct Epoch {
    clock: Clock,
}

impl ScalarKernel for Epoch {
    fn name(&self) -> &str {
        "date_part"
    }

    fn result_type(&self) -> DataType {
        DataType::Float64
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        match self.clock {
            Clock::Days => {
                let days = write::side::<i32>(&args[0], rows)?;
                epoch(context, args, rows, out, days, |day| f64::from(day) * 86_400.0)
            }
            Clock::Ticks(unit) => {
                let ts = write::side::<i64>(&args[0], rows)?;
                let ticks = ticks_per_second(unit) as f64;
                epoch(context, args, rows, out, ts, |ts| ts as f64 / ticks)
            }
        }
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        format!("date_part('epoch', {})", args.join(", "))
    }
}

fn epoch<T: Copy>(
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
    from: Side<'_, T>,
    seconds: impl Fn(T) -> f64,
) -> Result<()> {
    write::values::<f64>(context.level, args, rows, out, |out, _| {
        match from {
            Side::Column(from) => out.iter_mut().zip(from).for_each(|(out, &value)| *out = seconds(value)),
            Side::Constant(value) => out.fill(seconds(value)),
        }
        Ok(())
    })
}
