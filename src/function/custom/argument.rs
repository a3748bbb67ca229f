//! What closures may take: how each Rust type is read out of a column, a chunk of rows at a time.
//!
//! Invariants  a chunk covers the rows it was asked for, a constant one as many values of it, so that one loop serves all;
//!             what is read under nulls is some value of the type.

use arrow::array::{Array, AsArray, BinaryViewArray, PrimitiveArray, StringViewArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use millstream_kernels::bitmap;

use super::types::*;
use crate::batch::{Argument, Column, Fixed};
use crate::error::{Error, Result};

/// Rows that a loop takes at once: few enough that what is read and written stays in the nearest cache. A multiple of 64.
pub const CHUNK: usize = 256;

/// A type that closures may take.
pub trait Arg {
    /// What the closure is given, borrowed from the column for strings and bytes.
    type Item<'a>;
    /// The column.
    type Source<'a>: Copy;
    /// Where a chunk is written out that the column does not hold as it is.
    type Memory;
    /// The values of a chunk.
    type Chunk<'a>: Copy;
    /// Whether a null is given to the closure; else a null argument makes a null result.
    const TAKES_NULLS: bool = false;
    /// Whether it is a float or a boolean: then what stands under nulls may be calculated with like any other.
    const IS_HARMLESS: bool = false;
    /// Whether equal values in a chunk are worth looking for: strings and bytes.
    const IS_TEXT: bool = false;

    /// The column type that values are cast to before.
    fn data_type() -> DataType;
    fn memory() -> Self::Memory;
    /// Looks at an argument of a call.
    fn open<'a>(arg: &Argument<'a>) -> Result<Self::Source<'a>>;
    /// The values of `rows` rows from `start` on.
    fn chunk<'s: 'm, 'm>(
        source: Self::Source<'s>,
        start: usize,
        rows: usize,
        memory: &'m mut Self::Memory,
    ) -> Self::Chunk<'m>;
    /// The value of a row of the chunk.
    fn get<'c>(chunk: Self::Chunk<'c>, row: usize) -> Self::Item<'c>;
    /// Rows of the chunk as a chunk of their own.
    fn part<'c>(chunk: Self::Chunk<'c>, first: usize, rows: usize) -> Self::Chunk<'c>;
    /// The value of a row of the chunk as a view, for types that are text; of long ones with a part of their bytes for
    /// the place where they lie. Equal texts have equal views.
    fn view(_chunk: Self::Chunk<'_>, _row: usize) -> u128 {
        0
    }
    /// Whether two rows of the column are equal, for types that are text.
    fn same(_source: Self::Source<'_>, _row: usize, _other: usize) -> bool {
        false
    }
}

/// A value per row, or one for all of them.
#[derive(Clone, Copy)]
pub enum Side<'a, T> {
    Column(&'a [T]),
    Constant(T),
}

/// Values of fixed width: a slice of machine values.
macro_rules! fixed {
    ([$($generics:tt)*] $type:ty: $native:ty, $data_type:expr, $harmless:literal, $wrap:expr) => {
        impl<$($generics)*> Arg for $type {
            type Item<'a> = $type;
            type Source<'a> = Side<'a, $native>;
            type Memory = [$native; CHUNK];
            type Chunk<'a> = &'a [$native];
            const IS_HARMLESS: bool = $harmless;

            fn data_type() -> DataType {
                $data_type
            }
            #[inline(always)]
            fn memory() -> Self::Memory {
                [<$native>::default(); CHUNK]
            }
            fn open<'a>(arg: &Argument<'a>) -> Result<Self::Source<'a>> {
                side(arg)
            }
            #[inline(always)]
            fn chunk<'s: 'm, 'm>(
                source: Self::Source<'s>,
                start: usize,
                rows: usize,
                memory: &'m mut Self::Memory,
            ) -> Self::Chunk<'m> {
                slice(source, start, rows, memory)
            }
            #[inline(always)]
            fn get<'c>(chunk: Self::Chunk<'c>, row: usize) -> Self::Item<'c> {
                #[allow(clippy::redundant_closure_call, reason = "types that wrap nothing are given as they are")]
                ($wrap)(chunk[row])
            }
            #[inline(always)]
            fn part<'c>(chunk: Self::Chunk<'c>, first: usize, rows: usize) -> Self::Chunk<'c> {
                &chunk[first..first + rows]
            }
        }
    };
}

fn side<'a, T: Fixed>(arg: &Argument<'a>) -> Result<Side<'a, T>> {
    let values = arg.values::<T>()?;
    Ok(if arg.is_constant() { Side::Constant(values[0]) } else { Side::Column(values) })
}

#[inline(always)]
fn slice<'m, T: Copy>(source: Side<'m, T>, start: usize, rows: usize, memory: &'m mut [T; CHUNK]) -> &'m [T] {
    match source {
        Side::Column(values) => &values[start..start + rows],
        Side::Constant(value) => {
            memory.fill(value);
            &memory[..rows]
        }
    }
}

fixed!([] i8: i8, DataType::Int8, false, |v| v);
fixed!([] i16: i16, DataType::Int16, false, |v| v);
fixed!([] i32: i32, DataType::Int32, false, |v| v);
fixed!([] i64: i64, DataType::Int64, false, |v| v);
fixed!([] u8: u8, DataType::UInt8, false, |v| v);
fixed!([] u16: u16, DataType::UInt16, false, |v| v);
fixed!([] u32: u32, DataType::UInt32, false, |v| v);
fixed!([] u64: u64, DataType::UInt64, false, |v| v);
fixed!([] f32: f32, DataType::Float32, true, |v| v);
fixed!([] f64: f64, DataType::Float64, true, |v| v);
fixed!([] Timestamp: i64, DataType::Timestamp(TimeUnit::Microsecond, None), false, Timestamp);
fixed!([] TimestampNanos: i64, DataType::Timestamp(TimeUnit::Nanosecond, None), false, TimestampNanos);
fixed!([] TimestampMillis: i64, DataType::Timestamp(TimeUnit::Millisecond, None), false, TimestampMillis);
fixed!([] TimestampSeconds: i64, DataType::Timestamp(TimeUnit::Second, None), false, TimestampSeconds);
fixed!([] Date: i32, DataType::Date32, false, Date);
fixed!([] Time: i64, DataType::Time64(TimeUnit::Nanosecond), false, Time);
fixed!([const P: u8, const S: i8] Decimal<P, S>: i128, DataType::Decimal128(P, S), false, Decimal);

impl Arg for bool {
    type Item<'a> = bool;
    type Source<'a> = Side<'a, u64>;
    type Memory = [bool; CHUNK];
    type Chunk<'a> = &'a [bool];
    const IS_HARMLESS: bool = true;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    #[inline(always)]
    fn memory() -> Self::Memory {
        [false; CHUNK]
    }

    fn open<'a>(arg: &Argument<'a>) -> Result<Self::Source<'a>> {
        if arg.is_constant() {
            return Ok(Side::Constant(if arg.constant_bool() == Some(true) { u64::MAX } else { 0 }));
        }
        Ok(Side::Column(arg.bits()?))
    }

    #[inline(always)]
    fn chunk<'s: 'm, 'm>(
        source: Self::Source<'s>,
        start: usize,
        rows: usize,
        memory: &'m mut Self::Memory,
    ) -> Self::Chunk<'m> {
        unpack(source, start, &mut memory[..rows]);
        &memory[..rows]
    }

    #[inline(always)]
    fn get<'c>(chunk: Self::Chunk<'c>, row: usize) -> Self::Item<'c> {
        chunk[row]
    }

    #[inline(always)]
    fn part<'c>(chunk: Self::Chunk<'c>, first: usize, rows: usize) -> Self::Chunk<'c> {
        &chunk[first..first + rows]
    }
}

/// Writes bits from bit `start` on, a multiple of 64, as booleans.
#[inline(always)]
fn unpack(source: Side<'_, u64>, start: usize, out: &mut [bool]) {
    for (index, bits) in out.chunks_mut(64).enumerate() {
        let word = match source {
            Side::Column(words) => words[start / 64 + index],
            Side::Constant(word) => word,
        };
        bits.iter_mut().enumerate().for_each(|(bit, out)| *out = word >> bit & 1 == 1);
    }
}

/// An array of a chunk on, and how far apart its values are: 0 for a constant.
macro_rules! borrowed {
    ([$($generics:tt)*] $type:ty, $item:ty, $array:ty, $data_type:expr, $cast:ident) => {
        impl<$($generics)*> Arg for $type {
            type Item<'a> = $item;
            type Source<'a> = (&'a $array, usize);
            type Memory = ();
            type Chunk<'a> = (&'a $array, usize, usize);
            const IS_TEXT: bool = true;

            fn data_type() -> DataType {
                $data_type
            }
            #[inline(always)]
            fn memory() -> Self::Memory {}
            fn open<'a>(arg: &Argument<'a>) -> Result<Self::Source<'a>> {
                let (array, stride) = array(arg)?;
                let found = array.$cast().ok_or_else(|| wrong(array))?;
                Ok((found, stride))
            }
            #[inline(always)]
            fn chunk<'s: 'm, 'm>(
                (array, stride): Self::Source<'s>,
                start: usize,
                _: usize,
                _: &'m mut Self::Memory,
            ) -> Self::Chunk<'m> {
                (array, start * stride, stride)
            }
            #[inline(always)]
            fn get<'c>((array, start, stride): Self::Chunk<'c>, row: usize) -> Self::Item<'c> {
                array.value(start + row * stride)
            }
            #[inline(always)]
            fn part<'c>((array, start, stride): Self::Chunk<'c>, first: usize, _: usize) -> Self::Chunk<'c> {
                (array, start + first * stride, stride)
            }
            #[inline(always)]
            fn view((array, start, stride): Self::Chunk<'_>, row: usize) -> u128 {
                let row = start + row * stride;
                fingerprint(array.views()[row], array.value(row).as_ref())
            }
            #[inline(always)]
            fn same((array, stride): Self::Source<'_>, row: usize, other: usize) -> bool {
                array.value(row * stride) == array.value(other * stride)
            }
        }
    };
}
borrowed!(['x] &'x str, &'a str, StringViewArray, DataType::Utf8View, as_string_view_opt);
borrowed!(['x] &'x [u8], &'a [u8], BinaryViewArray, DataType::BinaryView, as_binary_view_opt);

/// A view that tells most texts apart: of a long one, the place where it lies is replaced by what it ends with.
#[inline(always)]
fn fingerprint(view: u128, bytes: &[u8]) -> u128 {
    match bytes.last_chunk::<8>() {
        Some(end) if bytes.len() > 12 => u128::from(view as u64) | u128::from(u64::from_le_bytes(*end)) << 64,
        _ => view,
    }
}

fn array<'a>(arg: &Argument<'a>) -> Result<(&'a dyn Array, usize)> {
    match arg.column() {
        Column::Array(array) => Ok((array.as_ref(), 1)),
        Column::Constant(array) => Ok((array.as_ref(), 0)),
        Column::Flat(_) | Column::Dictionary(_) => {
            Err(Error::bug("a closure of an Arrow type met a column in another form"))
        }
    }
}

fn wrong(array: &dyn Array) -> Error {
    Error::bug(format!("a closure met a column of another type: {}", array.data_type()))
}

impl Arg for Interval {
    type Item<'a> = Interval;
    type Source<'a> = (&'a [IntervalMonthDayNano], usize);
    type Memory = ();
    type Chunk<'a> = (&'a [IntervalMonthDayNano], usize, usize);

    fn data_type() -> DataType {
        DataType::Interval(IntervalUnit::MonthDayNano)
    }

    fn memory() -> Self::Memory {}

    fn open<'a>(arg: &Argument<'a>) -> Result<Self::Source<'a>> {
        let (array, stride) = array(arg)?;
        let found = array.as_any().downcast_ref::<PrimitiveArray<IntervalMonthDayNanoType>>();
        Ok((&found.ok_or_else(|| wrong(array))?.values()[..], stride))
    }

    fn chunk<'s: 'm, 'm>((values, stride): Self::Source<'s>, start: usize, _: usize, _: &'m mut ()) -> Self::Chunk<'m> {
        (values, start * stride, stride)
    }

    fn get<'c>((values, start, stride): Self::Chunk<'c>, row: usize) -> Self::Item<'c> {
        let value = values[start + row * stride];
        Interval { months: value.months, days: value.days, nanoseconds: value.nanoseconds }
    }

    fn part<'c>((values, start, stride): Self::Chunk<'c>, first: usize, _: usize) -> Self::Chunk<'c> {
        (values, start + first * stride, stride)
    }
}

/// What a closure takes that wants to see nulls.
impl<T: Arg> Arg for Option<T> {
    type Item<'a> = Option<T::Item<'a>>;
    type Source<'a> = (T::Source<'a>, Side<'a, u64>);
    type Memory = (T::Memory, [bool; CHUNK]);
    type Chunk<'a> = (T::Chunk<'a>, &'a [bool]);
    const TAKES_NULLS: bool = true;
    const IS_HARMLESS: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }

    #[inline(always)]
    fn memory() -> Self::Memory {
        (T::memory(), [false; CHUNK])
    }

    fn open<'a>(arg: &Argument<'a>) -> Result<Self::Source<'a>> {
        let validity = match arg.validity() {
            _ if arg.constant_is_null() => Side::Constant(0),
            Some(words) if !arg.is_constant() => Side::Column(words),
            _ => Side::Constant(u64::MAX),
        };
        Ok((T::open(arg)?, validity))
    }

    #[inline(always)]
    fn chunk<'s: 'm, 'm>(
        (source, validity): Self::Source<'s>,
        start: usize,
        rows: usize,
        (memory, valid): &'m mut Self::Memory,
    ) -> Self::Chunk<'m> {
        unpack(validity, start, &mut valid[..rows]);
        (T::chunk(source, start, rows, memory), &valid[..rows])
    }

    #[inline(always)]
    fn get<'c>((chunk, valid): Self::Chunk<'c>, row: usize) -> Self::Item<'c> {
        valid[row].then(|| T::get(chunk, row))
    }

    #[inline(always)]
    fn part<'c>((chunk, valid): Self::Chunk<'c>, first: usize, rows: usize) -> Self::Chunk<'c> {
        (T::part(chunk, first, rows), &valid[first..first + rows])
    }
}

/// Whether row `row` of a bitmap is set; all rows when there is none.
#[inline(always)]
pub(super) fn is_set(words: Option<&[u64]>, row: usize) -> bool {
    words.is_none_or(|words| bitmap::get(words, row))
}
