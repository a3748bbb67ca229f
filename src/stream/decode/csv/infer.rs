//! Names and types of a CSV file, its delimiter and whether it has a header, from a sample of it.

use arrow::datatypes::{DataType, Field, Schema};

use super::field::split_fields;
use super::header::column_names;
use super::{CsvOptions, Cutter, Header};
use crate::error::{Error, Result};
use crate::stream::decode::infer::Narrowest;

/// Rows looked at.
const ROWS_MAX: usize = 10_000;
/// Rows that the delimiter is found out from.
const DELIMITER_ROWS: usize = 100;
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What a sample says about a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    pub schema: Schema,
    /// The options given, with what was left open filled in.
    pub options: CsvOptions,
}

type Row = Vec<(String, bool)>;

/// Finds out what a file looks like from its first bytes, which may end anywhere.
///
/// Failure: a sample without a whole line.
pub fn infer(sample: &[u8], options: &CsvOptions) -> Result<Inferred> {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let mut options = options.clone();
    if options.delimiter.is_none() {
        options.delimiter = Some(delimiter(sample, &options, None));
    }
    let rows = rows(sample, &options, ROWS_MAX + 1);
    let Some((first, rest)) = rows.split_first() else {
        return Err(Error::user("columns cannot be found out from an empty file; declare them"));
    };
    if options.header == Header::Auto {
        options.header = if is_header(first, rest, &options) { Header::Yes } else { Header::No };
    }
    let has_header = options.header == Header::Yes;
    let (count, body) = if has_header { (first.len(), rest) } else { (usual_count(&rows), &rows[..]) };
    let types = types(body, count, &options);
    let names = match has_header {
        true => column_names(first.iter().map(|(text, _)| text.as_str())),
        false => column_names(std::iter::repeat_n("", count)),
    };
    let ends_with_delimiter = count > 1
        && (!has_header || first[count - 1].0.trim().is_empty())
        && body.iter().all(|row| row.get(count - 1).is_none_or(|(text, _)| text.is_empty()));
    let kept = if ends_with_delimiter { count - 1 } else { count };
    let fields: Vec<Field> =
        names.into_iter().zip(types).take(kept).map(|(name, t)| Field::new(name, t, true)).collect();
    Ok(Inferred { schema: Schema::new(fields), options })
}

/// Fills in what the options leave open, for a table of `columns` columns.
pub fn sniff(sample: &[u8], options: &CsvOptions, columns: usize) -> CsvOptions {
    let sample = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample);
    let mut options = options.clone();
    if options.delimiter.is_none() {
        options.delimiter = Some(if columns == 1 { b',' } else { delimiter(sample, &options, Some(columns)) });
    }
    if options.header == Header::Auto {
        let rows = rows(sample, &options, DELIMITER_ROWS);
        let has_header = rows.split_first().is_none_or(|(first, rest)| is_header(first, rest, &options));
        options.header = if has_header { Header::Yes } else { Header::No };
    }
    options
}

/// The first whole rows; the last line counts when it is the only one.
fn rows(sample: &[u8], options: &CsvOptions, rows_max: usize) -> Vec<Row> {
    let cutter = Cutter::new(options);
    let mut rows = Vec::new();
    let mut rest = sample;
    while rows.len() < rows_max && !rest.is_empty() {
        let length = match cutter.first(rest) {
            Some(length) => length,
            None if rows.is_empty() => rest.len(),
            None => break,
        };
        let row = split_fields(&rest[..length], options);
        if row.len() > 1 || !row[0].0.is_empty() {
            rows.push(row);
        }
        rest = &rest[length..];
    }
    rows
}

/// The delimiter that cuts most rows into the same number of fields: as many as are wanted, or else more than one.
fn delimiter(sample: &[u8], options: &CsvOptions, wanted: Option<usize>) -> u8 {
    let score = |delimiter: u8| {
        let rows = rows(sample, &CsvOptions { delimiter: Some(delimiter), ..options.clone() }, DELIMITER_ROWS);
        let count = usual_count(&rows);
        let alike = rows.iter().filter(|row| row.len() == count).count();
        // Quoted fields show only with the right delimiter around them.
        let quoted = rows.iter().flatten().filter(|(_, is_quoted)| *is_quoted).count();
        let share = alike * 100 / rows.len().max(1);
        if count > 1 { (wanted == Some(count), share, quoted, count) } else { (false, 0, 0, 0) }
    };
    let mut best = (b',', score(b','));
    for candidate in DELIMITERS {
        let found = score(candidate);
        if found > best.1 {
            best = (candidate, found);
        }
    }
    best.0
}

/// The number of fields that most rows have.
fn usual_count(rows: &[Row]) -> usize {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for row in rows {
        match counts.iter_mut().find(|(count, _)| *count == row.len()) {
            Some((_, rows)) => *rows += 1,
            None => counts.push((row.len(), 1)),
        }
    }
    counts.iter().max_by_key(|(count, rows)| (*rows, *count)).map_or(1, |(count, _)| *count)
}

fn types(rows: &[Row], count: usize, options: &CsvOptions) -> Vec<DataType> {
    narrowest(rows, count, options).into_iter().map(Narrowest::data_type).collect()
}

fn narrowest(rows: &[Row], count: usize, options: &CsvOptions) -> Vec<Narrowest> {
    let mut types = vec![Narrowest::Nothing; count];
    for row in rows {
        for ((text, _), narrowest) in row.iter().zip(&mut types) {
            *narrowest = narrowest.and(of_field(text, options));
        }
    }
    types
}

fn of_field(text: &str, options: &CsvOptions) -> Narrowest {
    let trimmed = text.trim();
    if trimmed.is_empty() || options.nulls.iter().any(|null| null == trimmed) {
        return Narrowest::Nothing;
    }
    Narrowest::of(trimmed.as_bytes())
}

/// Whether the first row names the columns: it does not fit the types of the others, or all is text and its own words
/// do not come again.
fn is_header(first: &Row, rest: &[Row], options: &CsvOptions) -> bool {
    let types = narrowest(rest, first.len(), options);
    let own: Vec<_> = first.iter().map(|(text, _)| of_field(text, options)).collect();
    if own.iter().any(|own| !matches!(own, Narrowest::Text | Narrowest::Nothing)) {
        return false;
    }
    if own.iter().zip(&types).any(|(own, below)| *own == Narrowest::Text && below.and(*own) != *below) {
        return true;
    }
    let is_repeated =
        |column: usize| rest.iter().any(|row| row.get(column).is_some_and(|field| field.0 == first[column].0));
    let is_unique = |column: usize| !first[..column].iter().any(|(text, _)| *text == first[column].0);
    (0..first.len()).all(|column| own[column] == Narrowest::Text && is_unique(column) && !is_repeated(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sample: &str, options: CsvOptions, wanted: &[(&str, DataType)]) -> CsvOptions {
        let found = infer(sample.as_bytes(), &options).unwrap();
        let columns: Vec<_> =
            found.schema.fields().iter().map(|f| (f.name().as_str(), f.data_type().clone())).collect();
        assert_eq!(columns, wanted, "{sample}");
        found.options
    }

    fn auto() -> CsvOptions {
        CsvOptions { header: Header::Auto, ..CsvOptions::default() }
    }

    #[test]
    fn types_are_the_narrowest_that_hold_all_values() {
        use arrow::datatypes::TimeUnit::Microsecond;
        let sample = "i,f,b,d,t,s,n,long\n1,1,true,2024-01-01,2024-01-01,x,,1\n-2,2.5,False,2024-02-29,2024-01-01 10:00:00,1,,99999999999999999999\n";
        let text = DataType::Utf8View;
        let wanted = [
            ("i", DataType::Int64),
            ("f", DataType::Float64),
            ("b", DataType::Boolean),
            ("d", DataType::Date32),
            ("t", DataType::Timestamp(Microsecond, None)),
            ("s", text.clone()),
            ("n", text.clone()),
            ("long", text),
        ];
        check(sample, CsvOptions::default(), &wanted);
    }

    #[test]
    fn delimiter_and_header_are_found_out() {
        let (text, int) = (DataType::Utf8View, DataType::Int64);
        let found = check("a;b\n\"x;\n1,2\";1\ny,z;2\nhalf;", auto(), &[("a", text.clone()), ("b", int.clone())]);
        assert_eq!((found.delimiter, found.header), (Some(b';'), Header::Yes));
        let found = check("1|x\n2|y\n", auto(), &[("column0", int.clone()), ("column1", text.clone())]);
        assert_eq!((found.delimiter, found.header), (Some(b'|'), Header::No));
        let found = check("x\ty\nx\tz\n", auto(), &[("column0", text.clone()), ("column1", text.clone())]);
        assert_eq!((found.delimiter, found.header), (Some(b'\t'), Header::No));
        check(
            "name,name,\nx,y,z\n",
            CsvOptions::default(),
            &[("name", text.clone()), ("name_1", text.clone()), ("column2", text.clone())],
        );
        check("1|x|\n2|y|\n", auto(), &[("column0", int), ("column1", text)]);
    }

    #[test]
    fn an_empty_sample_is_refused() {
        assert!(infer(b"", &auto()).is_err());
    }
}
