//! Several keys of few bits together: an array over all words that they can make, from word to group number.
//!
//! ```text
//! (3, 'open' = 1, NULL) ─ packed ─▶ 0b11_01_1 ─▶ groups[27]
//! ```
//! No hash and no compare, as the dense mode has it for one integer.

use millstream_kernels::level::Level;

use super::layout::Layout;
use super::{DoesNotFit, EMPTY};
use crate::batch::{Argument, Column};
use crate::error::Result;

/// Keys of at most this many bits: 256 KiB of group numbers stay in L2.
pub(super) const BITS_MAX: u32 = 16;

#[derive(Debug)]
pub(super) struct Direct {
    layout: Layout,
    /// The group of each word, `EMPTY` where there is none.
    groups: Vec<u32>,
    /// The word of each group.
    keys: Vec<u64>,
    words: Vec<u64>,
}

impl Direct {
    /// An empty table.
    ///
    /// Panics: a layout of more than `BITS_MAX` bits.
    pub(super) fn new(layout: Layout) -> Self {
        assert!(layout.bits() <= BITS_MAX, "an array over all words is small");
        let groups = vec![EMPTY; 1 << layout.bits()];
        Direct { layout, groups, keys: Vec::new(), words: Vec::new() }
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
        let packed = self.layout.pack(level, keys, rows, &mut self.words)?;
        if packed.is_ok() {
            self.groups_of(groups);
        }
        Ok(packed)
    }

    /// The group of each row, `EMPTY` where there is none.
    pub(super) fn find(
        &mut self,
        level: Level,
        keys: &[Argument<'_>],
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<Result<(), DoesNotFit>> {
        let packed = self.layout.pack(level, keys, rows, &mut self.words)?;
        if packed.is_ok() {
            groups.extend(self.words.iter().map(|&word| self.groups[word as usize]));
        }
        Ok(packed)
    }

    /// Without a branch on whether a key is new, as in [`super::dense`]: the place behind the last key is written in any
    /// case, and counts if it was.
    fn groups_of(&mut self, groups: &mut Vec<u32>) {
        let mut count = self.keys.len();
        self.keys.resize(count + self.words.len() + 1, 0);
        let (places, keys) = (&mut self.groups[..], &mut self.keys[..]);
        let mask = places.len() - 1;
        groups.extend(self.words.iter().map(|&word| {
            let place = &mut places[word as usize & mask];
            let is_new = *place == EMPTY;
            let group = if is_new { count as u32 } else { *place };
            *place = group;
            keys[count] = word;
            count += usize::from(is_new);
            group
        }));
        self.keys.truncate(count);
    }

    pub(super) fn keys(&self, key: usize, groups: &[u32], out: &mut Column) -> Result<()> {
        self.layout.unpack(key, groups, false, |group| Some(self.keys[group as usize]), out)
    }

    /// Forgets all groups: few of them one by one, for a pane may hold a handful.
    pub(super) fn clear(&mut self) {
        if self.keys.len() < self.groups.len() / 16 {
            self.keys.iter().for_each(|&word| self.groups[word as usize] = EMPTY);
        } else {
            self.groups.fill(EMPTY);
        }
        self.keys.clear();
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.groups.capacity() * 4 + (self.keys.capacity() + self.words.capacity()) * 8
    }
}
