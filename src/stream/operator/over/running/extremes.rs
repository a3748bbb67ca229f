//! The least and the greatest of a frame, by a queue of the values that may still be it.
//!
//! A value before another that is not greater is hopeless: it leaves the frame first. So the queue ascends, and its front
//! is the answer. A frame that only grows keeps one value. Source: Lemire 2006.

use super::queue::{Entry, Queues};
use super::reach::{Gate, Reach};
use super::words::Words;
use super::{InOrder, Results, Values};
use crate::error::Result;

/// A call of `min` or `max`, by partition.
pub(super) struct Extremes {
    pub words: Words,
    pub is_max: bool,
    pub reach: Reach,
    pub gate: Gate,
    pub queues: Queues,
}

impl Extremes {
    pub fn new(words: Words, is_max: bool, reach: Reach) -> Self {
        Extremes { words, is_max, reach, gate: Gate::default(), queues: Queues::default() }
    }

    /// The result of each row's frame.
    pub fn results(&mut self, rows: &InOrder<'_>, values: &Values) -> Result<Results<u64>> {
        self.resize(rows.partition_count);
        let Extremes { reach, gate, queues, words, is_max } = self;
        let (reach, order, places) = (*reach, Order { words: *words, is_max: *is_max }, rows.places(reach.begin));
        let mut results = Results::with_capacity(rows.partitions.len());
        rows.each(reach.begin, |run| {
            let (partition, place) = (rows.partitions[run.start], places[run.start]);
            if reach.begin.slides() {
                let first = reach.begin.first(place);
                while queues.front(partition).is_some_and(|front| front.at < first) {
                    queues.pop_front(partition);
                }
            }
            let mut enter = |entry| order.enter(queues, partition, entry, !reach.begin.slides());
            for row in run.clone().filter(|&row| values.is_valid(row)) {
                gate.come(reach, partition, Entry { at: places[row], word: values.word(row) }, &mut enter);
            }
            gate.open(reach, partition, place, &mut enter);
            results.push(queues.front(partition).map(|front| front.word), run.len());
            Ok(())
        })?;
        Ok(results)
    }

    pub fn resize(&mut self, count: usize) {
        self.queues.resize(count);
        self.gate.resize(self.reach, count);
    }

    /// Keeps these partitions only, ascending.
    pub fn keep(&mut self, left: &[u32]) {
        self.queues.keep(left);
        self.gate.keep(left);
    }

    pub fn clear(&mut self, partition: u32) {
        self.queues.clear(partition);
        self.gate.clear(partition);
    }
}

/// Which of two values is the better one.
#[derive(Clone, Copy)]
struct Order {
    words: Words,
    is_max: bool,
}

impl Order {
    /// `grows`: no row leaves the frame.
    fn enter(self, queues: &mut Queues, partition: u32, entry: Entry, grows: bool) {
        let rank = self.rank(entry.word);
        if grows && queues.front(partition).is_some_and(|front| self.rank(front.word) <= rank) {
            return;
        }
        while queues.back(partition).is_some_and(|back| self.rank(back.word) >= rank) {
            queues.pop_back(partition);
        }
        queues.push_back(partition, entry);
    }

    /// The greatest is the least of what descends.
    fn rank(self, word: u64) -> i64 {
        let rank = self.words.rank(word);
        if self.is_max { !rank } else { rank }
    }
}
