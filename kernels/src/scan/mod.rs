//! Bytes of interest in text: structural bitmaps for the decoders, as in simdjson.
//!
//! Invariants  bit `i` stands for byte `i`; bits past the text are zero.
//! Source      Langdale and Lemire 2019; bench `scan`.

pub mod scalar;
mod simd;

use fearless_simd::{Level, dispatch};

/// Makes `out` the bitmap of the bytes equal to `a` or `b`, and leaves `words(bytes.len())` words in it.
pub fn structural2(level: Level, bytes: &[u8], a: u8, b: u8, out: &mut Vec<u64>) {
    dispatch!(level, s => simd::bitmap(s, bytes, [a, b], out))
}

/// Makes `out` the bitmap of the bytes equal to `a`, `b` or `c`; see [`structural2`].
pub fn structural3(level: Level, bytes: &[u8], a: u8, b: u8, c: u8, out: &mut Vec<u64>) {
    dispatch!(level, s => simd::bitmap(s, bytes, [a, b, c], out))
}

/// Makes `out[k]` the bitmap of the bytes equal to `needles[k]`, in one pass; see [`structural2`].
pub fn each<const N: usize>(level: Level, bytes: &[u8], needles: [u8; N], out: &mut [Vec<u64>; N]) {
    dispatch!(level, s => simd::each(s, bytes, needles, out))
}

/// Makes `out` the bitmap of what a JSON string may not hold as it is: `"`, `\\` and control characters; see [`structural2`].
pub fn json_special(level: Level, bytes: &[u8], out: &mut Vec<u64>) {
    dispatch!(level, s => simd::json_special(s, bytes, out))
}

/// Makes `special` what [`json_special`] does and `lines` the bitmap of the newlines, in one pass.
pub fn json_marks(level: Level, bytes: &[u8], special: &mut Vec<u64>, lines: &mut Vec<u64>) {
    dispatch!(level, s => simd::json_marks(s, bytes, special, lines))
}

/// Makes `ends` the bitmap of the delimiters and newlines, `lines` that of the newlines alone, in one pass, and returns
/// whether there is a quote. `marks` are the delimiter and the quote.
pub fn csv_marks(level: Level, bytes: &[u8], marks: [u8; 2], ends: &mut Vec<u64>, lines: &mut Vec<u64>) -> bool {
    dispatch!(level, s => simd::csv_marks(s, bytes, marks, ends, lines))
}

/// Returns whether the bytes are UTF-8 from the first to the last.
pub fn is_utf8(level: Level, bytes: &[u8]) -> bool {
    dispatch!(level, s => simd::is_utf8(s, bytes))
}

/// Returns the index of the first byte equal to any needle.
pub fn find_any<const N: usize>(level: Level, bytes: &[u8], needles: [u8; N]) -> Option<usize> {
    dispatch!(level, s => simd::find_any(s, bytes, needles))
}

/// Counts the bytes equal to `needle`.
pub fn count_byte(level: Level, bytes: &[u8], needle: u8) -> usize {
    dispatch!(level, s => simd::count_byte(s, bytes, needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_what_the_standard_library_says() {
        let pieces: [&[u8]; 9] = [
            b"plain",
            "ü".as_bytes(),
            "€".as_bytes(),
            "😀".as_bytes(),
            b"\xff",
            b"\xc3",
            b"\x80",
            b"\xed\xa0\x80",
            b" ",
        ];
        let mut state = 1u64;
        let mut random = |limit: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % limit
        };
        for round in 0..3000 {
            // Most are right: then the bad ones are few and far between.
            let kinds = if round % 3 == 0 { pieces.len() } else { 4 };
            let mut bytes = Vec::new();
            while bytes.len() < round % 300 {
                bytes.extend_from_slice(if random(8) > 0 { pieces[0] } else { pieces[random(kinds)] });
            }
            bytes.truncate(round % 300);
            for level in crate::level::available() {
                assert_eq!(is_utf8(level, &bytes), std::str::from_utf8(&bytes).is_ok(), "{bytes:?}");
            }
        }
    }

    #[test]
    fn special_bytes_of_json_are_found_at_every_level() {
        let bytes: Vec<u8> = (0..200u32).map(|i| (i.wrapping_mul(2654435761) >> 7) as u8).collect();
        let bytes = [&bytes[..], br#"a "string" \n"#, b"\x1f\x20\x00\xff"].concat();
        for level in crate::level::available() {
            for end in [0, 1, 63, 64, 65, bytes.len()] {
                let (mut found, mut wanted) = (vec![7], vec![]);
                json_special(level, &bytes[..end], &mut found);
                scalar::json_special(&bytes[..end], &mut wanted);
                assert_eq!(found, wanted, "{} bytes", end);
            }
        }
    }
}
