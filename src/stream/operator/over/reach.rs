//! How far back frames reach: which rows of the past must be kept for rows to come.

use crate::pipeline::{Frame, FrameBound, FrameOffset, FrameUnits, OverCall, OverFunction, OverSpec};

/// What must be kept before a row, and waited for behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Rows and groups of peers before the row.
    pub rows: u64,
    pub groups: u64,
    /// Ticks of the ORDER BY key before the row.
    pub ticks: i64,
    /// Rows and groups of peers behind the row.
    pub rows_after: u64,
    pub groups_after: u64,
    /// Ticks behind the row.
    pub ticks_after: i64,
}

impl Reach {
    /// The farthest of all calls; `second` is a second in ticks of the time.
    pub fn of(spec: &OverSpec, second: i64) -> Self {
        let mut reach = Reach::default();
        spec.calls.iter().for_each(|call| reach.add(call, second));
        reach
    }

    fn add(&mut self, call: &OverCall, second: i64) {
        match &call.function {
            OverFunction::Lag { offset, .. } if *offset >= 0 => self.rows = self.rows.max(offset.unsigned_abs()),
            OverFunction::Lag { offset, .. } => self.rows_after = self.rows_after.max(offset.unsigned_abs()),
            OverFunction::Nth { n, .. } if call.frame.start == FrameBound::Unbounded => {
                // Counted from the frame's end.
                let count = n.unsigned_abs();
                match call.frame.units {
                    FrameUnits::Rows => self.rows = self.rows.max(count + distance(call.frame.end, true)),
                    FrameUnits::Groups => {
                        self.rows = self.rows.max(count);
                        self.groups = self.groups.max(count + distance(call.frame.end, true));
                    }
                    FrameUnits::Range => {
                        self.rows = self.rows.max(count);
                        self.bound(&call.frame, call.frame.end, second);
                    }
                }
                self.bound(&call.frame, call.frame.end, second);
            }
            OverFunction::Nth { .. } | OverFunction::Aggregate(_) => {
                self.bound(&call.frame, call.frame.start, second);
                self.bound(&call.frame, call.frame.end, second);
            }
            _ => {}
        }
    }

    fn bound(&mut self, frame: &Frame, bound: FrameBound, second: i64) {
        match (frame.units, bound) {
            (FrameUnits::Rows, _) => {
                self.rows = self.rows.max(distance(bound, true));
                self.rows_after = self.rows_after.max(distance(bound, false));
            }
            (FrameUnits::Groups, _) => {
                self.groups = self.groups.max(distance(bound, true));
                self.groups_after = self.groups_after.max(distance(bound, false));
            }
            (FrameUnits::Range, FrameBound::Preceding(offset)) => self.ticks = self.ticks.max(ticks(offset, second)),
            (FrameUnits::Range, FrameBound::Following(offset)) => {
                self.ticks_after = self.ticks_after.max(ticks(offset, second));
            }
            (FrameUnits::Range, _) => {}
        }
    }
}

/// Rows or groups from the row to a bound before it, or behind it.
fn distance(bound: FrameBound, before: bool) -> u64 {
    match (bound, before) {
        (FrameBound::Preceding(FrameOffset::Count(count)), true)
        | (FrameBound::Following(FrameOffset::Count(count)), false) => count,
        _ => 0,
    }
}

/// Ticks that a distance is at most.
fn ticks(offset: FrameOffset, second: i64) -> i64 {
    let clamp = |ticks: i128| i64::try_from(ticks).unwrap_or(i64::MAX);
    match offset {
        FrameOffset::Ticks(ticks) => clamp(ticks),
        FrameOffset::Calendar(span) => {
            // No month has more than 31 days, no day more than 25 hours.
            let days = i128::from(span.months.unsigned_abs()) * 31 + i128::from(span.days.unsigned_abs());
            let nanoseconds = days * 90_000_000_000_000 + i128::from(span.nanoseconds.unsigned_abs());
            clamp(nanoseconds * i128::from(second) / 1_000_000_000 + 1)
        }
        FrameOffset::Count(_) | FrameOffset::Float(_) => 0,
    }
}
