//! Open addressing with linear probing, and growing without a stall.
//!
//! ```text
//! slot    key word | group number + 1, 0 where it is empty      zeroed memory is an empty table
//!
//! old  |· · · moved · · ·|_· · · · still here · · · ·|           clusters move in order, some with every batch;
//! new  |· · · · · · ·|                                           where a key is found, its hash tells
//! ```
//! Invariants  a cluster lies in one of the two tables, for moving ends at empty slots; so a key has one place. The slot
//!             that moving began behind stays empty: a cluster that reaches it goes on in the new table, for what lies
//!             behind it has moved already and is not looked at again. New memory is touched in order, as clusters
//!             move: never all of it at once.

use millstream_kernels::level::{self, Level};
use millstream_kernels::probe;

use super::layout::Word;

const SLOTS_MIN: usize = 1 << 10;
/// While there are at most this many slots, one in eight is used: probes are short and everything is in L1.
const SLOTS_SPARSE_MAX: usize = 1 << 13;
/// From this many slots on, a table grows by and by; in tests much sooner, so that they see it happen often.
const SLOTS_GRADUAL_MIN: usize = if cfg!(test) { 1 << 14 } else { 1 << 20 };
/// Slots that move for each row of a batch: at least four, so that moving ends before the table is full again.
const SLOTS_MOVED_PER_ROW: usize = 8;
/// Keys hashed at once where a table grows.
const PIECE: usize = 4096;

#[derive(Debug)]
pub(super) struct Slots<W> {
    seed: u64,
    level: Level,
    now: Part<W>,
    /// The table before it grew, while something of it has not moved.
    old: Part<W>,
    /// The empty slot of `old` that moving began behind, and how many slots have moved.
    first: usize,
    moved: usize,
    keys: Vec<W>,
    numbers: Vec<W>,
    hashes: Vec<u64>,
}

/// One table.
#[derive(Debug)]
struct Part<W> {
    slots: Vec<[W; 2]>,
    /// How far a hash is shifted so that its highest bits number the slots.
    shift: u32,
}

impl<W: Word> Part<W> {
    /// An empty table of `count` slots, a power of two.
    fn new(count: usize) -> Self {
        Part { slots: vec![[W::default(); 2]; count], shift: 64 - count.trailing_zeros() }
    }

    fn none() -> Self {
        Part { slots: Vec::new(), shift: 0 }
    }

    /// The group of a key, or the empty slot where it belongs.
    #[inline(always)]
    fn find(&self, word: W, hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift) as usize & mask;
        loop {
            let [key, number] = self.slots[at];
            let number = number.bits() as u32;
            if key == word && number != 0 {
                return Ok(number - 1);
            }
            if number == 0 {
                return Err(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// Puts in a key that is not there.
    #[inline(always)]
    fn put(&mut self, word: W, number: W, hash: u64) {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> self.shift) as usize & mask;
        while self.slots[at][1] != W::default() {
            at = (at + 1) & mask;
        }
        self.slots[at] = [word, number];
    }
}

impl<W: Word> Slots<W> {
    pub(super) fn new(seed: u64) -> Self {
        Slots {
            seed,
            level: level::detect(),
            now: Part::new(SLOTS_MIN),
            old: Part::none(),
            first: 0,
            moved: 0,
            keys: Vec::new(),
            numbers: Vec::new(),
            hashes: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.now.slots.len()
    }

    /// Asks for the slot of a hash ahead of time.
    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        probe::prefetch(&self.now.slots, (hash >> self.now.shift) as usize);
        if !self.old.slots.is_empty() {
            probe::prefetch(&self.old.slots, (hash >> self.old.shift) as usize);
        }
    }

    /// The group of a key; a key that is not there gets the number `next`, and then `Err` tells so.
    #[inline(always)]
    pub(super) fn find_or_insert(&mut self, word: W, hash: u64, next: u32) -> Result<u32, ()> {
        let slot = [word, W::from_bits(next as u128 + 1)];
        if !self.old.slots.is_empty() && !self.has_moved(hash) {
            match self.old.find(word, hash) {
                Ok(group) => return Ok(group),
                Err(at) if at + 1 != self.first => {
                    self.old.slots[at] = slot;
                    return Err(());
                }
                Err(_) => {}
            }
        }
        self.now.find(word, hash).map_err(|at| self.now.slots[at] = slot)
    }

    /// The group of a key that is there.
    #[inline(always)]
    pub(super) fn find(&self, word: W, hash: u64) -> Option<u32> {
        if !self.old.slots.is_empty() && !self.has_moved(hash) {
            match self.old.find(word, hash) {
                Ok(group) => return Some(group),
                Err(at) if at + 1 != self.first => return None,
                Err(_) => {}
            }
        }
        self.now.find(word, hash).ok()
    }

    /// Whether the slots where a key of this hash belongs have moved.
    #[inline(always)]
    fn has_moved(&self, hash: u64) -> bool {
        let home = (hash >> self.old.shift) as usize;
        (home.wrapping_sub(self.first) & (self.old.slots.len() - 1)) < self.moved
    }

    /// Makes room after an insertion; `groups` are there now, `keys` the key of each but for `null_group`.
    #[inline(always)]
    pub(super) fn make_room(&mut self, groups: usize, keys: &[W], null_group: u32) {
        let sparse = self.now.slots.len() <= SLOTS_SPARSE_MAX;
        if groups * if sparse { 8 } else { 2 } > self.now.slots.len() {
            self.grow(keys, null_group);
        }
    }

    #[cold]
    fn grow(&mut self, keys: &[W], null_group: u32) {
        self.move_slots(usize::MAX);
        let count = self.now.slots.len() * if self.now.slots.len() <= SLOTS_SPARSE_MAX { 4 } else { 2 };
        if self.now.slots.len() >= SLOTS_GRADUAL_MIN {
            self.old = std::mem::replace(&mut self.now, Part::new(count));
            self.first = self.old.slots.iter().position(|slot| slot[1] == W::default()).expect("half are empty") + 1;
            self.moved = 0;
            return;
        }
        self.now = Part::new(count);
        for (piece, words) in keys.chunks(PIECE).enumerate() {
            W::hash(self.level, self.seed, words, &mut self.hashes);
            for (i, (&word, &hash)) in words.iter().zip(&self.hashes).enumerate() {
                let group = (piece * PIECE + i) as u32;
                if group != null_group {
                    self.now.put(word, W::from_bits(group as u128 + 1), hash);
                }
            }
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
        let wanted = self.moved.saturating_add(count).min(total);
        while self.moved < total {
            let (mut keys, mut numbers) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.numbers));
            keys.clear();
            numbers.clear();
            let mut at_end = false;
            while self.moved < total && keys.len() < PIECE {
                let [key, number] = self.old.slots[(self.first + self.moved) & (total - 1)];
                self.moved += 1;
                if number == W::default() {
                    at_end = self.moved >= wanted;
                    if at_end {
                        break;
                    }
                    continue;
                }
                keys.push(key);
                numbers.push(number);
            }
            W::hash(self.level, self.seed, &keys, &mut self.hashes);
            for ((&key, &number), &hash) in keys.iter().zip(&numbers).zip(&self.hashes) {
                self.now.put(key, number, hash);
            }
            (self.keys, self.numbers) = (keys, numbers);
            if at_end {
                break;
            }
        }
        if self.moved >= total {
            self.old = Part::none();
        }
    }

    /// How many slots a lookup looks at, on average over some of the keys.
    pub(super) fn probes(&self, keys: &[W]) -> f64 {
        let some = &keys[..keys.len().min(PIECE)];
        let mut hashes = Vec::new();
        W::hash(self.level, self.seed, some, &mut hashes);
        let mut looks = 0;
        for (&word, &hash) in some.iter().zip(&hashes) {
            let part = if self.old.slots.is_empty() || self.has_moved(hash) { &self.now } else { &self.old };
            let mask = part.slots.len() - 1;
            let home = (hash >> part.shift) as usize & mask;
            let found = (0..part.slots.len()).find(|step| part.slots[(home + step) & mask][0] == word);
            looks += found.map_or(0, |step| step + 1);
        }
        looks as f64 / some.len().max(1) as f64
    }

    /// Forgets all keys and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.old = Part::none();
        self.now.slots.fill([W::default(); 2]);
    }

    pub(super) fn size_bytes(&self) -> usize {
        (self.now.slots.capacity() + self.old.slots.capacity()) * size_of::<[W; 2]>()
            + self.hashes.capacity() * 8
            + (self.keys.capacity() + self.numbers.capacity()) * size_of::<W>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key keeps its group while tables grow by and by, whatever the seed: also keys whose cluster reaches the slot
    /// that moving began behind.
    #[test]
    fn no_key_is_lost_while_a_table_grows() {
        const KEYS: u64 = 70_000;
        const ROWS: usize = 100;
        for seed in 0..60 {
            let mut slots = Slots::<u64>::new(seed);
            let (mut keys, mut hashes) = (Vec::new(), Vec::new());
            let all: Vec<u64> = (0..KEYS).map(|key| key.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            for batch in all.chunks(ROWS) {
                slots.keep_moving(batch.len());
                u64::hash(level::detect(), seed, batch, &mut hashes);
                for (&key, &hash) in batch.iter().zip(&hashes) {
                    assert_eq!(slots.find_or_insert(key, hash, keys.len() as u32), Err(()), "a key that is new");
                    keys.push(key);
                    slots.make_room(keys.len(), &keys, u32::MAX);
                }
            }
            for (number, batch) in all.chunks(ROWS).enumerate() {
                u64::hash(level::detect(), seed, batch, &mut hashes);
                for (row, (&key, &hash)) in batch.iter().zip(&hashes).enumerate() {
                    assert_eq!(slots.find(key, hash), Some((number * ROWS + row) as u32), "seed {seed}");
                }
            }
        }
    }
}
