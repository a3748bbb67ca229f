//! `CASE x WHEN 1 THEN 'a' WHEN 2 THEN 'b' ... END` as a table: where a value stands says what it becomes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_kernels::view::ViewChooser;

use super::keys::{Keys, NOWHERE, keys};
use super::{for_kind, write};
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// The kernel of `CASE x WHEN value THEN result ... ELSE result END`, where the first of equal values counts.
///
/// Shapes: `results` has one row more than `values`, the last for what is none of them, or null.
/// `None`: for types that have none, and where a value is null.
pub fn lookup(values: &ArrayRef, results: &ArrayRef) -> Option<Arc<dyn ScalarKernel>> {
    if values.is_empty() || results.len() != values.len() + 1 || Kind::of(results.data_type()) == Kind::Other {
        return None;
    }
    Some(Arc::new(Lookup { keys: keys(values)?, count: values.len(), results: results.clone() }))
}

#[derive(Debug)]
struct Lookup {
    keys: Box<dyn Keys>,
    count: usize,
    results: ArrayRef,
}

/// Rows looked up at once: their places stay in the cache.
const BLOCK: usize = 512;

impl ScalarKernel for Lookup {
    fn name(&self) -> &str {
        "CASE"
    }

    fn result_type(&self) -> DataType {
        self.results.data_type().clone()
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        if args[0].is_constant() {
            let mut place = [0];
            self.places(&args[0], 0, &mut place)?;
            *out = Column::Constant(self.results.slice(place[0] as usize, 1));
            return Ok(());
        }
        match Kind::of(self.results.data_type()) {
            Kind::View => self.views(&args[0], rows, out),
            Kind::Bool => self.booleans(&args[0], rows, out),
            kind => {
                type Run = fn(&Lookup, &Argument<'_>, usize, &mut Column) -> Result<()>;
                let run = for_kind!(kind, fixed as Run: I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32,
                    U64 u64, F32 f32, F64 f64, I128 i128);
                run.ok_or_else(|| Error::bug("a table of results of an unknown type"))?(self, &args[0], rows, out)
            }
        }
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        format!("CASE {} WHEN one of {} ... END", args.join(", "), self.count)
    }
}

impl Lookup {
    /// The places of rows among the results.
    fn places(&self, arg: &Argument<'_>, first: usize, out: &mut [u32]) -> Result<()> {
        self.keys.find(arg, first, out)?;
        let otherwise = self.count as u32;
        out.iter_mut().for_each(|place| *place = if *place == NOWHERE { otherwise } else { *place });
        if arg.constant_is_null() {
            out.fill(otherwise);
        }
        if let Some(validity) = arg.validity() {
            for (row, place) in out.iter_mut().enumerate() {
                *place = if bitmap::get(validity, first + row) { *place } else { otherwise };
            }
        }
        Ok(())
    }

    /// Calls `each` with the places of rows, block by block.
    fn blocks(&self, arg: &Argument<'_>, rows: usize, mut each: impl FnMut(usize, &[u32])) -> Result<()> {
        let mut places = [0; BLOCK];
        for first in (0..rows).step_by(BLOCK) {
            let places = &mut places[..BLOCK.min(rows - first)];
            self.places(arg, first, places)?;
            each(first, places);
        }
        Ok(())
    }

    fn views(&self, arg: &Argument<'_>, rows: usize, out: &mut Column) -> Result<()> {
        let mut views = ViewChooser::new(*self.results.data_type() == DataType::Utf8View, rows);
        let source = views.source(&self.results).ok_or_else(|| Error::bug("results are strings"))?;
        let mut validity = vec![0; if self.results.null_count() > 0 { bitmap::words(rows) } else { 0 }];
        self.blocks(arg, rows, |first, places| {
            views.take(source, places, first);
            self.validity(first, places, &mut validity);
        })?;
        let nulls = (!validity.is_empty())
            .then(|| NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(validity), 0, rows)))
            .filter(|nulls| nulls.null_count() > 0);
        *out = Column::Array(views.finish(nulls));
        Ok(())
    }

    fn booleans(&self, arg: &Argument<'_>, rows: usize, out: &mut Column) -> Result<()> {
        let results = self.results.as_boolean();
        let flat = write::boolean_column(rows, out);
        let mut validity = std::mem::take(flat.validity_mut(rows));
        validity.fill(0);
        let words = write::words(flat);
        words.fill(0);
        self.blocks(arg, rows, |first, places| {
            for (row, &place) in places.iter().enumerate() {
                if results.value(place as usize) {
                    bitmap::set(words, first + row);
                }
            }
            self.validity(first, places, &mut validity);
        })?;
        self.finish(validity, flat);
        Ok(())
    }

    /// Sets the bits of rows that are not null, where some result is.
    fn validity(&self, first: usize, places: &[u32], validity: &mut [u64]) {
        if self.results.null_count() == 0 {
            return;
        }
        for (row, &place) in places.iter().enumerate() {
            if self.results.is_valid(place as usize) {
                bitmap::set(validity, first + row);
            }
        }
    }

    fn finish(&self, validity: Vec<u64>, flat: &mut crate::batch::Flat) {
        *flat.validity_mut(0) = validity;
        if self.results.null_count() == 0 {
            flat.set_all_valid();
        }
    }
}

fn fixed<T: Fixed>(lookup: &Lookup, arg: &Argument<'_>, rows: usize, out: &mut Column) -> Result<()> {
    let results = T::of_array(lookup.results.as_ref()).ok_or_else(|| Error::bug("results of another type"))?;
    let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
    flat.rows = rows;
    let mut validity = std::mem::take(flat.validity_mut(rows));
    validity.fill(0);
    let values = T::of_values_mut(&mut flat.values).ok_or_else(|| Error::bug("made of this type above"))?;
    values.clear();
    lookup.blocks(arg, rows, |first, places| {
        values.extend(places.iter().map(|&place| results[place as usize]));
        lookup.validity(first, places, &mut validity);
    })?;
    lookup.finish(validity, flat);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::array::{Int64Array, StringViewArray, UInt32Array};
    use arrow::compute::{cast, take};

    use super::super::testing::{Loaded, Random, column, evaluate, repeated};
    use super::*;

    /// Every row against a map from text to place: the first of equal values counts.
    fn check(random: &mut Random, rows: &ArrayRef, values: &ArrayRef, result_type: &DataType) {
        let results = column(random, result_type, values.len() + 1, random.0.is_multiple_of(2), false);
        let text = |array: &ArrayRef, row: usize| format!("{:?}", array.slice(row, 1));
        let mut places = HashMap::new();
        (0..values.len()).for_each(|place| {
            places.entry(text(values, place)).or_insert(place as u32);
        });
        let place = |array: &ArrayRef, row: usize| {
            let known = places.get(&text(array, row)).copied();
            known.filter(|_| array.is_valid(row)).unwrap_or(values.len() as u32)
        };
        let kernel = lookup(values, &results).unwrap();
        let found = evaluate(kernel.as_ref(), &[Loaded::array(rows)], rows.len()).unwrap();
        found.to_data().validate_full().unwrap();
        let wanted: UInt32Array = (0..rows.len()).map(|row| Some(place(rows, row))).collect();
        let wanted = take(&results, &wanted, None).unwrap();
        for row in 0..rows.len() {
            assert_eq!(text(&found, row), text(&wanted, row), "row {row} of {rows:?} in {values:?}");
        }
        if rows.is_empty() {
            return;
        }
        let found = evaluate(kernel.as_ref(), &[Loaded::constant(rows, 9)], 9).unwrap();
        let wanted = repeated(&results.slice(place(rows, 0) as usize, 1), 9);
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
    }

    #[test]
    fn each_value_becomes_what_stands_beside_it() {
        let random = &mut Random(5);
        let result_types =
            [DataType::Int32, DataType::Boolean, DataType::Utf8View, DataType::Float64, DataType::Decimal128(9, 1)];
        let key_types = [DataType::Int8, DataType::UInt16, DataType::Int64, DataType::UInt64, DataType::Date32];
        for round in 0..200 {
            let result_type = &result_types[random.below(5)];
            let length = [0, 1, 63, 600, 1025][random.below(5)];
            let count = 1 + random.below(40);
            let far = random.one_in(2);
            let number = |random: &mut Random| match far {
                true => random.next() as i64 >> random.below(60),
                false => random.below(100) as i64,
            };
            let rows: Int64Array = (0..length).map(|_| Some(number(random)).filter(|_| !random.one_in(9))).collect();
            let mut values: Vec<i64> = (0..count).map(|_| number(random)).collect();
            // Some of the rows, so that there is something to find.
            values.extend(rows.iter().flatten().take(20));
            let key_type = &key_types[round % key_types.len()];
            let rows = cast(&rows, key_type).unwrap();
            let values = cast(&Int64Array::from(values), key_type).unwrap();
            let values = arrow::compute::filter(&values, &arrow::compute::is_not_null(&values).unwrap()).unwrap();
            if !values.is_empty() {
                check(random, &rows, &values, result_type);
            }
            let rows = column(random, &DataType::Utf8View, length, true, false);
            let values: ArrayRef = Arc::new(StringViewArray::from_iter_values(
                column(random, &DataType::Utf8View, count, false, false).as_string_view().iter().flatten(),
            ));
            check(random, &rows, &values, result_type);
        }
    }

    #[test]
    fn the_ends_of_64_bits_are_close_to_their_neighbours_only() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX - 3, i64::MAX]));
        let results: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let rows: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, -1, i64::MAX, i64::MAX - 3, i64::MAX - 2, 0]));
        let kernel = lookup(&values, &results).unwrap();
        let found = evaluate(kernel.as_ref(), &[Loaded::array(&rows)], 6).unwrap();
        assert_eq!(found.as_primitive::<arrow::datatypes::Int64Type>().values()[..], [3, 3, 2, 1, 3, 3]);
    }
}
