//! Fields become columns: a column at a time, over the rows of a table of positions.
//!
//! The bare loop per type takes the field as it is. Only where it is no value does a second look ask whether it is
//! null, quoted or has spaces around it. Rows that fail are taken out of the table, and the others are read once more.

use arrow::datatypes::FieldRef;
use fearless_simd::dispatch;
use millstream_kernels::view::Text;

use super::fill::{Job, Nulls};
use super::header::Layout;
use super::options::CsvOptions;
use super::quotes::Dialect;
use super::structure::{Found, Structure};
use crate::batch::{Batch, Column};
use crate::error::Result;
use crate::stream::decode::column::{ColumnBuilder, Reading};
use crate::stream::decode::fault::Fault;
use crate::stream::decode::{Block, OnError};

/// Positions per table at most, so that it stays in the cache.
const POSITIONS_MAX: usize = 1 << 14;

/// Decodes blocks of CSV.
#[derive(Debug)]
pub struct CsvDecoder {
    dialect: Dialect,
    nulls: Nulls,
    on_error: OnError,
    layout: Layout,
    builders: Vec<ColumnBuilder>,
    structure: Structure,
    block: Block,
    text: Option<Text>,
    /// Rows there are still at most.
    lines_left: usize,
    faults: Vec<Fault>,
    copy: Vec<u8>,
}

impl CsvDecoder {
    /// A decoder of the projected columns `fields`. Failure: a type that CSV cannot hold.
    pub fn new(options: &CsvOptions, fields: &[FieldRef], on_error: OnError) -> Result<Self> {
        let builders =
            fields.iter().map(|field| ColumnBuilder::new(field.clone(), "csv")).collect::<Result<Vec<_>>>()?;
        Ok(CsvDecoder {
            dialect: Dialect { delimiter: options.delimiter(), quote: options.quote, escape: options.escape },
            nulls: Nulls {
                empty: options.nulls.iter().any(String::is_empty),
                words: options
                    .nulls
                    .iter()
                    .filter(|null| !null.is_empty())
                    .map(|null| null.clone().into_bytes())
                    .collect(),
            },
            on_error,
            layout: Layout { fields: 0, columns: Vec::new() },
            builders,
            structure: Structure::new(),
            block: Block::empty(),
            text: None,
            lines_left: 0,
            faults: Vec::new(),
            copy: Vec::new(),
        })
    }

    /// Starts with a block of a file of this layout.
    pub fn begin(&mut self, block: Block, layout: &Layout) {
        assert_eq!(layout.columns.len(), self.builders.len(), "a field per projected column");
        self.layout.clone_from(layout);
        let has_text = self.builders.iter().any(|builder| matches!(builder.reading, Reading::Text));
        self.text = has_text.then(|| block.checked()).flatten();
        self.structure.begin(block.text(), self.dialect);
        self.lines_left = block.lines();
        self.block = block;
    }

    /// The block in work.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Gives the block back.
    pub fn end(&mut self) -> Block {
        self.text = None;
        std::mem::replace(&mut self.block, Block::empty())
    }

    /// Decodes the next rows, `rows_max` at most, and says how many they are and how many bad ones were left out.
    /// Failure: the first bad row, when none may be left out.
    pub fn read(&mut self, batch: &mut Batch, rows_max: usize) -> Result<(usize, usize), Fault> {
        if self.structure.is_done(self.block.text()) {
            return Ok((0, 0));
        }
        let rows_max = rows_max.min(self.lines_left);
        batch.columns.resize_with(self.builders.len(), Column::default);
        for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
            builder.begin(column, &self.block, self.text.as_ref(), rows_max);
        }
        let chunk = (POSITIONS_MAX / (self.layout.fields + 1)).max(16);
        let (mut rows, mut left_out) = (0, 0);
        while rows < rows_max {
            match self.structure.take(self.block.text(), self.layout.fields, chunk.min(rows_max - rows)) {
                Found::Rows(found) => {
                    let kept = self.decode(rows, found, rows_max)?;
                    left_out += found - kept;
                    rows += kept;
                }
                Found::Bad(fault) if self.on_error == OnError::Fail => return Err(fault),
                Found::Bad(_) => left_out += 1,
                Found::End => break,
            }
        }
        self.lines_left -= rows;
        for (builder, column) in self.builders.iter_mut().zip(&mut batch.columns) {
            builder.finish(column, rows);
        }
        batch.rows = rows;
        Ok((rows, left_out))
    }

    /// Decodes the `found` rows of the table to rows `base..`, and returns how many were good.
    fn decode(&mut self, base: usize, found: usize, rows_max: usize) -> Result<usize, Fault> {
        self.decode_columns(base, 0, found, rows_max);
        if self.faults.is_empty() {
            return Ok(found);
        }
        if self.on_error == OnError::Fail {
            return Err(self.faults.iter().copied().min_by_key(|fault| (fault.row, fault.start)).expect("not empty"));
        }
        let mut bad: Vec<usize> = self.faults.iter().map(|fault| fault.row).collect();
        bad.sort_unstable();
        bad.dedup();
        self.builders.iter_mut().for_each(|builder| builder.rewind(base));
        // Once more, from one bad row to the next.
        let stride = self.structure.stride;
        let (mut kept, mut first) = (0, 0);
        for row in 0..=found {
            let start = self.structure.positions[row * stride].wrapping_add(1) as usize;
            if row == found || bad.binary_search(&start).is_ok() {
                self.decode_columns(base + kept, first, row - first, rows_max);
                debug_assert!(self.faults.is_empty(), "bad rows were taken out");
                kept += row - first;
                first = row + 1;
            }
        }
        Ok(kept)
    }

    /// Decodes `count` rows of the table, from `first` on, to rows `base..`.
    fn decode_columns(&mut self, base: usize, first: usize, count: usize, rows_max: usize) {
        self.faults.clear();
        let stride = self.structure.stride;
        for (index, builder) in self.builders.iter_mut().enumerate() {
            let field = self.layout.columns[index];
            let mut job = Job {
                text: self.block.padded(),
                positions: &self.structure.positions[first * stride..=(first + count) * stride],
                stride,
                field,
                is_last: field + 1 == stride,
                index,
                base,
                rows: count,
                rows_max,
                dialect: self.dialect,
                nulls: &self.nulls,
                faults: &mut self.faults,
                copy: &mut self.copy,
            };
            dispatch!(self.structure.level, _simd => job.column(builder));
        }
    }
}
