//! Up to eight digits at once, in one machine word.
//!
//! Source      SWAR digit parsing, as in simdjson and fast_float.

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The number that the first `length` bytes of `word` spell, 1 to 8 of them, if all are digits.
#[inline(always)]
pub fn digits(word: u64, length: usize) -> Option<u64> {
    // The digits move to the high end and zeros fill the low end, where the leading digits are.
    let bits = 8 * length as u32;
    let word = word.unbounded_shl(64 - bits) | ZEROS.unbounded_shr(bits);
    if !all_digits(word) {
        return None;
    }
    let word = word - ZEROS;
    let pairs = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quads = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quads * 10_000 + (quads >> 32)) & 0xffff_ffff)
}

/// Whether all eight bytes are digits.
#[inline(always)]
fn all_digits(word: u64) -> bool {
    // The high half of each byte is 3 both as it is and with 6 added, which would carry out of ':' to '?'.
    let both =
        (word & 0xf0f0_f0f0_f0f0_f0f0) | ((word.wrapping_add(0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0) >> 4);
    both == 0x3333_3333_3333_3333
}

/// How many of the low bytes of `word` are digits before the first that is none.
#[inline(always)]
pub fn leading_digits(word: u64) -> usize {
    let high = word & 0xf0f0_f0f0_f0f0_f0f0;
    // No carry crosses a byte: 0x7f + 6 stays below 0x100 once the high bit is set apart.
    let added = ((word & 0x7f7f_7f7f_7f7f_7f7f) + 0x0606_0606_0606_0606) & 0xf0f0_f0f0_f0f0_f0f0;
    let wrong = (high ^ ZEROS) | (added ^ ZEROS);
    (wrong.trailing_zeros() / 8) as usize
}

/// Where the first `needle` is among the low bytes of `word`.
#[inline(always)]
pub fn find(word: u64, needle: u8) -> Option<usize> {
    let x = word ^ (needle as u64 * 0x0101_0101_0101_0101);
    let found = x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080;
    (found != 0).then(|| (found.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &[u8]) -> u64 {
        text.iter().rev().fold(0, |word, &byte| word << 8 | byte as u64)
    }

    #[test]
    fn every_byte_in_every_place_is_judged() {
        for length in 1..=8usize {
            for place in 0..length {
                for byte in 0..=255u8 {
                    let mut text = b"12345678"[..length].to_vec();
                    text[place] = byte;
                    let wanted =
                        if byte.is_ascii_digit() { std::str::from_utf8(&text).unwrap().parse().ok() } else { None };
                    assert_eq!(digits(load(&text), length), wanted, "{text:?}");
                    let leading = text.iter().take_while(|b| b.is_ascii_digit()).count();
                    assert_eq!(leading_digits(load(&text)), leading, "{text:?}");
                    assert_eq!(find(load(&text), byte), text.iter().position(|&b| b == byte), "{text:?}");
                }
            }
        }
    }
}
