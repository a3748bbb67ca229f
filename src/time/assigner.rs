//! Windows by the user's own rule.

use std::fmt::Debug;

/// A window: from `start` up to and without `end`, in ticks of the time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bounds {
    pub start: i64,
    pub end: i64,
}

/// A rule that says which windows hold a tick.
///
/// The windows of a tick must follow from the tick alone, and each must hold it: `start <= tick < end`. A window closes
/// when the watermark reaches its end, and a row that comes after counts for those of its windows that are still open.
pub trait WindowAssigner: Send + Sync + Debug {
    /// The rule with its settings, as EXPLAIN shows it: `trading_day(17h)`.
    fn describe(&self) -> String;

    /// Whether each tick lies in one window and in no other, so that the window of a tick is that of all its ticks.
    fn is_gapless(&self) -> bool {
        false
    }

    /// Adds the windows that hold `tick` to `windows`; none when it lies in a gap.
    fn assign(&self, tick: i64, windows: &mut Vec<Bounds>);
}
