//! A windowed aggregate before an exchange, and its groups taken in behind it.

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

use super::{Pane, PaneKey, WindowedAggregate};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::stream::operator::Next;
use crate::stream::operator::aggregate::local::Local;
use crate::time::START;

/// Columns between keys and states: the pane's start, and the end of the first window it counts for.
const PANE_COLUMNS: usize = 2;

impl WindowedAggregate {
    /// Makes it gather groups of at most `groups_max` for the owner of their key instead of emitting windows.
    pub fn before_exchange(mut self, groups_max: usize) -> Self {
        self.local = Some(Local::new(groups_max));
        self
    }

    /// Sends the panes on whose first window ends at or before `watermark`.
    pub(super) fn send_panes(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        let first_end = |pane: &Pane| self.windows.first_end(pane.key.start).unwrap_or(START);
        let end = self.open.partition_point(|pane| first_end(pane) <= watermark);
        let mut sending = std::mem::take(&mut self.closing);
        let mut at = 0;
        for _ in 0..end {
            if self.open[at].key.first_end <= watermark {
                sending.push(self.open.remove(at));
            } else {
                at += 1;
            }
        }
        let mut groups = 0;
        for mut pane in sending.drain(..) {
            groups += pane.table.len();
            let PaneKey { start, first_end } = pane.key;
            let between = [start, first_end].map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef);
            pane.table.send(&between, &mut self.out, next)?;
            self.pool.push(pane.table);
        }
        self.closing = sending;
        let left = self.groups();
        if let (Some(local), true) = (&mut self.local, groups > 0) {
            local.sent(groups, left);
        }
        Ok(())
    }

    /// How many groups all open panes hold.
    pub(super) fn groups(&self) -> usize {
        self.open.iter().map(|pane| pane.table.len()).sum()
    }

    /// Merges groups that were made before the exchange.
    pub(super) fn take_groups(&mut self, batch: &mut Batch) -> Result<()> {
        let keys = self.shape.key_types.len();
        let value = |column: usize| match &batch.columns[column] {
            Column::Constant(value) => Ok(value.as_primitive::<Int64Type>().value(0)),
            _ => Err(Error::bug("groups came without their pane")),
        };
        let key = PaneKey { start: value(keys)?, first_end: value(keys + 1)? };
        let at = self.open_pane(key);
        self.open[at].table.take_groups(batch, PANE_COLUMNS, &mut self.scratch, &mut self.merge_keys)
    }
}
