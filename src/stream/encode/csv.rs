//! CSV, as RFC 4180 has it: lines end in `\n`, a null is nothing, an empty string is `""`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Encoder;
use super::cell::Cells;
use super::names::unique_names;
use crate::error::{Error, Result};
use crate::stream::option::Options;

/// Writes CSV.
pub struct CsvEncoder {
    delimiter: u8,
    /// The header, until it is written.
    header: Option<Vec<String>>,
    cell: Vec<u8>,
}

impl CsvEncoder {
    pub fn new(schema: &SchemaRef, delimiter: u8, header: bool) -> Self {
        CsvEncoder { delimiter, header: header.then(|| unique_names(schema)), cell: Vec::new() }
    }

    /// With the options 'delimiter' and 'header'.
    pub fn from_options(schema: &SchemaRef, delimiter: u8, options: &Options) -> Result<Self> {
        let delimiter = options.byte("delimiter")?.unwrap_or(delimiter);
        if matches!(delimiter, b'"' | b'\n' | b'\r') {
            return Err(Error::user("option 'delimiter' is a quote or a line end; use another character"));
        }
        Ok(Self::new(schema, delimiter, options.flag("header", true)?))
    }

    fn write_header(&mut self, out: &mut Vec<u8>) {
        let Some(names) = self.header.take() else { return };
        for (column, name) in names.iter().enumerate() {
            if column > 0 {
                out.push(self.delimiter);
            }
            write_field(name.as_bytes(), self.delimiter, out);
        }
        out.push(b'\n');
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.write_header(out);
        let columns = rows.columns().iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        for row in 0..rows.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                if !column.is_null(row) {
                    self.cell.clear();
                    column.write(row, &mut self.cell);
                    write_field(&self.cell, self.delimiter, out);
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.write_header(out);
        Ok(())
    }
}

/// Appends a field, in quotes where it needs them.
fn write_field(field: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let special = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    let edge = |byte: Option<&u8>| matches!(byte, None | Some(b' ' | b'\t'));
    if !edge(field.first()) && !edge(field.last()) && !field.iter().any(special) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for &byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn quotes_where_needed_and_tells_null_from_empty() {
        let words =
            StringArray::from(vec![Some("a,b"), Some("say \"hi\""), Some(""), None, Some("two\nlines"), Some(" x")]);
        let numbers = Int64Array::from(vec![Some(1), None, Some(3), Some(4), Some(5), Some(6)]);
        let rows = RecordBatch::try_from_iter([("w", Arc::new(words) as ArrayRef), ("w", Arc::new(numbers))]).unwrap();
        let mut out = Vec::new();
        let mut encoder = CsvEncoder::new(&rows.schema(), b',', true);
        encoder.encode(&rows, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        let expected = "w,w_1\n\"a,b\",1\n\"say \"\"hi\"\"\",\n\"\",3\n,4\n\"two\nlines\",5\n\" x\",6\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_result_without_rows_has_a_header() {
        let rows = RecordBatch::try_from_iter([("a\tb", Arc::new(Int64Array::from(vec![0; 0])) as ArrayRef)]).unwrap();
        let mut out = Vec::new();
        CsvEncoder::new(&rows.schema(), b'\t', true).finish(&mut out).unwrap();
        assert_eq!(out, b"\"a\tb\"\n");
    }
}
