//! A scan whose pieces of work are known when it starts: workers take them one after the other.
//!
//! Invariants  pieces are handed out in order, those of a lower turn first, each once; a partition without pieces does not exist. What has been read of
//!             a partition is a prefix of its rows whenever no piece is half read, or its only one is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::pipeline::{Morsel, Progress, Reader, RowPlace, Scan, SystemColumn, Take, same_partitions};

/// Opens the reader of a piece, when a worker takes it.
pub type Opener = Box<dyn Fn() -> Result<Box<dyn Reader>> + Send + Sync>;

/// A piece of a source partition: a file, a row group, a run of batches.
pub struct Piece {
    /// How many rows it holds, where that is known.
    pub rows: Option<usize>,
    /// Pieces with less come first, where it does not matter which is read when: 0 where it does.
    pub turn: u64,
    pub open: Opener,
}

/// The running scan.
pub struct PieceScan {
    pieces: RwLock<Vec<Numbered>>,
    next: AtomicUsize,
    /// Pieces before `next` that were passed over, in order: their partitions were not to be read yet.
    passed: Mutex<Vec<usize>>,
    /// Rows read of each partition.
    read: Vec<Arc<AtomicU64>>,
    /// Whether each partition is one piece.
    is_whole: bool,
    /// When the source got the rows of each partition of those it was made of, in milliseconds since 1970.
    times: Vec<Option<i64>>,
    /// Whether readers leave rows out that nobody wants, and so do not count them.
    has_gaps: bool,
    progress: Arc<Progress>,
}

struct Numbered {
    partition: usize,
    /// The number of its partition before those without pieces were left out.
    list: usize,
    sequence: u64,
    is_last: bool,
    rows: Option<usize>,
    turn: u64,
    /// Where its first row stands in the partition; right where the rows of all pieces before it are known.
    first: u64,
    /// Rows at its beginning that were read before.
    skip: u64,
    open: Opener,
}

impl PieceScan {
    /// A scan of source partitions, each a list of pieces. With `fetch`, pieces behind that many rows are left out.
    pub fn new(partitions: Vec<Vec<Piece>>, fetch: Option<usize>, progress: Arc<Progress>) -> Self {
        let mut left = fetch.unwrap_or(usize::MAX);
        let mut pieces = Vec::new();
        let mut partition_count = 0;
        for (list, partition) in partitions.into_iter().enumerate() {
            let (first, mut before) = (pieces.len(), 0);
            for Piece { rows, turn, open } in partition {
                if left == 0 {
                    break;
                }
                let sequence = (pieces.len() - first) as u64;
                left -= rows.unwrap_or_default().min(left);
                let (partition, first) = (partition_count, before);
                before += rows.unwrap_or_default() as u64;
                pieces.push(Numbered { partition, list, sequence, is_last: false, rows, turn, first, skip: 0, open });
            }
            if pieces.len() > first {
                pieces.last_mut().expect("just pushed").is_last = true;
                partition_count += 1;
            }
        }
        let is_whole = pieces.len() == partition_count;
        pieces.sort_by_key(|piece| piece.turn);
        let read = (0..partition_count).map(|_| Arc::default()).collect();
        let (pieces, next) = (RwLock::new(pieces), AtomicUsize::new(0));
        PieceScan {
            pieces,
            next,
            passed: Mutex::default(),
            read,
            is_whole,
            times: Vec::new(),
            has_gaps: false,
            progress,
        }
    }

    /// The same, where readers may leave out rows of a piece.
    #[must_use]
    pub fn with_gaps(mut self, has_gaps: bool) -> Self {
        self.has_gaps = has_gaps;
        self
    }

    /// The same, where it is known when each partition was written, in milliseconds since 1970.
    #[must_use]
    pub fn with_times(mut self, times: Vec<Option<i64>>) -> Self {
        self.times = times;
        self
    }
}

impl PieceScan {
    /// Opens a piece for the worker that takes it.
    fn begin(&self, piece: &Numbered) -> Result<Morsel> {
        let inner = (piece.open)()?;
        let Numbered { partition, list, sequence, is_last, first, skip, .. } = *piece;
        let place = RowPlace { next: first + skip, rows: 0, time: self.times.get(list).copied().flatten() };
        let (read, progress) = (self.read[partition].clone(), self.progress.clone());
        let reader = Box::new(Counting { inner, read, skip, place, progress });
        Ok(Morsel { partition, sequence, is_last, reader })
    }
}

impl Scan for PieceScan {
    fn take(&self) -> Result<Take> {
        let pieces = self.pieces.read().unwrap_or_else(PoisonError::into_inner);
        match pieces.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            Some(piece) => self.begin(piece).map(Take::Morsel),
            None => Ok(Take::End),
        }
    }

    fn take_of(&self, may: &dyn Fn(usize) -> bool) -> Result<Take> {
        let pieces = self.pieces.read().unwrap_or_else(PoisonError::into_inner);
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = passed.iter().position(|&at| may(pieces[at].partition)) {
            return self.begin(&pieces[passed.remove(at)]).map(Take::Morsel);
        }
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            match pieces.get(at) {
                Some(piece) if may(piece.partition) => return self.begin(piece).map(Take::Morsel),
                Some(_) => passed.push(at),
                None if passed.is_empty() => return Ok(Take::End),
                None => return Ok(Take::Pending),
            }
        }
    }

    fn source_partitions(&self) -> usize {
        self.read.len()
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn position(&self) -> Result<Vec<u64>> {
        if self.has_gaps {
            let message = "this query leaves rows out while it reads them, so that it cannot say where it stands";
            return Err(Error::user(format!("{message}; set Config::snapshots before it starts")));
        }
        Ok(self.read.iter().map(|read| read.load(Ordering::SeqCst)).collect())
    }

    /// Leaves out the pieces that were read; the last one of a partition stays, for its end has to be told.
    fn seek(&self, position: &[u64]) -> Result<()> {
        same_partitions(position, self.read.len())?;
        let mut pieces = self.pieces.write().unwrap_or_else(PoisonError::into_inner);
        let mut left = position.to_vec();
        let mut kept: Vec<Numbered> = Vec::new();
        for mut piece in pieces.drain(..) {
            let skip = &mut left[piece.partition];
            if *skip > 0 {
                let rows = match piece.rows {
                    Some(rows) => rows as u64,
                    None => count_rows(piece.open.as_ref(), *skip)?,
                };
                piece.skip = rows.min(*skip);
                *skip -= piece.skip;
                if piece.skip == rows && !piece.is_last {
                    continue;
                }
            }
            let same = kept.last().filter(|last| last.partition == piece.partition);
            piece.sequence = same.map_or(0, |last| last.sequence + 1);
            kept.push(piece);
        }
        *pieces = kept;
        if left.iter().any(|left| *left > 0) {
            return Err(Error::user("the source has fewer rows now than were read when the snapshot was taken"));
        }
        self.read.iter().zip(position).for_each(|(read, position)| read.store(*position, Ordering::SeqCst));
        Ok(())
    }

    fn stops_within(&self) -> bool {
        self.is_whole
    }
}

/// Rows of a piece, counted up to `enough` or a batch more.
fn count_rows(open: &(dyn Fn() -> Result<Box<dyn Reader>> + Send + Sync), enough: u64) -> Result<u64> {
    let (mut reader, mut batch, mut rows) = (open()?, Batch::default(), 0);
    while rows <= enough && reader.read(&mut batch)? {
        rows += batch.rows as u64;
        batch.clear();
    }
    Ok(rows)
}

/// Counts the rows read, and leaves the first ones out.
struct Counting {
    inner: Box<dyn Reader>,
    read: Arc<AtomicU64>,
    skip: u64,
    place: RowPlace,
    progress: Arc<Progress>,
}

impl Reader for Counting {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            if !self.inner.read(batch)? {
                return Ok(false);
            }
            let skipped = self.skip.min(batch.rows as u64) as usize;
            if skipped > 0 {
                self.skip -= skipped as u64;
                self.progress.rows.fetch_sub(skipped as u64, Ordering::Relaxed);
                if skipped == batch.rows {
                    batch.clear();
                    continue;
                }
                cut_front(batch, skipped)?;
            }
            self.read.fetch_add(batch.rows as u64, Ordering::SeqCst);
            self.place.pass(batch.rows);
            return Ok(true);
        }
    }

    fn place(&self, row: usize) -> Option<String> {
        self.inner.place(row)
    }

    fn system(&self, column: SystemColumn) -> Option<Column> {
        self.place.column(column)
    }

    fn latest(&self) -> Result<Option<i64>> {
        self.inner.latest()
    }

    fn watermark(&self) -> Option<i64> {
        self.inner.watermark()
    }
}

/// Takes the first `rows` rows of a batch away, all of whose rows count.
pub(super) fn cut_front(batch: &mut Batch, rows: usize) -> Result<()> {
    for column in &mut batch.columns {
        match column {
            Column::Array(array) => *array = array.slice(rows, array.len() - rows),
            Column::Dictionary(dictionary) => {
                let left: Vec<u16> = (rows..batch.rows).map(|row| row as u16).collect();
                *dictionary = dictionary.gather(&left)?;
            }
            Column::Constant(_) => {}
            Column::Flat(_) => {
                let left: Vec<u16> = (rows..batch.rows).map(|row| row as u16).collect();
                let mut rest = Column::default();
                column.gather_into(&left, &mut rest)?;
                *column = rest;
            }
        }
    }
    batch.rows -= rows;
    Ok(())
}
