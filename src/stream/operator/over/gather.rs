//! Rows gathered until their partitions are complete: when the input ends, or when the window they belong to has closed.
//!
//! Owns        the rows, wide: all of them, or those of each open window.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::OverShape;
use super::evaluate::{Before, evaluate, partitions};
use super::windows::WindowEnds;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::pipeline::Completion;
use crate::state::{Section, SectionRoute};
use crate::stream::operator::held::{Held, columns, push_in_batches};
use crate::stream::operator::{Ending, Next, Operator};

/// A running OVER over partitions that end.
pub struct Over {
    shape: OverShape,
    /// All rows, or those of each open window by its end.
    held: BTreeMap<i64, Held>,
    ends: WindowEnds,
}

/// The key of all rows where there are no windows.
const ALL: i64 = i64::MAX;
/// What a snapshot calls the rows.
const SECTION: &str = "rows of open partitions";

impl Over {
    pub fn new(shape: OverShape) -> Self {
        let ends = WindowEnds::new(shape.spec.completion);
        Over { shape, held: BTreeMap::new(), ends }
    }

    fn hold(&mut self, end: i64, columns: Vec<ArrayRef>, rows: usize) {
        let types = &self.shape.types;
        self.held.entry(end).or_insert_with(|| Held::new(types.clone())).push(columns, rows);
    }

    /// Computes all calls over the rows and pushes them on with the results behind them.
    fn emit(&self, mut held: Held, next: &mut Next<'_>) -> Result<()> {
        let rows = held.rows();
        if rows == 0 {
            return Ok(());
        }
        let wide = held.take()?;
        let (of_rows, count) = partitions(&self.shape, &wide, rows)?;
        let evaluated = evaluate(&self.shape, &wide, &of_rows, count, &Before::default())?;
        // Rows go on in the order they came in: only the results are moved.
        let mut places = vec![0u32; rows];
        evaluated.rows.iter().enumerate().for_each(|(place, &row)| places[row as usize] = place as u32);
        let places = UInt32Array::from(places);
        let mut columns = self.shape.own(&wide).to_vec();
        for result in &evaluated.results {
            columns.push(take(result, &places, None)?);
        }
        push_in_batches(&columns, rows, self.shape.batch_rows, next)
    }
}

impl Operator for Over {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        let rows = batch.selected_rows();
        let wide = columns(batch, &self.shape.types)?;
        if !matches!(self.shape.spec.completion, Completion::Window { .. }) {
            self.hold(ALL, wide, rows);
            return Ok(());
        }
        for (end, part) in self.ends.parts(&wide, batch, rows)? {
            self.hold(end, part.columns, part.rows);
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        if self.ends.advance(watermark) {
            while let Some(entry) = self.held.first_entry().filter(|entry| *entry.key() <= watermark) {
                let held = entry.remove();
                self.emit(held, next)?;
            }
        }
        next.watermark(watermark)
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold {
            return Ok(());
        }
        while let Some((_, held)) = self.held.pop_first() {
            self.emit(held, next)?;
        }
        Ok(())
    }

    /// A section per batch held: the wide columns, then the window's end.
    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let key_count = self.shape.spec.key_count;
        let route = if key_count > 0 { SectionRoute::Key { key_count } } else { SectionRoute::First };
        let fields = self.shape.types.iter().chain([&DataType::Int64]).enumerate();
        let fields = fields.map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut batches = Vec::new();
        for (end, held) in &self.held {
            for (columns, rows) in held.batches() {
                let end: ArrayRef = Arc::new(Int64Array::from_value(*end, rows));
                batches.push(RecordBatch::try_new(schema.clone(), columns.iter().cloned().chain([end]).collect())?);
            }
        }
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let rows = concat_batches(&schema, &batches)?;
        Ok(vec![Section { name: SECTION.to_string(), rows, route }])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            let Some((ends, columns)) = section.rows.columns().split_last().filter(|_| section.name == SECTION) else {
                return Err(Error::bug(format!("these are no rows of open partitions: {}", section.name)));
            };
            let ends = ends.as_primitive::<Int64Type>();
            let mut from = 0;
            for run in ends.values().chunk_by(|a, b| a == b) {
                let slices = columns.iter().map(|column| column.slice(from, run.len())).collect();
                self.hold(run[0], slices, run.len());
                from += run.len();
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.held.values().map(Held::size_bytes).sum()
    }

    fn late_rows(&self) -> u64 {
        self.ends.late_rows()
    }

    fn unplaced_rows(&self) -> u64 {
        self.ends.unplaced_rows()
    }
}
