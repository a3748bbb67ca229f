//! Folds changes up: rows that were given and not taken back leave when the input ends.
//!
//! Place       where rows that come and go meet what needs rows that stay: a sort, a limit, an answer that is asked for once.
//! Owns        each row that is there, once, with how often.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use std::sync::Arc;

use arrow::array::AsArray;

use super::{Ending, Next, Operator};
use crate::batch::Batch;
use crate::error::Result;
use crate::state::{Multiset, Section, SectionRoute};

const SECTION: &str = "fold 1";

/// A running fold.
pub struct Fold {
    schema: SchemaRef,
    rows: Multiset,
    batch_rows: usize,
}

impl Fold {
    /// Failure: a column whose values cannot be compared.
    pub fn new(schema: SchemaRef, batch_rows: usize) -> Result<Self> {
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        Ok(Fold { rows: Multiset::new(&types)?, schema, batch_rows })
    }
}

impl Operator for Fold {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.schema)?;
        let weight = |row: usize| changes.as_ref().map_or(1, |changes| changes[row].weight());
        self.rows.add(rows.columns(), rows.num_rows(), weight)
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold {
            return Ok(());
        }
        let (columns, counts) = self.rows.rows()?;
        let picks = counts.iter().enumerate();
        let picks: Vec<u32> = picks.flat_map(|(row, &count)| std::iter::repeat_n(row as u32, count as usize)).collect();
        for picks in picks.chunks(self.batch_rows) {
            let picks = UInt32Array::from(picks.to_vec());
            let columns = columns.iter().map(|column| Ok(take(column, &picks, None)?)).collect::<Result<_>>()?;
            next.push(&mut Batch::from_arrays(columns, picks.values().len()))?;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let (columns, counts) = self.rows.rows()?;
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("count", DataType::Int64, false)));
        let rows = counts.len();
        let columns = columns.into_iter().chain([Arc::new(Int64Array::from(counts)) as ArrayRef]).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        Ok(vec![Section { name: SECTION.to_string(), rows, route: SectionRoute::First }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            let (counts, columns) = section.rows.columns().split_last().expect("counts stand behind the columns");
            let counts = counts.as_primitive::<Int64Type>();
            self.rows.add(columns, section.rows.num_rows(), |row| counts.value(row))?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.rows.size_bytes()
    }
}
