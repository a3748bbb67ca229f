//! Lists with a value put in, and the commonest of a list: `array_insert`, `array_mode`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options, interleave, take};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use arrow::row::{RowConverter, SortField};

use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// A list of this type with a value of another put in at a place; `None`: no list, or no number for the place.
pub fn array_insert(list: &DataType, place: &DataType, value: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let DataType::List(item) = list else { return None };
    let is_place = place.is_integer() || *place == DataType::Null;
    let kernel = ArrayInsert { item: item.clone(), types: [list.clone(), place.clone(), value.clone()] };
    is_place.then(|| Arc::new(kernel) as Arc<dyn ScalarKernel>)
}

#[derive(Debug)]
struct ArrayInsert {
    item: FieldRef,
    types: [DataType; 3],
}

/// Values put in at most: a place far behind the end is filled with NULL up to there.
const LENGTH_MAX: i64 = 1 << 24;

impl ScalarKernel for ArrayInsert {
    fn name(&self) -> &str {
        "array_insert"
    }

    fn result_type(&self) -> DataType {
        DataType::List(self.item.clone())
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let array = |at: usize| args[at].to_array(&self.types[at]);
        let (lists, places, values) = (array(0)?, cast(&array(1)?, &DataType::Int64)?, array(2)?);
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let values = cast_with_options(&values, self.item.data_type(), &options)?;
        let (lists, places) = (lists.as_list::<i32>(), places.as_primitive::<Int64Type>());
        let nothing: ArrayRef = new_null_array(self.item.data_type(), 1);
        // From the lists' values, the value put in, or NULL.
        let mut picks: Vec<(usize, usize)> = Vec::new();
        let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for row in 0..rows {
            let at = |array: &dyn Array| if array.len() == 1 { 0 } else { row };
            let (list, place, value) = (at(lists), at(places), at(&values));
            let is_there = !lists.is_null(list) && !places.is_null(place);
            valid.push(is_there);
            let before = picks.len();
            if is_there {
                let from = lists.value_offsets()[list] as usize;
                let held = from..lists.value_offsets()[list + 1] as usize;
                insert(held, places.value(place), (1, value), &mut picks)?;
            }
            lengths.push(picks.len() - before);
        }
        let all = interleave(&[lists.values().as_ref(), values.as_ref(), nothing.as_ref()], &picks)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let made = ListArray::try_new(self.item.clone(), offsets, all, Some(NullBuffer::from(valid)))?;
        *out = Column::Array(Arc::new(made));
        Ok(())
    }
}

/// The value that a list of this type has most often; `None`: no list.
pub fn array_mode(list: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let DataType::List(item) = list else { return None };
    let can_compare = RowConverter::supports_fields(&[SortField::new(item.data_type().clone())]);
    can_compare.then(|| Arc::new(ArrayMode { item: item.clone() }) as Arc<dyn ScalarKernel>)
}

#[derive(Debug)]
struct ArrayMode {
    item: FieldRef,
}

impl ScalarKernel for ArrayMode {
    fn name(&self) -> &str {
        "array_mode"
    }

    fn result_type(&self) -> DataType {
        self.item.data_type().clone()
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let lists = args[0].to_array(&DataType::List(self.item.clone()))?;
        let lists = lists.as_list::<i32>();
        let values = lists.values();
        let written = RowConverter::new(vec![SortField::new(self.item.data_type().clone())])?
            .convert_columns(std::slice::from_ref(values))?;
        let mut counts: HashMap<&[u8], (usize, usize)> = HashMap::new();
        let picks = (0..rows).map(|row| {
            let list = if lists.len() == 1 { 0 } else { row };
            if lists.is_null(list) {
                return None;
            }
            counts.clear();
            let held = lists.value_offsets()[list] as usize..lists.value_offsets()[list + 1] as usize;
            for at in held.filter(|&at| !values.is_null(at)) {
                counts.entry(written.row(at).data()).or_insert((0, at)).0 += 1;
            }
            let first_of_most = |&(count, at): &(usize, usize)| (count, std::cmp::Reverse(at));
            counts.values().copied().max_by_key(first_of_most).map(|(_, at)| at as u32)
        });
        *out = Column::Array(take(values, &picks.collect::<UInt32Array>(), None)?);
        Ok(())
    }
}

/// The values of a list with one more: at a place from 1 on, or from the end, -1 being behind the last one.
fn insert(
    held: std::ops::Range<usize>,
    place: i64,
    value: (usize, usize),
    picks: &mut Vec<(usize, usize)>,
) -> Result<()> {
    let length = held.len() as i64;
    if place == 0 {
        return Err(Error::user("places in a list are counted from 1, or from the end by -1"));
    }
    if place.saturating_abs() > LENGTH_MAX {
        return Err(Error::user(format!("a list cannot have so many values: {place}")));
    }
    let start = picks.len();
    picks.extend(held.map(|at| (0, at)));
    const NOTHING: (usize, usize) = (2, 0);
    match place {
        1.. if place > length => {
            picks.resize(start + place as usize - 1, NOTHING);
            picks.push(value);
        }
        1.. => picks.insert(start + place as usize - 1, value),
        _ if -place > length + 1 => {
            let missing = (-place - length - 1) as usize;
            let front = std::iter::once(value).chain(std::iter::repeat_n(NOTHING, missing));
            picks.splice(start..start, front);
        }
        _ => picks.insert(start + (length + 1 + place) as usize, value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_from_both_ends() {
        let placed = |length: usize, place: i64| {
            let mut picks = Vec::new();
            insert(0..length, place, (1, 0), &mut picks).map(|()| picks.iter().map(|pick| pick.0).collect::<Vec<_>>())
        };
        assert_eq!(placed(3, 3).expect("a place"), [0, 0, 1, 0]);
        assert_eq!(placed(3, 1).expect("a place"), [1, 0, 0, 0]);
        assert_eq!(placed(3, 4).expect("a place"), [0, 0, 0, 1]);
        assert_eq!(placed(1, 4).expect("a place"), [0, 2, 2, 1]);
        assert_eq!(placed(3, -1).expect("a place"), [0, 0, 0, 1]);
        assert_eq!(placed(3, -3).expect("a place"), [0, 1, 0, 0]);
        assert_eq!(placed(4, -6).expect("a place"), [1, 2, 0, 0, 0, 0]);
        assert!(placed(1, 0).is_err() && placed(1, i64::MAX).is_err());
    }
}
