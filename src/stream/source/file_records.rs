//! Files that a reader of record batches opens: the way in for formats of users' own.
//!
//! Place       under `file.rs`, by [`FileFormat::reader`](crate::pipeline::FileFormat); a file is a piece.
//! Invariants  the schema is that of the first file, later files must fit it; text is unpacked before the reader sees it.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::block::{Counted, decompressed};
use super::fit::{Fit, normal_schema};
use super::listing::{Wanted, is_stdin, list, reason};
use super::pieces::{Piece, PieceScan};
use super::records::{ReadPlan, RecordReader, Records};
use crate::batch::engine_schema;
use crate::error::{Error, Result};
use crate::pipeline::{Files, Opening, Progress, Reader, Scan, ScanRequest, Table};

/// The bytes of a file, from front to back.
pub type Bytes = Box<dyn Read + Send>;

type Open = dyn Fn(Bytes, Option<&SchemaRef>) -> Result<Box<dyn RecordBatchReader + Send>> + Send + Sync;

/// Opens files by a function that makes a reader of record batches of their bytes; it is told the declared columns, if
/// any. The reader may give more columns or others: they are found by name, and cast where that keeps every value.
///
/// Errors of a reader are those of `ArrowError`; an `ArrowError::ExternalError` around an [`Error`] stays what it is. The
/// file's name is put in front.
pub fn of_records<R>(open: impl Fn(Bytes, Option<&SchemaRef>) -> Result<R> + Send + Sync + 'static) -> Opening
where
    R: RecordBatchReader + Send + 'static,
{
    let open = move |bytes: Bytes, declared: Option<&SchemaRef>| {
        open(bytes, declared).map(|reader| Box::new(reader) as Box<dyn RecordBatchReader + Send>)
    };
    Box::new(move |files| Ok(Arc::new(RecordFiles::new(files, Arc::new(open))?)))
}

struct RecordFiles {
    files: Files,
    schema: SchemaRef,
    open: Arc<Open>,
}

impl RecordFiles {
    fn new(files: Files, open: Arc<Open>) -> Result<Self> {
        if is_stdin(&files.path) {
            let format = files.format.word();
            return Err(Error::user(format!("format cannot be read from standard input: {format}; use a file")));
        }
        let mut table = RecordFiles { files, schema: SchemaRef::new(arrow::datatypes::Schema::empty()), open };
        table.schema = match &table.files.declared {
            Some(declared) => engine_schema(declared),
            None => {
                let first = list(&table.files.path, Wanted::Of(&table.files.format))?.swap_remove(0);
                normal_schema(&table.reader(&first, &Arc::default())?.schema())
            }
        };
        Ok(table)
    }

    fn reader(&self, path: &Path, progress: &Arc<Progress>) -> Result<Box<dyn RecordBatchReader + Send>> {
        open_file(&self.open, &self.files, path, progress)
    }
}

fn open_file(
    open: &Arc<Open>,
    files: &Files,
    path: &Path,
    progress: &Arc<Progress>,
) -> Result<Box<dyn RecordBatchReader + Send>> {
    let failed =
        |e: &std::io::Error| Error::outside(format!("file cannot be opened: {}: {}", path.display(), reason(e)));
    let inner = File::open(path).map_err(|e| failed(&e).caused_by(e))?;
    let counted: Bytes = Box::new(Counted { inner, progress: progress.clone() });
    let bytes =
        if files.format.is_text() { decompressed(counted).map_err(|e| failed(&e).caused_by(e))? } else { counted };
    open(bytes, files.declared.as_ref()).map_err(|e| e.context(format!("file '{}'", path.display())))
}

impl fmt::Debug for RecordFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Table for RecordFiles {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("file {} {}", self.files.format.word(), self.files.path)
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let progress = Arc::new(Progress::default());
        let mut partitions = Vec::new();
        for path in list(&self.files.path, Wanted::Of(&self.files.format))? {
            progress.bytes_total.fetch_add(path.metadata().map_or(0, |about| about.len()), Ordering::Relaxed);
            let source: Arc<str> = path.display().to_string().into();
            let (open, files, schema, progress) =
                (self.open.clone(), self.files.clone(), self.schema.clone(), progress.clone());
            let (projection, batch_rows) = (request.projection.clone(), request.batch_rows);
            let open = move || -> Result<Box<dyn Reader>> {
                let records = open_file(&open, &files, &path, &progress)?;
                let fit = Fit::new(&schema, &records.schema());
                let fit = Arc::new(fit.map_err(|e| e.context(format!("file '{source}'")))?);
                // The records come with all columns: each is picked from where it stands.
                let picked = fit.pick(&projection);
                let file_columns = picked.file_columns.clone();
                let plan = ReadPlan {
                    fit,
                    picked: Arc::new(picked),
                    batch_rows,
                    progress: progress.clone(),
                    source: source.clone(),
                };
                Ok(Box::new(RecordReader::new(Named { records, file_columns, source: source.clone() }, plan)))
            };
            partitions.push(vec![Piece { rows: None, turn: 0, open: Box::new(open) }]);
        }
        Ok(Arc::new(PieceScan::new(partitions, None, progress)))
    }
}

/// Gives the columns that are asked for, and the file's name to errors.
struct Named {
    records: Box<dyn RecordBatchReader + Send>,
    file_columns: Vec<usize>,
    source: Arc<str>,
}

impl Records for Named {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let failed = |e| of_arrow(e).context(format!("file '{}'", self.source));
        let Some(record) = self.records.next().transpose().map_err(failed)? else { return Ok(None) };
        let (promised, given) = (self.records.schema(), record.schema());
        let types = |schema: &SchemaRef| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
        if promised != given && types(&promised) != types(&given) {
            return Err(Error::user("the reader gives other columns than it promised")
                .context(format!("file '{}'", self.source)));
        }
        record.project(&self.file_columns).map(Some).map_err(failed)
    }
}

fn of_arrow(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => Error::user(inner.to_string()),
        },
        error => Error::user(error.to_string()),
    }
}
