//! An aligned table for people: header, rows, and how many there were.
//!
//! Owns        the first rows, until there are enough to decide the widths, or somebody wants to see them.
//! Invariants  widths are decided once; later text that is wider is cut with `…`, later numbers push the line out.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Encoder;
use super::cell::Cells;
use crate::error::Result;

/// Rows that decide the widths.
const ROWS_HELD: usize = 1000;
/// Columns of the screen that a cell takes at most.
const CELL_WIDTH_MAX: usize = 60;

/// Writes an aligned table.
pub struct TableEncoder {
    names: Vec<String>,
    numbers: Vec<bool>,
    /// Cells of the first rows, row by row.
    held: Vec<String>,
    /// Widths, once they are decided.
    widths: Option<Vec<usize>>,
    rows: u64,
}

impl TableEncoder {
    pub fn new(schema: &SchemaRef) -> Self {
        let fields = schema.fields().iter();
        TableEncoder {
            names: fields.clone().map(|field| printable(field.name())).collect(),
            numbers: fields.map(|field| Cells::is_number(field.data_type())).collect(),
            held: Vec::new(),
            widths: None,
            rows: 0,
        }
    }

    /// Decides the widths and writes the header and the rows held so far.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.widths.is_some() {
            return;
        }
        let mut widths: Vec<_> = self.names.iter().map(|name| name.width().min(CELL_WIDTH_MAX)).collect();
        for (index, cell) in self.held.iter().enumerate() {
            let column = index % self.names.len();
            let width = if self.numbers[column] { cell.width() } else { cell.width().min(CELL_WIDTH_MAX) };
            widths[column] = widths[column].max(width);
        }
        self.widths = Some(widths);
        let names = std::mem::take(&mut self.names);
        self.write_row(&names, true, out);
        let rule: Vec<_> = self.widths.iter().flatten().map(|&width| "-".repeat(width + 2)).collect();
        out.extend_from_slice(rule.join("+").as_bytes());
        out.push(b'\n');
        let held = std::mem::take(&mut self.held);
        if !names.is_empty() {
            held.chunks(names.len()).for_each(|row| self.write_row(row, false, out));
        }
        self.names = names;
    }

    fn write_row(&self, cells: &[String], is_header: bool, out: &mut Vec<u8>) {
        let widths = self.widths.as_deref().expect("widths are decided before the first row");
        let last = cells.len().saturating_sub(1);
        for (column, (cell, &width)) in cells.iter().zip(widths).enumerate() {
            out.extend_from_slice(if column > 0 { b"| " } else { b" " });
            let number = self.numbers[column] && !is_header;
            let cut = if number { None } else { cut(cell, width) };
            let shown = cut.as_deref().unwrap_or(cell);
            let padding = width.saturating_sub(shown.width());
            let pad = |out: &mut Vec<u8>| out.resize(out.len() + padding, b' ');
            if self.numbers[column] {
                pad(out);
            }
            out.extend_from_slice(shown.as_bytes());
            if !self.numbers[column] && column < last {
                pad(out);
            }
            if column < last {
                out.push(b' ');
            }
        }
        out.push(b'\n');
    }
}

impl Encoder for TableEncoder {
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = rows.columns().iter().map(Cells::new).collect::<Result<Vec<_>>>()?;
        let mut cells = Vec::with_capacity(columns.len());
        let mut text = Vec::new();
        for row in 0..rows.num_rows() {
            cells.clear();
            for column in &columns {
                text.clear();
                match column.is_null(row) {
                    true => text.extend_from_slice(b"NULL"),
                    false => column.write(row, &mut text),
                }
                cells.push(printable(&String::from_utf8_lossy(&text)));
            }
            self.rows += 1;
            if self.widths.is_some() {
                self.write_row(&cells, false, out);
                continue;
            }
            self.held.append(&mut cells);
            if self.rows as usize == ROWS_HELD {
                self.begin(out);
            }
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.rows > 0 {
            self.begin(out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.begin(out);
        let end = if self.rows == 1 { "(1 row)\n".to_string() } else { format!("({} rows)\n", self.rows) };
        out.extend_from_slice(end.as_bytes());
        Ok(())
    }
}

/// The text with what would break a line, or the terminal, shown by its escape.
fn printable(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_string();
    }
    let show = |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.into() };
    text.chars().map(show).collect()
}

/// The beginning of a text that is too wide, with `…`.
fn cut(text: &str, width: usize) -> Option<String> {
    if text.width() <= width {
        return None;
    }
    let mut left = width.saturating_sub(1);
    let fits = |letter: &char| {
        let needed = letter.width().unwrap_or(0);
        let fits = needed <= left;
        left = left.saturating_sub(needed);
        fits
    };
    Some(text.chars().take_while(fits).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use std::sync::Arc;

    fn rows(words: Vec<Option<&str>>, numbers: Vec<Option<i64>>) -> RecordBatch {
        let columns =
            [("word", Arc::new(StringArray::from(words)) as ArrayRef), ("n", Arc::new(Int64Array::from(numbers)))];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn aligns_by_width_on_the_screen() {
        let rows = rows(vec![Some("日本"), Some("a\nb"), None], vec![Some(1), None, Some(-100)]);
        let mut out = Vec::new();
        let mut encoder = TableEncoder::new(&rows.schema());
        encoder.encode(&rows, &mut out).unwrap();
        assert!(out.is_empty(), "widths are not decided yet");
        encoder.finish(&mut out).unwrap();
        let expected =
            [" word |    n", "------+------", " 日本 |    1", " a\\nb | NULL", " NULL | -100", "(3 rows)", ""];
        assert_eq!(String::from_utf8(out).unwrap(), expected.join("\n"));
    }

    #[test]
    fn later_rows_keep_the_widths() {
        let mut out = Vec::new();
        let first = rows(vec![Some("abcde")], vec![Some(7)]);
        let mut encoder = TableEncoder::new(&first.schema());
        encoder.flush(&mut out).unwrap();
        assert!(out.is_empty(), "nothing to show yet");
        encoder.encode(&first, &mut out).unwrap();
        encoder.flush(&mut out).unwrap();
        let shown = String::from_utf8(std::mem::take(&mut out)).unwrap();
        assert_eq!(shown, " word  | n\n-------+---\n abcde | 7\n");
        encoder.encode(&rows(vec![Some("abcdefg")], vec![Some(1234)]), &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), " abcd… | 1234\n(2 rows)\n");
    }

    #[test]
    fn long_cells_are_cut() {
        let long = "x".repeat(100);
        let rows = rows(vec![Some(&long)], vec![None]);
        let mut out = Vec::new();
        let mut encoder = TableEncoder::new(&rows.schema());
        encoder.encode(&rows, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(&format!(" {}… | NULL\n", "x".repeat(59))), "{text}");
        assert!(text.ends_with("(1 row)\n"));
    }
}
