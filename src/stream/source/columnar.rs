//! Tables of files that hold columns already: Parquet, Arrow, Avro.
//!
//! Place       under `file.rs`, which picks the format; each format says how a file opens and what its pieces are.
//! Owns        what has been read of each file's header, kept while the file's size and time stay the same.
//! Invariants  a file is a source partition; the schema is fixed when the table is made, later files must fit it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arrow::datatypes::{Field, SchemaRef};

use super::fit::{Fit, normal_schema};
use super::listing::{FILE_COLUMNS, Wanted, list, modified_ms, reason};
use super::pieces::{Piece, PieceScan};
use super::records::ReadPlan;
use crate::batch::engine_schema;
use crate::error::{Error, Result};
use crate::pipeline::{Files, Format, Progress, Scan, ScanRequest, SystemColumn, Table};

/// A file of columns, its header read.
pub trait ColumnarFile: Debug + Send + Sync + Sized + 'static {
    /// Reads the header.
    fn open(path: &Path) -> Result<Self>;

    /// The columns as the file's reader delivers them.
    fn schema(&self) -> &SchemaRef;

    /// Whether its scans leave rows out by their keys.
    fn takes_keys() -> bool {
        false
    }

    /// Rows it holds, where the header says so.
    fn row_count(&self) -> Option<u64>;

    /// The least and the greatest value of a column of whole numbers or times, where the header says so.
    fn column_range(&self, column: &Field) -> Option<(i64, i64)> {
        let _ = column;
        None
    }

    /// About how many values a column has, where the header lets it be guessed.
    fn distinct_count(&self, column: &Field) -> Option<u64> {
        let _ = column;
        None
    }

    /// Cuts the file into pieces, and adds their bytes to the total of the progress.
    fn pieces(self: &Arc<Self>, request: &ScanRequest, plan: &ReadPlan) -> Result<Vec<Piece>>;
}

/// A table of such files.
#[derive(Debug)]
pub struct FileTable<F> {
    path: String,
    format: Format,
    schema: SchemaRef,
    /// Whether the columns were declared: only then may files have more of them.
    declared: bool,
    known: Mutex<BTreeMap<PathBuf, (Stamp, Arc<F>)>>,
}

/// What tells one state of a file from another.
type Stamp = (u64, Option<SystemTime>);

impl<F: ColumnarFile> FileTable<F> {
    /// Makes a table of the files at `path`; columns that are not declared are taken from the first file.
    pub fn new(files: Files) -> Result<Self> {
        let Files { path, format, declared } = files;
        let mut table: Self = FileTable {
            path,
            format,
            schema: SchemaRef::new(arrow::datatypes::Schema::empty()),
            declared: declared.is_some(),
            known: Mutex::default(),
        };
        let first = table.list()?.swap_remove(0);
        let file = table.header(&first)?;
        table.schema = declared.map_or_else(|| normal_schema(file.schema()), |declared| engine_schema(&declared));
        table.files()?;
        Ok(table)
    }

    fn list(&self) -> Result<Vec<PathBuf>> {
        list(&self.path, Wanted::Of(&self.format))
    }

    /// The files there are now, with what their columns mean to the table.
    fn files(&self) -> Result<Vec<(PathBuf, Arc<F>, Fit)>> {
        let open = |path: &PathBuf| {
            let file = self.header(path)?;
            let fit = self.fit(&file).map_err(|e| e.context(format!("file '{}'", path.display())))?;
            Ok((path.clone(), file, fit))
        };
        self.list()?.iter().map(open).collect()
    }

    fn fit(&self, file: &F) -> Result<Fit> {
        let fit = Fit::new(&self.schema, file.schema())?;
        let is_new = |name: &str| !self.schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(name));
        let new = file.schema().fields().iter().find(|field| is_new(field.name()));
        match new.filter(|_| !self.declared) {
            None => Ok(fit),
            Some(field) => {
                let message = "column is not in the first file";
                Err(Error::user(format!("{message}: '{}'; declare the columns in CREATE TABLE", field.name())))
            }
        }
    }

    /// The header of a file, from memory if the file is still the same.
    fn header(&self, path: &Path) -> Result<Arc<F>> {
        let about = fs::metadata(path)
            .map_err(|e| Error::outside(format!("file cannot be opened: {}: {}", path.display(), reason(&e))))?;
        let stamp = (about.len(), about.modified().ok());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, file)) = known.get(path)
            && *seen == stamp
        {
            return Ok(file.clone());
        }
        let file = Arc::new(F::open(path)?);
        known.insert(path.to_path_buf(), (stamp, file.clone()));
        Ok(file)
    }
}

impl<F: ColumnarFile> Table for FileTable<F> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("file {} {}", self.format.word(), self.path)
    }

    fn system_columns(&self) -> &[SystemColumn] {
        FILE_COLUMNS
    }

    fn row_count(&self) -> Option<u64> {
        let files = self.list().ok()?;
        files.iter().map(|path| self.header(path).ok()?.row_count()).sum()
    }

    fn column_range(&self, column: usize) -> Option<(i64, i64)> {
        let files = self.list().ok()?;
        let column = self.schema.field(column);
        let ranges = files.iter().map(|path| self.header(path).ok()?.column_range(column));
        ranges.reduce(|all, range| {
            let (all, range) = (all?, range?);
            Some((all.0.min(range.0), all.1.max(range.1)))
        })?
    }

    fn distinct_count(&self, column: usize) -> Option<u64> {
        let files = self.list().ok()?;
        let column = self.schema.field(column);
        let counts = files.iter().map(|path| self.header(path).ok()?.distinct_count(column));
        counts.reduce(|most, count| Some(most?.max(count?)))?
    }

    fn takes_keys(&self) -> bool {
        F::takes_keys()
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let progress = Arc::new(Progress::default());
        let fetch = request.fetch.filter(|_| request.predicates.is_empty());
        let (mut partitions, mut times) = (Vec::new(), Vec::new());
        for (path, file, fit) in self.files()? {
            times.push(modified_ms(&path));
            let plan = ReadPlan {
                picked: Arc::new(fit.pick(&request.projection)),
                fit: Arc::new(fit),
                batch_rows: request.batch_rows,
                progress: progress.clone(),
                source: path.display().to_string().into(),
            };
            partitions.push(file.pieces(request, &plan)?);
        }
        let leaves_out = F::takes_keys() && (!request.predicates.is_empty() || request.pushed.is_some());
        let scan = PieceScan::new(partitions, fetch, progress).with_times(times);
        Ok(Arc::new(scan.with_gaps(leaves_out && !request.counts_rows)))
    }
}
