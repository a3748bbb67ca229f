//! All rows in order, or the first of them.
//!
//! Owns        the rows it has seen; with `fetch` never many more than asked for.
//! Invariants  with `fetch`, ties are broken by all columns, so that which rows stay does not depend on arrival.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Ending, Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::SortSpec;
use crate::state::{Section, SectionRoute};

const SECTION: &str = "sort 1";

/// With `fetch`, this many rows beyond it are gathered before the worst are dropped.
const SLACK_ROWS: usize = 1 << 16;

/// A running ORDER BY.
pub struct Sort {
    spec: SortSpec,
    evaluator: Evaluator,
    /// Sort keys, then the rows' own columns.
    schema: SchemaRef,
    output: SchemaRef,
    held: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    batch_rows: usize,
}

impl Sort {
    pub fn new(spec: &SortSpec, output: SchemaRef, context: KernelContext, batch_rows: usize) -> Self {
        let keys = spec.program.output_types.iter().enumerate();
        let keys = keys.map(|(key, data_type)| Arc::new(Field::new(format!("key{key}"), data_type.clone(), true)));
        let schema = Arc::new(Schema::new(keys.chain(output.fields().iter().cloned()).collect::<Vec<_>>()));
        Sort {
            spec: spec.clone(),
            evaluator: Evaluator::new(spec.program.clone(), context),
            schema,
            output,
            held: Vec::new(),
            rows: 0,
            bytes: 0,
            batch_rows,
        }
    }

    /// The held rows, sorted, at most `fetch` of them.
    fn sorted(&mut self) -> Result<RecordBatch> {
        let all = concat_batches(&self.schema, &std::mem::take(&mut self.held))?;
        let key_count = self.spec.options.len();
        let mut columns: Vec<SortColumn> = (0..key_count)
            .map(|key| SortColumn { values: all.column(key).clone(), options: Some(self.spec.options[key]) })
            .collect();
        if self.spec.fetch.is_some() {
            let others = all.columns()[key_count..].iter().filter(|column| is_sortable(column.data_type()));
            columns.extend(others.map(|values| SortColumn {
                values: values.clone(),
                options: Some(SortOptions { descending: false, nulls_first: false }),
            }));
        }
        if columns.is_empty() {
            return Ok(all);
        }
        let order = lexsort_to_indices(&columns, self.spec.fetch)?;
        pick(&all, &order)
    }

    fn hold(&mut self, rows: RecordBatch) {
        self.rows += rows.num_rows();
        self.bytes += rows.get_array_memory_size();
        self.held.push(rows);
    }
}

/// Whether Arrow's comparator takes the type.
fn is_sortable(data_type: &DataType) -> bool {
    !data_type.is_nested() && !matches!(data_type, DataType::Interval(_))
}

fn pick(rows: &RecordBatch, order: &UInt32Array) -> Result<RecordBatch> {
    let columns =
        rows.columns().iter().map(|column| Ok(take(column, order, None)?)).collect::<Result<Vec<ArrayRef>>>()?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

impl Operator for Sort {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        self.evaluator.run(batch)?;
        let keys = self.spec.program.output_types.iter().enumerate();
        let keys: Vec<ArrayRef> = keys
            .map(|(key, data_type)| self.evaluator.output(batch, key).to_array(data_type))
            .collect::<Result<_>>()?;
        let rows = batch.to_record(&self.output)?;
        let columns = keys.into_iter().chain(rows.columns().iter().cloned()).collect();
        self.hold(RecordBatch::try_new(self.schema.clone(), columns)?);
        if let Some(fetch) = self.spec.fetch
            && self.rows > fetch.saturating_mul(2).saturating_add(SLACK_ROWS)
        {
            let best = self.sorted()?;
            (self.rows, self.bytes) = (0, 0);
            self.hold(best);
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold || self.held.is_empty() {
            return Ok(());
        }
        let sorted = self.sorted()?;
        (self.rows, self.bytes) = (0, 0);
        let columns = sorted.columns()[self.spec.options.len()..].to_vec();
        let mut from = 0;
        while from < sorted.num_rows() {
            let rows = self.batch_rows.min(sorted.num_rows() - from);
            let slices = columns.iter().map(|column| column.slice(from, rows)).collect();
            next.push(&mut Batch::from_arrays(slices, rows))?;
            from += rows;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let rows = concat_batches(&self.schema, &self.held)?;
        Ok(vec![Section { name: SECTION.to_string(), rows, route: SectionRoute::First }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            if section.rows.num_rows() > 0 {
                self.hold(section.rows);
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.bytes
    }
}
