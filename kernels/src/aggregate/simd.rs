//! One body for every width: blocks of 64 rows under one validity word; a value under a null becomes one that changes
//! nothing. `MASKED` is false when there are no nulls, and then `validity` is empty.

use crate::lanes::Lanes;
use fearless_simd::{Simd, f64x8, mask64x8, prelude::*};

/// 64 values, some of which may be null.
struct Block<'a, S, T> {
    s: S,
    values: &'a [T; 64],
    /// The validity, where `masked`.
    word: u64,
    /// Stands in for a null.
    neutral: T,
    /// A constant wherever it is inlined: no nulls, no selects.
    masked: bool,
}

impl<S: Simd, T: Lanes> Block<'_, S, T> {
    /// The vector of values from `at` on, with `neutral` under nulls.
    #[inline(always)]
    fn vector(&self, at: usize) -> T::Vector<S> {
        let lanes = T::Vector::<S>::LEN;
        let value = T::Vector::<S>::from_slice(self.s, &self.values[at..at + lanes]);
        if !self.masked {
            return value;
        }
        let valid = Mask::<S, T>::from_bitmask(self.s, self.word >> at & (u64::MAX >> (64 - lanes)));
        valid.select(value, T::Vector::<S>::splat(self.s, self.neutral))
    }

    /// All values, with `neutral` under nulls.
    #[inline(always)]
    fn kept(&self) -> [T; 64] {
        if !self.masked {
            return *self.values;
        }
        let lanes = T::Vector::<S>::LEN;
        let mut out = [self.neutral; 64];
        for at in (0..64).step_by(lanes) {
            self.vector(at).store_slice(&mut out[at..at + lanes]);
        }
        out
    }
}

type Mask<S, T> = <<T as Lanes>::Vector<S> as SimdBase<S>>::Mask;

/// Calls `step` with the state and each block; the last block is filled up with nulls.
#[inline(always)]
fn fold<S: Simd, T: Lanes, A, const MASKED: bool>(
    s: S,
    values: &[T],
    validity: &[u64],
    neutral: T,
    state: &mut A,
    step: impl Fn(&mut A, Block<S, T>),
) {
    let (whole, rest) = values.as_chunks::<64>();
    if MASKED {
        for (values, &word) in whole.iter().zip(validity) {
            step(state, Block { s, values, word, neutral, masked: true });
        }
    } else {
        for values in whole {
            step(state, Block { s, values, word: u64::MAX, neutral, masked: false });
        }
    }
    if !rest.is_empty() {
        let mut values = [neutral; 64];
        values[..rest.len()].copy_from_slice(rest);
        let word = if MASKED { validity[whole.len()] } else { u64::MAX } & crate::bitmap::tail(rest.len());
        step(state, Block { s, values: &values, word, neutral, masked: true });
    }
}

/// Rows summed in lanes before sums are added in pairs.
const SUM_ROWS: usize = 4096;

#[inline(always)]
pub fn sum_f64<S: Simd, const MASKED: bool>(s: S, values: &[f64], validity: &[u64]) -> f64 {
    let mut sums = PairwiseSum::default();
    for (index, part) in values.chunks(SUM_ROWS).enumerate() {
        let validity = if MASKED { &validity[index * SUM_ROWS / 64..] } else { validity };
        sums.push(sum_part::<S, MASKED>(s, part, validity));
    }
    sums.total()
}

/// Sums in 32 lanes, whatever the width, so that every level adds in the same order.
#[inline(always)]
fn sum_part<S: Simd, const MASKED: bool>(s: S, values: &[f64], validity: &[u64]) -> f64 {
    let zero = f64x8::splat(s, 0.0);
    let mut lanes = [zero; 4];
    let (whole, rest) = values.as_chunks::<64>();
    for (index, block) in whole.iter().enumerate() {
        let word = if MASKED { validity[index] } else { u64::MAX };
        add_block::<S, MASKED>(s, &mut lanes, block, word);
    }
    if !rest.is_empty() {
        let mut block = [0.0; 64];
        block[..rest.len()].copy_from_slice(rest);
        let word = if MASKED { validity[whole.len()] } else { u64::MAX };
        add_block::<S, true>(s, &mut lanes, &block, word & crate::bitmap::tail(rest.len()));
    }
    let eight = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    let [a, b, c, d, e, f, g, h] = eight.to_array();
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

#[inline(always)]
fn add_block<S: Simd, const MASKED: bool>(s: S, lanes: &mut [f64x8<S>; 4], block: &[f64; 64], word: u64) {
    let zero = f64x8::splat(s, 0.0);
    for (at, eight) in block.as_chunks::<8>().0.iter().enumerate() {
        let value = f64x8::from_slice(s, eight);
        let value = if MASKED { mask64x8::from_bitmask(s, word >> (8 * at) & 0xFF).select(value, zero) } else { value };
        lanes[at % 4] += value;
    }
}

/// Adds parts in pairs, pairs of pairs, and so on, like a binary counter carries.
#[derive(Default)]
struct PairwiseSum {
    sums: [f64; 32],
    count: usize,
}

impl PairwiseSum {
    fn push(&mut self, mut sum: f64) {
        let carries = self.count.trailing_ones() as usize;
        for pair in &self.sums[..carries] {
            sum += pair;
        }
        self.sums[carries] = sum;
        self.count += 1;
    }

    fn total(&self) -> f64 {
        (0..self.sums.len()).filter(|bit| self.count >> bit & 1 != 0).fold(0.0, |total, bit| total + self.sums[bit])
    }
}

/// Lanes of an integer sum, whatever the width.
const LANES: usize = 16;

/// Sums integers of at most 32 bits in 64-bit lanes.
#[inline(always)]
pub fn sum_narrow<S: Simd, T: Lanes + Into<i64>, const MASKED: bool>(s: S, values: &[T], validity: &[u64]) -> i128 {
    let mut sums = [0i64; LANES];
    fold::<S, T, _, MASKED>(
        s,
        values,
        validity,
        T::default(),
        &mut sums,
        #[inline(always)]
        |sums, block| {
            for chunk in block.kept().as_chunks::<LANES>().0 {
                for lane in 0..LANES {
                    sums[lane] += chunk[lane].into();
                }
            }
        },
    );
    sums.iter().map(|&lane| i128::from(lane)).sum()
}

/// A 64-bit integer.
pub trait Wide: Lanes + Into<i128> {
    /// The lower 32 bits as they are, and the upper 32 with their sign.
    fn halves<S: Simd>(value: Self::Vector<S>) -> (Self::Vector<S>, Self::Vector<S>);
}

impl Wide for i64 {
    #[inline(always)]
    fn halves<S: Simd>(value: S::i64s) -> (S::i64s, S::i64s) {
        (value & 0xFFFF_FFFF, value >> 32)
    }
}

impl Wide for u64 {
    #[inline(always)]
    fn halves<S: Simd>(value: S::u64s) -> (S::u64s, S::u64s) {
        (value & 0xFFFF_FFFF, value >> 32)
    }
}

/// Sums 64-bit integers as two columns of 32 bits, which cannot overflow their 64-bit lanes within 2^31 rows.
#[inline(always)]
pub fn sum_wide<S: Simd, T: Wide, const MASKED: bool>(s: S, values: &[T], validity: &[u64]) -> i128 {
    let mut state = [T::Vector::<S>::splat(s, T::default()); 4];
    fold::<S, T, _, MASKED>(
        s,
        values,
        validity,
        T::default(),
        &mut state,
        #[inline(always)]
        |[low_even, high_even, low_odd, high_odd], block| {
            for at in (0..64).step_by(2 * T::Vector::<S>::LEN) {
                let (low, high) = T::halves::<S>(block.vector(at));
                *low_even += low;
                *high_even += high;
                let (low, high) = T::halves::<S>(block.vector(at + T::Vector::<S>::LEN));
                *low_odd += low;
                *high_odd += high;
            }
        },
    );
    let [low_even, high_even, low_odd, high_odd] = state;
    let total = |vector: T::Vector<S>| vector.as_slice().iter().map(|&lane| lane.into()).sum::<i128>();
    total(low_even) + total(low_odd) + ((total(high_even) + total(high_odd)) << 32)
}

/// The best of each lane, then the best of the lanes. Four accumulators hide the latency of one.
#[inline(always)]
fn best<S: Simd, T: Lanes, const MASKED: bool>(
    s: S,
    values: &[T],
    validity: &[u64],
    neutral: T,
    better: impl Fn(T::Vector<S>, T::Vector<S>) -> Mask<S, T>,
    better_value: impl Fn(T, T) -> bool,
) -> T {
    let mut bests = [T::Vector::<S>::splat(s, neutral); 4];
    fold::<S, T, _, MASKED>(
        s,
        values,
        validity,
        neutral,
        &mut bests,
        #[inline(always)]
        |bests, block| {
            for at in (0..64).step_by(T::Vector::<S>::LEN) {
                let (value, best) = (block.vector(at), &mut bests[at / T::Vector::<S>::LEN % 4]);
                *best = better(value, *best).select(value, *best);
            }
        },
    );
    let lanes = bests.iter().flat_map(|lane| lane.as_slice().iter().copied());
    lanes.reduce(|best, value| if better_value(value, best) { value } else { best }).expect("a vector has lanes")
}

#[inline(always)]
pub fn min<S: Simd, T: Lanes, const MASKED: bool>(s: S, values: &[T], validity: &[u64]) -> T {
    best::<S, T, MASKED>(
        s,
        values,
        validity,
        T::GREATEST,
        #[inline(always)]
        |value, best| T::less_lanes::<S>(value, best),
        |value, best| value.less(best),
    )
}

#[inline(always)]
pub fn max<S: Simd, T: Lanes, const MASKED: bool>(s: S, values: &[T], validity: &[u64]) -> T {
    best::<S, T, MASKED>(
        s,
        values,
        validity,
        T::LEAST,
        #[inline(always)]
        |value, best| T::less_lanes::<S>(best, value),
        |value, best| best.less(value),
    )
}

#[inline(always)]
pub fn min_max<S: Simd, T: Lanes, const MASKED: bool>(s: S, values: &[T], validity: &[u64]) -> (T, T) {
    // 4,096 rows at a time stay in the nearest cache between the two passes.
    let mut result = (T::GREATEST, T::LEAST);
    for (index, part) in values.chunks(SUM_ROWS).enumerate() {
        let validity = if MASKED { &validity[index * SUM_ROWS / 64..] } else { validity };
        let least = min::<S, T, MASKED>(s, part, validity);
        let greatest = max::<S, T, MASKED>(s, part, validity);
        result.0 = if least.less(result.0) { least } else { result.0 };
        result.1 = if result.1.less(greatest) { greatest } else { result.1 };
    }
    result
}

/// Counts rows by a predicate that `block` makes for each run of at most 64 rows.
#[inline(always)]
pub fn count_where<P: Fn(usize) -> bool>(
    rows: usize,
    validity: Option<&[u64]>,
    block: impl Fn(usize, usize) -> P,
) -> usize {
    let mut total = 0;
    for at in (0..rows - rows % 64).step_by(64) {
        total += count_block(block(at, 64), validity.map(|v| v[at / 64]), 64);
    }
    let rest = rows % 64;
    if rest > 0 {
        let at = rows - rest;
        total += count_block(block(at, rest), validity.map(|v| v[at / 64]), rest);
    }
    total
}

#[inline(always)]
fn count_block(predicate: impl Fn(usize) -> bool, validity: Option<u64>, count: usize) -> usize {
    match validity {
        None => (0..count).map(|i| u64::from(predicate(i))).sum::<u64>() as usize,
        Some(word) => (0..count).map(|i| u64::from(predicate(i)) & word >> i).map(|b| b & 1).sum::<u64>() as usize,
    }
}
