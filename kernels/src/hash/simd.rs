//! One body for every width: the plain loop, which the compiler widens.

use super::Hash;
use super::scalar::{one, one_exactly, with};

#[inline(always)]
pub fn fixed<T: Hash>(seed: u64, values: &[T], out: &mut Vec<u64>) {
    out.resize(values.len(), 0);
    for (out, &value) in out.iter_mut().zip(values) {
        *out = one(seed, value);
    }
}

#[inline(always)]
pub fn combine<T: Hash>(hashes: &mut [u64], values: &[T]) {
    for (hash, &value) in hashes.iter_mut().zip(values) {
        *hash = with(*hash, value);
    }
}

#[inline(always)]
pub fn exact(seed: u64, values: &[u64], out: &mut Vec<u64>) {
    out.resize(values.len(), 0);
    for (out, &value) in out.iter_mut().zip(values) {
        *out = one_exactly(seed, value);
    }
}
