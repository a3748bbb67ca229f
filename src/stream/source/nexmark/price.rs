//! Prices, spread evenly over the logarithm from 100 to 10^8.
//!
//! Invariants  only square roots and products of doubles are used, which IEEE 754 rounds alike everywhere: the same
//!             bits give the same price on any machine.

use std::sync::LazyLock;

const STEPS: usize = 1024;

/// Coarse and fine steps; a price is the product of one of each.
#[derive(Debug)]
pub struct Prices {
    coarse: [f64; STEPS],
    fine: [f64; STEPS],
}

static PRICES: LazyLock<Prices> = LazyLock::new(|| {
    let coarse_step = root_1024(1e6);
    let fine_step = root_1024(coarse_step);
    Prices { coarse: powers(100.0, coarse_step), fine: powers(1.0, fine_step) }
});

/// The 1,024th root, by ten square roots.
fn root_1024(value: f64) -> f64 {
    (0..10).fold(value, |root, _| root.sqrt())
}

fn powers(first: f64, step: f64) -> [f64; STEPS] {
    let mut all = [first; STEPS];
    for i in 1..STEPS {
        all[i] = all[i - 1] * step;
    }
    all
}

impl Prices {
    pub fn get() -> &'static Prices {
        &PRICES
    }

    /// The price that random `bits` stand for.
    #[inline(always)]
    pub fn of(&self, bits: u64) -> i64 {
        let coarse = self.coarse[bits as usize % STEPS];
        let fine = self.fine[(bits >> 10) as usize % STEPS];
        (coarse * fine) as i64
    }
}
