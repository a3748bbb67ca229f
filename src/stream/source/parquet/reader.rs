//! Reads row groups, or parts of them, one after the other, each in the way that its columns allow.
//!
//! Place       under `mod.rs`; rows come from pages (`direct.rs`) or from the parquet crate (`decoded.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::AsArray;
use arrow::compute::max;
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::decoded::RowGroup;
use super::direct::{Direct, Failure, Wanted};
use super::first::{find_first, survey};
use super::spans::Span;
use super::{ParquetFile, failed, open};
use crate::batch::{Batch, Kind, Selection};
use crate::error::{Error, Result};
use crate::pipeline::{KeyCheck, Pushed, Reader};
use crate::stream::source::late::LateFilter;
use crate::stream::source::records::{ReadPlan, RecordReader};
use crate::time::START;

/// How row groups are read.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) file: Arc<ParquetFile>,
    pub(super) mask: ProjectionMask,
    pub(super) plan: ReadPlan,
    /// Whether strings may come as dictionaries.
    pub(super) dictionaries: bool,
    pub(super) late: Option<LateFilter>,
    /// The least number that the first key of an ORDER BY may have in each row group, where one may be left out by it.
    pub(super) least: Option<Arc<Vec<u64>>>,
    /// The leaf of the event time, where its latest value is asked for.
    pub(super) time: Option<usize>,
    /// The columns, where they can be read from pages.
    pub(super) wanted: Option<Arc<Vec<Wanted>>>,
    pub(super) pushed: Pushed,
}

impl Shape {
    /// Counts the bytes of a row group that has been read to its end.
    fn pass(&self, span: &Span) {
        if span.is_last {
            self.plan.progress.add_bytes(self.file.read_bytes(span.group, &self.mask));
        }
    }
}

/// Reads row groups and parts of them.
pub(super) struct GroupReader {
    shape: Shape,
    spans: std::vec::IntoIter<Span>,
    current: Option<(Span, Way)>,
    /// Rows handed out before the last batch, and in it.
    before: usize,
    last: usize,
}

enum Way {
    /// No row of it can be of use.
    Nothing,
    Pages(Box<Direct>),
    Records(Box<RecordReader<RowGroup>>),
}

impl GroupReader {
    pub(super) fn new(shape: Shape, spans: std::vec::IntoIter<Span>) -> Self {
        GroupReader { shape, spans, current: None, before: 0, last: 0 }
    }

    fn count(&mut self, batch: &Batch) {
        self.before += std::mem::replace(&mut self.last, batch.rows);
    }

    fn begin(&self, span: &Span) -> Result<Way> {
        let (shape, group) = (&self.shape, span.group);
        if let (Some(check), Some(least)) = (&shape.pushed.first, &shape.least)
            && least[group] > check.cutoff.number()
        {
            shape.plan.progress.rows_behind.fetch_add(span.rows.len() as u64, Ordering::Relaxed);
            return Ok(Way::Nothing);
        }
        if let Some(wanted) = shape.wanted.as_ref().filter(|wanted| shape.file.is_readable(group, wanted)) {
            let about = shape.file.row_group(group);
            if shape.pushed.keys.iter().any(|check| misses(about, &wanted[check.column], check)) {
                shape.plan.progress.strange_rows.fetch_add(span.rows.len() as u64, Ordering::Relaxed);
                return Ok(Way::Nothing);
            }
            return self.begin_pages(span, wanted);
        }
        let records = RowGroup::open(shape.clone(), group)?;
        Ok(Way::Records(Box::new(RecordReader::new(records, shape.plan.clone()))))
    }

    /// Begins to read rows from their pages; where only a few of them are wanted, these are found first.
    fn begin_pages(&self, span: &Span, wanted: &Arc<Vec<Wanted>>) -> Result<Way> {
        let Shape { file: source, plan, pushed, dictionaries, .. } = &self.shape;
        let (file, rows) = (Arc::new(open(&source.path)?), span.rows.clone());
        let direct = || Direct::new(source, span.group, &file, wanted, *dictionaries, pushed).within(rows.clone());
        let Some((check, count)) = pushed.first.as_ref().zip(survey(pushed, wanted.len(), rows.len())) else {
            return Ok(Way::Pages(Box::new(direct())));
        };
        let found = find_first(direct(), check, count, plan.batch_rows, &plan.progress);
        let chosen = found.map_err(|failure| self.failed(span.group, failure))?;
        Ok(if chosen.is_empty() { Way::Nothing } else { Way::Pages(Box::new(direct().choosing(chosen))) })
    }

    /// The latest event time of a part of a row group, found by its column alone; of the last part, that of all.
    fn latest(&self, span: &Span, time: usize) -> Result<Option<i64>> {
        let Shape { file: source, plan, pushed, .. } = &self.shape;
        let known = source.latest(span.group, time);
        if known.is_none() || span.is_last {
            return Ok(known);
        }
        let file = Arc::new(open(&source.path)?);
        let wanted = Arc::new(vec![Wanted { leaf: time, data_type: DataType::Int64 }]);
        let pushed = Pushed { context: pushed.context, ..Pushed::default() };
        let mut times = Direct::new(source, span.group, &file, &wanted, false, &pushed).within(span.rows.clone());
        let (mut latest, mut batch) = (START, Batch::default());
        while times.read(plan.batch_rows, &mut batch).map_err(|failure| self.failed(span.group, failure))? {
            let column = batch.columns[0].to_array(&DataType::Int64, batch.rows, &Selection::default())?;
            latest = latest.max(max(column.as_primitive::<Int64Type>()).unwrap_or(START));
        }
        Ok(Some(latest))
    }

    fn failed(&self, group: usize, failure: Failure) -> Error {
        match failure {
            Failure::File(error) => failed(&self.shape.file.path, Some(group), error),
            Failure::Query(error) => error,
        }
    }
}

impl Reader for GroupReader {
    fn read(&mut self, batch: &mut Batch) -> Result<bool> {
        loop {
            let (span, way) = match &mut self.current {
                Some((span, way)) => (span, way),
                None => {
                    let Some(span) = self.spans.next() else { return Ok(false) };
                    let way = self.begin(&span)?;
                    self.current = Some((span, way));
                    continue;
                }
            };
            let plan = &self.shape.plan;
            if plan.progress.stopped.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let direct = match way {
                Way::Nothing => {
                    self.shape.pass(span);
                    self.current = None;
                    continue;
                }
                Way::Records(records) => {
                    if records.read(batch)? {
                        self.count(batch);
                        return Ok(true);
                    }
                    self.shape.pass(span);
                    self.current = None;
                    continue;
                }
                Way::Pages(direct) => direct,
            };
            let any = direct.read(plan.batch_rows, batch);
            plan.progress.strange_rows.fetch_add(direct.take_strangers(), Ordering::Relaxed);
            plan.progress.rows_behind.fetch_add(direct.take_rows_behind(), Ordering::Relaxed);
            match any {
                Ok(true) => {
                    plan.progress.add_rows(batch.selected_rows());
                    self.count(batch);
                    return Ok(true);
                }
                Ok(false) => self.shape.pass(span),
                Err(failure) => {
                    let group = span.group;
                    return Err(self.failed(group, failure));
                }
            }
            self.current = None;
        }
    }

    fn latest(&self) -> Result<Option<i64>> {
        let Some(time) = self.shape.time else { return Ok(None) };
        let mut latest = Some(START);
        for span in self.spans.as_slice() {
            latest = latest.zip(self.latest(span, time)?).map(|(latest, span)| latest.max(span));
        }
        Ok(latest)
    }

    /// Counts the morsel's rows, so it is right where a file is one morsel and no row was left out.
    fn place(&self, row: usize) -> Option<String> {
        Some(format!("row {} of {}", self.before + row + 1, self.shape.plan.source))
    }
}

/// Whether none of the keys lies in the range that a row group tells of their column.
fn misses(group: &RowGroupMetaData, wanted: &Wanted, check: &KeyCheck) -> bool {
    let is_signed = matches!(Kind::of(&wanted.data_type), Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64);
    let range = match group.column(wanted.leaf).statistics() {
        Some(Statistics::Int32(values)) => values.min_opt().zip(values.max_opt()).map(|(a, b)| (*a as i64, *b as i64)),
        Some(Statistics::Int64(values)) => values.min_opt().zip(values.max_opt()).map(|(a, b)| (*a, *b)),
        _ => None,
    };
    is_signed && range.zip(check.filter.keys()).is_some_and(|(range, keys)| keys.miss(range))
}
