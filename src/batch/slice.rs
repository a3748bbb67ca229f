//! Typed, borrowed looks at a column, as kernels want them: a slice of machine values and a validity bitmap.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::buffer::Buffer;
use arrow::datatypes::*;
use millstream_kernels::{Level, bitmap};

use super::{Column, Dictionary, Values};
use crate::error::{Error, Result};

/// The machine form of a data type: what kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    I128,
    /// Strings and bytes as 16-byte views.
    View,
    /// Everything that only passes through or goes to Arrow's own kernels.
    Other,
}

impl Kind {
    /// The machine form of `data_type`. Dates, times, timestamps and durations are their integers.
    pub fn of(data_type: &DataType) -> Kind {
        match data_type {
            DataType::Boolean => Kind::Bool,
            DataType::Int8 => Kind::I8,
            DataType::Int16 => Kind::I16,
            DataType::Int32 | DataType::Date32 | DataType::Time32(_) => Kind::I32,
            DataType::Int64
            | DataType::Date64
            | DataType::Time64(_)
            | DataType::Timestamp(..)
            | DataType::Duration(_) => Kind::I64,
            DataType::UInt8 => Kind::U8,
            DataType::UInt16 => Kind::U16,
            DataType::UInt32 => Kind::U32,
            DataType::UInt64 => Kind::U64,
            DataType::Float32 => Kind::F32,
            DataType::Float64 => Kind::F64,
            DataType::Decimal128(..) => Kind::I128,
            DataType::Utf8View | DataType::BinaryView => Kind::View,
            _ => Kind::Other,
        }
    }

    /// Empty flat values of this kind; `None` for views and the rest.
    pub fn values(self) -> Option<Values> {
        Some(match self {
            Kind::Bool => Values::Bool(Vec::new()),
            Kind::I8 => Values::I8(Vec::new()),
            Kind::I16 => Values::I16(Vec::new()),
            Kind::I32 => Values::I32(Vec::new()),
            Kind::I64 => Values::I64(Vec::new()),
            Kind::U8 => Values::U8(Vec::new()),
            Kind::U16 => Values::U16(Vec::new()),
            Kind::U32 => Values::U32(Vec::new()),
            Kind::U64 => Values::U64(Vec::new()),
            Kind::F32 => Values::F32(Vec::new()),
            Kind::F64 => Values::F64(Vec::new()),
            Kind::I128 => Values::I128(Vec::new()),
            Kind::View | Kind::Other => return None,
        })
    }
}

/// A machine type that flat columns and Arrow's primitive arrays hold.
pub trait Fixed: Copy + Default + Send + Sync + std::fmt::Debug + PartialOrd + 'static {
    const KIND: Kind;
    /// The values of an Arrow array of this machine form, whatever its logical type; `None` for another form.
    fn of_array(array: &dyn Array) -> Option<&[Self]>;
    /// The values of flat buffers, if they are of this type.
    fn of_values(values: &Values) -> Option<&Vec<Self>>;
    /// The same, to be written.
    fn of_values_mut(values: &mut Values) -> Option<&mut Vec<Self>>;
    /// Flat values of this type.
    fn into_values(values: Vec<Self>) -> Values;
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&[T::Native]> {
    array.as_any().downcast_ref::<PrimitiveArray<T>>().map(|array| &array.values()[..])
}

macro_rules! fixed {
    ($native:ty, $kind:ident, $($arrow:ty),+) => {
        impl Fixed for $native {
            const KIND: Kind = Kind::$kind;
            fn of_array(array: &dyn Array) -> Option<&[Self]> {
                None$(.or_else(|| primitive::<$arrow>(array)))+
            }
            fn of_values(values: &Values) -> Option<&Vec<Self>> {
                if let Values::$kind(v) = values { Some(v) } else { None }
            }
            fn of_values_mut(values: &mut Values) -> Option<&mut Vec<Self>> {
                if let Values::$kind(v) = values { Some(v) } else { None }
            }
            fn into_values(values: Vec<Self>) -> Values {
                Values::$kind(values)
            }
        }
    };
}
fixed!(i8, I8, Int8Type);
fixed!(i16, I16, Int16Type);
fixed!(i32, I32, Int32Type, Date32Type, Time32SecondType, Time32MillisecondType);
fixed!(
    i64,
    I64,
    Int64Type,
    TimestampMillisecondType,
    TimestampMicrosecondType,
    TimestampNanosecondType,
    TimestampSecondType,
    Date64Type,
    Time64MicrosecondType,
    Time64NanosecondType,
    DurationSecondType,
    DurationMillisecondType,
    DurationMicrosecondType,
    DurationNanosecondType
);
fixed!(u8, U8, UInt8Type);
fixed!(u16, U16, UInt16Type);
fixed!(u32, U32, UInt32Type);
fixed!(u64, U64, UInt64Type);
fixed!(f32, F32, Float32Type);
fixed!(f64, F64, Float64Type);
fixed!(i128, I128, Decimal128Type);

/// Strings or bytes as views and the buffers that long ones point into.
#[derive(Clone, Copy)]
pub struct Strings<'a> {
    pub views: &'a [u128],
    pub buffers: &'a [Buffer],
}

impl<'a> Strings<'a> {
    /// The views of an array of strings or bytes.
    pub fn of(array: &'a ArrayRef) -> Result<Self> {
        if let Some(strings) = array.as_string_view_opt() {
            return Ok(Strings { views: strings.views(), buffers: strings.data_buffers() });
        }
        if let Some(bytes) = array.as_binary_view_opt() {
            return Ok(Strings { views: bytes.views(), buffers: bytes.data_buffers() });
        }
        Err(Error::bug(format!("a string kernel met a column of type {}", array.data_type())))
    }

    /// The bytes of row `row`.
    pub fn bytes(&self, row: usize) -> &'a [u8] {
        view_bytes(&self.views[row], self.buffers)
    }
}

/// The bytes a view stands for: inline up to 12, else within a buffer.
pub fn view_bytes<'a>(view: &'a u128, buffers: &'a [Buffer]) -> &'a [u8] {
    let length = *view as u32 as usize;
    if length <= 12 {
        return inline_bytes(view, length);
    }
    let buffer = (*view >> 64) as u32 as usize;
    let offset = (*view >> 96) as u32 as usize;
    &buffers[buffer].as_slice()[offset..offset + length]
}

fn inline_bytes(view: &u128, length: usize) -> &[u8] {
    millstream_kernels::view::inline(view, length)
}

/// A column as an argument of a kernel: its values, and which of them are there.
#[derive(Clone, Copy)]
pub struct Argument<'a> {
    column: &'a Column,
    validity: Option<&'a [u64]>,
    rows: usize,
}

impl<'a> Argument<'a> {
    /// Looks at `column`, whose validity as words is `validity` (`None`: no nulls; ignored for constants).
    pub fn new(column: &'a Column, validity: Option<&'a [u64]>, rows: usize) -> Self {
        Argument { column, validity, rows }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn column(&self) -> &'a Column {
        self.column
    }

    /// How its values are held; codes into a dictionary are [`Kind::Other`].
    pub fn kind(&self) -> Kind {
        match self.column {
            Column::Array(array) | Column::Constant(array) => Kind::of(array.data_type()),
            Column::Flat(flat) => flat.values.kind(),
            Column::Dictionary(_) => Kind::Other,
        }
    }

    /// Validity words over `rows`, `None` when no row is null. A constant has none: ask `constant_is_null`.
    pub fn validity(&self) -> Option<&'a [u64]> {
        self.validity
    }

    /// Whether one value stands for all rows.
    pub fn is_constant(&self) -> bool {
        matches!(self.column, Column::Constant(_))
    }

    /// Whether one null stands for all rows.
    pub fn constant_is_null(&self) -> bool {
        matches!(self.column, Column::Constant(value) if value.is_null(0))
    }

    /// Whether row `row` is null.
    pub fn is_null(&self, row: usize) -> bool {
        match self.validity {
            Some(words) => !bitmap::get(words, row),
            None => self.constant_is_null(),
        }
    }

    /// The values: one per row, or one for all of them when constant. Values under nulls are anything.
    pub fn values<T: Fixed>(&self) -> Result<&'a [T]> {
        let found = match self.column {
            Column::Array(array) | Column::Constant(array) => T::of_array(array.as_ref()),
            Column::Flat(flat) => T::of_values(&flat.values).map(|v| &v[..]),
            Column::Dictionary(_) => None,
        };
        found.ok_or_else(|| Error::bug(format!("a kernel for {:?} met a column of another type", T::KIND)))
    }

    /// The value bits of a boolean column, as words. Constants and Arrow arrays have none: evaluators load them flat.
    pub fn bits(&self) -> Result<&'a [u64]> {
        match self.column {
            Column::Flat(flat) => match &flat.values {
                Values::Bool(words) => Ok(words),
                _ => Err(Error::bug("a boolean kernel met a column of another type")),
            },
            _ => Err(Error::bug("a boolean column was not loaded as bits")),
        }
    }

    /// The one boolean that stands for all rows, `None` when it is null or the column is no boolean constant.
    pub fn constant_bool(&self) -> Option<bool> {
        match self.column {
            Column::Constant(value) if value.is_valid(0) => value.as_boolean_opt().map(|v| v.value(0)),
            _ => None,
        }
    }

    /// The column as codes and values, if that is what it is.
    pub fn dictionary(&self) -> Option<&'a Dictionary> {
        match self.column {
            Column::Dictionary(dictionary) => Some(dictionary),
            _ => None,
        }
    }

    /// The views of a string or bytes column.
    pub fn strings(&self) -> Result<Strings<'a>> {
        let array = match self.column {
            Column::Array(array) | Column::Constant(array) => array,
            Column::Flat(_) => return Err(Error::bug("a string kernel met a flat column")),
            Column::Dictionary(_) => return Err(Error::bug("a string kernel met a dictionary")),
        };
        Strings::of(array)
    }

    /// The column as an Arrow array of `rows` rows and type `data_type`; flat buffers are copied.
    pub fn to_array(&self, data_type: &DataType) -> Result<ArrayRef> {
        match self.column {
            Column::Array(array) => Ok(array.clone()),
            Column::Dictionary(dictionary) => dictionary.flatten(),
            Column::Flat(flat) => {
                let mut copy = flat.clone();
                copy.set_validity(self.validity);
                copy.take_array(data_type)
            }
            Column::Constant(_) => {
                let mut column = self.column.clone();
                column.to_array(data_type, self.rows, &super::Selection::default())
            }
        }
    }
}

/// Writes into `mask` which rows are true (not false, not null) and returns how many.
pub(crate) fn true_rows(level: Level, condition: &Argument<'_>, rows: usize, mask: &mut Vec<u64>) -> Result<usize> {
    if condition.is_constant() {
        let passes = condition.constant_bool() == Some(true);
        bitmap::fill(mask, rows, passes);
        return Ok(if passes { rows } else { 0 });
    }
    mask.clear();
    mask.extend_from_slice(condition.bits()?);
    if let Some(validity) = condition.validity() {
        bitmap::and_with(level, mask, validity);
    }
    Ok(bitmap::count_ones(mask, rows))
}
