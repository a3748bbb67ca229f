//! The value so many rows before.

use super::queue::{Entry, Queues};
use super::reach::Begin;
use super::words::Words;
use super::{InOrder, Results, Values};
use crate::error::Result;

/// A call, by partition.
pub(super) struct Lag {
    pub words: Words,
    /// Rows before the row, 0 or more.
    pub offset: i64,
    /// Where there is no such row.
    pub default: Option<u64>,
    /// The last rows: an entry stands at twice its row's number, and one more if it has a value.
    pub queues: Queues,
}

impl Lag {
    /// The value of each row.
    pub fn results(&mut self, rows: &InOrder<'_>, values: &Values) -> Result<Results<u64>> {
        self.queues.resize(rows.partition_count);
        let mut results = Results::with_capacity(rows.partitions.len());
        rows.each(Begin::Rows(0), |run| {
            let (row, partition) = (run.start, rows.partitions[run.start]);
            let number = rows.numbers[row];
            let word = if values.is_valid(row) { values.word(row) } else { 0 };
            self.queues.push_back(partition, Entry { at: number << 1 | i64::from(values.is_valid(row)), word });
            let wanted = number.saturating_sub(self.offset);
            while self.queues.front(partition).is_some_and(|front| front.at >> 1 < wanted) {
                self.queues.pop_front(partition);
            }
            let found = self.queues.front(partition).filter(|front| front.at >> 1 == wanted);
            let value = match found {
                Some(front) => (front.at & 1 == 1).then_some(front.word),
                None => self.default,
            };
            results.push(value, 1);
            Ok(())
        })?;
        Ok(results)
    }
}
