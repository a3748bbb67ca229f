//! A column of rows that are kept: values of any type, appended as they come or put at places, read and compared one by one.
//!
//! ```text
//! fixed width   a vector of machine values      strings   views into bytes of the column's own
//! the rest      Arrow's row format, as such bytes
//! ```
//! Invariants  values under nulls mean nothing; validity is kept from the first null on.

mod place; // values at places: put, given up, compared

pub(super) use place::Place;

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use millstream_kernels::bitmap;
use millstream_kernels::view::{ViewCopier, ViewHeap, ViewSource};

use crate::batch::{Argument, Column, Kind, Values, held_bytes, held_of};
use crate::error::{Error, Result};

/// What is known of a column before it has rows.
#[derive(Debug)]
pub(super) struct ColumnType {
    pub(super) data_type: DataType,
    kind: Kind,
    /// For types without a machine form.
    converter: Option<RowConverter>,
}

impl ColumnType {
    pub(super) fn new(data_type: DataType) -> Result<Self> {
        Self::ordered(data_type, SortOptions::default())
    }

    /// A column whose values, where they are kept in the row format, compare in this order.
    pub(super) fn ordered(data_type: DataType, options: SortOptions) -> Result<Self> {
        let kind = Kind::of(&data_type);
        let field = || SortField::new_with_options(data_type.clone(), options);
        let converter = (kind == Kind::Other).then(|| RowConverter::new(vec![field()])).transpose()?;
        Ok(ColumnType { data_type, kind, converter })
    }

    /// Whether values are kept in the row format.
    pub(super) fn is_written(&self) -> bool {
        self.converter.is_some()
    }

    /// An argument, ready to be read row by row.
    pub(super) fn incoming<'a>(&self, argument: &Argument<'a>) -> Result<Incoming<'a>> {
        macro_rules! incoming {
            ($($kind:ident),+) => {
                match self.kind {
                    Kind::Bool => match argument.is_constant() {
                        true => Slices::Constant(argument.constant_bool().unwrap_or(false)),
                        false => Slices::Bits(argument.bits()?),
                    },
                    $(Kind::$kind => Slices::$kind(argument.values()?),)+
                    Kind::View => Slices::View(source(argument)?),
                    Kind::Other => {
                        let converter = self.converter.as_ref().expect("made with the type");
                        let array = match argument.column() {
                            Column::Constant(value) => value.clone(),
                            _ => argument.to_array(&self.data_type)?,
                        };
                        let written = converter.convert_columns(&[array])?.try_into_binary()?;
                        Slices::Written(Arc::new(BinaryViewArray::from(&written)))
                    }
                }
            };
        }
        let slices = incoming!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
        Ok(Incoming { slices, argument: *argument, stride: usize::from(!argument.is_constant()) })
    }

    /// An empty column of this type.
    pub(super) fn empty(&self) -> Stored {
        let data = match self.kind {
            Kind::View => Data::Views(ViewHeap::new(self.data_type == DataType::Utf8View)),
            Kind::Other => Data::Views(ViewHeap::new(false)),
            kind => Data::Fixed(kind.values().expect("views and the rest are named above")),
        };
        Stored { data, validity: Vec::new(), nullable: false, rows: 0 }
    }
}

/// The values of a column of strings or bytes.
fn source<'a>(argument: &Argument<'a>) -> Result<ViewSource<'a>> {
    let found = match argument.column() {
        Column::Array(array) | Column::Constant(array) => ViewSource::of(array),
        Column::Flat(_) | Column::Dictionary(_) => None,
    };
    found.ok_or_else(|| Error::bug("a column of strings came in another form"))
}

/// A column of a batch, ready to be stored or compared with what is.
pub(super) struct Incoming<'a> {
    slices: Slices<'a>,
    argument: Argument<'a>,
    /// 0 for a constant.
    stride: usize,
}

enum Slices<'a> {
    Constant(bool),
    Bits(&'a [u64]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    I128(&'a [i128]),
    View(ViewSource<'a>),
    /// In the row format.
    Written(ArrayRef),
}

impl Incoming<'_> {
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.argument.is_null(row)
    }

    pub(super) fn may_be_null(&self) -> bool {
        self.argument.validity().is_some() || self.argument.constant_is_null()
    }

    /// Its strings, or its values in the row format.
    fn views(&self) -> ViewSource<'_> {
        match &self.slices {
            Slices::View(source) => *source,
            Slices::Written(array) => ViewSource::of(array).expect("made of views of bytes"),
            _ => unreachable!("an incoming column has the type of the stored one"),
        }
    }
}

/// Values of one column of one block.
#[derive(Debug)]
pub(super) struct Stored {
    data: Data,
    validity: Vec<u64>,
    nullable: bool,
    rows: usize,
}

#[derive(Debug)]
enum Data {
    Fixed(Values),
    /// Strings, or values in the row format.
    Views(ViewHeap),
}

/// Equality of keys and rows: every NaN is one, and so are 0.0 and -0.0.
trait Same: Copy {
    fn same(self, other: Self) -> bool;
}

macro_rules! same {
    ($($t:ty: $a:ident, $b:ident, $same:expr;)+) => {
        $(impl Same for $t {
            #[inline(always)]
            fn same(self, other: Self) -> bool {
                let ($a, $b) = (self, other);
                $same
            }
        })+
    };
}
same!(
    i8: a, b, a == b;
    i16: a, b, a == b;
    i32: a, b, a == b;
    i64: a, b, a == b;
    u8: a, b, a == b;
    u16: a, b, a == b;
    u32: a, b, a == b;
    u64: a, b, a == b;
    i128: a, b, a == b;
    f32: a, b, a == b || (a.is_nan() && b.is_nan());
    f64: a, b, a == b || (a.is_nan() && b.is_nan());
);

impl Stored {
    /// Adds the values at `rows` of a column of a batch.
    pub(super) fn append(&mut self, incoming: &Incoming<'_>, rows: &[u16]) {
        self.append_validity(incoming, rows);
        let stride = incoming.stride;
        macro_rules! append {
            ($($kind:ident),+) => {
                match (&mut self.data, &incoming.slices) {
                    $((Data::Fixed(Values::$kind(to)), Slices::$kind(from)) => {
                        to.extend(rows.iter().map(|&row| from[row as usize * stride]));
                    })+
                    (Data::Fixed(Values::Bool(words)), Slices::Constant(value)) => {
                        append_bits(words, self.rows, rows, |_| *value);
                    }
                    (Data::Fixed(Values::Bool(words)), Slices::Bits(bits)) => {
                        append_bits(words, self.rows, rows, |row| bitmap::get(bits, row as usize));
                    }
                    (Data::Views(heap), _) => {
                        let first = heap.len();
                        heap.grow(first + rows.len());
                        let places = first..first + rows.len();
                        heap.put(&incoming.views(), rows.iter().map(|&row| row as usize * stride).zip(places));
                    }
                    _ => unreachable!("an incoming column has the type of the stored one"),
                }
            };
        }
        append!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
        self.rows += rows.len();
    }

    fn append_validity(&mut self, incoming: &Incoming<'_>, rows: &[u16]) {
        if !incoming.may_be_null() && !self.nullable {
            return;
        }
        if !self.nullable {
            self.nullable = true;
            self.validity.clear();
            append_bits(&mut self.validity, 0, &vec![0; self.rows], |_| true);
        }
        append_bits(&mut self.validity, self.rows, rows, |row| !incoming.is_null(row as usize));
    }

    pub(super) fn is_null(&self, at: usize) -> bool {
        self.nullable && !bitmap::get(&self.validity, at)
    }

    /// The ticks of a time column.
    pub(super) fn ticks(&self) -> &[i64] {
        match &self.data {
            Data::Fixed(Values::I64(values)) => values,
            _ => unreachable!("a time column holds ticks"),
        }
    }

    /// Whether the value at `at` equals that of a row of a batch; nulls are equal.
    #[inline]
    pub(super) fn equals(&self, at: usize, incoming: &Incoming<'_>, row: usize) -> bool {
        match (self.is_null(at), incoming.is_null(row)) {
            (false, false) => self.equals_valid(at, incoming, row * incoming.stride),
            (a, b) => a && b,
        }
    }

    #[inline]
    fn equals_valid(&self, at: usize, incoming: &Incoming<'_>, row: usize) -> bool {
        macro_rules! equal {
            ($($kind:ident),+) => {
                match (&self.data, &incoming.slices) {
                    $((Data::Fixed(Values::$kind(a)), Slices::$kind(b)) => a[at].same(b[row]),)+
                    (Data::Fixed(Values::Bool(a)), Slices::Constant(b)) => bitmap::get(a, at) == *b,
                    (Data::Fixed(Values::Bool(a)), Slices::Bits(b)) => bitmap::get(a, at) == bitmap::get(b, row),
                    (Data::Views(heap), slices) => {
                        let found;
                        let source = match slices {
                            Slices::View(source) => source,
                            _ => {
                                found = incoming.views();
                                &found
                            }
                        };
                        // Length and prefix, then short strings whole.
                        let (own, other) = (heap.view(at), source.view(row));
                        own as u64 == other as u64
                            && if own as u32 <= 12 { own == other } else { heap.bytes(at) == source.bytes(row) }
                    }
                    _ => unreachable!("an incoming column has the type of the stored one"),
                }
            };
        }
        equal!(I64, I32, I8, I16, U8, U16, U32, U64, F32, F64, I128)
    }

    fn bytes(&self, at: usize) -> &[u8] {
        let Data::Views(heap) = &self.data else { unreachable!("asked of strings and written values only") };
        heap.bytes(at)
    }

    pub(super) fn size_bytes(&self) -> usize {
        let data = match &self.data {
            Data::Fixed(values) => values_bytes(values),
            Data::Views(heap) => held_of::<u128>(heap.len(), heap.capacity()) + heap.heap_bytes(),
        };
        data + held_bytes(&self.validity)
    }

    /// Gives back what growing has reserved too much.
    pub(super) fn shrink(&mut self) {
        macro_rules! shrink {
            ($($kind:ident),+) => {
                match &mut self.data {
                    $(Data::Fixed(Values::$kind(values)) => values.shrink_to_fit(),)+
                    Data::Views(heap) => heap.shrink_to_fit(),
                }
            };
        }
        shrink!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
        self.validity.shrink_to_fit();
    }
}

/// Writes the values that `of` finds for `rows` into `out`, one each.
pub(super) fn gather<'a>(
    column: &ColumnType,
    rows: &[u32],
    of: impl Fn(u32) -> (&'a Stored, usize),
    out: &mut Column,
) -> Result<()> {
    macro_rules! fixed {
        ($($kind:ident),+) => {
            match column.kind {
                $(Kind::$kind => {
                    let flat = out.flat_mut(|v| matches!(v, Values::$kind(_)), || Values::$kind(Vec::new()));
                    if let Values::$kind(to) = &mut flat.values {
                        to.clear();
                        to.extend(rows.iter().map(|&row| match of(row) {
                            (Stored { data: Data::Fixed(Values::$kind(from)), .. }, at) => from[at],
                            _ => unreachable!("blocks of one column have one type"),
                        }));
                    }
                    flat
                })+
                Kind::Bool => {
                    let flat = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
                    if let Values::Bool(to) = &mut flat.values {
                        to.clear();
                        to.resize(rows.len().div_ceil(64), 0);
                        for (i, &row) in rows.iter().enumerate() {
                            if let (Stored { data: Data::Fixed(Values::Bool(from)), .. }, at) = of(row) {
                                to[i / 64] |= (bitmap::get(from, at) as u64) << (i % 64);
                            }
                        }
                    }
                    flat
                }
                Kind::View => {
                    *out = Column::Array(gather_strings(column, rows, of));
                    return Ok(());
                }
                Kind::Other => {
                    *out = Column::Array(gather_written(column, rows, of)?);
                    return Ok(());
                }
            }
        };
    }
    let flat = fixed!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
    flat.rows = rows.len();
    flat.set_all_valid();
    let is_null = |row: &u32| {
        let (stored, at) = of(*row);
        stored.is_null(at)
    };
    if let Some(first) = rows.iter().position(is_null) {
        let words = flat.validity_mut(rows.len());
        words.fill(u64::MAX);
        for (i, row) in rows.iter().enumerate().skip(first) {
            words[i / 64] &= !((is_null(row) as u64) << (i % 64));
        }
    }
    Ok(())
}

fn gather_written<'a>(column: &ColumnType, rows: &[u32], of: impl Fn(u32) -> (&'a Stored, usize)) -> Result<ArrayRef> {
    let converter = column.converter.as_ref().expect("made with the type");
    let parser = converter.parser();
    let written = rows.iter().map(|&row| {
        let (stored, at) = of(row);
        parser.parse(stored.bytes(at))
    });
    let arrays = converter.convert_rows(written)?;
    Ok(arrays.into_iter().next().expect("one column was converted"))
}

fn gather_strings<'a>(column: &ColumnType, rows: &[u32], of: impl Fn(u32) -> (&'a Stored, usize)) -> ArrayRef {
    let mut copier = ViewCopier::new(column.data_type == DataType::Utf8View, rows.len());
    let mut has_nulls = false;
    for &row in rows {
        match of(row) {
            (Stored { data: Data::Views(heap), nullable, .. }, at) => {
                copier.push(heap, at);
                has_nulls |= nullable;
            }
            _ => unreachable!("blocks of one column have one type"),
        }
    }
    let nulls = has_nulls.then(|| nulls_of(rows, of));
    copier.finish(nulls)
}

fn nulls_of<'a>(rows: &[u32], of: impl Fn(u32) -> (&'a Stored, usize)) -> NullBuffer {
    let is_valid = |at: usize| {
        let (stored, place) = of(rows[at]);
        !stored.is_null(place)
    };
    NullBuffer::new(BooleanBuffer::collect_bool(rows.len(), is_valid))
}

fn append_bits(words: &mut Vec<u64>, from: usize, rows: &[u16], bit: impl Fn(u16) -> bool) {
    words.resize((from + rows.len()).div_ceil(64), 0);
    for (i, &row) in rows.iter().enumerate() {
        let at = from + i;
        words[at / 64] |= (bit(row) as u64) << (at % 64);
    }
}

fn values_bytes(values: &Values) -> usize {
    macro_rules! bytes {
        ($($kind:ident),+) => { match values { $(Values::$kind(values) => held_bytes(values),)+ } };
    }
    bytes!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128)
}
