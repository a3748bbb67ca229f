//! Dates, times, durations and intervals as ISO 8601 text.
//!
//! Invariants  the text is exact: as many digits behind the point as the value needs, in threes; whole days of any
//!             year the type can hold.

use std::io::Write;

use arrow::datatypes::{IntervalDayTime, IntervalMonthDayNano, TimeUnit};

use crate::time::ticks_per_second;

/// Appends `2024-02-29`.
pub fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    match year {
        0..=9999 => {
            digits(year as u64, 4, out);
        }
        _ => write!(out, "{}{:04}", if year < 0 { '-' } else { '+' }, year.unsigned_abs()).expect("memory takes all"),
    }
    out.push(b'-');
    digits(month, 2, out);
    out.push(b'-');
    digits(day, 2, out);
}

/// Appends `12:34:56.789`; `ticks` since midnight, or just their number where no day has that many.
pub fn time(ticks: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let per_second = ticks_per_second(unit);
    if !(0..per_second * 86_400).contains(&ticks) {
        return write!(out, "{ticks}").expect("memory takes all");
    }
    let (seconds, rest) = ((ticks / per_second) as u64, (ticks % per_second) as u64);
    digits(seconds / 3600, 2, out);
    out.push(b':');
    digits(seconds / 60 % 60, 2, out);
    out.push(b':');
    digits(seconds % 60, 2, out);
    fraction(rest, unit, out);
}

/// Appends `2024-02-29T12:34:56.789`, and the zone's offset: `Z`, or `+02:00`.
pub fn timestamp(ticks: i64, unit: TimeUnit, offset_seconds: Option<i32>, out: &mut Vec<u8>) {
    let per_day = i128::from(ticks_per_second(unit)) * 86_400;
    let local = i128::from(ticks) + i128::from(offset_seconds.unwrap_or(0)) * i128::from(ticks_per_second(unit));
    date(local.div_euclid(per_day) as i64, out);
    out.push(b'T');
    time(local.rem_euclid(per_day) as i64, unit, out);
    match offset_seconds {
        None => {}
        Some(0) => out.push(b'Z'),
        Some(seconds) => {
            out.push(if seconds < 0 { b'-' } else { b'+' });
            let seconds = u64::from(seconds.unsigned_abs());
            digits(seconds / 3600, 2, out);
            out.push(b':');
            digits(seconds / 60 % 60, 2, out);
            if seconds % 60 != 0 {
                out.push(b':');
                digits(seconds % 60, 2, out);
            }
        }
    }
}

/// Appends `PT1.5S`.
pub fn duration(ticks: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    out.extend_from_slice(b"PT");
    seconds(ticks, unit, out);
}

/// Appends `P14M`, in whole months.
pub fn interval_months(months: i32, out: &mut Vec<u8>) {
    interval(months, 0, 0, TimeUnit::Nanosecond, out);
}

/// Appends `P3DT0.5S`.
pub fn interval_day_time(value: IntervalDayTime, out: &mut Vec<u8>) {
    interval(0, value.days, i64::from(value.milliseconds), TimeUnit::Millisecond, out);
}

/// Appends `P1M2DT3.5S`.
pub fn interval_month_day_nano(value: IntervalMonthDayNano, out: &mut Vec<u8>) {
    interval(value.months, value.days, value.nanoseconds, TimeUnit::Nanosecond, out);
}

fn interval(months: i32, days: i32, ticks: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    out.push(b'P');
    if months != 0 {
        write!(out, "{months}M").expect("memory takes all");
    }
    if days != 0 || (months == 0 && ticks == 0) {
        write!(out, "{days}D").expect("memory takes all");
    }
    if ticks != 0 {
        out.push(b'T');
        seconds(ticks, unit, out);
    }
}

fn seconds(ticks: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let per_second = ticks_per_second(unit) as u64;
    let size = ticks.unsigned_abs();
    let sign = if ticks < 0 { "-" } else { "" };
    write!(out, "{sign}{}", size / per_second).expect("memory takes all");
    fraction(size % per_second, unit, out);
    out.push(b'S');
}

/// Appends `.789`, or nothing for nothing.
fn fraction(ticks: u64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (mut ticks, mut width) = match unit {
        TimeUnit::Second => return,
        TimeUnit::Millisecond => (ticks, 3),
        TimeUnit::Microsecond => (ticks, 6),
        TimeUnit::Nanosecond => (ticks, 9),
    };
    if ticks == 0 {
        return;
    }
    while ticks.is_multiple_of(1000) {
        ticks /= 1000;
        width -= 3;
    }
    out.push(b'.');
    digits(ticks, width, out);
}

/// Appends a number with leading zeros.
fn digits(number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = number;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    debug_assert_eq!(rest, 0, "the number fits its width");
}

/// Year, month and day of a day counted from 1970-01-01. Source: Howard Hinnant, "chrono-compatible date algorithms".
fn civil(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month as u64, day as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Days, NaiveDate};

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_agree_with_chrono() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        for days in (0..800_000).step_by(17) {
            let expected = epoch.checked_add_days(Days::new(days)).unwrap();
            assert_eq!(text(|out| date(days as i64, out)), expected.to_string());
            let expected = epoch.checked_sub_days(Days::new(days.min(719_000))).unwrap();
            assert_eq!(text(|out| date(-(days.min(719_000) as i64), out)), expected.to_string());
        }
        assert_eq!(text(|out| date(-719_529, out)), "-0001-12-31");
        assert_eq!(text(|out| date(2_932_897, out)), "+10000-01-01");
    }

    #[test]
    fn timestamps_agree_with_chrono() {
        for nanoseconds in
            [0, 1, -1, 1_700_000_000_123_456_789, 1_700_000_000_120_000_000, -62_135_596_800, i64::MIN, i64::MAX]
        {
            let expected = DateTime::from_timestamp_nanos(nanoseconds).naive_utc().format("%Y-%m-%dT%H:%M:%S%.f");
            assert_eq!(text(|out| timestamp(nanoseconds, TimeUnit::Nanosecond, None, out)), expected.to_string());
        }
        let at = |offset| text(|out| timestamp(1_500, TimeUnit::Millisecond, Some(offset), out));
        assert_eq!(at(0), "1970-01-01T00:00:01.500Z");
        assert_eq!(at(-5 * 3600 - 1800), "1969-12-31T18:30:01.500-05:30");
        let far = text(|out| timestamp(i64::MAX, TimeUnit::Second, None, out));
        assert!(far.starts_with("+292277026596-12-04T15:30:07"), "{far}");
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(text(|out| duration(-1_500, TimeUnit::Millisecond, out)), "PT-1.500S");
        assert_eq!(
            text(|out| interval_month_day_nano(IntervalMonthDayNano::new(14, -2, 500_000_000), out)),
            "P14M-2DT0.500S"
        );
        assert_eq!(text(|out| interval_month_day_nano(IntervalMonthDayNano::new(0, 0, 0), out)), "P0D");
        assert_eq!(text(|out| interval_day_time(IntervalDayTime::new(3, 7), out)), "P3DT0.007S");
        assert_eq!(text(|out| interval_months(12, out)), "P12M");
    }
}
