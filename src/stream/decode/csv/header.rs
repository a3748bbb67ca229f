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
        let given = split(header, options);
        let names = column_names(given.iter().map(String::as_str));
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

/// The columns' names from the fields of a header: no name becomes `column` and its number from 0, one that was there
/// before gets a number behind it.
pub fn column_names<'a>(header: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (column, given) in header.into_iter().enumerate() {
        let wanted = match given.trim() {
            "" => format!("column{column}"),
            given => given.to_string(),
        };
        let mut name = wanted.clone();
        for number in 1.. {
            if !names.contains(&name) {
                break;
            }
            name = format!("{wanted}_{number}");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    fn check(header: &str, wanted: Option<(usize, &[usize])>) {
        let schema = Schema::new(["a", "b"].map(|name| Field::new(name, DataType::Int64, true)).to_vec());
        let found = Layout::of_header(header.as_bytes(), &CsvOptions::default(), &schema, &[1, 0]);
        let wanted = wanted.map(|(fields, columns)| Layout { fields, columns: columns.to_vec() });
        assert_eq!(found.ok(), wanted, "{header}");
    }

    #[test]
    fn columns_are_found_by_name_or_else_in_order() {
        check("a,b\r\n", Some((2, &[1, 0])));
        check("B,more,\"A\"\n", Some((3, &[0, 2])));
        check("x,y\n", Some((2, &[1, 0])));
        check("x,y,z\n", None);
        check("a,y\n", None);
    }

    #[test]
    fn every_column_gets_a_name_of_its_own() {
        assert_eq!(column_names(["a", "", "a", "a_1", " a "]), ["a", "column1", "a_1", "a_1_1", "a_2"]);
    }
}
