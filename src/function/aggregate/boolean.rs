//! `bool_and` and `bool_or`, and `min` and `max` of booleans, which are the same.
//!
//! Invariants  trues and falses are counted, so that rows can be taken back.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millstream_kernels::{bitmap, grouped};

use super::table::{Native, Rows, Table};
use super::value;
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::AggregateFunction;

/// The function called `name`, `None` for arguments that are no booleans.
pub(super) fn function(name: &str, arg: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    let (name, is_all) = match name {
        "bool_and" | "every" => ("bool_and", true),
        "bool_or" => ("bool_or", false),
        "min" => ("min", true),
        "max" => ("max", false),
        _ => return None,
    };
    let is_boolean = *arg == DataType::Boolean;
    is_boolean.then(|| Native::retractable(name, arg, Counts { is_all, counts: Vec::new() }))
}

#[derive(Debug, Clone)]
struct Counts {
    /// Whether all values must be true, rather than any.
    is_all: bool,
    /// Falses and trues.
    counts: Vec<[i64; 2]>,
}

impl Table for Counts {
    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.counts, group_count, [0; 2]);
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        let constant = args[0].constant_bool();
        let words = if args[0].is_constant() { &[] } else { args[0].bits()? };
        let value = |row: usize| usize::from(constant.unwrap_or_else(|| bitmap::get(words, row)));
        match rows.weights {
            None => grouped::update(rows.groups, rows.validity, &mut self.counts, |counts, row| {
                counts[value(row)] += 1;
            }),
            Some(weights) => grouped::update(rows.groups, rows.validity, &mut self.counts, |counts, row| {
                counts[value(row)] += i64::from(weights[row]);
            }),
        }
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        for (from, &group) in other.counts.iter().zip(groups) {
            let counts = &mut self.counts[group as usize];
            counts[0] += from[0];
            counts[1] += from[1];
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        value::write_booleans(groups, out, |group| {
            let [falses, trues] = self.counts[group];
            let result = if self.is_all { falses <= 0 } else { trues > 0 };
            (falses > 0 || trues > 0).then_some(result)
        });
        Ok(())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64, DataType::Int64]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let column =
            |which: usize| value::saved(&DataType::Int64, group_count, |group| Some(self.counts[group][which]));
        Ok(vec![column(0)?, column(1)?])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let (falses, trues) = (value::loaded::<i64>(&columns[0])?, value::loaded::<i64>(&columns[1])?);
        self.counts.extend(falses.iter().zip(trues).map(|(&falses, &trues)| [falses, trues]));
        Ok(())
    }

    fn clear(&mut self) {
        self.counts.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.counts)
    }
}
