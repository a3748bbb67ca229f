//! Results of a batch by the text they came from: a function of few distinct texts is called once for each.
//!
//! Invariants  what is found is equal, not only alike. A batch starts by looking; if the first chunks find little, the
//!             rest of it does not look any more.

use super::argument::CHUNK;

const SLOTS: usize = 256;
/// The longest text that its view holds.
const INLINE: u32 = 12;

/// Rows by the text of an argument.
pub(super) struct Memo {
    /// Views with the row they were met in, by their hash; empty when off.
    slots: Vec<(u128, Option<u32>)>,
    asked: usize,
    found: usize,
}

impl Memo {
    pub(super) fn new(is_on: bool) -> Memo {
        Memo { slots: if is_on { vec![(0, None); SLOTS] } else { Vec::new() }, asked: 0, found: 0 }
    }

    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        !self.slots.is_empty()
    }

    /// The earlier row whose text is that of `view`; `same` compares the texts of two rows.
    pub(super) fn find(&mut self, view: u128, row: usize, same: impl Fn(usize, usize) -> bool) -> Option<usize> {
        self.asked += 1;
        let (known, at) = self.slots[slot(view)];
        let at = at? as usize;
        let is_long = view as u32 > INLINE;
        let is_same = known == view && (!is_long || same(row, at));
        self.found += usize::from(is_same);
        is_same.then_some(at)
    }

    /// Keeps the row of a new text.
    pub(super) fn keep(&mut self, view: u128, row: usize) {
        self.slots[slot(view)] = (view, Some(row as u32));
    }

    /// Gives up when fewer than half of the texts so far were known.
    pub(super) fn end_chunk(&mut self) {
        if self.asked >= CHUNK && self.found * 2 < self.asked {
            self.slots = Vec::new();
        }
    }
}

/// Where a view lies.
fn slot(view: u128) -> usize {
    let rest = (view >> 64) as u64;
    let mixed = (view as u64 ^ rest.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize
}
