//! Rows wait in a bounded channel until the caller pulls them.
//!
//! Invariants  a full channel holds the query back; a receiver that is dropped ends it as cancelled.

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::Rows;
use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::Sink;
use crate::stream::encode::changes::settle;

/// Makes a sink and the iterator that pulls from it, with room for `batches` between them.
pub fn channel(batches: usize) -> (ChannelSink, Results) {
    let (sender, receiver) = bounded(batches.max(1));
    (ChannelSink { sender: Some(sender) }, Results { receiver })
}

/// Sends rows to [`Results`].
pub struct ChannelSink {
    /// `None` after the end.
    sender: Option<Sender<Rows>>,
}

/// The rows of a query, batch by batch; ends when the query does.
pub struct Results {
    receiver: Receiver<Rows>,
}

impl Results {
    /// The next rows, if some wait.
    pub fn try_next(&mut self) -> Option<Rows> {
        self.receiver.try_recv().ok()
    }
}

impl Iterator for Results {
    type Item = Rows;

    fn next(&mut self) -> Option<Rows> {
        self.receiver.recv().ok()
    }
}

impl Sink for ChannelSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        let sender = self.sender.as_ref().ok_or_else(|| Error::bug("rows were written after the end of their sink"))?;
        sender.send((rows.clone(), changes.map(settle))).map_err(|_| Error::cancelled())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.sender = None;
        Ok(())
    }
}
