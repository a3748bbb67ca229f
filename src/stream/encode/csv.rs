//! CSV, as RFC 4180 has it, with the options that reading has: lines end in `\n`, a null is nothing unless the option
//! 'null' gives it a word, a string that reads like a null is quoted.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Encoder;
use super::cell::Cells;
use super::names::unique_names;
use crate::error::{Error, Result};
use crate::pipeline::options::Options;
use crate::stream::decode::csv::CsvOptions;

/// Writes CSV.
pub struct CsvEncoder {
    style: Style,
    /// The header, until it is written.
    header: Option<Vec<String>>,
    cell: Vec<u8>,
}

/// How fields are written.
struct Style {
    delimiter: u8,
    quote: Option<u8>,
    /// What stands before a quote inside quotes.
    escape: u8,
    nulls: Vec<String>,
}

impl CsvEncoder {
    /// `delimiter` counts where the options name none.
    pub fn new(schema: &SchemaRef, delimiter: u8, options: CsvOptions, continues: bool) -> Self {
        let header = (options.has_header() && !continues).then(|| unique_names(schema));
        let quote = options.quote;
        let escape = options.escape.or(quote).unwrap_or(b'"');
        let style = Style { delimiter: options.delimiter.unwrap_or(delimiter), quote, escape, nulls: options.nulls };
        CsvEncoder { style, header, cell: Vec::new() }
    }

    /// With the options that reading has.
    pub fn from_options(schema: &SchemaRef, delimiter: u8, options: &mut Options, continues: bool) -> Result<Self> {
        Ok(Self::new(schema, delimiter, CsvOptions::take(options)?, continues))
    }

    fn write_header(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(names) = self.header.take() else { return Ok(()) };
        for (column, name) in names.iter().enumerate() {
            if column > 0 {
                out.push(self.style.delimiter);
            }
            self.style.write_field(name.as_bytes(), out)?;
        }
        out.push(b'\n');
        Ok(())
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.write_header(out)?;
        let columns = rows.columns().iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        for row in 0..rows.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.style.delimiter);
                }
                if column.is_null(row) {
                    out.extend_from_slice(self.style.nulls.first().map_or(b"", |null| null.as_bytes()));
                    continue;
                }
                self.cell.clear();
                column.write(row, &mut self.cell);
                self.style.write_field(&self.cell, out)?;
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.write_header(out)
    }
}

impl Style {
    /// Appends a field, in quotes where it needs them.
    fn write_field(&self, field: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if !self.needs_quotes(field) {
            out.extend_from_slice(field);
            return Ok(());
        }
        let Some(quote) = self.quote else {
            let field = String::from_utf8_lossy(field);
            return Err(Error::user(format!(
                "value cannot be written without quotes: '{field}'; set the option 'quote'"
            )));
        };
        out.push(quote);
        for &byte in field {
            if byte == quote || byte == self.escape {
                out.push(self.escape);
            }
            out.push(byte);
        }
        out.push(quote);
        Ok(())
    }

    fn needs_quotes(&self, field: &[u8]) -> bool {
        let special = |byte: &u8| *byte == self.delimiter || Some(*byte) == self.quote || matches!(byte, b'\n' | b'\r');
        let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        blank(field.first())
            || blank(field.last())
            || field.iter().any(special)
            || self.nulls.iter().any(|null| null.as_bytes() == field)
    }
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
        let mut encoder = CsvEncoder::new(&rows.schema(), b',', CsvOptions::default(), false);
        encoder.encode(&rows, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        let expected = "w,w_1\n\"a,b\",1\n\"say \"\"hi\"\"\",\n\"\",3\n,4\n\"two\nlines\",5\n\" x\",6\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_result_without_rows_has_a_header() {
        let rows = RecordBatch::try_from_iter([("a\tb", Arc::new(Int64Array::from(vec![0; 0])) as ArrayRef)]).unwrap();
        let mut out = Vec::new();
        CsvEncoder::new(&rows.schema(), b'\t', CsvOptions::default(), false).finish(&mut out).unwrap();
        assert_eq!(out, b"\"a\tb\"\n");
    }

    #[test]
    fn options_of_reading_hold_for_writing() {
        let words = StringArray::from(vec![Some("a'b"), Some("x;y"), Some(""), Some("NA"), None]);
        let rows = RecordBatch::try_from_iter([("w", Arc::new(words) as ArrayRef)]).unwrap();
        let encode = |given: &[(&str, &str)], continues| {
            let given = given.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            let mut out = Vec::new();
            let mut encoder =
                CsvEncoder::from_options(&rows.schema(), b';', &mut Options::new(&given), continues).unwrap();
            encoder.encode(&rows, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        let options = [("quote", "'"), ("escape", "\\"), ("null", "NA")];
        assert_eq!(encode(&options, true).unwrap(), "'a\\'b'\n'x;y'\n\n'NA'\nNA\n");
        assert_eq!(encode(&[("header", "false")], false).unwrap(), "a'b\n\"x;y\"\n\"\"\nNA\n\n");
        let message = encode(&[("quote", "")], false).unwrap_err().to_string();
        assert_eq!(message, "value cannot be written without quotes: 'x;y'; set the option 'quote'");
    }
}
