//! `count`: rows, or rows where no argument is null.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::{aggregate, grouped};

use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::AggregateFunction;

/// `count` of any arguments.
pub(super) fn function() -> Arc<dyn AggregateFunction> {
    Native::retractable("count", &DataType::Int64, Count::default())
}

/// Counts; other tables that count give its results too.
#[derive(Debug, Clone, Default)]
pub(super) struct Count {
    counts: Vec<i64>,
}

impl Table for Count {
    const CAN_UNMERGE: bool = true;

    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.counts, group_count, 0);
    }

    fn update(&mut self, rows: &Rows<'_>, _: &[Argument<'_>]) -> Result<()> {
        match rows.weights {
            Some(weights) => grouped::count_weighted(rows.groups, rows.validity, weights, &mut self.counts),
            None if rows.one_group => self.counts[0] += aggregate::count(rows.validity, rows.count()) as i64,
            None => grouped::count(rows.groups, rows.validity, &mut self.counts),
        }
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (&group, &count) in groups.iter().zip(&other.counts) {
            self.counts[group as usize] += count;
        }
        Ok(())
    }

    fn unmerge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (&group, &count) in groups.iter().zip(&other.counts) {
            self.counts[group as usize] -= count;
        }
        Ok(())
    }

    fn pick(&self, groups: &[u32]) -> Option<Self> {
        Some(Count { counts: groups.iter().map(|&group| self.counts[group as usize]).collect() })
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write(groups, out, |group| Ok(Some(self.counts[group])))
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        Ok(vec![value::saved(&DataType::Int64, group_count, |group| Some(self.counts[group]))?])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.counts.extend_from_slice(value::loaded(&columns[0])?);
        Ok(())
    }

    fn clear(&mut self) {
        self.counts.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.counts)
    }
}
