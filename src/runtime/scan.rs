//! A worker reading a table: morsel by morsel, with event time where the table has one.

use std::sync::Arc;

use arrow::array::Int32Array;

use super::Control;
use super::event_time::{Position, Stop, WatermarkTracker};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{KeyFilter, Morsel, Scan, SystemColumn, Take};
use crate::stream::operator::{Ending, Graph, Target};
use crate::time::{END, START};

/// What one step of a scan has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Rows were pushed, or a morsel was begun.
    Worked,
    /// Nothing is there yet.
    Waiting,
    /// The scan has ended; its target has been told.
    Ended,
}

/// One worker's share of a scan.
pub(super) struct ScanTask {
    scan: Arc<dyn Scan>,
    pub(super) target: Target,
    columns: Columns,
    tracker: Option<WatermarkTracker>,
    /// Keys of joins' tables that are not complete yet: nothing is read before.
    awaited: Vec<Arc<KeyFilter>>,
    /// Whether other workers read the same source partitions.
    shared: bool,
    keep_open: bool,
    /// Input that gathers before it is taken.
    linger: Linger,
    current: Option<Current>,
    /// Morsels of partitions that are too far ahead of the others, each with where it was left.
    waiting: Vec<(Current, Position)>,
    batch: Batch,
    /// Batches that were read ahead before, for their memory.
    spare: Vec<Batch>,
    sent: i64,
    ended: bool,
}

/// How long input may gather before it is taken.
#[derive(Debug, Default)]
struct Linger {
    /// 0: it never does.
    micros: i64,
    batch_rows: u64,
    /// When some was taken last.
    taken_at: Option<i64>,
}

impl Linger {
    /// Whether what is at hand may gather on: it was taken a moment ago, and does not make a batch yet.
    fn waits(&self, scan: &dyn Scan, now: i64) -> bool {
        if self.micros == 0 || self.taken_at.is_none_or(|taken_at| now.saturating_sub(taken_at) >= self.micros) {
            return false;
        }
        let at_hand = || Some(scan.offered()?.saturating_sub(scan.position().ok()?.iter().sum()));
        at_hand().is_none_or(|rows| rows < self.batch_rows)
    }
}

/// What becomes of a source's rows before anyone sees them.
struct Columns {
    system: Vec<SystemColumn>,
    compute: Option<Computed>,
}

/// Computes the table's columns from those that its source has.
pub(super) struct Computed {
    evaluator: Evaluator,
    source: Batch,
}

impl Computed {
    pub(super) fn new(program: &Arc<Program>, context: KernelContext) -> Self {
        Computed { evaluator: Evaluator::new(program.clone(), context), source: Batch::default() }
    }
}

/// Reads the next rows of the table, computed columns among them; whether there were any.
fn read(morsel: &mut Morsel, columns: &mut Columns, batch: &mut Batch, now: i64) -> Result<bool> {
    let Columns { system, compute } = columns;
    let Some(Computed { evaluator, source }) = compute else {
        let any = read_columns(morsel, system, batch)?;
        batch.now = now;
        return Ok(any);
    };
    source.clear();
    if !read_columns(morsel, system, source)? {
        return Ok(false);
    }
    (source.now, batch.now) = (now, now);
    evaluator.run(source)?;
    batch.rows = evaluator.rows();
    batch.changes = source.selected_changes();
    let count = evaluator.program().outputs.len();
    batch.columns.resize_with(count, Column::default);
    for (output, column) in batch.columns.iter_mut().enumerate() {
        evaluator.take_output(source, output, column);
    }
    Ok(true)
}

/// Reads the columns of the source, and what it knows beside them.
fn read_columns(morsel: &mut Morsel, system: &[SystemColumn], batch: &mut Batch) -> Result<bool> {
    let any = morsel.reader.read(batch)?;
    if !any {
        return Ok(false);
    }
    for column in system {
        let known = match (morsel.reader.system(*column), column) {
            (Some(known), _) => known,
            (None, SystemColumn::Partition) => {
                Column::Constant(Arc::new(Int32Array::from_value(morsel.partition as i32, 1)))
            }
            (None, _) => return Err(Error::bug(format!("a source has said that it has {}", column.name()))),
        };
        batch.columns.push(known);
    }
    Ok(true)
}

/// The morsel at hand.
enum Current {
    /// Read as it is processed.
    Direct(Morsel),
    /// Read in full so that other workers could go on; these batches are still to be processed.
    /// `known` is the watermark that the source itself tells after them.
    Ahead { batches: Vec<Batch>, known: Option<i64>, at: usize },
}

impl ScanTask {
    pub(super) fn new(
        scan: Arc<dyn Scan>,
        target: Target,
        compute: Option<Computed>,
        tracker: Option<WatermarkTracker>,
        awaited: Vec<Arc<KeyFilter>>,
        shared: bool,
        keep_open: bool,
    ) -> Self {
        let batch = Batch::default();
        ScanTask {
            scan,
            target,
            columns: Columns { system: Vec::new(), compute },
            tracker,
            awaited,
            shared,
            keep_open,
            linger: Linger::default(),
            current: None,
            waiting: Vec::new(),
            batch,
            spare: Vec::new(),
            sent: START,
            ended: false,
        }
    }

    /// The same, reading these columns of the source as well.
    pub(super) fn with_system(mut self, system: &[SystemColumn]) -> Self {
        self.columns.system = system.to_vec();
        self
    }

    /// The same, where input may gather for so many microseconds, unless it makes a batch of so many rows.
    pub(super) fn with_linger(mut self, micros: i64, batch_rows: usize) -> Self {
        self.linger = Linger { micros, batch_rows: batch_rows as u64, taken_at: None };
        self
    }

    /// When input may be taken that gathers now, in microseconds since 1970.
    pub(super) fn next_take(&self) -> Option<i64> {
        self.linger.taken_at.filter(|_| self.linger.micros > 0).map(|taken_at| taken_at + self.linger.micros)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Does a batch's worth of work.
    pub(super) fn step(&mut self, graph: &mut Graph, control: &Control, now: i64) -> Result<Step> {
        if let Some(tracker) = &mut self.tracker {
            tracker.tick(now);
        }
        if self.ended {
            return Ok(Step::Ended);
        }
        if control.is_stopping() || graph.is_satisfied(self.target) {
            self.scan.progress().stopped.store(true, std::sync::atomic::Ordering::Relaxed);
            return self.end(graph, if control.is_stopping() { Ending::Hold } else { self.ending() });
        }
        self.awaited.retain(|filter| filter.keys().is_none());
        if !self.awaited.is_empty() {
            return Ok(Step::Waiting);
        }
        if control.cut().asked().is_some() && self.rests() {
            return Ok(Step::Waiting);
        }
        if control.cut().asked().is_none()
            && self.current.is_some()
            && let Some(tracker) = &mut self.tracker
            && tracker.must_wait()
        {
            self.waiting.extend(self.current.take().map(|current| (current, tracker.leave())));
        }
        match self.current.take() {
            None if self.linger.waits(self.scan.as_ref(), now) => self.wait(graph),
            None => self.begin(graph, control, now),
            Some(Current::Direct(morsel)) => self.read(morsel, graph),
            Some(Current::Ahead { batches, known, at }) => self.process(batches, known, at, graph),
        }
    }

    /// Sends the watermark that all workers' scans have come to, now that they rest.
    pub(super) fn tell_watermark(&mut self, graph: &mut Graph) -> Result<()> {
        if self.ended { Ok(()) } else { self.send_watermark(graph) }
    }

    /// Whether rows that were read wait for partitions that are behind.
    pub(super) fn holds_rows(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a snapshot may be taken as it stands.
    pub(super) fn rests(&self) -> bool {
        if !self.waiting.is_empty() && !self.ended {
            return false;
        }
        match &self.current {
            None => true,
            Some(Current::Direct(_)) => self.ended || self.scan.stops_within(),
            Some(Current::Ahead { .. }) => self.ended,
        }
    }

    fn ending(&self) -> Ending {
        if self.keep_open { Ending::Hold } else { Ending::Flush }
    }

    fn begin(&mut self, graph: &mut Graph, control: &Control, now: i64) -> Result<Step> {
        // A cut waits for every morsel that was begun, however far ahead it is.
        let is_cut = control.cut().asked().is_some();
        if let Some(tracker) = &mut self.tracker
            && let Some(at) = self.waiting.iter().position(|(_, position)| is_cut || !tracker.still_waits(position))
        {
            let (current, position) = self.waiting.remove(at);
            tracker.go_back(position);
            self.current = Some(current);
            return Ok(Step::Worked);
        }
        let apart = self.tracker.as_ref().filter(|tracker| tracker.aligns());
        let taken = apart.map_or_else(|| self.scan.take(), |tracker| tracker.take_apart(self.scan.as_ref()))?;
        let mut morsel = match taken {
            Take::Morsel(morsel) => morsel,
            Take::Pending => return self.wait(graph),
            Take::End if !self.waiting.is_empty() => return self.wait(graph),
            Take::End => return self.wait_for_others(graph),
        };
        self.linger.taken_at = Some(now);
        let Some(tracker) = &mut self.tracker else {
            self.current = Some(Current::Direct(morsel));
            return Ok(Step::Worked);
        };
        let stop = Stop { control, progress: self.scan.progress() };
        let alone = !self.shared || tracker.aligns() || (morsel.sequence == 0 && morsel.is_last);
        if alone {
            let begun = tracker.begin(morsel.partition, morsel.sequence, morsel.is_last, stop)?;
            self.current = begun.then_some(Current::Direct(morsel));
            return Ok(Step::Worked);
        }
        if let Some(latest) = morsel.reader.latest()? {
            let begun = tracker.begin_told(morsel.partition, morsel.sequence, morsel.is_last, latest, stop)?;
            self.current = begun.then_some(Current::Direct(morsel));
            return Ok(Step::Worked);
        }
        let mut batches = Vec::new();
        loop {
            let mut batch = self.spare.pop().unwrap_or_default();
            batch.clear();
            if !read(&mut morsel, &mut self.columns, &mut batch, graph.now)? {
                self.spare.push(batch);
                break;
            }
            batches.push(batch);
        }
        let known = morsel.reader.watermark();
        let begun = tracker.begin_with(morsel.partition, morsel.sequence, morsel.is_last, &mut batches, known, stop)?;
        self.current = begun.then_some(Current::Ahead { batches, known, at: 0 });
        Ok(Step::Worked)
    }

    /// Has no rows at hand: the watermark may have moved nevertheless.
    fn wait(&mut self, graph: &mut Graph) -> Result<Step> {
        let before = self.sent;
        if let Some(tracker) = &mut self.tracker {
            tracker.follow_clock()?;
        }
        self.send_watermark(graph)?;
        Ok(if self.sent > before { Step::Worked } else { Step::Waiting })
    }

    /// Ends. With windows kept open only once all source partitions have been processed: then every worker ends at the
    /// same watermark, and which windows it closed does not depend on who was first.
    fn wait_for_others(&mut self, graph: &mut Graph) -> Result<Step> {
        if self.keep_open
            && let Some(tracker) = &self.tracker
        {
            if !tracker.has_ended() {
                return Ok(Step::Waiting);
            }
            self.send_watermark(graph)?;
        }
        self.end(graph, self.ending())
    }

    fn read(&mut self, mut morsel: Morsel, graph: &mut Graph) -> Result<Step> {
        self.batch.clear();
        if !read(&mut morsel, &mut self.columns, &mut self.batch, graph.now)? {
            if let Some(tracker) = &mut self.tracker {
                tracker.advance(morsel.reader.watermark());
                tracker.end();
            }
            self.send_watermark(graph)?;
            return Ok(Step::Worked);
        }
        if let Some(tracker) = &mut self.tracker {
            tracker.observe(&mut self.batch)?;
        }
        graph.push(self.target, &mut self.batch)?;
        if let Some(tracker) = &self.tracker {
            tracker.publish();
            let bound = tracker.bound();
            self.send(graph, bound)?;
        }
        self.current = Some(Current::Direct(morsel));
        Ok(Step::Worked)
    }

    fn process(&mut self, mut batches: Vec<Batch>, known: Option<i64>, at: usize, graph: &mut Graph) -> Result<Step> {
        let tracker = self.tracker.as_mut().expect("only tables with an event time are read ahead");
        let Some(batch) = batches.get_mut(at) else {
            self.spare.append(&mut batches);
            tracker.advance(known);
            tracker.end();
            self.send_watermark(graph)?;
            return Ok(Step::Worked);
        };
        tracker.observe(batch)?;
        graph.push(self.target, batch)?;
        let bound = tracker.bound();
        self.send(graph, bound)?;
        self.current = Some(Current::Ahead { batches, known, at: at + 1 });
        Ok(Step::Worked)
    }

    /// Sends the watermark between two morsels: the minimum over all source partitions.
    fn send_watermark(&mut self, graph: &mut Graph) -> Result<()> {
        match &self.tracker {
            Some(tracker) => {
                let minimum = tracker.minimum();
                self.send(graph, minimum)
            }
            None => Ok(()),
        }
    }

    fn send(&mut self, graph: &mut Graph, watermark: i64) -> Result<()> {
        // The end of all partitions is told by `end`, which knows whether windows may close.
        if watermark > self.sent && watermark != END {
            self.sent = watermark;
            graph.watermark(self.target, watermark)?;
        }
        Ok(())
    }

    fn end(&mut self, graph: &mut Graph, ending: Ending) -> Result<Step> {
        self.ended = true;
        self.current = None;
        graph.end(self.target, ending)?;
        self.scan.progress().finish_one();
        Ok(Step::Ended)
    }
}
