//! Watermarks of source partitions: a running maximum over their rows, in order, whichever workers read them.
//!
//! ```text
//! partition 3   morsel 0 ──▶ morsel 1 ──▶ morsel 2      each starts at the watermark the one before it ended with;
//! read by       worker 0     worker 1     worker 0      decoding goes on in parallel, only this waits its turn
//! ```

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::Control;
use crate::batch::{Argument, Batch};
use crate::error::{Error, Result};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::WatermarkSpec;
use crate::time::{END, START, lateness};

use arrow::datatypes::DataType;

/// The watermarks of one scan's source partitions, shared by its workers.
#[derive(Debug)]
pub(super) struct PartitionWatermarks {
    partitions: Mutex<Vec<Partition>>,
    turn: Condvar,
    shown: AtomicI64,
    /// Whether the end of a partition leaves its watermark where it is.
    keep_open: bool,
}

#[derive(Debug, Clone, Copy)]
struct Partition {
    /// The morsel whose turn it is.
    sequence: u64,
    watermark: i64,
    ended: bool,
}

impl PartitionWatermarks {
    pub(super) fn new(partitions: usize, keep_open: bool) -> Self {
        let start = Partition { sequence: 0, watermark: START, ended: false };
        PartitionWatermarks {
            partitions: Mutex::new(vec![start; partitions]),
            turn: Condvar::new(),
            shown: AtomicI64::new(START),
            keep_open,
        }
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

    /// Waits until the morsels before `sequence` are done, and says the watermark they left.
    fn wait_turn(&self, partition: usize, sequence: u64, control: &Control) -> Result<i64> {
        let mut partitions = self.lock();
        while partitions[partition].sequence < sequence {
            if control.is_aborted() {
                return Err(Error::cancelled());
            }
            let waited = self.turn.wait_timeout(partitions, Duration::from_millis(20));
            partitions = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        Ok(partitions[partition].watermark)
    }

    /// Notes how far a morsel has moved its partition; with `done`, lets the next one go on from there.
    fn publish(&self, partition: usize, watermark: i64, done: bool, is_last: bool) {
        let mut partitions = self.lock();
        let known = &mut partitions[partition];
        known.watermark = known.watermark.max(watermark);
        if done {
            known.sequence += 1;
            known.ended = is_last;
            if is_last && !self.keep_open {
                known.watermark = END;
            }
        }
        let minimum = partitions.iter().map(|partition| partition.watermark).min().unwrap_or(END);
        drop(partitions);
        if minimum != END {
            self.shown.store(minimum, Ordering::Relaxed);
        }
        if done {
            self.turn.notify_all();
        }
    }

    /// The minimum over all partitions, `own` in place of the one at `partition`.
    fn bound(&self, partition: usize, own: i64) -> i64 {
        let partitions = self.lock();
        let others = partitions.iter().enumerate().filter(|(at, _)| *at != partition);
        others.map(|(_, partition)| partition.watermark).min().unwrap_or(END).min(own)
    }

    /// The minimum over all partitions, for a worker between two morsels.
    fn minimum(&self) -> i64 {
        self.lock().iter().map(|partition| partition.watermark).min().unwrap_or(END)
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

/// A worker's view of event time while it reads one morsel after another.
pub(super) struct WatermarkTracker {
    watermarks: Arc<PartitionWatermarks>,
    context: KernelContext,
    marks: Evaluator,
    times: Evaluator,
    before: Vec<i64>,
    partition: usize,
    sequence: u64,
    is_last: bool,
    watermark: i64,
}

impl WatermarkTracker {
    pub(super) fn new(
        spec: &WatermarkSpec,
        time_type: DataType,
        watermarks: Arc<PartitionWatermarks>,
        context: KernelContext,
    ) -> Self {
        let times = Program::columns(&[(spec.column, time_type)]);
        WatermarkTracker {
            watermarks,
            context,
            marks: Evaluator::new(spec.program.clone(), context),
            times: Evaluator::new(Arc::new(times), context),
            before: Vec::new(),
            partition: 0,
            sequence: 0,
            is_last: false,
            watermark: START,
        }
    }

    /// Begins a morsel once the ones before it are done.
    pub(super) fn begin(&mut self, partition: usize, sequence: u64, is_last: bool, control: &Control) -> Result<()> {
        (self.partition, self.sequence, self.is_last) = (partition, sequence, is_last);
        self.watermark = self.watermarks.wait_turn(partition, sequence, control)?;
        Ok(())
    }

    /// Begins a morsel that ends at the watermark `rows` bring it to, so that the next one may start before they are
    /// processed.
    pub(super) fn begin_with(
        &mut self,
        partition: usize,
        sequence: u64,
        is_last: bool,
        rows: &[Batch],
        known: Option<i64>,
        control: &Control,
    ) -> Result<()> {
        let mut highest = known.unwrap_or(START);
        for batch in rows {
            highest = highest.max(self.highest_mark(batch)?);
        }
        self.begin(partition, sequence, is_last, control)?;
        // The partition's last morsel stays open until its rows are processed: its end means that no row follows.
        if !is_last {
            self.watermarks.publish(partition, self.watermark.max(highest), true, false);
        }
        Ok(())
    }

    fn highest_mark(&mut self, batch: &Batch) -> Result<i64> {
        self.marks.run(batch)?;
        let marks = self.marks.output(batch, 0);
        let values = marks.values::<i64>()?;
        let highest = millstream_kernels::pane::min_max(
            self.context.level,
            values,
            marks.validity().filter(|_| !marks.is_constant()),
        );
        Ok(highest.filter(|_| !marks.constant_is_null()).map_or(START, |(_, highest)| highest))
    }

    /// Moves the watermark over a batch and marks the rows that may be late.
    pub(super) fn observe(&mut self, batch: &mut Batch) -> Result<()> {
        self.times.run(batch)?;
        let highest = self.highest_mark(batch)?;
        let times = self.times.output(batch, 0);
        let end = self.watermark.max(highest);
        let lowest = millstream_kernels::pane::min_max(self.context.level, times.values::<i64>()?, times.validity());
        let lowest = lowest.filter(|_| !times.constant_is_null());
        if lowest.is_none_or(|(lowest, _)| lowest >= end) {
            self.watermark = end;
            return Ok(());
        }
        let marks = self.marks.output(batch, 0);
        let (mark_values, time_values) = (marks.values::<i64>()?, times.values::<i64>()?);
        let at = |row: usize, argument: &Argument<'_>| if argument.is_constant() { 0 } else { row };
        let mark = |row: usize| (!marks.is_null(row)).then(|| mark_values[at(row, &marks)]);
        let time = |row: usize| (!times.is_null(row)).then(|| time_values[at(row, &times)]);
        let behind = lateness(&mut self.watermark, batch.rows, mark, time, &mut self.before);
        batch.watermarks = behind.then(|| self.before.clone());
        Ok(())
    }

    /// Moves the watermark to where the source itself says it is.
    pub(super) fn advance(&mut self, known: Option<i64>) {
        self.watermark = self.watermark.max(known.unwrap_or(START));
    }

    /// The watermark this worker may send on after the rows it has processed.
    pub(super) fn bound(&self) -> i64 {
        self.watermarks.bound(self.partition, self.watermark)
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
        self.watermarks.publish(self.partition, self.watermark, false, false);
    }

    /// Ends the morsel. `announced`: whether `begin_with` has let the next one start already.
    pub(super) fn end(&mut self, announced: bool) {
        if !announced || self.is_last {
            self.watermarks.publish(self.partition, self.watermark, true, self.is_last);
        }
    }
}
