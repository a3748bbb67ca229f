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

mod local; // before an exchange, and what comes from there

use std::collections::HashMap;
use std::sync::Arc;

use millstream_kernels::pane::min_max;
use smallvec::SmallVec;

use super::TableShape;
use super::changes::Changed;
use super::local::Local;
use super::table::{Scratch, Table};
use crate::batch::{Batch, Column, Form, KernelColumn, ROWS_MAX, Selection, Values};
use crate::error::{Error, Result};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{AggregateSpec, AggregateWindow, EmitMode, WindowColumn};
use crate::state::Section;
use crate::stream::operator::{Ending, Next, Operator};
use crate::time::{END, START, Windows};

/// A running GROUP BY per window.
pub struct WindowedAggregate {
    evaluator: Evaluator,
    times: Evaluator,
    shape: TableShape,
    takes_back: bool,
    windows: Windows,
    outputs: Vec<WindowColumn>,
    emit: EmitMode,
    /// Whether a table is a whole window.
    by_window: bool,
    batch_rows: usize,
    open: Vec<Pane>,
    /// Panes on their way out; kept for its memory.
    closing: Vec<Pane>,
    #[expect(clippy::vec_box, reason = "tables go between open panes and the pool without being moved")]
    pool: Vec<Box<Table>>,
    /// Windows that end at or before it have been emitted.
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
    out: Batch,
}

/// Where a row has gone.
enum Placed {
    InPanes,
    /// All its windows had been closed.
    Late,
    /// It lies in a gap between windows.
    Nowhere,
}

/// Which pane, and the end of the first window its rows count for (`START`: all of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PaneKey {
    start: i64,
    first_end: i64,
}

/// Small, so that one may be put between many.
struct Pane {
    key: PaneKey,
    table: Box<Table>,
}

/// Lists looked through before the map is asked.
const RECENT_LISTS: usize = 8;

/// The rows of a batch by pane; lists are kept for the next batch.
#[derive(Default)]
struct Split {
    lists: Vec<(PaneKey, Vec<u16>)>,
    used: usize,
    /// Where the list of each pane is.
    places: HashMap<PaneKey, usize>,
}

impl Split {
    fn clear(&mut self) {
        self.used = 0;
        self.places.clear();
    }

    /// The list of `key`, looked for from the last one used backwards: rows come nearly in order.
    fn list(&mut self, key: PaneKey) -> &mut Vec<u16> {
        let recent = self.used.saturating_sub(RECENT_LISTS);
        let found = self.lists[recent..self.used].iter().rposition(|(known, _)| *known == key);
        let at = match found {
            Some(at) => recent + at,
            None => *self.places.entry(key).or_insert_with(|| {
                if self.used == self.lists.len() {
                    self.lists.push((key, Vec::new()));
                }
                self.lists[self.used].0 = key;
                self.lists[self.used].1.clear();
                self.used += 1;
                self.used - 1
            }),
        };
        &mut self.lists[at].1
    }
}

impl WindowedAggregate {
    pub fn new(
        spec: &AggregateSpec,
        window: &AggregateWindow,
        seed: u64,
        context: KernelContext,
        takes_back: bool,
        batch_rows: usize,
    ) -> Self {
        let shape = TableShape::new(spec, seed, context);
        let between = vec![window.data_type.clone(); window.outputs.len()];
        let times = Program::columns(&[(window.column, window.data_type.clone())]);
        let mut out = Batch::default();
        let windows = Windows::new(window.kind.size(), window.kind.slide(), window.kind.offset());
        let goes_by_arrival = spec.aggregates.iter().any(|call| call.function.is_order_sensitive());
        let columns = spec.key_count + window.outputs.len() + spec.aggregates.len();
        out.columns.resize_with(columns, Column::default);
        WindowedAggregate {
            evaluator: Evaluator::new(spec.program.clone(), context).with_dictionaries(spec.key_count),
            times: Evaluator::new(Arc::new(times), context),
            changed: Changed::new(shape.output_types(&between)),
            shape,
            takes_back,
            windows,
            outputs: window.outputs.clone(),
            emit: spec.emit,
            by_window: spec.emit == EmitMode::Changes || (windows.slide < windows.size && goes_by_arrival),
            batch_rows: batch_rows.min(ROWS_MAX),
            open: Vec::new(),
            closing: Vec::new(),
            pool: Vec::new(),
            emitted: START,
            late_rows: 0,
            unplaced_rows: 0,
            split: Split::default(),
            scratch: Scratch::default(),
            merge_keys: Vec::new(),
            local: None,
            whole: Selection::default(),
            out,
        }
    }

    /// Takes rows into the panes of their times.
    fn place_rows(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.times.run(batch)?;
        if let Some(key) = self.single_pane(batch)? {
            return self.update(key, batch, next);
        }
        self.split(batch)?;
        let mut split = std::mem::take(&mut self.split);
        self.whole.clone_from(&batch.selection);
        for (key, rows) in &split.lists[..split.used] {
            batch.selection.clone_from(&self.whole);
            batch.selection.narrow(rows);
            self.update(*key, batch, next)?;
        }
        split.clear();
        self.split = split;
        Ok(())
    }

    /// The pane that holds the whole batch, if one does and no row can be late.
    fn single_pane(&self, batch: &Batch) -> Result<Option<PaneKey>> {
        let times = self.times.output(batch, 0);
        if batch.watermarks.is_some() || times.is_constant() || self.by_window {
            return Ok(None);
        }
        let values = times.values::<i64>()?;
        let no_nulls = times.validity().is_none();
        let Some((min, max)) = min_max(self.shape.context.level, values, None).filter(|_| no_nulls) else {
            return Ok(None);
        };
        let start = self.pane_start(min);
        let same = start == self.pane_start(max) && self.windows.last_end(start).is_some();
        Ok(same.then_some(PaneKey { start, first_end: START }))
    }

    fn pane_start(&self, time: i64) -> i64 {
        let pane = self.windows.pane();
        time.wrapping_sub(time.wrapping_sub(self.windows.offset).rem_euclid(pane))
    }

    /// Sorts the selected rows into `split` by pane or by window, and counts late ones.
    fn split(&mut self, batch: &Batch) -> Result<()> {
        let mut split = std::mem::take(&mut self.split);
        split.clear();
        let watermarks = batch.selected_watermarks();
        let times = self.times.output(batch, 0);
        let values = times.values::<i64>()?;
        let (mut late_rows, mut unplaced_rows) = (0, 0);
        for row in 0..times.rows() {
            if times.is_null(row) {
                unplaced_rows += 1;
                continue;
            }
            let time = if times.is_constant() { values[0] } else { values[row] };
            let watermark = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]);
            match self.place(row as u16, time, watermark, &mut split) {
                Placed::InPanes => {}
                Placed::Late => late_rows += 1,
                Placed::Nowhere => unplaced_rows += 1,
            }
        }
        self.late_rows += late_rows;
        self.unplaced_rows += unplaced_rows;
        self.split = split;
        Ok(())
    }

    /// Puts a row into its lists. A time so near the ends of the scale that its windows cannot be told counts as late.
    #[inline(always)]
    fn place(&self, row: u16, time: i64, watermark: i64, split: &mut Split) -> Placed {
        let Some(last_end) = self.windows.last_end(time) else {
            return if self.windows.is_on_scale(time) { Placed::Nowhere } else { Placed::Late };
        };
        if last_end <= watermark {
            return Placed::Late;
        }
        if self.by_window {
            let first_end = self.windows.first_end_after(time, watermark).expect("the last window is open");
            let mut end = first_end;
            while end <= last_end {
                split.list(PaneKey { start: end - self.windows.size, first_end: START }).push(row);
                end += self.windows.slide;
            }
            return Placed::InPanes;
        }
        let in_time_for_all = watermark == START || self.windows.first_end(time).is_some_and(|end| end > watermark);
        let first_end = if in_time_for_all {
            START
        } else {
            self.windows.first_end_after(time, watermark).expect("the last window is open")
        };
        split.list(PaneKey { start: self.pane_start(time), first_end }).push(row);
        Placed::InPanes
    }

    /// Takes the selected rows into one pane.
    fn update(&mut self, key: PaneKey, batch: &Batch, next: &mut Next<'_>) -> Result<()> {
        self.evaluator.run(batch)?;
        let changes = batch.selected_changes();
        let at = self.open_pane(key);
        let table = &mut self.open[at].table;
        let known = table.len() as u32;
        table.find_groups(&self.evaluator, batch, &mut self.scratch)?;
        let (outputs, size) = (&self.outputs, self.windows.size);
        let between = |rows: usize, columns: &mut [Column]| window_columns(outputs, key.start, size, rows, columns);
        let groups = &self.scratch.groups;
        if self.emit == EmitMode::Changes {
            self.changed.before(table, groups, known, &mut self.out, between)?;
        }
        table.update(&self.evaluator, batch, changes.as_deref(), &mut self.scratch)?;
        if self.emit == EmitMode::Changes {
            self.changed.after(table, &mut self.out, between)?;
            self.changed.push(self.batch_rows, next)?;
        }
        Ok(())
    }

    fn open_pane(&mut self, key: PaneKey) -> usize {
        // Streams mostly write to the last pane.
        if self.open.last().is_some_and(|pane| pane.key == key) {
            return self.open.len() - 1;
        }
        match self.open.binary_search_by_key(&key, |pane| pane.key) {
            Ok(at) => at,
            Err(at) => {
                let table = self.empty_table();
                self.open.insert(at, Pane { key, table });
                at
            }
        }
    }

    /// Emits every window that ends at or before `watermark` and was not emitted yet, in order of their ends.
    fn close(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        if !self.by_window {
            while let Some(end) = self.next_end().filter(|end| *end <= watermark) {
                self.emit_window(end, next)?;
                self.emitted = end;
            }
        }
        let count = self.open.partition_point(|pane| self.last_end(pane) <= watermark);
        let mut closing = std::mem::take(&mut self.closing);
        closing.extend(self.open.drain(..count));
        for mut pane in closing.drain(..) {
            if self.by_window && self.emit == EmitMode::Final {
                self.write(&mut pane.table, pane.key.start, next)?;
            }
            pane.table.clear();
            self.pool.push(pane.table);
        }
        self.closing = closing;
        Ok(())
    }

    /// End of the last window that a pane belongs to; panes in order of time have them in order.
    fn last_end(&self, pane: &Pane) -> i64 {
        match self.by_window {
            false => self.windows.last_end(pane.key.start).unwrap_or(START),
            true => pane.key.start.saturating_add(self.windows.size),
        }
    }

    fn empty_table(&mut self) -> Box<Table> {
        self.pool.pop().unwrap_or_else(|| Box::new(Table::new(self.shape.clone(), self.takes_back)))
    }

    /// End of the first window with rows that was not emitted yet.
    fn next_end(&self) -> Option<i64> {
        let done = self.open.partition_point(|pane| self.last_end(pane) <= self.emitted);
        let mut first: Option<i64> = None;
        for pane in &self.open[done..] {
            // A window ends after the panes it holds begin.
            if first.is_some_and(|end| end <= pane.key.start) {
                break;
            }
            let after = self.emitted.max(pane.key.first_end.saturating_sub(1));
            let end = self.windows.first_end_after(pane.key.start, after);
            first = first.into_iter().chain(end).min();
        }
        first
    }

    fn emit_window(&mut self, end: i64, next: &mut Next<'_>) -> Result<()> {
        let start = end - self.windows.size;
        let from = self.open.partition_point(|pane| pane.key.start < start);
        let to = self.open.partition_point(|pane| pane.key.start < end);
        let counts = |at: &usize| self.open[*at].key.first_end <= end;
        let members: SmallVec<[usize; 16]> = (from..to).filter(counts).collect();
        let mut other = self.empty_table();
        if let [only] = members[..] {
            // Taken out for the call, and put back whatever it gives.
            std::mem::swap(&mut self.open[only].table, &mut other);
            let written = self.write(&mut other, start, next);
            std::mem::swap(&mut self.open[only].table, &mut other);
            self.pool.push(other);
            return written;
        }
        for at in members {
            other.merge(&mut self.open[at].table, &mut self.scratch, &mut self.merge_keys)?;
        }
        self.write(&mut other, start, next)?;
        other.clear();
        self.pool.push(other);
        Ok(())
    }

    fn write(&mut self, table: &mut Table, start: i64, next: &mut Next<'_>) -> Result<()> {
        let count = table.len() as u32;
        let mut groups = std::mem::take(&mut self.scratch.groups);
        let mut from = 0;
        while from < count {
            groups.clear();
            while from < count && groups.len() < self.batch_rows {
                if table.is_alive(from) {
                    groups.push(from);
                }
                from += 1;
            }
            let (outputs, size) = (&self.outputs, self.windows.size);
            table.write(&groups, &mut self.out, |rows, columns| window_columns(outputs, start, size, rows, columns))?;
            next.push(&mut self.out)?;
        }
        self.scratch.groups = groups;
        Ok(())
    }
}

/// Writes the window columns, the same value in every row.
fn window_columns(
    outputs: &[WindowColumn],
    start: i64,
    size: i64,
    rows: usize,
    columns: &mut [Column],
) -> Result<usize> {
    for (output, column) in outputs.iter().zip(columns) {
        let value = match output {
            WindowColumn::Start => start,
            WindowColumn::End => start.saturating_add(size),
            WindowColumn::Time => start.saturating_add(size) - 1,
        };
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

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        match self.local {
            Some(_) => Ok(Vec::new()),
            None => Err(Error::user("no snapshot can be taken of aggregates in windows yet")),
        }
    }

    fn settle(&mut self, next: &mut Next<'_>) -> Result<()> {
        if self.local.is_some() { self.send_panes(END, next) } else { Ok(()) }
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
        let open: usize = self.open.iter().map(|pane| pane.table.size_bytes()).sum();
        open + self.pool.iter().map(|table| table.size_bytes()).sum::<usize>()
    }

    fn remarks(&self) -> String {
        let modes = self.open.last().map(|pane| &pane.table).or(self.pool.last());
        let mode = modes.map_or("none", |table| table.index.mode());
        if let Some(local) = &self.local {
            return format!("local: {}, keys {mode}", local.remarks());
        }
        format!("open panes {}, pooled {}, keys {mode}", self.open.len(), self.pool.len())
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
