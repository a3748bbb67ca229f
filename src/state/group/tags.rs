//! Slots of keys that lie elsewhere: open addressing with linear probing, and growing without a stall.
//!
//! ```text
//! slot    high half of the hash | group number + 1, 0 where it is empty     zeroed memory is an empty table
//!
//! old  |· · · moved · · ·|_· · · · still here · · · ·|                       clusters move in order, some with every
//! new  |· · · · · · ·|                                                       batch; where a key is, its hash tells
//! ```
//! The half of the hash that a slot holds says where it belongs in a table of any size, so that slots move without a
//! look at their keys; what the place has not used of it tells most keys apart, and all keys where the hash of 32 bits
//! is another order of them. Eight bytes a slot: the first touch of memory costs more than a probe.
//!
//! Invariants  a cluster lies in one of the two tables, for moving ends at empty slots; so a key has one place. The slot
//!             that moving began behind stays empty: a cluster that reaches it goes on in the new table, for what lies
//!             behind it has moved already and is not looked at again. New memory is touched in order, as clusters
//!             move: never all of it at once.

use std::hint::select_unpredictable;

use millstream_kernels::probe;

const SLOTS_MIN: usize = 1 << 10;
/// While there are at most this many slots, one in eight is used: probes are short and everything is in L1 or near it.
const SLOTS_SPARSE_MAX: usize = 1 << 13;
/// From this many slots on, five in eight are used: what is touched counts for more than how far a probe goes.
const SLOTS_TIGHT_MIN: usize = 1 << 16;
/// From this many slots on, a table grows by and by; in tests much sooner, so that they see it happen often.
const SLOTS_GRADUAL_MIN: usize = if cfg!(test) { 1 << 13 } else { 1 << 20 };
/// Slots that move for each row of a batch: at least two, so that moving ends before the table is full again.
const SLOTS_MOVED_PER_ROW: usize = 8;

/// Slots that are looked at together while they move.
const PIECE: usize = 256;

#[derive(Debug)]
pub(super) struct Tags {
    now: Part,
    /// The table before it grew, while something of it has not moved.
    old: Part,
    /// The empty slot of `old` that moving began behind, and how many slots have moved.
    first: usize,
    moved: usize,
    /// The table grows when there are more groups.
    groups_max: usize,
}

/// An empty slot where a key belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    in_old: bool,
    at: usize,
}

/// A table that nothing moves into.
#[derive(Clone, Copy)]
pub(super) struct Settled<'a> {
    slots: &'a [[u32; 2]],
    shift: u32,
}

impl Settled<'_> {
    /// The group of a key of this hash that is there; `is_equal` as in [`Tags::find`].
    #[inline(always)]
    pub(super) fn find(self, hash: u64, is_equal: impl Fn(u32) -> bool) -> Option<u32> {
        find_in(self.slots, self.shift, tag(hash), is_equal).ok()
    }
}

/// A table that nothing moves into, with room for all that is put there.
pub(super) struct Open<'a> {
    slots: &'a mut [[u32; 2]],
    shift: u32,
}

impl Open<'_> {
    /// The group of a key of this hash, or the empty slot where it belongs; `is_equal` as in [`Tags::find`].
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_equal: impl Fn(u32) -> bool) -> Result<u32, usize> {
        find_in(self.slots, self.shift, tag(hash), is_equal)
    }

    /// Puts a group into the slot where [`find`](Self::find) has found that it belongs.
    #[inline(always)]
    pub(super) fn insert(&mut self, at: usize, hash: u64, group: u32) {
        self.slots[at] = [tag(hash), group + 1];
    }

    /// Asks for the slot of a hash ahead of time.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        probe::prefetch(self.slots, (tag(hash) >> self.shift) as usize);
    }

    /// As [`Tags::first_guess`], `other` where there is none: whether there is one is for nobody to guess, so that no
    /// branch should depend on it.
    #[inline(always)]
    pub(super) fn first_guess_or(&self, hash: u64, other: usize) -> usize {
        let [known, number] = self.slots[(tag(hash) >> self.shift) as usize & (self.slots.len() - 1)];
        let is_there = (known == tag(hash)) & (number != 0);
        select_unpredictable(is_there, (number as usize).wrapping_sub(1), other)
    }
}

/// One table.
#[derive(Debug)]
struct Part {
    slots: Vec<[u32; 2]>,
    /// How far the half of a hash is shifted so that its highest bits number the slots.
    shift: u32,
}

impl Part {
    /// An empty table of `count` slots, a power of two.
    fn new(count: usize) -> Self {
        Part { slots: vec![[0; 2]; count], shift: u32::BITS - count.trailing_zeros() }
    }

    fn none() -> Self {
        Part { slots: Vec::new(), shift: 0 }
    }

    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        (tag >> self.shift) as usize
    }

    #[inline(always)]
    fn find(&self, tag: u32, is_equal: impl Fn(u32) -> bool) -> Result<u32, usize> {
        find_in(&self.slots, self.shift, tag, is_equal)
    }

    #[inline(always)]
    fn put(&mut self, slot: [u32; 2]) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(slot[0]) & mask;
        while self.slots[at][1] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }
}

/// The group of a key of this half of a hash, or the empty slot where it belongs; `is_equal` as in [`Tags::find`].
#[inline(always)]
fn find_in(slots: &[[u32; 2]], shift: u32, tag: u32, is_equal: impl Fn(u32) -> bool) -> Result<u32, usize> {
    let mask = slots.len() - 1;
    let mut at = (tag >> shift) as usize & mask;
    loop {
        let [known, number] = slots[at];
        if number == 0 {
            return Err(at);
        }
        if known == tag && is_equal(number - 1) {
            return Ok(number - 1);
        }
        at = (at + 1) & mask;
    }
}

/// How many groups a table of so many slots takes.
fn groups_max(slots: usize) -> usize {
    match slots {
        ..=SLOTS_SPARSE_MAX => slots / 8,
        SLOTS_TIGHT_MIN.. => slots / 8 * 5,
        _ => slots / 2,
    }
}

/// How many slots a table gets that is too small with so many.
fn larger(slots: usize) -> usize {
    slots * if slots >= SLOTS_TIGHT_MIN { 2 } else { 4 }
}

/// The half of a hash that slots hold.
#[inline(always)]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl Tags {
    pub(super) fn new() -> Self {
        Tags { now: Part::new(SLOTS_MIN), old: Part::none(), first: 0, moved: 0, groups_max: groups_max(SLOTS_MIN) }
    }

    /// Slots with room for so many groups, as many as would be there had they come one by one.
    pub(super) fn with_room(groups: usize) -> Self {
        let mut count = SLOTS_MIN;
        while groups_max(count) < groups {
            count = larger(count);
        }
        Tags { now: Part::new(count), groups_max: groups_max(count), ..Self::new() }
    }

    /// Puts in a group whose key is not there, where there is room.
    pub(super) fn put(&mut self, hash: u64, group: u32) {
        self.now.put([tag(hash), group + 1]);
    }

    pub(super) fn count(&self) -> usize {
        self.now.slots.len()
    }

    /// Asks for the slot of a hash ahead of time.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        probe::prefetch(&self.now.slots, self.now.home(tag(hash)));
        if !self.old.slots.is_empty() {
            probe::prefetch(&self.old.slots, self.old.home(tag(hash)));
        }
    }

    /// The group in the first slot of a hash, if it may be that of a key with this hash: to ask for it ahead of time.
    #[inline(always)]
    pub(super) fn first_guess(&self, hash: u64) -> Option<u32> {
        let [known, number] = self.now.slots[self.now.home(tag(hash))];
        (known == tag(hash) && number != 0).then(|| number - 1)
    }

    /// The group of a key of this hash, or where it belongs; `is_equal` says whether a group has the key.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, is_equal: impl Fn(u32) -> bool) -> Result<u32, Place> {
        let tag = tag(hash);
        if !self.old.slots.is_empty() && !self.has_moved(tag) {
            match self.old.find(tag, &is_equal) {
                Ok(group) => return Ok(group),
                Err(at) if at + 1 != self.first => return Err(Place { in_old: true, at }),
                Err(_) => {}
            }
        }
        self.now.find(tag, is_equal).map_err(|at| Place { in_old: false, at })
    }

    /// The one table there is, for many lookups in a row; `None` while another is still moving into it.
    #[inline(always)]
    pub(super) fn settled(&self) -> Option<Settled<'_>> {
        self.old.slots.is_empty().then_some(Settled { slots: &self.now.slots, shift: self.now.shift })
    }

    /// The one table there is, to put groups into until there are `groups` of them; `None` while another is still moving
    /// into it.
    #[inline(always)]
    pub(super) fn open(&mut self, groups: usize) -> Option<Open<'_>> {
        while groups > self.groups_max {
            self.grow();
        }
        self.old.slots.is_empty().then_some(Open { slots: &mut self.now.slots, shift: self.now.shift })
    }

    /// Whether the slots where a key of this hash belongs have moved.
    #[inline(always)]
    fn has_moved(&self, tag: u32) -> bool {
        (self.old.home(tag).wrapping_sub(self.first) & (self.old.slots.len() - 1)) < self.moved
    }

    /// Puts a group where [`Tags::find`] has found that it belongs, and makes room for the next one.
    #[inline]
    pub(super) fn insert(&mut self, place: Place, hash: u64, group: u32) {
        let part = if place.in_old { &mut self.old } else { &mut self.now };
        part.slots[place.at] = [tag(hash), group + 1];
        if group as usize >= self.groups_max {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.move_slots(usize::MAX);
        let count = self.now.slots.len();
        let is_gradual = count >= SLOTS_GRADUAL_MIN;
        let larger = Part::new(larger(count));
        self.groups_max = groups_max(larger.slots.len());
        self.old = std::mem::replace(&mut self.now, larger);
        self.first = self.old.slots.iter().position(|slot| slot[1] == 0).expect("some are empty") + 1;
        self.moved = 0;
        if !is_gradual {
            self.move_slots(usize::MAX);
        }
    }

    /// Moves what a batch of `rows` rows should, if the table has grown.
    #[inline(always)]
    pub(super) fn keep_moving(&mut self, rows: usize) {
        if !self.old.slots.is_empty() {
            self.move_slots(rows.saturating_mul(SLOTS_MOVED_PER_ROW));
        }
    }

    /// Moves at least `count` slots, up to the end of a cluster.
    #[cold]
    fn move_slots(&mut self, count: usize) {
        let total = self.old.slots.len();
        let mut end = self.moved.saturating_add(count).min(total);
        while end < total && self.old.slots[(self.first + end) & (total - 1)][1] != 0 {
            end += 1;
        }
        let mut taken = [[0; 2]; PIECE];
        while self.moved < end {
            let piece = PIECE.min(end - self.moved);
            // Without a branch on whether a slot is taken, which nobody can guess.
            let mut count = 0;
            for at in self.moved..self.moved + piece {
                let slot = self.old.slots[(self.first + at) & (total - 1)];
                taken[count] = slot;
                count += usize::from(slot[1] != 0);
            }
            taken[..count].iter().for_each(|&slot| self.now.put(slot));
            self.moved += piece;
        }
        if self.moved >= total {
            self.old = Part::none();
        }
    }

    /// How many slots a lookup looks at, on average over some of the groups.
    pub(super) fn probes(&self) -> f64 {
        let (mut looks, mut groups) = (0, 0);
        let mask = self.now.slots.len() - 1;
        for (at, slot) in self.now.slots.iter().enumerate().filter(|(_, slot)| slot[1] != 0).take(4096) {
            looks += (at.wrapping_sub(self.now.home(slot[0])) & mask) + 1;
            groups += 1;
        }
        looks as f64 / groups.max(1) as f64
    }

    /// Forgets all groups and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.old = Part::none();
        self.now.slots.fill([0; 2]);
    }

    pub(super) fn size_bytes(&self) -> usize {
        (self.now.slots.capacity() + self.old.slots.capacity()) * 8
    }
}

#[cfg(test)]
mod tests {
    use millstream_kernels::hash;

    use super::*;

    /// Every key keeps its group while tables grow by and by, whatever the seed: also keys whose cluster reaches the slot
    /// that moving began behind.
    #[test]
    fn no_key_is_lost_while_a_table_grows() {
        const KEYS: u32 = 70_000;
        for seed in 0..40 {
            let hash = |key: u32| hash::bytes(seed, &key.to_le_bytes());
            let mut tags = Tags::new();
            for key in 0..KEYS {
                if key % 100 == 0 {
                    tags.keep_moving(100);
                }
                let place = tags.find(hash(key), |group| group == key).expect_err("a key that is new");
                tags.insert(place, hash(key), key);
            }
            for key in 0..KEYS {
                if key % 100 == 0 {
                    tags.keep_moving(1);
                }
                assert_eq!(tags.find(hash(key), |group| group == key).ok(), Some(key), "seed {seed}");
            }
            assert!(tags.find(hash(KEYS), |group| group == KEYS).is_err());
        }
    }
}
