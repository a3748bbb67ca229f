//! The plain truth, a key at a time.

use super::Hash;

/// Mixes 64 bits so that each depends on all (fmix64).
#[inline(always)]
pub const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    bits = (bits ^ bits >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    bits ^ bits >> 33
}

/// Mixes 32 bits so that each depends on all (fmix32); two that differ stay so.
#[inline(always)]
pub const fn mix_exactly(mut bits: u32) -> u32 {
    bits = (bits ^ bits >> 16).wrapping_mul(0x85EB_CA6B);
    bits = (bits ^ bits >> 13).wrapping_mul(0xC2B2_AE35);
    bits ^ bits >> 16
}

/// Returns the hash of one value below 2^32; see [`super::exact`].
#[inline(always)]
pub fn one_exactly(seed: u64, value: u64) -> u64 {
    u64::from(mix_exactly(value as u32 ^ (seed ^ seed >> 32) as u32)) << 32
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
