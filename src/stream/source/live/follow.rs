//! What a follower of a table gets: the commits that it has not taken yet, one after the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Changes, Live};
use crate::batch::{Batch, Change, Column};
use crate::error::{Error, Result};
use crate::pipeline::{Morsel, Progress, Reader, Scan, ScanRequest, SystemColumn, Take, same_partitions};

#[derive(Default)]
pub(super) struct Queue {
    /// Commits, or their rows of each source partition; what was there at the beginning has number 0.
    pub(super) commits: VecDeque<Entry>,
    pub(super) rows: usize,
    /// How many entries of each source partition were taken.
    pub(super) taken: Vec<u64>,
    pub(super) is_gone: bool,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) partition: usize,
    /// None where there is nothing to tell but the watermark.
    pub(super) changes: Option<Changes>,
    /// The watermark behind its rows.
    pub(super) watermark: Option<i64>,
}

/// A follower's scan: the source partitions of what passes by, else one; a commit's rows of one are a morsel, one at a time.
pub(super) struct Following {
    live: Arc<Live>,
    queue: Arc<Mutex<Queue>>,
    projection: Arc<[usize]>,
    batch_rows: usize,
    progress: Arc<Progress>,
    state: Mutex<Vec<Turn>>,
}

/// Where a source partition stands.
#[derive(Default, Clone)]
struct Turn {
    sequence: u64,
    has_ended: bool,
}

impl Following {
    /// Begins to follow a table.
    pub(super) fn new(live: &Arc<Live>, request: &ScanRequest) -> Result<Self> {
        Ok(Following {
            queue: live.follow()?,
            live: live.clone(),
            projection: request.projection.clone().into(),
            batch_rows: request.batch_rows,
            progress: Arc::default(),
            state: Mutex::new(vec![Turn::default(); live.source_partitions()]),
        })
    }
}

impl Scan for Following {
    fn take(&self) -> Result<Take> {
        self.take_of(&|_| true)
    }

    fn take_of(&self, may: &dyn Fn(usize) -> bool) -> Result<Take> {
        let mut turns = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.iter().all(|turn| turn.has_ended) || self.progress.stopped.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(Take::End);
        }
        let live = self.live.lock();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_visible = |entry: &Entry| live.frozen_at.is_none_or(|frozen| entry.number <= frozen);
        let next_to_end = |has_ended: &dyn Fn(usize) -> bool| {
            (0..turns.len()).find(|&partition| !turns[partition].has_ended && has_ended(partition) && may(partition))
        };
        let next = queue.commits.iter().position(|entry| may(entry.partition));
        let (partition, rows, watermark, is_last) = match next {
            Some(at) if is_visible(&queue.commits[at]) => {
                let Entry { partition, changes, watermark, .. } = queue.commits.remove(at).expect("looked at above");
                queue.rows -= changes.as_ref().map_or(0, |(rows, _)| rows.num_rows());
                queue.taken.resize(turns.len(), 0);
                queue.taken[partition] += 1;
                (partition, changes, watermark, false)
            }
            Some(_) => return Ok(Take::Pending),
            None if !queue.commits.is_empty() => return Ok(Take::Pending),
            None => {
                let ended = match &live.end {
                    Some(Err(error)) => {
                        return Err(error.again().context(format!("{} has failed", self.live.name)));
                    }
                    Some(Ok(())) => next_to_end(&|_| true),
                    None => next_to_end(&|partition| live.ended[partition]),
                };
                let Some(partition) = ended else { return Ok(Take::Pending) };
                (partition, None, None, true)
            }
        };
        drop(queue);
        drop(live);
        self.live.moved.notify_all();
        let turn = &mut turns[partition];
        turn.has_ended = is_last;
        turn.sequence += 1;
        let reader = CommitReader {
            live: self.live.clone(),
            rows,
            watermark,
            done: 0,
            last: 0,
            projection: self.projection.clone(),
            batch_rows: self.batch_rows,
            progress: self.progress.clone(),
        };
        Ok(Take::Morsel(Morsel { partition, sequence: turn.sequence - 1, is_last, reader: Box::new(reader) }))
    }

    fn source_partitions(&self) -> usize {
        self.live.source_partitions()
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn position(&self) -> Result<Vec<u64>> {
        let mut taken = self.queue.lock().unwrap_or_else(PoisonError::into_inner).taken.clone();
        taken.resize(self.source_partitions(), 0);
        Ok(taken)
    }

    fn seek(&self, position: &[u64]) -> Result<()> {
        same_partitions(position, self.source_partitions())?;
        Err(Error::user(format!(
            "{} is kept in memory and follows nothing from before; its queries begin anew",
            self.live.name
        )))
    }

    /// The entries there are, as far as it may see them.
    fn offered(&self) -> Option<u64> {
        let live = self.live.lock();
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = queue.commits.iter().filter(|entry| live.frozen_at.is_none_or(|frozen| entry.number <= frozen));
        Some(queue.taken.iter().sum::<u64>() + seen.count() as u64)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_gone = true;
        self.live.moved.notify_all();
    }
}

struct CommitReader {
    live: Arc<Live>,
    rows: Option<Changes>,
    /// Behind its rows.
    watermark: Option<i64>,
    done: usize,
    /// How many rows the last batch had.
    last: usize,
    projection: Arc<[usize]>,
    batch_rows: usize,
    progress: Arc<Progress>,
}

impl Reader for CommitReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        let Some((rows, changes)) = &self.rows else { return Ok(false) };
        let mut count = self.batch_rows.max(2).min(rows.num_rows() - self.done);
        if count == 0 {
            return Ok(false);
        }
        // Halves of an update stay side by side.
        let end = self.done + count;
        if let Some(changes) = changes
            && end < rows.num_rows()
            && changes[end - 1] == Change::UPDATE_BEFORE
        {
            count -= 1;
        }
        batch.columns.resize_with(self.projection.len(), Column::default);
        for (slot, &column) in batch.columns.iter_mut().zip(self.projection.iter()) {
            *slot = Column::Array(rows.column(column).slice(self.done, count));
        }
        batch.rows = count;
        batch.changes = changes.as_ref().map(|changes| changes[self.done..self.done + count].to_vec());
        self.done += count;
        self.last = count;
        self.progress.add_rows(count);
        Ok(true)
    }

    fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    fn system(&self, column: SystemColumn) -> Option<Column> {
        let (rows, _) = self.rows.as_ref()?;
        let place = self.live.system().iter().position(|known| *known == column)?;
        let column = rows.column(self.live.schema.fields().len() + place);
        Some(Column::Array(column.slice(self.done - self.last, self.last)))
    }
}
