//! Groups rows into sessions of their key and aggregates each: rows at most the gap apart.
//!
//! Place       after exchange (a key lives in one partition), before emit.
//! Owns        the open sessions of each key, and their states, as columns indexed by session number.
//! Invariants  as of [`Sessions`]. What is told under EMIT CHANGES are whole sessions: one that grows, or that two have
//!             become, takes what was told of them back.
//!
//! Numbers are not used again one by one: when most are gone, all columns are made anew without them.

mod changes; //  sessions as they were and as they are
mod restore; //  snapshots
mod sessions; // where the sessions of each key lie

pub(in crate::stream::operator) use sessions::Sessions;

use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::level::Level;
use smallvec::SmallVec;

use super::TableShape;
use super::states::States;
use crate::batch::{Argument, Batch, Column, KernelColumn, ROWS_MAX, Selection, Values};
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{AggregateSpec, AggregateWindow, EmitMode, WindowColumn};
use crate::state::{GroupIndex, Section};
use crate::stream::operator::{Ending, Next, Operator};
use crate::time::{Bounds, END, START};
use changes::SessionChanges;

/// A running GROUP BY per session.
pub struct SessionAggregate {
    evaluator: Evaluator,
    times: Evaluator,
    shape: TableShape,
    outputs: Vec<WindowColumn>,
    emit: EmitMode,
    /// Whether the order of rows matters: then sessions are joined before the row that joins them is taken in.
    goes_by_arrival: bool,
    batch_rows: usize,
    index: GroupIndex,
    sessions: Sessions,
    states: States,
    /// How many session numbers the states know.
    known: usize,
    changes: SessionChanges,
    late_rows: u64,
    unplaced_rows: u64,
    /// The key of each row of a batch.
    keys: Vec<u32>,
    /// The rows of a batch that count, and the session of each.
    rows: Vec<u16>,
    placed: Vec<u32>,
    absorbed: Vec<u32>,
    closed: Vec<u32>,
    mask: Vec<u64>,
    whole: Selection,
    out: Batch,
}

impl SessionAggregate {
    /// Sessions whose rows are at most `gap` apart, with the keys of `spec`.
    pub fn new(
        spec: &AggregateSpec,
        window: &AggregateWindow,
        gap: i64,
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Self {
        let mut shape = TableShape::new(spec, seed, context);
        shape.one_group = false;
        let between = vec![window.data_type.clone(); window.outputs.len()];
        let times = Program::columns(&[(window.column, window.data_type.clone())]);
        let mut out = Batch::default();
        let columns = spec.key_count + window.outputs.len() + spec.aggregates.len();
        out.columns.resize_with(columns, Column::default);
        SessionAggregate {
            evaluator: Evaluator::new(spec.program.clone(), context).with_dictionaries(spec.key_count),
            times: Evaluator::new(Arc::new(times), context),
            outputs: window.outputs.clone(),
            emit: spec.emit,
            goes_by_arrival: spec.aggregates.iter().any(|call| call.function.is_order_sensitive()),
            batch_rows: batch_rows.min(ROWS_MAX),
            index: GroupIndex::new(shape.key_types.clone(), seed, context.level),
            sessions: Sessions::new(gap),
            states: States::new(&shape, false),
            known: 0,
            changes: SessionChanges::new(shape.output_types(&between)),
            shape,
            late_rows: 0,
            unplaced_rows: 0,
            keys: Vec::new(),
            rows: Vec::new(),
            placed: Vec::new(),
            absorbed: Vec::new(),
            closed: Vec::new(),
            mask: Vec::new(),
            whole: Selection::default(),
            out,
        }
    }

    /// Finds the keys of the selected rows.
    fn find_keys(&mut self, batch: &Batch) -> Result<()> {
        let keys: SmallVec<[Argument<'_>; 4]> =
            (0..self.shape.key_types.len()).map(|key| self.evaluator.output(batch, key)).collect();
        self.index.lookup(&keys, self.evaluator.rows(), &mut self.keys)?;
        self.sessions.grow_keys(self.index.len());
        Ok(())
    }

    /// Takes rows in that have found their sessions, with what has become of sessions on the way.
    fn take_in(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let sessions = &self.sessions;
        self.placed.iter_mut().for_each(|session| *session = sessions.root(*session));
        if self.emit == EmitMode::Changes {
            self.note_old()?;
        }
        self.join_absorbed()?;
        batch.selection.clone_from(&self.whole);
        if self.rows.len() < batch.selected_rows() {
            batch.selection.narrow(&self.rows);
            self.evaluator.run(batch)?;
        }
        let count = self.sessions.len();
        self.states.update(&self.evaluator, batch, &self.placed, count, None, &mut self.mask)?;
        self.known = count;
        if self.emit == EmitMode::Changes {
            self.tell_new(next)?;
        }
        self.rows.clear();
        self.placed.clear();
        Ok(())
    }

    /// Merges the states of sessions that have become parts of others, in the order in which they began.
    fn join_absorbed(&mut self) -> Result<()> {
        self.absorbed.retain(|&session| (session as usize) < self.known);
        self.absorbed.sort_unstable();
        if !self.absorbed.is_empty() {
            let into: Vec<u32> = self.absorbed.iter().map(|&session| self.sessions.root(session)).collect();
            let mut picked = self.states.pick(&self.absorbed)?;
            self.states.merge(&into, self.sessions.len(), &mut picked)?;
            self.known = self.sessions.len();
        }
        self.absorbed.clear();
        Ok(())
    }

    /// Emits the sessions that the watermark has passed.
    fn close(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        let mut closed = std::mem::take(&mut self.closed);
        self.sessions.close(watermark, &mut closed);
        if self.emit == EmitMode::Final {
            for piece in closed.chunks(self.batch_rows) {
                self.write_open(piece)?;
                next.push(&mut self.out)?;
            }
        }
        self.changes.forget(&closed);
        self.sessions.forget(&closed);
        self.closed = closed;
        self.compact()
    }

    /// Writes sessions as they are into `out`.
    fn write_open(&mut self, sessions: &[u32]) -> Result<()> {
        let keys: Vec<u32> = sessions.iter().map(|&session| self.sessions.key(session)).collect();
        let bounds: Vec<Bounds> = sessions.iter().map(|&session| self.sessions.bounds(session)).collect();
        self.write(sessions, &keys, &bounds)
    }

    /// Writes sessions with these keys and bounds into `out`: keys, window columns, results.
    fn write(&mut self, sessions: &[u32], keys: &[u32], bounds: &[Bounds]) -> Result<()> {
        let key_count = self.shape.key_types.len();
        for key in 0..key_count {
            self.index.keys(key, keys, &mut self.out.columns[key])?;
        }
        for (output, column) in self.outputs.iter().zip(&mut self.out.columns[key_count..]) {
            let flat = column.flat_mut(|values| matches!(values, Values::I64(_)), || Values::I64(Vec::new()));
            if let Values::I64(values) = &mut flat.values {
                values.clear();
                values.extend(bounds.iter().map(|bounds| output.of(*bounds)));
            }
            flat.rows = sessions.len();
            flat.set_all_valid();
        }
        self.states.finish(sessions, &mut self.out.columns[key_count + self.outputs.len()..])?;
        self.out.rows = sessions.len();
        self.out.selection.clear();
        self.out.changes = None;
        self.out.watermarks.clear();
        Ok(())
    }

    /// Makes the columns anew when most sessions or keys in them are gone.
    fn compact(&mut self) -> Result<()> {
        let Some(kept) = self.sessions.compact() else { return Ok(()) };
        self.states = self.states.pick(&kept.sessions)?;
        self.known = kept.sessions.len();
        let shape = (&self.shape.key_types[..], self.shape.seed, self.shape.level());
        self.index = moved(&self.index, shape, &kept.keys)?;
        self.renumber_told();
        Ok(())
    }
}

/// An index with these keys of another one alone, numbered in this order.
pub(in crate::stream::operator) fn moved(
    index: &GroupIndex,
    (types, seed, level): (&[DataType], u64, Level),
    keys: &[u32],
) -> Result<GroupIndex> {
    let mut next = GroupIndex::new(types.to_vec(), seed, level);
    let (mut columns, mut groups) = (Vec::new(), Vec::new());
    columns.resize_with(types.len(), KernelColumn::default);
    for piece in keys.chunks(ROWS_MAX) {
        for (key, column) in columns.iter_mut().enumerate() {
            index.keys(key, piece, &mut column.column)?;
            column.settle();
        }
        let arguments: SmallVec<[Argument<'_>; 4]> =
            columns.iter().map(|column| column.argument(piece.len())).collect();
        next.lookup(&arguments, piece.len(), &mut groups)?;
    }
    Ok(next)
}

impl Operator for SessionAggregate {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.times.run(batch)?;
        self.evaluator.run(batch)?;
        self.find_keys(batch)?;
        self.whole.clone_from(&batch.selection);
        let watermarks = batch.selected_watermarks();
        let times = self.times.output(batch, 0);
        let values = times.values::<i64>()?;
        let stride = usize::from(!times.is_constant());
        let nulls: Option<Vec<bool>> = (times.validity().is_some() || times.constant_is_null())
            .then(|| (0..times.rows()).map(|row| times.is_null(row)).collect());
        // The borrowed column would keep the batch; its values are few where they must be looked at in pieces.
        let moments: Vec<i64> = (0..times.rows()).map(|row| values[row * stride]).collect();
        for (row, &time) in moments.iter().enumerate() {
            if nulls.as_ref().is_some_and(|nulls| nulls[row]) {
                self.unplaced_rows += 1;
                continue;
            }
            let watermark = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]);
            if self.goes_by_arrival && self.sessions.joins(self.keys[row], time, watermark) {
                self.take_in(batch, next)?;
            }
            let Some(session) = self.sessions.take(self.keys[row], time, watermark, &mut self.absorbed) else {
                self.late_rows += 1;
                continue;
            };
            self.rows.push(row as u16);
            self.placed.push(session);
        }
        self.take_in(batch, next)?;
        batch.selection.clone_from(&self.whole);
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        self.close(watermark, next)?;
        // A session that is still open ends at the watermark or after; its last tick is one before.
        next.watermark(if watermark == START || watermark == END { watermark } else { watermark - 1 })
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Flush { self.close(END, next) } else { Ok(()) }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        self.save()
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        sections.into_iter().try_for_each(|section| self.load(&section))
    }

    fn size_bytes(&self) -> usize {
        self.index.size_bytes() + self.sessions.size_bytes() + self.states.size_bytes() + self.changes.size_bytes()
    }

    fn remarks(&self) -> String {
        format!("open sessions {}, keys {}", self.sessions.open(), self.index.mode())
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
