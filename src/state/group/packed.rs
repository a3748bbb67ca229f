//! Keys of at most 64 or 128 bits in an open-addressing table with linear probing.
//!
//! ```text
//! slot   half of the hash | group number       see `tags.rs`
//! group  key word
//! ```
//! A batch is packed and hashed as a whole, then probed row by row; slots of large tables, then the words of the groups
//! in them, are asked for ahead of time. The half of a hash that a slot holds is the key itself in another order where
//! words have at most 32 bits: then no word is looked at.

use millstream_kernels::level::Level;
use millstream_kernels::probe;

use super::layout::{Layout, Word};
use super::tags::{Place, Tags};
use super::{DoesNotFit, EMPTY};
use crate::batch::{Argument, Column, held_bytes, make_room};
use crate::error::Result;

/// From this many slots on, a probe misses L2 often enough to ask ahead; in tests much sooner, so that they see it.
const SLOTS_PREFETCH_MIN: usize = if cfg!(test) { 1 << 12 } else { 1 << 16 };
/// How many rows ahead a group's word is asked for; a slot twice as many.
const PREFETCH_ROWS: usize = 16;
/// Rows that are looked up with room for as many new groups.
const PIECE_ROWS: usize = 1024;
/// Keys hashed at once where words get another layout.
const PIECE: usize = 4096;

#[derive(Debug)]
pub(super) struct Packed<W> {
    layout: Layout,
    seed: u64,
    slots: Tags,
    /// Key word of each group.
    keys: Vec<W>,
    /// The group of NULL, for single keys; their words have no room for it.
    null_group: u32,
    words: Vec<W>,
    hashes: Vec<u64>,
}

impl Packed<u64> {
    /// The same groups with their words in another layout, which holds them all. No key is compared: they are all
    /// different, and keep their numbers.
    pub(super) fn relaid(&self, level: Level, layout: Layout) -> Self {
        let moves = self.layout.moves_to(&layout);
        let mut moved = Packed::new(layout, self.seed);
        moved.slots = Tags::with_room(self.keys.len());
        make_room(&mut moved.keys, self.keys.len());
        moved.keys.extend(self.keys.iter().map(|&word| moves.iter().fold(0, |to, field| to | field.of(word))));
        moved.null_group = self.null_group;
        let mut hashes = Vec::new();
        for (piece, words) in moved.keys.chunks(PIECE).enumerate() {
            moved.hash(level, words, &mut hashes);
            for (group, &hash) in (piece * PIECE..).zip(&hashes) {
                if group as u32 != self.null_group {
                    moved.slots.put(hash, group as u32);
                }
            }
        }
        moved
    }
}

impl<W: Word> Packed<W> {
    pub(super) fn new(layout: Layout, seed: u64) -> Self {
        let slots = Tags::new();
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
            self.hash(level, &words, &mut hashes);
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
            self.hash(level, &words, &mut hashes);
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

    /// Whether a hash of 32 bits tells all words apart.
    fn is_exact(&self) -> bool {
        W::HASHES_EXACTLY && self.layout.bits() <= u32::BITS
    }

    fn hash(&self, level: Level, words: &[W], hashes: &mut Vec<u64>) {
        if self.is_exact() {
            W::hash_exactly(level, self.seed, words, hashes);
        } else {
            W::hash(level, self.seed, words, hashes);
        }
    }

    fn find_all(&self, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        groups.reserve(words.len());
        let ahead = self.slots.count() >= SLOTS_PREFETCH_MIN;
        let is_exact = self.is_exact();
        groups.extend(words.iter().zip(hashes).enumerate().map(|(row, (&word, &hash))| {
            if ahead {
                self.ask_ahead(hashes, row, is_exact);
            }
            self.slots.find(hash, |group| is_exact || self.keys[group as usize] == word).unwrap_or(EMPTY)
        }));
    }

    fn probe(&mut self, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        groups.resize(words.len(), EMPTY);
        match (self.is_exact(), self.slots.count() >= SLOTS_PREFETCH_MIN) {
            (true, false) => self.probe_near::<true>(words, hashes, groups),
            (true, true) => self.probe_far::<true>(words, hashes, groups),
            (false, false) => self.probe_near::<false>(words, hashes, groups),
            (false, true) => self.probe_far::<false>(words, hashes, groups),
        }
    }

    /// In a table that caches hold.
    fn probe_near<const EXACT: bool>(&mut self, words: &[W], hashes: &[u64], groups: &mut [u32]) {
        let mut row = 0;
        loop {
            row = self.known::<EXACT>(words, hashes, groups, row);
            let (Some(&word), Some(group)) = (words.get(row), groups.get_mut(row)) else { return };
            *group = self.find_or_insert::<EXACT>(word, hashes[row]);
            row += 1;
        }
    }

    /// Writes the groups of the rows from `from` on up to one whose key is new, and returns that row. A loop of its own:
    /// nothing changes in it, so that all of the table's parts stay in registers.
    #[inline(always)]
    fn known<const EXACT: bool>(&self, words: &[W], hashes: &[u64], groups: &mut [u32], from: usize) -> usize {
        let Some(slots) = self.slots.settled() else { return from };
        let groups = &mut groups[..words.len()];
        let keys = &self.keys[..];
        for (past, (&word, &hash)) in words[from..].iter().zip(&hashes[from..]).enumerate() {
            match slots.find(hash, |group| EXACT || keys[group as usize] == word) {
                Some(group) => groups[from + past] = group,
                None => return from + past,
            }
        }
        words.len()
    }

    /// In a table that is far away: there, many keys are new.
    fn probe_far<const EXACT: bool>(&mut self, words: &[W], hashes: &[u64], groups: &mut [u32]) {
        for from in (0..words.len()).step_by(PIECE_ROWS) {
            let to = words.len().min(from + PIECE_ROWS);
            if !self.find_or_insert_all::<EXACT>(words, hashes, groups, from, to) {
                for row in from..to {
                    self.ask_ahead(hashes, row, EXACT);
                    groups[row] = self.find_or_insert::<EXACT>(words[row], hashes[row]);
                }
            }
        }
    }

    /// Writes the groups of the rows `from..to`, with room made for all of their keys before, so that nothing grows on the way;
    /// `false`: the table is moving, and nothing is done.
    #[inline(always)]
    fn find_or_insert_all<const EXACT: bool>(
        &mut self,
        words: &[W],
        hashes: &[u64],
        groups: &mut [u32],
        from: usize,
        to: usize,
    ) -> bool {
        let mut count = self.keys.len();
        let most = count + to - from;
        let Some(mut slots) = self.slots.open(most) else { return false };
        make_room(&mut self.keys, most + 1);
        self.keys.resize(most + 1, W::default());
        let keys = &mut self.keys[..];
        let rows = words[from..to].iter().zip(&hashes[from..to]).zip(&mut groups[from..to]);
        for (row, ((&word, &hash), group)) in (from..).zip(rows) {
            if let Some(&ahead) = hashes.get(row + 2 * PREFETCH_ROWS) {
                slots.prefetch(ahead);
            }
            if !EXACT && let Some(&ahead) = hashes.get(row + PREFETCH_ROWS) {
                probe::prefetch(keys, slots.first_guess_or(ahead, count));
            }
            *group = match slots.find(hash, |group| EXACT || keys[group as usize] == word) {
                Ok(group) => group,
                Err(at) => {
                    let new = count as u32;
                    slots.insert(at, hash, new);
                    keys[count] = word;
                    count += 1;
                    new
                }
            };
        }
        self.keys.truncate(count);
        true
    }

    /// Asks for what rows further on will look at.
    #[inline(always)]
    fn ask_ahead(&self, hashes: &[u64], row: usize, is_exact: bool) {
        if let Some(&hash) = hashes.get(row + 2 * PREFETCH_ROWS) {
            self.slots.prefetch(hash);
        }
        if !is_exact
            && let Some(&hash) = hashes.get(row + PREFETCH_ROWS)
            && let Some(group) = self.slots.first_guess(hash)
        {
            probe::prefetch(&self.keys, group as usize);
        }
    }

    fn probe_with_nulls(&mut self, key: &Argument<'_>, words: &[W], hashes: &[u64], groups: &mut Vec<u32>) {
        let is_exact = self.is_exact();
        for (row, (&word, &hash)) in words.iter().zip(hashes).enumerate() {
            let group = if key.is_null(row) {
                self.null_group()
            } else if is_exact {
                self.find_or_insert::<true>(word, hash)
            } else {
                self.find_or_insert::<false>(word, hash)
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
    fn find_or_insert<const EXACT: bool>(&mut self, word: W, hash: u64) -> u32 {
        match self.slots.find(hash, |group| EXACT || self.keys[group as usize] == word) {
            Ok(group) => group,
            Err(place) => self.insert(place, word, hash),
        }
    }

    #[cold]
    #[inline(never)]
    fn insert(&mut self, place: Place, word: W, hash: u64) -> u32 {
        let group = self.keys.len() as u32;
        make_room(&mut self.keys, group as usize + 1);
        self.keys.push(word);
        self.slots.insert(place, hash, group);
        group
    }

    /// Which share of the slots is taken, and how many a lookup looks at.
    pub(super) fn load(&self) -> (f64, f64) {
        (self.keys.len() as f64 / self.slots.count() as f64, self.slots.probes())
    }

    pub(super) fn keys(&self, key: usize, groups: &[u32], out: &mut Column) -> Result<()> {
        if self.null_group == EMPTY {
            return self.layout.unpack(key, groups, false, |group| Some(self.keys[group as usize]), out);
        }
        let word = |group| (group != self.null_group).then(|| self.keys[group as usize]);
        self.layout.unpack(key, groups, true, word, out)
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
