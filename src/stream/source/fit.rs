//! Fits the columns of a file to the columns of a table: by name, with a strict cast where types differ.
//!
//! Invariants  what comes out has exactly the table's types; a cast keeps every value or fails, naming the column.
//!             Strings are Utf8View, binary is BinaryView, wherever a schema is inferred.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::batch::engine_type;
use crate::error::{Error, Result};

/// How a file's columns become a table's.
#[derive(Debug)]
pub struct Fit {
    columns: Vec<FitColumn>,
}

#[derive(Debug)]
struct FitColumn {
    /// Column of the file.
    from: usize,
    target: FieldRef,
    cast: Cast,
}

/// What happens to the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    /// Nothing: the types are the same.
    Keep,
    /// A cast that keeps each value or fails by itself.
    Strict,
    /// A cast that may round: it is undone and compared.
    Checked,
}

/// The columns of a file that a projection needs, and where each projected column finds its own.
#[derive(Debug, Clone)]
pub struct Picked {
    /// Columns of the file, ascending, each once.
    pub file_columns: Vec<usize>,
    /// For each projected column: the column of the table, and its position in `file_columns`.
    slots: Vec<(usize, usize)>,
}

impl Fit {
    /// Finds the table's columns in a file, by name: the exact one first, then one that differs in case only.
    pub fn new(table: &Schema, file: &Schema) -> Result<Fit> {
        let column = |target: &FieldRef| FitColumn::new(find(file, target.name())?, target, file);
        Ok(Fit { columns: table.fields().iter().map(column).collect::<Result<_>>()? })
    }

    /// Takes columns as they stand: same number, same order, same names.
    pub fn by_position(table: &Schema, given: &Schema) -> Result<Fit> {
        let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        if names(table) != names(given) {
            let (table, given) = (names(table).join(", "), names(given).join(", "));
            return Err(Error::user(format!("columns are not the table's: {given}; the table has {table}")));
        }
        let column = |(from, target)| FitColumn::new(from, target, given);
        Ok(Fit { columns: table.fields().iter().enumerate().map(column).collect::<Result<_>>()? })
    }

    /// The column of the file that a column of the table is read from.
    pub fn file_column(&self, column: usize) -> usize {
        self.columns[column].from
    }

    /// Whether a column comes as it is, without a cast.
    pub fn keeps(&self, column: usize) -> bool {
        self.columns[column].cast == Cast::Keep
    }

    /// Whether every column of the table that is read from this column of the file comes as it is.
    pub fn keeps_file_column(&self, from: usize) -> bool {
        self.columns.iter().filter(|column| column.from == from).all(|column| column.cast == Cast::Keep)
    }

    /// What has to be read of the file for a projection of the table.
    pub fn pick(&self, projection: &[usize]) -> Picked {
        let mut file_columns: Vec<_> = projection.iter().map(|&column| self.columns[column].from).collect();
        file_columns.sort_unstable();
        file_columns.dedup();
        let place = |&column: &usize| {
            let place = file_columns.binary_search(&self.columns[column].from);
            (column, place.expect("collected from the same projection"))
        };
        let slots = projection.iter().map(place).collect();
        Picked { file_columns, slots }
    }

    /// The projected columns of a record that holds the picked columns of the file.
    pub fn apply(&self, picked: &Picked, record: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let column = |&(column, place): &(usize, usize)| self.columns[column].apply(record.column(place));
        picked.slots.iter().map(column).collect()
    }
}

impl FitColumn {
    fn new(from: usize, target: &FieldRef, file: &Schema) -> Result<Self> {
        let cast = choose(file.field(from).data_type(), target.data_type())
            .map_err(|e| e.context(format!("column '{}'", target.name())))?;
        Ok(FitColumn { from, target: target.clone(), cast })
    }

    fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let target = &self.target;
        if !target.is_nullable() && array.null_count() > 0 {
            return Err(Error::user(format!("column is declared NOT NULL but holds nulls: '{}'", target.name())));
        }
        if self.cast == Cast::Keep {
            return Ok(array.clone());
        }
        let failed = |e: arrow::error::ArrowError| {
            Error::user(format!("column '{}' does not fit {}: {}", target.name(), target.data_type(), Error::from(e)))
        };
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let result = cast_with_options(array, target.data_type(), &strict).map_err(failed)?;
        if self.cast == Cast::Checked {
            let back = cast_with_options(&result, array.data_type(), &strict).map_err(failed)?;
            if back.as_ref() != array.as_ref() {
                return Err(self.inexact(array, &back));
            }
        }
        Ok(result)
    }

    /// The error for the first value that a cast there and back has changed.
    fn inexact(&self, array: &ArrayRef, back: &ArrayRef) -> Error {
        let differs = |row: &usize| array.slice(*row, 1).as_ref() != back.slice(*row, 1).as_ref();
        let row = (0..array.len()).find(differs).unwrap_or_default();
        let value = arrow::util::display::array_value_to_string(array, row).unwrap_or_default();
        let (name, target) = (self.target.name(), self.target.data_type());
        Error::user(format!(
            "column '{name}' does not fit {target} exactly: {value}; declare it as {}",
            array.data_type()
        ))
    }
}

/// The column of that name.
fn find(file: &Schema, name: &str) -> Result<usize> {
    let lower = name.to_lowercase();
    let named = |like: &dyn Fn(&str) -> bool| -> Vec<usize> {
        (0..file.fields().len()).filter(|&column| like(file.field(column).name())).collect()
    };
    let mut found = named(&|column| column == name);
    if found.is_empty() {
        found = named(&|column| column.to_lowercase() == lower);
    }
    match found[..] {
        [column] => Ok(column),
        [] => {
            let has: Vec<_> = file.fields().iter().map(|field| format!("'{}'", field.name())).collect();
            Err(Error::user(format!("column is not in the file: '{name}'; the file has {}", has.join(", "))))
        }
        _ => Err(Error::user(format!("column is more than once in the file: '{name}'"))),
    }
}

/// What to do to values of type `from` where the table says `to`.
fn choose(from: &DataType, to: &DataType) -> Result<Cast> {
    if from == to {
        return Ok(Cast::Keep);
    }
    if !can_cast_types(from, to) {
        return Err(Error::user(format!("type in the file, {from}, does not fit the declared type, {to}")));
    }
    let text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    // Text is parsed or printed: back it would not read the same, but nothing is lost.
    let strict = text(from) || text(to) || engine_type(from) == engine_type(to) || from == &DataType::Null;
    if !strict && !can_cast_types(to, from) {
        return Err(Error::user(format!("type in the file, {from}, does not fit the declared type, {to}")));
    }
    Ok(if strict { Cast::Strict } else { Cast::Checked })
}

/// The schema a table gets from a file: normal types, nullable, without the file's notes.
pub fn normal_schema(file: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| Field::new(field.name(), engine_type(field.data_type()), true);
    Arc::new(Schema::new(file.fields().iter().map(field).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array, Int64Array, StringArray, StringViewArray, TimestampNanosecondArray};
    use arrow::datatypes::TimeUnit;

    fn fit(target: DataType, array: ArrayRef) -> Result<ArrayRef> {
        let file = RecordBatch::try_from_iter([("A", array)]).unwrap();
        let table = Schema::new(vec![Field::new("a", target, true)]);
        let fit = Fit::new(&table, file.schema_ref())?;
        Ok(fit.apply(&fit.pick(&[0]), &file)?.remove(0))
    }

    #[test]
    fn casts_keep_every_value() {
        let column = fit(DataType::Int32, Arc::new(Int64Array::from(vec![Some(1), None]))).unwrap();
        assert_eq!(column.as_ref(), &Int32Array::from(vec![Some(1), None]) as &dyn Array);
        let column = fit(DataType::Utf8View, Arc::new(StringArray::from(vec!["x"]))).unwrap();
        assert_eq!(column.as_ref(), &StringViewArray::from(vec!["x"]) as &dyn Array);
        let column = fit(DataType::Float64, Arc::new(StringArray::from(vec!["01.50"]))).unwrap();
        assert_eq!(column.as_ref(), &Float64Array::from(vec![1.5]) as &dyn Array);
        assert!(fit(DataType::Int64, Arc::new(Float64Array::from(vec![2.0, -3.0]))).is_ok());
    }

    #[test]
    fn casts_that_lose_are_errors() {
        let message = |target, array| fit(target, array).unwrap_err().to_string();
        let text = message(DataType::Int64, Arc::new(Float64Array::from(vec![2.0, 2.5])));
        assert_eq!(text, "column 'a' does not fit Int64 exactly: 2.5; declare it as Float64");
        let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, None);
        let text = message(milliseconds, Arc::new(TimestampNanosecondArray::from(vec![1_000_001])));
        assert!(text.contains("does not fit Timestamp(ms) exactly: 1970-01-01T00:00:00.001000001"), "{text}");
        assert!(
            message(DataType::Int8, Arc::new(Int64Array::from(vec![300]))).contains("column 'a' does not fit Int8")
        );
        assert!(message(DataType::Int64, Arc::new(StringArray::from(vec!["x"]))).contains("column 'a'"));
        let list = DataType::new_list(DataType::Int64, true);
        assert!(message(DataType::Boolean, arrow::array::new_empty_array(&list)).contains("column 'a'"));
    }

    #[test]
    fn missing_columns_are_named() {
        let file = Schema::new(vec![Field::new("b", DataType::Int32, true)]);
        let table = Schema::new(vec![Field::new("a", DataType::Int32, true)]);
        let message = Fit::new(&table, &file).unwrap_err().to_string();
        assert_eq!(message, "column is not in the file: 'a'; the file has 'b'");
    }

    #[test]
    fn columns_are_found_by_exact_name_first() {
        let file = Schema::new(["ID", "id", "Name"].map(|name| Field::new(name, DataType::Int32, true)).to_vec());
        assert_eq!(find(&file, "id").unwrap(), 1);
        assert_eq!(find(&file, "name").unwrap(), 2);
        assert!(find(&file, "Id").is_err());
    }
}
