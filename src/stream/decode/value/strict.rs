//! Numbers and words as the grammar of JSON has them (RFC 8259): no plus, no leading zeros, digits on both sides of a point.

use super::{Field, float, integer, word};

/// An integer without point and exponent.
#[inline(always)]
pub fn signed(field: Field<'_>) -> Option<i64> {
    if has_bad_start(field) { None } else { integer::signed_field(field) }
}

/// As [`signed`], without a minus; but `-0` is one.
#[inline(always)]
pub fn positive(field: Field<'_>) -> Option<u64> {
    if has_bad_start(field) { None } else { integer::positive_field(field) }
}

/// A 64-bit float, correctly rounded.
#[inline(always)]
pub fn double(field: Field<'_>) -> Option<f64> {
    if is_short(field) || is_number(field.bytes) { float::double_field(field) } else { None }
}

/// A 32-bit float, rounded once.
#[inline(always)]
pub fn single(field: Field<'_>) -> Option<f32> {
    if is_short(field) || is_number(field.bytes) { float::single_field(field) } else { None }
}

/// A decimal, see [`super::decimal::decimal`].
pub fn decimal(bytes: &[u8], precision: u8, scale: i8) -> Option<i128> {
    if is_number(bytes) { super::decimal::decimal(bytes, precision, scale) } else { None }
}

/// `true` or `false`.
#[inline(always)]
pub fn boolean(field: Field<'_>) -> Option<bool> {
    match field.bytes {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

/// Whether these are a number, or one of the words `true`, `false` and `null`.
#[inline(always)]
pub fn is_scalar(field: Field<'_>) -> bool {
    is_short(field) || is_other_scalar(field.bytes)
}

fn is_other_scalar(bytes: &[u8]) -> bool {
    is_number(bytes) || matches!(bytes, b"true" | b"false" | b"null")
}

/// Whether a plus comes first, or a zero and something behind it.
#[inline(always)]
fn has_bad_start(field: Field<'_>) -> bool {
    let (_, ahead, length) = field.sign();
    field.bytes.first() == Some(&b'+') || ahead as u8 == b'0' && length > 1
}

/// Whether it is a number of at most eight bytes behind its sign, without an exponent.
#[inline(always)]
fn is_short(field: Field<'_>) -> bool {
    let (_, ahead, length) = field.sign();
    let ahead = ahead as u64;
    let Some((_, behind)) = float::short(ahead, length) else { return false };
    let has_point = word::find(ahead, b'.').is_some_and(|at| at < length);
    let before = length - behind - has_point as usize;
    let is_whole = before > 0 && (behind > 0 || !has_point);
    is_whole && !(ahead as u8 == b'0' && before > 1) && field.bytes.first() != Some(&b'+')
}

/// Whether these are a number.
pub fn is_number(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let (whole, mut rest) = split_digits(rest);
    if whole.is_empty() || whole[0] == b'0' && whole.len() > 1 {
        return false;
    }
    if let [b'.', behind @ ..] = rest {
        let (fraction, behind) = split_digits(behind);
        if fraction.is_empty() {
            return false;
        }
        rest = behind;
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        let behind = match behind {
            [b'+' | b'-', behind @ ..] => behind,
            behind => behind,
        };
        let (exponent, behind) = split_digits(behind);
        if exponent.is_empty() {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

#[inline]
fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        let field = Field::of(text.as_bytes());
        let known: Option<serde_json::Value> =
            serde_json::from_str(text).ok().filter(|_| !text.starts_with(' ') && !text.ends_with(' '));
        let is_written = known.is_some() || is_too_large(text);
        let is_number = is_written && text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        assert_eq!(super::is_number(text.as_bytes()), is_number, "{text:?}");
        assert_eq!(is_scalar(field), is_written && !text.starts_with(['"', '[', '{']), "{text:?}");
        let double = text.parse::<f64>().ok().filter(|_| is_number);
        assert_eq!(super::double(field).map(f64::to_bits), double.map(f64::to_bits), "{text:?}");
        let single = text.parse::<f32>().ok().filter(|_| is_number);
        assert_eq!(super::single(field).map(f32::to_bits), single.map(f32::to_bits), "{text:?}");
        assert_eq!(signed(field), text.parse().ok().filter(|_| is_number), "{text:?}");
        let positive = text.strip_prefix("-").is_none().then(|| text.parse().ok()).flatten();
        assert_eq!(super::positive(field).filter(|_| text != "-0"), positive.filter(|_| is_number), "{text:?}");
        assert_eq!(boolean(field), known.as_ref().and_then(serde_json::Value::as_bool), "{text:?}");
    }

    /// A number whose exponent is too large for that reader.
    fn is_too_large(text: &str) -> bool {
        text == "1e400" || text == "-1.5e999"
    }

    #[test]
    fn the_grammar_is_that_of_json() {
        let whole =
            ["", "0", "00", "01", "7", "10", "123456", "1234567", "12345678", "123456789012345678901", "٣", "x"];
        let fractions = ["", ".", ".0", ".5", ".50", ".123456", ".1234567890123", ".x", ".1.2"];
        let exponents = ["", "e", "e5", "E+05", "e-3", "e+", "e1.5", "ex"];
        for sign in ["", "-", "+", "--", " "] {
            for whole in whole {
                for fraction in fractions {
                    for exponent in exponents {
                        check(&format!("{sign}{whole}{fraction}{exponent}"));
                    }
                }
            }
        }
        for text in
            ["1e400", "-1.5e999", "true", "false", "null", "True", "tru", "nul", "nulll", "NaN", "inf", "-inf", "1 "]
        {
            check(text);
        }
    }
}
