//! One side of a join that keeps both: its rows by key, and what becomes of those without a match.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use smallvec::SmallVec;

use super::roles::Alone;
use super::writer::Held;
use crate::batch::{Argument, Batch};
use crate::error::Result;
use crate::expression::{Evaluator, Operand, Program};
use crate::function::KernelContext;
use crate::pipeline::{JoinSide, JoinSpec, SymmetricSpec, time_unit};
use crate::state::{Multimap, MultimapShape, TimeRange, hash_keys};

/// A side and its rows.
pub(super) struct Side {
    /// Makes keys, then the columns that are kept.
    pub(super) evaluator: Evaluator,
    pub(super) key_count: usize,
    /// Which output of the program each column of the map is.
    pub(super) kept: Vec<usize>,
    /// For each column of the input, which column of the map it is.
    pub(super) places: Vec<Option<usize>>,
    pub(super) map: Multimap,
    pub(super) alone: Alone,
    /// Whether rows still to come on the other side can match those kept here.
    pub(super) keeps: bool,
    /// How many columns of the map are the key, for snapshots: their places.
    pub(super) key_places: Vec<usize>,
    /// The output of the program that is the time.
    pub(super) time: Option<usize>,
    pub(super) checks_lateness: bool,
    /// How long its rows are kept after they came, in microseconds.
    pub(super) ttl: Option<i64>,
    seed: u64,
}

/// Positions of the rows of a batch: first those that are taken back, then those that are given.
#[derive(Default)]
pub(super) struct Given {
    /// Rows that may have a match.
    pub(super) meeting: [Vec<u16>; 2],
    /// Rows that cannot: a key or the time is NULL.
    pub(super) lone: [Vec<u16>; 2],
    pub(super) late_rows: u64,
}

impl Side {
    /// A side whose rows are found by their keys, with the columns that are read, and what leaves without a match.
    pub(super) fn new(
        spec: &JoinSpec,
        symmetric: &SymmetricSpec,
        side: JoinSide,
        schema: &SchemaRef,
        (needed, alone): (Vec<usize>, Alone),
        seed: u64,
        context: KernelContext,
    ) -> Result<Self> {
        let time = symmetric.time.as_ref().map(|bound| bound.column(side));
        let keys = spec.keys(side).outputs.iter().filter_map(plain);
        let wanted: Vec<usize> = needed.into_iter().chain(time).chain(keys).collect();
        let mut kept = Kept::new(spec.keys(side), schema, wanted);
        let key_places = kept.keys();
        let shape = MultimapShape {
            types: Vec::new(),
            keys: key_places.clone(),
            time: time.and_then(|column| kept.places[column]),
            counted: alone != Alone::Nothing,
            removable: symmetric.updating(side),
        };
        let mut side_of = kept.into_side(shape, seed, context)?;
        side_of.time = time.and_then(|column| side_of.places[column]).map(|place| side_of.kept[place]);
        side_of.alone = alone;
        side_of.key_places = key_places;
        side_of.checks_lateness = symmetric.time.as_ref().is_some_and(|bound| bound.checks_lateness(side));
        side_of.ttl = symmetric.ttl(side);
        side_of.keeps = !(symmetric.lookup && side == JoinSide::Left);
        Ok(side_of)
    }

    /// A side whose rows are found by their numbers; where they wait, they expire by the column `order`.
    pub(super) fn of_rows(
        spec: &JoinSpec,
        side: JoinSide,
        schema: &SchemaRef,
        needed: Vec<usize>,
        order: usize,
        seed: u64,
        context: KernelContext,
    ) -> Result<Self> {
        let kept = Kept::new(spec.keys(side), schema, needed);
        let place = kept.places[order];
        let waits = side == JoinSide::Left && time_unit(schema.field(order).data_type()).is_some();
        let shape = MultimapShape {
            types: Vec::new(),
            keys: Vec::new(),
            time: place.filter(|_| waits),
            counted: false,
            removable: false,
        };
        let mut side_of = kept.into_side(shape, seed, context)?;
        side_of.time = place.map(|place| side_of.kept[place]);
        Ok(side_of)
    }

    /// Its rows, by the columns of its input.
    pub(super) fn held(&self) -> Held<'_> {
        Held { map: &self.map, places: &self.places }
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// The types of the keys.
    pub(super) fn key_types(&self) -> &[DataType] {
        &self.evaluator.program().output_types[..self.key_count]
    }

    /// Hashes the keys of the rows that the program ran over last.
    pub(super) fn hash(
        &self,
        arguments: &[Argument<'_>],
        context: KernelContext,
        scratch: &mut Vec<u64>,
        out: &mut Vec<u64>,
    ) -> Result<()> {
        let keys = &arguments[..self.key_count];
        hash_keys(context.level, self.seed, keys, self.key_types(), self.evaluator.rows(), scratch, out)
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self, context: KernelContext) -> Result<()> {
        self.map = Multimap::new(self.map.shape().clone(), self.seed, context.level)?;
        Ok(())
    }
}

/// The program of a side in the making: its keys, then the columns that are kept.
struct Kept {
    program: Program,
    key_count: usize,
    kept: Vec<usize>,
    places: Vec<Option<usize>>,
}

impl Kept {
    fn new(keys: &Program, schema: &SchemaRef, wanted: Vec<usize>) -> Self {
        let mut made = Kept {
            program: keys.clone(),
            key_count: keys.outputs.len(),
            kept: Vec::new(),
            places: vec![None; schema.fields().len()],
        };
        for column in wanted {
            if made.places[column].is_none() {
                made.places[column] = Some(made.kept.len());
                made.kept.push(made.program.outputs.len());
                made.program.outputs.push(Operand::Input(column));
                made.program.output_types.push(schema.field(column).data_type().clone());
            }
        }
        made
    }

    /// Where the keys are kept: computed ones in a column of their own.
    fn keys(&mut self) -> Vec<usize> {
        let keys = self.program.outputs[..self.key_count].to_vec();
        let place = |(key, operand): (usize, &Operand)| {
            plain(operand).and_then(|column| self.places[column]).unwrap_or_else(|| {
                self.kept.push(key);
                self.kept.len() - 1
            })
        };
        keys.iter().enumerate().map(place).collect()
    }

    fn into_side(self, shape: MultimapShape, seed: u64, context: KernelContext) -> Result<Side> {
        let types = self.kept.iter().map(|&output| self.program.output_types[output].clone()).collect();
        Ok(Side {
            evaluator: Evaluator::new(Arc::new(self.program), context),
            key_count: self.key_count,
            kept: self.kept,
            places: self.places,
            map: Multimap::new(MultimapShape { types, ..shape }, seed, context.level)?,
            alone: Alone::Nothing,
            keeps: true,
            key_places: Vec::new(),
            time: None,
            checks_lateness: false,
            ttl: None,
            seed,
        })
    }
}

/// The column that an operand is, when it is nothing else.
fn plain(operand: &Operand) -> Option<usize> {
    match operand {
        Operand::Input(column) => Some(*column),
        _ => None,
    }
}

/// All outputs of a program that ran over `batch`.
pub(super) fn arguments<'a>(evaluator: &'a Evaluator, batch: &'a Batch) -> SmallVec<[Argument<'a>; 8]> {
    (0..evaluator.program().outputs.len()).map(|output| evaluator.output(batch, output)).collect()
}

impl Given {
    /// Sorts the rows of a batch: which came too late, which can have a match at all, which are taken back.
    pub(super) fn sort(
        &mut self,
        side: &Side,
        batch: &Batch,
        arguments: &[Argument<'_>],
        weights: Option<&[i8]>,
        nulls_match: bool,
    ) -> Result<()> {
        for list in self.meeting.iter_mut().chain(&mut self.lone) {
            list.clear();
        }
        self.late_rows = 0;
        let keys = &arguments[..side.key_count];
        let time = side.time.map(|output| &arguments[output]);
        let ticks = time.map(|time| time.values::<i64>()).transpose()?;
        let marks = if side.checks_lateness { batch.selected_watermarks() } else { None };
        for row in 0..side.evaluator.rows() {
            let weight = weights.map_or(1, |weights| weights[row]);
            if weight == 0 {
                continue;
            }
            let has_time = time.is_none_or(|time| !time.is_null(row));
            if let (Some(marks), Some(time), Some(ticks), true) = (&marks, time, ticks, has_time)
                && ticks[if time.is_constant() { 0 } else { row }] < marks[row]
            {
                self.late_rows += 1;
                continue;
            }
            let meets = has_time && (nulls_match || keys.iter().all(|key| !key.is_null(row)));
            let lists = if meets { &mut self.meeting } else { &mut self.lone };
            lists[usize::from(weight > 0)].push(row as u16);
        }
        Ok(())
    }
}

/// The times that matches of each row may have.
#[derive(Default)]
pub(super) struct Ranges {
    low: Vec<i64>,
    high: Vec<i64>,
}

impl Ranges {
    /// Computes them for rows of `side`.
    pub(super) fn fill(
        &mut self,
        time: &Argument<'_>,
        side: JoinSide,
        lower: Option<i64>,
        upper: Option<i64>,
    ) -> Result<()> {
        let ticks = time.values::<i64>()?;
        // Of the right side's time: left + [lower, upper]; of the left side's: right - [lower, upper].
        let (from, to) = match side {
            JoinSide::Left => (lower, upper),
            JoinSide::Right => (upper.map(|upper| upper.saturating_neg()), lower.map(|lower| lower.saturating_neg())),
        };
        let rows = time.rows();
        let fill = |out: &mut Vec<i64>, shift: Option<i64>, open: i64| {
            out.clear();
            match shift {
                None => out.resize(rows, open),
                Some(shift) if time.is_constant() => out.resize(rows, ticks[0].saturating_add(shift)),
                Some(shift) => out.extend(ticks.iter().map(|tick| tick.saturating_add(shift))),
            }
        };
        fill(&mut self.low, from, i64::MIN);
        fill(&mut self.high, to, i64::MAX);
        Ok(())
    }

    pub(super) fn range(&self) -> TimeRange<'_> {
        TimeRange { low: &self.low, high: &self.high }
    }
}
