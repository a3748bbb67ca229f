//! Rows of partitions that belong to windows: which window each is of, and which are closed.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type};

use crate::batch::Batch;
use crate::error::Result;
use crate::pipeline::Completion;
use crate::time::START;

/// The windows of rows that tell theirs in a key.
pub struct WindowEnds {
    /// The wide column that tells the window, and how far its end is from there; `None`: there are no windows.
    key: Option<(usize, i64)>,
    watermark: i64,
    late_rows: u64,
    unplaced_rows: u64,
}

/// The rows of one window.
pub struct Part {
    pub columns: Vec<ArrayRef>,
    pub rows: usize,
}

impl WindowEnds {
    pub fn new(completion: Completion) -> Self {
        let key = match completion {
            Completion::Window { column, to_end } => Some((column, to_end)),
            _ => None,
        };
        WindowEnds { key, watermark: START, late_rows: 0, unplaced_rows: 0 }
    }

    /// Notes the watermark; whether windows may close.
    pub fn advance(&mut self, watermark: i64) -> bool {
        self.watermark = watermark;
        self.key.is_some()
    }

    /// Parts wide rows by the end of their window. Late rows, and rows without a window, are counted and left out.
    pub fn parts(&mut self, wide: &[ArrayRef], batch: &Batch, rows: usize) -> Result<Vec<(i64, Part)>> {
        let Some((column, to_end)) = self.key else { return Ok(Vec::new()) };
        let ticks = cast(&wide[column], &DataType::Int64)?;
        let ticks = ticks.as_primitive::<Int64Type>();
        let watermarks = batch.selected_watermarks();
        let mut placed: Vec<(i64, u32)> = Vec::with_capacity(rows);
        for row in 0..rows {
            if ticks.is_null(row) {
                self.unplaced_rows += 1;
                continue;
            }
            let end = ticks.value(row).saturating_add(to_end);
            let before = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]).max(self.watermark);
            match end <= before {
                true => self.late_rows += 1,
                false => placed.push((end, row as u32)),
            }
        }
        if placed.len() == rows && placed.windows(2).all(|pair| pair[0].0 == pair[1].0) {
            let part = Part { columns: wide.to_vec(), rows };
            return Ok(placed.first().map(|first| (first.0, part)).into_iter().collect());
        }
        placed.sort_by_key(|(end, _)| *end);
        let mut parts = Vec::new();
        for chunk in placed.chunk_by(|a, b| a.0 == b.0) {
            let picked = UInt32Array::from_iter_values(chunk.iter().map(|(_, row)| *row));
            let columns = wide.iter().map(|column| Ok(take(column, &picked, None)?)).collect::<Result<Vec<_>>>()?;
            parts.push((chunk[0].0, Part { columns, rows: chunk.len() }));
        }
        Ok(parts)
    }

    pub fn late_rows(&self) -> u64 {
        self.late_rows
    }

    pub fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
