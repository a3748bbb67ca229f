//! Columns from rules: decisions once per column, then a plain loop over its rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, ListArray, StringViewBuilder, StructArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::FieldRef;

use super::column::{Floats, Numbers, Rule, Values};
use super::hash::{Hash, high, low};
use super::rows::{Scratch, flat};
use crate::batch::{self, Column, Kind, Selection};
use crate::error::{Error, Result};

/// The hash fields of a column: its values, its nulls, and its parts from there on.
const FIELDS_PER_COLUMN: u64 = 1 << 20;
const NULLS: u64 = 1;
const PARTS: u64 = 2;

impl Rule {
    /// Makes `rows` of the column numbered `number`, from 1.
    pub fn make(
        &self,
        hash: Hash,
        number: u64,
        rows: Range<u64>,
        scratch: &mut Scratch,
        out: &mut Column,
    ) -> Result<()> {
        self.make_part(hash, number * FIELDS_PER_COLUMN, rows, scratch, out)
    }

    fn make_part(
        &self,
        hash: Hash,
        field: u64,
        rows: Range<u64>,
        scratch: &mut Scratch,
        out: &mut Column,
    ) -> Result<()> {
        let row_count = (rows.end - rows.start) as usize;
        let random = rows.clone().map(|row| hash.bits(row, field));
        match &self.values {
            Values::Numbers(numbers) => {
                self.check_range(numbers, &rows)?;
                make_numbers(numbers, Kind::of(&self.data_type), rows.clone(), hash, field, out);
            }
            Values::Floats(floats) => make_floats(floats, Kind::of(&self.data_type), rows.clone(), hash, field, out),
            Values::Booleans => {
                if let batch::Values::Bool(words) = &mut flat(out, Kind::Bool, row_count).values {
                    *words = bits(row_count, random.map(|bits| bits >> 63 == 1));
                }
            }
            Values::NumberTexts(numbers) => {
                let mut texts = StringViewBuilder::with_capacity(row_count);
                numbers.each(rows.clone(), hash, field, |number| texts.append_value(number.to_string()));
                *out = Column::Array(Arc::new(texts.finish()));
            }
            Values::Letters(length) => *out = Column::Array(letters(random, *length)),
            Values::Bytes(length) => *out = Column::Array(bytes(random, *length)),
            Values::Picks { pool, in_turn } => {
                let count = pool.len() as u64;
                let picks = rows.clone().zip(random);
                let pick = |(row, bits): (u64, u64)| if *in_turn { row % count } else { high(bits, count) } as u32;
                let picks = arrow::array::UInt32Array::from_iter_values(picks.map(pick));
                *out = Column::Array(take(pool, &picks, None)?);
            }
            Values::Structs(fields, rules) => {
                let parts = (field + PARTS..).step_by(PARTS as usize * 64).zip(rules);
                let parts = parts.map(|(part, rule)| rule.part_array(hash, part, rows.clone(), scratch));
                let structs = StructArray::try_new(fields.clone(), parts.collect::<Result<_>>()?, None);
                *out = Column::Array(Arc::new(structs.map_err(misfit)?));
            }
            Values::Lists(item, rule, items) => {
                *out = Column::Array(rule.lists(hash, field + PARTS, rows.clone(), *items, item, scratch)?);
            }
        }
        self.make_nulls(hash, field + NULLS, rows, out)
    }

    /// The values of a part of this column as an array.
    fn part_array(&self, hash: Hash, field: u64, rows: Range<u64>, scratch: &mut Scratch) -> Result<ArrayRef> {
        let row_count = (rows.end - rows.start) as usize;
        let mut part = Column::default();
        self.make_part(hash, field, rows, scratch, &mut part)?;
        part.to_array(&self.data_type, row_count, &Selection::default())
    }

    /// Lists of `items` each: item `i` of row `r` is row `r * items + i` of the item's rule.
    fn lists(
        &self,
        hash: Hash,
        field: u64,
        rows: Range<u64>,
        items: usize,
        item: &FieldRef,
        scratch: &mut Scratch,
    ) -> Result<ArrayRef> {
        let item_rows = rows.start * items as u64..rows.end * items as u64;
        let values = self.part_array(hash, field, item_rows, scratch)?;
        let offsets = OffsetBuffer::from_lengths((rows.start..rows.end).map(|_| items));
        Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, None).map_err(misfit)?))
    }

    /// Refuses rows whose time no longer fits its type.
    fn check_range(&self, numbers: &Numbers, rows: &Range<u64>) -> Result<()> {
        let Numbers::Times { start, ticks, rate } = *numbers else { return Ok(()) };
        let last = start as i128 + rows.end as i128 * ticks as i128 / rate as i128;
        if last > i64::MAX as i128 {
            return Err(Error::user(format!("event time beyond its type: {}; declare a coarser unit", self.data_type)));
        }
        Ok(())
    }

    /// Takes some of the values away.
    fn make_nulls(&self, hash: Hash, field: u64, rows: Range<u64>, out: &mut Column) -> Result<()> {
        if self.nulls == 0 {
            return Ok(());
        }
        let row_count = (rows.end - rows.start) as usize;
        let valid = bits(row_count, rows.map(|row| hash.bits(row, field) >> 11 >= self.nulls));
        match out {
            Column::Flat(flat) => flat.set_validity(Some(&valid)),
            Column::Array(array) => {
                let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(valid), 0, row_count));
                let nulls = NullBuffer::union(array.nulls(), Some(&nulls));
                let data = array.to_data().into_builder().nulls(nulls).build()?;
                *array = arrow::array::make_array(data);
            }
            Column::Constant(_) | Column::Dictionary(_) => {
                return Err(Error::bug("datagen makes flat columns and arrays"));
            }
        }
        Ok(())
    }
}

fn misfit(error: arrow::error::ArrowError) -> Error {
    Error::bug(format!("datagen made parts that do not fit: {error}"))
}

/// A bitmap of these bits.
fn bits(rows: usize, bits: impl Iterator<Item = bool>) -> Vec<u64> {
    let mut words = vec![0u64; rows.div_ceil(64)];
    for (row, bit) in bits.enumerate() {
        words[row / 64] |= (bit as u64) << (row % 64);
    }
    words
}

fn make_numbers(numbers: &Numbers, kind: Kind, rows: Range<u64>, hash: Hash, field: u64, out: &mut Column) {
    /// Fills a vector with the numbers, as its own type.
    macro_rules! fill {
        ($values:expr, $native:ty) => {{
            $values.clear();
            numbers.each(rows, hash, field, |number| $values.push(number as $native));
        }};
    }
    let row_count = (rows.end - rows.start) as usize;
    match &mut flat(out, kind, row_count).values {
        batch::Values::I8(values) => fill!(values, i8),
        batch::Values::I16(values) => fill!(values, i16),
        batch::Values::I32(values) => fill!(values, i32),
        batch::Values::I64(values) => fill!(values, i64),
        batch::Values::U8(values) => fill!(values, u8),
        batch::Values::U16(values) => fill!(values, u16),
        batch::Values::U32(values) => fill!(values, u32),
        batch::Values::U64(values) => fill!(values, u64),
        batch::Values::I128(values) => fill!(values, i128),
        other => unreachable!("whole numbers in {other:?}"),
    }
}

fn make_floats(floats: &Floats, kind: Kind, rows: Range<u64>, hash: Hash, field: u64, out: &mut Column) {
    let row_count = (rows.end - rows.start) as usize;
    match &mut flat(out, kind, row_count).values {
        batch::Values::F32(values) => {
            values.clear();
            values.extend(rows.map(|row| floats.at(row, hash, field) as f32));
        }
        batch::Values::F64(values) => {
            values.clear();
            values.extend(rows.map(|row| floats.at(row, hash, field)));
        }
        other => unreachable!("floats in {other:?}"),
    }
}

impl Numbers {
    /// Calls `take` with the number of each row; unsigned numbers come as their bits.
    fn each(&self, rows: Range<u64>, hash: Hash, field: u64, mut take: impl FnMut(i64)) {
        match *self {
            Numbers::Sequence { start, step, count } => {
                let mut position = rows.start % count;
                for _ in rows {
                    take(start.wrapping_add(step.wrapping_mul(position as i64)));
                    position = if position + 1 == count { 0 } else { position + 1 };
                }
            }
            Numbers::Random { min, span } => rows.for_each(|row| {
                let bits = hash.bits(row, field);
                let above = if span == 0 { bits } else { ((bits as u128 * span as u128) >> 64) as u64 };
                take(min.wrapping_add(above as i64));
            }),
            Numbers::Times { start, ticks, rate } => {
                let passed = rows.start as u128 * ticks as u128;
                let (mut time, mut left) = (start + (passed / rate as u128) as i64, (passed % rate as u128) as u64);
                for _ in rows {
                    take(time);
                    left += ticks % rate;
                    time += (ticks / rate) as i64 + (left / rate) as i64;
                    left %= rate;
                }
            }
        }
    }
}

impl Floats {
    fn at(&self, row: u64, hash: Hash, field: u64) -> f64 {
        match *self {
            Floats::Sequence { start, step, count } => start + step * (row % count) as f64,
            Floats::Random { min, max } => {
                let share = (hash.bits(row, field) >> 11) as f64 / (1u64 << 53) as f64;
                // Two products rather than one difference, which might be infinite.
                min * (1.0 - share) + max * share
            }
        }
    }
}

/// Lower-case letters, `length` for each seed.
fn letters(seeds: impl Iterator<Item = u64>, length: usize) -> ArrayRef {
    let mut texts = StringViewBuilder::new();
    let mut text = String::with_capacity(length);
    for seed in seeds {
        text.clear();
        text.extend((0..length as u64).map(|at| (b'a' + low(Hash::new(0).bits(seed, at), 26) as u8) as char));
        texts.append_value(&text);
    }
    Arc::new(texts.finish())
}

/// Any bytes, `length` for each seed.
fn bytes(seeds: impl Iterator<Item = u64>, length: usize) -> ArrayRef {
    let mut all = BinaryViewBuilder::new();
    let mut one = Vec::with_capacity(length);
    for seed in seeds {
        one.clear();
        one.extend((0..length as u64).map(|at| Hash::new(0).bits(seed, at) as u8));
        all.append_value(&one);
    }
    Arc::new(all.finish())
}
