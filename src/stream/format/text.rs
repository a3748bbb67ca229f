//! Formats of text: CSV and TSV, JSON lines, and an aligned table for people.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::pipeline::options::Options;
use crate::pipeline::{Encoder, FileFormat, Opening};
use crate::stream::decode::OnError;
use crate::stream::decode::csv::CsvOptions;
use crate::stream::decode::json::JsonOptions;
use crate::stream::encode::csv::CsvEncoder;
use crate::stream::encode::json::JsonEncoder;
use crate::stream::encode::table::TableEncoder;
use crate::stream::source::text::TextFormat;
use crate::stream::source::text_files::TextFiles;

pub(super) struct Csv;
pub(super) struct Tsv;
pub(super) struct Json;
/// It can only be written.
pub(super) struct People;

impl FileFormat for Csv {
    fn endings(&self) -> &[&str] {
        &["csv"]
    }

    fn is_text(&self) -> bool {
        true
    }

    fn reader(&self, options: &mut Options) -> Result<Opening> {
        opening(TextFormat::Csv(CsvOptions::take(options)?), options)
    }

    fn encoder(&self, schema: &SchemaRef, options: &mut Options, continues: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(CsvEncoder::from_options(schema, b',', options, continues)?))
    }
}

impl FileFormat for Tsv {
    fn endings(&self) -> &[&str] {
        &["tsv"]
    }

    fn is_text(&self) -> bool {
        true
    }

    fn reader(&self, options: &mut Options) -> Result<Opening> {
        let mut csv = CsvOptions::take(options)?;
        csv.delimiter = csv.delimiter.or(Some(b'\t'));
        opening(TextFormat::Csv(csv), options)
    }

    fn encoder(&self, schema: &SchemaRef, options: &mut Options, continues: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(CsvEncoder::from_options(schema, b'\t', options, continues)?))
    }
}

impl FileFormat for Json {
    fn aliases(&self) -> &[&str] {
        &["ndjson", "jsonl"]
    }

    fn endings(&self) -> &[&str] {
        &["json", "ndjson", "jsonl"]
    }

    fn is_text(&self) -> bool {
        true
    }

    fn reader(&self, options: &mut Options) -> Result<Opening> {
        opening(TextFormat::Json(JsonOptions::take(options)?), options)
    }

    fn encoder(&self, schema: &SchemaRef, _: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(JsonEncoder::new(schema)))
    }
}

impl FileFormat for People {
    fn is_text(&self) -> bool {
        true
    }

    fn encoder(&self, schema: &SchemaRef, _: &mut Options, _: bool) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(TableEncoder::new(schema)))
    }
}

fn opening(text: TextFormat, options: &mut Options) -> Result<Opening> {
    let on_error = options.take("on_error").map(|word| word.parse::<OnError>()).transpose()?.unwrap_or_default();
    Ok(Box::new(move |files| Ok(Arc::new(TextFiles::new(files, text, on_error)?))))
}
