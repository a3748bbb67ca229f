//! Which field of a file is which column of the table.

use arrow::datatypes::Schema;

use super::CsvOptions;
use super::field::split;
use crate::error::{Error, Result};

/// The fields of a file's rows, and which of them the columns are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Fields per row.
    pub fields: usize,
    /// For each projected column, its field.
    pub columns: Vec<usize>,
}

impl Layout {
    /// Fields in the table's order.
    pub fn in_order(schema: &Schema, projection: &[usize]) -> Self {
        Layout { fields: schema.fields().len(), columns: projection.to_vec() }
    }

    /// As the header line `header` says: by name, upper and lower case alike, when it names every column of the table;
    /// in order, when it names none and has as many fields.
    ///
    /// Failure: a header that names some columns but not all, or has another number of fields.
    pub fn of_header(header: &[u8], options: &CsvOptions, schema: &Schema, projection: &[usize]) -> Result<Self> {
        let names = split(header, options);
        let find = |wanted: &str| {
            let exact = names.iter().position(|name| name == wanted);
            exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
        };
        let found: Vec<_> = schema.fields().iter().map(|field| find(field.name())).collect();
        if let Some(by_name) = found.iter().copied().collect::<Option<Vec<_>>>() {
            let columns = projection.iter().map(|&column| by_name[column]).collect();
            return Ok(Layout { fields: names.len(), columns });
        }
        if let Some(at) = found.iter().position(|found| found.is_none()).filter(|_| found.iter().any(Option::is_some)) {
            let name = schema.field(at).name();
            return Err(Error::user(format!(
                "header lacks a column of the table: {name}; it has {}",
                names.join(", ")
            )));
        }
        if names.len() != schema.fields().len() {
            return Err(Error::user(format!(
                "header does not fit the table: {} columns wanted, {} found; if the first line is a row, set 'header' = 'false'",
                schema.fields().len(),
                names.len()
            )));
        }
        Ok(Layout::in_order(schema, projection))
    }
}
