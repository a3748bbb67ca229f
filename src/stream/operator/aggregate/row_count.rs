//! Groups rows into windows of so many rows of their key and aggregates each: after every `slide` rows, the last `size`.
//!
//! Place       where rows come in the order of arrival: one partition.
//! Owns        for each key the number of its rows, and the states of the panes of its window under way.
//! Invariants  row `n` of a key (from 0) lies in the windows `[m * slide - size, m * slide)` that hold `n`. A window leaves
//!             when its last row has come; at the end of input the one under way leaves with the rows it has.

use arrow::array::{ArrayRef, Int64Array};
use smallvec::SmallVec;
use std::sync::Arc;

use super::TableShape;
use super::states::States;
use crate::batch::{Argument, Batch, Column, ROWS_MAX, Selection, Values};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{AggregateSpec, AggregateWindow, WindowColumn};
use crate::state::{GroupIndex, Section};
use crate::stream::operator::{Ending, Next, Operator, saved};
use crate::time::{Bounds, Windows};

/// No pane.
const NONE: u32 = u32::MAX;
/// More panes that are gone than these are worth making the states anew.
const GONE_MIN: usize = 4096;

/// A running GROUP BY per window of rows.
pub struct RowCountAggregate {
    evaluator: Evaluator,
    shape: TableShape,
    outputs: Vec<WindowColumn>,
    size: i64,
    slide: i64,
    /// Rows of a pane, and panes of a window.
    pane: i64,
    panes: usize,
    batch_rows: usize,
    index: GroupIndex,
    /// How many rows of each key there were.
    seen: Vec<i64>,
    /// For each key, the states of its last panes: pane `p` at `p` modulo their number.
    held: Vec<u32>,
    states: States,
    /// How many numbers of panes have been given.
    known: usize,
    full: Full,
    unplaced_rows: u64,
    keys: Vec<u32>,
    rows: Vec<u16>,
    placed: Vec<u32>,
    mask: Vec<u64>,
    whole: Selection,
    out: Batch,
}

/// Windows that are full: the key and bounds of each, and its panes, `panes` for every window.
#[derive(Default)]
struct Full {
    keys: Vec<u32>,
    bounds: Vec<Bounds>,
    panes: Vec<u32>,
}

impl RowCountAggregate {
    /// Windows of `size` rows, one ending every `slide` rows, with the keys of `spec`.
    pub fn new(
        spec: &AggregateSpec,
        window: &AggregateWindow,
        (size, slide): (i64, i64),
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Self {
        let mut shape = TableShape::new(spec, seed, context);
        shape.one_group = false;
        let windows = Windows::new(size, slide, 0);
        let mut out = Batch::default();
        let columns = spec.key_count + window.outputs.len() + spec.aggregates.len();
        out.columns.resize_with(columns, Column::default);
        RowCountAggregate {
            evaluator: Evaluator::new(spec.program.clone(), context).with_dictionaries(spec.key_count),
            outputs: window.outputs.clone(),
            size,
            slide,
            pane: windows.pane(),
            panes: usize::try_from(windows.panes_per_window()).unwrap_or(usize::MAX),
            batch_rows: batch_rows.min(ROWS_MAX),
            index: GroupIndex::new(shape.key_types.clone(), seed, context.level),
            seen: Vec::new(),
            held: Vec::new(),
            states: States::new(&shape, false),
            known: 0,
            full: Full::default(),
            shape,
            unplaced_rows: 0,
            keys: Vec::new(),
            rows: Vec::new(),
            placed: Vec::new(),
            mask: Vec::new(),
            whole: Selection::default(),
            out,
        }
    }

    /// Puts the next row of a key into its pane; `None` when it lies between two windows.
    fn place(&mut self, key: u32) -> Option<u32> {
        let number = self.seen[key as usize];
        self.seen[key as usize] += 1;
        let pane = number / self.pane;
        let at = key as usize * self.panes + pane as usize % self.panes;
        let in_window = number % self.slide >= self.slide - self.size;
        if in_window && (number % self.pane == 0 || self.held[at] == NONE) {
            self.held[at] = self.known as u32;
            self.known += 1;
        }
        let held = self.held[at];
        if (number + 1) % self.slide == 0 {
            self.note(key, number + 1);
        }
        in_window.then_some(held)
    }

    /// Notes that the window of a key that ends at row `end` is to be written.
    fn note(&mut self, key: u32, end: i64) {
        let start = end - self.size;
        self.full.keys.push(key);
        self.full.bounds.push(Bounds { start, end });
        let seen = self.seen[key as usize];
        for pane in 0..self.panes as i64 {
            let first = start + pane * self.pane;
            let there = first >= 0 && first < seen;
            let at = key as usize * self.panes + (first / self.pane).rem_euclid(self.panes as i64) as usize;
            self.full.panes.push(if there { self.held[at] } else { NONE });
        }
    }

    /// Writes the windows noted.
    fn write_full(&mut self, next: &mut Next<'_>) -> Result<()> {
        let full = std::mem::take(&mut self.full);
        let windows: Vec<usize> = (0..full.keys.len()).collect();
        for piece in windows.chunks(self.batch_rows) {
            let (first, last) = (piece[0], piece[piece.len() - 1] + 1);
            let panes = &full.panes[first * self.panes..last * self.panes];
            let parts = panes.iter().enumerate().filter(|(_, pane)| **pane != NONE);
            let (into, picked): (Vec<u32>, Vec<u32>) =
                parts.map(|(at, pane)| ((at / self.panes) as u32, *pane)).unzip();
            let mut merged = States::new(&self.shape, false);
            merged.grow(piece.len())?;
            merged.merge(&into, piece.len(), &mut self.states.pick(&picked)?)?;
            self.write(&full.keys[first..last], &full.bounds[first..last], &mut merged)?;
            next.push(&mut self.out)?;
        }
        self.full = full;
        self.full.keys.clear();
        self.full.bounds.clear();
        self.full.panes.clear();
        Ok(())
    }

    fn write(&mut self, keys: &[u32], bounds: &[Bounds], states: &mut States) -> Result<()> {
        let key_count = self.shape.key_types.len();
        for key in 0..key_count {
            self.index.keys(key, keys, &mut self.out.columns[key])?;
        }
        for (output, column) in self.outputs.iter().zip(&mut self.out.columns[key_count..]) {
            let flat = column.flat_mut(|values| matches!(values, Values::I64(_)), || Values::I64(Vec::new()));
            if let Values::I64(values) = &mut flat.values {
                values.clear();
                values.extend(bounds.iter().map(|bounds| output.of(*bounds)));
            }
            flat.rows = keys.len();
            flat.set_all_valid();
        }
        let groups: Vec<u32> = (0..keys.len() as u32).collect();
        states.finish(&groups, &mut self.out.columns[key_count + self.outputs.len()..])?;
        self.out.rows = keys.len();
        self.out.selection.clear();
        self.out.changes = None;
        self.out.watermarks.clear();
        Ok(())
    }

    /// Makes the states anew when most panes in them are gone.
    fn compact(&mut self) -> Result<()> {
        let held = self.held.iter().filter(|pane| **pane != NONE).count();
        if self.known <= 2 * held + GONE_MIN {
            return Ok(());
        }
        let live: Vec<u32> = self.held.iter().copied().filter(|pane| *pane != NONE).collect();
        self.states = self.states.pick(&live)?;
        let slots = self.held.iter_mut().filter(|pane| **pane != NONE);
        slots.enumerate().for_each(|(number, pane)| *pane = number as u32);
        self.known = live.len();
        Ok(())
    }
}

impl Operator for RowCountAggregate {
    fn push(&mut self, _port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.evaluator.run(batch)?;
        {
            let keys: SmallVec<[Argument<'_>; 4]> =
                (0..self.shape.key_types.len()).map(|key| self.evaluator.output(batch, key)).collect();
            self.index.lookup(&keys, self.evaluator.rows(), &mut self.keys)?;
        }
        self.seen.resize(self.index.len(), 0);
        self.held.resize(self.index.len() * self.panes, NONE);
        self.rows.clear();
        self.placed.clear();
        for row in 0..self.keys.len() {
            match self.place(self.keys[row]) {
                Some(pane) => {
                    self.rows.push(row as u16);
                    self.placed.push(pane);
                }
                None => self.unplaced_rows += 1,
            }
        }
        if self.rows.len() < self.keys.len() {
            self.whole.clone_from(&batch.selection);
            batch.selection.narrow(&self.rows);
            self.evaluator.run(batch)?;
            self.states.update(&self.evaluator, batch, &self.placed, self.known, None, &mut self.mask)?;
            batch.selection.clone_from(&self.whole);
        } else {
            self.states.update(&self.evaluator, batch, &self.placed, self.known, None, &mut self.mask)?;
        }
        self.write_full(next)?;
        self.compact()
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending != Ending::Flush {
            return Ok(());
        }
        for key in 0..self.seen.len() as u32 {
            let seen = self.seen[key as usize];
            let end = (seen + self.slide - 1) / self.slide * self.slide;
            if seen < end && end - self.size < seen {
                self.note(key, end);
            }
        }
        self.write_full(next)
    }

    /// The numbers of rows of each key, and then each pane that its next windows need.
    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let types = self.shape.key_types.clone();
        let all: Vec<u32> = (0..self.seen.len() as u32).collect();
        let mut numbers = saved::keys_of(&self.index, &types, &all)?;
        numbers.push(Arc::new(Int64Array::from(self.seen.clone())));
        let mut sections = vec![saved::section(ROWS_NAME, numbers, all.len(), types.len())?];
        let held: Vec<(usize, u32)> = self.held.iter().copied().enumerate().filter(|(_, pane)| *pane != NONE).collect();
        let keys: Vec<u32> = held.iter().map(|(at, _)| (at / self.panes) as u32).collect();
        let panes: Vec<u32> = held.iter().map(|(_, pane)| *pane).collect();
        let mut columns: Vec<ArrayRef> = saved::keys_of(&self.index, &types, &keys)?;
        columns.push(Arc::new(Int64Array::from_iter_values(held.iter().map(|(at, _)| (at % self.panes) as i64))));
        columns.extend(self.states.pick(&panes)?.save(panes.len())?);
        sections.push(saved::section(PANES_NAME, columns, panes.len(), types.len())?);
        Ok(sections)
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        let key_count = self.shape.key_types.len();
        for section in &sections {
            let is_rows = section.name == ROWS_NAME;
            let (name, count) = if is_rows { (ROWS_NAME, 0) } else { (PANES_NAME, self.shape.state_columns()) };
            saved::check(section, name, key_count + 1 + count)?;
            let columns = section.rows.columns();
            let keys = saved::find_keys(&mut self.index, &columns[..key_count], section.rows.num_rows())?;
            self.seen.resize(self.index.len(), 0);
            self.held.resize(self.index.len() * self.panes, NONE);
            let numbers = saved::integers(section, key_count)?;
            if is_rows {
                keys.iter().zip(numbers.values()).for_each(|(&key, &seen)| self.seen[key as usize] = seen);
                continue;
            }
            let first = self.known as u32;
            let panes: Vec<u32> = (first..first + keys.len() as u32).collect();
            for ((&key, &at), &pane) in keys.iter().zip(numbers.values()).zip(&panes) {
                self.held[key as usize * self.panes + at as usize] = pane;
            }
            self.known += keys.len();
            self.states.load(&panes, self.known, &columns[key_count + 1..])?;
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let numbers = self.seen.capacity() * 8 + self.held.capacity() * 4;
        self.index.size_bytes() + self.states.size_bytes() + numbers
    }

    fn remarks(&self) -> String {
        format!("groups {}, keys {}", self.seen.len(), self.index.mode())
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}

const ROWS_NAME: &str = "row counts 1";
const PANES_NAME: &str = "row panes 1";
