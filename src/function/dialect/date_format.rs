//! `date_format(time, pattern)`: a time as text, by letters (`yyyy-MM-dd`) or by `%` (`%Y-%m-%d`); `format_timestamp` is the
//! same with the pattern first.
//!
//! A stream's times lie close together, so the text of the last row is mostly that of this one: only where the smallest
//! part that the pattern shows has changed is it written anew.

use std::cell::RefCell;
use std::fmt::Write;

use chrono::DateTime;
use chrono::format::{Item, StrftimeItems};

use super::scalar;
use crate::function::custom::{Scalar, StringWriter, Timestamp};

pub(super) fn functions() -> Vec<Scalar> {
    let doc = "A time as text: by letters as in yyyy-MM-dd HH:mm:ss.SSS, with '' around words, or by % as in %Y-%m-%d.";
    let first = "A time as text, as date_format does it: the pattern comes first.";
    vec![
        scalar("date_format", date_format, doc, "date_format(TIMESTAMP '2024-02-29 12:34:56', 'yyyy-MM-dd HH:mm')"),
        scalar(
            "format_timestamp",
            format_timestamp,
            first,
            "format_timestamp('%H:%M', TIMESTAMP '2024-02-29 12:34:56')",
        ),
    ]
}

const SECOND: i64 = 1_000_000;

/// A pattern, and what it made of the row before.
#[derive(Default)]
struct Last {
    pattern: String,
    /// The pattern by `%`.
    format: String,
    /// The microseconds of the smallest part it shows.
    unit: i64,
    bucket: Option<i64>,
    text: String,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

fn date_format(at: Timestamp, pattern: &str, out: &mut StringWriter) -> Result<(), String> {
    LAST.with_borrow_mut(|last| {
        if last.unit == 0 || last.pattern != pattern {
            *last = Last::new(pattern)?;
        }
        let bucket = at.0.div_euclid(last.unit);
        if last.bucket != Some(bucket) {
            last.bucket = None;
            last.write(at.0)?;
            last.bucket = Some(bucket);
        }
        out.push_str(&last.text);
        Ok(())
    })
}

fn format_timestamp(pattern: &str, at: Timestamp, out: &mut StringWriter) -> Result<(), String> {
    date_format(at, pattern, out)
}

impl Last {
    fn new(pattern: &str) -> Result<Last, String> {
        let (format, unit) = if pattern.contains('%') { (pattern.to_string(), 1) } else { by_percent(pattern)? };
        if StrftimeItems::new(&format).any(|item| matches!(item, Item::Error)) {
            return Err(format!("not a pattern of a time: '{pattern}'"));
        }
        Ok(Last { pattern: pattern.to_string(), format, unit, ..Last::default() })
    }

    fn write(&mut self, micros: i64) -> Result<(), String> {
        let time = DateTime::from_timestamp_micros(micros)
            .ok_or_else(|| format!("a time that no calendar has: {micros} microseconds since 1970"))?;
        self.text.clear();
        write!(self.text, "{}", time.naive_utc().format(&self.format))
            .map_err(|_| format!("not a pattern of a time: '{}'", self.pattern))
    }
}

/// A pattern of letters as one by `%`, and the microseconds of the smallest part it shows.
fn by_percent(pattern: &str) -> Result<(String, i64), String> {
    let mut format = String::new();
    let mut unit = 86_400 * SECOND;
    let letters: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let count = letters[at..].iter().take_while(|other| **other == letter).count();
        if letter == '\'' {
            at = quoted(&letters, at, &mut format)?;
            continue;
        }
        at += count;
        let (part, least) = match (letter, count) {
            ('y' | 'u', 4) => ("%Y", unit),
            ('y' | 'u', 2) => ("%y", unit),
            ('M' | 'L', 4) => ("%B", unit),
            ('M' | 'L', 3) => ("%b", unit),
            ('M' | 'L', 2) => ("%m", unit),
            ('M' | 'L', 1) => ("%-m", unit),
            ('d', 2) => ("%d", unit),
            ('d', 1) => ("%-d", unit),
            ('D', 3) => ("%j", unit),
            ('D', 1) => ("%-j", unit),
            ('E', 4) => ("%A", unit),
            ('E', 1..=3) => ("%a", unit),
            ('a', 1) => ("%p", 3_600 * SECOND),
            ('H', 2) => ("%H", 3_600 * SECOND),
            ('H', 1) => ("%-H", 3_600 * SECOND),
            ('h', 2) => ("%I", 3_600 * SECOND),
            ('h', 1) => ("%-I", 3_600 * SECOND),
            ('m', 2) => ("%M", 60 * SECOND),
            ('m', 1) => ("%-M", 60 * SECOND),
            ('s', 2) => ("%S", SECOND),
            ('s', 1) => ("%-S", SECOND),
            ('S', 3) => ("%3f", 1),
            ('S', 6) => ("%6f", 1),
            ('S', 9) => ("%9f", 1),
            _ if letter.is_ascii_alphabetic() => {
                let group: String = letters[at - count..at].iter().collect();
                return Err(format!("not a part of a time: '{group}' in '{pattern}'; words stand between ''"));
            }
            _ => {
                format.extend(std::iter::repeat_n(letter, count));
                continue;
            }
        };
        format.push_str(part);
        unit = unit.min(least);
    }
    Ok((format, unit))
}

/// Copies what stands between quotes, two of which are one; where it ends.
fn quoted(letters: &[char], open: usize, format: &mut String) -> Result<usize, String> {
    let mut at = open + 1;
    if letters.get(at) == Some(&'\'') {
        format.push('\'');
        return Ok(at + 1);
    }
    loop {
        match (letters.get(at), letters.get(at + 1)) {
            (None, _) => return Err("a quote in the pattern of a time is not closed".to_string()),
            (Some('\''), Some('\'')) => {
                format.push('\'');
                at += 2;
            }
            (Some('\''), _) => return Ok(at + 1),
            (Some(letter), _) => {
                format.push(*letter);
                at += 1;
            }
        }
    }
}
