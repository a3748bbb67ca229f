//! A normal distribution as a table of equally likely deviations.
//!
//! Invariants  only products and sums of doubles are used, which IEEE 754 rounds alike everywhere: the same table on
//!             any machine.

use std::sync::LazyLock;

const ENTRIES: usize = 1 << 16;
/// The standard deviation: 10 degrees, in tenths.
const SIGMA: i32 = 100;
/// No deviation is farther out than five times that.
const FARTHEST: i32 = 5 * SIGMA;
/// exp(-1 / 20000): how the density falls over the first half tenth, doubled with each step after it.
const FALL: f64 = 0.999_950_001_249_979_1;

/// Deviations from the mean in tenths of a degree, each as likely as the others.
pub static DEVIATIONS: LazyLock<Box<[i16; ENTRIES]>> = LazyLock::new(|| {
    let density = densities();
    let total: f64 = (-FARTHEST..=FARTHEST).map(|tenths| density[tenths.unsigned_abs() as usize]).sum();
    let mut table = Vec::with_capacity(ENTRIES);
    let mut passed = 0.0;
    for tenths in -FARTHEST..=FARTHEST {
        passed += density[tenths.unsigned_abs() as usize];
        let end = (passed / total * ENTRIES as f64 + 0.5) as usize;
        table.resize(end.clamp(table.len(), ENTRIES), tenths as i16);
    }
    table.resize(ENTRIES, FARTHEST as i16);
    table.into_boxed_slice().try_into().expect("has that many entries")
});

/// exp(-k^2 / (2 sigma^2)) for k from 0, each from the one before: its exponent grows by (2k + 1) / (2 sigma^2).
fn densities() -> Vec<f64> {
    let mut density = vec![1.0];
    let (mut value, mut fall) = (1.0, FALL);
    for _ in 0..FARTHEST {
        value *= fall;
        fall *= FALL * FALL;
        density.push(value);
    }
    density
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_normal() {
        let share =
            |within: i16| DEVIATIONS.iter().filter(|tenths| tenths.abs() <= within).count() as f64 / ENTRIES as f64;
        let (mut sum, mut squares) = (0i64, 0i64);
        for &tenths in DEVIATIONS.iter() {
            sum += tenths as i64;
            squares += (tenths as i64).pow(2);
        }
        assert!(sum.abs() < ENTRIES as i64 / 100, "mean 0: {sum}");
        let sigma = (squares as f64 / ENTRIES as f64).sqrt();
        assert!((99.8..100.2).contains(&sigma), "sigma {sigma}");
        // The shares of a normal distribution within 1, 2 and 3 sigma; whole tenths reach half a tenth farther.
        for (within, expected) in [(100, 0.6851), (200, 0.9556), (300, 0.9973)] {
            assert!((share(within) - expected).abs() < 0.001, "{within}: {}", share(within));
        }
    }
}
