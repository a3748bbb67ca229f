//! Sums of floats that keep the rounding error of each addition: about twice the digits of a float.
//!
//! Invariants  `sum + error` is the sum of what was added, but for the rounding of the errors themselves, so it hardly
//!             depends on the order, and taking back what was added leaves what was there before. Once `sum` has
//!             overflowed, `error` means nothing.
//! Source      TwoSum: Knuth; Ogita, Rump and Oishi 2005. TwoProduct: Dekker 1971.

/// A sum and what it lacks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compensated {
    pub sum: f64,
    pub error: f64,
}

impl Compensated {
    /// Adds a value.
    #[inline(always)]
    pub fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let shift = sum - self.sum;
        self.error += (self.sum - (sum - shift)) + (value - shift);
        self.sum = sum;
    }

    /// Adds another sum.
    #[inline(always)]
    pub fn add_sum(&mut self, other: Compensated) {
        self.add(other.sum);
        self.error += other.error;
    }

    /// The sum as one float.
    pub fn total(&self) -> f64 {
        if self.sum.is_finite() { self.sum + self.error } else { self.sum }
    }

    /// The square of a value, to 106 bits.
    #[inline(always)]
    pub fn square(value: f64) -> Compensated {
        let sum = value * value;
        // The upper half of the digits and the lower half: their products are exact, but for the last bit of the least.
        let upper = f64::from_bits(value.to_bits() & !((1 << 27) - 1));
        let lower = value - upper;
        Compensated { sum, error: ((upper * upper - sum) + 2.0 * upper * lower) + lower * lower }
    }

    /// The product of two, to about twice the digits of a float.
    pub fn times(self, other: Compensated) -> Compensated {
        let halves = |value: f64| {
            let upper = f64::from_bits(value.to_bits() & !((1 << 27) - 1));
            (upper, value - upper)
        };
        let (a, b) = (self.sum, other.sum);
        let ((a_upper, a_lower), (b_upper, b_lower)) = (halves(a), halves(b));
        let sum = a * b;
        let error = ((a_upper * b_upper - sum) + a_upper * b_lower + a_lower * b_upper) + a_lower * b_lower;
        Compensated { sum, error: error + (a * other.error + self.error * b) }.settled()
    }

    /// Divided by a number, to about twice the digits of a float.
    pub fn over(self, divisor: f64) -> Compensated {
        let first = self.settled().sum / divisor;
        let mut rest = self;
        rest.add_sum(Compensated { sum: -first, error: 0.0 }.times(Compensated { sum: divisor, error: 0.0 }));
        Compensated { sum: first, error: rest.total() / divisor }.settled()
    }

    /// Less another sum.
    pub fn minus(mut self, other: Compensated) -> Compensated {
        self.add_sum(Compensated { sum: -other.sum, error: -other.error });
        self
    }

    /// The same with as much as possible in `sum`.
    fn settled(self) -> Compensated {
        let mut settled = Compensated { sum: self.sum, error: 0.0 };
        settled.add(self.error);
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_value_comes_and_goes() {
        let mut sum = Compensated::default();
        [0.1, 1e17, 0.2, -1e17].into_iter().for_each(|value| sum.add(value));
        assert_eq!(sum.total(), 0.30000000000000004);
    }

    #[test]
    fn squares_and_products_have_106_bits() {
        // Squares of odd numbers of 53 bits need all of 106, and integers of 128 bits know them.
        for value in [9_007_199_254_740_991i64, 6_004_799_503_160_661, 134_217_729, 3] {
            let exact = i128::from(value) * i128::from(value);
            let of = |product: Compensated| product.sum as i128 + product.error as i128;
            assert!((of(Compensated::square(value as f64)) - exact).abs() <= 1, "{value}");
            let one = Compensated { sum: value as f64, error: 0.0 };
            assert!((of(one.times(one)) - exact).abs() <= 1, "{value}");
            let back = one.times(one).over(value as f64);
            assert_eq!(back.total(), value as f64);
        }
    }
}
