//! Keys of at most 64 or 128 bits in an open-addressing table with linear probing.
//!
//! ```text
//! slot   key word | group number        linear probing, load at most 1/2, at most 1/8 while slots fit L1
//! ```
//! A batch is packed and hashed as a whole, then probed row by row; slots of large tables are asked for ahead of time.

use millstream_kernels::level::Level;
use millstream_kernels::probe;

use super::layout::{Layout, Word};
use super::{DoesNotFit, EMPTY};
use crate::batch::{Argument, Column};
use crate::error::Result;

const SLOTS_MIN: usize = 1 << 10;
/// While there are at most this many slots, one in eight is used: probes are short and everything is in L1.
const SLOTS_SPARSE_MAX: usize = 1 << 13;
/// From this many slots on, a probe misses L2 often enough to ask ahead.
const SLOTS_PREFETCH_MIN: usize = 1 << 16;
/// How many rows ahead a slot is asked for.
const PREFETCH_ROWS: usize = 16;

#[derive(Debug)]
pub(super) struct Packed<W> {
    layout: Layout,
    seed: u64,
    slots: Vec<Slot<W>>,
    /// Key word of each group.
    keys: Vec<W>,
    /// The group of NULL, for single keys; their words have no room for it.
    null_group: u32,
    words: Vec<W>,
    hashes: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Slot<W> {
    key: W,
    group: u32,
}

impl<W: Word> Packed<W> {
    pub(super) fn new(layout: Layout, seed: u64) -> Self {
        let slots = vec![Slot { key: W::default(), group: EMPTY }; SLOTS_MIN];
        Packed { layout, seed, slots, keys: Vec::new(), null_group: EMPTY, words: Vec::new(), hashes: Vec::new() }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn lookup(
        &mut self,
        level: Level,
        keys: &[Argument<'_>],
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<Result<(), DoesNotFit>> {
        let mut words = std::mem::take(&mut self.words);
        let mut hashes = std::mem::take(&mut self.hashes);
        let packed = self.layout.pack(keys, rows, &mut words);
        if let Ok(Ok(())) = packed {
            W::hash(level, self.seed, &words, &mut hashes);
            let apart = self.layout.is_single() && (keys[0].validity().is_some() || keys[0].constant_is_null());
            if apart {
                self.probe_with_nulls(&keys[0], &words, &hashes, groups);
            } else {
                self.probe(&words, &hashes, groups);
            }
        }
        self.words = words;
        self.hashes = hashes;
        packed
    }

    /// The group of each row, `EMPTY` where there is none.
    pub(super) fn find(
        &mut self,
        level: Level,
        keys: &[Argument<'_>],
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<Result<(), DoesNotFit>> {
        let mut words = std::mem::take(&mut self.words);
        let mut hashes = std::mem::take(&mut self.hashes);
        let packed = self.layout.pack(keys, rows, &mut words);
        if let Ok(Ok(())) = packed {
            W::hash(level, self.seed, &words, &mut hashes);
            self.find_all(&words, &hashes, groups);
            let apart = self.layout.is_single() && (keys[0].validity().is_some() || keys[0].constant_is_null());
            if apart {
                for (row, group) in groups.iter_mut().enumerate() {
                    *group = if keys[0].is_null(row) { self.null_group } else { *group };
                }
            }
        }
        self.words = words;
        self.hashes = hashes;
        packed
    }

    fn find_all(&self, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        groups.reserve(words.len());
        let shift = level_shift(self.slots.len());
        let ahead = self.slots.len() >= SLOTS_PREFETCH_MIN;
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            if ahead && let Some(&next) = hashes.get(row + PREFETCH_ROWS) {
                probe::prefetch(&self.slots, (next >> shift) as usize);
            }
            groups.push(self.find_one(shift, word, hash));
        }
    }

    #[inline(always)]
    fn find_one(&self, shift: u32, word: W, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> shift) as usize & mask;
        loop {
            let slot = self.slots[at & mask];
            if slot.key == word || slot.group == EMPTY {
                return slot.group;
            }
            at += 1;
        }
    }

    fn probe(&mut self, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        groups.reserve(words.len());
        if self.slots.len() < SLOTS_PREFETCH_MIN {
            for (&word, &hash) in words.iter().zip(hashes) {
                groups.push(self.find_or_insert(level_shift(self.slots.len()), word, hash));
            }
            return;
        }
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            if let Some(&ahead) = hashes.get(row + PREFETCH_ROWS) {
                probe::prefetch(&self.slots, (ahead >> level_shift(self.slots.len())) as usize);
            }
            groups.push(self.find_or_insert(level_shift(self.slots.len()), word, hash));
        }
    }

    fn probe_with_nulls(&mut self, key: &Argument<'_>, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            let group = if key.is_null(row) {
                self.null_group()
            } else {
                self.find_or_insert(level_shift(self.slots.len()), word, hash)
            };
            groups.push(group);
        }
    }

    fn null_group(&mut self) -> u32 {
        if self.null_group == EMPTY {
            self.null_group = self.keys.len() as u32;
            self.keys.push(W::default());
        }
        self.null_group
    }

    #[inline(always)]
    fn find_or_insert(&mut self, shift: u32, word: W, hash: u64) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> shift) as usize & mask;
        loop {
            let slot = self.slots[at & mask];
            if slot.key == word && slot.group != EMPTY {
                return slot.group;
            }
            if slot.group == EMPTY {
                return self.insert(at & mask, word);
            }
            at += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, at: usize, word: W) -> u32 {
        let group = self.keys.len() as u32;
        self.slots[at] = Slot { key: word, group };
        self.keys.push(word);
        let sparse = self.slots.len() <= SLOTS_SPARSE_MAX;
        if self.keys.len() * if sparse { 8 } else { 2 } > self.slots.len() {
            self.grow();
        }
        group
    }

    fn grow(&mut self) {
        let slots = self.slots.len() * if self.slots.len() <= SLOTS_SPARSE_MAX { 4 } else { 2 };
        self.slots.clear();
        self.slots.resize(slots, Slot { key: W::default(), group: EMPTY });
        let mut hashes = Vec::new();
        let (shift, mask) = (level_shift(slots), slots - 1);
        for (piece, words) in self.keys.chunks(4096).enumerate() {
            W::hash(millstream_kernels::level::detect(), self.seed, words, &mut hashes);
            for (i, (&word, &hash)) in words.iter().zip(&hashes).enumerate() {
                let group = (piece * 4096 + i) as u32;
                if group == self.null_group {
                    continue;
                }
                let mut at = (hash >> shift) as usize & mask;
                while self.slots[at].group != EMPTY {
                    at = (at + 1) & mask;
                }
                self.slots[at] = Slot { key: word, group };
            }
        }
    }

    pub(super) fn keys(&self, key: usize, groups: &[u32], out: &mut Column) -> Result<()> {
        let word = |group| (group != self.null_group).then(|| self.keys[group as usize]);
        self.layout.unpack(key, groups, word, out)
    }

    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot { key: W::default(), group: EMPTY });
        self.keys.clear();
        self.null_group = EMPTY;
    }

    pub(super) fn size_bytes(&self) -> usize {
        let word = size_of::<W>();
        self.slots.capacity() * size_of::<Slot<W>>()
            + (self.keys.capacity() + self.words.capacity()) * word
            + self.hashes.capacity() * 8
    }
}

/// How far a hash is shifted so that its highest bits number the slots.
#[inline(always)]
fn level_shift(slots: usize) -> u32 {
    64 - slots.trailing_zeros()
}
