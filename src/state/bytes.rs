//! Hashes of byte strings, for tables of rows: multiply and fold, with a seed that other processes do not share.

use std::hash::{BuildHasher, Hasher};

/// Makes hashers of one seed.
#[derive(Debug, Clone, Copy)]
pub struct BytesHash(u64);

impl Default for BytesHash {
    fn default() -> Self {
        BytesHash(std::collections::hash_map::RandomState::new().build_hasher().finish() | 1)
    }
}

impl BuildHasher for BytesHash {
    type Hasher = Hash;

    fn build_hasher(&self) -> Hash {
        Hash(self.0)
    }
}

/// Hashes bytes, eight at a time.
#[derive(Debug)]
pub struct Hash(u64);

impl Hash {
    /// A hasher whose numbers are the same in every process.
    pub fn of_seed(seed: u64) -> Self {
        Hash(seed | 1)
    }

    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(0x9E37_79B9_7F4A_7C15_u64 | self.0 << 32);
        self.0 = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for Hash {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    fn write_usize(&mut self, length: usize) {
        self.mix(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
