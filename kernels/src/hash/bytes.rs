//! Strings to 64 bits: eight or sixteen bytes at a time, folded by one long multiplication.

const A: u64 = 0x9E37_79B9_7F4A_7C15;
const B: u64 = 0xD6E8_FEB8_6659_FD93;
const C: u64 = 0xA076_1D64_78BD_642F;

/// Returns the hash of a byte string; strings that only differ by trailing zeros hash apart, as lengths count.
#[inline]
pub fn bytes(seed: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let start = seed ^ (length as u64).wrapping_mul(A);
    let (low, high) = match length {
        0 => (0, 0),
        1..4 => {
            let (first, middle, last) = (bytes[0], bytes[length / 2], bytes[length - 1]);
            (u64::from(first) | u64::from(middle) << 8 | u64::from(last) << 16, 0)
        }
        4..8 => (u64::from(four(bytes, 0)), u64::from(four(bytes, length - 4))),
        8..=16 => (eight(bytes, 0), eight(bytes, length - 8)),
        _ => return long(start, bytes),
    };
    finish(start, low, high)
}

/// More than 16 bytes: 16 at a time, the last 16 possibly overlapping.
#[inline]
fn long(start: u64, bytes: &[u8]) -> u64 {
    let last = bytes.len() - 16;
    let (mut hash, mut at) = (start, 0);
    while at < last {
        hash = fold(eight(bytes, at) ^ hash, eight(bytes, at + 8) ^ B).wrapping_add(hash.rotate_left(23));
        at += 16;
    }
    finish(hash, eight(bytes, last), eight(bytes, last + 8))
}

#[inline(always)]
fn finish(hash: u64, low: u64, high: u64) -> u64 {
    let hash = fold(low ^ hash, high ^ B);
    fold(hash ^ A, hash.rotate_left(32) ^ C)
}

/// The two halves of the full product, laid over one another.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[inline(always)]
fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
