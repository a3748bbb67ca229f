//! Random bits as a pure function of a row number, a field number and a seed.
//!
//! Invariants  seed 0 leaves the plain function of row and field; nothing here keeps state, so rows may be made in any
//!             order and on any thread.
//! Source      the finaliser of splitmix64 (Steele et al. 2014).

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
const FIELD: u64 = 0xD1B5_4A32_D192_ED03;

/// A seeded family of hashes.
#[derive(Debug, Clone, Copy)]
pub struct Hash {
    offset: u64,
}

impl Hash {
    /// The family of `seed`.
    pub fn new(seed: u64) -> Self {
        Hash { offset: if seed == 0 { 0 } else { finalise(seed.wrapping_mul(GAMMA)) } }
    }

    /// 64 random bits for field `field` of row `row`.
    #[inline(always)]
    pub fn bits(self, row: u64, field: u64) -> u64 {
        finalise(row.wrapping_mul(GAMMA).wrapping_add(field.wrapping_mul(FIELD).wrapping_add(self.offset)))
    }
}

#[inline(always)]
fn finalise(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A number below `bound` from the low half of `bits`; `bound` is below 2^31.
#[inline(always)]
pub fn low(bits: u64, bound: u64) -> u64 {
    ((bits & 0xFFFF_FFFF) * bound) >> 32
}

/// A number below `bound` from the high half of `bits`; `bound` is below 2^31.
#[inline(always)]
pub fn high(bits: u64, bound: u64) -> u64 {
    ((bits >> 32) * bound) >> 32
}

/// `yes` or `no` without a branch, which random conditions would mispredict.
#[inline(always)]
pub fn select(condition: bool, yes: u64, no: u64) -> u64 {
    no ^ ((yes ^ no) & (condition as u64).wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        // The first outputs of splitmix64 started at 0, as its authors' program prints them.
        let hash = Hash::new(0);
        assert_eq!(hash.bits(1, 0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(hash.bits(2, 0), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(hash.bits(3, 0), 0x06C4_5D18_8009_454F);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(Hash::new(1).bits(5, 1), Hash::new(0).bits(5, 1));
        assert_ne!(Hash::new(1).bits(5, 1), Hash::new(2).bits(5, 1));
    }

    #[test]
    fn stays_below_its_bound() {
        assert_eq!(low(u64::MAX, 10), 9);
        assert_eq!(high(u64::MAX, 10), 9);
        assert_eq!((low(0, 10), high(0, 10)), (0, 0));
    }
}
