//! When windows leave, and how they are written.

use smallvec::SmallVec;

use super::super::table::Table;
use super::WindowedAggregate;
use super::panes::Pane;
use super::sliding::{Memory, Way};
use crate::batch::{Column, Values};
use crate::error::Result;
use crate::pipeline::{EmitMode, WindowColumn};
use crate::stream::operator::Next;
use crate::stream::operator::assign::Assigner;
use crate::time::{Bounds, START};

impl WindowedAggregate {
    /// Emits every window that ends at or before `watermark` and was not emitted yet, in order of their ends.
    pub(super) fn close(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        let reached = match &mut self.assigner {
            Assigner::Fixed { grid, .. } if !self.by_window => grid.step(watermark),
            _ => watermark,
        };
        if !self.by_window {
            while let Some(end) = self.next_end().filter(|end| *end <= reached) {
                self.emit_window(end, next)?;
                self.emitted = end;
            }
        }
        let count = self.panes.open.partition_point(|pane| self.last_end(pane) <= reached);
        if count == 0 {
            self.panes.idle();
            return Ok(());
        }
        let mut memory = Memory { scratch: &mut self.scratch, keys: &mut self.merge_keys };
        self.sliding.leave(&mut self.panes, count, &mut memory)?;
        let mut closing = self.panes.close(count);
        if self.by_window && self.emit == EmitMode::Final {
            for pane in &mut closing {
                self.write(&mut pane.table, None, pane.key.bounds(), next)?;
            }
        }
        self.panes.closed(closing);
        Ok(())
    }

    /// End of the last window that a pane belongs to; panes in order have them in order.
    fn last_end(&self, pane: &Pane) -> i64 {
        match &self.assigner {
            Assigner::Fixed { windows, .. } if !self.by_window => windows.last_end(pane.key.start()).unwrap_or(START),
            _ => pane.key.bounds().end,
        }
    }

    /// End of the first window with rows that was not emitted yet.
    fn next_end(&self) -> Option<i64> {
        let Assigner::Fixed { windows, .. } = &self.assigner else { return None };
        let done = self.panes.open.partition_point(|pane| self.last_end(pane) <= self.emitted);
        let mut first: Option<i64> = None;
        for pane in self.panes.open.range(done..) {
            // A window ends after the panes it holds begin; without late panes the first one's window is the first.
            if first.is_some_and(|end| end <= pane.key.start() || !self.panes.has_late()) {
                break;
            }
            let after = self.emitted.max(pane.key.first_end().saturating_sub(1));
            let end = windows.first_end_after(pane.key.start(), after);
            first = first.into_iter().chain(end).min();
        }
        first
    }

    fn emit_window(&mut self, end: i64, next: &mut Next<'_>) -> Result<()> {
        let Assigner::Fixed { windows, grid } = &mut self.assigner else { return Ok(()) };
        let start = windows.start_of(end);
        let bounds = Bounds { start: grid.tick(start), end: grid.tick(end) };
        let from = self.panes.open.partition_point(|pane| pane.key.start() < start);
        let to = self.panes.open.partition_point(|pane| pane.key.start() < end);
        let counts = |pane: &Pane| pane.key.first_end() <= end;
        let members: SmallVec<[usize; 2]> = (from..to).filter(|&at| counts(&self.panes.open[at])).take(2).collect();
        if let [only] = members[..] {
            // Taken out for the call, and put back whatever it gives.
            let mut other = self.panes.take();
            std::mem::swap(&mut self.panes.open[only].table, &mut other);
            let written = self.write(&mut other, None, bounds, next);
            std::mem::swap(&mut self.panes.open[only].table, &mut other);
            self.panes.give_back(other);
            return written;
        }
        let mut memory = Memory { scratch: &mut self.scratch, keys: &mut self.merge_keys };
        let merged = self.sliding.window(&mut self.panes, (from, to), counts, &mut memory)?;
        let (mut table, groups) = merged;
        debug_assert!(groups.is_some() == matches!(self.sliding.way(), Way::Subtract | Way::Add), "as the way says");
        let written = self.write(&mut table, groups.as_deref(), bounds, next);
        self.sliding.put_back(&mut self.panes, table, groups);
        written
    }

    /// Pushes a window on: the groups given, or all of a table.
    pub(super) fn write(
        &mut self,
        table: &mut Table,
        given: Option<&[u32]>,
        bounds: Bounds,
        next: &mut Next<'_>,
    ) -> Result<()> {
        let count = given.map_or(table.len(), <[u32]>::len) as u32;
        let mut groups = std::mem::take(&mut self.scratch.groups);
        let mut from = 0;
        while from < count {
            groups.clear();
            if table.all_alive() {
                let to = count.min(from + self.batch_rows as u32);
                match given {
                    Some(given) => groups.extend_from_slice(&given[from as usize..to as usize]),
                    None => groups.extend(from..to),
                }
                from = to;
            }
            while from < count && groups.len() < self.batch_rows {
                let group = given.map_or(from, |given| given[from as usize]);
                if table.is_alive(group) {
                    groups.push(group);
                }
                from += 1;
            }
            let outputs = &self.outputs;
            table.write(&groups, &mut self.out, |rows, columns| window_columns(outputs, bounds, rows, columns))?;
            next.push(&mut self.out)?;
        }
        self.scratch.groups = groups;
        Ok(())
    }
}

/// Writes the window columns, the same value in every row.
pub(super) fn window_columns(
    outputs: &[WindowColumn],
    bounds: Bounds,
    rows: usize,
    columns: &mut [Column],
) -> Result<usize> {
    for (output, column) in outputs.iter().zip(columns) {
        let value = output.of(bounds);
        let flat = column.flat_mut(|values| matches!(values, Values::I64(_)), || Values::I64(Vec::new()));
        if let Values::I64(values) = &mut flat.values {
            values.clear();
            values.resize(rows, value);
        }
        flat.rows = rows;
        flat.set_all_valid();
    }
    Ok(outputs.len())
}
