//! What leaves of joins that keep rows: pairs of a batch's row and a kept one, or rows of either alone.

use std::sync::Arc;

use arrow::array::{BooleanArray, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};

use crate::batch::{Batch, Change, Column};
use crate::error::Result;
use crate::pipeline::{JoinSide, JoinSpec};
use crate::state::Multimap;
use crate::stream::operator::Next;

/// Where an output column comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// A column of the left or the right input.
    Column(JoinSide, usize),
    Mark,
}

/// Writes what leaves.
pub(super) struct Writer {
    outputs: Vec<Source>,
    nulls: Vec<Column>,
    out: Batch,
}

/// Rows that are kept, and where the columns of their input are among those of the map.
#[derive(Clone, Copy)]
pub(super) struct Held<'a> {
    pub(super) map: &'a Multimap,
    pub(super) places: &'a [Option<usize>],
}

impl Source {
    /// The source of a column of left ++ right, or of the mark behind them.
    pub(super) fn of(column: usize, schemas: [&SchemaRef; 2]) -> Source {
        let left = schemas[0].fields().len();
        match column {
            own if own < left => Source::Column(JoinSide::Left, own),
            own if own < left + schemas[1].fields().len() => Source::Column(JoinSide::Right, own - left),
            _ => Source::Mark,
        }
    }
}

impl Held<'_> {
    /// Writes a column of the input, of these rows.
    pub(super) fn gather(self, column: usize, ids: &[u32], out: &mut Column) -> Result<()> {
        self.map.gather(self.places[column].expect("what is read is kept"), ids, out)
    }
}

/// The physical rows of selected ones.
pub(super) fn to_physical(batch: &Batch, rows: &[u16], out: &mut Vec<u16>) {
    out.clear();
    match batch.selection.as_slice() {
        None => out.extend_from_slice(rows),
        Some(selected) => out.extend(rows.iter().map(|&row| selected[row as usize])),
    }
}

impl Writer {
    /// A writer of a join's outputs over inputs with these columns.
    pub(super) fn new(spec: &JoinSpec, schemas: [&SchemaRef; 2]) -> Self {
        let outputs: Vec<Source> = spec.outputs.iter().map(|&column| Source::of(column, schemas)).collect();
        let null = |source: &Source| match *source {
            Source::Column(JoinSide::Left, column) => schemas[0].field(column).data_type().clone(),
            Source::Column(JoinSide::Right, column) => schemas[1].field(column).data_type().clone(),
            Source::Mark => DataType::Boolean,
        };
        let nulls = outputs.iter().map(|source| Column::Constant(new_null_array(&null(source), 1))).collect();
        let mut out = Batch::default();
        out.columns.resize_with(outputs.len(), Column::default);
        Writer { outputs, nulls, out }
    }

    /// The columns of a side that leave.
    pub(super) fn columns(&self, side: JoinSide) -> Vec<usize> {
        let own = |source: &Source| match source {
            Source::Column(of, column) if *of == side => Some(*column),
            _ => None,
        };
        self.outputs.iter().filter_map(own).collect()
    }

    /// Sends rows of the batch beside rows kept of the other side.
    #[expect(clippy::too_many_arguments, reason = "two lists of rows and where each is from")]
    pub(super) fn pairs(
        &mut self,
        batch: &Batch,
        port: JoinSide,
        rows: &[u16],
        other: Held<'_>,
        held: &[u32],
        change: Change,
        next: &mut Next<'_>,
    ) -> Result<()> {
        for (source, out) in self.outputs.iter().zip(&mut self.out.columns) {
            match *source {
                Source::Column(side, column) if side == port => batch.columns[column].gather_into(rows, out)?,
                Source::Column(_, column) => other.gather(column, held, out)?,
                Source::Mark => unreachable!("pairs have no mark"),
            }
        }
        self.send(held.len(), change, next)
    }

    /// Sends rows of the batch alone.
    pub(super) fn own(
        &mut self,
        batch: &Batch,
        port: JoinSide,
        rows: &[u16],
        mark: bool,
        change: Change,
        next: &mut Next<'_>,
    ) -> Result<()> {
        for ((source, null), out) in self.outputs.iter().zip(&self.nulls).zip(&mut self.out.columns) {
            match *source {
                Source::Column(side, column) if side == port => batch.columns[column].gather_into(rows, out)?,
                Source::Column(..) => out.clone_from(null),
                Source::Mark => *out = constant(mark),
            }
        }
        self.send(rows.len(), change, next)
    }

    /// Sends rows kept of a side alone.
    pub(super) fn held(
        &mut self,
        port: JoinSide,
        side: Held<'_>,
        ids: &[u32],
        mark: bool,
        change: Change,
        next: &mut Next<'_>,
    ) -> Result<()> {
        for ((source, null), out) in self.outputs.iter().zip(&self.nulls).zip(&mut self.out.columns) {
            match *source {
                Source::Column(of, column) if of == port => side.gather(column, ids, out)?,
                Source::Column(..) => out.clone_from(null),
                Source::Mark => *out = constant(mark),
            }
        }
        self.send(ids.len(), change, next)
    }

    fn send(&mut self, rows: usize, change: Change, next: &mut Next<'_>) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        self.out.clear();
        self.out.rows = rows;
        self.out.changes = change.is_retraction().then(|| vec![change; rows]);
        next.push(&mut self.out)
    }
}

fn constant(mark: bool) -> Column {
    Column::Constant(Arc::new(BooleanArray::from(vec![mark])))
}
