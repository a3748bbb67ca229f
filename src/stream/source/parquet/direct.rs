//! Rows of a row group straight from its pages: the columns of keys and of conditions first, the others for what is left.
//!
//! ```text
//! some rows of each column's pages
//!   columns that joins ask for ─▶ rows whose keys their tables have
//!   columns of the first condition ─▶ rows that pass ─▶ columns of the next, of these rows ─▶ ...
//!   among the conditions: the first key of an ORDER BY ─▶ rows that do not come behind its first ones
//!   all other columns, of the rows that are left
//! ```
//! Place       under `mod.rs`, for row groups whose columns are flat and of the types and encodings that it knows.
//! Invariants  a row is left out only when a condition is not true for it, a join's table has not its key, or as many rows
//!             as are wanted come before it. A condition that may fail sees the rows that those before it left, and no
//!             others.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::{Level, bitmap};
use parquet::basic::{Encoding, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::first::FirstKeys;
use super::fixed::*;
use super::pages::Pages;
use super::text::TextColumn;
use super::{PageColumn, ParquetFile, is_dictionary_alone};
use crate::batch::{Argument, Batch, Column, Kind, Texts, true_rows};
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
    columns: Columns,
    /// Whether each may stay codes into its dictionary.
    coded: Vec<bool>,
    rows: usize,
    left: usize,
    /// The rows that are wanted, ascending, where they have been found before, and how many of them have been read.
    chosen: Option<(Vec<u32>, usize)>,
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
    rows_behind: u64,
}

/// The columns of a row group, each opened when it is read first.
struct Columns {
    source: Arc<ParquetFile>,
    file: Arc<File>,
    group: usize,
    wanted: Arc<Vec<Wanted>>,
    opened: Vec<Option<Box<dyn PageColumn>>>,
    /// Rows of each that are still to be passed over.
    passed: Vec<usize>,
    level: Level,
}

/// A condition on rows, and what it has done so far.
struct Condition {
    test: Test,
    inputs: Vec<usize>,
    cost: f64,
    rows: u64,
    passed: u64,
}

enum Test {
    /// One of the filter behind.
    Program(Evaluator),
    /// That a row does not come behind the first ones.
    First(FirstKeys),
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
        source: &Arc<ParquetFile>,
        group: usize,
        file: &Arc<File>,
        wanted: &Arc<Vec<Wanted>>,
        dictionaries: bool,
        pushed: &Pushed,
    ) -> Self {
        let level = pushed.context.level;
        let columns = Columns {
            source: source.clone(),
            file: file.clone(),
            group,
            wanted: wanted.clone(),
            opened: wanted.iter().map(|_| None).collect(),
            passed: vec![0; wanted.len()],
            level,
        };
        let group = source.row_group(group);
        let coded = wanted.iter().map(|wanted| dictionaries && is_dictionary_alone(group.column(wanted.leaf)));
        let open = pushed.conditions.iter().filter(|program| !always_holds(program, group, wanted));
        let stays = |step: &crate::expression::Step| step.kernel.can_fail() || !step.kernel.is_deterministic();
        let may_reorder = !pushed.conditions.iter().any(|program| program.steps.iter().any(stays));
        let mut conditions: Vec<Condition> = open.map(|program| Condition::new(program, pushed)).collect();
        if let Some(check) = &pushed.first {
            let is_known = may_reorder && check.cutoff.number() < u64::MAX;
            let at = if is_known { 0 } else { conditions.len() };
            conditions.insert(at, Condition::first(FirstKeys::new(check.clone())));
        }
        let rows = group.num_rows().max(0) as usize;
        Direct {
            coded: coded.collect(),
            decoded: vec![false; wanted.len()],
            columns,
            rows,
            left: rows,
            chosen: None,
            keys: pushed.keys.iter().filter(|check| check.worthwhile().is_some()).cloned().collect(),
            conditions,
            is_filtered: !pushed.conditions.is_empty(),
            may_reorder,
            batches: 0,
            places: None,
            mask: Vec::new(),
            kept: Vec::new(),
            spare: Column::default(),
            level,
            strangers: 0,
            rows_behind: 0,
        }
    }

    /// The same for these rows of the row group alone.
    pub(super) fn within(mut self, rows: Range<usize>) -> Self {
        self.columns.passed.fill(rows.start);
        (self.rows, self.left) = (rows.end, rows.len());
        self
    }

    /// The same, of whose rows only these are wanted, ascending: all that meet the conditions and are not left out.
    pub(super) fn choosing(mut self, rows: Vec<u32>) -> Self {
        self.chosen = Some((rows, 0));
        self
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

    /// Goes on to the next rows of which some pass, at most `batch_rows` read together, and reads only the columns that
    /// this takes, and one more. Returns where in the row group these rows begin, `None` at its end.
    pub(super) fn survey(
        &mut self,
        batch_rows: usize,
        column: usize,
        batch: &mut Batch,
    ) -> Result<Option<usize>, Failure> {
        while self.left > 0 {
            let (start, rows) = (self.rows - self.left, self.left.min(batch_rows));
            self.left -= rows;
            let any = self.narrow(rows, batch)?;
            if any {
                self.decode(column, rows, batch)?;
            }
            self.pass_over(rows);
            if any {
                return Ok(Some(start));
            }
        }
        Ok(None)
    }

    /// Where a row of the batch stands in the row group, the first one read for it being at `start`.
    pub(super) fn place(&self, start: usize, row: u16) -> u32 {
        let row = self.places.as_ref().map_or(row, |places| places[row as usize]);
        start as u32 + row as u32
    }

    /// Reads `rows` rows; whether any passes.
    fn read_rows(&mut self, rows: usize, batch: &mut Batch) -> Result<bool, Failure> {
        let any = match &mut self.chosen {
            Some((chosen, next)) => {
                let start = (self.rows - self.left - rows) as u32;
                let own: Vec<u16> = chosen[*next..]
                    .iter()
                    .take_while(|&&row| row < start + rows as u32)
                    .map(|row| (row - start) as u16)
                    .collect();
                *next += own.len();
                self.begin(own.len(), batch);
                let any = !own.is_empty();
                self.places = Some(own);
                any
            }
            None => self.narrow(rows, batch)?,
        };
        if !any {
            self.pass_over(rows);
            return Ok(false);
        }
        for column in 0..self.decoded.len() {
            self.decode(column, rows, batch)?;
            if let (Column::Dictionary(dictionary), false) = (&batch.columns[column], self.coded[column]) {
                batch.columns[column] = Column::Array(dictionary.flatten()?);
            }
        }
        batch.meets_conditions = self.is_filtered;
        Ok(true)
    }

    fn begin(&mut self, rows: usize, batch: &mut Batch) {
        batch.clear();
        batch.columns.resize_with(self.decoded.len(), Column::default);
        batch.rows = rows;
        self.decoded.fill(false);
        self.places = None;
    }

    /// Reads the columns of keys and conditions of `rows` rows, and selects those that pass; whether any does.
    fn narrow(&mut self, rows: usize, batch: &mut Batch) -> Result<bool, Failure> {
        self.begin(rows, batch);
        self.order();
        for at in 0..self.keys.len() {
            self.decode(self.keys[at].column, rows, batch)?;
            if !self.narrow_to_keys(at, batch)? {
                return Ok(false);
            }
            if batch.selected_rows() * 2 < batch.rows {
                self.compact(batch)?;
            }
        }
        for at in 0..self.conditions.len() {
            for input in 0..self.conditions[at].inputs.len() {
                self.decode(self.conditions[at].inputs[input], rows, batch)?;
            }
            let before = batch.selected_rows();
            let any = self.conditions[at].narrow(batch, self.level, &mut self.mask, &mut self.kept)?;
            if let Test::First(_) = self.conditions[at].test {
                self.rows_behind += (before - batch.selected_rows()) as u64;
            }
            if !any {
                return Ok(false);
            }
            if batch.selected_rows() * 2 < batch.rows {
                self.compact(batch)?;
            }
        }
        Ok(true)
    }

    /// Passes over the rows at hand in the columns that were not read.
    fn pass_over(&mut self, rows: usize) {
        let columns = self.columns.passed.iter_mut().zip(&self.decoded);
        columns.filter(|(_, decoded)| !**decoded).for_each(|(passed, _)| *passed += rows);
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

    /// How many rows have been left out behind the first ones since it was asked last.
    pub(super) fn take_rows_behind(&mut self) -> u64 {
        std::mem::take(&mut self.rows_behind)
    }

    /// Reads a column of the rows at hand, unless it has been.
    fn decode(&mut self, column: usize, rows: usize, batch: &mut Batch) -> Result<(), ParquetError> {
        if !std::mem::replace(&mut self.decoded[column], true) {
            self.columns.get(column)?.read(rows, self.places.as_deref(), &mut batch.columns[column])?;
        }
        Ok(())
    }

    /// Moves the rows that are left together, so that other columns need be read for these alone.
    fn compact(&mut self, batch: &mut Batch) -> Result<()> {
        let Some(left) = batch.selection.as_slice().map(<[u16]>::to_vec) else { return Ok(()) };
        for column in (0..self.decoded.len()).filter(|&column| self.decoded[column]) {
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
            // What is behind the first ones becomes more: the last batches count most.
            self.conditions
                .iter_mut()
                .for_each(|known| (known.rows, known.passed) = (known.rows / 2, known.passed / 2));
        }
    }
}

impl Columns {
    /// A column at the rows at hand.
    fn get(&mut self, at: usize) -> Result<&mut Box<dyn PageColumn>, ParquetError> {
        let opened = match &mut self.opened[at] {
            Some(opened) => opened,
            place => {
                let (group, wanted) = (self.source.row_group(self.group), &self.wanted[at]);
                let pages = Pages::new(self.file.clone(), group, wanted.leaf, self.level)?;
                place.insert(column(pages, group.column(wanted.leaf).column_type(), &wanted.data_type))
            }
        };
        match std::mem::take(&mut self.passed[at]) {
            0 => {}
            passed => opened.skip(passed)?,
        }
        Ok(opened)
    }
}

impl Condition {
    fn new(program: &Arc<crate::expression::Program>, pushed: &Pushed) -> Self {
        let inputs = program.inputs();
        let steps = program.steps.iter().map(|step| if step.kernel.is_native() { 1.0 } else { 20.0 });
        let cost = steps.sum::<f64>() + 2.0 * inputs.len() as f64;
        let test = Test::Program(Evaluator::new(program.clone(), pushed.context));
        Condition { test, inputs, cost, rows: 0, passed: 0 }
    }

    /// That a row does not come behind the first ones.
    fn first(keys: FirstKeys) -> Self {
        Condition { inputs: vec![keys.check.column], test: Test::First(keys), cost: 3.0, rows: 0, passed: 0 }
    }

    /// What it costs to take a row away.
    fn rank(&self) -> f64 {
        let taken = self.rows - self.passed;
        self.cost * (self.rows + 1) as f64 / (taken as f64 + 0.01)
    }

    /// Leaves the selected rows for which it is true; whether there are any.
    fn narrow(&mut self, batch: &mut Batch, level: Level, mask: &mut Vec<u64>, kept: &mut Vec<u16>) -> Result<bool> {
        let (rows, passed) = match &mut self.test {
            Test::Program(evaluator) => {
                evaluator.run(batch)?;
                let rows = evaluator.rows();
                let passed = true_rows(level, &evaluator.output(batch, 0), rows, mask)?;
                if passed < rows {
                    bitmap::to_selection(level, mask, rows, kept);
                    batch.selection.narrow(kept);
                }
                (rows, passed)
            }
            Test::First(keys) => {
                let rows = batch.selected_rows();
                let reach = keys.check.cutoff.reach(keys.check.options);
                if !reach.is_all() {
                    let column = keys.check.column;
                    let (numbers, texts) = (keys.of(batch)?, Texts::of(&batch.columns[column]));
                    let stays = |row: usize| reach.holds(numbers[row], || texts.bytes(row));
                    batch.selection.retain(batch.rows, stays, kept);
                }
                (rows, batch.selected_rows())
            }
        };
        (self.rows, self.passed) = (self.rows + rows as u64, self.passed + passed as u64);
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
