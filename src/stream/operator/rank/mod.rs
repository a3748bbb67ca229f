//! The rows of each partition that rank within bounds: Top-N, the first or the last row of a key.
//!
//! Place       behind an exchange by the keys of PARTITION BY; its input is wide: keys, ORDER BY keys, the rows' columns.
//! Owns        the best rows of each key, or all of them where rows may be taken back; per open window where the keys tell
//!             one.
//! Invariants  what is shown, folded up, is what ROW_NUMBER (or RANK) of all rows so far would keep; every row taken back
//!             equals one given before.

mod all; //     all rows of each key, where they may be taken back
mod best; //    the best rows of each key, where they are only added
mod changes; // old and new rows of the keys that a batch touched
mod lists; //   a short list per key
mod ranking; // ranks, and what a ranked row is
mod table; //   keys and their rows
mod told; //    the best rows of each key, where its keys say all of a row

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, UInt32Array, UInt64Array, new_null_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use self::changes::Changed;
pub(super) use self::changes::push_changes;
use self::ranking::Ranked;
use self::table::{Kept, RankTable};
use crate::batch::{Batch, Change, Column, Kind, Selection};
use crate::error::{Error, Result};
use crate::expression::Operand;
use crate::function::KernelContext;
use crate::pipeline::{Completion, Cutoff, RankSpec};
use crate::state::{GroupIndex, Section, SectionRoute};
use crate::stream::operator::expiry::{Expiry, Sweep};
use crate::stream::operator::held::columns;
use crate::stream::operator::over::WindowEnds;
use crate::stream::operator::{Ending, Next, Operator};

/// What the operator is made from.
#[derive(Debug, Clone)]
pub struct RankShape {
    pub spec: RankSpec,
    /// The types of the wide columns.
    pub types: Vec<DataType>,
    /// The type of the rank.
    pub rank_type: DataType,
    pub seed: u64,
    pub context: KernelContext,
    pub batch_rows: usize,
    /// Of a rank over all rows: how far the first ones reach, where scans ask for it.
    pub cutoff: Option<Arc<Cutoff>>,
}

impl RankShape {
    /// The first wide column that is the rows' own.
    fn own(&self) -> usize {
        self.spec.program.outputs.len()
    }

    /// The key that one of the rows' own columns is, value for value.
    fn key_of(&self, column: usize) -> Option<usize> {
        let is = |key: &usize| self.spec.program.outputs[*key] == Operand::Input(column) && is_exact(&self.types[*key]);
        (0..self.spec.key_count).find(is)
    }
}

/// Whether values that are equal as keys are the same: floats may be different ones.
fn is_exact(data_type: &DataType) -> bool {
    !data_type.is_floating() && Kind::of(data_type) != Kind::Other
}

/// A key of groups as a column.
fn key_of_groups(index: &GroupIndex, key: usize, groups: &[u32]) -> Result<ArrayRef> {
    let mut column = Column::default();
    index.keys(key, groups, &mut column)?;
    column.to_array(&index.key_types()[key], groups.len(), &Selection::default())
}

/// A running Top-N.
pub struct Rank {
    shape: Arc<RankShape>,
    /// Everything in one table, or a table per open window, by its end.
    tables: BTreeMap<i64, RankTable>,
    ends: WindowEnds,
    changed: Changed,
    /// Set where keys are forgotten.
    expiry: Option<Expiry>,
    sweep: Sweep,
}

/// The key of the one table where there are no windows.
const ALL: i64 = i64::MAX;
/// Rows of a snapshot that are taken in at once.
const RESTORED_ROWS: usize = 8192;

impl Rank {
    /// Failure: rows with columns that cannot be ordered.
    pub fn new(shape: RankShape) -> Result<Self> {
        table::check(&shape.types)?;
        let ends = WindowEnds::new(shape.spec.completion);
        let changed = Changed::new(shape.spec.shows_rank);
        let expiry = shape.spec.ttl.map(Expiry::new);
        Ok(Rank { shape: Arc::new(shape), tables: BTreeMap::new(), ends, changed, expiry, sweep: Sweep::default() })
    }

    fn table<'a>(
        tables: &'a mut BTreeMap<i64, RankTable>,
        shape: &Arc<RankShape>,
        end: i64,
    ) -> Result<&'a mut RankTable> {
        match tables.entry(end) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(RankTable::new(shape)?)),
        }
    }

    /// The ranks of rows as a column.
    fn rank_column(&self, ranks: impl ExactSizeIterator<Item = u64>) -> Result<ArrayRef> {
        if !self.shape.spec.shows_rank {
            return Ok(new_null_array(&self.shape.rank_type, ranks.len()));
        }
        let ranks: ArrayRef = Arc::new(UInt64Array::from_iter_values(ranks));
        Ok(if *ranks.data_type() == self.shape.rank_type { ranks } else { cast(&ranks, &self.shape.rank_type)? })
    }

    /// Pushes everything on that a table shows.
    fn emit(&self, mut table: RankTable, next: &mut Next<'_>) -> Result<()> {
        table.emit(|ranks| self.rank_column(ranks.iter().copied()), next)
    }

    /// Takes rows of a window in as often as they were there, which is less than not at all for those taken back too early.
    fn restore_rows(&mut self, end: i64, rows: &[ArrayRef], counts: &[i64]) -> Result<()> {
        let times = |(row, count): (usize, &i64)| std::iter::repeat_n(row as u32, count.unsigned_abs() as usize);
        let picks: Vec<u32> = counts.iter().enumerate().flat_map(times).collect();
        let change = |&row: &u32| if counts[row as usize] < 0 { Change::DELETE } else { Change::INSERT };
        let changes: Vec<Change> = picks.iter().map(change).collect();
        let picks = UInt32Array::from(picks);
        let wide = rows.iter().map(|column| Ok(take(column, &picks, None)?)).collect::<Result<Vec<_>>>()?;
        let table = Self::table(&mut self.tables, &self.shape, end)?;
        let groups = table.find_groups(&wide, picks.len())?;
        table.take(&wide, &groups, Some(&changes), None)
    }

    fn push_changes(&mut self, wide: &[ArrayRef], batch: &Batch, rows: usize, next: &mut Next<'_>) -> Result<()> {
        let changes = batch.selected_changes();
        let table = Self::table(&mut self.tables, &self.shape, ALL)?;
        let groups = table.find_groups(wide, rows)?;
        if let Some(expiry) = &mut self.expiry {
            expiry.touch(&groups, table.key_count(), batch.now);
        }
        self.changed.begin(table.key_count());
        table.take(wide, &groups, changes.as_deref(), Some(&mut self.changed))?;
        let order = |a: &Ranked, b: &Ranked| table.compare(&a.row, &b.row);
        self.changed.compare(|group, shown| table.ranked(group, shown), order);
        let table = &self.tables[&ALL];
        if !self.changed.rows.is_empty() {
            let mut columns = table.columns(self.changed.rows.iter().map(|ranked| &ranked.row))?;
            columns.push(self.rank_column(self.changed.rows.iter().map(|ranked| ranked.rank))?);
            self.changed.push(&columns, self.shape.batch_rows, next)?;
        }
        let table = Self::table(&mut self.tables, &self.shape, ALL)?;
        table.settle()?;
        // Keys whose rows have all been taken back.
        if let Some(left) = self.sweep.left(table.key_count(), |group| table.has_rows(group)) {
            if let Some(expiry) = &mut self.expiry {
                expiry.keep(&left);
            }
            table.retain(&left)?;
        }
        Ok(())
    }
}

impl Operator for Rank {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let wide = columns(batch, &self.shape.types)?;
        let rows = batch.selected_rows();
        match self.shape.spec.completion {
            Completion::Changes => self.push_changes(&wide, batch, rows, next),
            Completion::Window { .. } => {
                for (end, part) in self.ends.parts(&wide, batch, rows)? {
                    let table = Self::table(&mut self.tables, &self.shape, end)?;
                    let groups = table.find_groups(&part.columns, part.rows)?;
                    table.take(&part.columns, &groups, None, None)?;
                }
                Ok(())
            }
            _ => {
                let table = Self::table(&mut self.tables, &self.shape, ALL)?;
                let groups = table.find_groups(&wide, rows)?;
                table.take(&wide, &groups, None, None)?;
                if let Some(cutoff) = &self.shape.cutoff {
                    cutoff.lower(table.bound());
                }
                Ok(())
            }
        }
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        if self.ends.advance(watermark) {
            while let Some(entry) = self.tables.first_entry().filter(|entry| *entry.key() <= watermark) {
                let table = entry.remove();
                self.emit(table, next)?;
            }
        }
        next.watermark(watermark)
    }

    fn tick(&mut self, now: i64, _next: &mut Next<'_>) -> Result<()> {
        let (Some(expiry), Some(table)) = (&mut self.expiry, self.tables.get_mut(&ALL)) else { return Ok(()) };
        match expiry.left(now, table.key_count(), |_| false) {
            Some(left) => table.retain(&left),
            None => Ok(()),
        }
    }

    fn next_tick(&self) -> Option<i64> {
        self.expiry.as_ref().filter(|_| !self.tables.is_empty()).map(Expiry::next_tick)
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold || self.shape.spec.completion == Completion::Changes {
            return Ok(());
        }
        while let Some((_, table)) = self.tables.pop_first() {
            self.emit(table, next)?;
        }
        Ok(())
    }

    /// A section per window: keys, ORDER BY keys, the rows' columns, how often each is there, the window's end.
    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        for (end, table) in &self.tables {
            let Kept { groups, counts, mut columns } = table.kept()?;
            if groups.is_empty() {
                continue;
            }
            columns.push(Arc::new(Int64Array::from(counts)));
            columns.push(Arc::new(Int64Array::from_value(*end, groups.len())));
            let fields = columns
                .iter()
                .enumerate()
                .map(|(at, column)| Field::new(format!("c{at}"), column.data_type().clone(), true));
            let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)?;
            let key_count = self.shape.spec.key_count;
            let route = if key_count > 0 { SectionRoute::Key { key_count } } else { SectionRoute::First };
            sections.push(Section { name: "ranked rows".to_string(), rows, route });
        }
        Ok(sections)
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            let width = self.shape.types.len();
            let columns = section.rows.columns();
            if section.name != "ranked rows" || columns.len() != width + 2 {
                return Err(Error::bug(format!("these are no ranked rows: {}", section.name)));
            }
            let counts = columns[width].as_primitive::<Int64Type>();
            let ends = columns[width + 1].as_primitive::<Int64Type>().values();
            let mut from = 0;
            for run in ends.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(RESTORED_ROWS)) {
                let rows: Vec<ArrayRef> = columns[..width].iter().map(|column| column.slice(from, run.len())).collect();
                self.restore_rows(run[0], &rows, &counts.values()[from..from + run.len()])?;
                from += run.len();
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let expiry = self.expiry.as_ref().map_or(0, Expiry::size_bytes);
        self.tables.values().map(RankTable::size_bytes).sum::<usize>() + expiry
    }

    fn late_rows(&self) -> u64 {
        self.ends.late_rows()
    }

    fn unplaced_rows(&self) -> u64 {
        self.ends.unplaced_rows()
    }

    fn remarks(&self) -> String {
        format!("keys {}", self.tables.values().map(RankTable::key_count).sum::<usize>())
    }
}

#[cfg(test)]
mod tests;
