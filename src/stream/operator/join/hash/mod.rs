//! One side, which ends, into a table; then the other past it, batch by batch.
//!
//! ```text
//! probe batch ─▶ keys ─▶ groups ─▶ pairs (probe row, build row) ─▶ residual ─▶ columns gathered by both numbers
//! ```
//! Owns        the rows of the build side, and for each whether it has found a match, where that is asked for.
//! Invariants  the probe side is not wanted before the build side has ended: rows of it that come all the same, for a
//!             snapshot, wait. No batch that leaves has more rows than the configuration allows, however many matches a
//!             row has.

mod pairs; //   rows side by side
mod waiting; // rows that come before the table is complete

use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::datatypes::{DataType, SchemaRef};
use millstream_kernels::bitmap;

use self::pairs::{Pairs, Residual, Source};
use self::waiting::{WAITING, WATERMARK, Waiting};
use super::build::{Build, KEYS, NULL_KEY, ROWS, Rows, arguments, with_null_key};
use super::roles::{Alone, Roles};
use crate::batch::{Batch, Column, Flat, Values};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{JoinSide, JoinSpec, KeyFilter};
use crate::state::{NO_GROUP, Section, SectionRoute};
use crate::stream::operator::{Ending, Next, Operator};

/// Where the instances of a join have their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TablePlace {
    /// All in one instance.
    One,
    /// Each in the instance that owns its key.
    Owner,
    /// Each in every instance; `first`: whether this is the first of them.
    Everywhere { first: bool },
}

/// A running hash join.
pub struct HashJoin {
    roles: Roles,
    place: TablePlace,
    build_side: JoinSide,
    null_aware: bool,
    each_once: bool,
    build: Build,
    state: State,
    build_keys: Evaluator,
    probe_keys: Evaluator,
    key_count: usize,
    residual: Option<Residual>,
    outputs: Vec<Source>,
    /// A NULL for each output column.
    nulls: Vec<Column>,
    context: KernelContext,
    batch_rows: usize,
    /// Which rows of the build side have found a match; empty when nobody asks.
    build_matched: Vec<u64>,
    /// Which rows of the batch at hand have.
    probe_matched: Vec<u64>,
    groups: Vec<u32>,
    pairs: Pairs,
    out: Batch,
    /// Who waits for which of the table's keys.
    told: Vec<(usize, Arc<KeyFilter>)>,
    waiting: Waiting,
    /// Of the rows that were taken over from a snapshot, whether each had found a match.
    restored: Vec<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The build side is coming in.
    Building,
    Probing,
    /// The build side was cut off: what would leave could be wrong.
    Held,
}

impl HashJoin {
    /// A join of inputs with these columns; `build` is the side that is read first.
    pub fn new(
        spec: &JoinSpec,
        (build, place): (JoinSide, TablePlace),
        (left, right): (&SchemaRef, &SchemaRef),
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Self {
        let roles = Roles::new(spec.kind, build);
        let left_count = left.fields().len();
        let columns = left_count + right.fields().len();
        let mut stored: Vec<usize> = Vec::new();
        let mut source = |column: usize| {
            let (side, at) = match column {
                mark if mark == columns => return Source::Mark,
                left if left < left_count => (JoinSide::Left, left),
                right => (JoinSide::Right, right - left_count),
            };
            if side != build {
                return Source::Probe(at);
            }
            Source::Build(stored.iter().position(|&known| known == at).unwrap_or_else(|| {
                stored.push(at);
                stored.len() - 1
            }))
        };
        let outputs: Vec<Source> = spec.outputs.iter().map(|&column| source(column)).collect();
        let residual = spec.residual.as_ref().map(|program| {
            let mut batch = Batch::default();
            batch.columns.resize_with(columns, Column::default);
            let sources = program.inputs().into_iter().map(|column| (column, source(column))).collect();
            Residual {
                evaluator: Evaluator::new(program.clone(), context),
                sources,
                batch,
                mask: Vec::new(),
                kept: Vec::new(),
            }
        });
        let (build_schema, probe_schema) = if build == JoinSide::Left { (left, right) } else { (right, left) };
        let types = stored.iter().map(|&column| build_schema.field(column).data_type().clone()).collect();
        let keeps_rows = roles.pairs || roles.build != Alone::Nothing || residual.is_some();
        let keeps_null_keys = matches!(roles.build, Alone::Unmatched | Alone::Anti | Alone::Mark);
        let type_of = |&column: &usize| match column {
            left_column if left_column < left_count => left.field(left_column).data_type().clone(),
            right_column if right_column < columns => right.field(right_column - left_count).data_type().clone(),
            _ => DataType::Boolean,
        };
        let nulls = spec.outputs.iter().map(|column| Column::Constant(new_null_array(&type_of(column), 1))).collect();
        let mut out = Batch::default();
        out.columns.resize_with(outputs.len(), Column::default);
        HashJoin {
            roles,
            place,
            build_side: build,
            null_aware: spec.null_aware,
            each_once: spec.each_once,
            build: Build::new(spec, build, (stored, types), (keeps_rows, keeps_null_keys), seed, context),
            state: State::Building,
            build_keys: Evaluator::new(spec.keys(build).clone(), context),
            probe_keys: Evaluator::new(spec.keys(build.other()).clone(), context),
            key_count: spec.left_keys.outputs.len(),
            residual,
            outputs,
            nulls,
            context,
            batch_rows,
            build_matched: Vec::new(),
            probe_matched: Vec::new(),
            groups: Vec::new(),
            pairs: Pairs::default(),
            out,
            told: Vec::new(),
            waiting: Waiting::new(probe_schema),
            restored: Vec::new(),
        }
    }

    /// Tells these filters the table's keys as soon as it is complete.
    pub fn telling_keys(mut self, told: Vec<(usize, Arc<KeyFilter>)>) -> Self {
        self.told = told;
        self
    }

    fn probe(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if self.build.is_empty() && self.roles.nothing_without_build() {
            return Ok(());
        }
        if self.build.rows.len() == 1 && self.key_count == 0 && self.roles.only_pairs() {
            return self.probe_single_row(batch, next);
        }
        self.probe_keys.run(batch)?;
        let rows = self.probe_keys.rows();
        let mut groups = std::mem::take(&mut self.groups);
        let keys = arguments(&self.probe_keys, batch, self.key_count);
        self.build.find(&keys, rows, &mut groups)?;
        let unknown = if self.null_aware { with_null_key(&keys, rows) } else { None };
        drop(keys);
        if self.each_once {
            self.build.answer_once(&mut groups);
        }
        if self.roles.probe != Alone::Nothing {
            bitmap::fill(&mut self.probe_matched, batch.rows, false);
        }
        if self.needs_pairs() {
            self.pair_up(batch, &groups, next)?;
        } else {
            self.mark_found(batch, &groups);
        }
        self.groups = groups;
        if self.null_aware && !self.build.is_empty() {
            if self.build.has_null_key {
                return Ok(());
            }
            // Whether NULL is among the others is unknown, so such rows leave as little as those that are.
            for (at, _) in unknown.iter().flatten().enumerate().filter(|(_, null)| **null) {
                bitmap::set(&mut self.probe_matched, row_at(batch, at));
            }
        }
        self.finish_probe(batch, next)
    }

    /// Whether it matters which build row a probe row meets, not only that it meets one.
    fn needs_pairs(&self) -> bool {
        self.roles.pairs || self.residual.is_some() || self.roles.build != Alone::Nothing
    }

    /// Notes which rows of the batch have found a group.
    fn mark_found(&mut self, batch: &Batch, groups: &[u32]) {
        for (at, _) in groups.iter().enumerate().filter(|(_, group)| **group != NO_GROUP) {
            bitmap::set(&mut self.probe_matched, row_at(batch, at));
        }
    }

    /// Puts each row beside each row of its group, and sends pairs off whenever a batch is full.
    fn pair_up(&mut self, batch: &mut Batch, groups: &[u32], next: &mut Next<'_>) -> Result<()> {
        if self.build.is_unique() && groups.len() <= self.batch_rows {
            self.pairs.pair(batch.selection.as_slice(), groups);
            return self.send_pairs(batch, next);
        }
        for (at, &group) in groups.iter().enumerate().filter(|(_, group)| **group != NO_GROUP) {
            let row = row_at(batch, at) as u16;
            let mut from = 0;
            loop {
                let room = self.batch_rows - self.pairs.build.len();
                let taken = match self.build.rows_of(group, from) {
                    Rows::One(row) => {
                        self.pairs.build.push(row);
                        1
                    }
                    Rows::Chain(rows) => {
                        let taken = rows.len().min(room);
                        self.pairs.build.extend_from_slice(&rows[..taken]);
                        taken
                    }
                };
                self.pairs.probe.resize(self.pairs.build.len(), row);
                from += taken;
                if self.pairs.build.len() < self.batch_rows {
                    break;
                }
                self.send_pairs(batch, next)?;
            }
        }
        self.send_pairs(batch, next)
    }

    /// Drops the pairs that fail the residual, notes who has met, and sends the columns of the others on.
    fn send_pairs(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let mut pairs = std::mem::take(&mut self.pairs);
        if let Some(residual) = &mut self.residual {
            residual.narrow(batch, &self.build, &mut pairs, self.context)?;
        }
        if self.roles.probe != Alone::Nothing {
            pairs.probe.iter().for_each(|&row| bitmap::set(&mut self.probe_matched, row as usize));
        }
        if self.roles.build != Alone::Nothing {
            pairs.build.iter().for_each(|&row| bitmap::set(&mut self.build_matched, row as usize));
        }
        if self.roles.pairs && !pairs.probe.is_empty() {
            // Where each row has met one other, in order, the columns need not be gathered.
            let as_they_are = pairs.probe.len() == batch.rows && self.build.is_unique();
            for at in 0..self.outputs.len() {
                match self.outputs[at] {
                    Source::Probe(column) if as_they_are => self.move_column(batch, at, column),
                    source => source.gather(batch, &self.build, &pairs, &mut self.out.columns[at])?,
                }
            }
            self.out.clear();
            self.out.rows = pairs.probe.len();
            self.out.watermarks.take_rows(&batch.watermarks, pairs.probe.iter().map(|&row| row as usize));
            next.push(&mut self.out)?;
        }
        pairs.probe.clear();
        pairs.build.clear();
        self.pairs = pairs;
        Ok(())
    }

    /// Sends what leaves of the probe side alone.
    fn finish_probe(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        let wanted = match self.roles.probe {
            Alone::Nothing => return Ok(()),
            Alone::Mark => return self.send_probe(batch, next),
            Alone::Semi => true,
            Alone::Unmatched | Alone::Anti => false,
        };
        let matched = &self.probe_matched;
        let positions = (0..batch.selected_rows()).filter(|&at| bitmap::get(matched, row_at(batch, at)) == wanted);
        let kept: Vec<u16> = positions.map(|at| at as u16).collect();
        if kept.len() < batch.selected_rows() {
            batch.selection.narrow(&kept);
        }
        self.send_probe(batch, next)
    }

    /// Moves a column of the batch out as it is, unless another output needs it too.
    fn move_column(&mut self, batch: &mut Batch, at: usize, column: usize) {
        let again = self.outputs[at + 1..].iter().any(|other| matches!(other, Source::Probe(c) if *c == column));
        let out = &mut self.out.columns[at];
        match &mut batch.columns[column] {
            own @ Column::Flat(_) if !again => std::mem::swap(out, own),
            shared => out.copy_from(shared),
        }
    }

    /// Puts the one row of the build side beside all rows: its values stand for all of them.
    fn probe_single_row(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        if let Some(residual) = &mut self.residual {
            residual.narrow_rows(batch, &self.build, self.context)?;
        }
        for at in 0..self.outputs.len() {
            match self.outputs[at] {
                Source::Probe(column) => self.move_column(batch, at, column),
                Source::Build(column) => self.out.columns[at] = Column::Constant(self.build.rows.value(column, 0)?),
                Source::Mark => unreachable!("pairs have no mark"),
            }
        }
        self.send_moved(batch, next)
    }

    /// Sends the selected rows of the batch, what is not theirs being NULL.
    fn send_probe(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        for at in 0..self.outputs.len() {
            let out = &mut self.out.columns[at];
            match self.outputs[at] {
                Source::Probe(column) => self.move_column(batch, at, column),
                Source::Build(_) => out.clone_from(&self.nulls[at]),
                Source::Mark => write_bits(&self.probe_matched, batch.rows, out),
            }
        }
        self.send_moved(batch, next)
    }

    /// Sends the columns that were moved from the batch, as far as its rows are selected.
    fn send_moved(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.out.clear();
        self.out.rows = batch.rows;
        std::mem::swap(&mut self.out.selection, &mut batch.selection);
        std::mem::swap(&mut self.out.watermarks, &mut batch.watermarks);
        batch.watermarks.clear();
        next.push(&mut self.out)
    }

    /// Sends what leaves of the build side alone.
    fn finish_build(&mut self, next: &mut Next<'_>) -> Result<()> {
        let wanted = match self.roles.build {
            Alone::Nothing => return Ok(()),
            Alone::Semi => Some(true),
            Alone::Unmatched | Alone::Anti => Some(false),
            Alone::Mark => None,
        };
        let mut rows = Vec::with_capacity(self.batch_rows);
        let count = self.build.rows.len() as u32;
        for row in 0..count {
            if wanted.is_none_or(|wanted| bitmap::get(&self.build_matched, row as usize) == wanted) {
                rows.push(row);
            }
            if rows.len() == self.batch_rows || row + 1 == count {
                self.send_build(&rows, next)?;
                rows.clear();
            }
        }
        Ok(())
    }

    fn send_build(&mut self, rows: &[u32], next: &mut Next<'_>) -> Result<()> {
        for (at, source) in self.outputs.iter().enumerate() {
            let out = &mut self.out.columns[at];
            match *source {
                Source::Probe(_) => out.clone_from(&self.nulls[at]),
                Source::Build(column) => self.build.rows.gather(column, rows, out)?,
                Source::Mark => {
                    let mut words = Vec::new();
                    bitmap::fill(&mut words, rows.len(), false);
                    let matched = rows.iter().enumerate();
                    matched
                        .filter(|(_, row)| bitmap::get(&self.build_matched, **row as usize))
                        .for_each(|(to, _)| bitmap::set(&mut words, to));
                    write_bits(&words, rows.len(), out);
                }
            }
        }
        self.out.clear();
        self.out.rows = rows.len();
        next.push(&mut self.out)
    }

    /// Which rows of the build side have found a match: a bit each, or nothing where none has.
    fn matched(&self) -> Vec<u64> {
        match self.state {
            // Perhaps restored before, and the side has not ended once more.
            State::Building => matched_bits(&self.restored, self.build.rows.len()),
            State::Probing | State::Held => self.build_matched.clone(),
        }
    }

    fn is_build(&self, port: usize) -> bool {
        (port == 0) == (self.build_side == JoinSide::Left)
    }
}

/// A bit for each of `rows` rows, set where it was restored as one that has found a match.
fn matched_bits(restored: &[bool], rows: usize) -> Vec<u64> {
    let mut words = Vec::new();
    bitmap::fill(&mut words, rows, false);
    let matched = restored.iter().enumerate().filter(|(_, matched)| **matched);
    matched.for_each(|(row, _)| bitmap::set(&mut words, row));
    words
}

/// The physical row of the selected row `at`.
#[inline]
fn row_at(batch: &Batch, at: usize) -> usize {
    batch.selection.as_slice().map_or(at, |selected| selected[at] as usize)
}

fn write_bits(words: &[u64], rows: usize, out: &mut Column) {
    let flat: &mut Flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
    flat.rows = rows;
    flat.set_all_valid();
    if let Values::Bool(to) = &mut flat.values {
        to.clear();
        to.extend_from_slice(&words[..bitmap::words(rows)]);
    }
}

impl Operator for HashJoin {
    fn wants(&self, port: usize) -> bool {
        self.state != State::Building || self.is_build(port)
    }

    fn push(&mut self, port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        match self.state {
            State::Building if self.is_build(port) => self.build.push(&mut self.build_keys, batch),
            State::Building => self.waiting.push(batch),
            State::Probing => self.probe(batch, next),
            State::Held => Ok(()),
        }
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        if self.state == State::Building && !self.waiting.is_empty() {
            self.waiting.advance(watermark);
            return Ok(());
        }
        next.watermark(watermark)
    }

    fn end_input(&mut self, port: usize, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if !self.is_build(port) {
            return Ok(());
        }
        for (key, filter) in &self.told {
            filter.add(self.build.key_values(*key)?);
        }
        self.build.seal()?;
        self.state = if ending == Ending::Hold { State::Held } else { State::Probing };
        if self.roles.build != Alone::Nothing {
            self.build_matched = matched_bits(&self.restored, self.build.rows.len());
        }
        self.restored = Vec::new();
        let (batches, watermark) = self.waiting.take()?;
        if self.state == State::Probing {
            batches.into_iter().try_for_each(|mut batch| self.probe(&mut batch, next))?;
        }
        watermark.map_or(Ok(()), |watermark| next.watermark(watermark))
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Flush { self.finish_build(next) } else { Ok(()) }
    }

    fn is_satisfied(&self) -> bool {
        match self.state {
            State::Building => false,
            State::Probing => {
                self.build.is_empty() && self.roles.nothing_without_build() && self.roles.build == Alone::Nothing
            }
            State::Held => true,
        }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let mut sections = self.waiting.sections(&mut self.probe_keys, self.key_count)?;
        if self.place != (TablePlace::Everywhere { first: false }) {
            sections.extend(self.build.sections(&self.matched())?);
        }
        Ok(sections)
    }

    fn route(&self, section: &Section) -> SectionRoute {
        match self.place {
            _ if section.route == SectionRoute::All => SectionRoute::All,
            TablePlace::One => SectionRoute::First,
            TablePlace::Owner => SectionRoute::Key { key_count: self.key_count },
            TablePlace::Everywhere { .. } if section.name == WAITING => SectionRoute::First,
            TablePlace::Everywhere { .. } => SectionRoute::All,
        }
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            match section.name.as_str() {
                ROWS => self.build.restore_rows(&section, &mut self.restored)?,
                KEYS => self.build.restore_keys(&section)?,
                NULL_KEY => self.build.restore_null_key(),
                WAITING => self.waiting.restore_rows(&section, self.key_count)?,
                WATERMARK => self.waiting.restore_watermark(&section)?,
                other => return Err(Error::bug(format!("a join does not take this part of a snapshot: {other}"))),
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let told: usize = self.told.iter().map(|(_, filter)| filter.share_bytes()).sum();
        self.build.size_bytes()
            + self.build_matched.capacity() * 8
            + self.restored.capacity()
            + self.waiting.size_bytes()
            + told
    }

    fn remarks(&self) -> String {
        format!("{}, {} rows", self.build.mode(), self.build.seen)
    }
}
