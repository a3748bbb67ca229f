//! Texts as times by a pattern of `%`, times from zone to zone, and texts as UUIDs.

use std::str::FromStr;

use arrow::array::timezone::Tz;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Timelike};

use super::scalar;
use crate::function::custom::{Date, Scalar, Time, Timestamp};

pub(super) fn functions() -> Vec<Scalar> {
    let by = "by a pattern of % such as %Y-%m-%d %H:%M:%S; NULL where the text is none of the pattern.";
    vec![
        scalar("parse_date", parse_date, &format!("A text as a date, {by}"), "parse_date('%d.%m.%Y', '29.02.2024')")
            .infallible(),
        scalar("parse_time", parse_time, &format!("A text as a time of day, {by}"), "parse_time('%I:%M %p', '02:23 pm')")
            .infallible(),
        scalar(
            "parse_timestamp",
            parse_timestamp,
            &format!("A text as a timestamp, {by}"),
            "parse_timestamp('%d.%m.%Y %H:%M', '29.02.2024 12:34')",
        )
        .infallible(),
        scalar(
            "convert_timezone",
            convert_timezone,
            "What clocks show in the second time zone when they show a time in the first; NULL where a zone is not known.",
            "convert_timezone('America/New_York', 'Europe/Berlin', TIMESTAMP '2024-02-29 12:00:00')",
        )
        .infallible(),
        scalar(
            "make_timestamp",
            |year: i64, month: i64, day: i64, hour: i64, minute: i64, second: f64| {
                made((year, month, day), (hour, minute, second), "UTC")
            },
            "A timestamp of its parts.",
            "make_timestamp(2024, 2, 29, 12, 30, 15.5)",
        ),
        scalar(
            "make_timestamp",
            |year: i64, month: i64, day: i64, hour: i64, minute: i64, second: f64, zone: &str| {
                made((year, month, day), (hour, minute, second), zone)
            },
            "When clocks in a time zone show these parts, in UTC.",
            "make_timestamp(2024, 2, 29, 12, 30, 15.5, 'Europe/Berlin')",
        ),
        scalar(
            "to_uuid",
            to_uuid,
            "A text as a UUID in its usual form: 32 hexadecimal digits, with or without hyphens and braces.",
            "to_uuid('{A0EEBC999C0B4EF8BB6D6BB9BD380A11}')",
        ),
        scalar("to_uuid", uuid_of_bytes, "Sixteen bytes as a UUID.", "to_uuid('\\xa0eebc999c0b4ef8bb6d6bb9bd380a11'::BYTEA)"),
    ]
}

fn parse_date(pattern: &str, text: &str) -> Option<Date> {
    let date = NaiveDate::parse_from_str(text, pattern).ok()?;
    Some(Date(date.to_epoch_days()))
}

/// What a pattern leaves out is zero.
fn parse_time(pattern: &str, text: &str) -> Option<Time> {
    let parse = |pattern: &str, text: &str| NaiveTime::parse_from_str(text, pattern).ok();
    let time = parse(pattern, text).or_else(|| parse(&format!("{pattern} %S"), &format!("{text} 0")))?;
    Some(Time(i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond())))
}

fn parse_timestamp(pattern: &str, text: &str) -> Option<Timestamp> {
    let at = NaiveDateTime::parse_from_str(text, pattern).ok();
    let at = at.or_else(|| NaiveDate::parse_from_str(text, pattern).ok()?.and_hms_opt(0, 0, 0))?;
    Some(Timestamp(at.and_utc().timestamp_micros()))
}

/// Of a time that clocks show twice the first is meant; one that they leap over is an error.
fn made(date: (i64, i64, i64), time: (i64, i64, f64), zone: &str) -> Result<Timestamp, String> {
    let ((year, month, day), (hour, minute, second)) = (date, time);
    let wrong = || format!("not a time: {year}-{month}-{day} {hour}:{minute}:{second}");
    let small = |part: i64| u32::try_from(part).map_err(|_| wrong());
    let day = i32::try_from(year).ok().zip(Some((small(month)?, small(day)?)));
    let day = day.and_then(|(year, (month, day))| NaiveDate::from_ymd_opt(year, month, day)).ok_or_else(wrong)?;
    if !(0.0..=60.0).contains(&second) || hour > 23 || minute > 59 {
        return Err(wrong());
    }
    let start = day.and_hms_opt(small(hour)?, small(minute)?, 0).ok_or_else(wrong)?;
    let shown = start + TimeDelta::microseconds((second * 1e6).round() as i64);
    let zone = Tz::from_str(zone).map_err(|_| format!("not a time zone: '{zone}'"))?;
    let then = zone.from_local_datetime(&shown).earliest().ok_or_else(wrong)?;
    Ok(Timestamp(then.timestamp_micros()))
}

/// Of a time that clocks show twice the first is meant; one that they leap over is NULL.
fn convert_timezone(from: &str, to: &str, at: Timestamp) -> Option<Timestamp> {
    let (from, to) = (Tz::from_str(from).ok()?, Tz::from_str(to).ok()?);
    let shown = DateTime::from_timestamp_micros(at.0)?.naive_utc();
    let then = from.from_local_datetime(&shown).earliest()?;
    let offset = to.offset_from_utc_datetime(&then.naive_utc()).fix();
    let there = then.naive_utc().checked_add_offset(offset)?;
    Some(Timestamp(there.and_utc().timestamp_micros()))
}

/// Hyphens may stand behind every fourth digit, as in PostgreSQL.
fn to_uuid(text: &str) -> Result<String, String> {
    let wrong = || format!("not a UUID: '{text}'");
    let inside = text.trim().strip_prefix('{').map_or(Some(text.trim()), |rest| rest.strip_suffix('}'));
    let (mut digits, mut is_behind_hyphen) = (String::new(), true);
    for character in inside.ok_or_else(wrong)?.chars() {
        match character {
            '-' if !is_behind_hyphen && digits.len() % 4 == 0 && digits.len() < 32 => is_behind_hyphen = true,
            digit if digit.is_ascii_hexdigit() => {
                digits.push(digit.to_ascii_lowercase());
                is_behind_hyphen = false;
            }
            _ => return Err(wrong()),
        }
    }
    if digits.len() == 32 { Ok(hyphened(&digits)) } else { Err(wrong()) }
}

fn uuid_of_bytes(bytes: &[u8]) -> Result<String, String> {
    match bytes.len() {
        16 => Ok(hyphened(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
        other => Err(format!("a UUID has sixteen bytes, these are {other}")),
    }
}

fn hyphened(digits: &str) -> String {
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_as_in_postgresql() {
        let usual = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for text in [
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            assert_eq!(to_uuid(text).as_deref(), Ok(usual), "{text}");
        }
        for text in [
            "",
            "a0eebc99",
            "{a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc99--9c0b4ef8bb6d6bb9bd380a11",
        ] {
            assert!(to_uuid(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_read_by_patterns() {
        assert_eq!(parse_date("%A %b %e %Y", "Thursday Dec 25 2008"), Some(Date(14_238)));
        assert_eq!(parse_date("%Y %A %b %e", "Thursday Dec 25 2008"), None);
        assert_eq!(parse_time("%I:%M:%S %p", "2:23:38 pm"), Some(Time(51_818_000_000_000)));
        assert_eq!(
            (parse_time("%H:%M", "10:10"), parse_time("%I:%M", "07:30:00")),
            (Some(Time(36_600_000_000_000)), None)
        );
        assert_eq!(parse_timestamp("%c", "Thu Dec 25 07:30:00 2008"), Some(Timestamp(1_230_190_200_000_000)));
        assert_eq!(parse_timestamp("%Q", "x"), None);
    }
}
