//! Skips rows, then lets some pass.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::UInt64Type;

use super::{Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::pipeline::LimitSpec;
use crate::state::{Section, SectionRoute};

const SECTION: &str = "limit 1";

/// A running OFFSET and LIMIT.
pub struct Limit {
    skip: usize,
    fetch: usize,
    kept: Vec<u16>,
}

impl Limit {
    pub fn new(spec: &LimitSpec) -> Self {
        Limit { skip: spec.skip, fetch: spec.fetch.unwrap_or(usize::MAX), kept: Vec::new() }
    }
}

impl Operator for Limit {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let rows = batch.selected_rows();
        let from = self.skip.min(rows);
        let to = from + self.fetch.min(rows - from);
        self.skip -= from;
        if self.fetch != usize::MAX {
            self.fetch -= to - from;
        }
        if to - from < rows {
            self.kept.clear();
            self.kept.extend((from..to).map(|row| row as u16));
            batch.selection.narrow(&self.kept);
        }
        next.push(batch)
    }

    fn is_satisfied(&self) -> bool {
        self.fetch == 0
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let number = |number: usize| Arc::new(UInt64Array::from(vec![number as u64])) as ArrayRef;
        let rows = RecordBatch::try_from_iter([("skip", number(self.skip)), ("fetch", number(self.fetch))])?;
        Ok(vec![Section { name: SECTION.to_string(), rows, route: SectionRoute::First }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            let number = |column: usize| section.rows.column(column).as_primitive::<UInt64Type>().value(0) as usize;
            (self.skip, self.fetch) = (number(0), number(1));
        }
        Ok(())
    }
}
