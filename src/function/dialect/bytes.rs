//! Bytes bit by bit, as PostgreSQL has them: bit `n` is bit `n % 8` of byte `n / 8`, counted from the least significant one.

use std::io::Read;

use super::scalar;
use crate::function::custom::Scalar;

pub(super) fn functions() -> Vec<Scalar> {
    let mut functions = vec![
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
        scalar("convert_to", convert_to, "The bytes of a text in UTF-8.", "convert_to('some text', 'UTF8')"),
        scalar(
            "gunzip",
            |bytes: &[u8]| gunzip(bytes),
            "The text that bytes are, packed by gzip: 64 MiB at most.",
            "gunzip('\\x1f8b08000000000000ffcb48cdc9c9070086a6103605000000'::BYTEA)",
        )
        .cost(1_000.0),
        scalar(
            "to_int",
            |bytes: &[u8]| bytes.iter().take(4).fold(0i32, |number, byte| number << 8 | i32::from(*byte)),
            "The number that the first four bytes are, the most significant one first.",
            "to_int('\\x0abc'::BYTEA)",
        )
        .infallible(),
    ];
    macro_rules! integers {
        ($($type:ty),+) => {
            $(functions.push(
                scalar("bit_not", |value: $type| !value, "All bits the other way round: what ~x is.", "bit_not(5)").infallible(),
            );)+
        };
    }
    integers!(i8, i16, i32, i64, u8, u16, u32, u64);
    functions
}

/// Functions that texts have as well, by the names they have there.
pub(super) fn like_texts() -> Vec<Scalar> {
    let sub = "Bytes from a place on, counted from 1, so many of them or all.";
    vec![
        scalar(
            "substr",
            |bytes: &[u8], from: i64| part(bytes, from, None).map(<[u8]>::to_vec),
            sub,
            "substr('\\x1234'::BYTEA, 2)",
        ),
        scalar(
            "substr",
            |bytes: &[u8], from: i64, count: i64| part(bytes, from, Some(count)).map(<[u8]>::to_vec),
            sub,
            "substr('\\x123456'::BYTEA, 2, 1)",
        ),
        scalar(
            "left",
            |bytes: &[u8], count: i64| bytes[..end(bytes, count)].to_vec(),
            "The first bytes; of a negative number all but the last.",
            "left('\\x1234'::BYTEA, 1)",
        )
        .infallible(),
        scalar(
            "right",
            |bytes: &[u8], count: i64| bytes[bytes.len() - end(bytes, count)..].to_vec(),
            "The last bytes; of a negative number all but the first.",
            "right('\\x1234'::BYTEA, 1)",
        )
        .infallible(),
        scalar(
            "overlay",
            |bytes: &[u8], put: &[u8], from: i64| overlay(bytes, put, from, put.len() as i64),
            "Bytes with others laid over them from a place on, counted from 1.",
            "overlay('\\x123456'::BYTEA PLACING '\\x00'::BYTEA FROM 2)",
        ),
        scalar(
            "overlay",
            overlay,
            "Bytes with others laid over so many of them.",
            "overlay('\\x123456'::BYTEA PLACING '\\x00'::BYTEA FROM 2 FOR 2)",
        ),
        scalar(
            "strpos",
            |bytes: &[u8], wanted: &[u8]| memchr::memmem::find(bytes, wanted).map_or(0, |at| at as i64 + 1),
            "Where bytes stand in others, counted from 1; 0 where they do not.",
            "strpos('\\x1234'::BYTEA, '\\x34'::BYTEA)",
        )
        .infallible(),
        scalar(
            "btrim",
            |bytes: &[u8], set: &[u8]| trimmed(bytes, set, true, true).to_vec(),
            "Bytes without those of a set at both ends.",
            "btrim('\\x001200'::BYTEA, '\\x00'::BYTEA)",
        )
        .infallible(),
        scalar(
            "ltrim",
            |bytes: &[u8], set: &[u8]| trimmed(bytes, set, true, false).to_vec(),
            "Bytes without those of a set in front.",
            "ltrim('\\x001200'::BYTEA, '\\x00'::BYTEA)",
        )
        .infallible(),
        scalar(
            "rtrim",
            |bytes: &[u8], set: &[u8]| trimmed(bytes, set, false, true).to_vec(),
            "Bytes without those of a set behind.",
            "rtrim('\\x001200'::BYTEA, '\\x00'::BYTEA)",
        )
        .infallible(),
        scalar(
            "reverse",
            |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<u8>>(),
            "Bytes from the last to the first.",
            "reverse('\\x1234'::BYTEA)",
        )
        .infallible(),
        scalar(
            "character_length",
            |bytes: &[u8]| bytes.len() as i64,
            "How many bytes there are.",
            "length('\\x1234'::BYTEA)",
        )
        .infallible(),
        scalar(
            "octet_length",
            |bytes: &[u8]| bytes.len() as i64,
            "How many bytes there are.",
            "octet_length('\\x1234'::BYTEA)",
        )
        .infallible(),
        scalar(
            "bit_length",
            |bytes: &[u8]| 8 * bytes.len() as i64,
            "How many bits there are.",
            "bit_length('\\x1234'::BYTEA)",
        )
        .infallible(),
    ]
}

/// What CAST makes of values that become bytes: texts in UTF-8, integers with the most significant byte first.
pub(super) fn casts() -> Vec<Scalar> {
    let plain = "The bytes of a value: of a text in UTF-8, of an integer the most significant one first.";
    let fixed = "The bytes of a value, so many: cut or filled up with zeros, a number in front, else behind.";
    let varying = "The bytes of a value, so many at most: of a number the last ones, else the first.";
    let mut functions = vec![
        scalar("to_bytea", |bytes: &[u8]| bytes.to_vec(), plain, "to_bytea(258)").infallible(),
        scalar("to_bytea", |text: &str| text.as_bytes().to_vec(), plain, "to_bytea('ab')").infallible(),
        scalar("to_binary", |bytes: &[u8], length: i64| filled(bytes, length, false), fixed, "to_binary('a', 2)"),
        scalar(
            "to_binary",
            |text: &str, length: i64| filled(text.as_bytes(), length, false),
            fixed,
            "to_binary('a', 2)",
        ),
        scalar("to_varbinary", |bytes: &[u8], length: i64| first(bytes, length), varying, "to_varbinary('abc', 2)"),
        scalar(
            "to_varbinary",
            |text: &str, length: i64| first(text.as_bytes(), length),
            varying,
            "to_varbinary('abc', 2)",
        ),
    ];
    macro_rules! integers {
        ($($type:ty),+) => {
            $(functions.push(scalar("to_bytea", |value: $type| value.to_be_bytes().to_vec(), plain, "to_bytea(258)").infallible());
            functions.push(scalar("to_binary", |value: $type, length: i64| filled(&value.to_be_bytes(), length, true), fixed, "to_binary(258, 4)"));
            functions.push(scalar("to_varbinary", |value: $type, length: i64| last(&value.to_be_bytes(), length), varying, "to_varbinary(258, 1)"));)+
        };
    }
    integers!(i8, i16, i32, i64, u8, u16, u32, u64);
    functions
}

/// Bytes that a value may be made longer to.
const LENGTH_MAX: i64 = 1 << 20;

fn length_of(length: i64) -> Result<usize, String> {
    let length = usize::try_from(length).ok().filter(|_| length <= LENGTH_MAX);
    length.ok_or_else(|| format!("a number of bytes is 0 to {LENGTH_MAX}"))
}

fn first(bytes: &[u8], length: i64) -> Result<Vec<u8>, String> {
    Ok(bytes[..length_of(length)?.min(bytes.len())].to_vec())
}

fn last(bytes: &[u8], length: i64) -> Result<Vec<u8>, String> {
    Ok(bytes[bytes.len() - length_of(length)?.min(bytes.len())..].to_vec())
}

fn filled(bytes: &[u8], length: i64, is_number: bool) -> Result<Vec<u8>, String> {
    let mut made = if is_number { last(bytes, length)? } else { first(bytes, length)? };
    let missing = length_of(length)? - made.len();
    let at = if is_number { 0 } else { made.len() };
    made.splice(at..at, std::iter::repeat_n(0, missing));
    Ok(made)
}

/// How many bytes `left` and `right` of a number are.
fn end(bytes: &[u8], count: i64) -> usize {
    let all = bytes.len() as i64;
    if count < 0 { all.saturating_add(count).max(0) as usize } else { count.min(all) as usize }
}

/// As PostgreSQL has it: places before the first byte count, but hold nothing.
fn part(bytes: &[u8], from: i64, count: Option<i64>) -> Result<&[u8], String> {
    let all = bytes.len() as i64;
    let end = match count {
        Some(count) if count < 0 => return Err(format!("a number of bytes is not negative: {count}")),
        Some(count) => from.saturating_add(count).clamp(1, all + 1),
        None => all + 1,
    };
    let start = from.clamp(1, all + 1).min(end);
    Ok(&bytes[start as usize - 1..end as usize - 1])
}

fn overlay(bytes: &[u8], put: &[u8], from: i64, count: i64) -> Result<Vec<u8>, String> {
    if from < 1 {
        return Err(format!("places in bytes are counted from 1: {from}"));
    }
    let before = part(bytes, 1, Some(from - 1))?;
    Ok([before, put, part(bytes, from.saturating_add(count), None)?].concat())
}

fn trimmed<'a>(mut bytes: &'a [u8], set: &[u8], front: bool, behind: bool) -> &'a [u8] {
    while let [first, rest @ ..] = bytes
        && front
        && set.contains(first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && behind
        && set.contains(last)
    {
        bytes = rest;
    }
    bytes
}

/// Bytes that a text may have when it is unpacked.
const UNPACKED_MAX: u64 = 64 << 20;

fn gunzip(bytes: &[u8]) -> Result<String, String> {
    let mut text = Vec::new();
    let mut unpacked = flate2::read::MultiGzDecoder::new(bytes).take(UNPACKED_MAX + 1);
    unpacked.read_to_end(&mut text).map_err(|e| format!("not packed by gzip: {e}"))?;
    if text.len() as u64 > UNPACKED_MAX {
        return Err(format!("unpacked it has more than {UNPACKED_MAX} bytes"));
    }
    String::from_utf8(text).map_err(|_| "what was packed is no text in UTF-8".to_string())
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
    fn parts_are_as_postgresql_has_them() {
        let bytes = [0x12, 0x34, 0x56];
        assert_eq!(part(&bytes, -2, Some(6)), Ok(&bytes[..]));
        assert_eq!((part(&bytes, 3, None), part(&bytes, 9, Some(1))), (Ok(&bytes[2..]), Ok(&bytes[..0])));
        assert_eq!(part(&bytes, i64::MIN, Some(i64::MAX)), Ok(&bytes[..0]));
        assert!(part(&bytes, 1, Some(-1)).is_err());
        assert_eq!(overlay(&bytes, &[0x10, 0x10], 1, -1), Ok(vec![0x10, 0x10, 0x12, 0x34, 0x56]));
        assert_eq!(overlay(&bytes, &[0x78], 7, 1), Ok(vec![0x12, 0x34, 0x56, 0x78]));
        assert_eq!((end(&bytes, -1), end(&bytes, i64::MIN), end(&bytes, 9)), (2, 0, 3));
        assert_eq!(filled(&(-1i8).to_be_bytes(), 4, true), Ok(vec![0, 0, 0, 0xFF]));
        assert_eq!(filled(&[0xAB, 0xCD], 4, false), Ok(vec![0xAB, 0xCD, 0, 0]));
        assert_eq!(last(&10i32.to_be_bytes(), 2), Ok(vec![0, 10]));
    }

    #[test]
    fn sums_are_the_known_ones() {
        assert_eq!((crc(b"123456789", 0xEDB8_8320), crc(b"123456789", 0x82F6_3B78)), (0xCBF4_3926, 0xE306_9283));
        assert_eq!((crc(b"", 0xEDB8_8320), crc(&[0], 0x82F6_3B78)), (0, 1_383_945_041));
    }
}
