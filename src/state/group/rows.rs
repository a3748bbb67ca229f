//! Keys of any number and type, written one after the other as bytes, one string per row.
//!
//! Fixed-width keys and strings are written by us; types that only pass through (lists, structs, intervals) by Arrow's
//! row format, which also reads them back.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use millstream_kernels::bitmap;

use super::views::{Views, as_type};
use crate::batch::{Argument, Column, Kind};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Rows {
    fields: Vec<Field>,
    table: Views,
    row: Vec<u8>,
}

#[derive(Debug)]
struct Field {
    data_type: DataType,
    kind: Kind,
    /// For types without a machine form.
    converter: Option<RowConverter>,
}

impl Rows {
    pub(super) fn new(key_types: &[DataType], seed: u64) -> Self {
        let fields = key_types.iter().map(|data_type| Field::new(data_type.clone())).collect();
        Rows { fields, table: Views::new(seed), row: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn lookup(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        self.table.keep_moving(rows);
        self.each(keys, rows, groups, Views::group_of_bytes)
    }

    /// The group of each row, `EMPTY` where there is none.
    pub(super) fn find(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        self.each(keys, rows, groups, |table, bytes| table.find_bytes(bytes))
    }

    fn each(
        &mut self,
        keys: &[Argument<'_>],
        rows: usize,
        groups: &mut Vec<u32>,
        group_of: impl Fn(&mut Views, &[u8]) -> u32,
    ) -> Result<()> {
        let mut columns = Vec::with_capacity(keys.len());
        for (field, key) in self.fields.iter_mut().zip(keys) {
            columns.push(field.column(key)?);
        }
        groups.reserve(rows);
        let mut row = std::mem::take(&mut self.row);
        for at in 0..rows {
            row.clear();
            for column in &columns {
                column.write(at, &mut row);
            }
            groups.push(group_of(&mut self.table, &row));
        }
        self.row = row;
        Ok(())
    }

    pub(super) fn keys(&self, key: usize, data_type: &DataType, groups: &[u32], out: &mut Column) -> Result<()> {
        let field = &self.fields[key];
        let values = groups.iter().map(|&group| self.value(group, key));
        if let Some(converter) = &field.converter {
            let parser = converter.parser();
            let rows = values.map(|value| parser.parse(value.expect("a converted key writes its own nulls")));
            let columns = converter.convert_rows(rows)?;
            *out = Column::Array(columns.into_iter().next().expect("one column was converted"));
            return Ok(());
        }
        *out = Column::Array(match field.kind {
            Kind::View => {
                let mut builder = BinaryViewBuilder::with_capacity(groups.len());
                values.for_each(|value| builder.append_option(value));
                as_type(builder.finish(), data_type)?
            }
            _ => fixed_array(data_type, field.kind, values)?,
        });
        Ok(())
    }

    /// The bytes of one key of a group; `None` when it is null.
    fn value(&self, group: u32, key: usize) -> Option<&[u8]> {
        let mut rest = self.table.bytes_of(group);
        for field in &self.fields[..key] {
            rest = field.split(rest).1;
        }
        self.fields[key].split(rest).0
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.table.size_bytes() + self.row.capacity()
    }
}

/// A key column ready to be written row by row.
enum Source<'a> {
    Fixed { bytes: FixedBytes<'a>, key: Argument<'a> },
    Strings { key: Argument<'a>, strings: crate::batch::Strings<'a> },
    Converted(arrow::row::Rows, bool),
}

/// The values of a fixed-width key as little-endian words.
enum FixedBytes<'a> {
    Bits(Option<&'a [u64]>, bool),
    B1(&'a [u8]),
    I1(&'a [i8]),
    B2(&'a [u16]),
    I2(&'a [i16]),
    B4(&'a [u32]),
    I4(&'a [i32]),
    B8(&'a [u64]),
    I8(&'a [i64]),
    F4(&'a [f32]),
    F8(&'a [f64]),
    I16(&'a [i128]),
}

impl FixedBytes<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            FixedBytes::Bits(bits, constant) => {
                out.push(bits.map_or(*constant, |bits| bitmap::get(bits, row)) as u8);
            }
            FixedBytes::B1(v) => out.push(v[row]),
            FixedBytes::I1(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::B2(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::I2(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::B4(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::I4(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::B8(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::I8(v) => out.extend(v[row].to_le_bytes()),
            FixedBytes::F4(v) => out.extend((if v[row].is_nan() { f32::NAN } else { v[row] + 0.0 }).to_le_bytes()),
            FixedBytes::F8(v) => out.extend((if v[row].is_nan() { f64::NAN } else { v[row] + 0.0 }).to_le_bytes()),
            FixedBytes::I16(v) => out.extend(v[row].to_le_bytes()),
        }
    }
}

impl Source<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Source::Fixed { bytes, key } => {
                let null = key.is_null(row);
                out.push(!null as u8);
                if !null {
                    bytes.write(if key.is_constant() { 0 } else { row }, out);
                }
            }
            Source::Strings { key, strings } => {
                let null = key.is_null(row);
                out.push(!null as u8);
                if !null {
                    let bytes = strings.bytes(if key.is_constant() { 0 } else { row });
                    out.extend((bytes.len() as u32).to_le_bytes());
                    out.extend_from_slice(bytes);
                }
            }
            Source::Converted(rows, constant) => {
                let bytes = rows.row(if *constant { 0 } else { row });
                let bytes: &[u8] = bytes.as_ref();
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }
}

impl Field {
    fn new(data_type: DataType) -> Self {
        let kind = Kind::of(&data_type);
        let converter = (kind == Kind::Other).then(|| {
            RowConverter::new(vec![SortField::new(data_type.clone())]).expect("the planner refuses other key types")
        });
        Field { data_type, kind, converter }
    }

    fn column<'a>(&mut self, key: &Argument<'a>) -> Result<Source<'a>> {
        if let Some(converter) = &mut self.converter {
            let array: ArrayRef = match key.column() {
                Column::Constant(value) => value.clone(),
                _ => key.to_array(&self.data_type)?,
            };
            return Ok(Source::Converted(converter.convert_columns(&[array])?, key.is_constant()));
        }
        let bytes = match self.kind {
            Kind::View => return Ok(Source::Strings { key: *key, strings: key.strings()? }),
            Kind::Bool if key.is_constant() => FixedBytes::Bits(None, key.constant_bool().unwrap_or(false)),
            Kind::Bool => FixedBytes::Bits(Some(key.bits()?), false),
            Kind::I8 => FixedBytes::I1(key.values()?),
            Kind::I16 => FixedBytes::I2(key.values()?),
            Kind::I32 => FixedBytes::I4(key.values()?),
            Kind::I64 => FixedBytes::I8(key.values()?),
            Kind::U8 => FixedBytes::B1(key.values()?),
            Kind::U16 => FixedBytes::B2(key.values()?),
            Kind::U32 => FixedBytes::B4(key.values()?),
            Kind::U64 => FixedBytes::B8(key.values()?),
            Kind::F32 => FixedBytes::F4(key.values()?),
            Kind::F64 => FixedBytes::F8(key.values()?),
            Kind::I128 => FixedBytes::I16(key.values()?),
            Kind::Other => unreachable!("converted above"),
        };
        Ok(Source::Fixed { bytes, key: *key })
    }

    /// The value at the start of a written row, `None` when null, and what follows.
    fn split<'a>(&self, row: &'a [u8]) -> (Option<&'a [u8]>, &'a [u8]) {
        if self.converter.is_some() {
            let (length, rest) = read_length(row);
            return (Some(&rest[..length]), &rest[length..]);
        }
        let (valid, rest) = (row[0] == 1, &row[1..]);
        if !valid {
            return (None, rest);
        }
        match self.kind {
            Kind::View => {
                let (length, rest) = read_length(rest);
                (Some(&rest[..length]), &rest[length..])
            }
            kind => {
                let width = fixed_width(kind);
                (Some(&rest[..width]), &rest[width..])
            }
        }
    }
}

fn read_length(bytes: &[u8]) -> (usize, &[u8]) {
    let (length, rest) = bytes.split_first_chunk::<4>().expect("a length was written");
    (u32::from_le_bytes(*length) as usize, rest)
}

fn fixed_width(kind: Kind) -> usize {
    match kind {
        Kind::Bool | Kind::I8 | Kind::U8 => 1,
        Kind::I16 | Kind::U16 => 2,
        Kind::I32 | Kind::U32 | Kind::F32 => 4,
        Kind::I64 | Kind::U64 | Kind::F64 => 8,
        Kind::I128 => 16,
        Kind::View | Kind::Other => unreachable!("not of fixed width"),
    }
}

/// An Arrow array of fixed-width values given as little-endian bytes.
fn fixed_array<'a>(
    data_type: &DataType,
    kind: Kind,
    values: impl ExactSizeIterator<Item = Option<&'a [u8]>>,
) -> Result<ArrayRef> {
    use crate::batch::{Flat, Values};
    macro_rules! build {
        ($($kind:ident: $native:ty),+) => {
            match kind {
                Kind::Bool => {
                    let values: Vec<Option<bool>> = values.map(|value| value.map(|bytes| bytes[0] == 1)).collect();
                    return Ok(Arc::new(arrow::array::BooleanArray::from(values)));
                }
                $(Kind::$kind => {
                    let rows = values.len();
                    let mut words = vec![0u64; rows.div_ceil(64)];
                    let mut natives = Vec::with_capacity(rows);
                    for (row, value) in values.enumerate() {
                        words[row / 64] |= (value.is_some() as u64) << (row % 64);
                        natives.push(value.map_or(Default::default(), |bytes| {
                            <$native>::from_le_bytes(bytes.try_into().expect("written at this width"))
                        }));
                    }
                    let mut flat = Flat::new(Values::$kind(natives));
                    flat.rows = rows;
                    flat.set_validity(Some(&words));
                    flat.take_array(data_type)
                })+
                Kind::View | Kind::Other => unreachable!("not of fixed width"),
            }
        };
    }
    build!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64, F32: f32, F64: f64, I128: i128)
}
