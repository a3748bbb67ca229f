//! When changes leave: by the clock, when their window closes, and late ones at once or by the clock again.
//!
//! ```text
//! +I a 1   -U a 1  +U a 2   │ held back: a is new, and 2 now          changes of one group fold into one
//!                           ▼ the clock ticks, or the window closes
//!                        +I a 2
//! ```
//! Place       above an aggregate that tells every change; or at the end of a query, where rows are held by themselves.
//! Owns        the groups that changed since they were last shown: the row shown last, and the row now.
//! Invariants  every row taken back equals one given before; a group that is as it was shown says nothing.
//! Source      triggers of Beam and Flink: early, on time, late.

mod held; // rows that changed and were not shown

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::Arc;

use super::{Ending, Next, Operator};
use crate::batch::{Batch, Change, ROWS_MAX};
use crate::error::{Error, Result};
use crate::pipeline::FiringSpec;
use crate::state::{Section, SectionRoute};
use crate::time::START;
use held::Held;

/// A running trigger.
pub struct Firing {
    spec: FiringSpec,
    schema: SchemaRef,
    held: Held,
    /// Windows that end at or before it have closed.
    closed: i64,
    /// When the clock is looked at next; `None` before it was for the first time.
    due: Option<i64>,
    batch_rows: usize,
    updating: bool,
}

const VERSION: &str = "held 1";
const CLOSED: &str = "closed 1";

impl Firing {
    /// `updating`: whether rows that come in may be taken back.
    pub fn new(spec: &FiringSpec, schema: SchemaRef, updating: bool, batch_rows: usize) -> Result<Self> {
        let held = Held::new(&schema, spec.key_count, spec.window_end)?;
        let (spec, batch_rows) = (spec.clone(), batch_rows.clamp(2, ROWS_MAX));
        Ok(Firing { spec, schema, held, closed: START, due: None, batch_rows, updating })
    }

    /// How often the clock is looked at; `None`: never.
    fn period(&self) -> Option<i64> {
        [self.spec.every, self.spec.late_every].into_iter().flatten().min()
    }

    /// Shows what `fires` of a window's end; without windows, `fires(None)` decides for all.
    fn fire(&mut self, fires: impl Fn(Option<i64>) -> bool, next: &mut Next<'_>) -> Result<()> {
        let (columns, changes) = self.held.take(fires)?;
        let mut from = 0;
        while from < changes.len() {
            let mut to = (from + self.batch_rows).min(changes.len());
            if to < changes.len() && changes[to - 1] == Change::UPDATE_BEFORE {
                to -= 1;
            }
            let slice = |column: &ArrayRef| column.slice(from, to - from);
            let mut batch = Batch::from_arrays(columns.iter().map(slice).collect(), to - from);
            batch.changes = self.updating.then(|| changes[from..to].to_vec());
            next.push(&mut batch)?;
            from = to;
        }
        Ok(())
    }
}

impl Operator for Firing {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let rows = batch.to_record(&self.schema)?;
        self.held.add(&rows, changes.as_deref())?;
        let closed = self.closed;
        if self.spec.window_end.is_some() && self.spec.late_every.is_none() && closed != START {
            self.fire(|end| end.is_some_and(|end| end <= closed), next)?;
        }
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        // What comes from below was held back by the lateness that is allowed; windows close without it.
        let (before, closed) = (self.closed, watermark.saturating_add(self.spec.lateness));
        self.closed = closed;
        if self.spec.on_close {
            self.fire(|end| end.is_some_and(|end| end > before && end <= closed), next)?;
        }
        next.watermark(watermark)
    }

    fn tick(&mut self, now: i64, next: &mut Next<'_>) -> Result<()> {
        let Some(period) = self.period() else { return Ok(()) };
        let is_first = self.due.is_none();
        self.due = Some((now.div_euclid(period) + 1) * period);
        if is_first {
            return Ok(());
        }
        let (closed, spec) = (self.closed, self.spec.clone());
        let fires = |end: Option<i64>| match end {
            Some(end) if spec.on_close && end <= closed => spec.late_every.is_some(),
            _ => spec.every.is_some(),
        };
        self.fire(fires, next)
    }

    fn next_tick(&self) -> Option<i64> {
        self.period().map(|_| self.due.unwrap_or(i64::MIN))
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Flush { self.fire(|_| true, next) } else { Ok(()) }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let (columns, shown) = self.held.all()?;
        let mut fields: Vec<Arc<Field>> = self.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("shown", arrow::datatypes::DataType::Boolean, false)));
        let rows = shown.len();
        let columns = columns.into_iter().chain([Arc::new(BooleanArray::from(shown)) as ArrayRef]).collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?;
        let route = match self.spec.route_count {
            0 => SectionRoute::First,
            key_count => SectionRoute::Key { key_count },
        };
        let closed = RecordBatch::try_from_iter([(
            "closed",
            Arc::new(arrow::array::Int64Array::from(vec![self.closed])) as ArrayRef,
        )])?;
        Ok(vec![
            Section { name: VERSION.to_string(), rows, route },
            Section { name: CLOSED.to_string(), rows: closed, route: SectionRoute::All },
        ])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        use arrow::array::AsArray;
        let mut closed: Option<i64> = None;
        for section in sections {
            match section.name.as_str() {
                VERSION => {
                    let columns = section.rows.num_columns() - 1;
                    let shown = section.rows.column(columns).as_boolean().clone();
                    let rows = section.rows.project(&(0..columns).collect::<Vec<_>>())?;
                    self.held.restore(&rows, &shown)?;
                }
                CLOSED => {
                    let values = section.rows.column(0).as_primitive::<arrow::datatypes::Int64Type>();
                    closed = values.values().iter().copied().chain(closed).min();
                }
                other => return Err(Error::bug(format!("nobody takes this part of a snapshot: {other}"))),
            }
        }
        self.closed = closed.unwrap_or(self.closed);
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.held.size_bytes()
    }

    fn remarks(&self) -> String {
        format!("held {}", self.held.len())
    }
}
