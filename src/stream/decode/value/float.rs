//! Floats, correctly rounded: short decimals by one exact division, the rest by the standard library.
//!
//! Source      Clinger 1990: a mantissa and a power of ten that are both exact give a correctly rounded quotient.

use super::{Field, word};

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
const POWERS_F32: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// A 64-bit float: digits with a point and an exponent, `inf`, `infinity` or `nan` in any case, with a sign.
pub fn double(bytes: &[u8]) -> Option<f64> {
    double_field(Field::of(bytes))
}

/// A 32-bit float, rounded once; see [`double`].
pub fn single(bytes: &[u8]) -> Option<f32> {
    single_field(Field::of(bytes))
}

/// As [`double`].
#[inline(always)]
pub fn double_field(field: Field<'_>) -> Option<f64> {
    let (negative, ahead, length) = field.sign();
    let (mantissa, scale) = match short(ahead as u64, length) {
        Some(short) => short,
        None => match plain(&field.bytes[field.bytes.len() - length..]) {
            Some((mantissa, scale)) if mantissa <= 1 << 53 && scale <= 22 => (mantissa, scale),
            _ => return standard(field.bytes)?.parse().ok(),
        },
    };
    let value = mantissa as f64 / POWERS[scale];
    Some(f64::from_bits(value.to_bits() | (negative as u64) << 63))
}

/// As [`single`].
#[inline(always)]
pub fn single_field(field: Field<'_>) -> Option<f32> {
    let (negative, ahead, length) = field.sign();
    let (mantissa, scale) =
        match short(ahead as u64, length).or_else(|| plain(&field.bytes[field.bytes.len() - length..])) {
            Some((mantissa, scale)) if mantissa <= 1 << 24 && scale <= 10 => (mantissa, scale),
            _ => return standard(field.bytes)?.parse().ok(),
        };
    let value = mantissa as f32 / POWERS_F32[scale];
    Some(f32::from_bits(value.to_bits() | (negative as u32) << 31))
}

/// As [`double`], of several texts at once that begin with `words` and are `lengths` long behind a minus that some have;
/// `None` where one of them has more than eight bytes, or anything but digits and a point. `strict`: as JSON has it.
#[inline(always)]
pub fn many<const N: usize>(words: [u64; N], lengths: [u64; N], negative: [bool; N], strict: bool) -> Option<[f64; N]> {
    let (digits, counts, befores) = word::many_points(words, lengths);
    let is_strict = |lane: usize| {
        let (has_point, behind) = (counts[lane] != lengths[lane], counts[lane] - befores[lane]);
        befores[lane] > 0 && !(has_point && behind == 0) && !(words[lane] as u8 == b'0' && befores[lane] > 1)
    };
    let fits = (0..N).fold(true, |all, lane| all & (lengths[lane] <= 8) & (!strict || is_strict(lane)));
    let mantissas = if fits { word::many_digits(digits, counts)? } else { return None };
    Some(std::array::from_fn(
        #[inline(always)]
        |lane| {
            let value = mantissas[lane] as f64 / POWERS[((counts[lane] - befores[lane]) & 15) as usize];
            f64::from_bits(value.to_bits() | (negative[lane] as u64) << 63)
        },
    ))
}

/// Digits and at most one point in at most eight bytes: the number without the point, and the digits behind it.
#[inline(always)]
pub(super) fn short(text: u64, length: usize) -> Option<(u64, usize)> {
    if length == 0 || length > 8 {
        return None;
    }
    // Without a point, all bytes come before it.
    let point = word::find(text, b'.').unwrap_or(8).min(length);
    let has_point = (point < length) as usize;
    let before = 1u64.unbounded_shl(8 * point as u32).wrapping_sub(1);
    let digits = text & before | (text >> 8) & !before;
    let count = length - has_point;
    if count == 0 {
        return None;
    }
    Some((word::digits(digits, count)?, count - point))
}

/// The same, for up to 19 digits.
fn plain(bytes: &[u8]) -> Option<(u64, usize)> {
    let point = memchr::memchr(b'.', bytes);
    let digits = bytes.len() - point.is_some() as usize;
    if digits == 0 || digits > 19 {
        return None;
    }
    let mut mantissa = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if Some(at) == point {
            continue;
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        mantissa = mantissa * 10 + digit as u64;
    }
    Some((mantissa, point.map_or(0, |point| bytes.len() - 1 - point)))
}

#[cold]
fn standard(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let (wide, narrow) = (text.parse::<f64>().ok(), text.parse::<f32>().ok());
        assert_eq!(double(text.as_bytes()).map(f64::to_bits), wide.map(f64::to_bits), "{text:?}");
        assert_eq!(single(text.as_bytes()).map(f32::to_bits), narrow.map(f32::to_bits), "{text:?}");
    }

    #[test]
    fn agrees_with_the_standard_library() {
        for text in [
            "",
            "-",
            ".",
            "-.",
            "+1",
            "1.",
            ".5",
            "-.5",
            "1..2",
            "1.2.3",
            "-0",
            "-0.0",
            "0.1",
            "12.3",
            "-12.34567",
            "1e5",
            "1e400",
            "-1E-400",
            "inf",
            "-Infinity",
            "NaN",
            "nanx",
            "9007199254740993",
            "9007199254740993.0",
            "16777217",
            "0.30000000000000004",
            "1234567890123456789",
            "12345678901234567890",
            "0.0000000000000000000001",
            "1 ",
            " 1",
            "1e",
            "٣",
            "2.2250738585072011e-308",
            "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649",
            "8.589934591999999e9",
            "1.00000017881393432617187499",
            "7.038531e-26",
            "0.000000000001",
        ] {
            check(text);
        }
    }

    #[test]
    fn many_are_what_each_is() {
        let texts = [
            "",
            "1",
            ".",
            "1.",
            ".5",
            "0.5",
            "00.5",
            "0",
            "12345678",
            "1234.567",
            "-1.5",
            "-",
            "1.2.3",
            "+1",
            "1x",
            "123456789",
        ];
        for first in texts {
            for second in texts {
                let both = [first, second].map(str::as_bytes);
                let negative = both.map(|text| text.first() == Some(&b'-'));
                let plain = [0, 1].map(|lane| &both[lane][negative[lane] as usize..]);
                let words = plain.map(|text| Field::of(text).ahead as u64 | 0x2e39 << 48);
                let words = [0, 1]
                    .map(|lane| if plain[lane].len() > 6 { Field::of(plain[lane]).ahead as u64 } else { words[lane] });
                let lengths = plain.map(|text| text.len() as u64);
                for strict in [false, true] {
                    let each = |text: &[u8]| {
                        let field = Field::of(text);
                        let is_plain =
                            text.len() <= 8 + (text.first() == Some(&b'-')) as usize && !text.starts_with(b"+");
                        let value =
                            if strict { crate::stream::decode::value::strict::double(field) } else { double(text) };
                        value.filter(|_| is_plain)
                    };
                    let wanted = each(both[0]).zip(each(both[1])).map(|(a, b)| [a.to_bits(), b.to_bits()]);
                    let found = many(words, lengths, negative, strict).map(|values| values.map(f64::to_bits));
                    assert_eq!(found, wanted, "{first} {second} {strict}");
                }
            }
        }
    }

    #[test]
    fn agrees_on_many_decimals() {
        let mut state = 12345u64;
        for _ in 0..50_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let digits = (state >> 11) % 10u64.pow((state >> 59) as u32 % 19 + 1);
            let scale = 10f64.powi((state >> 3) as i32 % 12);
            check(&format!("{}", digits as f64 / scale));
            check(&format!("{digits}.{}", state >> 40));
        }
    }
}
