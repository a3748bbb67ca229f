//! Parquet files: row groups are the pieces, those whose statistics rule them out are not read.
//!
//! Place       under `columnar.rs`. Flat columns are read here, page by page (`direct.rs`); files with others are decoded by
//!             the parquet crate, a row group as a whole. Strings come as views into pages.
//! Invariants  a footer is read once per state of a file; with `ordered` a file is one piece, or row groups that are
//!             small enough to be read ahead.

mod header; // what stands before a page
mod chunk; //  a column's bytes, cut into pages and decompressed
mod codes; //  runs, and numbers of a few bits
mod pages; //  the pages of a column
mod fixed; //  columns of numbers and times
mod text; //   columns of strings and bytes
mod direct; // rows of a row group from its pages
mod first; //  rows that are not behind the first ones of an ORDER BY
mod spans; //  the pieces that workers take
mod decoded; // row groups that the parquet crate decodes
mod reader; //  a piece, row group by row group

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::{Encoding, PageType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use crate::batch::Column;
use crate::error::{Error, Result};
use crate::pipeline::ScanRequest;
use crate::stream::source::columnar::ColumnarFile;
use crate::stream::source::fit::Fit;
use crate::stream::source::late::LateFilter;
use crate::stream::source::listing::reason;
use crate::stream::source::pieces::Piece;
use crate::stream::source::prune::{statistics_are_sound, surviving_row_groups};
use crate::stream::source::records::ReadPlan;
use direct::{Wanted, is_readable};
use first::least_numbers;
use reader::{GroupReader, Shape};
use spans::{Span, spans};

/// Bytes before the values of a dictionary page, about.
const DICTIONARY_HEADER_BYTES: u64 = 20;
/// Bytes of a row group that may be read ahead of its turn.
const AHEAD_BYTES_MAX: usize = 64 << 20;
/// What writers fill a page with, most of them.
const PAGE_BYTES: usize = 1 << 20;

/// A Parquet file, its footer read.
#[derive(Debug)]
pub struct ParquetFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl ColumnarFile for ParquetFile {
    fn open(path: &Path) -> Result<Self> {
        let failed = |e| failed(path, None, e);
        let file = open(path)?;
        let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(failed)?;
        let hint = ArrowReaderOptions::new().with_schema(view_schema(plain.schema()));
        // Where the hint does not hold, for a nested column say, columns come as they are and are cast.
        let metadata = ArrowReaderMetadata::try_new(plain.metadata().clone(), hint).unwrap_or(plain);
        Ok(ParquetFile { path: path.to_path_buf(), metadata })
    }

    fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    fn takes_keys() -> bool {
        true
    }

    fn row_count(&self) -> Option<u64> {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).ok()
    }

    fn column_range(&self, column: &Field) -> Option<(i64, i64)> {
        let leaf = self.leaf(column)?;
        let ranges =
            self.metadata.metadata().row_groups().iter().map(|group| match group.column(leaf).statistics()? {
                Statistics::Int32(values) => Some((i64::from(*values.min_opt()?), i64::from(*values.max_opt()?))),
                Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
                _ => None,
            });
        ranges.reduce(|all, range| {
            let (all, range) = (all?, range?);
            Some((all.0.min(range.0), all.1.max(range.1)))
        })?
    }

    /// Strings: by the bytes of the dictionary, where all values are in it, and the length of the least and the greatest.
    fn distinct_count(&self, column: &Field) -> Option<u64> {
        let leaf = self.leaf(column)?;
        let counts = self.metadata.metadata().row_groups().iter().map(|group| {
            let column = group.column(leaf);
            let Statistics::ByteArray(values) = column.statistics()? else { return None };
            let length = (values.min_bytes_opt()?.len() + values.max_bytes_opt()?.len()).div_ceil(2);
            let bytes = column.data_page_offset() - column.dictionary_page_offset()?;
            let bytes = u64::try_from(bytes).ok()?.saturating_sub(DICTIONARY_HEADER_BYTES);
            is_dictionary_alone(column).then_some((bytes / (length as u64 + 4)).max(1))
        });
        counts.reduce(|most, count| Some(most?.max(count?)))?
    }

    fn pieces(self: &Arc<Self>, request: &ScanRequest, plan: &ReadPlan) -> Result<Vec<Piece>> {
        let groups = surviving_row_groups(&self.metadata, &plan.fit, &request.predicates);
        let roots = plan.picked.file_columns.iter().copied();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let bytes: usize = groups.iter().map(|&group| self.read_bytes(group, &mask)).sum();
        plan.progress.bytes_total.fetch_add(bytes as u64, Ordering::Relaxed);
        // Where rows must stay in order, workers read whole row groups ahead of each other: only if these are small.
        let is_small = |&group: &usize| self.memory_bytes(group, &mask) <= AHEAD_BYTES_MAX;
        let time = request.event_time.and_then(|column| self.time(&plan.fit, request.projection[column]));
        let is_told = |&group: &usize| time.is_some_and(|leaf| self.latest(group, leaf).is_some());
        let ahead = request.partitions > 1 && groups.iter().all(|group| is_told(group) || is_small(group));
        let dictionaries = request.dictionaries;
        let wanted = self.wanted(request, plan).map(Arc::new);
        let sizes: Vec<(usize, usize)> = groups.iter().map(|&group| (group, self.rows(group))).collect();
        let page_rows = |group| {
            let wanted = wanted.as_ref().filter(|wanted| self.is_readable(group, wanted))?;
            Some(self.page_rows(group, wanted))
        };
        let runs = match request.ordered && !ahead {
            true => vec![spans(&sizes, 1, plan.batch_rows, page_rows)],
            false => spans(&sizes, request.partitions, plan.batch_rows, page_rows)
                .into_iter()
                .map(|span| vec![span])
                .collect(),
        };
        let pushed = request.pushed.clone();
        let late = if request.counts_rows { &[][..] } else { &request.predicates };
        let late = LateFilter::new(&self.metadata, &plan.fit, late, &plan.picked.file_columns);
        let first = pushed.first.as_ref().filter(|check| !check.may_fail);
        let least =
            first.map(|check| least_numbers(&self.metadata, &plan.fit, request.projection[check.column], check));
        let least = least.map(Arc::new);
        let piece = |spans: Vec<Span>| {
            let turn = match (&least, &spans[..]) {
                (Some(least), [span]) if !request.ordered => least[span.group],
                _ => 0,
            };
            let rows = spans.iter().map(|span| span.rows.len()).sum();
            let (file, mask, plan, late) = (self.clone(), mask.clone(), plan.clone(), late.clone());
            let (wanted, pushed, least) = (wanted.clone(), pushed.clone(), least.clone());
            Piece {
                rows: Some(rows),
                turn,
                open: Box::new(move || {
                    let (file, mask, spans) = (file.clone(), mask.clone(), spans.clone().into_iter());
                    let (plan, late) = (plan.clone(), late.clone());
                    let (wanted, pushed, least) = (wanted.clone(), pushed.clone(), least.clone());
                    let shape = Shape { file, mask, plan, dictionaries, late, least, time, wanted, pushed };
                    Ok(Box::new(GroupReader::new(shape, spans)))
                }),
            }
        };
        Ok(runs.into_iter().filter(|run| !run.is_empty()).map(piece).collect())
    }
}

impl ParquetFile {
    /// About how many rows the longest page has of those that are dear to unpack twice, from the sizes of their columns; 0: they
    /// are all short.
    fn page_rows(&self, group: usize, wanted: &[Wanted]) -> usize {
        let of_column = |wanted: &Wanted| {
            let bytes = usize::try_from(self.row_group(group).column(wanted.leaf).uncompressed_size()).unwrap_or(0);
            if bytes <= PAGE_BYTES { 0 } else { (self.rows(group) as u64 * PAGE_BYTES as u64 / bytes as u64) as usize }
        };
        wanted.iter().map(of_column).max().unwrap_or_default()
    }

    /// The leaf of a flat column of the table, where the file has it in the same type.
    fn leaf(&self, column: &Field) -> Option<usize> {
        let schema = self.metadata.schema();
        let index = schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(column.name()))?;
        if schema.field(index).data_type() != column.data_type() {
            return None;
        }
        let leaves = self.metadata.parquet_schema();
        (0..leaves.num_columns()).find(|&leaf| leaves.get_column_root_idx(leaf) == index)
    }

    /// The leaf of an event time that row groups tell the latest value of.
    fn time(&self, fit: &Fit, column: usize) -> Option<usize> {
        let root = fit.file_column(column);
        let schema = self.metadata.parquet_schema();
        let leaf = (0..schema.num_columns()).find(|&leaf| schema.get_column_root_idx(leaf) == root)?;
        (fit.keeps(column) && statistics_are_sound(&self.metadata, root)).then_some(leaf)
    }

    /// The latest time of a row group, in ticks of the column.
    fn latest(&self, group: usize, leaf: usize) -> Option<i64> {
        match self.row_group(group).column(leaf).statistics()? {
            Statistics::Int64(times) if times.max_is_exact() => times.max_opt().copied(),
            _ => None,
        }
    }

    /// The columns of a scan as they can be read from pages; `None` when some cannot.
    fn wanted(&self, request: &ScanRequest, plan: &ReadPlan) -> Option<Vec<Wanted>> {
        // Conditions that only the file's own reader knows are left to it.
        let is_covered = request.predicates.is_empty() || !request.pushed.conditions.is_empty();
        let once = plan.picked.file_columns.len() == request.projection.len();
        if request.projection.is_empty() || !once || !is_covered {
            return None;
        }
        let leaves = self.metadata.parquet_schema();
        let wanted = |&column: &usize| {
            let root = plan.fit.file_column(column);
            let mut own = (0..leaves.num_columns()).filter(|&leaf| leaves.get_column_root_idx(leaf) == root);
            let leaf = own.next().filter(|_| own.next().is_none() && plan.fit.keeps(column))?;
            Some(Wanted { leaf, data_type: self.metadata.schema().field(root).data_type().clone() })
        };
        request.projection.iter().map(wanted).collect()
    }

    fn row_group(&self, group: usize) -> &RowGroupMetaData {
        self.metadata.metadata().row_group(group)
    }

    fn rows(&self, group: usize) -> usize {
        self.row_group(group).num_rows().max(0) as usize
    }

    /// Whether the columns of a row group can be read from pages.
    fn is_readable(&self, group: usize, wanted: &[Wanted]) -> bool {
        let about = self.row_group(group);
        wanted.iter().all(|wanted| is_readable(about.column(wanted.leaf), &wanted.data_type))
    }

    /// Bytes of the read columns of a row group, decompressed.
    fn memory_bytes(&self, group: usize, mask: &ProjectionMask) -> usize {
        let columns = self.row_group(group).columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        read.map(|(_, column)| column.uncompressed_size().max(0) as usize).sum()
    }

    /// Compressed bytes of the read columns of a row group.
    fn read_bytes(&self, group: usize, mask: &ProjectionMask) -> usize {
        let columns = self.row_group(group).columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        read.map(|(_, column)| column.compressed_size().max(0) as usize).sum()
    }
}

/// A column that is read from its pages.
trait PageColumn: Send {
    /// Makes `out` the next `rows` rows; of them the `wanted` ones, ascending, if not all.
    fn read(&mut self, rows: usize, wanted: Option<&[u16]>, out: &mut Column) -> parquet::errors::Result<()>;

    /// How many rows of the page at hand are left; where there are none, the next page is at hand.
    fn left(&mut self) -> parquet::errors::Result<usize>;

    /// Passes over rows of the page at hand.
    fn skip_in_page(&mut self, rows: usize) -> parquet::errors::Result<()>;

    /// Passes over the next `rows` rows.
    fn skip(&mut self, mut rows: usize) -> parquet::errors::Result<()> {
        while rows > 0 {
            let taken = self.left()?.min(rows);
            self.skip_in_page(taken)?;
            rows -= taken;
        }
        Ok(())
    }
}

/// Goes through the pages that the next `rows` rows lie in: `read` is given how many lie in the page at hand, and which of
/// these are wanted, counted from its first one. Passes over those of which none is.
fn each_page<C: PageColumn>(
    column: &mut C,
    rows: usize,
    wanted: Option<&[u16]>,
    mut read: impl FnMut(&mut C, usize, Option<&[u16]>) -> parquet::errors::Result<()>,
) -> parquet::errors::Result<()> {
    let mut done = 0;
    while done < rows {
        let taken = column.left()?.min(rows - done);
        let own = wanted.map(|wanted| segment(wanted, done, taken));
        if own.as_ref().is_some_and(|own| own.is_empty()) {
            column.skip_in_page(taken)?;
        } else {
            read(column, taken, own.as_deref())?;
        }
        done += taken;
    }
    Ok(())
}

/// The rows of a list that lie in `from..from + rows`, counted from there.
fn segment(list: &[u16], from: usize, rows: usize) -> Cow<'_, [u16]> {
    let start = list.partition_point(|&row| (row as usize) < from);
    let end = list.partition_point(|&row| (row as usize) < from + rows);
    match from {
        0 => Cow::Borrowed(&list[start..end]),
        _ => Cow::Owned(list[start..end].iter().map(|&row| row - from as u16).collect()),
    }
}

/// Whether all data pages of a column chunk are codes into its dictionary.
fn is_dictionary_alone(column: &ColumnChunkMetaData) -> bool {
    let by_code = |encoding: Encoding| matches!(encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
    if column.dictionary_page_offset().is_none() {
        return false;
    }
    if let Some(mask) = column.page_encoding_stats_mask() {
        return mask.encodings().all(by_code);
    }
    match column.page_encoding_stats() {
        Some(pages) => {
            pages.iter().filter(|page| page.page_type != PageType::DICTIONARY_PAGE).all(|page| by_code(page.encoding))
        }
        None => false,
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::outside(format!("file cannot be opened: {}: {}", path.display(), reason(&e))))
}

fn failed(path: &Path, group: Option<usize>, error: ParquetError) -> Error {
    let place = group.map_or(String::new(), |group| format!(", row group {group}"));
    Error::outside(format!("parquet file cannot be read: {}{place}: {error}", path.display())).caused_by(error)
}

/// The schema with views wherever the file's reader can make them.
fn view_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(view_field).collect::<Vec<_>>();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn view_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(view_type(field.data_type())))
}

fn view_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) => view_type(values),
        DataType::List(field) => DataType::List(view_field(field)),
        DataType::LargeList(field) => DataType::LargeList(view_field(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(view_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(view_field(entries), *sorted),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
