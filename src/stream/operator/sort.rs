//! All rows in order, or the first of them.
//!
//! ```text
//! worker:  rows, wide ─▶ Sort ─▶ its rows in order, the first of them ─┐
//! first worker:                     a run per worker ◀─ exchange ◀────┴─▶ Sort ─▶ all in order
//! ```
//! Place       one per worker, and where there are several workers one more behind them. Its input is wide: keys, then the
//!             rows' own columns.
//! Owns        the rows it has seen; with `fetch` never many more than asked for.
//! Invariants  with `fetch`, ties are broken by all columns, so that which rows stay does not depend on arrival. What other
//!             workers have found only ever rules out rows that cannot be among the first.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::{DataType, Field, Schema};

use super::held::{Held, columns, push_in_batches};
use super::order::{Key, order_all};
use super::{Ending, Next, Operator};
use crate::batch::{Batch, Texts, first_keys, first_keys_of, without_waste};
use crate::error::Result;
use crate::pipeline::{Cutoff, LeastKeys};
use crate::state::{Section, SectionRoute};

/// With `fetch`, this many rows beyond twice as many are gathered before the worst are dropped.
const SLACK_ROWS: usize = 8192;
/// What a snapshot calls the rows.
const SECTION: &str = "sort 2";

/// What the operators of one ORDER BY are made from.
#[derive(Debug, Clone)]
pub struct SortShape {
    /// How the first columns order the rows.
    pub options: Vec<SortOptions>,
    pub fetch: Option<usize>,
    /// The types of the wide columns.
    pub types: Vec<DataType>,
    /// Whether the keys stay before the rows' own columns.
    pub keeps_keys: bool,
    /// How far the first rows of some worker reach: no row behind them is wanted.
    pub cutoff: Arc<Cutoff>,
    pub batch_rows: usize,
}

/// A running ORDER BY.
pub struct Sort {
    shape: SortShape,
    /// The rows of each input, in the order they came in.
    held: Vec<Held>,
    /// The first keys of the first rows, where so many can be followed.
    least: Option<LeastKeys>,
    numbers: Vec<u64>,
    kept: Vec<u16>,
}

impl Sort {
    pub fn new(shape: SortShape) -> Self {
        let options = shape.options.first().copied().unwrap_or_default();
        let least = shape.fetch.filter(|&fetch| LeastKeys::can_follow(fetch));
        let least = least.map(|fetch| LeastKeys::new(fetch, options));
        Sort { shape, held: Vec::new(), least, numbers: Vec::new(), kept: Vec::new() }
    }

    fn rows(&self) -> usize {
        self.held.iter().map(Held::rows).sum()
    }

    /// The held rows in order, at most `fetch` of them; how many there are.
    fn sorted(&mut self) -> Result<(Vec<ArrayRef>, usize)> {
        let rows = self.rows();
        let mut all = Held::new(self.shape.types.clone());
        self.held.drain(..).for_each(|held| all.append(held));
        let wide = all.take()?;
        let ties = if self.shape.fetch.is_some() { &wide[self.shape.options.len()..] } else { &[] };
        let mut picked = order_all(rows, &self.keys(&wide), ties)?;
        picked.truncate(self.shape.fetch.unwrap_or(rows));
        let picked = UInt32Array::from(picked);
        let columns = wide.iter().map(|column| Ok(take(column, &picked, None)?)).collect::<Result<Vec<_>>>()?;
        Ok((columns, picked.len()))
    }

    fn keys(&self, wide: &[ArrayRef]) -> Vec<Key> {
        wide.iter().cloned().zip(self.shape.options.iter().copied()).collect()
    }

    /// Leaves rows away that come after the first ones already known, and says how far these reach now.
    fn narrow(&mut self, batch: &mut Batch) -> Result<()> {
        let (Some(&options), Some(key)) = (self.shape.options.first(), batch.columns.first()) else { return Ok(()) };
        if !first_keys(key, batch.rows, options, &mut self.numbers)? {
            return Ok(());
        }
        let (reach, numbers, texts) = (self.shape.cutoff.reach(options), &self.numbers, Texts::of(key));
        let least = &mut self.least;
        // Rows that are not among the first of these are not among those of all.
        let mut stays = |row: usize| {
            let text = || texts.bytes(row);
            reach.holds(numbers[row], text) && least.as_mut().is_none_or(|least| least.add(numbers[row], text))
        };
        batch.selection.retain(batch.rows, &mut stays, &mut self.kept);
        if let Some(least) = least {
            least.tell(&self.shape.cutoff);
        }
        Ok(())
    }

    /// Drops rows that cannot be among the first, and says how far the first ones go.
    fn prune(&mut self, fetch: usize) -> Result<()> {
        let (best, rows) = self.sorted()?;
        if rows == fetch && rows > 0 {
            let mut worst = Vec::new();
            if let Some(&options) = self.shape.options.first()
                && first_keys_of(&best[0].slice(rows - 1, 1), options, &mut worst)?
            {
                self.shape.cutoff.lower(worst[0]);
            }
        }
        self.hold(0, best, rows);
        Ok(())
    }

    fn hold(&mut self, port: usize, wide: Vec<ArrayRef>, rows: usize) {
        if self.held.len() <= port {
            let types = self.shape.types.clone();
            self.held.resize_with(port + 1, || Held::new(types.clone()));
        }
        self.held[port].push(wide, rows);
    }
}

impl Operator for Sort {
    fn push(&mut self, port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        if self.shape.fetch.is_some() {
            self.narrow(batch)?;
        }
        let rows = batch.selected_rows();
        if rows == 0 {
            return Ok(());
        }
        let mut wide = columns(batch, &self.shape.types)?;
        if self.shape.fetch.is_some() {
            // A few rows of each batch stay: not with all the strings beside theirs.
            wide = wide.into_iter().map(without_waste).collect();
        }
        self.hold(port, wide, rows);
        if let Some(fetch) = self.shape.fetch
            && self.rows() > fetch.saturating_mul(2).saturating_add(SLACK_ROWS)
        {
            self.prune(fetch)?;
        }
        Ok(())
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold || self.rows() == 0 {
            return Ok(());
        }
        let (columns, rows) = self.sorted()?;
        let own = if self.shape.keeps_keys { 0 } else { self.shape.options.len() };
        push_in_batches(&columns[own..], rows, self.shape.batch_rows, next)
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let fields = self.shape.types.iter().enumerate();
        let fields = fields.map(|(at, data_type)| Field::new(format!("c{at}"), data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut sections = Vec::new();
        for (columns, _) in self.held.iter().flat_map(Held::batches) {
            let rows = arrow::array::RecordBatch::try_new(schema.clone(), columns.to_vec())?;
            sections.push(Section { name: SECTION.to_string(), rows, route: SectionRoute::First });
        }
        Ok(sections)
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            section.expect(SECTION)?;
            self.hold(0, section.rows.columns().to_vec(), section.rows.num_rows());
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.held.iter().map(Held::size_bytes).sum::<usize>() + self.least.as_ref().map_or(0, LeastKeys::size_bytes)
    }
}
