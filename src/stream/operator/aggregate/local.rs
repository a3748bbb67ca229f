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

/// Fewer rows than this for each group do not pay for making, hashing and merging the group.
const ROWS_PER_GROUP_MIN: u64 = 3;
/// The least number of groups that a judgement rests on.
const GROUPS_JUDGED_MIN: u64 = 512;
/// For how many times the rows that were judged by rows then pass by, before it is tried again.
const PASS_BY: u64 = 64;

/// Whether the groups of `spec` may be made before the exchange; `takes_back`: whether its input may retract rows.
pub fn may_be_local(spec: &AggregateSpec, takes_back: bool) -> bool {
    let merges = |call: &crate::pipeline::AggregateCall| {
        // States that hold every value are no smaller than the rows.
        let small = call.function.state_types().iter().all(|data_type| !data_type.is_nested());
        !call.distinct && !call.function.is_order_sensitive() && small
    };
    // Sessions are known where their key is; windows of rows by the order of arrival there.
    let has_panes = spec.window.as_ref().is_none_or(|window| window.kind.has_panes());
    spec.emit == EmitMode::Final && !takes_back && has_panes && spec.aggregates.iter().all(merges)
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

/// What a local aggregate knows of its own use.
pub(super) struct Local {
    groups_max: usize,
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
        if self.rows_uncounted < self.groups_max {
            return false;
        }
        let groups = count();
        self.rows_uncounted = groups;
        groups >= self.groups_max
    }

    /// Notes groups sent on; `left` are still held.
    pub(super) fn sent(&mut self, groups: usize, left: usize) {
        self.groups_sent += groups as u64;
        self.all_sent += groups as u64;
        let groups = self.groups_sent + left as u64;
        if groups < GROUPS_JUDGED_MIN.min(self.groups_max as u64) {
            return;
        }
        if self.rows_taken < groups * ROWS_PER_GROUP_MIN {
            self.passing = self.rows_taken * PASS_BY;
        }
        (self.rows_taken, self.groups_sent) = (0, 0);
    }

    pub(super) fn remarks(&self) -> String {
        let Local { all_taken, all_sent, all_passed, .. } = self;
        format!("{all_taken} rows made {all_sent} groups, {all_passed} passed by")
    }
}
