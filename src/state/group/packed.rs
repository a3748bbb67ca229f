//! Keys of at most 64 or 128 bits in an open-addressing table with linear probing.
//!
//! ```text
//! slot   key word | group number        linear probing, load about 1/2 at most, 1/8 while slots fit L1
//! ```
//! A batch is packed and hashed as a whole, then probed row by row; slots of large tables are asked for ahead of time.
//! The slots are in `slots.rs`.

use millstream_kernels::level::Level;

use super::layout::{Layout, Word};
use super::slots::Slots;
use super::{DoesNotFit, EMPTY};
use crate::batch::{Argument, Column, held_bytes, make_room};
use crate::error::Result;

/// From this many slots on, a probe misses L2 often enough to ask ahead.
const SLOTS_PREFETCH_MIN: usize = 1 << 16;
/// How many rows ahead a slot is asked for.
const PREFETCH_ROWS: usize = 16;

#[derive(Debug)]
pub(super) struct Packed<W> {
    layout: Layout,
    seed: u64,
    slots: Slots<W>,
    /// Key word of each group.
    keys: Vec<W>,
    /// The group of NULL, for single keys; their words have no room for it.
    null_group: u32,
    words: Vec<W>,
    hashes: Vec<u64>,
}

impl<W: Word> Packed<W> {
    pub(super) fn new(layout: Layout, seed: u64) -> Self {
        let slots = Slots::new(seed);
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
        self.slots.keep_moving(rows);
        let packed = self.layout.pack(level, keys, rows, &mut words);
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
        let packed = self.layout.pack(level, keys, rows, &mut words);
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
        let ahead = self.slots.count() >= SLOTS_PREFETCH_MIN;
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            if ahead && let Some(&next) = hashes.get(row + PREFETCH_ROWS) {
                self.slots.prefetch(next);
            }
            groups.push(self.slots.find(word, hash).unwrap_or(EMPTY));
        }
    }

    fn probe(&mut self, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        groups.reserve(words.len());
        if self.slots.count() < SLOTS_PREFETCH_MIN {
            for (&word, &hash) in words.iter().zip(hashes) {
                groups.push(self.find_or_insert(word, hash));
            }
            return;
        }
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            if let Some(&ahead) = hashes.get(row + PREFETCH_ROWS) {
                self.slots.prefetch(ahead);
            }
            groups.push(self.find_or_insert(word, hash));
        }
    }

    fn probe_with_nulls(&mut self, key: &Argument<'_>, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            let group = if key.is_null(row) { self.null_group() } else { self.find_or_insert(word, hash) };
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
    fn find_or_insert(&mut self, word: W, hash: u64) -> u32 {
        let next = self.keys.len() as u32;
        match self.slots.find_or_insert(word, hash, next) {
            Ok(group) => group,
            Err(()) => {
                self.added(word);
                next
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn added(&mut self, word: W) {
        let count = self.keys.len() + 1;
        make_room(&mut self.keys, count);
        self.keys.push(word);
        self.slots.make_room(self.keys.len(), &self.keys, self.null_group);
    }

    /// Which share of the slots is taken, and how many a lookup looks at.
    pub(super) fn load(&self) -> (f64, f64) {
        (self.keys.len() as f64 / self.slots.count() as f64, self.slots.probes(&self.keys))
    }

    pub(super) fn keys(&self, key: usize, groups: &[u32], out: &mut Column) -> Result<()> {
        let word = |group| (group != self.null_group).then(|| self.keys[group as usize]);
        self.layout.unpack(key, groups, word, out)
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.keys.clear();
        self.null_group = EMPTY;
    }

    pub(super) fn size_bytes(&self) -> usize {
        let word = size_of::<W>();
        self.slots.size_bytes() + held_bytes(&self.keys) + self.words.capacity() * word + self.hashes.capacity() * 8
    }
}
