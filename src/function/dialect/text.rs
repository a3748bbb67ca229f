//! Pieces of texts: between separators, by pattern, and how often a character is there.

use std::cell::RefCell;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use regex::{CaptureLocations, Regex};

use super::scalar;
use crate::function::custom::{Scalar, StringWriter};
use crate::function::scalar as kernels;

pub(super) fn functions() -> Vec<Scalar> {
    let extract = "The first match of a pattern, or of one of its groups; NULL where there is none.";
    let url = "regexp_extract('a=1&b=22', '(&|^)b=([^&]*)', 2)";
    vec![
        scalar(
            "split_index",
            split_index,
            "The piece of a text between separators, counted from 0; NULL where there is none.",
            "split_index('a/b/c', '/', 1)",
        )
        .for_constants(|given| match given {
            [None, separator, index] => kernels::split_index(&DataType::Utf8View, text(separator)?, number(index)?),
            _ => None,
        }),
        scalar(
            "initcap_spaces",
            initcap_spaces,
            "A text with the first letter of each word in upper case, the others in lower case; words stand between blanks.",
            "initcap_spaces('hi THOMAS-SON')",
        ),
        scalar("count_char", count_char, "How often a character is in a text.", "count_char('banana', 'a')"),
        scalar("regexp_extract", regexp_extract, extract, url).cost(150.0).for_constants(|given| match given {
            [None, pattern, group] => kernels::regexp_extract(&DataType::Utf8View, text(pattern)?, number(group)?),
            _ => None,
        }),
        scalar(
            "regexp_extract",
            |text: &str, pattern: &str, out: &mut StringWriter| regexp_extract(text, pattern, 0, out),
            extract,
            "regexp_extract('a=1&b=22', '[0-9]{2}')",
        )
        .cost(150.0)
        .for_constants(|given| match given {
            [None, pattern] => kernels::regexp_extract(&DataType::Utf8View, text(pattern)?, 0),
            _ => None,
        }),
    ]
}

/// The text that a call gives, if it gives one.
fn text(given: &Option<ArrayRef>) -> Option<&str> {
    let given = given.as_ref()?.as_string_view_opt()?;
    given.is_valid(0).then(|| given.value(0))
}

/// The number that a call gives, if it gives one.
fn number(given: &Option<ArrayRef>) -> Option<i64> {
    let given = given.as_ref()?.as_primitive_opt::<Int64Type>()?;
    given.is_valid(0).then(|| given.value(0))
}

fn split_index(text: &str, separator: &str, index: i64, out: &mut StringWriter) -> Option<()> {
    let index = usize::try_from(index).ok()?;
    // A separator that is nothing separates nothing.
    let piece = match separator.as_bytes() {
        [] => Some(text).filter(|_| index == 0),
        [byte] => piece_between(text, *byte, index),
        _ => text.split(separator).nth(index),
    };
    out.push_str(piece.filter(|_| !text.is_empty())?);
    Some(())
}

/// `text.split(byte).nth(index)`, for a byte that is a character.
fn piece_between(text: &str, byte: u8, index: usize) -> Option<&str> {
    let mut rest = text;
    for _ in 0..index {
        rest = &rest[memchr::memchr(byte, rest.as_bytes())? + 1..];
    }
    Some(&rest[..memchr::memchr(byte, rest.as_bytes()).unwrap_or(rest.len())])
}

fn initcap_spaces(text: &str, out: &mut StringWriter) -> Option<()> {
    let mut is_start = true;
    for letter in text.chars() {
        let mut utf8 = [0; 4];
        let mut put = |letter: char| out.push_str(letter.encode_utf8(&mut utf8));
        if is_start {
            letter.to_uppercase().for_each(&mut put)
        } else {
            letter.to_lowercase().for_each(&mut put)
        }
        is_start = letter.is_whitespace();
    }
    Some(())
}

fn count_char(text: &str, wanted: &str) -> Result<i64, String> {
    match wanted.as_bytes() {
        [byte] => Ok(text.bytes().filter(|other| other == byte).count() as i64),
        _ if wanted.chars().count() == 1 => Ok(text.matches(wanted).count() as i64),
        _ => Err(format!("expected one character: '{wanted}'")),
    }
}

thread_local! {
    /// The pattern of the row before, mostly that of the whole query, and a place for where its groups are.
    static PATTERN: RefCell<Option<(Regex, CaptureLocations)>> = const { RefCell::new(None) };
}

fn regexp_extract(text: &str, pattern: &str, group: i64, out: &mut StringWriter) -> Result<Option<()>, String> {
    PATTERN.with_borrow_mut(|known| {
        let (regex, places) = match known {
            Some(known) if known.0.as_str() == pattern => known,
            _ => {
                let regex = Regex::new(pattern).map_err(|e| format!("not a pattern: {pattern}: {e}"))?;
                let places = regex.capture_locations();
                known.insert((regex, places))
            }
        };
        let Ok(group) = usize::try_from(group) else { return Err(format!("a group is counted from 0: {group}")) };
        if group >= regex.captures_len() {
            return Err(format!("the pattern has no group {group}: {pattern}"));
        }
        let found = match group {
            0 => regex.find(text).map(|found| found.range()),
            _ => regex.captures_read(places, text).and_then(|_| places.get(group)).map(|(from, to)| from..to),
        };
        Ok(found.map(|found| out.push_str(&text[found])))
    })
}
