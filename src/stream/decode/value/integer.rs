//! Integers: an optional sign, then digits.

use super::word;

/// Digits alone, as an unsigned number.
#[inline]
pub fn unsigned(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        0 => None,
        length @ 1..=8 => word::digits(word::load(bytes), length),
        length @ 9..=16 => {
            let (high, low) = bytes.split_at(length - 8);
            Some(word::digits(word::load(high), length - 8)? * 100_000_000 + word::digits(word::load(low), 8)?)
        }
        _ => long(bytes),
    }
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
