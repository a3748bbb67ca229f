//! The row of a scalar subquery: fails on a second one, and makes one of NULLs where there is none.

use arrow::array::new_null_array;
use arrow::datatypes::SchemaRef;

use super::{Ending, Next, Operator};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};

/// A running scalar subquery.
pub struct SingleRow {
    schema: SchemaRef,
    seen: bool,
}

impl SingleRow {
    pub fn new(schema: SchemaRef) -> Self {
        SingleRow { schema, seen: false }
    }
}

impl Operator for SingleRow {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let rows = batch.selected_rows();
        if rows > 1 || (self.seen && rows > 0) {
            return Err(Error::user("a scalar subquery gave more than one row; aggregate it, or add LIMIT 1"));
        }
        self.seen |= rows > 0;
        next.push(batch)
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if self.seen || ending == Ending::Hold {
            return Ok(());
        }
        let null =
            |field: &std::sync::Arc<arrow::datatypes::Field>| Column::Constant(new_null_array(field.data_type(), 1));
        let columns = self.schema.fields().iter().map(null).collect();
        next.push(&mut Batch { columns, rows: 1, ..Batch::default() })
    }
}
