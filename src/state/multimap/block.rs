//! A block of rows in columns, in the order they came; rows go one by one, their memory all at once.

use millstream_kernels::bitmap;

use super::chains::Link;
use crate::state::column::{ColumnType, Incoming, Stored};

pub(super) const BLOCK_BITS: u32 = 12;
pub(super) const BLOCK_ROWS: usize = 1 << BLOCK_BITS;

/// Some rows.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) columns: Vec<Stored>,
    pub(super) links: Vec<Link>,
    /// Links by whole rows, where they can be taken back.
    pub(super) row_links: Vec<Link>,
    /// A count per row, where they are counted.
    pub(super) counts: Vec<u32>,
    /// When each row came, where rows are forgotten by their age.
    pub(super) stamps: Vec<i64>,
    /// A bit per row that is gone; empty while none is.
    gone: Vec<u64>,
    pub(super) rows: usize,
    /// Rows that are not gone.
    pub(super) live: usize,
    /// The lowest tick of the rows that are not gone.
    pub(super) lowest: i64,
    highest: i64,
    /// Most rows of a full block are before it.
    most: i64,
    /// Whether the values are given up; the links stay, for chains lead through them.
    pub(super) is_emptied: bool,
    /// Bytes of it that were counted when it was filled or emptied.
    pub(super) counted_bytes: usize,
}

impl Block {
    pub(super) fn new(columns: &[ColumnType], removable: bool) -> Self {
        let row_links = if removable { Vec::with_capacity(16) } else { Vec::new() };
        Block {
            columns: columns.iter().map(ColumnType::empty).collect(),
            links: Vec::new(),
            row_links,
            counts: Vec::new(),
            stamps: Vec::new(),
            gone: Vec::new(),
            rows: 0,
            live: 0,
            lowest: i64::MAX,
            highest: i64::MIN,
            most: i64::MAX,
            is_emptied: false,
            counted_bytes: 0,
        }
    }

    /// How many more rows fit.
    pub(super) fn room(&self) -> usize {
        if self.is_emptied { 0 } else { BLOCK_ROWS - self.rows }
    }

    pub(super) fn append(&mut self, columns: &[Incoming<'_>], rows: &[u16], counts: &[u32], time: Option<usize>) {
        for (stored, incoming) in self.columns.iter_mut().zip(columns) {
            stored.append(incoming, rows);
        }
        self.counts.extend_from_slice(counts);
        if let Some(time) = time {
            for &tick in &self.columns[time].ticks()[self.rows..] {
                self.lowest = self.lowest.min(tick);
                self.highest = self.highest.max(tick);
            }
        }
        self.rows += rows.len();
        self.live += rows.len();
    }

    /// Says that no more rows come.
    pub(super) fn close(&mut self, time: Option<usize>) {
        self.columns.iter_mut().for_each(Stored::shrink);
        if let Some(time) = time {
            let mut ticks = self.columns[time].ticks().to_vec();
            let at = ticks.len() - ticks.len() / 8 - 1;
            self.most = *ticks.select_nth_unstable(at).1;
        }
    }

    pub(super) fn is_gone(&self, place: usize) -> bool {
        self.is_emptied || (!self.gone.is_empty() && bitmap::get(&self.gone, place))
    }

    pub(super) fn mark_gone(&mut self, place: usize) {
        debug_assert!(!self.is_gone(place), "a row goes once");
        self.gone.resize(BLOCK_ROWS / 64, 0);
        self.gone[place / 64] |= 1 << (place % 64);
        self.live -= 1;
    }

    /// Whether many rows would go.
    pub(super) fn is_worth_expiring(&self, threshold: i64) -> bool {
        self.highest < threshold || (self.most < threshold && self.lowest <= self.most)
    }

    /// Marks rows before `threshold` as gone and tells each of them, with its count.
    pub(super) fn expire(&mut self, threshold: i64, time: usize, mut tell: impl FnMut(usize, u32)) {
        let mut lowest = i64::MAX;
        for place in 0..self.rows {
            if self.is_gone(place) {
                continue;
            }
            let tick = self.columns[time].ticks()[place];
            if tick < threshold {
                self.mark_gone(place);
                tell(place, self.counts.get(place).copied().unwrap_or(0));
            } else {
                lowest = lowest.min(tick);
            }
        }
        self.lowest = lowest;
    }

    /// Marks rows that came before `threshold` as gone and tells each of them, with its count; the stamp of the first that
    /// did not. Rows have come in the order of their stamps.
    pub(super) fn forget_before(&mut self, threshold: i64, mut tell: impl FnMut(usize, u32)) -> Option<i64> {
        for place in 0..self.rows {
            if self.is_gone(place) {
                continue;
            }
            if self.stamps[place] >= threshold {
                return Some(self.stamps[place]);
            }
            self.mark_gone(place);
            tell(place, self.counts.get(place).copied().unwrap_or(0));
        }
        None
    }

    /// Gives up the values.
    pub(super) fn empty(&mut self) {
        self.columns = Vec::new();
        self.counts = Vec::new();
        self.stamps = Vec::new();
        self.gone = Vec::new();
        self.row_links.shrink_to_fit();
        self.links.shrink_to_fit();
        self.is_emptied = true;
    }

    /// Corrects `total`, of which this block is a part.
    pub(super) fn recount(&mut self, total: &mut usize) {
        let bytes = self.size_bytes();
        *total = *total - self.counted_bytes + bytes;
        self.counted_bytes = bytes;
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.columns.iter().map(Stored::size_bytes).sum::<usize>()
            + (self.links.capacity() + self.row_links.capacity()) * size_of::<Link>()
            + self.counts.capacity() * 4
            + (self.gone.capacity() + self.stamps.capacity()) * 8
    }
}
