//! `ROLLUP`, `CUBE`, `GROUPING SETS`: an aggregate per set over the same rows, and all their results.
//!
//! The plan has the distinct keys first, then `__grouping_id`, then the aggregates. A key that is not in a set is NULL
//! in its rows. A bit of the id is set for each such key, the last key's the lowest; above these bits stands how often
//! the same set came before.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::utils::powerset;
use datafusion_expr::{Aggregate, Expr, GroupingSet, lit};

use super::columns::Columns;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::NodeId;
use crate::sql::bridge::foreign;

impl Compiler {
    pub(super) fn grouping_sets(
        &mut self,
        sets: &GroupingSet,
        aggregate: &Aggregate,
        schema: SchemaRef,
        is_outermost: bool,
    ) -> Result<NodeId> {
        let keys = sets.distinct_expr();
        let sets = expanded(sets)?;
        let grouped = self.grouped(&aggregate.input, &keys, &aggregate.aggr_expr, is_outermost)?;
        if grouped.window.is_some() && !sets.iter().all(|set| set.iter().any(|key| grouped.columns.reads_window(key))) {
            return Err(super::columns::refuse(
                keys[0],
                "every grouping set of a windowed aggregate needs window_start or window_end",
            ));
        }
        let mut results = Vec::with_capacity(sets.len());
        for (index, set) in sets.iter().enumerate() {
            let fields = set_fields(set, &keys, &schema)?;
            let node = self.add_aggregate(&grouped, set, &aggregate.aggr_expr, fields, is_outermost)?;
            let repeats = sets[..index].iter().filter(|earlier| *earlier == set).count();
            results.push(self.spread_set(node, set, &keys, repeats, &schema)?);
        }
        Ok(match results.as_slice() {
            [only] => *only,
            _ => self.add_union(results, schema),
        })
    }

    /// Brings one set's results into the columns of the plan.
    fn spread_set(
        &mut self,
        node: NodeId,
        set: &[&Expr],
        keys: &[&Expr],
        repeats: usize,
        schema: &SchemaRef,
    ) -> Result<NodeId> {
        let from = self.nodes[node].schema.clone();
        let names = (0..from.fields().len()).map(|index| Field::new(format!("{index}"), DataType::Null, true));
        let names = Schema::new(
            names
                .zip(from.fields())
                .map(|(name, field)| name.with_data_type(field.data_type().clone()))
                .collect::<Vec<_>>(),
        );
        let columns = Columns::whole(&DFSchema::try_from(names).map_err(foreign)?, &from);
        let column = |index: usize| Expr::Column(datafusion_common::Column::new_unqualified(format!("{index}")));
        let mut exprs = Vec::with_capacity(schema.fields().len());
        let mut id = repeats << keys.len();
        for (index, key) in keys.iter().enumerate() {
            match set.iter().position(|member| member == key) {
                Some(position) => exprs.push(column(position)),
                None => {
                    id |= 1 << (keys.len() - 1 - index);
                    let null = ScalarValue::try_from(schema.field(index).data_type()).map_err(foreign)?;
                    exprs.push(Expr::Literal(null, None));
                }
            }
        }
        let id = ScalarValue::UInt64(Some(id as u64)).cast_to(schema.field(keys.len()).data_type()).map_err(foreign)?;
        exprs.push(lit(id));
        exprs.extend((set.len()..from.fields().len()).map(column));
        self.add_project(node, &columns, &exprs.iter().collect::<Vec<_>>(), schema.clone())
    }
}

/// The sets, one by one.
fn expanded(sets: &GroupingSet) -> Result<Vec<Vec<&Expr>>> {
    match sets {
        GroupingSet::GroupingSets(sets) => Ok(sets.iter().map(|set| set.iter().collect()).collect()),
        GroupingSet::Rollup(keys) => Ok((0..=keys.len()).rev().map(|count| keys[..count].iter().collect()).collect()),
        GroupingSet::Cube(keys) => powerset(keys).map_err(foreign),
    }
}

/// The columns of one set's aggregate: its keys, then the aggregates.
fn set_fields(set: &[&Expr], keys: &[&Expr], schema: &SchemaRef) -> Result<SchemaRef> {
    let field = |key: &&Expr| {
        let index = keys.iter().position(|known| known == key);
        index
            .map(|index| schema.fields()[index].clone())
            .ok_or_else(|| Error::bug("a grouping set has a key of its own"))
    };
    let mut fields = set.iter().map(field).collect::<Result<Vec<Arc<Field>>>>()?;
    fields.extend(schema.fields()[keys.len() + 1..].iter().cloned());
    Ok(Arc::new(Schema::new(fields)))
}
