//! Bytes bit by bit, as PostgreSQL has them: bit `n` is bit `n % 8` of byte `n / 8`, counted from the least significant one.

use super::scalar;
use crate::function::custom::Scalar;

pub(super) fn functions() -> Vec<Scalar> {
    vec![
        scalar("get_bit", get_bit, "A bit of bytes, counted from 0.", "get_bit('\\x1234567890'::BYTEA, 30)"),
        scalar("set_bit", set_bit, "Bytes with a bit set to 0 or 1.", "set_bit('\\x1234567890'::BYTEA, 30, 0)"),
        scalar("get_byte", get_byte, "A byte of bytes as a number, counted from 0.", "get_byte('\\x1234'::BYTEA, 1)"),
        scalar("set_byte", set_byte, "Bytes with a byte set.", "set_byte('\\x1234567890'::BYTEA, 4, 64)"),
        scalar(
            "bit_count",
            |bytes: &[u8]| bytes.iter().map(|byte| i64::from(byte.count_ones())).sum::<i64>(),
            "How many bits are set.",
            "bit_count('\\x1234567890'::BYTEA)",
        )
        .infallible(),
        scalar("bit_count", |value: i64| i64::from(value.count_ones()), "How many bits are set.", "bit_count(255)")
            .infallible(),
        scalar("crc32", |bytes: &[u8]| crc(bytes, 0xEDB8_8320), "The CRC-32 of bytes.", "crc32('\\x00'::BYTEA)")
            .infallible(),
        scalar("crc32c", |bytes: &[u8]| crc(bytes, 0x82F6_3B78), "The CRC-32C of bytes.", "crc32c('\\x00'::BYTEA)")
            .infallible(),
        scalar(
            "convert_from",
            convert_from,
            "The text that bytes are in UTF-8.",
            "convert_from('\\xc3b1'::BYTEA, 'UTF8')",
        ),
        scalar(
            "reverse",
            |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>(),
            "Bytes the other way round.",
            "reverse('\\x1234'::BYTEA)",
        )
        .infallible(),
        scalar(
            "substr",
            |bytes: &[u8], from: i64| part(bytes, from, None),
            "Bytes from a place on, counted from 1.",
            "substr('\\x123456'::BYTEA, 2)",
        ),
        scalar(
            "substr",
            |bytes: &[u8], from: i64, count: i64| part(bytes, from, Some(count)),
            "So many bytes from a place on, counted from 1.",
            "substr('\\x123456'::BYTEA, 2, 1)",
        ),
        scalar(
            "overlay",
            |bytes: &[u8], with: &[u8], from: i64| overlay(bytes, with, from, with.len() as i64),
            "Bytes laid over others, from a place on.",
            "overlay('\\x123456'::BYTEA, '\\xff'::BYTEA, 2)",
        ),
        scalar(
            "overlay",
            overlay,
            "Bytes in the place of so many others, from a place on.",
            "overlay('\\x123456'::BYTEA, '\\xff'::BYTEA, 2, 2)",
        ),
        scalar(
            "btrim",
            |bytes: &[u8], gone: &[u8]| trim(bytes, gone, true, true),
            TRIM,
            "btrim('\\x001200'::BYTEA, '\\x00'::BYTEA)",
        )
        .infallible(),
        scalar(
            "ltrim",
            |bytes: &[u8], gone: &[u8]| trim(bytes, gone, true, false),
            TRIM,
            "ltrim('\\x001200'::BYTEA, '\\x00'::BYTEA)",
        )
        .infallible(),
        scalar(
            "rtrim",
            |bytes: &[u8], gone: &[u8]| trim(bytes, gone, false, true),
            TRIM,
            "rtrim('\\x001200'::BYTEA, '\\x00'::BYTEA)",
        )
        .infallible(),
        scalar("convert_to", convert_to, "The bytes of a text in UTF-8.", "convert_to('some text', 'UTF8')"),
    ]
}

const TRIM: &str = "Bytes without those at their ends that are among others.";

/// So many bytes from a place on, counted from 1; what lies before the first byte counts and is not there.
fn part(bytes: &[u8], from: i64, count: Option<i64>) -> Result<Vec<u8>, String> {
    let end = match count {
        Some(count) if count < 0 => return Err(format!("a part of bytes is not {count} long")),
        Some(count) => from.saturating_add(count),
        None => i64::MAX,
    };
    let at = |place: i64| usize::try_from(place.max(1) - 1).unwrap_or(usize::MAX).min(bytes.len());
    Ok(bytes[at(from)..at(end).max(at(from))].to_vec())
}

fn overlay(bytes: &[u8], with: &[u8], from: i64, count: i64) -> Result<Vec<u8>, String> {
    if from < 1 {
        return Err(format!("bytes are counted from 1: {from}"));
    }
    let behind = part(bytes, from.saturating_add(count), None)?;
    Ok([part(bytes, 1, Some(from - 1))?.as_slice(), with, behind.as_slice()].concat())
}

fn trim(bytes: &[u8], gone: &[u8], from_start: bool, from_end: bool) -> Vec<u8> {
    let stays = |byte: &u8| !gone.contains(byte);
    let start = if from_start { bytes.iter().position(stays).unwrap_or(bytes.len()) } else { 0 };
    let end = if from_end { bytes.iter().rposition(stays).map_or(start, |last| last + 1) } else { bytes.len() };
    bytes[start..end.max(start)].to_vec()
}

/// The place of a bit or a byte, among so many.
fn place(at: i64, count: usize, what: &str) -> Result<usize, String> {
    let place = usize::try_from(at).ok().filter(|&at| at < count);
    place.ok_or_else(|| format!("there is no {what} {at}: they are counted from 0, and there are {count}"))
}

fn get_bit(bytes: &[u8], at: i64) -> Result<i64, String> {
    let at = place(at, bytes.len() * 8, "bit")?;
    Ok(i64::from(bytes[at / 8] >> (at % 8) & 1))
}

fn set_bit(bytes: &[u8], at: i64, value: i64) -> Result<Vec<u8>, String> {
    let at = place(at, bytes.len() * 8, "bit")?;
    let mut bytes = bytes.to_vec();
    match value {
        0 => bytes[at / 8] &= !(1 << (at % 8)),
        1 => bytes[at / 8] |= 1 << (at % 8),
        _ => return Err(format!("a bit is 0 or 1: {value}")),
    }
    Ok(bytes)
}

fn get_byte(bytes: &[u8], at: i64) -> Result<i64, String> {
    Ok(bytes[place(at, bytes.len(), "byte")?].into())
}

/// Of the value the last eight bits count.
fn set_byte(bytes: &[u8], at: i64, value: i64) -> Result<Vec<u8>, String> {
    let at = place(at, bytes.len(), "byte")?;
    let mut bytes = bytes.to_vec();
    bytes[at] = (value & 0xFF) as u8;
    Ok(bytes)
}

/// A CRC of 32 bits, its polynomial with the bits turned round.
fn crc(bytes: &[u8], polynomial: u32) -> i64 {
    let add = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ (polynomial & (crc & 1).wrapping_neg()))
    };
    i64::from(!bytes.iter().fold(u32::MAX, add))
}

fn is_utf8(encoding: &str) -> Result<(), String> {
    match encoding.to_lowercase().as_str() {
        "utf8" | "utf-8" => Ok(()),
        _ => Err(format!("not an encoding that is known: {encoding}; there is UTF8")),
    }
}

fn convert_from(bytes: &[u8], encoding: &str) -> Result<String, String> {
    is_utf8(encoding)?;
    std::str::from_utf8(bytes).map(str::to_string).map_err(|e| format!("these bytes are no text in UTF-8: {e}"))
}

fn convert_to(text: &str, encoding: &str) -> Result<Vec<u8>, String> {
    is_utf8(encoding)?;
    Ok(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_postgresql_has_them() {
        let bytes = [0x12, 0x34, 0x56, 0x78, 0x90];
        assert_eq!([30, 11, 4, 23].map(|at| get_bit(&bytes, at).expect("a bit")), [1, 0, 1, 0]);
        assert_eq!(set_bit(&bytes, 30, 0).expect("a bit"), [0x12, 0x34, 0x56, 0x38, 0x90]);
        assert_eq!(set_byte(&bytes, 4, 300).expect("a byte"), [0x12, 0x34, 0x56, 0x78, 0x2c]);
        assert!(get_bit(&bytes, 40).is_err() && get_bit(&bytes, -1).is_err() && set_bit(&bytes, 0, 2).is_err());
    }

    #[test]
    fn sums_are_the_known_ones() {
        assert_eq!((crc(b"123456789", 0xEDB8_8320), crc(b"123456789", 0x82F6_3B78)), (0xCBF4_3926, 0xE306_9283));
        assert_eq!((crc(b"", 0xEDB8_8320), crc(&[0], 0x82F6_3B78)), (0, 1_383_945_041));
    }
}
