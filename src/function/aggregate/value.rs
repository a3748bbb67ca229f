//! Between columns and slices: arguments as a value per row, results and saved states as columns.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_kernels::cast::{Widen, widen};
use millstream_kernels::level::Level;

use crate::batch::{Argument, Column, Fixed, Flat, Kind, Selection, Values, held_bytes, make_room};
use crate::error::{Error, Result};

/// The values of an argument, one per row: a constant is written out into `memory`.
pub(super) fn values<'a, T: Fixed>(arg: &Argument<'a>, rows: usize, memory: &'a mut Vec<T>) -> Result<&'a [T]> {
    let values = arg.values::<T>()?;
    if !arg.is_constant() {
        return Ok(&values[..rows]);
    }
    memory.clear();
    memory.resize(rows, values[0]);
    Ok(memory)
}

/// A number that narrower ones are widened to before they are added up.
pub(super) trait Wide: Fixed + millstream_kernels::Number {
    /// The values of an argument of this or a narrower type, one per row; `memory` is used if need be.
    fn values<'a>(
        level: Level,
        arg: &Argument<'a>,
        kind: Kind,
        rows: usize,
        memory: &'a mut Vec<Self>,
    ) -> Result<&'a [Self]>;
}

macro_rules! wide {
    ($wide:ty: $($kind:ident $narrow:ty),*) => {
        impl Wide for $wide {
            fn values<'a>(
                level: Level,
                arg: &Argument<'a>,
                kind: Kind,
                rows: usize,
                memory: &'a mut Vec<Self>,
            ) -> Result<&'a [Self]> {
                match kind {
                    $(Kind::$kind => widened::<$narrow, $wide>(level, arg, rows, memory),)*
                    _ => values(arg, rows, memory),
                }
            }
        }
    };
}
wide!(i64: I8 i8, I16 i16, I32 i32);
wide!(u64: U8 u8, U16 u16, U32 u32);
wide!(f64: F32 f32);

fn widened<'a, A: Fixed + Widen<B>, B: Fixed + millstream_kernels::Number>(
    level: Level,
    arg: &Argument<'a>,
    rows: usize,
    memory: &'a mut Vec<B>,
) -> Result<&'a [B]> {
    let values = arg.values::<A>()?;
    memory.clear();
    if arg.is_constant() {
        memory.resize(rows, values[0].widen());
    } else {
        memory.resize(rows, B::default());
        widen(level, &values[..rows], memory);
    }
    Ok(memory)
}

/// Makes `out` a flat column with a result per group, null where there is none.
pub(super) fn write<T: Fixed>(
    groups: &[u32],
    out: &mut Column,
    mut result: impl FnMut(usize) -> Result<Option<T>>,
) -> Result<()> {
    let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
    flat.rows = groups.len();
    let mut validity = std::mem::take(flat.validity_mut(groups.len()));
    let values = T::of_values_mut(&mut flat.values).expect("made of this type above");
    values.resize(groups.len(), T::default());
    let words = groups.chunks(u64::BITS as usize).zip(values.chunks_mut(u64::BITS as usize));
    for (word, (groups, values)) in validity.iter_mut().zip(words) {
        let mut bits = 0;
        for (bit, (&group, value)) in groups.iter().zip(values).enumerate() {
            let result = result(group as usize)?;
            bits |= u64::from(result.is_some()) << bit;
            *value = result.unwrap_or_default();
        }
        *word = bits;
    }
    let complete = bitmap::all_set(&validity, groups.len());
    *flat.validity_mut(0) = validity;
    if complete {
        flat.set_all_valid();
    }
    Ok(())
}

/// Makes `out` a flat column of booleans with a result per group, null where there is none.
pub(super) fn write_booleans(groups: &[u32], out: &mut Column, result: impl Fn(usize) -> Option<bool>) {
    let flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
    flat.rows = groups.len();
    let mut validity = std::mem::take(flat.validity_mut(groups.len()));
    validity.fill(0);
    if let Values::Bool(words) = &mut flat.values {
        bitmap::fill(words, groups.len(), false);
        for (row, &group) in groups.iter().enumerate() {
            let Some(value) = result(group as usize) else { continue };
            bitmap::set(&mut validity, row);
            if value {
                bitmap::set(words, row);
            }
        }
    }
    let complete = bitmap::all_set(&validity, groups.len());
    *flat.validity_mut(0) = validity;
    if complete {
        flat.set_all_valid();
    }
}

/// A saved column of `data_type`: `state` of each group, null where there is none.
pub(super) fn saved<T: Fixed>(
    data_type: &DataType,
    group_count: usize,
    state: impl Fn(usize) -> Option<T>,
) -> Result<ArrayRef> {
    let groups: Vec<u32> = (0..group_count as u32).collect();
    let mut column = Column::default();
    write(&groups, &mut column, |group| Ok(state(group)))?;
    column.to_array(data_type, group_count, &Selection::default())
}

/// The values of a saved column.
pub(super) fn loaded<T: Fixed>(column: &ArrayRef) -> Result<&[T]> {
    T::of_array(column.as_ref()).ok_or_else(|| Error::bug(format!("a saved state is of type {}", column.data_type())))
}

/// A saved column in the form that arguments have: booleans as bits.
pub(super) fn loaded_column(column: &ArrayRef) -> Column {
    let Some(booleans) = column.as_boolean_opt() else { return Column::Array(column.clone()) };
    let mut words = Vec::new();
    let values = booleans.values();
    bitmap::from_bytes(values.values(), values.offset(), values.len(), &mut words);
    let mut flat = Flat::new(Values::Bool(words));
    flat.rows = booleans.len();
    Column::Flat(flat)
}

/// Sets in `seen` the groups whose saved value is not null.
pub(super) fn load_seen(column: &ArrayRef, seen: &mut Vec<u64>) {
    match column.nulls() {
        None => bitmap::fill(seen, column.len(), true),
        Some(nulls) => bitmap::from_bytes(nulls.validity(), nulls.offset(), nulls.len(), seen),
    }
}

/// Grows a bitmap to `bits`, new ones zero. Never shrinks.
pub(super) fn grow_bits(words: &mut Vec<u64>, bits: usize) {
    if words.len() < bitmap::words(bits) {
        words.resize(bitmap::words(bits), 0);
    }
}

/// Grows states to `group_count`, new ones `empty`. Never shrinks.
pub(super) fn grow<S: Clone>(states: &mut Vec<S>, group_count: usize, empty: S) {
    if states.len() < group_count {
        make_room(states, group_count);
        states.resize(group_count, empty);
    }
}

/// Bytes that a vector holds.
pub(super) fn bytes<S>(states: &Vec<S>) -> usize {
    held_bytes(states)
}
