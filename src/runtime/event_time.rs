//! Watermarks of source partitions: a running maximum over their rows, in order, whichever workers read them.
//!
//! ```text
//! partition 3   morsel 0 ──▶ morsel 1 ──▶ morsel 2      each starts at the watermark the one before it ended with;
//! read by       worker 0     worker 1     worker 0      reading goes on in parallel, only this waits its turn
//! ```

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::Int64Array;
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::Control;
use super::guard::{Guard, Latest, to_ticks};
use crate::batch::{Argument, Batch, Column};
use crate::error::{Error, Result};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{FuturePolicy, Progress, Scan, Take, WatermarkRules, WatermarkSpec, ticks_per_second, time_unit};
use crate::time::{END, START, lateness, lateness_of_all};

/// The watermarks of one scan's source partitions, shared by its workers.
#[derive(Debug)]
pub(super) struct PartitionWatermarks {
    partitions: Mutex<Vec<Partition>>,
    turn: Condvar,
    shown: AtomicI64,
    /// The highest minimum there was: what operators may have been told.
    floor: AtomicI64,
    /// Rows whose event time was too far ahead.
    future_rows: AtomicU64,
    /// Whether the end of a partition leaves its watermark where it is.
    keep_open: bool,
    idle_timeout: Option<i64>,
    /// In ticks.
    max_drift: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Partition {
    /// The morsel whose turn it is.
    sequence: u64,
    watermark: i64,
    /// The latest event time that was taken for one, and how many rows in succession were not.
    latest: Latest,
    ended: bool,
    /// Whether a worker is reading a morsel of it; told where partitions wait for each other.
    is_read: bool,
    /// When its last rows came; `None` before the clock was looked at.
    active_at: Option<i64>,
    /// Whether it has been silent for so long that nobody waits for it.
    idle: bool,
    /// Where the others had got to when it was last heard of again.
    woken_at: i64,
}

impl PartitionWatermarks {
    pub(super) fn new(partitions: usize, keep_open: bool) -> Self {
        let start = Partition {
            sequence: 0,
            watermark: START,
            latest: Latest::default(),
            ended: false,
            is_read: false,
            active_at: None,
            idle: false,
            woken_at: START,
        };
        PartitionWatermarks {
            partitions: Mutex::new(vec![start; partitions]),
            turn: Condvar::new(),
            shown: AtomicI64::new(START),
            floor: AtomicI64::new(START),
            future_rows: AtomicU64::new(0),
            keep_open,
            idle_timeout: None,
            max_drift: None,
        }
    }

    /// The same under the rules of a table, whose event time has `per_second` ticks. Of one that ends all rows come, however
    /// late a worker gets to them: no partition is idle.
    pub(super) fn with_rules(mut self, rules: &WatermarkRules, per_second: i64, is_bounded: bool) -> Self {
        self.idle_timeout = rules.idle_timeout.filter(|_| !is_bounded);
        self.max_drift = rules.max_drift.map(|nanoseconds| to_ticks(nanoseconds, per_second));
        self
    }

    /// Looks at the clock: partitions that have been silent for too long hold nobody up any more.
    fn tick(&self, now: i64) {
        let Some(timeout) = self.idle_timeout else { return };
        for partition in self.lock().iter_mut().filter(|partition| !partition.ended) {
            let silent = now.saturating_sub(*partition.active_at.get_or_insert(now));
            partition.idle |= silent >= timeout;
        }
    }

    /// Notes that rows of a partition are at hand. One that was idle goes on from where the others have got to.
    fn wake(&self, partition: usize, watermark: i64, now: i64) -> i64 {
        if self.idle_timeout.is_none() {
            return watermark;
        }
        let known = &mut self.lock()[partition];
        known.active_at = Some(now);
        if std::mem::take(&mut known.idle) {
            known.woken_at = self.floor.load(Ordering::Relaxed);
            known.watermark = known.watermark.max(known.woken_at);
        }
        watermark.max(known.woken_at)
    }

    /// Moves all partitions that have not ended to a watermark that holds for them all.
    fn advance_all(&self, watermark: i64) {
        for partition in self.lock().iter_mut().filter(|partition| !partition.ended) {
            partition.watermark = partition.watermark.max(watermark);
        }
    }

    /// Whether a partition is so far ahead of the others that it must wait for them.
    fn is_ahead(&self, partition: usize, own: i64) -> bool {
        let Some(drift) = self.max_drift else { return false };
        let partitions = self.lock();
        let others =
            partitions.iter().enumerate().filter(|(at, other)| *at != partition && !other.idle && !other.ended);
        others.map(|(_, other)| other.watermark).min().is_some_and(|slowest| own.saturating_sub(slowest) > drift)
    }

    fn note_future(&self, rows: usize) {
        self.future_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Rows whose event time was too far ahead.
    pub(super) fn future_rows(&self) -> u64 {
        self.future_rows.load(Ordering::Relaxed)
    }

    /// The watermark of each source partition.
    pub(super) fn watermarks(&self) -> Vec<i64> {
        self.lock().iter().map(|partition| partition.watermark).collect()
    }

    /// Goes on from these watermarks, one per source partition.
    pub(super) fn restore(&self, watermarks: &[i64]) {
        let mut partitions = self.lock();
        partitions.iter_mut().zip(watermarks).for_each(|(partition, watermark)| partition.watermark = *watermark);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Partition>> {
        self.partitions.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits until the morsels before `sequence` are done, and says the watermark they left; `None` once all reading stops,
    /// for then they may never be.
    fn wait_turn(&self, partition: usize, sequence: u64, stop: Stop<'_>) -> Result<Option<(i64, Latest)>> {
        let mut partitions = self.lock();
        while partitions[partition].sequence < sequence {
            if stop.control.is_aborted() {
                return Err(Error::cancelled());
            }
            if stop.is_asked() {
                return Ok(None);
            }
            let waited = self.turn.wait_timeout(partitions, Duration::from_millis(20));
            partitions = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        Ok(Some((partitions[partition].watermark, partitions[partition].latest)))
    }

    /// Takes a morsel of a partition that no worker is reading: where one is too far ahead, its morsel waits, and those behind
    /// it stay where they are.
    fn take_apart(&self, scan: &dyn Scan) -> Result<Take> {
        let mut partitions = self.lock();
        let taken = scan.take_of(&|partition| !partitions[partition].is_read)?;
        if let Take::Morsel(morsel) = &taken {
            let partition = &mut partitions[morsel.partition];
            if partition.is_read {
                return Err(Error::user(
                    "this source hands out the rows of its partitions in an order of its own, so that none can wait for \
                     another: leave out 'watermark.alignment.max-drift'",
                ));
            }
            partition.is_read = true;
        }
        Ok(taken)
    }

    /// Notes how far a morsel has moved its partition; with `done`, lets the next one go on from there.
    fn publish(&self, partition: usize, watermark: i64, latest: Latest, done: bool, is_last: bool) {
        let mut partitions = self.lock();
        let known = &mut partitions[partition];
        known.watermark = known.watermark.max(watermark);
        known.latest = latest;
        if done {
            known.is_read = false;
            known.sequence += 1;
            known.ended = is_last;
            if is_last && !self.keep_open {
                known.watermark = END;
            }
        }
        let minimum = self.minimum_of(&partitions, None);
        drop(partitions);
        if minimum != END {
            self.shown.store(minimum, Ordering::Relaxed);
        }
        if done {
            self.turn.notify_all();
        }
    }

    /// The minimum over all partitions that somebody waits for, with another watermark in place of one of them. When
    /// all are idle, none is waited for: then it is how far the furthest has got.
    fn minimum_of(&self, partitions: &[Partition], own: Option<(usize, i64)>) -> i64 {
        let (mut active, mut idle) = (END, None);
        for (at, partition) in partitions.iter().enumerate() {
            let watermark = own.filter(|(own, _)| *own == at).map_or(partition.watermark, |(_, watermark)| watermark);
            match partition.idle && watermark != END {
                true => idle = idle.max(Some(watermark)),
                false => active = active.min(watermark),
            }
        }
        let minimum = if active == END { idle.unwrap_or(END) } else { active };
        match minimum {
            END => END,
            _ => {
                self.floor.fetch_max(minimum, Ordering::Relaxed);
                minimum
            }
        }
    }

    /// The minimum over all partitions, `own` in place of the one at `partition`.
    fn bound(&self, partition: usize, own: i64) -> i64 {
        self.minimum_of(&self.lock(), Some((partition, own)))
    }

    /// The minimum over all partitions, for a worker between two morsels.
    fn minimum(&self) -> i64 {
        self.minimum_of(&self.lock(), None)
    }

    /// Whether the rows of all partitions have been processed.
    fn has_ended(&self) -> bool {
        self.lock().iter().all(|partition| partition.ended)
    }

    /// The watermark to show to people.
    pub(super) fn shown(&self) -> Option<i64> {
        let shown = self.shown.load(Ordering::Relaxed);
        (shown != START).then_some(shown)
    }
}

/// What ends a worker's waiting for its turn.
#[derive(Clone, Copy)]
pub(super) struct Stop<'a> {
    pub(super) control: &'a Control,
    pub(super) progress: &'a Progress,
}

impl Stop<'_> {
    /// Whether the query stops, or no more rows of the scan are wanted.
    fn is_asked(&self) -> bool {
        self.control.is_stopping() || self.progress.stopped.load(Ordering::Relaxed)
    }
}

/// A worker's view of event time while it reads one morsel after another.
pub(super) struct WatermarkTracker {
    watermarks: Arc<PartitionWatermarks>,
    context: KernelContext,
    marks: Evaluator,
    times: Evaluator,
    /// The event time's column and type.
    column: usize,
    time_type: DataType,
    guard: Option<Guard>,
    before: Vec<i64>,
    at: Position,
    /// The time of the clock at the last step.
    now: i64,
}

/// Where a worker is within a source partition; another morsel may be looked at meanwhile.
#[derive(Debug, Default)]
pub(super) struct Position {
    partition: usize,
    is_last: bool,
    watermark: i64,
    latest: Latest,
    /// Whether the next morsel has been let start already.
    announced: bool,
    /// For batches that were looked at and not observed yet: the rows that are too far ahead.
    ahead: VecDeque<Option<Vec<bool>>>,
}

impl WatermarkTracker {
    pub(super) fn new(
        spec: &WatermarkSpec,
        time_type: DataType,
        watermarks: Arc<PartitionWatermarks>,
        context: KernelContext,
    ) -> Self {
        let times = Program::columns(&[(spec.column, time_type.clone())]);
        let per_second = time_unit(&time_type).map_or(1, ticks_per_second);
        WatermarkTracker {
            watermarks,
            context,
            marks: Evaluator::new(spec.program.clone(), context),
            times: Evaluator::new(Arc::new(times), context),
            column: spec.column,
            time_type,
            guard: Guard::new(&spec.rules, per_second),
            before: Vec::new(),
            at: Position { watermark: START, ..Position::default() },
            now: 0,
        }
    }

    /// Looks at the clock.
    pub(super) fn tick(&mut self, now: i64) {
        self.now = now;
        self.watermarks.tick(now);
    }

    /// Moves a watermark that depends on nothing but the clock, for no rows may come for a while.
    pub(super) fn follow_clock(&mut self) -> Result<()> {
        let program = self.marks.program();
        if program.steps.is_empty() || !program.inputs().is_empty() {
            return Ok(());
        }
        let moment = Batch { rows: 1, now: self.now, ..Batch::default() };
        let mark = self.highest_mark(&moment, None)?;
        self.watermarks.advance_all(mark);
        Ok(())
    }

    /// Whether partitions wait for each other.
    pub(super) fn aligns(&self) -> bool {
        self.watermarks.max_drift.is_some()
    }

    /// Takes a morsel of a partition that no worker is reading.
    pub(super) fn take_apart(&self, scan: &dyn Scan) -> Result<Take> {
        self.watermarks.take_apart(scan)
    }

    /// Begins a morsel once the ones before it are done; `false` once all reading stops.
    pub(super) fn begin(&mut self, partition: usize, sequence: u64, is_last: bool, stop: Stop<'_>) -> Result<bool> {
        let Some((watermark, latest)) = self.watermarks.wait_turn(partition, sequence, stop)? else { return Ok(false) };
        let watermark = if is_last { watermark } else { self.watermarks.wake(partition, watermark, self.now) };
        self.at = Position { partition, is_last, watermark, latest, announced: false, ahead: VecDeque::new() };
        Ok(true)
    }

    /// Begins a morsel of which the latest event time is known; [`START`]: it has none.
    pub(super) fn begin_told(
        &mut self,
        partition: usize,
        sequence: u64,
        is_last: bool,
        latest: i64,
        stop: Stop<'_>,
    ) -> Result<bool> {
        let mark = if latest == START { START } else { self.mark_of(latest)? };
        let begun = self.begin(partition, sequence, is_last, stop)?;
        if begun {
            self.announce(mark);
        }
        Ok(begun)
    }

    /// The watermark after a row of this event time.
    fn mark_of(&mut self, time: i64) -> Result<i64> {
        let mut columns = vec![Column::default(); self.column];
        columns.push(Column::Array(cast(&Int64Array::from_value(time, 1), &self.time_type)?));
        self.highest_mark(&Batch { rows: 1, columns, now: self.now, ..Batch::default() }, None)
    }

    /// Lets the next morsel start from a watermark that this one comes to, or has passed before. The partition's last one
    /// stays open until its rows are processed: its end means that no row follows.
    fn announce(&mut self, mark: i64) {
        let Position { partition, is_last, watermark, latest, .. } = self.at;
        self.at.announced = true;
        if !is_last {
            self.watermarks.publish(partition, watermark.max(mark), latest, true, false);
        }
    }

    /// Begins a morsel that ends at the watermark `rows` bring it to, so that the next one may start before they are
    /// processed.
    pub(super) fn begin_with(
        &mut self,
        partition: usize,
        sequence: u64,
        is_last: bool,
        rows: &mut [Batch],
        known: Option<i64>,
        stop: Stop<'_>,
    ) -> Result<bool> {
        let mut highest = known.unwrap_or(START);
        if self.guard.is_none() {
            for batch in &mut *rows {
                highest = highest.max(self.highest_mark(batch, None)?);
            }
        }
        if !self.begin(partition, sequence, is_last, stop)? {
            return Ok(false);
        }
        if self.guard.is_some() {
            // Which rows are too far ahead depends on the rows before them, so this waits its turn.
            for batch in rows {
                let ahead = self.look_ahead(batch)?;
                highest = highest.max(self.highest_mark(batch, ahead.as_deref())?);
                self.at.ahead.push_back(ahead);
            }
        }
        self.announce(highest);
        Ok(true)
    }

    /// Whether the rows at hand must wait, because their partition is too far ahead of the others.
    pub(super) fn must_wait(&self) -> bool {
        self.watermarks.is_ahead(self.at.partition, self.at.watermark)
    }

    /// Leaves a morsel to look at another; [`WatermarkTracker::go_back`] goes on with it.
    pub(super) fn leave(&mut self) -> Position {
        std::mem::take(&mut self.at)
    }

    pub(super) fn go_back(&mut self, position: Position) {
        self.at = position;
    }

    /// Whether a morsel that was left must still wait.
    pub(super) fn still_waits(&self, position: &Position) -> bool {
        self.watermarks.is_ahead(position.partition, position.watermark)
    }

    /// Finds the rows that are too far ahead, and leaves them out where the table says so.
    fn look_ahead(&mut self, batch: &mut Batch) -> Result<Option<Vec<bool>>> {
        let Some(guard) = &self.guard else { return Ok(None) };
        self.times.run(batch)?;
        let ahead = guard.look(&self.times.output(batch, 0), self.context.level, self.now, &mut self.at.latest)?;
        let Some(ahead) = ahead else { return Ok(None) };
        self.watermarks.note_future(ahead.iter().filter(|ahead| **ahead).count());
        if guard.policy != FuturePolicy::Skip {
            return Ok(Some(ahead));
        }
        let kept: Vec<u16> = match batch.selection.as_slice() {
            Some(selected) => selected.iter().copied().filter(|&row| !ahead[row as usize]).collect(),
            None => (0..batch.rows).filter(|row| !ahead[*row]).map(|row| row as u16).collect(),
        };
        batch.selection.clear();
        for column in &mut batch.columns {
            let mut left = Column::default();
            column.gather_into(&kept, &mut left)?;
            *column = left;
        }
        if let Some(changes) = &mut batch.changes {
            *changes = kept.iter().map(|&row| changes[row as usize]).collect();
        }
        batch.rows = kept.len();
        Ok(None)
    }

    fn highest_mark(&mut self, batch: &Batch, ahead: Option<&[bool]>) -> Result<i64> {
        self.marks.run(batch)?;
        let marks = self.marks.output(batch, 0);
        let values = marks.values::<i64>()?;
        if marks.constant_is_null() {
            return Ok(START);
        }
        if let Some(ahead) = ahead.filter(|_| !marks.is_constant()) {
            let counts = |row: &usize| !ahead[*row] && !marks.is_null(*row);
            return Ok((0..batch.rows).filter(counts).map(|row| values[row]).max().unwrap_or(START));
        }
        let validity = marks.validity().filter(|_| !marks.is_constant());
        let highest = millstream_kernels::pane::min_max(self.context.level, values, validity);
        Ok(highest.map_or(START, |(_, highest)| highest))
    }

    /// Moves the watermark over a batch and marks the rows that may be late.
    pub(super) fn observe(&mut self, batch: &mut Batch) -> Result<()> {
        let ahead = match self.at.ahead.pop_front() {
            Some(ahead) => ahead,
            None => self.look_ahead(batch)?,
        };
        self.at.watermark = self.watermarks.wake(self.at.partition, self.at.watermark, self.now);
        self.times.run(batch)?;
        let highest = self.highest_mark(batch, ahead.as_deref())?;
        let times = self.times.output(batch, 0);
        let end = self.at.watermark.max(highest);
        let lowest = millstream_kernels::pane::min_max(self.context.level, times.values::<i64>()?, times.validity());
        let lowest = lowest.filter(|_| !times.constant_is_null());
        let aside = self.guard.as_ref().is_some_and(|guard| guard.policy == FuturePolicy::Aside);
        let aside = ahead.as_deref().filter(|_| aside);
        if lowest.is_none_or(|(lowest, _)| lowest >= end) && aside.is_none() {
            self.at.watermark = end;
            return Ok(());
        }
        let marks = self.marks.output(batch, 0);
        let (mark_values, time_values) = (marks.values::<i64>()?, times.values::<i64>()?);
        let place = |row: usize, argument: &Argument<'_>| if argument.is_constant() { 0 } else { row };
        let is_ahead = |row: usize| ahead.as_ref().is_some_and(|ahead| ahead[row]);
        let mark = |row: usize| (!marks.is_null(row) && !is_ahead(row)).then(|| mark_values[place(row, &marks)]);
        let time = |row: usize| (!times.is_null(row)).then(|| time_values[place(row, &times)]);
        let is_plain = |argument: &Argument<'_>| !argument.is_constant() && argument.validity().is_none();
        let behind = match ahead.is_none() && is_plain(&marks) && is_plain(&times) {
            true => lateness_of_all(&mut self.at.watermark, mark_values, time_values, &mut self.before),
            false => lateness(&mut self.at.watermark, batch.rows, mark, time, &mut self.before),
        };
        if let Some(aside) = aside {
            let marked = self.before.iter_mut().zip(aside).filter(|(_, aside)| **aside);
            marked.for_each(|(before, _)| *before = END);
        }
        if behind || aside.is_some() {
            batch.watermarks.set(&self.before);
        }
        Ok(())
    }

    /// Moves the watermark to where the source itself says it is.
    pub(super) fn advance(&mut self, known: Option<i64>) {
        self.at.watermark = self.at.watermark.max(known.unwrap_or(START));
    }

    /// The watermark this worker may send on after the rows it has processed.
    pub(super) fn bound(&self) -> i64 {
        self.watermarks.bound(self.at.partition, self.at.watermark)
    }

    /// The minimum over all source partitions, for a worker between two morsels.
    pub(super) fn minimum(&self) -> i64 {
        self.watermarks.minimum()
    }

    /// Whether the rows of all source partitions have been processed, by whichever workers.
    pub(super) fn has_ended(&self) -> bool {
        self.watermarks.has_ended()
    }

    /// Lets others see how far this morsel has come; for morsels that are read as they are processed.
    pub(super) fn publish(&self) {
        self.watermarks.publish(self.at.partition, self.at.watermark, self.at.latest, false, false);
    }

    /// Ends the morsel.
    pub(super) fn end(&mut self) {
        let Position { partition, watermark, latest, is_last, announced, .. } = self.at;
        if !announced || is_last {
            self.watermarks.publish(partition, watermark, latest, true, is_last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn watermarks(partitions: usize) -> PartitionWatermarks {
        let rules = WatermarkRules { idle_timeout: Some(5_000), ..WatermarkRules::default() };
        PartitionWatermarks::new(partitions, false).with_rules(&rules, SECOND, false)
    }

    #[test]
    fn rows_are_judged_by_those_before_them_though_the_next_morsel_has_begun() {
        let watermarks = watermarks(1);
        watermarks.tick(0);
        watermarks.publish(0, 100, Latest::default(), true, false);
        assert_eq!(watermarks.wake(0, 10, 1_000), 10);
        assert_eq!(watermarks.minimum(), 100);
    }

    #[test]
    fn a_partition_that_was_idle_goes_on_from_where_others_are() {
        let watermarks = watermarks(2);
        watermarks.tick(0);
        watermarks.publish(0, 50, Latest::default(), false, false);
        assert_eq!((watermarks.wake(1, START, 6_000), watermarks.minimum()), (START, START));
        watermarks.tick(6_000);
        watermarks.publish(1, 70, Latest::default(), true, false);
        assert_eq!(watermarks.minimum(), 70, "partition 0 is idle");
        // Whoever reads it, rows that come now are behind what was told.
        assert_eq!([watermarks.wake(0, 50, 7_000), watermarks.wake(0, 60, 7_000)], [70, 70]);
        assert_eq!(watermarks.wake(0, 80, 7_000), 80);
    }
}
