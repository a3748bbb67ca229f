//! `CASE` whose branches may all be computed: masks decide which row takes which, and columns are blended.
//!
//! Invariants  a row takes the first branch whose condition is true for it, neither false nor null; else the last one; else
//!             it is null. Branches that may fail, or that cost more than a blend, go through `expression::Branches`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;
use millstream_kernels::choose::{self, Choose};
use millstream_kernels::level::Level;
use millstream_kernels::view::ViewChooser;
use millstream_kernels::{bitmap, gather};
use smallvec::SmallVec;

use super::for_kind;
use super::write::{self, Side};
use crate::batch::{Argument, Column, Fixed, Flat, Kind, ROWS_MAX, Values};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// One bit for each row of a batch.
pub type Bits = SmallVec<[u64; ROWS_MAX / 64]>;

/// The kernel of `CASE WHEN a THEN b WHEN c THEN d ... [ELSE e] END` over `a, b, c, d, ... [, e]`; `None` for results of
/// a type that it does not know.
pub fn choice(result_type: &DataType, has_otherwise: bool) -> Option<Arc<dyn ScalarKernel>> {
    can_choose(result_type)
        .then(|| Arc::new(Choice { result_type: result_type.clone(), has_otherwise }) as Arc<dyn ScalarKernel>)
}

/// Whether there is a [`Chooser`] for columns of this type.
pub fn can_choose(data_type: &DataType) -> bool {
    Kind::of(data_type) != Kind::Other
}

#[derive(Debug)]
struct Choice {
    result_type: DataType,
    has_otherwise: bool,
}

impl ScalarKernel for Choice {
    fn name(&self) -> &str {
        "CASE"
    }

    fn result_type(&self) -> DataType {
        self.result_type.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let mut chooser = Chooser::new(context.level, &self.result_type, rows, out);
        let mut open: Bits = SmallVec::from_elem(u64::MAX, bitmap::words(rows));
        bitmap::trim(&mut open, rows);
        let mut taken: Bits = SmallVec::from_elem(0, open.len());
        let (branches, otherwise) = args.split_at(args.len() - usize::from(self.has_otherwise));
        for branch in branches.chunks_exact(2) {
            decide(&branch[0], rows, &mut open, &mut taken)?;
            chooser.take(&taken, &branch[1])?;
        }
        if let [otherwise] = otherwise {
            chooser.take(&open, otherwise)?;
        }
        chooser.finish();
        Ok(())
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        let mut shown = "CASE".to_string();
        for pair in args.chunks(2) {
            shown += &match pair {
                [condition, result] => format!(" WHEN {condition} THEN {result}"),
                rest => format!(" ELSE {}", rest.join("")),
            };
        }
        shown + " END"
    }
}

/// Moves the rows of `open` for which a condition is true into `taken`.
fn decide(condition: &Argument<'_>, rows: usize, open: &mut [u64], taken: &mut [u64]) -> Result<()> {
    let (bits, valid) = (write::bits(condition, rows)?, write::validity(condition, rows));
    for (index, (open, taken)) in open.iter_mut().zip(taken).enumerate() {
        *taken = *open & bits.word(index) & valid.word(index);
        *open &= !*taken;
    }
    Ok(())
}

/// A column being put together from others: fixed-width values, booleans or strings.
///
/// Every row is taken at most once; those that never are become null.
pub struct Chooser<'a> {
    level: Level,
    kind: Kind,
    rows: usize,
    out: &'a mut Column,
    /// Where the result is of strings.
    views: Option<ViewChooser>,
    validity: Bits,
}

impl<'a> Chooser<'a> {
    /// A column of `rows` rows in `out`, whose memory is used again. Panics for types that are not of [`can_choose`].
    pub fn new(level: Level, data_type: &DataType, rows: usize, out: &'a mut Column) -> Self {
        let kind = Kind::of(data_type);
        let views = match kind.values() {
            Some(values) => {
                let flat = out.flat_mut(|known| known.kind() == kind, || values);
                flat.rows = rows;
                resize(&mut flat.values, rows);
                None
            }
            None => Some(ViewChooser::new(*data_type == DataType::Utf8View, rows)),
        };
        assert!(kind != Kind::Other, "a type to choose from");
        Chooser { level, kind, rows, out, views, validity: SmallVec::from_elem(0, bitmap::words(rows)) }
    }

    /// Takes the rows of `mask` from a column that covers the same rows.
    pub fn take(&mut self, mask: &[u64], from: &Argument<'_>) -> Result<()> {
        if bitmap::none_set(mask, self.rows) || from.constant_is_null() {
            return Ok(());
        }
        let valid = write::validity(from, self.rows);
        for (index, (validity, &mask)) in self.validity.iter_mut().zip(mask).enumerate() {
            *validity |= mask & valid.word(index);
        }
        if let Some(views) = &mut self.views {
            let source = source(views, from)?;
            if from.is_constant() {
                views.constant(source, mask)
            } else {
                views.column(source, mask)
            }
            return Ok(());
        }
        type Take = fn(Level, &[u64], &Argument<'_>, &mut Flat) -> Result<()>;
        let take = for_kind!(self.kind, take_fixed as Take: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32,
            U64 u64, F32 f32, F64 f64, I128 i128);
        let flat = flat(self.out)?;
        match take {
            Some(take) => take(self.level, mask, from, flat),
            None => take_bits(mask, from, flat),
        }
    }

    /// Puts the rows of `from` in order at the rows `at`, ascending.
    ///
    /// Shapes: `from` covers as many rows as `at` has.
    pub fn scatter(&mut self, at: &[u16], from: &Argument<'_>) -> Result<()> {
        if from.is_constant() {
            let mut mask: Bits = SmallVec::from_elem(0, bitmap::words(self.rows));
            at.iter().for_each(|&row| bitmap::set(&mut mask, row as usize));
            return self.take(&mask, from);
        }
        for (place, &row) in at.iter().enumerate() {
            if !from.is_null(place) {
                bitmap::set(&mut self.validity, row as usize);
            }
        }
        if let Some(views) = &mut self.views {
            let source = source(views, from)?;
            views.scatter(source, at);
            return Ok(());
        }
        type Scatter = fn(&[u16], &Argument<'_>, &mut Flat) -> Result<()>;
        let scatter = for_kind!(self.kind, scatter_fixed as Scatter: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16,
            U32 u32, U64 u64, F32 f32, F64 f64, I128 i128);
        let flat = flat(self.out)?;
        match scatter {
            Some(scatter) => scatter(at, from, flat),
            None => scatter_bits(at, from, flat),
        }
    }

    /// Ends the column: rows that nobody took, and those taken from nulls, are null.
    pub fn finish(mut self) {
        let all = bitmap::all_set(&self.validity, self.rows);
        if let Some(views) = self.views.take() {
            let nulls = (!all).then(|| {
                let words = Buffer::from_vec(self.validity.to_vec());
                NullBuffer::new(BooleanBuffer::new(words, 0, self.rows))
            });
            *self.out = Column::Array(views.finish(nulls));
        } else if let Column::Flat(flat) = self.out {
            flat.set_validity((!all).then_some(&self.validity[..]));
        }
    }
}

fn flat(column: &mut Column) -> Result<&mut Flat> {
    match column {
        Column::Flat(flat) => Ok(flat),
        _ => Err(Error::bug("a column being chosen is not flat")),
    }
}

fn source(views: &mut ViewChooser, from: &Argument<'_>) -> Result<usize> {
    let array: &ArrayRef = match from.column() {
        Column::Array(array) | Column::Constant(array) => array,
        _ => return Err(Error::bug("strings were chosen from a column of another form")),
    };
    views.source(array).ok_or_else(|| Error::bug("a column was chosen from that is of another type"))
}

fn take_fixed<T: Fixed + Choose>(level: Level, mask: &[u64], from: &Argument<'_>, out: &mut Flat) -> Result<()> {
    let rows = out.rows;
    let out = values::<T>(out)?;
    match write::side::<T>(from, rows)? {
        Side::Column(values) => choose::column(level, mask, values, out),
        Side::Constant(value) => choose::constant(level, mask, value, out),
    }
    Ok(())
}

fn take_bits(mask: &[u64], from: &Argument<'_>, out: &mut Flat) -> Result<()> {
    let bits = write::bits(from, out.rows)?;
    for (index, (out, &mask)) in write::words(out).iter_mut().zip(mask).enumerate() {
        *out = *out & !mask | bits.word(index) & mask;
    }
    Ok(())
}

fn scatter_fixed<T: Fixed>(at: &[u16], from: &Argument<'_>, out: &mut Flat) -> Result<()> {
    gather::scatter(&from.values::<T>()?[..at.len()], at, values::<T>(out)?);
    Ok(())
}

fn scatter_bits(at: &[u16], from: &Argument<'_>, out: &mut Flat) -> Result<()> {
    let (bits, out) = (from.bits()?, write::words(out));
    for (place, &row) in at.iter().enumerate() {
        match bitmap::get(bits, place) {
            true => bitmap::set(out, row as usize),
            false => bitmap::clear(out, row as usize),
        }
    }
    Ok(())
}

fn values<T: Fixed>(flat: &mut Flat) -> Result<&mut Vec<T>> {
    T::of_values_mut(&mut flat.values).ok_or_else(|| Error::bug("a column being chosen is of another type"))
}

/// Makes room for `rows` rows of anything; bits past the last one are zero.
fn resize(values: &mut Values, rows: usize) {
    macro_rules! resized {
        ($($kind:ident),+) => {
            match values {
                Values::Bool(words) => {
                    words.clear();
                    words.resize(bitmap::words(rows), 0);
                }
                $(Values::$kind(values) => values.resize(rows, Default::default()),)+
            }
        };
    }
    resized!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, BooleanArray, new_null_array};
    use arrow::compute::interleave;
    use arrow::datatypes::TimeUnit;

    use super::super::testing::{Loaded, Random, column, evaluate, repeated};
    use super::*;

    /// A column or a constant, as a kernel gets it and as it is meant.
    fn argument(random: &mut Random, data_type: &DataType, rows: usize) -> (Loaded, ArrayRef) {
        let nulls = random.one_in(2);
        match random.below(4) {
            0 => {
                let one = column(random, data_type, 1, nulls, false);
                (Loaded::constant(&one, rows), repeated(&one, rows))
            }
            _ => {
                let array = column(random, data_type, rows + 3, nulls, false).slice(2, rows);
                (Loaded::array(&array), array)
            }
        }
    }

    /// What a row-by-row reading of CASE gives.
    fn truth(conditions: &[ArrayRef], results: &[ArrayRef], rows: usize, data_type: &DataType) -> ArrayRef {
        let nothing = new_null_array(data_type, rows);
        let holds = |condition: &ArrayRef, row: usize| {
            let condition = condition.as_any().downcast_ref::<BooleanArray>().unwrap();
            condition.is_valid(row) && condition.value(row)
        };
        let taken = |row: usize| {
            let first = conditions.iter().position(|condition| holds(condition, row));
            (first.unwrap_or(conditions.len()), row)
        };
        let taken: Vec<_> = (0..rows).map(taken).collect();
        let mut sources: Vec<&dyn Array> = results.iter().map(|array| array.as_ref()).collect();
        sources.push(&nothing);
        interleave(&sources, &taken).unwrap()
    }

    #[test]
    fn each_row_takes_the_first_branch_that_holds() {
        let random = &mut Random(11);
        let types = [
            DataType::Boolean,
            DataType::Int8,
            DataType::Int64,
            DataType::UInt32,
            DataType::Float64,
            DataType::Decimal128(20, 2),
            DataType::Timestamp(TimeUnit::Millisecond, None),
            DataType::Utf8View,
            DataType::BinaryView,
        ];
        for round in 0..300 {
            let data_type = &types[round % types.len()];
            let rows = [0, 1, 63, 64, 65, 200, 1000][random.below(7)];
            let has_otherwise = random.one_in(2);
            let (mut args, mut conditions, mut results) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..1 + random.below(4) {
                let (condition, meant) = argument(random, &DataType::Boolean, rows);
                args.push(condition);
                conditions.push(meant);
                let (result, meant) = argument(random, data_type, rows);
                args.push(result);
                results.push(meant);
            }
            if has_otherwise {
                let (result, meant) = argument(random, data_type, rows);
                args.push(result);
                results.push(meant);
            }
            let kernel = choice(data_type, has_otherwise).unwrap();
            let found = evaluate(kernel.as_ref(), &args, rows).unwrap();
            found.to_data().validate_full().unwrap();
            let wanted = truth(&conditions, &results, rows, data_type);
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "round {round}, {data_type}");
            assert_eq!(found.logical_null_count(), wanted.logical_null_count());
            for row in 0..rows {
                assert_eq!(found.slice(row, 1).to_data(), wanted.slice(row, 1).to_data(), "row {row}, round {round}");
            }
        }
    }
}
