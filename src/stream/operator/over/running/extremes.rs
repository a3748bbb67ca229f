//! The least and the greatest of a frame, by a queue of the values that may still be it.
//!
//! A value before another that is not greater is hopeless: it leaves the frame first. So the queue ascends, and its front
//! is the answer. A frame that only grows keeps one value. Source: Lemire 2006.

use super::queue::{Entry, Queues};
use super::words::Words;
use super::{Begin, InOrder, Results, Values};
use crate::error::Result;

/// A call of `min` or `max`, by partition.
pub(super) struct Extremes {
    pub words: Words,
    pub is_max: bool,
    pub begin: Begin,
    pub queues: Queues,
}

impl Extremes {
    /// The result of each row's frame.
    pub fn results(&mut self, rows: &InOrder<'_>, values: &Values) -> Result<Results> {
        self.queues.resize(rows.partition_count);
        let mut results = Results::with_capacity(rows.partitions.len());
        let positions = rows.positions(self.begin);
        rows.each(self.begin, |run| {
            let partition = rows.partitions[run.start];
            if let Some(positions) = positions {
                let first = self.begin.first(positions[run.start]);
                while self.queues.front(partition).is_some_and(|front| front.at < first) {
                    self.queues.pop_front(partition);
                }
            }
            for row in run.clone().filter(|&row| values.is_valid(row)) {
                self.enter(partition, Entry { at: positions.map_or(0, |at| at[row]), word: values.word(row) });
            }
            results.push(self.queues.front(partition).map(|front| front.word), run.len());
            Ok(())
        })?;
        Ok(results)
    }

    fn enter(&mut self, partition: u32, entry: Entry) {
        let rank = self.rank(entry.word);
        let grows = matches!(self.begin, Begin::Partition { .. });
        if grows && self.queues.front(partition).is_some_and(|front| self.rank(front.word) <= rank) {
            return;
        }
        while self.queues.back(partition).is_some_and(|back| self.rank(back.word) >= rank) {
            self.queues.pop_back(partition);
        }
        self.queues.push_back(partition, entry);
    }

    /// The greatest is the least of what descends.
    fn rank(&self, word: u64) -> i64 {
        let rank = self.words.rank(word);
        if self.is_max { !rank } else { rank }
    }
}
