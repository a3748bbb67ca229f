//! Flat buffers of fixed-width values: what kernels write into, reused from batch to batch.

use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, BooleanArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;

use super::Kind;
use crate::error::{Error, Result};

/// The values of a flat column, by their machine type. Booleans are bitmap words.
#[derive(Debug)]
pub enum Values {
    Bool(Vec<u64>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
}

/// A flat column: values and, where some are null, a validity bitmap (a set bit is a value).
#[derive(Debug)]
pub struct Flat {
    pub values: Values,
    pub rows: usize,
    validity: Vec<u64>,
    nullable: bool,
}

impl Flat {
    /// An empty column of these values.
    pub fn new(values: Values) -> Self {
        Flat { values, rows: 0, validity: Vec::new(), nullable: false }
    }

    /// The validity words, or `None` when no row is null.
    pub fn validity(&self) -> Option<&[u64]> {
        self.nullable.then_some(&self.validity[..])
    }

    /// Says that no row is null.
    pub fn set_all_valid(&mut self) {
        self.nullable = false;
    }

    /// Lends the validity words to be written in full, `rows` of them, and makes them count.
    pub fn validity_mut(&mut self, rows: usize) -> &mut Vec<u64> {
        self.nullable = true;
        self.validity.resize(rows.div_ceil(64), 0);
        &mut self.validity
    }

    /// Takes the validity of an argument over, or says that no row is null.
    pub fn set_validity(&mut self, validity: Option<&[u64]>) {
        self.nullable = validity.is_some();
        self.validity.clear();
        self.validity.extend_from_slice(validity.unwrap_or_default());
    }

    /// Hands the buffers over as an Arrow array of type `data_type`; the column is empty afterwards.
    pub fn take_array(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        let nulls = std::mem::take(&mut self.nullable).then(|| {
            let words = std::mem::take(&mut self.validity);
            NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(words), 0, rows))
        });
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let buffer = match &mut self.values {
            Values::Bool(words) => {
                let bits = BooleanBuffer::new(Buffer::from_vec(std::mem::take(words)), 0, rows);
                return Ok(Arc::new(BooleanArray::new(bits, nulls)));
            }
            Values::I8(v) => Buffer::from_vec(std::mem::take(v)),
            Values::I16(v) => Buffer::from_vec(std::mem::take(v)),
            Values::I32(v) => Buffer::from_vec(std::mem::take(v)),
            Values::I64(v) => Buffer::from_vec(std::mem::take(v)),
            Values::U8(v) => Buffer::from_vec(std::mem::take(v)),
            Values::U16(v) => Buffer::from_vec(std::mem::take(v)),
            Values::U32(v) => Buffer::from_vec(std::mem::take(v)),
            Values::U64(v) => Buffer::from_vec(std::mem::take(v)),
            Values::F32(v) => Buffer::from_vec(std::mem::take(v)),
            Values::F64(v) => Buffer::from_vec(std::mem::take(v)),
            Values::I128(v) => Buffer::from_vec(std::mem::take(v)),
        };
        ArrayData::builder(data_type.clone())
            .len(rows)
            .nulls(nulls)
            .add_buffer(buffer)
            .build()
            .map(make_array)
            .map_err(|e| Error::bug(format!("a flat column is no {data_type}: {e}")))
    }
}

/// Written out because a derived `clone_from` takes new memory instead of its own.
impl Clone for Flat {
    fn clone(&self) -> Self {
        Flat { values: self.values.clone(), validity: self.validity.clone(), ..*self }
    }

    fn clone_from(&mut self, from: &Self) {
        self.values.clone_from(&from.values);
        self.set_validity(from.validity());
        self.rows = from.rows;
    }
}

impl Clone for Values {
    fn clone(&self) -> Self {
        macro_rules! cloned {
            ($($kind:ident),+) => { match self { $(Values::$kind(values) => Values::$kind(values.clone())),+ } };
        }
        cloned!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128)
    }

    fn clone_from(&mut self, from: &Self) {
        macro_rules! copied {
            ($($kind:ident),+) => {
                match (self, from) {
                    $((Values::$kind(to), Values::$kind(from)) => to.clone_from(from),)+
                    (to, from) => *to = from.clone(),
                }
            };
        }
        copied!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128)
    }
}

impl Values {
    /// Their machine form.
    pub fn kind(&self) -> Kind {
        match self {
            Values::Bool(_) => Kind::Bool,
            Values::I8(_) => Kind::I8,
            Values::I16(_) => Kind::I16,
            Values::I32(_) => Kind::I32,
            Values::I64(_) => Kind::I64,
            Values::U8(_) => Kind::U8,
            Values::U16(_) => Kind::U16,
            Values::U32(_) => Kind::U32,
            Values::U64(_) => Kind::U64,
            Values::F32(_) => Kind::F32,
            Values::F64(_) => Kind::F64,
            Values::I128(_) => Kind::I128,
        }
    }
}
