//! The plain truth, a key at a time.

use super::Hash;

/// Mixes 64 bits so that each depends on all (fmix64).
#[inline(always)]
pub const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    bits = (bits ^ bits >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    bits ^ bits >> 33
}

/// Returns the hash of one value; see [`super::fixed`].
#[inline(always)]
pub fn one<T: Hash>(seed: u64, value: T) -> u64 {
    let (low, high) = value.bits();
    let hash = mix(low ^ seed);
    if T::WIDE { mix(hash.rotate_left(31) ^ high) } else { hash }
}

/// Returns `hash` with one more value in it; see [`super::combine`].
#[inline(always)]
pub fn with<T: Hash>(hash: u64, value: T) -> u64 {
    one(hash.rotate_left(31), value)
}
