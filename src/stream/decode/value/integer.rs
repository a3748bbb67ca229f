//! Integers: an optional sign, then digits.

use super::{Field, word};

/// The number that the first `length` bytes of `ahead` spell, 1 to 16 of them.
#[inline(always)]
fn digits(ahead: u128, length: usize) -> Option<u64> {
    if length <= 8 {
        return if length == 0 { None } else { word::digits(ahead as u64, length) };
    }
    Some(word::digits(ahead as u64, 8)? * POWERS[(length - 8) & 15] + word::digits((ahead >> 64) as u64, length - 8)?)
}

const POWERS: [u64; 16] = {
    let mut powers = [1; 16];
    let mut at = 1;
    while at < 16 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Digits alone, as an unsigned number.
#[inline]
pub fn unsigned(bytes: &[u8]) -> Option<u64> {
    if bytes.len() <= 16 { digits(Field::of(bytes).ahead, bytes.len()) } else { long(bytes) }
}

/// An optional sign and digits.
#[inline(always)]
pub fn signed_field(field: Field<'_>) -> Option<i64> {
    let (negative, ahead, length) = field.sign();
    if length > 16 || field.bytes.len() > 16 {
        return signed(field.bytes);
    }
    let value = digits(ahead, length)? as i64;
    Some((value ^ -(negative as i64)) + negative as i64)
}

/// An optional plus and digits.
#[inline(always)]
pub fn positive_field(field: Field<'_>) -> Option<u64> {
    let (negative, ahead, length) = field.sign();
    if negative || field.bytes.len() > 16 {
        return positive(field.bytes);
    }
    digits(ahead, length)
}

#[cold]
fn long(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_add(digit as u64) }
    })
}

/// An optional sign and digits.
#[inline]
pub fn signed(bytes: &[u8]) -> Option<i64> {
    match bytes {
        [b'-', digits @ ..] => 0i64.checked_sub_unsigned(unsigned(digits)?),
        [b'+', digits @ ..] => i64::try_from(unsigned(digits)?).ok(),
        digits => i64::try_from(unsigned(digits)?).ok(),
    }
}

/// An optional plus and digits.
#[inline]
pub fn positive(bytes: &[u8]) -> Option<u64> {
    unsigned(bytes.strip_prefix(b"+").unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) {
        assert_eq!(signed(text.as_bytes()), text.parse().ok(), "{text:?}");
        assert_eq!(signed_field(Field::of(text.as_bytes())), text.parse().ok(), "{text:?}");
        assert_eq!(positive_field(Field::of(text.as_bytes())), text.parse().ok(), "{text:?}");
        assert_eq!(positive(text.as_bytes()), text.parse().ok(), "{text:?}");
    }

    #[test]
    fn agrees_with_the_standard_library() {
        for text in ["", "-", "+", "--1", "+-1", "0", "-0", "00000000000000000000001", "1 ", " 1", "1_0", "0x1", "١"] {
            check(text);
        }
        for power in 0..20 {
            for add in [-1i128, 0, 1] {
                let number = 10i128.pow(power) + add;
                check(&number.to_string());
                check(&(-number).to_string());
            }
        }
        for number in
            [i64::MIN as i128, i64::MIN as i128 - 1, i64::MAX as i128 + 1, u64::MAX as i128, u64::MAX as i128 + 1]
        {
            check(&number.to_string());
        }
    }
}
