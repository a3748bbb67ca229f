//! Scripted streams: rows, watermarks and clock steps in, exactly these emissions out.
//!
//! Place       above the engine; for tests of queries, ours and the users' own. `millstream test` runs script files.
//! Invariants  one thread, a clock that stands still until it is moved: the same script gives the same rows.
//!
//! ```
//! use std::time::Duration;
//! use millstream::testing::{Driver, Source};
//!
//! # fn main() -> millstream::Result<()> {
//! let mut driver = Driver::new(millstream::config::Config { partitions: 1, ..Default::default() })?;
//! driver.source("bids", Source::default());
//! driver.execute("CREATE TABLE bids (at TIMESTAMP(3), price BIGINT, WATERMARK FOR at AS at)")?;
//! driver.query("SELECT window_end, sum(price) AS s FROM bids GROUP BY window_end WINDOW TUMBLING(10s)")?;
//! driver.push_lines("bids", 0, &["00:00:01 | 5", "00:00:09 | 7"])?;
//! assert!(driver.settle()?.is_empty(), "the window is open");
//! driver.push_lines("bids", 0, &["00:00:10 | 1"])?;
//! assert_eq!(driver.settle()?, ["00:00:10 | 12"]);
//! driver.advance(Duration::from_secs(60));
//! driver.end("bids", None)?;
//! assert_eq!(driver.settle()?, ["00:00:20 | 1"]);
//! # Ok(())
//! # }
//! ```

mod driver; // an engine whose input, clock and steps are its owner's
mod stage; //  tables and sinks that a script moves
mod text; //   rows as text, both ways
mod script; // script files: reading them
mod play; //   script files: running, comparing, rewriting them

mod columns; // columns with the values that break kernels
mod kernel; // does a kernel do what its scalar form does?
mod bench; //  how fast is it?

pub use bench::bench_kernel;
pub use driver::Driver;
pub use kernel::check_kernel;
pub use play::{Played, Setup, check, play, rewrite, setups};
pub use script::{Cut, Script, Step};
pub use stage::Source;

/// A test of a kernel against its scalar form: `kernel!(name_of_the_test, kernel, |a: f64, b: f64| a * b)`.
///
/// The kernel is what [`Engine::register`](crate::engine::Engine::register) takes. See [`check_kernel`].
#[macro_export]
macro_rules! test_kernel {
    ($test:ident, $kernel:expr, $truth:expr) => {
        #[test]
        fn $test() {
            if let Err(difference) = $crate::testing::check_kernel($kernel, $truth) {
                panic!("{difference}");
            }
        }
    };
}

/// A program's `main` that measures kernels: `kernel_bench!(one, another)`. See [`bench_kernel`].
#[macro_export]
macro_rules! bench_kernels {
    ($($kernel:expr),+ $(,)?) => {
        fn main() {
            $(match $crate::testing::bench_kernel($kernel) {
                Ok(table) => println!("{table}"),
                Err(error) => eprintln!("{error}"),
            })+
        }
    };
}

pub use crate::{bench_kernels as kernel_bench, test_kernel as kernel};
