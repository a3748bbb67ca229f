//! The row of a scalar subquery: fails on a second one, and makes one of NULLs where there is none.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;

use super::{Ending, Next, Operator};
use crate::batch::{Batch, Column};
use crate::error::{Error, Result};
use crate::state::{Section, SectionRoute};

const SECTION: &str = "single row 1";

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

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let seen = Arc::new(BooleanArray::from(vec![self.seen])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("seen", seen)])?;
        Ok(vec![Section { name: SECTION.to_string(), rows, route: SectionRoute::First }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            self.seen |= section.rows.column(0).as_boolean().value(0);
        }
        Ok(())
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
