//! Which row groups of a Parquet file may hold rows that a filter wants, by their statistics.
//!
//! Invariants  a row group is left out only when no row of it can pass: where statistics are missing, of another
//!             type than the table's column, or made with another order than the engine's, it is read.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar};
use arrow::compute::kernels::cmp;
use arrow::compute::{and, not};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::errors::Result;

use super::fit::Fit;
use crate::pipeline::{Comparison, Predicate};

/// The numbers of the row groups that may hold rows for which all predicates are true.
pub fn surviving_row_groups(file: &ArrowReaderMetadata, fit: &Fit, predicates: &[Predicate]) -> Vec<usize> {
    let mut survives = vec![true; file.metadata().num_row_groups()];
    for predicate in predicates {
        if is_usable(file, fit, predicate) {
            // Statistics that cannot be read rule nothing out.
            let _ = rule_out(file, fit, predicate, &mut survives);
        }
    }
    (0..survives.len()).filter(|&group| survives[group]).collect()
}

fn is_usable(file: &ArrowReaderMetadata, fit: &Fit, predicate: &Predicate) -> bool {
    is_of_type(file, fit, predicate)
        && has_engine_order(predicate)
        && statistics_are_sound(file, fit.file_column(predicate.column))
}

fn is_of_type(file: &ArrowReaderMetadata, fit: &Fit, predicate: &Predicate) -> bool {
    let column = fit.file_column(predicate.column);
    fit.keeps(predicate.column)
        && file.schema().field(column).data_type() == predicate.value.data_type()
        && predicate.value.is_valid(0)
}

/// Whether Arrow compares the column's values with the predicate's as the engine does: it knows two zeros.
pub fn is_comparable(file: &ArrowReaderMetadata, fit: &Fit, predicate: &Predicate) -> bool {
    let data_type = predicate.value.data_type();
    let is_plain = !data_type.is_nested() && !data_type.is_floating() && !matches!(data_type, DataType::Interval(_));
    is_plain && is_of_type(file, fit, predicate)
}

fn rule_out(file: &ArrowReaderMetadata, fit: &Fit, predicate: &Predicate, survives: &mut [bool]) -> Result<()> {
    let name = file.schema().field(fit.file_column(predicate.column)).name();
    let statistics = StatisticsConverter::try_new(name, file.schema(), file.parquet_schema())?;
    let groups = || file.metadata().row_groups().iter();
    let (mins, maxes) = (statistics.row_group_mins(groups())?, statistics.row_group_maxes(groups())?);
    let possible = may_hold(predicate, &mins, &maxes)?;
    let nulls = statistics.with_missing_null_counts_as_zero(false).row_group_null_counts(groups())?;
    for (group, about) in groups().enumerate() {
        let all_null = nulls.is_valid(group) && nulls.value(group) == about.num_rows() as u64;
        let impossible = possible.is_valid(group) && !possible.value(group);
        survives[group] &= !all_null && !impossible;
    }
    Ok(())
}

/// Whether a value between `mins` and `maxes` may pass; null where that is unknown.
fn may_hold(predicate: &Predicate, mins: &ArrayRef, maxes: &ArrayRef) -> Result<BooleanArray, ArrowError> {
    let value = Scalar::new(predicate.value.clone());
    match predicate.op {
        Comparison::Eq => and(&cmp::lt_eq(mins, &value)?, &cmp::gt_eq(maxes, &value)?),
        Comparison::NotEq => not(&and(&cmp::eq(mins, &value)?, &cmp::eq(maxes, &value)?)?),
        Comparison::Lt => cmp::lt(mins, &value),
        Comparison::LtEq => cmp::lt_eq(mins, &value),
        Comparison::Gt => cmp::gt(maxes, &value),
        Comparison::GtEq => cmp::gt_eq(maxes, &value),
    }
}

/// Whether statistics say something about this comparison in the engine's order.
///
/// Floats: statistics leave NaN out, which is the greatest value here, and know two zeros.
fn has_engine_order(predicate: &Predicate) -> bool {
    let value = match predicate.value.data_type() {
        DataType::Float16 => return false,
        DataType::Float32 | DataType::Float64 => arrow::compute::cast(&predicate.value, &DataType::Float64),
        data_type => return !data_type.is_nested() && !matches!(data_type, DataType::Interval(_)),
    };
    let Ok(value) = value else { return false };
    let value = value.as_primitive::<Float64Type>().value(0);
    let upwards = matches!(predicate.op, Comparison::Gt | Comparison::GtEq | Comparison::NotEq);
    value.is_finite() && value != 0.0 && !upwards
}

/// Whether a column's statistics were made with the order of its type; very old files have signed bytes throughout.
pub fn statistics_are_sound(file: &ArrowReaderMetadata, column: usize) -> bool {
    let schema = file.parquet_schema();
    let mut leaves = (0..schema.num_columns()).filter(|&leaf| schema.get_column_root_idx(leaf) == column);
    let Some(leaf) = leaves.next() else { return false };
    let old = |group: &parquet::file::metadata::RowGroupMetaData| {
        let statistics = group.column(leaf).statistics();
        statistics.is_some_and(|s| s.is_min_max_deprecated() && !s.is_min_max_backwards_compatible())
    };
    leaves.next().is_none() && !file.metadata().row_groups().iter().any(old)
}
