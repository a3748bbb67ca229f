//! Rows are handed to a function, on the query's thread.

use arrow::array::RecordBatch;

use crate::batch::Change;
use crate::error::Result;
use crate::pipeline::Sink;
use crate::stream::encode::changes::settle;

/// A function that takes rows; an error it returns ends the query.
pub type Callback = Box<dyn FnMut(RecordBatch, Option<Vec<Change>>) -> Result<()> + Send>;

/// Calls a function with rows.
pub struct CallbackSink {
    callback: Callback,
}

impl CallbackSink {
    pub fn new(callback: Callback) -> Self {
        CallbackSink { callback }
    }
}

impl Sink for CallbackSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        (self.callback)(rows.clone(), changes.map(settle))
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}
