//! The best rows of each key, where the key and the ORDER BY key say all of a row: then a row is a number, and none is kept.
//!
//! ```text
//! batch ─▶ numbers of the ORDER BY key ─▶ into the key's list
//! end   ─▶ keys from the table of keys, ORDER BY keys from their numbers
//! ```
//! Invariants  a number is a null's or a value's, never both; every float is the canonical one of those equal to it. A batch
//!             that would break this is not taken in: see [`Told::holds`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use super::lists::Lists;
use super::{RankShape, key_of_groups};
use crate::batch::{Batch, Column, ROWS_MAX, Selection, first_keys_of, null_number, of_first_keys, tells_values};
use crate::error::Result;
use crate::expression::Operand;
use crate::pipeline::{Completion, RankFunction};
use crate::state::GroupIndex;
use crate::stream::operator::Next;

pub(super) struct Told {
    shape: Arc<RankShape>,
    /// What the rows' own columns are.
    own: Vec<Source>,
    lists: Lists<u64>,
    /// Whether a null has been seen, and whether a value with the number of nulls.
    has_nulls: bool,
    has_values: bool,
    /// The numbers of a batch.
    numbers: Vec<u64>,
}

/// Where a column comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Key(usize),
    Order,
}

/// Rows, with what each is.
#[derive(Default)]
pub(super) struct ToldRows {
    pub groups: Vec<u32>,
    numbers: Vec<u64>,
    ranks: Vec<u64>,
}

impl Told {
    /// `None`: rows have more to them than their key and their ORDER BY key.
    pub fn new(shape: &Arc<RankShape>) -> Option<Self> {
        let spec = &shape.spec;
        let (key_count, own) = (spec.key_count, shape.own());
        let is_ranked = spec.function == RankFunction::RowNumber && !spec.takes_back;
        let [order] = &shape.types[key_count..own] else { return None };
        if !is_ranked || spec.completion == Completion::Changes || !tells_values(order) {
            return None;
        }
        let source = |column: usize| match spec.program.outputs[key_count] == Operand::Input(column) {
            true => Some(Source::Order),
            false => shape.key_of(column).map(Source::Key),
        };
        Some(Told {
            own: (0..shape.types.len() - own).map(source).collect::<Option<_>>()?,
            lists: Lists::new(spec.last == 1),
            has_nulls: false,
            has_values: false,
            numbers: Vec::new(),
            shape: shape.clone(),
        })
    }

    /// As [`Best::bound`](super::best::Best::bound).
    pub fn bound(&self, group: u32) -> u64 {
        self.lists.bound(group)
    }

    /// Whether rows of this batch can be told from their numbers too. They are to be [added](Self::add) then.
    pub fn holds(&mut self, wide: &[ArrayRef]) -> Result<bool> {
        let (order, options) = (&wide[self.shape.spec.key_count], self.shape.spec.order[0]);
        self.numbers.clear();
        if !is_canonical(order) || !first_keys_of(order, options, &mut self.numbers)? {
            return Ok(false);
        }
        let null = null_number(options);
        let (all, nulls) = (self.numbers.iter().filter(|number| **number == null).count(), order.null_count());
        let (has_nulls, has_values) = (self.has_nulls || nulls > 0, self.has_values || all > nulls);
        if has_nulls && has_values {
            return Ok(false);
        }
        (self.has_nulls, self.has_values) = (has_nulls, has_values);
        Ok(true)
    }

    /// Adds the rows that [`holds`](Self::holds) was asked about, of `group_count` groups in all.
    pub fn add(&mut self, groups: &[u32], group_count: usize) {
        self.lists.grow(group_count);
        self.lists.add(groups, &self.numbers, self.shape.spec.last as usize);
    }

    /// Pushes everything on that is shown: the rows' columns, then the rank.
    pub fn emit(
        &self,
        index: &GroupIndex,
        rank: impl Fn(&[u64]) -> Result<ArrayRef>,
        next: &mut Next<'_>,
    ) -> Result<()> {
        let types = &self.shape.types[self.shape.own()..];
        self.pieces(self.shape.batch_rows.clamp(1, ROWS_MAX), self.shape.spec.first, |rows| {
            let columns = self.own.iter().zip(types).map(|(source, of)| self.column(*source, of, rows, index));
            let mut columns = columns.collect::<Result<Vec<_>>>()?;
            columns.push(rank(&rows.ranks)?);
            next.push(&mut Batch::from_arrays(columns, rows.groups.len()))
        })
    }

    /// Tells all rows that are kept, as many at a time.
    pub fn each(&self, rows_max: usize, tell: impl FnMut(&ToldRows) -> Result<()>) -> Result<()> {
        self.pieces(rows_max, 1, tell)
    }

    /// Tells the rows from rank `first` on, as many at a time.
    fn pieces(&self, rows_max: usize, first: u64, mut tell: impl FnMut(&ToldRows) -> Result<()>) -> Result<()> {
        let mut rows = ToldRows::default();
        for group in 0..self.lists.key_count() as u32 {
            for (rank, number) in (1..).zip(self.lists.get(group)).skip(first as usize - 1) {
                rows.groups.push(group);
                rows.numbers.push(*number);
                rows.ranks.push(rank);
                if rows.groups.len() == rows_max {
                    tell(&rows)?;
                    rows.groups.clear();
                    rows.numbers.clear();
                    rows.ranks.clear();
                }
            }
        }
        if rows.groups.is_empty() { Ok(()) } else { tell(&rows) }
    }

    fn column(&self, source: Source, of: &DataType, rows: &ToldRows, index: &GroupIndex) -> Result<ArrayRef> {
        match source {
            Source::Key(key) => key_of_groups(index, key, &rows.groups),
            Source::Order => {
                let mut column = Column::default();
                of_first_keys(of, self.shape.spec.order[0], &rows.numbers, self.has_nulls, &mut column);
                column.to_array(of, rows.groups.len(), &Selection::default())
            }
        }
    }

    /// The wide columns of rows.
    pub fn wide(&self, rows: &ToldRows, index: &GroupIndex) -> Result<Vec<ArrayRef>> {
        let keys = (0..self.shape.spec.key_count).map(Source::Key);
        let sources = keys.chain([Source::Order]).chain(self.own.iter().copied());
        sources.zip(&self.shape.types).map(|(source, of)| self.column(source, of, rows, index)).collect()
    }

    pub fn size_bytes(&self) -> usize {
        self.lists.size_bytes()
    }
}

/// Whether no float equals another of other bits.
fn is_canonical(array: &ArrayRef) -> bool {
    macro_rules! all_canonical {
        ($type:ty, $float:ty) => {{
            let (zero, nan) = ((-0.0 as $float).to_bits(), <$float>::NAN.to_bits());
            let strange = |value: &$float| value.to_bits() == zero || (value.is_nan() && value.to_bits() != nan);
            !array.as_primitive::<$type>().values().iter().any(strange)
        }};
    }
    match array.data_type() {
        DataType::Float32 => all_canonical!(Float32Type, f32),
        DataType::Float64 => all_canonical!(Float64Type, f64),
        _ => true,
    }
}
