//! Rows as text, both ways: `00:00:05 | 7 | NULL`.
//!
//! Times of 1970-01-01 are written without their date, so that scripts may count seconds from zero.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::stage::Emission;
use crate::batch::Change;
use crate::error::{Error, Result};

const SEPARATOR: char = '|';
const FIRST_DAY: &str = "1970-01-01T";

/// Reads lines of values into columns of `schema`. Missing values at the end of a line are null.
pub(super) fn rows(schema: &SchemaRef, lines: &[&str]) -> Result<RecordBatch> {
    let columns = schema.fields().len();
    let mut cells: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(lines.len()); columns];
    for line in lines {
        let values: Vec<&str> = line.split(SEPARATOR).map(str::trim).collect();
        if values.len() > columns {
            return Err(Error::user(format!(
                "a row has more values than the table has columns: {line}; there are {columns}"
            )));
        }
        for (column, cells) in cells.iter_mut().enumerate() {
            cells.push(values.get(column).filter(|value| **value != "NULL").map(|value| unquoted(value)));
        }
    }
    let arrays = cells.into_iter().zip(schema.fields()).map(|(cells, field)| {
        array(cells, field.data_type()).map_err(|e| e.context(format!("column {}", field.name())))
    });
    let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays.collect::<Result<_>>()?, &options)?)
}

/// What stands in front of lines, and the lines without it; `None`: nothing does.
pub(super) fn changes<'a>(lines: &[&'a str]) -> (Option<Vec<Change>>, Vec<&'a str>) {
    const ALL: [Change; 4] = [Change::INSERT, Change::UPDATE_BEFORE, Change::UPDATE_AFTER, Change::DELETE];
    let split = |line: &&'a str| {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match ALL.into_iter().find(|change| change.word() == word) {
            Some(change) => (Some(change), rest),
            None => (None, *line),
        }
    };
    let split: Vec<(Option<Change>, &str)> = lines.iter().map(split).collect();
    let told = split.iter().any(|(change, _)| change.is_some());
    let changes = split.iter().map(|(change, _)| change.unwrap_or(Change::INSERT)).collect();
    (told.then_some(changes), split.into_iter().map(|(_, line)| line).collect())
}

/// `'text'` without its quotes: so values may be empty, or be the word NULL.
fn unquoted(value: &str) -> String {
    let inside = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    inside.unwrap_or(value).to_string()
}

fn array(cells: Vec<Option<String>>, data_type: &DataType) -> Result<ArrayRef> {
    let cells: Vec<Option<String>> = match data_type {
        DataType::Timestamp(..) => cells.into_iter().map(|cell| cell.map(|text| with_date(&text))).collect(),
        _ => cells,
    };
    let text: ArrayRef = Arc::new(StringArray::from(cells));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&text, data_type, &options).map_err(|e| Error::user(format!("a value cannot be read: {e}")))
}

fn with_date(text: &str) -> String {
    let is_time = text.as_bytes().get(2) == Some(&b':');
    if is_time { format!("{FIRST_DAY}{text}") } else { text.to_string() }
}

/// Reads a point in time as ticks of `unit`.
pub(super) fn ticks(text: &str, unit: TimeUnit) -> Result<i64> {
    let parsed = array(vec![Some(text.to_string())], &DataType::Timestamp(unit, None))?;
    let ticks = cast_with_options(&parsed, &DataType::Int64, &CastOptions::default())?;
    use arrow::array::AsArray;
    Ok(ticks.as_primitive::<arrow::datatypes::Int64Type>().value(0))
}

/// A line per row; changes in front where there are some, and the sink's name where it is not the query's own.
pub(super) fn lines(emission: &Emission, updating: bool) -> Result<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns = emission.rows.columns();
    let formatters: Vec<_> =
        columns.iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
    let mut lines = Vec::with_capacity(emission.rows.num_rows());
    for row in 0..emission.rows.num_rows() {
        let values = formatters.iter().zip(columns).map(|(formatter, column)| {
            let value = formatter.value(row).to_string();
            match column.data_type() {
                DataType::Timestamp(..) => value.strip_prefix(FIRST_DAY).unwrap_or(&value).to_string(),
                DataType::Utf8 | DataType::Utf8View
                    if !column.is_null(row) && (value.is_empty() || value == "NULL") =>
                {
                    format!("'{value}'")
                }
                _ => value,
            }
        });
        let mut line = values.collect::<Vec<_>>().join(" | ");
        match &emission.changes {
            Some(changes) => line = format!("{} {line}", changes[row].word()),
            None if updating && emission.sink.is_none() => line = format!("+I {line}"),
            None => {}
        }
        if let Some(sink) = &emission.sink {
            line = format!("{sink}: {line}");
        }
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, Schema};

    #[test]
    fn rows_survive_the_way_there_and_back() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, None), true),
            Field::new("n", DataType::Int64, true),
            Field::new("s", DataType::Utf8View, true),
        ]));
        let written = ["00:00:05 | 7 | a b", "2024-02-29T00:00:00.001 | NULL | ''", "NULL | -1 | NULL"];
        let rows = rows(&schema, &written).expect("the lines are well formed");
        let emission = Emission { sink: None, rows, changes: None };
        assert_eq!(lines(&emission, false).expect("rows can be shown"), written);
    }

    #[test]
    fn reads_points_in_time() {
        assert_eq!(ticks("00:01:00", TimeUnit::Millisecond).expect("a time"), 60_000);
        assert!(ticks("soon", TimeUnit::Second).is_err());
    }
}
