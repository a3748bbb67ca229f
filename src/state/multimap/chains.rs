//! Buckets of rows: the newest row of each, from which links lead to the older ones.

use std::collections::VecDeque;

use super::block::{BLOCK_BITS, Block};

/// No row.
pub(super) const NONE: u32 = u32::MAX;

const BUCKETS_MIN: usize = 64;

/// A row's place in its bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    hash: u32,
    /// The row before in the same bucket.
    pub(super) next: u32,
}

impl Link {
    /// Whether the row's hash may be this one.
    #[inline(always)]
    pub(super) fn is_of(self, hash: u64) -> bool {
        self.hash == short(hash)
    }

    /// A hash that gives the same link again.
    pub(super) fn hash(self) -> u64 {
        u64::from(self.hash) << 32
    }
}

#[inline(always)]
fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The newest row of each bucket.
#[derive(Debug, Default)]
pub(super) struct Chains {
    heads: Vec<u32>,
}

impl Chains {
    /// Whether `rows` rows want more buckets.
    pub(super) fn is_full(&self, rows: usize) -> bool {
        rows > self.heads.len()
    }

    /// Whether there are far more buckets than `rows` rows want.
    pub(super) fn is_wide(&self, rows: usize) -> bool {
        self.heads.len() > BUCKETS_MIN && self.heads.len() / 16 > rows
    }

    /// Makes room for `rows` rows; all of them must be linked again.
    pub(super) fn resize(&mut self, rows: usize) {
        let buckets = rows.next_power_of_two().max(BUCKETS_MIN);
        self.heads = vec![NONE; buckets];
    }

    /// Links the rows of all blocks again, from the oldest on.
    pub(super) fn relink(
        &mut self,
        blocks: &mut VecDeque<Block>,
        first: u32,
        links: impl Fn(&mut Block) -> &mut Vec<Link>,
    ) {
        for (index, block) in blocks.iter_mut().enumerate() {
            let base = (first + index as u32) << BLOCK_BITS;
            for place in 0..links(block).len() {
                if !block.is_gone(place) {
                    let link = links(block)[place];
                    links(block)[place] = self.push(link.hash(), base + place as u32);
                }
            }
        }
    }

    /// Makes `id` the newest row of its bucket.
    #[inline]
    pub(super) fn push(&mut self, hash: u64, id: u32) -> Link {
        let bucket = self.bucket(hash);
        let next = std::mem::replace(&mut self.heads[bucket], id);
        Link { hash: short(hash), next }
    }

    /// The newest row of a hash's bucket.
    #[inline]
    pub(super) fn head(&self, hash: u64) -> u32 {
        if self.heads.is_empty() { NONE } else { self.heads[self.bucket(hash)] }
    }

    pub(super) fn set_head(&mut self, hash: u64, id: u32) {
        let bucket = self.bucket(hash);
        self.heads[bucket] = id;
    }

    #[inline(always)]
    fn bucket(&self, hash: u64) -> usize {
        short(hash) as usize & (self.heads.len() - 1)
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.heads.capacity() * 4
    }
}
