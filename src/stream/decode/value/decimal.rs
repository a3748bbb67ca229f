//! Decimals of a fixed precision and scale, exact; digits behind the scale are rounded, half away from zero, as SQL casts do.

/// Digits with a sign, a point and an exponent, in units of `10^-scale`; `None` when it has more than `precision` digits.
pub fn decimal(bytes: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let scaled = scaled(bytes, scale)?;
    let value = scaled.kept + scaled.round_up as u128;
    let limit = 10u128.pow(precision.min(38) as u32);
    signed(value, scaled.negative).filter(|_| value < limit)
}

/// A number that is written with a point or an exponent but has no fraction, as `1e3` and `2.0` have none.
pub fn integral(bytes: &[u8]) -> Option<i128> {
    let scaled = scaled(bytes, 0).filter(|scaled| scaled.is_exact)?;
    signed(scaled.kept, scaled.negative)
}

fn signed(value: u128, negative: bool) -> Option<i128> {
    let value = i128::try_from(value).ok()?;
    Some(if negative { -value } else { value })
}

/// A number cut behind the digit that counts `10^-scale`.
struct Scaled {
    negative: bool,
    kept: u128,
    /// Whether the first digit cut is 5 or more.
    round_up: bool,
    /// Whether all digits cut are zeros.
    is_exact: bool,
}

fn scaled(bytes: &[u8], scale: i8) -> Option<Scaled> {
    let (negative, rest) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (digits, exponent) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&rest[..at], super::integer::signed(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (whole, fraction) = match memchr::memchr(b'.', digits) {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // How many of the digits count before the cut; digits beyond the text are zeros.
    let count = (whole.len() as i64).checked_add(exponent)?.checked_add(scale as i64)?;
    let mut out = Scaled { negative, kept: 0, round_up: false, is_exact: true };
    for (at, byte) in whole.iter().chain(fraction).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        if (at as i64) < count {
            out.kept = out.kept.checked_mul(10)?.checked_add(digit as u128)?;
            continue;
        }
        out.round_up |= at as i64 == count && digit >= 5;
        out.is_exact &= digit == 0;
    }
    let missing = count.checked_sub((whole.len() + fraction.len()) as i64)?;
    if missing > 0 && out.kept != 0 {
        out.kept = out.kept.checked_mul(10u128.checked_pow(u32::try_from(missing).ok()?)?)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, precision: u8, scale: i8, wanted: Option<i128>) {
        assert_eq!(decimal(text.as_bytes(), precision, scale), wanted, "{text:?}");
    }

    #[test]
    fn keeps_the_scale_and_rounds_half_away_from_zero() {
        check("12.3", 10, 2, Some(1230));
        check("-12.345", 10, 2, Some(-1235));
        check("0.995", 10, 2, Some(100));
        check("0.004", 10, 2, Some(0));
        check(".5", 3, 0, Some(1));
        check("5.", 3, 0, Some(5));
        check("+0001", 1, 0, Some(1));
        check("1.5e3", 10, 1, Some(15000));
        check("15e-1", 10, 1, Some(15));
        check("5e-3", 10, 2, Some(1));
        check("4e-9", 10, 2, Some(0));
        check("1250", 10, -2, Some(13));
        check("99999999999999999999999999999999999999", 38, 0, Some(10i128.pow(38) - 1));
    }

    #[test]
    fn integral_numbers_have_no_fraction() {
        let found = ["1e3", "2.0", "-1.5e1", "1.5", "5e-1", "1e-400", "0e-400", "1e40", "x"]
            .map(|text| integral(text.as_bytes()));
        assert_eq!(found, [Some(1000), Some(2), Some(-15), None, None, None, Some(0), None, None]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        check("100", 2, 0, None);
        check("9.95", 2, 1, None);
        check("999999999999999999999999999999999999999", 38, 0, None);
        check("1e40", 38, 0, None);
        check("0e99999999", 5, 0, Some(0));
        check("1e9223372036854775807", 5, 2, None);
        for text in ["", "-", ".", "e5", "1e", "1.2.3", "1 ", "0x1", "--1", "1-"] {
            check(text, 10, 2, None);
        }
    }
}
