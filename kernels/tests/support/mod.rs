//! Seeded data for the conformance test: lengths, nulls and values that have broken kernels before.

use millstream_kernels::{Level, Native, bitmap, level};

/// Nothing, one, one word ± 1, some, a batch, the longest batch.
pub const LENGTHS: [usize; 9] = [0, 1, 63, 64, 65, 100, 1000, 8192, 65536];

/// Marsaglia's xorshift: no dependency, the same numbers everywhere.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    /// A bitmap in which about `tenths` of ten bits are set, with garbage past the last row.
    pub fn bits(&mut self, rows: usize, tenths: u64) -> Vec<u64> {
        let mut words = vec![0; bitmap::words(rows)];
        for row in 0..words.len() * 64 {
            if self.below(10) < tenths {
                bitmap::set(&mut words, row);
            }
        }
        words
    }

    pub fn values<T: Sample>(&mut self, rows: usize) -> Vec<T> {
        (0..rows).map(|_| T::sample(self)).collect()
    }

    /// Numbers so small that nothing overflows.
    pub fn small<T: Sample>(&mut self, rows: usize) -> Vec<T> {
        (0..rows).map(|_| T::small(self.below(10) as u8)).collect()
    }
}

/// A number with values worth testing.
pub trait Sample: Native {
    const SPECIAL: &'static [Self];
    fn random(bits: u64) -> Self;
    fn small(digit: u8) -> Self;

    /// One in four special, one in four small (so that equal pairs occur), else any.
    fn sample(rng: &mut Rng) -> Self {
        match rng.below(4) {
            0 => Self::SPECIAL[rng.below(Self::SPECIAL.len() as u64) as usize],
            1 => Self::small(rng.below(10) as u8),
            _ => Self::random(rng.next()),
        }
    }
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Sample for $t {
            const SPECIAL: &'static [Self] = &[<$t>::MIN, <$t>::MAX, 0, 1, <$t>::MAX - 1, <$t>::MIN + 1];
            fn random(bits: u64) -> Self {
                // 128-bit types get 128 bits.
                ((bits as u128) << 64 | bits.rotate_left(17) as u128) as $t
            }
            fn small(digit: u8) -> Self {
                digit as $t
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 i128 u8 u16 u32 u64 u128);

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl Sample for $t {
            const SPECIAL: &'static [Self] = &[
                <$t>::NAN, -<$t>::NAN, <$t>::INFINITY, <$t>::NEG_INFINITY, 0.0, -0.0, <$t>::MIN, <$t>::MAX, <$t>::MIN_POSITIVE, 1.5,
            ];
            fn random(bits: u64) -> Self {
                (bits as i64 >> 20) as $t / 1024.0
            }
            fn small(digit: u8) -> Self {
                <$t>::from(digit) - 4.0
            }
        }
    )*};
}
floats!(f32 f64);

/// One situation to test a kernel in; printed when a test fails.
pub struct Case {
    pub seed: u64,
    pub level: Level,
    pub rows: usize,
    pub nulls: &'static str,
    pub validity: Option<Vec<u64>>,
}

impl Case {
    pub fn validity(&self) -> Option<&[u64]> {
        self.validity.as_deref()
    }

    pub fn words(&self) -> usize {
        bitmap::words(self.rows)
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let level = level::name(self.level);
        write!(f, "seed {}, level {level}, {} rows, {} nulls", self.seed, self.rows, self.nulls)
    }
}

/// Runs `test` at every level and length without nulls, with few, many, and nothing but nulls.
pub fn every_case(test: impl Fn(&Case, &mut Rng)) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    for rows in LENGTHS {
        for (nulls, tenths) in [("no", None), ("few", Some(9)), ("many", Some(4)), ("only", Some(0))] {
            for level in level::available() {
                let mut rng = Rng::new(seed + rows as u64);
                let validity = tenths.map(|tenths| rng.bits(rows, tenths));
                test(&Case { seed, level, rows, nulls, validity }, &mut rng);
            }
        }
    }
}

/// Runs `test` at every level and length.
pub fn every_length(test: impl Fn(&Case, &mut Rng)) {
    every_case(|case, rng| {
        if case.validity.is_none() {
            test(case, rng);
        }
    });
}
