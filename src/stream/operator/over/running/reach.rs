//! Which rows a frame has: from where on, and how far before its row it ends.

use super::queue::{Entry, Queues};
use crate::pipeline::{FrameBound, FrameOffset, FrameUnits, OverCall};

/// Rows before the row in the widest frame that is kept up: a value takes 16 bytes there.
pub(super) const ROWS_MAX: u64 = 1 << 24;
const NANOSECONDS_PER_DAY: i128 = 86_400_000_000_000;
const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// The rows of a frame that ends with its row or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    pub begin: Begin,
    /// How far before the row the frame ends, in rows or ticks.
    pub behind: i64,
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// With the partition. `by_peers`: rows of one time share a frame.
    Partition { by_peers: bool },
    /// So many rows before the row.
    Rows(i64),
    /// So many ticks before the row's time; rows of one time share a frame.
    Ticks(i64),
}

impl Reach {
    /// `None` for frames that end behind their row, or that are not measured in rows or ticks.
    pub fn of(call: &OverCall, by_time: bool, second: i64) -> Option<Self> {
        let frame = call.frame;
        let distance = |bound: FrameBound| match (frame.units, bound) {
            (_, FrameBound::CurrentRow) => Some(0),
            (FrameUnits::Rows, FrameBound::Preceding(FrameOffset::Count(count))) if count < ROWS_MAX => {
                Some(count as i64)
            }
            (FrameUnits::Range, FrameBound::Preceding(offset)) => ticks(offset, second),
            _ => None,
        };
        let begin = match (frame.units, frame.start) {
            (FrameUnits::Rows, FrameBound::Unbounded) => Begin::Partition { by_peers: false },
            (FrameUnits::Range, FrameBound::Unbounded) if by_time => Begin::Partition { by_peers: true },
            (FrameUnits::Rows, start) => Begin::Rows(distance(start)?),
            (FrameUnits::Range, start) if by_time => Begin::Ticks(distance(start)?),
            _ => return None,
        };
        Some(Reach { begin, behind: distance(frame.end)? })
    }
}

impl Begin {
    /// The place of the first row in the frame of a row at `place`.
    pub fn first(self, place: i64) -> i64 {
        match self {
            Begin::Partition { .. } => i64::MIN,
            Begin::Rows(before) | Begin::Ticks(before) => place.saturating_sub(before),
        }
    }

    /// Whether rows leave the frame again.
    pub fn slides(self) -> bool {
        !matches!(self, Begin::Partition { .. })
    }
}

/// A distance in whole ticks, if it is one.
fn ticks(offset: FrameOffset, second: i64) -> Option<i64> {
    let ticks = match offset {
        FrameOffset::Ticks(ticks) => ticks,
        FrameOffset::Calendar(span) if span.months == 0 => {
            let nanoseconds = i128::from(span.days) * NANOSECONDS_PER_DAY + i128::from(span.nanoseconds);
            let ticks = nanoseconds * i128::from(second);
            (ticks % NANOSECONDS_PER_SECOND == 0).then_some(ticks / NANOSECONDS_PER_SECOND)?
        }
        _ => return None,
    };
    i64::try_from(ticks).ok().filter(|&ticks| ticks >= 0)
}

/// Rows that are in no frame yet, where frames end before their rows.
#[derive(Default)]
pub(super) struct Gate {
    pub waiting: Queues,
}

impl Gate {
    /// A value comes: into the frame, or behind the gate.
    #[inline]
    pub fn come(&mut self, reach: Reach, partition: u32, entry: Entry, mut enter: impl FnMut(Entry)) {
        match reach.behind {
            0 => enter(entry),
            _ => self.waiting.push_back(partition, entry),
        }
    }

    /// Lets those in that the frame of a row at `place` has; those that it has no more are gone.
    #[inline]
    pub fn open(&mut self, reach: Reach, partition: u32, place: i64, mut enter: impl FnMut(Entry)) {
        if reach.behind == 0 {
            return;
        }
        let (first, last) = (reach.begin.first(place), place.saturating_sub(reach.behind));
        while let Some(front) = self.waiting.front(partition).filter(|front| front.at <= last) {
            self.waiting.pop_front(partition);
            if front.at >= first {
                enter(front);
            }
        }
    }

    pub fn resize(&mut self, reach: Reach, count: usize) {
        self.waiting.resize(if reach.behind == 0 { 0 } else { count });
    }

    pub fn keep(&mut self, left: &[u32]) {
        if self.waiting.count() > 0 {
            self.waiting.keep(left);
        }
    }

    pub fn clear(&mut self, partition: u32) {
        if self.waiting.count() > 0 {
            self.waiting.clear(partition);
        }
    }

    pub fn size_bytes(&self) -> usize {
        self.waiting.size_bytes()
    }
}
