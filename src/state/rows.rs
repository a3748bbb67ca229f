//! Whole rows in columns: appended batch by batch, read by number in any order.
//!
//! Owns        its values, in one vector per column of fixed width; strings and nested values as Arrow arrays, which
//!             `seal` makes one of.
//! Invariants  a row's number is its place in the order of arrival; nothing but whole columns is read before `seal`.

use arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use millstream_kernels::{bitmap, gather};

use crate::batch::{Argument, Batch, Column, Fixed, KernelColumn, Kind, Values, with_few_buffers, without_waste};
use crate::error::{Error, Result};

/// Rows with their columns apart.
#[derive(Debug)]
pub struct StoredRows {
    columns: Vec<Stored>,
    rows: usize,
}

#[derive(Debug)]
struct Stored {
    data_type: DataType,
    form: Form,
    /// Which rows are there; empty while none is null.
    validity: Vec<u64>,
}

#[derive(Debug)]
enum Form {
    Fixed(Values),
    Arrays { pending: Vec<ArrayRef>, sealed: Option<ArrayRef>, bytes: usize },
}

impl StoredRows {
    /// No rows yet, with columns of these types.
    pub fn new(types: &[DataType]) -> Self {
        let stored = |data_type: &DataType| Stored {
            data_type: data_type.clone(),
            form: match Kind::of(data_type).values() {
                Some(values) => Form::Fixed(values),
                None => Form::Arrays { pending: Vec::new(), sealed: None, bytes: 0 },
            },
            validity: Vec::new(),
        };
        StoredRows { columns: types.iter().map(stored).collect(), rows: 0 }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds the selected rows of `batch`, of its columns the ones at `columns`.
    ///
    /// Shapes: a column per type, in the types' order.
    pub fn append(&mut self, batch: &Batch, columns: &[usize]) -> Result<()> {
        assert_eq!(columns.len(), self.columns.len(), "a column per type");
        let added = batch.selected_rows();
        if self.rows + added >= u32::MAX as usize {
            return Err(Error::user("a table of rows holds at most 4 billion of them; filter or aggregate them first"));
        }
        for (stored, &column) in self.columns.iter_mut().zip(columns) {
            stored.append(&batch.columns[column], batch, self.rows, added)?;
        }
        self.rows += added;
        Ok(())
    }

    /// Ends the adding: from here on rows can be read.
    pub fn seal(&mut self) -> Result<()> {
        for stored in &mut self.columns {
            if let Form::Fixed(values) = &mut stored.form {
                shrink(values);
            } else if let Form::Arrays { pending, sealed, bytes } = &mut stored.form {
                let arrays: Vec<&dyn Array> = pending.iter().map(|array| array.as_ref()).collect();
                let whole = match arrays.len() {
                    0 => new_empty_array(&stored.data_type),
                    _ => with_few_buffers(concat(&arrays)?),
                };
                pending.clear();
                *bytes = whole.get_array_memory_size();
                *sealed = Some(whole);
            }
        }
        Ok(())
    }

    /// Writes column `column` of the rows `rows` into `out`; a row may be named several times.
    pub fn gather(&self, column: usize, rows: &[u32], out: &mut Column) -> Result<()> {
        let stored = &self.columns[column];
        match &stored.form {
            Form::Fixed(values) => stored.gather_fixed(values, rows, out),
            Form::Arrays { sealed, .. } => {
                let array = sealed.as_ref().expect("sealed before it is read");
                *out = Column::Array(take(array, &UInt32Array::from_iter_values(rows.iter().copied()), None)?);
            }
        }
        Ok(())
    }

    /// Column `column` of all rows, before `seal` or after it.
    pub fn array(&self, column: usize) -> Result<ArrayRef> {
        let stored = &self.columns[column];
        match &stored.form {
            Form::Fixed(values) => {
                let rows: Vec<u32> = (0..self.rows as u32).collect();
                let mut out = Column::default();
                stored.gather_fixed(values, &rows, &mut out);
                out.to_array(&stored.data_type, self.rows, &Default::default())
            }
            Form::Arrays { sealed: Some(array), .. } => Ok(array.clone()),
            Form::Arrays { pending, .. } => {
                let arrays: Vec<&dyn Array> = pending.iter().map(|array| array.as_ref()).collect();
                Ok(if arrays.is_empty() { new_empty_array(&stored.data_type) } else { concat(&arrays)? })
            }
        }
    }

    /// Column `column` of row `row`, as an array of length 1.
    pub fn value(&self, column: usize, row: u32) -> Result<ArrayRef> {
        let mut out = Column::default();
        self.gather(column, &[row], &mut out)?;
        out.to_array(&self.columns[column].data_type, 1, &Default::default())
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let of = |stored: &Stored| {
            let values = match &stored.form {
                Form::Fixed(values) => capacity_bytes(values),
                Form::Arrays { bytes, .. } => *bytes,
            };
            values + stored.validity.capacity() * 8
        };
        self.columns.iter().map(of).sum()
    }
}

impl Stored {
    fn append(&mut self, column: &Column, batch: &Batch, before: usize, added: usize) -> Result<()> {
        if let Form::Arrays { pending, bytes, .. } = &mut self.form {
            let mut column = column.clone();
            let array = without_waste(column.to_array(&self.data_type, batch.rows, &batch.selection)?);
            *bytes += array.get_array_memory_size();
            pending.push(array);
            return Ok(());
        }
        let loaded;
        let argument = match column {
            Column::Array(array) => {
                loaded = KernelColumn::new(Column::Array(array.clone()));
                loaded.argument(batch.rows)
            }
            Column::Flat(flat) => Argument::new(column, flat.validity(), batch.rows),
            Column::Constant(_) => Argument::new(column, None, batch.rows),
            Column::Dictionary(_) => return Err(Error::bug("a column of numbers came as a dictionary")),
        };
        let selected = batch.selection.as_slice();
        self.append_validity(&argument, selected, before, added);
        let Form::Fixed(values) = &mut self.form else { unreachable!("arrays are appended above") };
        append_values(values, &argument, selected, before, added)
    }

    fn append_validity(&mut self, column: &Argument<'_>, selected: Option<&[u16]>, before: usize, added: usize) {
        let has_nulls = column.validity().is_some() || column.constant_is_null();
        if self.validity.is_empty() && !has_nulls {
            return;
        }
        if self.validity.is_empty() {
            bitmap::fill(&mut self.validity, before, true);
        }
        self.validity.resize((before + added).div_ceil(64), 0);
        for at in 0..added {
            let row = selected.map_or(at, |selected| selected[at] as usize);
            if !has_nulls || !column.is_null(row) {
                bitmap::set(&mut self.validity, before + at);
            }
        }
    }

    fn gather_fixed(&self, values: &Values, rows: &[u32], out: &mut Column) {
        macro_rules! gather {
            ($($kind:ident),+) => {
                match values {
                    Values::Bool(words) => {
                        let to = out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
                        if let Values::Bool(to) = &mut to.values {
                            gather_bits(words, rows, to);
                        }
                        to
                    }
                    $(Values::$kind(values) => {
                        let to = out.flat_mut(|v| matches!(v, Values::$kind(_)), || Values::$kind(Vec::new()));
                        if let Values::$kind(to) = &mut to.values {
                            gather::take_u32(values, rows, to);
                        }
                        to
                    })+
                }
            };
        }
        let to = gather!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128);
        to.rows = rows.len();
        if self.validity.is_empty() {
            to.set_all_valid();
        } else {
            gather_bits(&self.validity, rows, to.validity_mut(rows.len()));
        }
    }
}

/// Adds the selected values of a column; booleans are bits from `before` on.
fn append_values(
    to: &mut Values,
    from: &Argument<'_>,
    selected: Option<&[u16]>,
    before: usize,
    added: usize,
) -> Result<()> {
    fn typed<T: Fixed>(to: &mut Vec<T>, from: &Argument<'_>, selected: Option<&[u16]>, added: usize) -> Result<()> {
        let values = from.values::<T>()?;
        match selected {
            _ if from.is_constant() => to.resize(to.len() + added, values[0]),
            None => to.extend_from_slice(values),
            Some(rows) => gather::append(values, rows, to),
        }
        Ok(())
    }
    macro_rules! append {
        ($($kind:ident),+) => {
            match to {
                Values::Bool(words) => {
                    words.resize((before + added).div_ceil(64), 0);
                    let constant = from.constant_bool() == Some(true);
                    let bits = if from.is_constant() { None } else { Some(from.bits()?) };
                    for at in 0..added {
                        let row = selected.map_or(at, |selected| selected[at] as usize);
                        if bits.map_or(constant, |bits| bitmap::get(bits, row)) {
                            bitmap::set(words, before + at);
                        }
                    }
                    Ok(())
                }
                $(Values::$kind(to) => typed(to, from, selected, added),)+
            }
        };
    }
    append!(I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, I128)
}

fn gather_bits(words: &[u64], rows: &[u32], out: &mut Vec<u64>) {
    out.clear();
    out.extend(rows.chunks(64).map(|rows| {
        let bit = |(at, &row): (usize, &u32)| (bitmap::get(words, row as usize) as u64) << at;
        rows.iter().enumerate().map(bit).fold(0, |word, bit| word | bit)
    }));
}

macro_rules! each_vector {
    ($values:expr, $vector:ident => $do:expr) => {
        match $values {
            Values::Bool($vector) => $do,
            Values::I8($vector) => $do,
            Values::I16($vector) => $do,
            Values::I32($vector) => $do,
            Values::I64($vector) => $do,
            Values::U8($vector) => $do,
            Values::U16($vector) => $do,
            Values::U32($vector) => $do,
            Values::U64($vector) => $do,
            Values::F32($vector) => $do,
            Values::F64($vector) => $do,
            Values::I128($vector) => $do,
        }
    };
}

fn capacity_bytes(values: &Values) -> usize {
    each_vector!(values, vector => std::mem::size_of_val(&vector[..]) / vector.len().max(1) * vector.capacity())
}

fn shrink(values: &mut Values) {
    each_vector!(values, vector => vector.shrink_to_fit())
}
