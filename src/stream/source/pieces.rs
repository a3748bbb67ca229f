//! A scan whose pieces of work are known when it starts: workers take them one after the other.
//!
//! Invariants  pieces are handed out in order, each once; a partition without pieces does not exist.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Result;
use crate::pipeline::{Morsel, Progress, Reader, Scan, Take};

/// Opens the reader of a piece, when a worker takes it.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Reader>> + Send + Sync>;

/// A piece of a source partition: a file, a row group, a run of batches.
pub struct Piece {
    /// How many rows it holds, where that is known.
    pub rows: Option<usize>,
    pub open: Opener,
}

/// The running scan.
pub struct PieceScan {
    pieces: Vec<Numbered>,
    next: AtomicUsize,
    partitions: usize,
    progress: Arc<Progress>,
}

struct Numbered {
    partition: usize,
    sequence: u64,
    is_last: bool,
    open: Opener,
}

impl PieceScan {
    /// A scan of source partitions, each a list of pieces. With `fetch`, pieces behind that many rows are left out.
    pub fn new(partitions: Vec<Vec<Piece>>, fetch: Option<usize>, progress: Arc<Progress>) -> Self {
        let mut left = fetch.unwrap_or(usize::MAX);
        let mut pieces = Vec::new();
        let mut partition_count = 0;
        for partition in partitions {
            let first = pieces.len();
            for piece in partition {
                if left == 0 {
                    break;
                }
                let sequence = (pieces.len() - first) as u64;
                left -= piece.rows.unwrap_or_default().min(left);
                pieces.push(Numbered { partition: partition_count, sequence, is_last: false, open: piece.open });
            }
            if pieces.len() > first {
                pieces.last_mut().expect("just pushed").is_last = true;
                partition_count += 1;
            }
        }
        PieceScan { pieces, next: AtomicUsize::new(0), partitions: partition_count, progress }
    }
}

impl Scan for PieceScan {
    fn take(&self) -> Result<Take> {
        let Some(piece) = self.pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return Ok(Take::End) };
        let reader = (piece.open)()?;
        let Numbered { partition, sequence, is_last, .. } = *piece;
        Ok(Take::Morsel(Morsel { partition, sequence, is_last, reader }))
    }

    fn source_partitions(&self) -> usize {
        self.partitions
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }
}
