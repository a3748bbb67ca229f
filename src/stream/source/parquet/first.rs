//! Rows behind the first ones of an ORDER BY: found out by the column of the first key, before other columns are read.
//!
//! Place       under `direct.rs` and `mod.rs`, for what `Pushed::first` says.
//! Invariants  a row is left out only when as many rows as are wanted come before it, or would if they had been read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::Array;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::direct::{Direct, Failure};
use crate::batch::{Batch, Column, DictionaryValues, Texts, first_keys, first_keys_by_code, first_keys_of};
use crate::error::Result;
use crate::pipeline::{FirstCheck, LeastKeys, Progress, Pushed};
use crate::stream::source::fit::Fit;
use crate::stream::source::prune::statistics_are_sound;

/// With fewer rows for each that is wanted, wanted ones lie in most pages: nothing is won by looking for them first.
const ROWS_PER_WANTED: usize = 4096;

/// The numbers of first keys, batch by batch.
pub(super) struct FirstKeys {
    pub(super) check: FirstCheck,
    /// What each value of the dictionary at hand has.
    by_code: Option<(Arc<DictionaryValues>, Vec<u64>)>,
    numbers: Vec<u64>,
}

impl FirstKeys {
    pub(super) fn new(check: FirstCheck) -> Self {
        FirstKeys { check, by_code: None, numbers: Vec::new() }
    }

    /// The number of each row of the batch's column.
    pub(super) fn of(&mut self, batch: &Batch) -> Result<&[u64]> {
        let (column, options) = (&batch.columns[self.check.column], self.check.options);
        let Column::Dictionary(dictionary) = column else {
            first_keys(column, batch.rows, options, &mut self.numbers)?;
            return Ok(&self.numbers);
        };
        let values = dictionary.values();
        let by_code = match &mut self.by_code {
            Some((known, numbers)) if Arc::ptr_eq(known, values) => numbers,
            place => {
                let mut numbers = Vec::new();
                first_keys_of(&values.0, options, &mut numbers)?;
                &mut place.insert((values.clone(), numbers)).1
            }
        };
        first_keys_by_code(dictionary, by_code, options, &mut self.numbers);
        Ok(&self.numbers)
    }
}

/// How many rows are wanted, where it pays to look for them in a row group of `rows` rows before other columns are read:
/// where there are others among its `columns`, and few rows are wanted.
pub(super) fn survey(pushed: &Pushed, columns: usize, rows: usize) -> Option<usize> {
    let check = pushed.first.as_ref()?;
    let mut read: Vec<usize> = pushed.conditions.iter().flat_map(|program| program.inputs()).collect();
    read.extend(pushed.keys.iter().map(|key| key.column).chain([check.column]));
    read.sort_unstable();
    read.dedup();
    let few = |wanted: &usize| LeastKeys::can_follow(*wanted) && wanted.saturating_mul(ROWS_PER_WANTED) <= rows;
    check.wanted.filter(few).filter(|_| read.len() < columns)
}

/// The rows of a row group that may be among the `wanted` first ones, ascending, found by the columns of the conditions
/// and of the key alone; none where the query was stopped.
pub(super) fn find_first(
    mut columns: Direct,
    check: &FirstCheck,
    wanted: usize,
    batch_rows: usize,
    progress: &Progress,
) -> std::result::Result<Vec<u32>, Failure> {
    let (mut keys, mut least) = (FirstKeys::new(check.clone()), LeastKeys::new(wanted, check.options));
    let (mut found, mut batch): (Vec<(u64, u32)>, _) = (Vec::new(), Batch::default());
    let mut seen = 0;
    while let Some(start) = columns.survey(batch_rows, check.column, &mut batch)? {
        if progress.stopped.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let (numbers, texts) = (keys.of(&batch)?, Texts::of(&batch.columns[check.column]));
        let before = found.len();
        seen += batch.selected_rows();
        let mut add = |row: u16| {
            let number = numbers[row as usize];
            if least.add(number, || texts.bytes(row as usize)) {
                found.push((number, columns.place(start, row)));
            }
        };
        match batch.selection.as_slice() {
            None => (0..batch.rows).for_each(|row| add(row as u16)),
            Some(rows) => rows.iter().for_each(|&row| add(row)),
        }
        least.tell(&check.cutoff);
        if found.len() > before && found.len() > wanted.saturating_mul(2) + batch_rows {
            let cutoff = check.cutoff.number();
            found.retain(|(number, _)| *number <= cutoff);
        }
    }
    let cutoff = check.cutoff.number();
    found.retain(|(number, _)| *number <= cutoff);
    progress.strange_rows.fetch_add(columns.take_strangers(), Ordering::Relaxed);
    let behind = columns.take_rows_behind() + (seen - found.len()) as u64;
    progress.rows_behind.fetch_add(behind, Ordering::Relaxed);
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// The least number that a first key may have in each row group, by the statistics; 0 where these do not tell.
pub(super) fn least_numbers(file: &ArrowReaderMetadata, fit: &Fit, column: usize, check: &FirstCheck) -> Vec<u64> {
    known_least_numbers(file, fit, column, check).unwrap_or_else(|| vec![0; file.metadata().num_row_groups()])
}

fn known_least_numbers(file: &ArrowReaderMetadata, fit: &Fit, column: usize, check: &FirstCheck) -> Option<Vec<u64>> {
    let field = file.schema().field(fit.file_column(column));
    let data_type = field.data_type();
    // Statistics of floats leave NaN out, which is the greatest value here.
    let is_told = !(data_type.is_nested() || data_type.is_floating() && check.options.descending);
    if !fit.keeps(column) || !is_told || !statistics_are_sound(file, fit.file_column(column)) {
        return None;
    }
    let groups = || file.metadata().row_groups().iter();
    let statistics = StatisticsConverter::try_new(field.name(), file.schema(), file.parquet_schema()).ok()?;
    let statistics = statistics.with_missing_null_counts_as_zero(false);
    let bounds = match check.options.descending {
        true => statistics.row_group_maxes(groups()),
        false => statistics.row_group_mins(groups()),
    };
    let (bounds, nulls) = (bounds.ok()?, statistics.row_group_null_counts(groups()).ok()?);
    let mut numbers = Vec::new();
    if bounds.data_type() != data_type || !first_keys_of(&bounds, check.options, &mut numbers).ok()? {
        return None;
    }
    let known = groups().zip(numbers).enumerate().map(|(group, (about, number))| {
        let null_count = nulls.is_valid(group).then(|| nulls.value(group));
        let is_null = null_count == Some(about.num_rows().max(0) as u64);
        match (null_count, bounds.is_valid(group)) {
            // Nulls come first, or may.
            (None, _) => 0,
            (Some(1..), _) if check.options.nulls_first => 0,
            (Some(_), true) if is_number(&bounds, group) => number,
            (Some(_), false) if is_null => u64::MAX,
            _ => 0,
        }
    });
    Some(known.collect())
}

/// Whether a bound is a value that files write: of floats none that is NaN.
fn is_number(bounds: &arrow::array::ArrayRef, group: usize) -> bool {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float32Type, Float64Type};
    match bounds.data_type() {
        DataType::Float32 => !bounds.as_primitive::<Float32Type>().value(group).is_nan(),
        DataType::Float64 => !bounds.as_primitive::<Float64Type>().value(group).is_nan(),
        _ => true,
    }
}
