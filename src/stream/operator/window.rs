//! Puts window columns behind the rows: a row per window that holds it.
//!
//! Place       where a windowed table is read as rows; a windowed aggregate works by panes and needs no such rows.
//! Invariants  rows that are late for a window are left out of it; rows late for all of theirs are counted.

use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Schema};
use smallvec::SmallVec;

use super::assign::{Assigner, Placed};
use super::{Next, Operator, saved};
use crate::batch::{Argument, Batch, Column, Flat, ROWS_MAX, Selection, Values};
use crate::error::{Error, Result};
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::{WindowColumn, WindowKind, WindowSpec};
use crate::state::{GroupIndex, Section};
use crate::time::{Bounds, START};

const NAME: &str = "numbered rows 1";

/// A running window table function.
pub struct Window {
    windows: Windows,
    /// The time, or the keys of windows of rows.
    inputs: Evaluator,
    rows: Vec<u16>,
    bounds: Vec<Bounds>,
    late_rows: u64,
    unplaced_rows: u64,
    out: Batch,
}

/// Where windows come from.
enum Windows {
    OfTime(Assigner),
    OfRows(Box<Numbered>),
}

/// The number of each row among those of its key.
struct Numbered {
    size: i64,
    slide: i64,
    index: GroupIndex,
    seen: Vec<i64>,
    groups: Vec<u32>,
}

impl Window {
    /// `schema` is that of the input. Failure: windows that lie nowhere: a time zone that nobody knows.
    pub fn new(spec: &WindowSpec, schema: &Schema, seed: u64, context: KernelContext) -> Result<Self> {
        let type_of = |column: usize| schema.field(column).data_type().clone();
        let (windows, inputs) = match spec.kind {
            WindowKind::Rows { size, slide } => {
                let keys: Vec<(usize, DataType)> = spec.keys.iter().map(|&key| (key, type_of(key))).collect();
                let types = keys.iter().map(|(_, data_type)| data_type.clone()).collect();
                let index = GroupIndex::new(types, seed, context.level);
                let numbered = Numbered { size, slide, index, seen: Vec::new(), groups: Vec::new() };
                (Windows::OfRows(Box::new(numbered)), keys)
            }
            _ => {
                let time_type = type_of(spec.column);
                (Windows::OfTime(Assigner::new(&spec.kind, &time_type)?), vec![(spec.column, time_type)])
            }
        };
        Ok(Window {
            windows,
            inputs: Evaluator::new(Arc::new(Program::columns(&inputs)), context),
            rows: Vec::new(),
            bounds: Vec::new(),
            late_rows: 0,
            unplaced_rows: 0,
            out: Batch::default(),
        })
    }

    /// Lists, for each row and each open window that holds it, the row and the window.
    fn expand(&mut self, batch: &Batch) -> Result<()> {
        self.inputs.run(batch)?;
        self.rows.clear();
        self.bounds.clear();
        match &mut self.windows {
            Windows::OfTime(assigner) => {
                let times = self.inputs.output(batch, 0);
                let values = times.values::<i64>()?;
                let watermarks = batch.selected_watermarks();
                for row in 0..times.rows() {
                    if times.is_null(row) {
                        self.unplaced_rows += 1;
                        continue;
                    }
                    let time = if times.is_constant() { values[0] } else { values[row] };
                    let watermark = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]);
                    match assigner.windows(time, watermark, &mut self.bounds) {
                        Placed::InWindows => self.rows.resize(self.bounds.len(), row as u16),
                        Placed::Late => self.late_rows += 1,
                        Placed::Nowhere => self.unplaced_rows += 1,
                    }
                }
            }
            Windows::OfRows(numbered) => {
                let Numbered { size, slide, index, seen, groups } = numbered.as_mut();
                let keys: SmallVec<[Argument<'_>; 4]> =
                    (0..self.inputs.program().outputs.len()).map(|key| self.inputs.output(batch, key)).collect();
                index.lookup(&keys, self.inputs.rows(), groups)?;
                seen.resize(index.len(), 0);
                for (row, &group) in groups.iter().enumerate() {
                    let number = seen[group as usize];
                    seen[group as usize] += 1;
                    let mut end = (number / *slide + 1) * *slide;
                    while end - *size <= number {
                        self.bounds.push(Bounds { start: end - *size, end });
                        end += *slide;
                    }
                    match self.bounds.len() == self.rows.len() {
                        true => self.unplaced_rows += 1,
                        false => self.rows.resize(self.bounds.len(), row as u16),
                    }
                }
            }
        }
        Ok(())
    }

    /// Pushes the listed rows from `from` to `to`, each with its window.
    fn push_range(&mut self, batch: &mut Batch, from: usize, to: usize, next: &mut Next<'_>) -> Result<()> {
        let positions = &self.rows[from..to];
        let physical: Vec<u16> = match batch.selection.as_slice() {
            None => positions.to_vec(),
            Some(selected) => positions.iter().map(|&row| selected[row as usize]).collect(),
        };
        let columns = batch.columns.len();
        let of_window: &[WindowColumn] = match self.windows {
            Windows::OfTime(_) => &[WindowColumn::Start, WindowColumn::End, WindowColumn::Time],
            Windows::OfRows(_) => &[WindowColumn::Start, WindowColumn::End],
        };
        self.out.columns.resize_with(columns + of_window.len(), Column::default);
        for (from, into) in batch.columns.iter().zip(&mut self.out.columns) {
            from.gather_into(&physical, into)?;
        }
        let windows = &self.bounds[from..to];
        for (column, which) in self.out.columns[columns..].iter_mut().zip(of_window) {
            let mut flat = Flat::new(Values::I64(windows.iter().map(|window| which.of(*window)).collect()));
            flat.rows = windows.len();
            *column = Column::Flat(flat);
        }
        self.out.rows = to - from;
        self.out.selection = Selection::default();
        self.out.changes =
            batch.changes.as_ref().map(|changes| physical.iter().map(|&row| changes[row as usize]).collect());
        self.out.watermarks.take_rows(&batch.watermarks, physical.iter().map(|&row| row as usize));
        next.push(&mut self.out)
    }
}

impl Operator for Window {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.expand(batch)?;
        let mut from = 0;
        while from < self.rows.len() {
            let to = (from + ROWS_MAX).min(self.rows.len());
            self.push_range(batch, from, to, next)?;
            from = to;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let Windows::OfRows(numbered) = &self.windows else { return Ok(Vec::new()) };
        let Numbered { index, seen, .. } = numbered.as_ref();
        let all: Vec<u32> = (0..seen.len() as u32).collect();
        let types = &self.inputs.program().output_types;
        let mut columns = saved::keys_of(index, types, &all)?;
        columns.push(Arc::new(Int64Array::from(seen.clone())));
        Ok(vec![saved::section(NAME, columns, all.len(), 0)?])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in &sections {
            let key_count = self.inputs.program().outputs.len();
            let Windows::OfRows(numbered) = &mut self.windows else {
                return Err(Error::bug("windows of time have no state"));
            };
            let Numbered { index, seen, .. } = numbered.as_mut();
            saved::check(section, NAME, key_count + 1)?;
            let keys = saved::find_keys(index, &section.rows.columns()[..key_count], section.rows.num_rows())?;
            seen.resize(index.len(), 0);
            let numbers = saved::integers(section, key_count)?;
            keys.iter().zip(numbers.values()).for_each(|(&key, &number)| seen[key as usize] = number);
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        match &self.windows {
            Windows::OfTime(_) => 0,
            Windows::OfRows(numbered) => numbered.index.size_bytes() + numbered.seen.capacity() * 8,
        }
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
