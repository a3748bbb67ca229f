//! What closures may return: how each Rust type becomes a column, a chunk of rows at a time.
//!
//! Invariants  a sink takes the memory of the column it replaces, so that after warm-up nothing is allocated for values
//!             of fixed width; a row that is not put is some value of the type, and is null.

use std::fmt::{self, Display};
use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use millstream_kernels::bitmap;
use millstream_kernels::view::ViewBuilder;

use super::argument::CHUNK;
use super::types::*;
use crate::batch::{Column, Fixed, Flat, Values};

/// A value of a result.
pub trait Value: Sized + 'static {
    /// The column on its way.
    type Sink;
    /// Where the values of a chunk go.
    type Chunk<'a>;

    fn data_type() -> DataType;
    /// Starts a column of `rows` rows in the memory of `out`.
    fn begin(out: &mut Column, rows: usize) -> Self::Sink;
    /// The rows `start..start + rows` to be written.
    fn chunk(sink: &mut Self::Sink, start: usize, rows: usize) -> Self::Chunk<'_>;
    fn put(chunk: &mut Self::Chunk<'_>, row: usize, value: Self);
    /// Gives a row the value that an earlier one of the column has.
    fn copy(sink: &mut Self::Sink, from: usize, to: usize);
    /// The rows of the last chunk are all there.
    fn end_chunk(_sink: &mut Self::Sink, _start: usize, _rows: usize) {}
    /// Makes the column. `validity` covers the rows, `None`: no row is null.
    fn finish(sink: Self::Sink, rows: usize, validity: Option<&[u64]>, out: &mut Column);
}

macro_rules! fixed {
    ([$($generics:tt)*] $type:ty: $native:ty, $data_type:expr, $unwrap:expr) => {
        impl<$($generics)*> Value for $type {
            type Sink = Vec<$native>;
            type Chunk<'a> = &'a mut [$native];

            fn data_type() -> DataType {
                $data_type
            }
            fn begin(out: &mut Column, rows: usize) -> Self::Sink {
                begin_fixed(out, rows)
            }
            #[inline(always)]
            fn chunk(sink: &mut Self::Sink, start: usize, rows: usize) -> Self::Chunk<'_> {
                &mut sink[start..start + rows]
            }
            #[inline(always)]
            fn put(chunk: &mut Self::Chunk<'_>, row: usize, value: Self) {
                #[allow(clippy::redundant_closure_call, reason = "types that wrap nothing are given as they are")]
                { chunk[row] = ($unwrap)(value); }
            }
            #[inline(always)]
            fn copy(sink: &mut Self::Sink, from: usize, to: usize) {
                sink[to] = sink[from];
            }
            fn finish(sink: Self::Sink, rows: usize, _: Option<&[u64]>, out: &mut Column) {
                finish_flat(<$native>::into_values(sink), rows, out);
            }
        }
    };
}

fn begin_fixed<T: Fixed>(out: &mut Column, rows: usize) -> Vec<T> {
    let flat = out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
    let mut values = std::mem::take(T::of_values_mut(&mut flat.values).expect("made of this type above"));
    values.resize(rows, T::default());
    values
}

/// The validity of a flat column is set by who calls: its words are the column's own.
fn finish_flat(values: Values, rows: usize, out: &mut Column) {
    match out {
        Column::Flat(flat) => flat.values = values,
        _ => *out = Column::Flat(Flat::new(values)),
    }
    if let Column::Flat(flat) = out {
        flat.rows = rows;
    }
}

fixed!([] i8: i8, DataType::Int8, |v| v);
fixed!([] i16: i16, DataType::Int16, |v| v);
fixed!([] i32: i32, DataType::Int32, |v| v);
fixed!([] i64: i64, DataType::Int64, |v| v);
fixed!([] u8: u8, DataType::UInt8, |v| v);
fixed!([] u16: u16, DataType::UInt16, |v| v);
fixed!([] u32: u32, DataType::UInt32, |v| v);
fixed!([] u64: u64, DataType::UInt64, |v| v);
fixed!([] f32: f32, DataType::Float32, |v| v);
fixed!([] f64: f64, DataType::Float64, |v| v);
fixed!([] Timestamp: i64, DataType::Timestamp(TimeUnit::Microsecond, None), |v: Self| v.0);
fixed!([] TimestampNanos: i64, DataType::Timestamp(TimeUnit::Nanosecond, None), |v: Self| v.0);
fixed!([] TimestampMillis: i64, DataType::Timestamp(TimeUnit::Millisecond, None), |v: Self| v.0);
fixed!([] TimestampSeconds: i64, DataType::Timestamp(TimeUnit::Second, None), |v: Self| v.0);
fixed!([] Date: i32, DataType::Date32, |v: Self| v.0);
fixed!([] Time: i64, DataType::Time64(TimeUnit::Nanosecond), |v: Self| v.0);
fixed!([const P: u8, const S: i8] Decimal<P, S>: i128, DataType::Decimal128(P, S), |v: Self| v.0);

/// Booleans of a column on their way: a chunk as bytes, the rest as bits.
pub struct Bits {
    words: Vec<u64>,
    chunk: [bool; CHUNK],
}

impl Value for bool {
    type Sink = Bits;
    type Chunk<'a> = &'a mut [bool];

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn begin(out: &mut Column, rows: usize) -> Bits {
        let flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
        let mut words = match &mut flat.values {
            Values::Bool(words) => std::mem::take(words),
            _ => Vec::new(),
        };
        words.resize(bitmap::words(rows), 0);
        Bits { words, chunk: [false; CHUNK] }
    }

    #[inline(always)]
    fn chunk(sink: &mut Bits, _: usize, rows: usize) -> &mut [bool] {
        &mut sink.chunk[..rows]
    }

    #[inline(always)]
    fn put(chunk: &mut Self::Chunk<'_>, row: usize, value: bool) {
        chunk[row] = value;
    }

    #[inline(always)]
    fn copy(sink: &mut Bits, from: usize, to: usize) {
        // The earlier row is in this chunk, or packed already.
        let value = if from / CHUNK == to / CHUNK { sink.chunk[from % CHUNK] } else { bitmap::get(&sink.words, from) };
        sink.chunk[to % CHUNK] = value;
    }

    #[inline(always)]
    fn end_chunk(sink: &mut Bits, start: usize, rows: usize) {
        pack(&sink.chunk[..rows], &mut sink.words[start / 64..]);
    }

    fn finish(sink: Bits, rows: usize, _: Option<&[u64]>, out: &mut Column) {
        finish_flat(Values::Bool(sink.words), rows, out);
    }
}

/// Writes booleans as bits, zeros behind them.
#[inline(always)]
pub(super) fn pack(bits: &[bool], words: &mut [u64]) {
    for (bits, word) in bits.chunks(64).zip(words) {
        *word = bits.iter().enumerate().fold(0, |word, (bit, &set)| word | u64::from(set) << bit);
    }
}

/// A text to be written into the result's column, for closures that take it as their last argument.
///
/// What a call has written is its result; nothing is allocated per row. It is a [`fmt::Write`]: `write!(out, ..)` works.
#[derive(Debug, Default)]
pub struct StringWriter {
    text: String,
}

impl StringWriter {
    pub fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub fn push(&mut self, character: char) {
        self.text.push(character);
    }

    /// What this call has written so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Forgets what this call has written.
    pub fn clear(&mut self) {
        self.text.clear();
    }
}

impl fmt::Write for StringWriter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.push_str(text);
        Ok(())
    }
}

/// A column of strings or bytes on its way.
pub struct Texts {
    builder: ViewBuilder,
    pub(super) writer: StringWriter,
    start: usize,
    /// Which rows repeat an earlier one.
    copies: Vec<(u32, u32)>,
}

impl Texts {
    fn begin(mut builder: ViewBuilder, out: &mut Column, rows: usize) -> Texts {
        if let Column::Array(array) = out {
            builder.recycle(array);
        }
        builder.begin_text(None, rows);
        Texts { builder, writer: StringWriter::default(), start: 0, copies: Vec::new() }
    }

    fn put(&mut self, row: usize, text: &str) {
        let fits = self.builder.set_copy(self.start + row, text);
        assert!(fits, "the strings of a batch exceed four gigabytes");
    }

    /// Ends a row with what its call has written.
    pub(super) fn put_written(&mut self, row: usize) {
        let text = std::mem::take(&mut self.writer.text);
        self.put(row, &text);
        self.writer.text = text;
        self.writer.text.clear();
    }

    fn finish(mut self, rows: usize, validity: Option<&[u64]>, out: &mut Column) {
        for &(from, to) in &self.copies {
            self.builder.copy_view(from as usize, to as usize);
        }
        *out = Column::Array(self.builder.finish(rows, nulls(rows, validity)));
    }
}

fn nulls(rows: usize, validity: Option<&[u64]>) -> Option<NullBuffer> {
    let words = validity?;
    let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(words.to_vec()), 0, rows));
    (nulls.null_count() > 0).then_some(nulls)
}

macro_rules! text {
    ($type:ty, $data_type:expr, $builder:expr, |$sink:ident, $row:ident, $value:ident| $put:expr) => {
        impl Value for $type {
            type Sink = Texts;
            type Chunk<'a> = &'a mut Texts;

            fn data_type() -> DataType {
                $data_type
            }
            fn begin(out: &mut Column, rows: usize) -> Texts {
                Texts::begin($builder, out, rows)
            }
            fn chunk(sink: &mut Texts, start: usize, _: usize) -> &mut Texts {
                sink.start = start;
                sink
            }
            fn put($sink: &mut Self::Chunk<'_>, $row: usize, $value: Self) {
                $put
            }
            fn copy(sink: &mut Texts, from: usize, to: usize) {
                sink.copies.push((from as u32, to as u32));
            }
            fn finish(sink: Texts, rows: usize, validity: Option<&[u64]>, out: &mut Column) {
                sink.finish(rows, validity, out);
            }
        }
    };
}
text!(String, DataType::Utf8View, ViewBuilder::text(), |sink, row, value| sink.put(row, &value));
text!(&'static str, DataType::Utf8View, ViewBuilder::text(), |sink, row, value| sink.put(row, value));
text!(Vec<u8>, DataType::BinaryView, ViewBuilder::bytes(), |sink, row, value| {
    let fits = sink.builder.set_copy_bytes(sink.start + row, &value);
    assert!(fits, "the strings of a batch exceed four gigabytes");
});

/// What a closure has written into its [`StringWriter`].
pub struct Written;
text!(Written, DataType::Utf8View, ViewBuilder::text(), |sink, row, _value| sink.put_written(row));

impl Value for Interval {
    type Sink = Vec<IntervalMonthDayNano>;
    type Chunk<'a> = &'a mut [IntervalMonthDayNano];

    fn data_type() -> DataType {
        DataType::Interval(IntervalUnit::MonthDayNano)
    }

    fn begin(_: &mut Column, rows: usize) -> Self::Sink {
        vec![IntervalMonthDayNano::default(); rows]
    }

    fn chunk(sink: &mut Self::Sink, start: usize, rows: usize) -> Self::Chunk<'_> {
        &mut sink[start..start + rows]
    }

    fn put(chunk: &mut Self::Chunk<'_>, row: usize, Interval { months, days, nanoseconds }: Interval) {
        chunk[row] = IntervalMonthDayNano { months, days, nanoseconds };
    }

    fn copy(sink: &mut Self::Sink, from: usize, to: usize) {
        sink[to] = sink[from];
    }

    fn finish(sink: Self::Sink, rows: usize, validity: Option<&[u64]>, out: &mut Column) {
        let array = PrimitiveArray::<IntervalMonthDayNanoType>::new(sink.into(), nulls(rows, validity));
        *out = Column::Array(Arc::new(array) as ArrayRef);
    }
}

/// What a closure may return: a value, perhaps none (NULL), perhaps an error.
pub trait Return {
    type Value: Value;
    /// Whether it can be an error.
    const CAN_FAIL: bool;
    /// Whether it can be none.
    const CAN_BE_NULL: bool;

    fn resolve(self) -> Result<Option<Self::Value>, String>;

    /// The same by calling one of three, so that a loop over what cannot fail holds no text that would have to be dropped;
    /// whether it is an error.
    fn settle(self, put: impl FnOnce(Self::Value), missing: impl FnOnce(), failed: impl FnOnce(String)) -> bool;
}

impl<T: Value> Return for T {
    type Value = T;
    const CAN_FAIL: bool = false;
    const CAN_BE_NULL: bool = false;

    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        Ok(Some(self))
    }

    #[inline(always)]
    fn settle(self, put: impl FnOnce(T), _: impl FnOnce(), _: impl FnOnce(String)) -> bool {
        put(self);
        false
    }
}

impl<T: Value> Return for Option<T> {
    type Value = T;
    const CAN_FAIL: bool = false;
    const CAN_BE_NULL: bool = true;

    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        Ok(self)
    }

    #[inline(always)]
    fn settle(self, put: impl FnOnce(T), missing: impl FnOnce(), _: impl FnOnce(String)) -> bool {
        match self {
            Some(value) => put(value),
            None => missing(),
        }
        false
    }
}

impl<T: Value, E: Display> Return for Result<T, E> {
    type Value = T;
    const CAN_FAIL: bool = true;
    const CAN_BE_NULL: bool = false;

    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        self.map(Some).map_err(|error| error.to_string())
    }

    #[inline(always)]
    fn settle(self, put: impl FnOnce(T), _: impl FnOnce(), failed: impl FnOnce(String)) -> bool {
        match self {
            Ok(value) => {
                put(value);
                false
            }
            Err(error) => {
                failed(error.to_string());
                true
            }
        }
    }
}

impl<T: Value, E: Display> Return for Result<Option<T>, E> {
    type Value = T;
    const CAN_FAIL: bool = true;
    const CAN_BE_NULL: bool = true;

    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        self.map_err(|error| error.to_string())
    }

    #[inline(always)]
    fn settle(self, put: impl FnOnce(T), missing: impl FnOnce(), failed: impl FnOnce(String)) -> bool {
        match self {
            Ok(value) => value.settle(put, missing, |_| ()),
            Err(error) => {
                failed(error.to_string());
                true
            }
        }
    }
}

/// What a closure that writes its text may return: nothing, `None` for NULL, or an error.
pub trait Done {
    type Return: Return<Value = Written>;

    fn done(self) -> Self::Return;
}

impl Done for () {
    type Return = Written;

    #[inline(always)]
    fn done(self) -> Written {
        Written
    }
}

impl Done for Option<()> {
    type Return = Option<Written>;

    #[inline(always)]
    fn done(self) -> Option<Written> {
        self.map(|()| Written)
    }
}

impl<E: Display> Done for Result<(), E> {
    type Return = Result<Written, E>;

    #[inline(always)]
    fn done(self) -> Result<Written, E> {
        self.map(|()| Written)
    }
}

impl<E: Display> Done for Result<Option<()>, E> {
    type Return = Result<Option<Written>, E>;

    #[inline(always)]
    fn done(self) -> Result<Option<Written>, E> {
        self.map(|done| done.map(|()| Written))
    }
}
