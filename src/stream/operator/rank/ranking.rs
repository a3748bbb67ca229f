//! Ranks given to rows in order, and what a ranked row is.

use std::sync::Arc;

use super::RankShape;
use crate::pipeline::RankFunction;

/// A row that a key keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row {
    /// In columns, at a place; its group is known beside.
    At { group: u32, place: u32 },
    /// As bytes.
    Written(Written),
}

impl Row {
    pub fn written(&self) -> Option<&Written> {
        if let Row::Written(written) = self { Some(written) } else { None }
    }
}

/// A row written down with its place in the order: bytes that compare as the rows do, ties by all columns.
///
/// ```text
/// | ORDER BY keys | all columns of the row |
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written {
    bytes: Arc<[u8]>,
    /// How many of the bytes are ORDER BY keys.
    order_bytes: u32,
}

impl Written {
    pub fn new(order: &[u8], row: &[u8]) -> Self {
        let bytes: Vec<u8> = order.iter().chain(row).copied().collect();
        Written { bytes: bytes.into(), order_bytes: order.len() as u32 }
    }

    /// The bytes of the ORDER BY keys, and those of the row.
    pub fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.order_bytes as usize)
    }

    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + 2 * size_of::<usize>() + size_of::<Written>()
    }
}

/// A row that is shown, and its rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranked {
    pub rank: u64,
    pub row: Row,
}

/// Gives ranks to the rows of a key, which come in order.
pub(super) struct Ranking<'a> {
    shape: &'a RankShape,
    rows: u64,
    places: u64,
    rank: u64,
}

impl<'a> Ranking<'a> {
    pub fn new(shape: &'a RankShape) -> Self {
        Ranking { shape, rows: 0, places: 0, rank: 0 }
    }

    /// Ranks the next row, which has the place of the one before it or, `is_behind`, one of its own. Whether rows behind it
    /// may still be shown; `show` is called with the rank where this one is.
    pub fn add(&mut self, is_behind: bool, show: impl FnOnce(u64)) -> bool {
        let spec = &self.shape.spec;
        self.rows += 1;
        if is_behind || self.rows == 1 {
            self.places += 1;
            self.rank = if spec.function == RankFunction::DenseRank { self.places } else { self.rows };
        }
        if spec.function == RankFunction::RowNumber {
            self.rank = self.rows;
        }
        if self.rank > spec.last {
            return false;
        }
        if self.rank >= spec.first {
            show(self.rank);
        }
        true
    }
}
