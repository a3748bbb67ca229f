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

/// As [`digits`], of several words at once; `None` where one of them is empty, too long, or spells no number.
#[inline(always)]
pub fn many_digits<const N: usize>(words: [u64; N], lengths: [u64; N]) -> Option<[u64; N]> {
    let (mut numbers, mut wrong) = ([0; N], 0);
    for lane in 0..N {
        // Lanes that are too long or empty are wrong whatever comes of their shifts.
        let (length, bits) = (lengths[lane], (lengths[lane] * 8) & 63);
        wrong |= (length.wrapping_sub(1) > 7) as u64;
        // Two shifts: eight digits, the only ones of no bits, are not shifted at all.
        let is_whole = 0u64.wrapping_sub((bits == 0) as u64);
        let word = (words[lane] << ((64 - bits) & 63)) | (ZEROS >> bits) & !is_whole;
        let values = word ^ ZEROS;
        wrong |= (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
        let pairs = (values.wrapping_mul(10).wrapping_add(values >> 8)) & 0x00ff_00ff_00ff_00ff;
        let quads = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
        numbers[lane] = (quads * 10_000 + (quads >> 32)) & 0xffff_ffff;
    }
    (wrong == 0).then_some(numbers)
}

/// Of several words at once, of which the first `lengths` bytes are digits with at most one point among them: the digits
/// alone, how many they are, and how many come before the point. What is none of that has other characters than digits.
#[inline(always)]
pub fn many_points<const N: usize>(words: [u64; N], lengths: [u64; N]) -> ([u64; N], [u64; N], [u64; N]) {
    const POINTS: u64 = 0x2e2e_2e2e_2e2e_2e2e;
    let (mut digits, mut counts, mut befores) = ([0; N], [0; N], [0; N]);
    for lane in 0..N {
        let x = words[lane] ^ POINTS;
        let found = x.wrapping_sub(0x0101_0101_0101_0101) & !x & 0x8080_8080_8080_8080;
        // The bits below the first one found, of which each byte before it has eight.
        let at = ((found.wrapping_sub(1) & !found).count_ones() / 8) as u64;
        let has_point = (at < lengths[lane]) as u64;
        let before = if has_point == 1 { at } else { lengths[lane] };
        let kept = 1u64.unbounded_shl(8 * before as u32).wrapping_sub(1);
        digits[lane] = words[lane] & kept | (words[lane] >> 8) & !kept;
        (counts[lane], befores[lane]) = (lengths[lane] - has_point, before);
    }
    (digits, counts, befores)
}

/// The numbers of `12?34?56`, in which `?` is `separator`.
#[inline(always)]
pub fn pairs(word: u64, separator: u8) -> Option<[u32; 3]> {
    const SEPARATORS: u64 = 0x0000_ff00_00ff_0000;
    let plain = (ZEROS & !SEPARATORS) | (separator as u64) << 16 | (separator as u64) << 40;
    // Digits become their values, and separators nothing; whatever else has a byte above nine, or something in their place.
    let values = word ^ plain;
    let above = (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080;
    if above | values & SEPARATORS != 0 {
        return None;
    }
    let pairs = values * 10 + (values >> 8);
    Some([pairs as u8 as u32, (pairs >> 24) as u8 as u32, (pairs >> 48) as u8 as u32])
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
                    let mut text = b"12-45-78".to_vec();
                    text[place] = byte;
                    let is_right = if place % 3 == 2 { byte == b'-' } else { byte.is_ascii_digit() };
                    let at = |at: usize| std::str::from_utf8(&text[at..at + 2]).unwrap().parse().unwrap();
                    assert_eq!(pairs(load(&text), b'-'), is_right.then(|| [at(0), at(3), at(6)]), "{text:?}");
                }
            }
        }
    }
}
