//! Rows whose partitions never end, in the order of their time or as they come: a row leaves when its frame is known.
//!
//! ```text
//! rows ─▶ waiting, until the watermark has passed them ─▶ behind the rows kept of their partitions ─▶ evaluated
//!            leave: rows whose frame is complete           kept: rows that frames to come may reach
//!                                                          carried: what frames from UNBOUNDED PRECEDING hold of the rest
//! ```
//! Owns        waiting rows; per partition the rows that frames reach, and saved states of what lies before them, or, where all
//!             functions can be kept up row by row, what these hold and no rows.
//! Invariants  a row leaves once; the watermark passed on never passes a row that has not left.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{cast, concat, filter, take};
use arrow::datatypes::{DataType, Int64Type};

use super::OverShape;
use super::evaluate::{Before, Evaluated, evaluate, in_order, look_up};
use super::reach::Reach;
use super::rows::{RowRef, Rows};
use super::running::{InOrder, Running};
use super::sorted::Passed;
use crate::batch::{Batch, Column, KernelColumn};
use crate::error::Result;
use crate::function::Update;
use crate::pipeline::{Completion, FrameBound, OverFunction, ticks_per_second, time_unit};
use crate::state::{GroupIndex, Section};
use crate::stream::operator::aggregate::{call_states, moved};
use crate::stream::operator::expiry::Expiry;
use crate::stream::operator::held::{columns, concatenated, push_in_batches};
use crate::stream::operator::{Ending, Next, Operator};
use crate::time::{END, START};

/// Partitions are looked through so many times while the watermark passes what frames reach,
const SWEEPS: i64 = 4;
/// and when there are twice as many as were left, and these.
const SWEEP_MIN: usize = 1024;
/// Fewer partitions that are gone than this keep their numbers.
const SWEPT_MIN: usize = 64;

/// A running OVER on input that does not end.
pub struct StreamOver {
    pub(super) shape: OverShape,
    /// The wide column of the time that rows wait by; `None`: they come in order.
    time: Option<usize>,
    reach: Reach,
    /// Rows that the watermark has not passed: wide columns and the times of their rows.
    pub(super) waiting: Vec<Waiting>,
    pub(super) index: GroupIndex,
    pub(super) partitions: Vec<Partition>,
    /// Wide rows that frames reach.
    pub(super) rows: Rows,
    /// Saved states, a row per partition that has some.
    pub(super) carried: Rows,
    /// Set where functions can be kept up row by row: then no rows are kept, and all leave at once.
    pub(super) running: Option<Running>,
    /// Partitions with rows that have not left.
    pub(super) open: Vec<u32>,
    /// When partitions are looked through again for those that nothing to come can reach, and how many there were left.
    sweep_at: i64,
    swept: usize,
    /// For each partition, its place among those that are touched; only used within a call.
    place: Vec<u32>,
    /// Set where partitions are forgotten by the clock, which stood here when it was last seen.
    expiry: Option<Expiry>,
    now: i64,
    pub(super) watermark: i64,
    late_rows: u64,
    unplaced_rows: u64,
}

/// Rows that wait, of one batch.
pub(super) struct Waiting {
    pub columns: Vec<ArrayRef>,
    pub times: Vec<i64>,
    least: i64,
    most: i64,
}

/// What is kept of one partition.
#[derive(Default)]
pub(super) struct Partition {
    /// Rows in order; the last `unsent` of them have not left.
    pub rows: Vec<RowRef>,
    pub unsent: usize,
    /// The time of the last of them.
    pub last: i64,
    pub passed: Passed,
    pub carried: Option<RowRef>,
}

impl StreamOver {
    pub fn new(shape: OverShape) -> Self {
        let time = matches!(shape.spec.completion, Completion::Time { .. }).then_some(shape.spec.key_count);
        let second = time.and_then(|time| time_unit(&shape.types[time])).map_or(1, ticks_per_second);
        StreamOver {
            time,
            reach: Reach::of(&shape.spec, second),
            waiting: Vec::new(),
            index: GroupIndex::new(shape.types[..shape.spec.key_count].to_vec(), shape.seed, shape.context.level),
            partitions: Vec::new(),
            rows: Rows::default(),
            carried: Rows::default(),
            running: Running::of(&shape, second),
            open: Vec::new(),
            sweep_at: START,
            swept: 0,
            place: Vec::new(),
            expiry: shape.spec.ttl.map(Expiry::new),
            now: 0,
            watermark: START,
            late_rows: 0,
            unplaced_rows: 0,
            shape,
        }
    }

    /// The wide column of the time that rows wait by.
    pub(super) fn time(&self) -> Option<usize> {
        self.time
    }

    /// Takes the rows out that the watermark has passed.
    fn ready(&mut self, watermark: i64) -> Result<Option<Vec<ArrayRef>>> {
        let mut ready: Vec<Vec<ArrayRef>> = Vec::new();
        let mut still = Vec::new();
        for batch in std::mem::take(&mut self.waiting) {
            if batch.most < watermark {
                ready.push(batch.columns);
            } else if batch.least >= watermark {
                still.push(batch);
            } else {
                let passed = BooleanArray::from_iter(batch.times.iter().map(|time| Some(*time < watermark)));
                let pick = |mask: &BooleanArray| -> Result<Vec<ArrayRef>> {
                    batch.columns.iter().map(|column| Ok(filter(column, mask)?)).collect()
                };
                ready.push(pick(&passed)?);
                let columns = pick(&arrow::compute::not(&passed)?)?;
                let times = batch.times.iter().copied().filter(|time| *time >= watermark).collect();
                still.extend(Waiting::new(columns, times));
            }
        }
        self.waiting = still;
        if ready.is_empty() { Ok(None) } else { concatenated(&self.shape.types, &ready).map(Some) }
    }

    /// Puts new rows behind those kept of their partitions, lets leave what is known, and keeps what is reached.
    ///
    /// `bound`: no row before this time comes any more; at the end of input none at all.
    pub(super) fn advance(&mut self, new: Option<Vec<ArrayRef>>, bound: i64, next: &mut Next<'_>) -> Result<()> {
        let new_rows = new.as_ref().and_then(|new| new.first()).map_or(0, |column| column.len());
        let new = new.filter(|_| new_rows > 0);
        let groups = match &new {
            Some(new) if self.shape.spec.key_count == 0 => vec![0; new[0].len()],
            Some(new) => look_up(&mut self.index, &new[..self.shape.spec.key_count], new_rows)?,
            None => Vec::new(),
        };
        let group_count = self.index.len().max(usize::from(self.shape.spec.key_count == 0));
        self.partitions.resize_with(group_count.max(self.partitions.len()), Partition::default);
        if let Some(expiry) = &mut self.expiry {
            expiry.touch(&groups, self.partitions.len(), self.now);
        }
        if self.running.is_some() {
            return match new {
                Some(new) if self.time.is_some() => self.run_by_time(new, &groups, next),
                Some(new) => self.run(&new, &groups, next),
                None => Ok(()),
            };
        }
        let (touched, of_new) = self.touched(&groups);
        if touched.is_empty() {
            return Ok(());
        }
        let kept: Vec<RowRef> =
            touched.iter().flat_map(|&group| self.partitions[group as usize].rows.iter().copied()).collect();
        let mut of_rows: Vec<u32> = Vec::with_capacity(kept.len() + groups.len());
        for (at, &group) in touched.iter().enumerate() {
            of_rows.resize(of_rows.len() + self.partitions[group as usize].rows.len(), at as u32);
        }
        of_rows.extend(of_new);
        let old = self.rows.pick(&kept)?;
        let wide = match (new, kept.is_empty()) {
            (Some(new), true) => new,
            (None, _) => old,
            (Some(new), false) => {
                let pairs = old.iter().zip(&new);
                pairs.map(|(old, new)| Ok(concat(&[old.as_ref(), new.as_ref()])?)).collect::<Result<Vec<_>>>()?
            }
        };
        let before = self.before(&touched)?;
        let evaluated = evaluate(&self.shape, &wide, &of_rows, touched.len(), &before)?;
        self.settle(&touched, &wide, evaluated, bound, next)?;
        self.give_back()
    }

    /// The partitions that may have rows to send: those with new rows, and those that wait for a frame's end; and which of
    /// them each new row is of.
    fn touched(&mut self, groups: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut touched: Vec<u32> = Vec::new();
        let place = &mut self.place;
        place.resize(self.partitions.len(), u32::MAX);
        for &group in groups.iter().chain(&self.open) {
            if place[group as usize] == u32::MAX {
                place[group as usize] = touched.len() as u32;
                touched.push(group);
            }
        }
        let of_new = groups.iter().map(|&group| place[group as usize]).collect();
        touched.iter().for_each(|&group| place[group as usize] = u32::MAX);
        (touched, of_new)
    }

    /// Lets rows leave that are in the order they came in, with the results of functions that are kept up.
    fn run(&mut self, rows: &[ArrayRef], groups: &[u32], next: &mut Next<'_>) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let numbers = numbers(&mut self.partitions, groups);
        let partition_count = self.partitions.len();
        let in_order = InOrder { partitions: groups, numbers: &numbers, times: None, sorted: None, partition_count };
        let results = running.results(&self.shape, rows, &in_order)?;
        let columns: Vec<ArrayRef> = self.shape.own(rows).iter().cloned().chain(results).collect();
        push_in_batches(&columns, groups.len(), self.shape.batch_rows, next)
    }

    /// Lets rows leave that the watermark has passed, with the results of functions that are kept up.
    fn run_by_time(&mut self, rows: Vec<ArrayRef>, groups: &[u32], next: &mut Next<'_>) -> Result<()> {
        let (touched, places) = self.touched(groups);
        let (order, mut sorted) = in_order(&self.shape, &rows, &places, touched.len())?;
        let (Some(running), Some(time)) = (&mut self.running, self.time) else { return Ok(()) };
        sorted.passed = touched.iter().map(|&group| self.partitions[group as usize].passed).collect();
        let order = UInt32Array::from(order);
        let rows = rows.iter().map(|column| Ok(take(column, &order, None)?)).collect::<Result<Vec<_>>>()?;
        let groups: Vec<u32> = order.values().iter().map(|&row| groups[row as usize]).collect();
        let numbers = numbers(&mut self.partitions, &groups);
        let times = cast(&rows[time], &DataType::Int64)?;
        let times = times.as_primitive::<Int64Type>().values();
        let in_order = InOrder {
            partitions: &groups,
            numbers: &numbers,
            times: Some(times),
            sorted: Some(&sorted),
            partition_count: self.partitions.len(),
        };
        let results = running.results(&self.shape, &rows, &in_order)?;
        sorted.each_peers(|at, _, end| {
            let partition = &mut self.partitions[touched[at] as usize];
            partition.passed.peers += 1;
            partition.last = times[end - 1];
        });
        let columns: Vec<ArrayRef> = self.shape.own(&rows).iter().cloned().chain(results).collect();
        push_in_batches(&columns, groups.len(), self.shape.batch_rows, next)
    }

    /// Forgets the partitions whose rows no frame to come reaches, now and then: the work stays in proportion to the rows.
    fn sweep(&mut self, bound: i64) -> Result<()> {
        let many = self.partitions.len() > 2 * self.swept + SWEEP_MIN;
        if self.shape.spec.key_count == 0 || !self.shape.spec.forgets_keys() || (bound < self.sweep_at && !many) {
            return Ok(());
        }
        self.sweep_at = bound.saturating_add((self.reach.ticks / SWEEPS).max(1));
        let first = bound.saturating_sub(self.reach.ticks);
        let mut dropped = 0;
        let mut left = Vec::new();
        for (at, partition) in (0u32..).zip(&mut self.partitions) {
            if partition.unsent > 0 || partition.last >= first {
                left.push(at);
                continue;
            }
            dropped += partition.rows.len();
            *partition = Partition { last: START, ..Partition::default() };
            self.running.iter_mut().for_each(|running| running.clear(at));
        }
        self.rows.drop_rows(dropped);
        self.swept = left.len();
        if self.partitions.len() > 2 * left.len() + SWEPT_MIN {
            self.renumber(&left)?;
        }
        self.give_back()
    }

    /// Keeps these partitions only, ascending, which are numbered anew in this order.
    fn renumber(&mut self, left: &[u32]) -> Result<()> {
        let shape = &self.shape;
        let types = &shape.types[..shape.spec.key_count];
        self.index = moved(&self.index, (types, shape.seed, shape.context.level), left)?;
        self.running.iter_mut().for_each(|running| running.keep(left));
        self.partitions = left.iter().map(|&at| std::mem::take(&mut self.partitions[at as usize])).collect();
        self.open = (0u32..).zip(&self.partitions).filter(|(_, p)| p.unsent > 0).map(|(at, _)| at).collect();
        self.place = Vec::new();
        Ok(())
    }

    /// Forgets the partitions that no row has come to for long, and whose rows have all left.
    fn forget(&mut self, now: i64) -> Result<()> {
        let Some(expiry) = &mut self.expiry else { return Ok(()) };
        let partitions = &self.partitions;
        let waits = |at: u32| partitions[at as usize].unsent > 0;
        let Some(left) = expiry.left(now, partitions.len(), waits) else { return Ok(()) };
        let held = |partitions: &[Partition]| {
            let rows: usize = partitions.iter().map(|partition| partition.rows.len()).sum();
            (rows, partitions.iter().filter(|partition| partition.carried.is_some()).count())
        };
        let before = held(&self.partitions);
        self.renumber(&left)?;
        let after = held(&self.partitions);
        self.rows.drop_rows(before.0 - after.0);
        self.carried.drop_rows(before.1 - after.1);
        self.give_back()
    }

    /// Copies what is kept where most of what is held is not.
    fn give_back(&mut self) -> Result<()> {
        if self.rows.is_wasteful() {
            self.rows.compact(self.partitions.iter_mut().flat_map(|partition| partition.rows.iter_mut()))?;
        }
        if self.carried.is_wasteful() {
            self.carried.compact(self.partitions.iter_mut().filter_map(|partition| partition.carried.as_mut()))?;
        }
        Ok(())
    }

    /// The calls whose frames start with the partition, and how many columns their states have.
    fn growing(&self) -> Vec<(usize, usize)> {
        let calls = self.shape.spec.calls.iter().enumerate();
        let growing = calls.filter_map(|(at, call)| match &call.function {
            OverFunction::Aggregate(aggregate) if call.frame.start == FrameBound::Unbounded => {
                Some((at, aggregate.function.state_types().len()))
            }
            _ => None,
        });
        growing.collect()
    }

    /// What lies before the rows kept of these partitions.
    fn before(&self, touched: &[u32]) -> Result<Before> {
        let passed = touched.iter().map(|&group| self.partitions[group as usize].passed).collect();
        let mut states: Vec<Option<Vec<ArrayRef>>> = vec![None; self.shape.spec.calls.len()];
        for (call, columns) in self.growing().into_iter().zip(self.states(touched)?) {
            states[call.0] = Some(columns);
        }
        Ok(Before { passed, states })
    }

    /// The saved states of these partitions, per growing call: empty ones where nothing is carried.
    fn states(&self, touched: &[u32]) -> Result<Vec<Vec<ArrayRef>>> {
        let growing = self.growing();
        if growing.is_empty() {
            return Ok(Vec::new());
        }
        let known: Vec<(u32, RowRef)> = touched
            .iter()
            .enumerate()
            .filter_map(|(at, &group)| Some((at as u32, self.partitions[group as usize].carried?)))
            .collect();
        let saved = self.carried.pick(&known.iter().map(|(_, at)| *at).collect::<Vec<_>>())?;
        let places: Vec<u32> = known.iter().map(|(at, _)| *at).collect();
        let mut from = 0;
        let mut all = Vec::with_capacity(growing.len());
        for (call, width) in growing {
            let mut states = self.empty_states(call);
            if !places.is_empty() {
                states.merge_saved(&places, touched.len(), &saved[from..from + width])?;
            }
            from += width;
            all.push(states.save(touched.len())?);
        }
        Ok(all)
    }

    fn empty_states(&self, call: usize) -> Box<dyn crate::function::AggregateStates> {
        match &self.shape.spec.calls[call].function {
            OverFunction::Aggregate(aggregate) => call_states(aggregate, self.shape.seed, self.shape.context),
            _ => unreachable!("only aggregates have states"),
        }
    }

    /// Sends the rows whose frames are complete, and keeps of the others what is needed.
    fn settle(
        &mut self,
        touched: &[u32],
        wide: &[ArrayRef],
        evaluated: Evaluated,
        bound: i64,
        next: &mut Next<'_>,
    ) -> Result<()> {
        let Evaluated { rows, sorted, results } = evaluated;
        let times = match self.time {
            Some(_) => Some(cast(&sorted.order[0], &DataType::Int64)?),
            None => None,
        };
        let times = times.as_ref().map(|times| times.as_primitive::<Int64Type>().values());
        let (mut sent, mut kept, mut gone): (Vec<u32>, Vec<u32>, Vec<u32>) = Default::default();
        let mut absorbed: Vec<u32> = Vec::new();
        let mut kept_of: Vec<(usize, usize)> = Vec::with_capacity(touched.len());
        let mut dropped = 0;
        let (reach, is_end) = (self.reach, bound == END);
        let mut group_at = 0;
        sorted.each_partition(|at, start, end| {
            let partition = &mut self.partitions[touched[at] as usize];
            while (sorted.peers[group_at] as usize) < start {
                group_at += 1;
            }
            let last_group = group_at + sorted.peers[group_at..].partition_point(|&peer| (peer as usize) < end);
            let peers = &sorted.peers[group_at..=last_group];
            let group_of = |row: usize| peers.partition_point(|&peer| peer as usize <= row) - 1;
            let first_unsent = start + partition.rows.len() - partition.unsent;
            // Frames are complete from the first row on.
            let is_complete = |row: usize| {
                is_end
                    || (row as u64 + reach.rows_after < end as u64
                        && (reach.groups_after == 0
                            || (group_of(row) as u64) + reach.groups_after < peers.len() as u64 - 1)
                        && (reach.ticks_after == 0
                            || times.is_none_or(|times| times[row].saturating_add(reach.ticks_after) < bound)))
            };
            let now_sent = (first_unsent..end).take_while(|&row| is_complete(row)).count();
            let sent_to = first_unsent + now_sent;
            sent.extend(first_unsent as u32..sent_to as u32);
            // What rows to come may reach: from the first row that has not left, or from the bound.
            let next_time = times.map(|times| if sent_to < end { times[sent_to].min(bound) } else { bound });
            let by_rows = (sent_to as u64).saturating_sub(reach.rows).max(start as u64) as usize;
            let by_groups = match reach.groups {
                0 => sent_to,
                groups => {
                    let group = if sent_to < end { group_of(sent_to) } else { peers.len() - 1 };
                    peers[(group as u64).saturating_sub(groups) as usize] as usize
                }
            };
            let by_ticks = match (times, next_time) {
                (Some(times), Some(next_time)) if reach.ticks > 0 => {
                    let first = next_time.saturating_sub(reach.ticks);
                    start + times[start..sent_to].partition_point(|time| *time < first)
                }
                _ => sent_to,
            };
            let keep_from = by_rows.min(by_groups).min(by_ticks);
            // Peers stay together, so that they are counted once.
            let keep_from = if keep_from < end { (peers[group_of(keep_from)] as usize).max(start) } else { end };
            let keep_from = if times.is_none() { by_rows } else { keep_from };
            partition.passed.rows += (keep_from - start) as u64;
            let peers_gone = if keep_from < end { group_of(keep_from) } else { peers.len() - 1 };
            partition.passed.peers += peers_gone as u64;
            gone.extend(start as u32..keep_from as u32);
            absorbed.resize(absorbed.len() + keep_from - start, at as u32);
            kept.extend(keep_from as u32..end as u32);
            kept_of.push((end - keep_from, end - sent_to));
            dropped += partition.rows.len();
            partition.last = times.map_or(START, |times| times[end - 1]);
        });
        self.push_sent(wide, &rows, &results, &sent, next)?;
        self.absorb(touched, wide, &rows, &gone, &absorbed)?;
        self.rows.drop_rows(dropped);
        let picked = UInt32Array::from_iter_values(kept.iter().map(|&row| rows[row as usize]));
        let columns = wide.iter().map(|column| Ok(take(column, &picked, None)?)).collect::<Result<Vec<_>>>()?;
        let refs = self.rows.add(columns, kept.len());
        let mut from = 0;
        self.open.clear();
        for (&group, (count, unsent)) in touched.iter().zip(kept_of) {
            let partition = &mut self.partitions[group as usize];
            partition.rows = (from..from + count).map(&refs).collect();
            partition.unsent = unsent;
            from += count;
            if unsent > 0 {
                self.open.push(group);
            }
        }
        Ok(())
    }

    /// Pushes sorted rows on with their results.
    fn push_sent(
        &self,
        wide: &[ArrayRef],
        rows: &[u32],
        results: &[ArrayRef],
        sent: &[u32],
        next: &mut Next<'_>,
    ) -> Result<()> {
        if sent.is_empty() {
            return Ok(());
        }
        let mut sent = sent.to_vec();
        if self.time.is_none() {
            // Who comes behind may look at the order of rows too.
            sent.sort_unstable_by_key(|&row| rows[row as usize]);
        }
        let own = UInt32Array::from_iter_values(sent.iter().map(|&row| rows[row as usize]));
        let sorted = UInt32Array::from(sent.clone());
        let own = self.shape.own(wide).iter().map(|column| Ok(take(column, &own, None)?));
        let results = results.iter().map(|column| Ok(take(column, &sorted, None)?));
        let columns = own.chain(results).collect::<Result<Vec<_>>>()?;
        push_in_batches(&columns, sent.len(), self.shape.batch_rows, next)
    }

    /// Adds rows that are no longer kept to the states of the frames that start with the partition.
    fn absorb(&mut self, touched: &[u32], wide: &[ArrayRef], rows: &[u32], gone: &[u32], groups: &[u32]) -> Result<()> {
        let growing = self.growing();
        if growing.is_empty() || gone.is_empty() {
            return Ok(());
        }
        let saved = self.states(touched)?;
        let picked = UInt32Array::from_iter_values(gone.iter().map(|&row| rows[row as usize]));
        let mut columns = Vec::new();
        let all: Vec<u32> = (0..touched.len() as u32).collect();
        let calls = self.shape.spec.clone();
        for ((call, _), saved) in growing.into_iter().zip(saved) {
            let mut states = self.empty_states(call);
            states.merge_saved(&all, touched.len(), &saved)?;
            let first = self.shape.order().end
                + calls.calls[..call].iter().map(|call| call.arg_count + usize::from(call.filtered)).sum::<usize>();
            let this = &calls.calls[call];
            let pick = |at: usize| Ok(take(&wide[at], &picked, None)?);
            let args = (first..first + this.arg_count).map(pick).collect::<Result<Vec<ArrayRef>>>()?;
            let args: Vec<KernelColumn> = args.into_iter().map(|arg| KernelColumn::new(Column::Array(arg))).collect();
            let args: Vec<_> = args.iter().map(|arg| arg.argument(gone.len())).collect();
            let filter = this.filtered.then(|| pick(first + this.arg_count)).transpose()?;
            let filter = filter.map(|filter| super::aggregate::words(filter.as_boolean()));
            let update =
                Update { groups, group_count: touched.len(), args: &args, filter: filter.as_deref(), changes: None };
            states.update(&self.shape.context, &update)?;
            columns.extend(states.save(touched.len())?);
        }
        let old = touched.iter().filter(|&&group| self.partitions[group as usize].carried.is_some()).count();
        self.carried.drop_rows(old);
        let refs = self.carried.add(columns, touched.len());
        for (at, &group) in touched.iter().enumerate() {
            self.partitions[group as usize].carried = Some(refs(at));
        }
        Ok(())
    }

    /// Takes a batch's rows to wait, without those that are late.
    fn wait(&mut self, wide: Vec<ArrayRef>, batch: &Batch, time: usize) -> Result<()> {
        let ticks = cast(&wide[time], &DataType::Int64)?;
        let ticks = ticks.as_primitive::<Int64Type>();
        let watermarks = batch.selected_watermarks();
        let (late_rows, unplaced_rows) = (&mut self.late_rows, &mut self.unplaced_rows);
        let mut keep = |row: usize| {
            let before = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]).max(self.watermark);
            match ticks.is_valid(row) {
                true if ticks.value(row) >= before => true,
                true => {
                    *late_rows += 1;
                    false
                }
                false => {
                    *unplaced_rows += 1;
                    false
                }
            }
        };
        let kept: Vec<bool> = (0..ticks.len()).map(&mut keep).collect();
        let times = ticks.values().iter().zip(&kept).filter(|(_, kept)| **kept).map(|(time, _)| *time).collect();
        let columns = match kept.iter().all(|kept| *kept) {
            true => wide,
            false => {
                let mask = BooleanArray::from(kept);
                wide.iter().map(|column| Ok(filter(column, &mask)?)).collect::<Result<Vec<_>>>()?
            }
        };
        self.waiting.extend(Waiting::new(columns, times));
        Ok(())
    }

    /// The least time of a row that has not left, `bound` where there is none before it.
    fn held_back(&self, bound: i64) -> Result<i64> {
        let Some(time) = self.time.filter(|_| !self.open.is_empty()) else { return Ok(bound) };
        let first = |group: &u32| {
            let partition = &self.partitions[*group as usize];
            partition.rows[partition.rows.len() - partition.unsent]
        };
        let refs: Vec<RowRef> = self.open.iter().map(first).collect();
        let times = cast(&self.rows.pick(&refs)?[time], &DataType::Int64)?;
        Ok(times.as_primitive::<Int64Type>().values().iter().copied().min().unwrap_or(bound).min(bound))
    }
}

/// How many rows of its partition came before each row; the rows have passed then.
fn numbers(partitions: &mut [Partition], groups: &[u32]) -> Vec<i64> {
    let number = |group: &u32| {
        let passed = &mut partitions[*group as usize].passed.rows;
        *passed += 1;
        *passed as i64 - 1
    };
    groups.iter().map(number).collect()
}

impl Waiting {
    /// `None` for no rows.
    pub fn new(columns: Vec<ArrayRef>, times: Vec<i64>) -> Option<Self> {
        let (least, most) = (*times.iter().min()?, *times.iter().max()?);
        Some(Waiting { columns, times, least, most })
    }
}

impl Operator for StreamOver {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.now = batch.now;
        let wide = columns(batch, &self.shape.types)?;
        match self.time {
            Some(time) => self.wait(wide, batch, time),
            None => self.advance(Some(wide), START, next),
        }
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        self.watermark = watermark;
        if self.time.is_none() {
            return next.watermark(watermark);
        }
        let ready = self.ready(watermark)?;
        self.advance(ready, watermark, next)?;
        self.sweep(watermark)?;
        let bound = self.held_back(watermark)?;
        next.watermark(bound)
    }

    fn tick(&mut self, now: i64, _next: &mut Next<'_>) -> Result<()> {
        self.now = now;
        self.forget(now)
    }

    fn next_tick(&self) -> Option<i64> {
        self.expiry.as_ref().filter(|_| !self.partitions.is_empty()).map(Expiry::next_tick)
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold {
            return Ok(());
        }
        let ready = self.ready(END)?;
        self.advance(ready, END, next)
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        super::snapshot::save(self)
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        super::snapshot::load(self, sections)
    }

    fn size_bytes(&self) -> usize {
        let waiting =
            self.waiting.iter().flat_map(|batch| &batch.columns).map(crate::stream::operator::held::size_bytes);
        let partitions = self.partitions.iter().map(|partition| partition.rows.capacity() * size_of::<RowRef>());
        waiting.sum::<usize>()
            + self.rows.size_bytes()
            + self.carried.size_bytes()
            + self.index.size_bytes()
            + self.partitions.capacity() * size_of::<Partition>()
            + partitions.sum::<usize>()
            + self.running.as_ref().map_or(0, Running::size_bytes)
            + self.expiry.as_ref().map_or(0, Expiry::size_bytes)
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }

    fn remarks(&self) -> String {
        format!("partitions {}", self.partitions.len())
    }
}
