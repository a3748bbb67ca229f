//! A table per pane: rows go to the pane of their time, a window is its panes merged, closing one is a reset.
//!
//! Owns        open panes in time order, and closed ones to be used again.
//! Invariants  a window is emitted once, when the watermark reaches its end; a row never goes to a window that its own
//!             source partition's watermark had closed before it; rows late for all their windows are counted.
//!
//! A row that is late for the first of its hopping windows, and in time for the others, goes to a pane of its own beside
//! the others of its time: the pane says from which window end on it counts. So results do not depend on how far other
//! partitions are.
//!
//! With EMIT CHANGES a table is a whole window: every batch tells the windows it touched. So it is with aggregates that
//! go by arrival (FIRST_VALUE): panes merged come in the order of time.

mod emit; //    when windows leave, and how they are written
mod local; //   before an exchange, and what comes from there
mod panes; //   open panes, and a pool of tables
mod restore; // snapshots
mod sliding; // windows that share panes, kept up as they move
mod split; //   the rows of a batch by pane

use std::sync::Arc;

use millstream_kernels::pane::min_max;

use super::TableShape;
use super::changes::Changed;
use super::local::Local;
use super::table::Scratch;
use crate::batch::{Argument, Batch, Column, Form, KernelColumn, ROWS_MAX, Selection, Watermarks};
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{AggregateSpec, AggregateWindow, EmitMode, WindowColumn};
use crate::state::Section;
use crate::stream::operator::assign::{Assigner, Placed};
use crate::stream::operator::{Ending, Next, Operator};
use crate::time::{Bounds, END, Grid, START, Windows};
use emit::window_columns;
use panes::Panes;
use sliding::{Sliding, Way};
use split::{PaneKey, Split};

/// A running GROUP BY per window.
pub struct WindowedAggregate {
    evaluator: Evaluator,
    times: Evaluator,
    assigner: Assigner,
    outputs: Vec<WindowColumn>,
    emit: EmitMode,
    /// Whether a table is a whole window.
    by_window: bool,
    batch_rows: usize,
    panes: Panes,
    sliding: Sliding,
    /// Windows that end at or before this step have been emitted.
    emitted: i64,
    late_rows: u64,
    unplaced_rows: u64,
    split: Split,
    scratch: Scratch,
    merge_keys: Vec<KernelColumn>,
    /// Set before an exchange: panes go to their owners instead of being emitted.
    local: Option<Local>,
    changed: Changed,
    whole: Selection,
    watermarks: Watermarks,
    bounds: Vec<Bounds>,
    out: Batch,
}

impl WindowedAggregate {
    /// Failure: windows that lie nowhere: a time zone that nobody knows.
    pub fn new(
        spec: &AggregateSpec,
        window: &AggregateWindow,
        seed: u64,
        context: KernelContext,
        takes_back: bool,
        batch_rows: usize,
    ) -> Result<Self> {
        let mut shape = TableShape::new(spec, seed, context);
        let between = vec![window.data_type.clone(); window.outputs.len()];
        let times = Program::columns(&[(window.column, window.data_type.clone())]);
        let mut out = Batch::default();
        let assigner = Assigner::new(&window.kind, &window.data_type)?;
        let goes_by_arrival = spec.aggregates.iter().any(|call| call.function.is_order_sensitive());
        let can_subtract = spec.aggregates.iter().all(|call| call.function.can_unmerge());
        let (by_window, sliding) = match &assigner {
            Assigner::Fixed { windows, .. } => {
                let panes = windows.panes_per_window();
                let by_window = spec.emit == EmitMode::Changes || (panes > 1 && goes_by_arrival);
                (by_window, Sliding::new(panes, windows.cumulates, can_subtract))
            }
            Assigner::Custom { .. } => (true, Sliding::new(1, false, false)),
        };
        shape.unmerges = sliding.way() == Way::Subtract;
        let columns = spec.key_count + window.outputs.len() + spec.aggregates.len();
        out.columns.resize_with(columns, Column::default);
        Ok(WindowedAggregate {
            evaluator: Evaluator::new(spec.program.clone(), context).with_dictionaries(spec.key_count),
            times: Evaluator::new(Arc::new(times), context),
            changed: Changed::new(shape.output_types(&between)),
            assigner,
            outputs: window.outputs.clone(),
            emit: spec.emit,
            by_window,
            batch_rows: batch_rows.min(ROWS_MAX),
            panes: Panes::new(shape, takes_back),
            sliding,
            emitted: START,
            late_rows: 0,
            unplaced_rows: 0,
            split: Split::default(),
            scratch: Scratch::default(),
            merge_keys: Vec::new(),
            local: None,
            whole: Selection::default(),
            watermarks: Watermarks::default(),
            bounds: Vec::new(),
            out,
        })
    }

    /// Takes rows into the panes of their times.
    fn place_rows(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.times.run(batch)?;
        if let Some(key) = self.single_table(batch)? {
            return self.update(key, batch, next);
        }
        self.split(batch)?;
        let mut split = std::mem::take(&mut self.split);
        self.whole.clone_from(&batch.selection);
        for (key, rows) in split.lists() {
            batch.selection.clone_from(&self.whole);
            batch.selection.narrow(rows);
            self.update(*key, batch, next)?;
        }
        split.clear();
        self.split = split;
        Ok(())
    }

    /// The table that takes the whole batch, if one does and no row can be late.
    fn single_table(&mut self, batch: &Batch) -> Result<Option<PaneKey>> {
        let times = self.times.output(batch, 0);
        if batch.watermarks.is_some() || times.is_constant() || times.validity().is_some() {
            return Ok(None);
        }
        let Assigner::Fixed { windows, grid } = &mut self.assigner else { return Ok(None) };
        if self.by_window && windows.panes_per_window() > 1 {
            return Ok(None);
        }
        let Some((min, max)) = min_max(self.panes.shape().context.level, times.values::<i64>()?, None) else {
            return Ok(None);
        };
        let (min, max) = (grid.step(min), grid.step(max));
        let start = windows.pane_start(min);
        let Some(end) = windows.last_end(min).filter(|_| start == windows.pane_start(max)) else { return Ok(None) };
        if !windows.is_on_scale(max) {
            return Ok(None);
        }
        Ok(Some(match self.by_window {
            false => PaneKey::pane(start, START),
            true => PaneKey::window(Bounds { start: grid.tick(windows.start_of(end)), end: grid.tick(end) }),
        }))
    }

    /// Sorts the selected rows into `split` by pane or by window, and counts late ones.
    fn split(&mut self, batch: &Batch) -> Result<()> {
        batch.select_watermarks(&mut self.watermarks);
        let watermarks = self.watermarks.as_slice();
        let times = self.times.output(batch, 0);
        self.split.clear();
        let (split, bounds) = (&mut self.split, &mut self.bounds);
        let (mut late_rows, mut unplaced_rows) = (0, 0);
        let mut count = |placed, rows: usize| match placed {
            Placed::InWindows => {}
            Placed::Late => late_rows += rows as u64,
            Placed::Nowhere => unplaced_rows += rows as u64,
        };
        match &mut self.assigner {
            Assigner::Fixed { windows, grid: Grid::Ticks } if !self.by_window && !times.is_constant() => {
                split_runs(windows, &times, watermarks, split, count)?;
            }
            Assigner::Fixed { windows, grid } if !self.by_window => {
                each_row(&times, watermarks, |row, time| {
                    let time = time.map(|(tick, watermark)| (grid.step(tick), grid.step(watermark)));
                    match time.map_or(Err(Placed::Nowhere), |(step, reached)| place(windows, step, reached)) {
                        Ok(key) => split.list(key).push(row),
                        Err(placed) => count(placed, 1),
                    }
                })?;
            }
            assigner => each_row(&times, watermarks, |row, time| {
                let Some((tick, watermark)) = time else { return count(Placed::Nowhere, 1) };
                bounds.clear();
                count(assigner.windows(tick, watermark, bounds), 1);
                bounds.iter().for_each(|window| split.list(PaneKey::window(*window)).push(row));
            })?,
        }
        self.late_rows += late_rows;
        self.unplaced_rows += unplaced_rows;
        Ok(())
    }

    /// Takes the selected rows into one table.
    fn update(&mut self, key: PaneKey, batch: &Batch, next: &mut Next<'_>) -> Result<()> {
        self.evaluator.run(batch)?;
        let changes = batch.selected_changes();
        let at = self.panes.find(key);
        let table = &mut self.panes.open[at].table;
        let known = table.len() as u32;
        table.find_groups(&self.evaluator, batch, &mut self.scratch)?;
        let outputs = &self.outputs;
        let between = |rows: usize, columns: &mut [Column]| window_columns(outputs, key.bounds(), rows, columns);
        let groups = &self.scratch.groups;
        if self.emit == EmitMode::Changes {
            self.changed.before(table, groups, known, &mut self.out, between)?;
        }
        table.update(&self.evaluator, batch, changes.as_deref(), &mut self.scratch)?;
        if self.emit == EmitMode::Changes {
            self.changed.after(table, &mut self.out, between)?;
            self.changed.push(self.batch_rows, next)?;
        }
        self.panes.weigh(at);
        Ok(())
    }
}

/// The pane of a row. A step so near the ends of the scale that its windows cannot be told counts as late.
#[inline]
fn place(windows: &Windows, step: i64, reached: i64) -> std::result::Result<PaneKey, Placed> {
    let Some(last_end) = windows.last_end(step) else {
        return Err(if windows.is_on_scale(step) { Placed::Nowhere } else { Placed::Late });
    };
    if last_end <= reached {
        return Err(Placed::Late);
    }
    let in_time_for_all = reached == START || windows.first_end(step).is_some_and(|end| end > reached);
    let first_end =
        if in_time_for_all { START } else { windows.first_end_after(step, reached).expect("the last window is open") };
    Ok(PaneKey::pane(windows.pane_start(step), first_end))
}

/// Sorts rows into `split` by pane, where a step is a tick: rows that follow each other in one pane, all in time for all
/// of its windows, are placed at once.
fn split_runs(
    windows: &Windows,
    times: &Argument<'_>,
    watermarks: Option<&[i64]>,
    split: &mut Split,
    mut count: impl FnMut(Placed, usize),
) -> Result<()> {
    let values = times.values::<i64>()?;
    let rows = times.rows();
    let reached = |row: usize| watermarks.map_or(START, |watermarks| watermarks[row]);
    let nullable = times.validity().is_some();
    let mut row = 0;
    while row < rows {
        let key = if nullable && times.is_null(row) {
            Err(Placed::Nowhere)
        } else {
            place(windows, values[row], reached(row))
        };
        let from = row;
        row += 1;
        match key {
            Ok(key) => {
                let (start, end) = (key.start(), key.start().saturating_add(windows.pane()));
                if key.first_end() == START && windows.is_on_scale(start) && windows.is_on_scale(end) {
                    // The first window of a pane ends behind it: what has not reached the pane's end makes no row late.
                    let stays = |row: usize| start <= values[row] && values[row] < end && reached(row) < end;
                    while row < rows && stays(row) && !(nullable && times.is_null(row)) {
                        row += 1;
                    }
                }
                // Not as a range that ends with its last: that one is no bare loop.
                split.list(key).extend((from..row).map(|row| row as u16));
            }
            Err(placed) => count(placed, 1),
        }
    }
    Ok(())
}

/// Calls `visit` with each row, and with its time and the watermark before it where it has a time.
#[inline(always)]
fn each_row(
    times: &Argument<'_>,
    watermarks: Option<&[i64]>,
    mut visit: impl FnMut(u16, Option<(i64, i64)>),
) -> Result<()> {
    let values = times.values::<i64>()?;
    for row in 0..times.rows() {
        let time = if times.is_constant() { values[0] } else { values[row] };
        let watermark = watermarks.map_or(START, |watermarks| watermarks[row]);
        visit(row as u16, (!times.is_null(row)).then_some((time, watermark)));
    }
    Ok(())
}

impl Operator for WindowedAggregate {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if batch.form == Form::Groups {
            return self.take_groups(batch);
        }
        if let Some(local) = &mut self.local
            && local.passes_by(batch.selected_rows())
        {
            return next.push(batch);
        }
        self.place_rows(batch, next)?;
        if let Some(mut local) = self.local.take() {
            let full = local.is_full(|| self.groups());
            self.local = Some(local);
            if full {
                self.send_panes(END, next)?;
            }
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        if self.local.is_some() {
            self.send_panes(watermark, next)?
        } else {
            self.close(watermark, next)?
        }
        next.watermark(watermark)
    }

    fn settle(&mut self, next: &mut Next<'_>) -> Result<()> {
        if self.local.is_some() { self.send_panes(END, next) } else { Ok(()) }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        if self.local.is_some() { Ok(Vec::new()) } else { self.save() }
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        sections.iter().try_for_each(|section| self.load(section))
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        match (&self.local, ending) {
            // Which windows stay open is the owner's matter.
            (Some(_), _) => self.send_panes(END, next),
            (None, Ending::Flush) => self.close(END, next),
            (None, Ending::Hold) => Ok(()),
        }
    }

    fn size_bytes(&self) -> usize {
        self.panes.size_bytes() + self.sliding.size_bytes()
    }

    fn remarks(&self) -> String {
        if let Some(local) = &self.local {
            return format!("local: {}, keys {}", local.remarks(), self.panes.mode());
        }
        let (open, pooled) = (self.panes.open.len(), self.panes.pooled());
        format!("open panes {open}, pooled {pooled}, keys {}", self.panes.mode())
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
