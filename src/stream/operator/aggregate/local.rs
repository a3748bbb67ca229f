//! Aggregation before an exchange: rows become groups where they are read, so that groups travel instead of rows.
//!
//! ```text
//! rows ──▶ local table ──▶ keys | pane | states ──exchange──▶ owner of the key merges them
//!      └────────────── rows as they are ──────────────────▶ owner            where it does not pay
//! ```
//! Invariants  the owner's answer is the same whatever was gathered here, for merging is in any order; a pane's groups
//!             leave before the watermark that may close its first window.
//!
//! Whether it pays is seen at run time: rows taken in for each group sent on.

use crate::pipeline::{AggregateSpec, EmitMode};

/// Where too few rows made a group, the table gathers more groups than it was told to while one row in so many finds its
/// group there already: it may be on its way to knowing them all.
const KNOWN_MIN: u64 = 16;
/// How much more at a time, and how often.
const GROWTH: usize = 4;
const GROWN_MAX: usize = 16;
/// Fewer rows than this for each group do not pay for making, hashing and merging the group.
const ROWS_PER_GROUP_MIN: u64 = 3;
/// The least number of groups that a judgement rests on.
const GROUPS_JUDGED_MIN: u64 = 512;
/// For how many times the rows that were judged by rows then pass by, before it is tried again.
const PASS_BY: u64 = 64;

/// Whether the groups of `spec` may be made before the exchange; `takes_back`: whether its input may retract rows.
pub fn may_be_local(spec: &AggregateSpec, takes_back: bool) -> bool {
    // Sessions are known where their key is; windows of rows by the order of arrival there.
    let has_panes = spec.window.as_ref().is_none_or(|window| window.kind.has_panes());
    spec.emit == EmitMode::Final && !takes_back && has_panes && spec.merges()
}

/// Whether all that `spec` counts are the different values of the same arguments, in one group: then rows can be parted
/// by these.
pub fn counts_distinct_alone(spec: &AggregateSpec, takes_back: bool) -> bool {
    let outputs = &spec.program.outputs;
    let first = spec.aggregates.first();
    let arg_count = first.map_or(0, |call| call.arg_count);
    let same = |(number, call): (usize, &crate::pipeline::AggregateCall)| {
        let at = number * arg_count;
        let small = call.function.state_types().iter().all(|data_type| !data_type.is_nested());
        let args = call.arg_count == arg_count && outputs.get(at..at + arg_count) == outputs.get(..arg_count);
        call.distinct && !call.filtered && !call.function.is_order_sensitive() && small && args
    };
    let plain = spec.key_count == 0 && spec.window.is_none() && spec.emit == EmitMode::Final && !takes_back;
    plain && arg_count > 0 && spec.aggregates.iter().enumerate().all(same)
}

/// The aggregate that leaves of equal rows one, where no more than that counts: in front of an exchange, for the aggregate
/// `spec` behind it, whose keys and arguments are columns. `takes_back`: whether its input may retract rows.
pub fn different_rows(spec: &AggregateSpec, takes_back: bool) -> Option<AggregateSpec> {
    let is_once = |call: &crate::pipeline::AggregateCall| call.distinct && !call.filtered;
    let is_plain = spec.window.is_none() && spec.emit == EmitMode::Final && !takes_back;
    let counts_once = !spec.aggregates.is_empty() && spec.aggregates.iter().all(is_once);
    (is_plain && counts_once).then(|| AggregateSpec {
        key_count: spec.program.outputs.len(),
        aggregates: Vec::new(),
        standing_groups: Vec::new(),
        ..spec.clone()
    })
}

/// What a local aggregate knows of its own use.
pub(super) struct Local {
    groups_max: usize,
    /// What holds at present: more where that helps.
    bound: usize,
    /// Groups when they were counted last.
    groups_counted: usize,
    /// Rows of late, and those of them that found their group there.
    late_rows: u64,
    late_known: u64,
    /// Rows and groups since the last judgement.
    rows_taken: u64,
    groups_sent: u64,
    /// Rows that still pass by.
    passing: u64,
    /// Rows since the groups were last counted.
    rows_uncounted: usize,
    all_taken: u64,
    all_passed: u64,
    all_sent: u64,
}

impl Local {
    pub(super) fn new(groups_max: usize) -> Self {
        Local {
            groups_max: groups_max.max(1),
            bound: groups_max.max(1),
            groups_counted: 0,
            late_rows: 0,
            late_known: 0,
            rows_taken: 0,
            groups_sent: 0,
            passing: 0,
            rows_uncounted: 0,
            all_taken: 0,
            all_passed: 0,
            all_sent: 0,
        }
    }

    /// Whether these rows should go to their owners as they are.
    pub(super) fn passes_by(&mut self, rows: usize) -> bool {
        if self.passing == 0 {
            self.rows_taken += rows as u64;
            self.all_taken += rows as u64;
            self.rows_uncounted += rows;
            return false;
        }
        self.passing = self.passing.saturating_sub(rows as u64);
        self.all_passed += rows as u64;
        true
    }

    /// Whether the groups should be sent on for their number; they are counted only when there may be that many.
    pub(super) fn is_full(&mut self, count: impl FnOnce() -> usize) -> bool {
        if self.rows_uncounted < self.bound {
            return false;
        }
        let groups = count();
        self.note_known(groups);
        if groups < self.bound {
            return false;
        }
        let pays = self.rows_taken >= (self.groups_sent + groups as u64) * ROWS_PER_GROUP_MIN;
        if pays || self.late_known * KNOWN_MIN < self.late_rows || self.bound / self.groups_max >= GROWN_MAX {
            return true;
        }
        self.bound = self.bound.saturating_mul(GROWTH);
        false
    }

    /// Notes how many rows since the last count found their group there, now that there are `groups`.
    fn note_known(&mut self, groups: usize) {
        let rows = (self.rows_uncounted - self.groups_counted) as u64;
        if self.late_rows > self.bound as u64 / 2 {
            (self.late_rows, self.late_known) = (0, 0);
        }
        self.late_rows += rows;
        self.late_known += rows.saturating_sub(groups.saturating_sub(self.groups_counted) as u64);
        (self.rows_uncounted, self.groups_counted) = (groups, groups);
    }

    /// Notes groups sent on; `left` are still held.
    pub(super) fn sent(&mut self, groups: usize, left: usize) {
        self.groups_sent += groups as u64;
        self.all_sent += groups as u64;
        (self.rows_uncounted, self.groups_counted) = (left, left);
        let groups = self.groups_sent + left as u64;
        if groups < GROUPS_JUDGED_MIN.min(self.groups_max as u64) {
            return;
        }
        if self.rows_taken < groups * ROWS_PER_GROUP_MIN {
            self.passing = self.rows_taken * PASS_BY;
            self.bound = self.groups_max;
        }
        (self.rows_taken, self.groups_sent) = (0, 0);
    }

    pub(super) fn remarks(&self) -> String {
        let Local { all_taken, all_sent, all_passed, .. } = self;
        format!("{all_taken} rows made {all_sent} groups, {all_passed} passed by")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Rows with keys made by `key`, in batches of 10: how often groups were sent, and what passed by.
    fn play(groups_max: usize, rows: u64, key: impl Fn(u64) -> u64) -> (u64, u64) {
        let (mut local, mut table, mut sent) = (Local::new(groups_max), HashSet::new(), 0);
        for batch in 0..rows / 10 {
            if local.passes_by(10) {
                continue;
            }
            table.extend((batch * 10..batch * 10 + 10).map(&key));
            if local.is_full(|| table.len()) {
                local.sent(table.len(), 0);
                table.clear();
                sent += 1;
            }
        }
        (sent, local.all_passed)
    }

    fn mixed(row: u64) -> u64 {
        (row.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ row << 7).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32
    }

    #[test]
    fn all_groups_of_many_rows_are_gathered() {
        assert_eq!(play(1000, 100_000, |row| mixed(row) % 900), (0, 0));
        assert_eq!(play(1000, 100_000, |row| mixed(row) % 3000), (0, 0), "grown once");
        assert_eq!(play(1000, 100_000, |row| mixed(row) % 12_000), (0, 0), "grown twice");
    }

    #[test]
    fn rows_with_keys_of_their_own_pass_by() {
        let (sent, passed) = play(1000, 1_000_000, |row| row);
        assert!(passed > 980_000 && sent < 20, "{sent} times, {passed} rows passed by");
    }

    /// Keys that come and go: a small table is as good as a large one.
    #[test]
    fn a_table_does_not_grow_where_sending_is_cheap() {
        let (sent, passed) = play(1000, 1_000_000, |row| row / 20);
        assert!((45..=60).contains(&sent) && passed == 0, "{sent} times, {passed} rows passed by");
    }
}
