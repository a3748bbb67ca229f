//! A column of rows that are kept: values of any type, appended as they come or put at places, read and compared one by one.
//!
//! ```text
//! fixed width   a vector of machine values      strings   views; long ones point into the column's own bytes
//! the rest      Arrow's row format, as strings are
//! ```
//! Invariants  values under nulls mean nothing; validity is kept from the first null on. Bytes that no view points at any
//!             more are counted, and left out once they are most.

mod place; // values at places: put, given up, compared

pub(super) use place::Place;

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use millstream_kernels::{bitmap, view};

use crate::batch::{Argument, Column, Kind, Strings, Values, held_bytes};
use crate::error::Result;

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
                    Kind::View => Slices::View(argument.strings()?),
                    Kind::Other => {
                        let converter = self.converter.as_ref().expect("made with the type");
                        let array = match argument.column() {
                            Column::Constant(value) => value.clone(),
                            _ => argument.to_array(&self.data_type)?,
                        };
                        Slices::Encoded(converter.convert_columns(&[array])?)
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
            Kind::View | Kind::Other => Data::Views { views: Vec::new(), bytes: Vec::new() },
            kind => Data::Fixed(kind.values().expect("views and the rest are named above")),
        };
        Stored { data, validity: Vec::new(), nullable: false, rows: 0, unused_bytes: 0 }
    }
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
    View(Strings<'a>),
    Encoded(Rows),
}

impl Incoming<'_> {
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.argument.is_null(row)
    }

    pub(super) fn may_be_null(&self) -> bool {
        self.argument.validity().is_some() || self.argument.constant_is_null()
    }
}

/// Values of one column of one block.
#[derive(Debug)]
pub(super) struct Stored {
    data: Data,
    validity: Vec<u64>,
    nullable: bool,
    rows: usize,
    /// Of the bytes of strings those that no view points at.
    unused_bytes: usize,
}

#[derive(Debug)]
enum Data {
    Fixed(Values),
    /// Strings, or values in the row format.
    Views {
        views: Vec<u128>,
        bytes: Vec<u8>,
    },
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
                    (Data::Views { views, bytes }, Slices::View(strings)) => {
                        for &row in rows {
                            let at = row as usize * stride;
                            let null = incoming.argument.is_null(row as usize);
                            let found = if null { &[][..] } else { strings.bytes(at) };
                            views.push(own_view(found, if null { 0 } else { strings.views[at] }, bytes));
                        }
                    }
                    (Data::Views { views, bytes }, Slices::Encoded(encoded)) => {
                        for &row in rows {
                            views.push(new_view(encoded.row(row as usize * stride).data(), bytes));
                        }
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
                    (Data::Views { views, bytes }, Slices::View(strings)) => {
                        let (own, other) = (&views[at], strings.views[row]);
                        // Length and prefix, then short strings whole.
                        *own as u64 == other as u64
                            && if *own as u32 <= 12 { *own == other } else { long(*own, bytes) == strings.bytes(row) }
                    }
                    (Data::Views { .. }, Slices::Encoded(rows)) => self.string(at) == rows.row(row).data(),
                    _ => unreachable!("an incoming column has the type of the stored one"),
                }
            };
        }
        equal!(I64, I32, I8, I16, U8, U16, U32, U64, F32, F64, I128)
    }

    fn string(&self, at: usize) -> &[u8] {
        let Data::Views { views, bytes } = &self.data else { unreachable!("asked of strings only") };
        let own = &views[at];
        let length = *own as u32 as usize;
        if length <= 12 { view::inline(own, length) } else { long(*own, bytes) }
    }

    pub(super) fn size_bytes(&self) -> usize {
        let data = match &self.data {
            Data::Fixed(values) => values_bytes(values),
            Data::Views { views, bytes } => held_bytes(views) + held_bytes(bytes),
        };
        data + held_bytes(&self.validity)
    }

    /// Gives back what growing has reserved too much.
    pub(super) fn shrink(&mut self) {
        macro_rules! shrink {
            ($($kind:ident),+) => {
                match &mut self.data {
                    $(Data::Fixed(Values::$kind(values)) => values.shrink_to_fit(),)+
                    Data::Views { views, bytes } => {
                        views.shrink_to_fit();
                        bytes.shrink_to_fit();
                    }
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
                Kind::View | Kind::Other => {
                    *out = Column::Array(gather_bytes(column, rows, of)?);
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

fn gather_bytes<'a>(column: &ColumnType, rows: &[u32], of: impl Fn(u32) -> (&'a Stored, usize)) -> Result<ArrayRef> {
    if let Some(converter) = &column.converter {
        let parser = converter.parser();
        let encoded = rows.iter().map(|&row| {
            let (stored, at) = of(row);
            parser.parse(stored.string(at))
        });
        let arrays = converter.convert_rows(encoded)?;
        return Ok(arrays.into_iter().next().expect("one column was converted"));
    }
    let mut builder = BinaryViewBuilder::with_capacity(rows.len());
    for &row in rows {
        let (stored, at) = of(row);
        if stored.is_null(at) { builder.append_null() } else { builder.append_value(stored.string(at)) }
    }
    let array = builder.finish();
    Ok(if column.data_type == DataType::Utf8View { Arc::new(array.to_string_view()?) } else { Arc::new(array) })
}

/// A view that points into `bytes`, where a long string is put.
fn own_view(found: &[u8], view: u128, bytes: &mut Vec<u8>) -> u128 {
    if found.len() <= 12 {
        return view;
    }
    let offset = bytes.len() as u128;
    bytes.extend_from_slice(found);
    (view as u64) as u128 | offset << 64
}

/// The view of bytes that have none yet, which are put into `bytes` where they are long.
fn new_view(found: &[u8], bytes: &mut Vec<u8>) -> u128 {
    match found {
        short if short.len() <= 12 => view::short(short),
        [a, b, c, d, ..] => {
            let first = u32::from_le_bytes([*a, *b, *c, *d]) as u128;
            own_view(found, first << 32 | found.len() as u128, bytes)
        }
        _ => unreachable!("more than 12 bytes are four and more"),
    }
}

fn long(view: u128, bytes: &[u8]) -> &[u8] {
    let offset = (view >> 64) as usize;
    &bytes[offset..offset + view as u32 as usize]
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
