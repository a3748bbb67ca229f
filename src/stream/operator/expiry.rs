//! Groups, and keys of ranks, that no row has touched for long are forgotten.
//!
//! Invariants  by the clock that comes with batches and ticks; a forgotten group says nothing, and starts anew when a row
//!             of it comes.
//! Source      state time-to-live as Flink SQL has it.

/// Looks at the clock so many times in the life of a group.
const LOOKS: i64 = 4;

/// When each group was touched last.
pub(super) struct Expiry {
    ttl: i64,
    touched: Vec<i64>,
    due: Option<i64>,
}

impl Expiry {
    /// `ttl` in microseconds.
    pub(super) fn new(ttl: i64) -> Self {
        Expiry { ttl, touched: Vec::new(), due: None }
    }

    /// Notes that rows of these groups have come.
    pub(super) fn touch(&mut self, groups: &[u32], group_count: usize, now: i64) {
        self.touched.resize(group_count.max(self.touched.len()), now);
        groups.iter().for_each(|&group| self.touched[group as usize] = now);
    }

    pub(super) fn next_tick(&self) -> i64 {
        self.due.unwrap_or(i64::MIN)
    }

    /// Of `count` groups those that are left at a tick, in order; `None`: all of them. Groups that stand are kept anyhow.
    pub(super) fn left(&mut self, now: i64, count: usize, stands: impl Fn(u32) -> bool) -> Option<Vec<u32>> {
        self.due = Some(now.saturating_add((self.ttl / LOOKS).max(1)));
        self.touched.resize(count, now);
        let ttl = self.ttl;
        let is_old = |touched: i64| now.saturating_sub(touched) >= ttl;
        if !self.touched.iter().any(|&touched| is_old(touched)) {
            return None;
        }
        let stays = |group: &u32| stands(*group) || !is_old(self.touched[*group as usize]);
        let left: Vec<u32> = (0..count as u32).filter(stays).collect();
        self.touched = left.iter().map(|&group| self.touched[group as usize]).collect();
        Some(left)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.touched.capacity() * size_of::<i64>()
    }
}
