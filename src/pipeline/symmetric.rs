//! Joins that keep both sides: how long a row is kept, and when one without a match leaves.

use super::JoinSide;

/// A join whose sides are both kept: what comes on one meets what has come on the other.
#[derive(Debug, Clone)]
pub struct SymmetricSpec {
    /// Whether the rows of the left and of the right side may be taken back.
    pub updating: [bool; 2],
    /// How far apart the rows of a pair are in time; `None`: rows are kept for good.
    pub time: Option<TimeBound>,
    /// Whether rows without a match leave at once, to be taken back when one comes; else they leave when none can come.
    pub at_once: bool,
    /// Whether left rows only look at what the right side holds when they come, and are not kept.
    pub lookup: bool,
    /// How long after it came a row of the left and of the right side is forgotten, in microseconds; `None`: never, by the
    /// clock.
    pub ttl: [Option<i64>; 2],
}

impl SymmetricSpec {
    /// Whether left rows look at what the right side holds and may be taken back: then what each has met is kept.
    pub fn recalls(&self) -> bool {
        self.lookup && self.updating[0]
    }
}

/// The time between the rows of a pair: `lower <= right - left <= upper`, in ticks; an open end is `None`.
#[derive(Debug, Clone)]
pub struct TimeBound {
    pub left: TimeColumn,
    pub right: TimeColumn,
    pub lower: Option<i64>,
    pub upper: Option<i64>,
    /// How far behind its inputs' watermark the output's is.
    pub hold: i64,
}

/// A column whose values tell when its row can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeColumn {
    pub column: usize,
    /// Rows to come have at least the watermark in it, less this.
    pub shift: i64,
    /// Whether rows before their own source partition's watermark are late.
    pub checks_lateness: bool,
}

impl SymmetricSpec {
    /// How long a side's rows are kept after they came.
    pub fn ttl(&self, side: JoinSide) -> Option<i64> {
        self.ttl[usize::from(side == JoinSide::Right)]
    }

    /// Whether the rows of a side may be taken back.
    pub fn updating(&self, side: JoinSide) -> bool {
        self.updating[usize::from(side == JoinSide::Right)]
    }
}

impl TimeBound {
    /// The time column of a side.
    pub fn column(&self, side: JoinSide) -> usize {
        self.of(side).column
    }

    pub fn checks_lateness(&self, side: JoinSide) -> bool {
        self.of(side).checks_lateness
    }

    fn of(&self, side: JoinSide) -> TimeColumn {
        match side {
            JoinSide::Left => self.left,
            JoinSide::Right => self.right,
        }
    }

    /// Rows of a side whose time is before this can match nothing that comes at `watermark` or later; `None` when they
    /// always can.
    ///
    /// ```text
    /// left row l    matches right rows up to l + upper; those to come are at watermark - right.shift or later
    /// right row r   matches left rows up to r - lower; those to come are at watermark - left.shift or later
    /// ```
    pub fn expires_before(&self, side: JoinSide, watermark: i64) -> Option<i64> {
        let to_come = |shift: i64| watermark.saturating_sub(shift);
        match side {
            JoinSide::Left => Some(to_come(self.right.shift).saturating_sub(self.upper?)),
            JoinSide::Right => Some(to_come(self.left.shift).saturating_add(self.lower?)),
        }
    }

    /// How far behind the watermark rows that leave may be in a side's column, its shift counted in.
    pub fn hold_of(&self, side: JoinSide) -> Option<i64> {
        let behind = match side {
            JoinSide::Left => self.right.shift.checked_sub(self.left.shift)?.checked_add(self.upper?)?,
            JoinSide::Right => self.left.shift.checked_sub(self.right.shift)?.checked_sub(self.lower?)?,
        };
        Some(behind.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_expires_when_the_last_match_has_passed() {
        let column = |shift| TimeColumn { column: 0, shift, checks_lateness: true };
        // l - 5 <= r <= l + 60
        let bound = TimeBound { left: column(0), right: column(0), lower: Some(-5), upper: Some(60), hold: 0 };
        assert_eq!(bound.expires_before(JoinSide::Left, 100), Some(40));
        assert_eq!(bound.expires_before(JoinSide::Right, 100), Some(95));
        assert_eq!((bound.hold_of(JoinSide::Left), bound.hold_of(JoinSide::Right)), (Some(60), Some(5)));
        // Both are ends of windows: rows to come have an end after the watermark.
        let ends = TimeBound { left: column(-1), right: column(-1), lower: Some(0), upper: Some(0), hold: 0 };
        assert_eq!(ends.expires_before(JoinSide::Left, 100), Some(101));
        assert_eq!(ends.hold_of(JoinSide::Right), Some(0));
        let open = TimeBound { lower: None, ..bound };
        assert_eq!((open.expires_before(JoinSide::Right, 100), open.hold_of(JoinSide::Right)), (None, None));
    }
}
