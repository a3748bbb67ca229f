//! Event time: ticks, watermarks and the arithmetic of windows.
//!
//! Place       named by operators and the runtime; knows nobody.
//! Invariants  a tick is one unit of the time column (`i64`); a watermark W says that no row before W is expected; it
//!             never goes back; `END` says that no row is expected at all.

mod assigner; //  windows by the user's own rule
mod calendar; //  days and months of a time zone
mod grid; //      what windows are laid out on
mod unit; //      ticks and seconds
mod watermark; // the minimum over several inputs
mod window; //    which windows and panes hold a step of time

pub use assigner::{Bounds, WindowAssigner};
pub use calendar::{Calendar, CalendarUnit, is_zone};
pub use grid::Grid;
pub use unit::ticks_per_second;
pub use watermark::{Inputs, lateness, lateness_of_all};
pub use window::Windows;

/// The watermark before anything is known.
pub const START: i64 = i64::MIN;
/// The watermark after the last row.
pub const END: i64 = i64::MAX;
