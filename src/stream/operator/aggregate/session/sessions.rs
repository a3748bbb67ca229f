//! Where the open sessions of each key lie: columns indexed by session number, and for each key a list, latest first.
//!
//! ```text
//! gap 10       0   4            18     25           rows of one key; a row links to those at most the gap before it
//!              └───┘            └──────┘            two sessions, ending at 14 and 35
//!                        14                         comes late, and links 4 and 18: one session, ending at 35
//! ```
//! A row that is behind its own watermark W does not link to rows whose sessions W had closed without it: those before
//! W - gap. So which rows make a session does not depend on how far other partitions are, nor on the order of arrival.
//!
//! Invariants  sessions of a key lie apart, in order. Of two that grow together, the one that began first in arrival
//!             keeps its number. A session closes when the watermark has passed its end, which is the gap after its
//!             last row: a row right at the end still links.

use std::collections::BTreeMap;

use crate::time::{Bounds, END, START};

/// No session, no key.
pub(in crate::stream::operator) const NONE: u32 = u32::MAX;

/// More of what is gone than this is worth making the columns anew.
const GONE_MIN: usize = 512;

/// The open sessions of all keys.
#[derive(Debug)]
pub(in crate::stream::operator) struct Sessions {
    gap: i64,
    starts: Vec<i64>,
    lasts: Vec<i64>,
    /// How far back rows of the session link.
    reaches: Vec<i64>,
    /// `NONE`: gone.
    keys: Vec<u32>,
    /// The session of the same key before it.
    earlier: Vec<u32>,
    /// The session that it has become a part of.
    into: Vec<u32>,
    /// Under which timer it is.
    timers: Vec<i64>,
    /// The latest session of each key.
    latest: Vec<u32>,
    open: usize,
    open_keys: usize,
    /// Sessions to look at, by the end they had when they were put there.
    due: BTreeMap<i64, Vec<u32>>,
    /// Ends so far apart share a timer.
    width: i64,
}

/// Which sessions and keys are still there, by their old numbers, in order: their places are their new numbers.
pub(in crate::stream::operator) struct Kept {
    pub(in crate::stream::operator) sessions: Vec<u32>,
    pub(in crate::stream::operator) keys: Vec<u32>,
}

impl Sessions {
    pub(in crate::stream::operator) fn new(gap: i64) -> Self {
        Sessions {
            gap,
            starts: Vec::new(),
            lasts: Vec::new(),
            reaches: Vec::new(),
            keys: Vec::new(),
            earlier: Vec::new(),
            into: Vec::new(),
            timers: Vec::new(),
            latest: Vec::new(),
            open: 0,
            open_keys: 0,
            due: BTreeMap::new(),
            width: (gap / 4).max(1),
        }
    }

    /// How many session numbers there are, those of sessions that are gone included.
    pub(in crate::stream::operator) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(in crate::stream::operator) fn open(&self) -> usize {
        self.open
    }

    pub(in crate::stream::operator) fn key(&self, session: u32) -> u32 {
        self.keys[session as usize]
    }

    /// The window of a session.
    pub(in crate::stream::operator) fn bounds(&self, session: u32) -> Bounds {
        let session = session as usize;
        Bounds { start: self.starts[session], end: self.lasts[session].saturating_add(self.gap) }
    }

    /// The time of a session's last row, and how far back its rows link.
    pub(in crate::stream::operator) fn last_and_reach(&self, session: u32) -> (i64, i64) {
        (self.lasts[session as usize], self.reaches[session as usize])
    }

    /// The session that holds what once was in `session`.
    pub(in crate::stream::operator) fn root(&self, session: u32) -> u32 {
        let mut at = session;
        while self.into[at as usize] != NONE {
            at = self.into[at as usize];
        }
        at
    }

    /// Makes room for keys below `count`.
    pub(in crate::stream::operator) fn grow_keys(&mut self, count: usize) {
        self.latest.resize(count.max(self.latest.len()), NONE);
    }

    /// Puts a row into a session of its key and says which; `None` when the session it would begin had been closed by
    /// its own watermark, or its end cannot be told. Sessions that became part of others are added to `absorbed`.
    pub(in crate::stream::operator) fn take(
        &mut self,
        key: u32,
        time: i64,
        watermark: i64,
        absorbed: &mut Vec<u32>,
    ) -> Option<u32> {
        let end = time.checked_add(self.gap).filter(|end| *end < END)?;
        if end < watermark {
            return None;
        }
        let mut reach = time.saturating_sub(self.gap);
        if watermark != START {
            reach = reach.max(watermark.saturating_sub(self.gap));
        }
        Some(self.insert(key, time, time, reach, absorbed))
    }

    /// Whether a row would make one session of two that are apart so far.
    pub(in crate::stream::operator) fn joins(&self, key: u32, time: i64, watermark: i64) -> bool {
        let mut reach = time.saturating_sub(self.gap);
        if watermark != START {
            reach = reach.max(watermark.saturating_sub(self.gap));
        }
        let mut at = self.latest[key as usize];
        while at != NONE && time < self.starts[at as usize] && time < self.reaches[at as usize] {
            at = self.earlier[at as usize];
        }
        if at == NONE {
            return false;
        }
        let (session, before) = (at as usize, self.earlier[at as usize]);
        let links = time < self.starts[session] || reach.min(time) <= self.lasts[session];
        links && before != NONE && self.reaches[session].min(reach) <= self.lasts[before as usize]
    }

    /// Puts a session in, joined with those that it links to.
    fn insert(&mut self, key: u32, start: i64, last: i64, reach: i64, absorbed: &mut Vec<u32>) -> u32 {
        let (mut later, mut at) = (NONE, self.latest[key as usize]);
        while at != NONE && last < self.starts[at as usize] && last < self.reaches[at as usize] {
            (later, at) = (at, self.earlier[at as usize]);
        }
        let links = |sessions: &Sessions, at: usize| {
            last < sessions.starts[at] || start <= sessions.lasts[at] || reach <= sessions.lasts[at]
        };
        if at == NONE || !links(self, at as usize) {
            return self.begin(key, (start, last, reach), later, at);
        }
        let session = at as usize;
        self.starts[session] = self.starts[session].min(start);
        self.lasts[session] = self.lasts[session].max(last);
        self.reaches[session] = self.reaches[session].min(reach);
        loop {
            let before = self.earlier[at as usize];
            if before == NONE || self.reaches[at as usize] > self.lasts[before as usize] {
                return at;
            }
            absorbed.push(at.max(before));
            at = self.join(key, later, at, before);
        }
    }

    /// Makes one session of two that lie side by side; the other one's number is gone.
    fn join(&mut self, key: u32, later: u32, at: u32, before: u32) -> u32 {
        let (kept, gone) = (at.min(before) as usize, at.max(before) as usize);
        let earlier = self.earlier[before as usize];
        self.starts[kept] = self.starts[kept].min(self.starts[gone]);
        self.lasts[kept] = self.lasts[kept].max(self.lasts[gone]);
        self.reaches[kept] = self.reaches[kept].min(self.reaches[gone]);
        self.earlier[kept] = earlier;
        self.keys[gone] = NONE;
        self.into[gone] = kept as u32;
        self.open -= 1;
        match later {
            NONE => self.latest[key as usize] = kept as u32,
            later => self.earlier[later as usize] = kept as u32,
        }
        kept as u32
    }

    fn begin(&mut self, key: u32, (start, last, reach): (i64, i64, i64), later: u32, earlier: u32) -> u32 {
        let session = self.keys.len() as u32;
        self.starts.push(start);
        self.lasts.push(last);
        self.reaches.push(reach);
        self.keys.push(key);
        self.earlier.push(earlier);
        self.into.push(NONE);
        let timer = self.timer(last);
        self.timers.push(timer);
        self.due.entry(timer).or_default().push(session);
        self.open += 1;
        match later {
            NONE => {
                self.open_keys += usize::from(self.latest[key as usize] == NONE);
                self.latest[key as usize] = session;
            }
            later => self.earlier[later as usize] = session,
        }
        session
    }

    /// The timer of a session whose last row is at `last`.
    fn timer(&self, last: i64) -> i64 {
        last.saturating_add(self.gap).div_euclid(self.width)
    }

    /// Takes out the sessions that end before `watermark`, in the order of their ends, and tells them in `closed`. Their
    /// places can still be asked for, until `compact`.
    pub(in crate::stream::operator) fn close(&mut self, watermark: i64, closed: &mut Vec<u32>) {
        closed.clear();
        let mut stay = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            let timer = *entry.key();
            if watermark != END && timer.saturating_mul(self.width) >= watermark {
                break;
            }
            for session in entry.remove() {
                let at = session as usize;
                if self.keys[at] == NONE || self.timers[at] != timer {
                    continue;
                }
                if watermark == END || self.bounds(session).end < watermark {
                    closed.push(session);
                } else {
                    stay.push(session);
                }
            }
        }
        for session in stay {
            let timer = self.timer(self.lasts[session as usize]);
            self.timers[session as usize] = timer;
            self.due.entry(timer).or_default().push(session);
        }
        for &session in closed.iter() {
            self.unlink(session);
        }
        closed.sort_unstable_by_key(|&session| {
            let bounds = self.bounds(session);
            (bounds.end, bounds.start, session)
        });
    }

    /// Takes a session out of the list of its key. The key can still be asked for.
    fn unlink(&mut self, session: u32) {
        let key = self.keys[session as usize] as usize;
        let earlier = self.earlier[session as usize];
        self.open -= 1;
        self.timers[session as usize] = START;
        if self.latest[key] == session {
            self.latest[key] = earlier;
            self.open_keys -= usize::from(earlier == NONE);
            return;
        }
        let mut at = self.latest[key];
        while at != NONE && self.earlier[at as usize] != session {
            at = self.earlier[at as usize];
        }
        if at != NONE {
            self.earlier[at as usize] = earlier;
        }
    }

    /// Forgets closed sessions for good, so that `compact` may take their numbers away.
    pub(in crate::stream::operator) fn forget(&mut self, closed: &[u32]) {
        closed.iter().for_each(|&session| self.keys[session as usize] = NONE);
    }

    /// Gives the sessions and keys that are there new numbers, when most are gone; `None`: all keep theirs.
    pub(in crate::stream::operator) fn compact(&mut self) -> Option<Kept> {
        let gone = self.keys.len() - self.open;
        let gone_keys = self.latest.len() - self.open_keys;
        if gone <= self.open + GONE_MIN && gone_keys <= self.open_keys + GONE_MIN {
            return None;
        }
        let sessions: Vec<u32> =
            (0..self.keys.len() as u32).filter(|&session| self.keys[session as usize] != NONE).collect();
        let keys: Vec<u32> = (0..self.latest.len() as u32).filter(|&key| self.latest[key as usize] != NONE).collect();
        let mut new_sessions = vec![NONE; self.keys.len()];
        sessions.iter().enumerate().for_each(|(new, &old)| new_sessions[old as usize] = new as u32);
        let mut new_keys = vec![NONE; self.latest.len()];
        keys.iter().enumerate().for_each(|(new, &old)| new_keys[old as usize] = new as u32);
        let session = |old: u32| if old == NONE { NONE } else { new_sessions[old as usize] };
        let mut next = Sessions::new(self.gap);
        for &old in &sessions {
            let old = old as usize;
            next.starts.push(self.starts[old]);
            next.lasts.push(self.lasts[old]);
            next.reaches.push(self.reaches[old]);
            next.keys.push(new_keys[self.keys[old] as usize]);
            next.earlier.push(session(self.earlier[old]));
            next.into.push(NONE);
            next.timers.push(self.timers[old]);
            next.due.entry(self.timers[old]).or_default().push(next.keys.len() as u32 - 1);
        }
        next.latest = keys.iter().map(|&key| session(self.latest[key as usize])).collect();
        (next.open, next.open_keys) = (sessions.len(), keys.len());
        *self = next;
        Some(Kept { sessions, keys })
    }

    /// The sessions that are there.
    pub(in crate::stream::operator) fn all_open(&self) -> Vec<u32> {
        (0..self.keys.len() as u32).filter(|&session| self.keys[session as usize] != NONE).collect()
    }

    /// Puts a session back that was there before, and gives its number. It lies apart from the others of its key.
    pub(in crate::stream::operator) fn restore(&mut self, key: u32, start: i64, last: i64, reach: i64) -> u32 {
        let (mut later, mut at) = (NONE, self.latest[key as usize]);
        while at != NONE && self.starts[at as usize] > start {
            (later, at) = (at, self.earlier[at as usize]);
        }
        if at != NONE && self.starts[at as usize] == start {
            return at;
        }
        self.begin(key, (start, last, reach), later, at)
    }

    pub(in crate::stream::operator) fn size_bytes(&self) -> usize {
        self.keys.capacity() * (4 * 8 + 3 * 4) + self.latest.capacity() * 4 + self.open * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sessions that rows (time, watermark before it) of one key end in, by the definition.
    fn by_definition(gap: i64, rows: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut rows: Vec<(i64, i64)> = rows.iter().copied().filter(|(time, mark)| time + gap >= *mark).collect();
        rows.sort_unstable();
        let mut groups: Vec<usize> = (0..rows.len()).collect();
        for at in 0..rows.len() {
            for before in 0..at {
                let (from, to) = (rows[before].0, rows[at].0);
                if to - from <= gap && from + gap >= rows[at].1 || from == to {
                    let (old, new) = (groups[at].max(groups[before]), groups[at].min(groups[before]));
                    groups.iter_mut().filter(|group| **group == old).for_each(|group| *group = new);
                }
            }
        }
        let mut bounds: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
        for (row, group) in groups.iter().enumerate() {
            let time = rows[row].0;
            let found = bounds.entry(*group).or_insert((time, time));
            *found = (found.0.min(time), found.1.max(time));
        }
        bounds.into_values().map(|(start, last)| (start, last + gap)).collect()
    }

    #[test]
    fn sessions_are_as_defined_in_any_order() {
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for case in 0..400 {
            let gap = 1 + random(9) as i64;
            let delay = random(20) as i64;
            let mut rows: Vec<(i64, i64)> = Vec::new();
            let mut mark = START / 2;
            for _ in 0..random(30) {
                let time = random(120) as i64 - 10;
                rows.push((time, mark));
                mark = mark.max(time - delay);
            }
            let expected = by_definition(gap, &rows);
            for turn in 0..3 {
                let mut sessions = Sessions::new(gap);
                sessions.grow_keys(1);
                let mut absorbed = Vec::new();
                let mut order: Vec<usize> = (0..rows.len()).collect();
                if turn > 0 {
                    order.reverse();
                    let half = order.len() / 2;
                    order.rotate_left(half * (turn - 1));
                }
                for row in order {
                    sessions.take(0, rows[row].0, rows[row].1, &mut absorbed);
                }
                assert!(absorbed.iter().all(|&gone| sessions.key(gone) == NONE && sessions.root(gone) != gone));
                let mut closed = Vec::new();
                sessions.close(END, &mut closed);
                let mut found: Vec<(i64, i64)> = closed
                    .iter()
                    .map(|&session| {
                        let bounds = sessions.bounds(session);
                        (bounds.start, bounds.end)
                    })
                    .collect();
                found.sort_unstable();
                assert_eq!(found, expected, "case {case}, gap {gap}, turn {turn}: {rows:?}");
                assert_eq!(sessions.open(), 0);
            }
        }
    }

    #[test]
    fn sessions_close_once_the_watermark_has_passed_their_end() {
        let (mut sessions, mut closed, mut absorbed) = (Sessions::new(10), Vec::new(), Vec::new());
        sessions.grow_keys(2);
        sessions.take(0, 0, START, &mut absorbed);
        sessions.take(1, 3, START, &mut absorbed);
        sessions.close(10, &mut closed);
        assert!(closed.is_empty(), "a row at the end still links");
        sessions.close(11, &mut closed);
        assert_eq!(closed, [0]);
        sessions.forget(&closed);
        assert_eq!(sessions.take(0, 10, 11, &mut absorbed), Some(2), "the session before has been closed");
        sessions.close(14, &mut closed);
        assert_eq!(closed, [1]);
        assert_eq!(sessions.take(0, 0, 11, &mut absorbed), None);
    }
}
