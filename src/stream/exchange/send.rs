//! The operator at the sending end: parts a batch by key and posts each part to its owner.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::partition;
use smallvec::SmallVec;

use super::hash::KeyHasher;
use super::{Message, Sender};
use crate::batch::{Argument, Batch, Column, KernelColumn, ROWS_MAX};
use crate::error::{Error, Result};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::stream::operator::{Ending, Next, Operator};

/// How an exchange chooses the receiver of a row.
#[derive(Debug, Clone)]
pub enum Route {
    /// By the hash of the first columns, whose types these are.
    Hash(Vec<DataType>),
    /// By the hash of what this program makes of the columns.
    Keys(Arc<Program>),
    /// All rows to the first receiver.
    First,
    /// All rows to every receiver.
    All,
}

impl Route {
    /// The receiver, of `receivers`, of the rows with this key: a value per key column.
    pub fn owner(&self, context: KernelContext, key: &[ArrayRef], receivers: usize) -> Result<usize> {
        let Route::Hash(types) = self else { return Ok(0) };
        let key: Vec<Column> = key.iter().cloned().map(Column::Constant).collect();
        let key: SmallVec<[Argument<'_>; 4]> = key.iter().map(|value| Argument::new(value, None, 1)).collect();
        let (mut hasher, mut parts) = (KeyHasher::default(), vec![Vec::new(); receivers]);
        partition::by_hash(hasher.run(context.level, &key, types, 1)?, receivers, &mut parts);
        Ok(parts.iter().position(|part| !part.is_empty()).expect("every row has a receiver"))
    }
}

impl Route {
    /// For each receiver, the rows that are sent to it. Shapes: an array per key column.
    pub fn owners(&self, context: KernelContext, keys: &[ArrayRef], receivers: usize) -> Result<Vec<Vec<u32>>> {
        let mut owners = vec![Vec::new(); receivers];
        let rows = keys.first().map_or(0, |key| key.len());
        let Route::Hash(types) = self else {
            owners[0].extend(0..rows as u32);
            return Ok(owners);
        };
        let (mut hasher, mut parts) = (KeyHasher::default(), vec![Vec::new(); receivers]);
        for start in (0..rows).step_by(ROWS_MAX) {
            let count = ROWS_MAX.min(rows - start);
            let columns = keys.iter().map(|key| KernelColumn::new(Column::Array(key.slice(start, count))));
            let columns: Vec<KernelColumn> = columns.collect();
            let columns: SmallVec<[Argument<'_>; 4]> = columns.iter().map(|column| column.argument(count)).collect();
            partition::by_hash(hasher.run(context.level, &columns, types, count)?, receivers, &mut parts);
            for (owner, part) in owners.iter_mut().zip(&parts) {
                owner.extend(part.iter().map(|&row| start as u32 + u32::from(row)));
            }
        }
        Ok(owners)
    }
}

/// The sending end of an exchange, in one worker.
pub struct Exchange {
    route: Route,
    keys: Evaluator,
    context: KernelContext,
    senders: Vec<Sender>,
    hasher: KeyHasher,
    parts: Vec<Vec<u16>>,
}

impl Exchange {
    /// An exchange towards `senders`, one per receiving worker.
    pub fn new(route: Route, senders: Vec<Sender>, context: KernelContext) -> Self {
        let program = match &route {
            Route::Hash(types) => Arc::new(Program::columns(&types.iter().cloned().enumerate().collect::<Vec<_>>())),
            Route::Keys(program) => program.clone(),
            Route::First | Route::All => Arc::default(),
        };
        let key_count = program.outputs.len();
        Exchange {
            keys: Evaluator::new(program, context).with_dictionaries(key_count),
            route,
            context,
            parts: vec![Vec::new(); senders.len()],
            senders,
            hasher: KeyHasher::default(),
        }
    }

    /// Parts the selected rows by the hash of their keys.
    fn part(&mut self, batch: &Batch) -> Result<()> {
        self.keys.run(batch)?;
        let program = self.keys.program().clone();
        let types = &program.output_types;
        let columns: SmallVec<[Argument<'_>; 4]> = (0..types.len()).map(|key| self.keys.output(batch, key)).collect();
        let hashes = self.hasher.run(self.context.level, &columns, types, self.keys.rows())?;
        partition::by_hash(hashes, self.senders.len(), &mut self.parts);
        if let Some(selected) = batch.selection.as_slice() {
            self.parts.iter_mut().flatten().for_each(|row| *row = selected[*row as usize]);
        }
        Ok(())
    }

    /// Hands a batch over as it is: its memory goes, other memory comes.
    fn post_whole(&mut self, receiver: usize, batch: &mut Batch) {
        let mut out = self.senders[receiver].empty_batch();
        std::mem::swap(&mut out, batch);
        // The maker of the batch refills as many columns as it gave.
        batch.columns.resize_with(out.columns.len(), Column::default);
        self.senders[receiver].post(Message::Batch(out));
    }

    /// Copies a batch for every receiver but the last, which gets it as it is.
    fn post_to_all(&mut self, batch: &mut Batch) -> Result<()> {
        let last = self.senders.len() - 1;
        for sender in &mut self.senders[..last] {
            let mut out = sender.empty_batch();
            out.columns.resize_with(batch.columns.len(), Column::default);
            out.columns.iter_mut().zip(&batch.columns).for_each(|(to, from)| to.copy_from(from));
            out.rows = batch.rows;
            out.selection.clone_from(&batch.selection);
            out.changes.clone_from(&batch.changes);
            out.watermarks.clone_from(&batch.watermarks);
            sender.post(Message::Batch(out));
        }
        self.post_whole(last, batch);
        Ok(())
    }

    fn post_part(&mut self, receiver: usize, batch: &Batch) -> Result<()> {
        let rows = &self.parts[receiver];
        if rows.is_empty() {
            return Ok(());
        }
        let mut out = self.senders[receiver].empty_batch();
        out.columns.resize_with(batch.columns.len(), Column::default);
        for (from, into) in batch.columns.iter().zip(&mut out.columns) {
            from.gather_into(rows, into)?;
        }
        out.rows = rows.len();
        out.form = batch.form;
        out.changes = batch.changes.as_ref().map(|changes| rows.iter().map(|&row| changes[row as usize]).collect());
        out.watermarks.take_rows(&batch.watermarks, rows.iter().map(|&row| row as usize));
        self.senders[receiver].post(Message::Batch(out));
        Ok(())
    }

    fn post_all(&mut self, message: impl Fn() -> Message) {
        self.senders.iter_mut().for_each(|sender| sender.post(message()));
    }
}

impl Operator for Exchange {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        match self.route {
            _ if self.senders.len() == 1 => {}
            Route::First => {}
            Route::All => return self.post_to_all(batch),
            Route::Hash(_) | Route::Keys(_) => {
                self.part(batch)?;
                return (0..self.senders.len()).try_for_each(|receiver| self.post_part(receiver, batch));
            }
        }
        self.post_whole(0, batch);
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, _next: &mut Next<'_>) -> Result<()> {
        self.post_all(|| Message::Watermark(watermark));
        Ok(())
    }

    fn finish(&mut self, ending: Ending, _next: &mut Next<'_>) -> Result<()> {
        self.post_all(|| Message::End(ending));
        Ok(())
    }

    fn send(&mut self) -> Result<bool> {
        let mut all = true;
        for sender in &mut self.senders {
            if !sender.flush() {
                if sender.is_abandoned() {
                    return Err(Error::cancelled());
                }
                all = false;
            }
        }
        Ok(all)
    }

    fn can_send(&self) -> Option<bool> {
        // Messages that have room can be sent, whatever waits beside them.
        let waiting = self.senders.iter().filter(|sender| sender.has_waiting());
        waiting.map(|sender| !sender.is_blocked()).reduce(|any, can| any | can)
    }
}
