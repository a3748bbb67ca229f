//! Puts window columns behind the rows: a row per window that holds it.
//!
//! Place       where a windowed table is read as rows; a windowed aggregate works by panes and needs no such rows.
//! Invariants  rows that are late for a window are left out of it; rows late for all of theirs are counted.

use std::sync::Arc;

use super::{Next, Operator};
use crate::batch::{Batch, Column, Flat, ROWS_MAX, Selection, Values};
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::WindowSpec;
use crate::time::{START, Windows};

use arrow::datatypes::DataType;

/// A running window table function.
pub struct Window {
    windows: Windows,
    times: Evaluator,
    rows: Vec<u16>,
    ends: Vec<i64>,
    late_rows: u64,
    unplaced_rows: u64,
    out: Batch,
}

impl Window {
    pub fn new(spec: &WindowSpec, time_type: DataType, context: KernelContext) -> Self {
        let times = Program::columns(&[(spec.column, time_type)]);
        Window {
            windows: Windows::new(spec.kind.size(), spec.kind.slide(), spec.kind.offset()),
            times: Evaluator::new(Arc::new(times), context),
            rows: Vec::new(),
            ends: Vec::new(),
            late_rows: 0,
            unplaced_rows: 0,
            out: Batch::default(),
        }
    }

    /// Lists, for each row and each open window that holds it, the row and the window's end.
    fn expand(&mut self, batch: &Batch) -> Result<()> {
        self.times.run(batch)?;
        let times = self.times.output(batch, 0);
        let values = times.values::<i64>()?;
        let watermarks = batch.selected_watermarks();
        self.rows.clear();
        self.ends.clear();
        for row in 0..times.rows() {
            if times.is_null(row) {
                self.unplaced_rows += 1;
                continue;
            }
            let time = if times.is_constant() { values[0] } else { values[row] };
            let watermark = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]);
            let Some(last) = self.windows.last_end(time) else {
                let count = if self.windows.is_on_scale(time) { &mut self.unplaced_rows } else { &mut self.late_rows };
                *count += 1;
                continue;
            };
            match self.windows.first_end_after(time, watermark) {
                None => self.late_rows += 1,
                Some(first) => {
                    let mut end = first;
                    while end <= last {
                        self.rows.push(row as u16);
                        self.ends.push(end);
                        end += self.windows.slide;
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
        self.out.columns.resize_with(columns + 3, Column::default);
        for (from, into) in batch.columns.iter().zip(&mut self.out.columns) {
            from.gather_into(&physical, into)?;
        }
        let ends = &self.ends[from..to];
        let shifts = [self.windows.size, 0, 1];
        for (column, shift) in self.out.columns[columns..].iter_mut().zip(shifts) {
            let mut flat = Flat::new(Values::I64(ends.iter().map(|end| end - shift).collect()));
            flat.rows = ends.len();
            *column = Column::Flat(flat);
        }
        self.out.rows = to - from;
        self.out.selection = Selection::default();
        self.out.changes =
            batch.changes.as_ref().map(|changes| physical.iter().map(|&row| changes[row as usize]).collect());
        self.out.watermarks =
            batch.watermarks.as_ref().map(|marks| physical.iter().map(|&row| marks[row as usize]).collect());
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

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
