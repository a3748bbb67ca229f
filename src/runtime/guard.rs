//! Event times too far ahead: one such row must not make all that follow it late.
//!
//! Place       beside `event_time`, which asks before rows move a watermark.
//! Invariants  decided row by row, in the order of the source partition: where batches are cut makes no difference.

use millstream_kernels::level::Level;

use crate::batch::Argument;
use crate::error::Result;
use crate::pipeline::{FuturePolicy, WatermarkRules};
use crate::time::START;

/// So many rows in succession far ahead of those before them, and time has really gone on.
const JUMP_ROWS: u32 = 16;

/// What a table allows.
#[derive(Debug)]
pub(super) struct Guard {
    /// Ticks that an event time may be ahead of the clock.
    max_future: Option<i64>,
    /// Ticks that it may be ahead of the latest before it.
    max_jump: Option<i64>,
    per_second: i64,
    pub(super) policy: FuturePolicy,
}

/// The latest event time of a source partition that was taken for one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latest {
    time: i64,
    /// How many rows in succession were too far ahead of it.
    ahead: u32,
}

impl Default for Latest {
    fn default() -> Self {
        Latest { time: START, ahead: 0 }
    }
}

impl Guard {
    /// `None` where everything is allowed.
    pub(super) fn new(rules: &WatermarkRules, per_second: i64) -> Option<Guard> {
        let ticks = |nanoseconds: i64| to_ticks(nanoseconds, per_second);
        let (max_future, max_jump) = (rules.max_future.map(ticks), rules.max_jump.map(ticks));
        let guards = max_future.is_some() || max_jump.is_some();
        guards.then_some(Guard { max_future, max_jump, per_second, policy: rules.future })
    }

    /// The rows that are too far ahead, where there are some; `now` is the clock in microseconds.
    pub(super) fn look(
        &self,
        times: &Argument<'_>,
        level: Level,
        now: i64,
        latest: &mut Latest,
    ) -> Result<Option<Vec<bool>>> {
        let values = times.values::<i64>()?;
        let now = (i128::from(now) * i128::from(self.per_second) / 1_000_000) as i64;
        let by_clock = self.max_future.map_or(i64::MAX, |ahead| now.saturating_add(ahead));
        let highest =
            millstream_kernels::pane::min_max(level, values, times.validity().filter(|_| !times.is_constant()));
        let Some((_, highest)) = highest.filter(|_| !times.constant_is_null()) else { return Ok(None) };
        if highest <= by_clock && (self.max_jump.is_none() || (latest.time != START && highest <= self.by_jump(latest)))
        {
            *latest = Latest { time: latest.time.max(highest), ahead: 0 };
            return Ok(None);
        }
        let mut found = false;
        let ahead = (0..times.rows()).map(|row| {
            if times.is_null(row) {
                return false;
            }
            let time = if times.is_constant() { values[0] } else { values[row] };
            let ahead = time > by_clock || self.jumps(time, latest);
            if !ahead {
                *latest = Latest { time: latest.time.max(time), ahead: 0 };
            }
            found |= ahead;
            ahead
        });
        let ahead = ahead.collect();
        Ok(found.then_some(ahead))
    }

    fn by_jump(&self, latest: &Latest) -> i64 {
        match self.max_jump {
            Some(jump) if latest.time != START => latest.time.saturating_add(jump),
            _ => i64::MAX,
        }
    }

    /// Whether a time is too far ahead of the latest one; the last of many that are is not.
    fn jumps(&self, time: i64, latest: &mut Latest) -> bool {
        if time <= self.by_jump(latest) {
            return false;
        }
        latest.ahead += 1;
        latest.ahead < JUMP_ROWS
    }
}

/// Ticks in nanoseconds, of which `per_second` make a second.
pub(super) fn to_ticks(nanoseconds: i64, per_second: i64) -> i64 {
    (i128::from(nanoseconds) * i128::from(per_second) / 1_000_000_000) as i64
}
