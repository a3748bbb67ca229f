//! Tables whose rows come and go: a column `_op` says what each row does, an envelope holds the row before and after, or
//! the last row of each key counts.
//!
//! Place       around another table, which reads the bytes; below the operator that turns upserts into changes.
//! Invariants  batches carry a change per row; halves of an update stand side by side. A row whose change cannot be read
//!             is a bad row like another: the query fails with its place, or it is left out and counted.

mod debezium; // before, after and op in one record
mod op; //       a column of words

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::listing::is_stdin;
use crate::batch::{Batch, engine_schema};
use crate::error::{Error, Result};
use crate::pipeline::{Changelog, Morsel, Progress, Reader, Scan, ScanRequest, Table, TableDefinition, Take};
use crate::stream::decode::OnError;
use crate::stream::encode::changes::OP;
use crate::stream::format::Formats;

/// Opens a table as its definition says: by `open`, with what it says of changes taken care of here.
///
/// Failure: as `open`; an option that cannot be; a column that changes are read from and that is not there.
pub fn open(
    definition: &TableDefinition,
    open: &dyn Fn(&TableDefinition) -> Result<Arc<dyn Table>>,
    formats: &Formats,
) -> Result<Arc<dyn Table>> {
    let asked = Asked::of(definition, formats)?;
    match (asked.changelog, &asked.envelope) {
        (Changelog::Append, None) => open(&asked.inner),
        (_, Some(_)) => debezium::table(asked, open),
        _ => op::table(asked, open),
    }
}

/// What the definition of a table says of changes, and what is left of it without that.
struct Asked {
    changelog: Changelog,
    /// The format inside, where rows come in envelopes.
    envelope: Option<Inside>,
    /// Whether envelopes stand inside the member 'payload', beside their schema.
    has_payload: bool,
    /// The column that says what a row does, where one is named.
    op_column: Option<String>,
    on_error: OnError,
    primary_key: Vec<String>,
    inner: TableDefinition,
}

/// What holds the envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Json,
    Avro,
}

impl Inside {
    fn word(self) -> &'static str {
        match self {
            Inside::Json => "json",
            Inside::Avro => "avro",
        }
    }
}

/// Options that say how rows change; sinks know them too.
pub const OPTIONS: [&str; 4] = ["changelog", "mode", "op_column", "schema_include"];

impl Asked {
    fn of(definition: &TableDefinition, formats: &Formats) -> Result<Self> {
        let mut inner = definition.clone();
        let mut take = |key: &str| inner.options.remove(key);
        let (changelog, mode) = (take("changelog"), take("mode"));
        if changelog.is_some() && mode.is_some() {
            return Err(Error::user("options 'changelog' and 'mode' say the same; leave one out"));
        }
        let word = |word: String| {
            let wanted = || Error::user(format!("option 'changelog' must be append, retract or upsert, not '{word}'"));
            Changelog::from_word(&word).ok_or_else(wanted)
        };
        let said = changelog.or(mode).map(word).transpose()?;
        let op_column = take("op_column");
        let has_payload = match take("schema_include").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(Error::user(format!("option 'schema_include' must be true or false, not '{other}'")));
            }
        };
        let envelope = match inner.options.get("format").map(|word| word.to_ascii_lowercase()).as_deref() {
            Some("debezium-json" | "debezium_json") => Some(Inside::Json),
            Some("debezium-avro" | "debezium_avro") => Some(Inside::Avro),
            _ => None,
        };
        if let Some(format) = envelope {
            inner.options.insert("format".to_string(), format.word().to_string());
        }
        let by_envelope = match (envelope, definition.primary_key.is_empty()) {
            (None, _) => Changelog::Append,
            (Some(_), true) => Changelog::Retract,
            (Some(_), false) => Changelog::Upsert,
        };
        let changelog = said.unwrap_or(by_envelope);
        if changelog == Changelog::Append && envelope.is_some() {
            return Err(Error::user("envelopes of Debezium hold changes; 'changelog' is upsert or retract for them"));
        }
        if changelog == Changelog::Upsert && definition.primary_key.is_empty() {
            let message = "the last row per key counts in an upsert table; declare PRIMARY KEY (...)";
            return Err(Error::user(format!("{message}: {}", definition.name)));
        }
        let on_error = match inner.options.get("on_error") {
            Some(word) => word.parse()?,
            None => OnError::default(),
        };
        // Files of columns have no bad rows but those whose changes are.
        if changelog != Changelog::Append && !is_text(&inner, formats)? {
            inner.options.remove("on_error");
        }
        let primary_key = definition.primary_key.clone();
        Ok(Asked { changelog, envelope, has_payload, op_column, on_error, primary_key, inner })
    }

    /// Whether the table is read from standard input, which cannot be looked at beforehand.
    fn is_stream(&self) -> bool {
        self.inner.options.get("path").is_none_or(|path| is_stdin(path))
    }

    /// A field of the table as it is read: of a tombstone nothing but the key is there.
    fn read_field(&self, field: &FieldRef) -> FieldRef {
        let is_free = self.changelog == Changelog::Upsert && !self.primary_key.contains(field.name());
        Arc::new(field.as_ref().clone().with_nullable(is_free || field.is_nullable()))
    }
}

fn is_text(definition: &TableDefinition, formats: &Formats) -> Result<bool> {
    match (definition.options.get("format"), definition.options.get("path")) {
        (Some(word), _) => Ok(formats.from_word(word)?.is_text()),
        (None, Some(path)) if !is_stdin(path) => Ok(super::file::detect(path, formats)?.is_text()),
        _ => Ok(true),
    }
}

/// How changes are found in the rows of the table inside.
trait Form: std::fmt::Debug + Send + Sync + 'static {
    /// The columns to read of the table inside for these columns of the table.
    fn inner_projection(&self, projection: &[usize]) -> Vec<usize>;

    /// Rows to ask for at once, for batches of `batch_rows`.
    fn inner_rows(&self, batch_rows: usize) -> usize;

    /// Makes `batch` the rows and changes that `read` holds.
    fn convert(&self, read: &mut Batch, batch: &mut Batch, projection: &[usize], bad: &mut BadRows<'_>) -> Result<()>;
}

/// What to do with rows whose change cannot be read.
struct BadRows<'a> {
    on_error: OnError,
    reader: &'a dyn Reader,
    count: usize,
}

impl BadRows<'_> {
    /// Fails, naming the row's place, or counts it to be left out.
    fn refuse(&mut self, row: usize, column: &str, what: &str) -> Result<()> {
        self.count += 1;
        if self.on_error == OnError::Skip {
            return Ok(());
        }
        let place = self.reader.place(row).map_or(String::new(), |place| format!("{place}, "));
        let hint = "mend the row, or leave such rows out with 'on_error' = 'skip'";
        Err(Error::user(format!("change cannot be read: {place}column {column}, {what}; {hint}")))
    }
}

/// A table whose rows come and go.
#[derive(Debug)]
struct ChangingTable<F> {
    inner: Arc<dyn Table>,
    schema: SchemaRef,
    changelog: Changelog,
    on_error: OnError,
    form: Arc<F>,
}

impl<F: Form> Table for ChangingTable<F> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        self.inner.is_bounded()
    }

    fn describe(&self) -> String {
        format!("{}, {}", self.inner.describe(), self.changelog.word())
    }

    fn changelog(&self) -> Changelog {
        self.changelog
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let inner = ScanRequest {
            projection: self.form.inner_projection(&request.projection),
            predicates: Vec::new(),
            event_time: None,
            batch_rows: self.form.inner_rows(request.batch_rows),
            fetch: None,
            dictionaries: false,
            pushed: Default::default(),
            ..request.clone()
        };
        let inner = self.inner.open(&inner)?;
        let projection = request.projection.as_slice().into();
        Ok(Arc::new(ChangingScan { inner, form: self.form.clone(), on_error: self.on_error, projection }))
    }
}

struct ChangingScan<F> {
    inner: Arc<dyn Scan>,
    form: Arc<F>,
    on_error: OnError,
    projection: Arc<[usize]>,
}

impl<F: Form> Scan for ChangingScan<F> {
    fn take(&self) -> Result<Take> {
        Ok(match self.inner.take()? {
            Take::Morsel(morsel) => {
                let reader = ChangingReader {
                    inner: morsel.reader,
                    scan: self.inner.clone(),
                    form: self.form.clone(),
                    on_error: self.on_error,
                    projection: self.projection.clone(),
                    read: Batch::default(),
                };
                Take::Morsel(Morsel { reader: Box::new(reader), ..morsel })
            }
            other => other,
        })
    }

    fn source_partitions(&self) -> usize {
        self.inner.source_partitions()
    }

    fn progress(&self) -> &Progress {
        self.inner.progress()
    }

    fn position(&self) -> Result<Vec<u64>> {
        self.inner.position()
    }

    fn seek(&self, position: &[u64]) -> Result<()> {
        self.inner.seek(position)
    }

    fn offered(&self) -> Option<u64> {
        self.inner.offered()
    }

    fn stops_within(&self) -> bool {
        self.inner.stops_within()
    }
}

struct ChangingReader<F> {
    inner: Box<dyn Reader>,
    scan: Arc<dyn Scan>,
    form: Arc<F>,
    on_error: OnError,
    projection: Arc<[usize]>,
    read: Batch,
}

impl<F: Form> Reader for ChangingReader<F> {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            self.read.clear();
            if !self.inner.read(&mut self.read)? {
                return Ok(false);
            }
            let rows = self.read.rows;
            let mut bad = BadRows { on_error: self.on_error, reader: self.inner.as_ref(), count: 0 };
            batch.clear();
            self.form.convert(&mut self.read, batch, &self.projection, &mut bad)?;
            let (bad, progress) = (bad.count, self.scan.progress());
            progress.add_bad_rows(bad);
            // The table inside has counted records; what counts here are changes.
            progress.rows.fetch_add(batch.selected_rows() as u64, std::sync::atomic::Ordering::Relaxed);
            progress.rows.fetch_sub(rows as u64, std::sync::atomic::Ordering::Relaxed);
            if !batch.is_empty() {
                return Ok(true);
            }
        }
    }

    fn place(&self, row: usize) -> Option<String> {
        self.inner.place(row)
    }

    fn watermark(&self) -> Option<i64> {
        self.inner.watermark()
    }
}

/// The position of a column that must be there.
fn position(schema: &Schema, name: &str) -> Result<usize> {
    schema.index_of(name).map_err(|_| {
        let known: Vec<_> = schema.fields().iter().map(|field| format!("'{}'", field.name())).collect();
        Error::user(format!(
            "the column that changes are read from is not there: '{name}'; there are {}",
            known.join(", ")
        ))
    })
}

/// The columns that must have a value in a row that is given.
fn first_null(columns: &[ArrayRef], fields: &[FieldRef], row: usize) -> Option<usize> {
    (0..columns.len()).find(|&column| !fields[column].is_nullable() && columns[column].is_null(row))
}

/// The type as records hold it, strings plain.
fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

/// The fields as members of an envelope: any may be missing there.
fn members(fields: &Fields) -> Fields {
    fields.iter().map(|field| Field::new(field.name(), plain_type(field.data_type()), true)).collect()
}

fn table<F: Form>(inner: Arc<dyn Table>, schema: &Schema, asked: &Asked, form: F) -> Result<Arc<dyn Table>> {
    Ok(Arc::new(ChangingTable {
        inner,
        schema: engine_schema(schema),
        changelog: asked.changelog,
        on_error: asked.on_error,
        form: Arc::new(form),
    }))
}

/// The name of the column that says what a row does, where none is named.
const DEFAULT_OP: &str = OP;
