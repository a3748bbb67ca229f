//! Division of 64-bit integers by one number that is the same for all rows: a multiplication and a shift.
//!
//! Source      Granlund and Montgomery, Division by Invariant Integers using Multiplication (1994); bench `arithmetic`.

/// Below this, values are multiplied 32 bits by 32.
const SMALL: u64 = 1 << 31;

/// What is known to have 32 bits, said so that the compiler knows it too: such products have an instruction for vectors.
#[inline(always)]
fn low(value: u64) -> u64 {
    value & 0xffff_ffff
}

/// A divisor of at least 2 or at most -2, made ready.
#[derive(Clone, Copy)]
pub struct Divisor {
    divisor: i64,
    /// `2^(64 + shift) / |divisor|`, rounded up: of magnitudes up to 2^63 the error never reaches the quotient.
    multiplier: u64,
    shift: u32,
    /// For divisors of at most 2^31 and values from 0 to below it, whose products fit one lane: `2^(31 + shift) / |divisor|`,
    /// rounded up, and the shift.
    small: Option<(u64, u32)>,
}

impl Divisor {
    /// `None` for 0, 1 and -1, whose multipliers have no room.
    pub fn new(divisor: i64) -> Option<Self> {
        let magnitude = divisor.unsigned_abs();
        if magnitude < 2 {
            return None;
        }
        let shift = (magnitude - 1).ilog2();
        let multiplier = (1u128 << (64 + shift)).div_ceil(u128::from(magnitude)) as u64;
        // The shift of the least power of two that is not below: then the multiplier is below 2^32.
        let small = (magnitude <= SMALL).then(|| {
            let shift = 31 + (64 - (magnitude - 1).leading_zeros());
            ((1u64 << shift).div_ceil(magnitude), shift)
        });
        Some(Divisor { divisor, multiplier, shift, small })
    }

    /// Writes `small` of values that are in reach of it, 64 at a time, and `any` of others. What `small` is handed is the
    /// magnitude of the quotient.
    #[inline(always)]
    pub fn map(self, values: &[i64], out: &mut [i64], small: impl Fn(i64, i64) -> i64, any: impl Fn(i64) -> i64) {
        const BLOCK: usize = 64;
        for (values, out) in values.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let bits = values.iter().fold(0, |bits, &value| bits | value as u64);
            match self.small {
                Some((multiplier, shift)) if bits < SMALL => {
                    for (out, &value) in out.iter_mut().zip(values) {
                        *out = small(value, ((low(value as u64) * low(multiplier)) >> shift) as i64);
                    }
                }
                _ => values.iter().zip(out).for_each(|(&value, out)| *out = any(value)),
            }
        }
    }

    /// Quotients of all values.
    #[inline(always)]
    pub fn quotients(self, values: &[i64], out: &mut [i64]) {
        let sign = self.divisor >> 63;
        self.map(values, out, |_, magnitude| (magnitude ^ sign) - sign, |value| self.quotient(value));
    }

    /// Remainders of all values.
    #[inline(always)]
    pub fn remainders(self, values: &[i64], out: &mut [i64]) {
        let by = low(self.divisor.unsigned_abs());
        let small = |value, quotient: i64| value - (low(quotient as u64) * by) as i64;
        self.map(values, out, small, |value| self.remainder(value));
    }

    #[inline(always)]
    pub fn quotient(self, value: i64) -> i64 {
        let product = u128::from(self.multiplier) * u128::from(value.unsigned_abs());
        let magnitude = ((product >> 64) as u64 >> self.shift) as i64;
        let sign = (value ^ self.divisor) >> 63;
        (magnitude ^ sign) - sign
    }

    #[inline(always)]
    pub fn remainder(self, value: i64) -> i64 {
        value.wrapping_sub(self.quotient(value).wrapping_mul(self.divisor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the CPU's own division, where a rounding error would show: around multiples of the divisor.
    #[test]
    fn quotients_near_multiples() {
        let edges = (0..64).flat_map(|power| [-1, 0, 1].map(|by| (1i64 << power).wrapping_add(by)));
        let edges: Vec<i64> = edges.chain([3, 7, 10, 60, 123, 1000, 10_000, 3_600_000, 86_400_000_000_000]).collect();
        for divisor in edges.iter().flat_map(|&edge| [edge, edge.wrapping_neg()]) {
            let Some(ready) = Divisor::new(divisor) else {
                assert!((-1..=1).contains(&divisor));
                continue;
            };
            let near = edges.iter().flat_map(|&edge| {
                let multiple = (edge / divisor).wrapping_mul(divisor);
                [edge, multiple.wrapping_sub(1), multiple, multiple.wrapping_add(1), edge.wrapping_neg()]
            });
            let near: Vec<i64> = near.collect();
            // Blocks of small values, of others, and of both.
            let small = near.iter().copied().filter(|value| (0..1 << 31).contains(value));
            let many: Vec<i64> = small.cycle().take(150).chain(near.iter().copied()).collect();
            let (mut quotients, mut remainders) = (vec![0; many.len()], vec![0; many.len()]);
            for level in crate::level::available() {
                fearless_simd::dispatch!(level, _s => ready.quotients(&many, &mut quotients));
                fearless_simd::dispatch!(level, _s => ready.remainders(&many, &mut remainders));
                for (row, &value) in many.iter().enumerate() {
                    assert_eq!(quotients[row], value.wrapping_div(divisor), "{value} / {divisor}");
                    assert_eq!(remainders[row], value.wrapping_rem(divisor), "{value} % {divisor}");
                }
            }
            for value in near.into_iter().chain([i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX / divisor * divisor]) {
                assert_eq!(ready.quotient(value), value / divisor, "{value} / {divisor}");
                assert_eq!(ready.remainder(value), value % divisor, "{value} % {divisor}");
            }
        }
    }
}
