//! Kernels in a shared library: `cargo build -p millstream-plugin-example`, then `--load` what it makes.

millstream_plugin::kernels! {
    /// The longest side of a right triangle.
    fn long_side(a: f64, b: f64) -> f64 {
        (a * a + b * b).sqrt()
    }

    /// The square root, and an error for what has none.
    fn root(x: f64) -> Result<f64, String> {
        if x < 0.0 { Err(format!("{x} has no root")) } else { Ok(x.sqrt()) }
    }

    /// What stands before the @ of an address.
    fn mailbox(address: &str) -> Option<String> {
        address.split_once('@').map(|(mailbox, _)| mailbox.to_string())
    }

    /// Whether a number is there and even.
    fn is_even(x: Option<i64>) -> bool {
        x.is_some_and(|x| x % 2 == 0)
    }

    /// Fails on what it cannot divide, by a panic.
    fn quotient(a: i64, b: i64) -> i64 {
        a / b
    }

    /// The mean of the squares.
    aggregate mean_square(state: (f64, u64) = (0.0, 0), x: f64) -> Option<f64> {
        update {
            state.0 += x * x;
            state.1 += 1;
        }
        merge(other) {
            state.0 += other.0;
            state.1 += other.1;
        }
        finish { (state.1 > 0).then(|| state.0 / state.1 as f64) }
    }
}
