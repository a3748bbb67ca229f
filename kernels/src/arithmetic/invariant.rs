//! Division of 64-bit integers by one number that is the same for all rows: a multiplication and a shift.
//!
//! Source      Granlund and Montgomery, Division by Invariant Integers using Multiplication (1994); bench `arithmetic`.

/// A divisor of at least 2 or at most -2, made ready.
#[derive(Clone, Copy)]
pub struct Divisor {
    divisor: i64,
    /// `2^(64 + shift) / |divisor|`, rounded up: of magnitudes up to 2^63 the error never reaches the quotient.
    multiplier: u64,
    shift: u32,
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
        Some(Divisor { divisor, multiplier, shift })
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
            for value in near.chain([i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX / divisor * divisor]) {
                assert_eq!(ready.quotient(value), value / divisor, "{value} / {divisor}");
                assert_eq!(ready.remainder(value), value % divisor, "{value} % {divisor}");
            }
        }
    }
}
