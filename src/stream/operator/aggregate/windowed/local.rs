//! A windowed aggregate before an exchange, and its groups taken in behind it.

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use std::sync::Arc;

use super::panes::Pane;
use super::split::PaneKey;
use super::{Assigner, WindowedAggregate};
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
        let Assigner::Fixed { windows, grid } = &mut self.assigner else {
            return Err(Error::bug("windows of the user's own do not travel as panes"));
        };
        let reached = grid.step(watermark);
        let first_end = |pane: &Pane| windows.first_end(pane.key.start()).unwrap_or(START);
        let open = self.panes.open.make_contiguous();
        let end = open.partition_point(|pane| first_end(pane) <= reached);
        // Panes that are behind for some of their windows may have to wait, between others.
        let is_due = |pane: &Pane| first_end(pane) <= reached && pane.key.first_end() <= reached;
        if !open[..end].iter().all(is_due) {
            open[..end].sort_by_key(|pane| !is_due(pane));
        }
        let due = open[..end].partition_point(is_due);
        let mut sending = self.panes.close(due);
        self.panes.open.make_contiguous()[..end - due].sort_unstable_by_key(|pane| pane.key);
        let mut groups = 0;
        for pane in &mut sending {
            groups += pane.table.len();
            let between = [pane.key.start(), pane.key.first_end()];
            let between = between.map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef);
            pane.table.send(&between, &mut self.out, next)?;
        }
        self.panes.closed(sending);
        let left = self.groups();
        if let (Some(local), true) = (&mut self.local, groups > 0) {
            local.sent(groups, left);
        }
        Ok(())
    }

    /// How many groups all open panes hold.
    pub(super) fn groups(&self) -> usize {
        self.panes.open.iter().map(|pane| pane.table.len()).sum()
    }

    /// Merges groups that were made before the exchange.
    pub(super) fn take_groups(&mut self, batch: &mut Batch) -> Result<()> {
        let keys = self.panes.shape().key_types.len();
        let value = |column: usize| match &batch.columns[column] {
            Column::Constant(value) => Ok(value.as_primitive::<Int64Type>().value(0)),
            _ => Err(Error::bug("groups came without their pane")),
        };
        let at = self.panes.find(PaneKey::pane(value(keys)?, value(keys + 1)?));
        let table = &mut self.panes.open[at].table;
        table.take_groups(batch, PANE_COLUMNS, &mut self.scratch, &mut self.merge_keys)?;
        self.panes.weigh(at);
        Ok(())
    }
}
