//! Rows of a row group straight from its pages: the columns of keys and of conditions first, the others for what is left.
//!
//! ```text
//! some rows of each column's pages
//!   columns that joins ask for ─▶ rows whose keys their tables have
//!   columns of the first condition ─▶ rows that pass ─▶ columns of the next, of these rows ─▶ ...
//!   all other columns, of the rows that are left
//! ```
//! Place       under `mod.rs`, for row groups whose columns are flat and of the types and encodings that it knows.
//! Invariants  a row is left out only when a condition is not true for it, or a join's table has not its key. A condition that may fail sees the rows that
//!             those before it left, and no others.

use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::{Level, bitmap};
use parquet::basic::{Encoding, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::fixed::*;
use super::pages::Pages;
use super::text::TextColumn;
use super::{PageColumn, is_dictionary_alone};
use crate::batch::{Argument, Batch, Column, Kind, true_rows};
use crate::error::Result;
use crate::expression::{Evaluator, Operand};
use crate::pipeline::{KeyCheck, Pushed};

/// A column to be read: where it stands in the file, and the engine's type for it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) leaf: usize,
    pub(super) data_type: DataType,
}

/// Reads the rows of a row group.
pub(super) struct Direct {
    columns: Vec<Box<dyn PageColumn>>,
    /// Whether each may stay codes into its dictionary.
    coded: Vec<bool>,
    left: usize,
    /// Columns whose values must be keys of a join's table.
    keys: Vec<KeyCheck>,
    conditions: Vec<Condition>,
    /// Whether a filter handed conditions down.
    is_filtered: bool,
    may_reorder: bool,
    batches: u32,
    /// For each row of the batch in the making, its place among those read, where some were left out.
    places: Option<Vec<u16>>,
    decoded: Vec<bool>,
    mask: Vec<u64>,
    kept: Vec<u16>,
    spare: Column,
    level: Level,
    strangers: u64,
}

/// A condition of the filter behind, and what it has done so far.
struct Condition {
    evaluator: Evaluator,
    inputs: Vec<usize>,
    cost: f64,
    rows: u64,
    passed: u64,
}

/// After how many batches the order of conditions is looked at again.
const BATCHES_PER_ORDER: u32 = 8;

/// Whether a column of a row group can be read from its pages as this type.
pub(super) fn is_readable(column: &ColumnChunkMetaData, data_type: &DataType) -> bool {
    let about = column.column_descr();
    let is_flat = about.max_rep_level() == 0 && about.max_def_level() <= 1;
    let known = |encoding: Encoding| {
        matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY | Encoding::RLE)
    };
    is_flat && column.encodings().all(known) && is_known(column.column_type(), data_type)
}

fn is_known(stored: Type, data_type: &DataType) -> bool {
    match stored {
        Type::INT32 => matches!(
            Kind::of(data_type),
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::U8 | Kind::U16 | Kind::U32 | Kind::I128
        ),
        Type::INT64 => {
            matches!(Kind::of(data_type), Kind::I64 | Kind::U64 | Kind::I128) && data_type != &DataType::Date64
        }
        Type::FLOAT => data_type == &DataType::Float32,
        Type::DOUBLE => data_type == &DataType::Float64,
        Type::BYTE_ARRAY => matches!(data_type, DataType::Utf8View | DataType::BinaryView),
        Type::BOOLEAN | Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY => false,
    }
}

fn column(pages: Pages, stored: Type, data_type: &DataType) -> Box<dyn PageColumn> {
    match (stored, Kind::of(data_type)) {
        (Type::INT32, Kind::I8) => Box::new(FixedColumn::<Int8>::new(pages)),
        (Type::INT32, Kind::I16) => Box::new(FixedColumn::<Int16>::new(pages)),
        (Type::INT32, Kind::I32) => Box::new(FixedColumn::<Int32>::new(pages)),
        (Type::INT32, Kind::U8) => Box::new(FixedColumn::<UInt8>::new(pages)),
        (Type::INT32, Kind::U16) => Box::new(FixedColumn::<UInt16>::new(pages)),
        (Type::INT32, Kind::U32) => Box::new(FixedColumn::<UInt32>::new(pages)),
        (Type::INT32, Kind::I128) => Box::new(FixedColumn::<Decimal32>::new(pages)),
        (Type::INT64, Kind::I64) => Box::new(FixedColumn::<Int64>::new(pages)),
        (Type::INT64, Kind::U64) => Box::new(FixedColumn::<UInt64>::new(pages)),
        (Type::INT64, Kind::I128) => Box::new(FixedColumn::<Decimal64>::new(pages)),
        (Type::FLOAT, _) => Box::new(FixedColumn::<Float32>::new(pages)),
        (Type::DOUBLE, _) => Box::new(FixedColumn::<Float64>::new(pages)),
        (_, _) => Box::new(TextColumn::new(pages, data_type == &DataType::Utf8View)),
    }
}

impl Direct {
    /// A reader of a row group's columns, all of them readable.
    pub(super) fn new(
        file: File,
        group: &RowGroupMetaData,
        wanted: &[Wanted],
        dictionaries: bool,
        pushed: &Pushed,
    ) -> Result<Self, ParquetError> {
        let (file, level) = (Arc::new(file), pushed.context.level);
        let of = |wanted: &Wanted| {
            let pages = Pages::new(file.clone(), group, wanted.leaf, level)?;
            Ok(column(pages, group.column(wanted.leaf).column_type(), &wanted.data_type))
        };
        let columns = wanted.iter().map(of).collect::<Result<Vec<_>, ParquetError>>()?;
        let coded = wanted.iter().map(|wanted| dictionaries && is_dictionary_alone(group.column(wanted.leaf)));
        let open = pushed.conditions.iter().filter(|program| !always_holds(program, group, wanted));
        let stays = |step: &crate::expression::Step| step.kernel.can_fail() || !step.kernel.is_deterministic();
        Ok(Direct {
            coded: coded.collect(),
            decoded: vec![false; columns.len()],
            columns,
            left: group.num_rows().max(0) as usize,
            keys: pushed.keys.iter().filter(|check| check.worthwhile().is_some()).cloned().collect(),
            conditions: open.map(|program| Condition::new(program, pushed)).collect(),
            is_filtered: !pushed.conditions.is_empty(),
            may_reorder: !pushed.conditions.iter().any(|program| program.steps.iter().any(stays)),
            batches: 0,
            places: None,
            mask: Vec::new(),
            kept: Vec::new(),
            spare: Column::default(),
            level,
            strangers: 0,
        })
    }

    /// Fills a cleared batch with the next rows that pass, of at most `batch_rows` read together; whether there are any.
    pub(super) fn read(&mut self, batch_rows: usize, batch: &mut Batch) -> Result<bool, Failure> {
        while self.left > 0 {
            let rows = self.left.min(batch_rows);
            self.left -= rows;
            if self.read_rows(rows, batch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads `rows` rows; whether any passes.
    fn read_rows(&mut self, rows: usize, batch: &mut Batch) -> Result<bool, Failure> {
        batch.clear();
        batch.columns.resize_with(self.columns.len(), Column::default);
        batch.rows = rows;
        self.decoded.fill(false);
        self.places = None;
        self.order();
        for at in 0..self.keys.len() {
            self.decode(self.keys[at].column, rows, batch)?;
            if !self.narrow_to_keys(at, batch)? {
                return self.pass_over(rows);
            }
            if batch.selected_rows() * 2 < batch.rows {
                self.compact(batch)?;
            }
        }
        for at in 0..self.conditions.len() {
            for input in 0..self.conditions[at].inputs.len() {
                self.decode(self.conditions[at].inputs[input], rows, batch)?;
            }
            if !self.conditions[at].narrow(batch, self.level, &mut self.mask, &mut self.kept)? {
                return self.pass_over(rows);
            }
            if batch.selected_rows() * 2 < batch.rows {
                self.compact(batch)?;
            }
        }
        for column in 0..self.columns.len() {
            self.decode(column, rows, batch)?;
            if let (Column::Dictionary(dictionary), false) = (&batch.columns[column], self.coded[column]) {
                batch.columns[column] = Column::Array(dictionary.flatten()?);
            }
        }
        batch.meets_conditions = self.is_filtered;
        Ok(true)
    }

    /// Passes over the rows at hand in the columns that were not read.
    fn pass_over(&mut self, rows: usize) -> Result<bool, Failure> {
        for column in (0..self.columns.len()).filter(|&column| !self.decoded[column]) {
            self.columns[column].skip(rows)?;
        }
        Ok(false)
    }

    /// Leaves the selected rows whose key is in a join's table; whether there are any.
    fn narrow_to_keys(&mut self, at: usize, batch: &mut Batch) -> Result<bool> {
        let check = &self.keys[at];
        let Some(keys) = check.filter.keys() else { return Ok(true) };
        let column = &batch.columns[check.column];
        let validity = if let Column::Flat(flat) = column { flat.validity() } else { None };
        let before = batch.selected_rows();
        let mut passed = keys.find(&Argument::new(column, validity, batch.rows), batch.rows, &mut self.mask)?;
        if let Some(selected) = batch.selection.as_slice() {
            let kept = selected.iter().enumerate().filter(|(_, row)| bitmap::get(&self.mask, **row as usize));
            self.kept.clear();
            self.kept.extend(kept.map(|(place, _)| place as u16));
            passed = self.kept.len();
        } else if passed < batch.rows {
            bitmap::to_selection(self.level, &self.mask, batch.rows, &mut self.kept);
        }
        if passed < before {
            batch.selection.narrow(&self.kept);
        }
        self.strangers += (before - passed) as u64;
        Ok(passed > 0)
    }

    /// How many rows have been left out by their keys since it was asked last.
    pub(super) fn take_strangers(&mut self) -> u64 {
        std::mem::take(&mut self.strangers)
    }

    /// Reads a column of the rows at hand, unless it has been.
    fn decode(&mut self, column: usize, rows: usize, batch: &mut Batch) -> Result<(), ParquetError> {
        if !std::mem::replace(&mut self.decoded[column], true) {
            self.columns[column].read(rows, self.places.as_deref(), &mut batch.columns[column])?;
        }
        Ok(())
    }

    /// Moves the rows that are left together, so that other columns need be read for these alone.
    fn compact(&mut self, batch: &mut Batch) -> Result<()> {
        let Some(left) = batch.selection.as_slice().map(<[u16]>::to_vec) else { return Ok(()) };
        for column in (0..self.columns.len()).filter(|&column| self.decoded[column]) {
            batch.columns[column].gather_into(&left, &mut self.spare)?;
            std::mem::swap(&mut batch.columns[column], &mut self.spare);
        }
        batch.rows = left.len();
        batch.selection.clear();
        self.places = Some(match self.places.take() {
            None => left,
            Some(places) => left.iter().map(|&row| places[row as usize]).collect(),
        });
        Ok(())
    }

    /// Puts the conditions first that take most rows away for their cost.
    fn order(&mut self) {
        self.batches += 1;
        if self.may_reorder && self.batches.is_multiple_of(BATCHES_PER_ORDER) {
            self.conditions.sort_by(|a, b| a.rank().total_cmp(&b.rank()));
        }
    }
}

impl Condition {
    fn new(program: &Arc<crate::expression::Program>, pushed: &Pushed) -> Self {
        let inputs = program.inputs();
        let steps = program.steps.iter().map(|step| if step.kernel.is_native() { 1.0 } else { 20.0 });
        let cost = steps.sum::<f64>() + 2.0 * inputs.len() as f64;
        Condition { evaluator: Evaluator::new(program.clone(), pushed.context), inputs, cost, rows: 0, passed: 0 }
    }

    /// What it costs to take a row away.
    fn rank(&self) -> f64 {
        let taken = self.rows - self.passed;
        self.cost * (self.rows + 1) as f64 / (taken as f64 + 0.01)
    }

    /// Leaves the selected rows for which it is true; whether there are any.
    fn narrow(&mut self, batch: &mut Batch, level: Level, mask: &mut Vec<u64>, kept: &mut Vec<u16>) -> Result<bool> {
        self.evaluator.run(batch)?;
        let rows = self.evaluator.rows();
        let passed = true_rows(level, &self.evaluator.output(batch, 0), rows, mask)?;
        (self.rows, self.passed) = (self.rows + rows as u64, self.passed + passed as u64);
        if passed < rows {
            bitmap::to_selection(level, mask, rows, kept);
            batch.selection.narrow(kept);
        }
        Ok(passed > 0)
    }
}

/// Whether a condition asks for nothing but that a column is not null which has no null in this row group.
fn always_holds(program: &crate::expression::Program, group: &RowGroupMetaData, wanted: &[Wanted]) -> bool {
    let ([step], [Operand::Register(_)]) = (&program.steps[..], &program.outputs[..]) else { return false };
    let (true, [Operand::Input(column)]) = (step.kernel.name() == "IS NOT NULL", &step.args[..]) else { return false };
    let statistics = group.column(wanted[*column].leaf).statistics();
    statistics.and_then(|statistics| statistics.null_count_opt()) == Some(0)
}

/// Why rows could not be read: the file, or a condition.
pub(super) enum Failure {
    File(ParquetError),
    Query(crate::error::Error),
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Failure::File(error)
    }
}

impl From<crate::error::Error> for Failure {
    fn from(error: crate::error::Error) -> Self {
        Failure::Query(error)
    }
}
