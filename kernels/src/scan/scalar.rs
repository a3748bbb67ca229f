//! The plain truth, a byte at a time.

use crate::bitmap::{set, words};

/// See [`super::structural3`].
pub fn structural(bytes: &[u8], needles: &[u8], out: &mut Vec<u64>) {
    *out = vec![0; words(bytes.len())];
    (0..bytes.len()).filter(|&i| needles.contains(&bytes[i])).for_each(|i| set(out, i));
}

/// See [`super::json_special`].
pub fn json_special(bytes: &[u8], out: &mut Vec<u64>) {
    *out = vec![0; words(bytes.len())];
    let special = |byte: u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    (0..bytes.len()).filter(|&i| special(bytes[i])).for_each(|i| set(out, i));
}

/// See [`super::find_any`].
pub fn find_any(bytes: &[u8], needles: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| needles.contains(byte))
}

/// See [`super::count_byte`].
pub fn count_byte(bytes: &[u8], needle: u8) -> usize {
    bytes.iter().filter(|&&byte| byte == needle).count()
}
