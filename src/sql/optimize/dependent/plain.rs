//! Subqueries that the planner's own rules turn into joins, rightly and cheaply.

use datafusion_common::tree_node::TreeNode;
use datafusion_common::{DFSchema, JoinType, Result};
use datafusion_expr::{Aggregate, Expr, LogicalPlan};

use super::domain::free;
use super::lateral::is_lateral;
use super::subquery_of;

/// Whether a plan sees only columns of `surroundings`, in conditions with nothing but inner joins and projections, and
/// one grouping, above them.
///
/// Beyond that the rules lose names behind an alias, take columns from two levels up for their own, or forget a HAVING.
pub(super) fn is_plain(plan: &LogicalPlan, surroundings: &DFSchema) -> Result<bool> {
    Plain { surroundings }.below(plan, false)
}

struct Plain<'a> {
    surroundings: &'a DFSchema,
}

impl Plain<'_> {
    /// `has_filter`: a condition stands above.
    fn below(&self, plan: &LogicalPlan, has_filter: bool) -> Result<bool> {
        if free(plan)?.is_empty() {
            return Ok(true);
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                Ok(self.is_own(&filter.predicate, &filter.input)? && self.below(&filter.input, true)?)
            }
            LogicalPlan::Projection(projection) => self.through(plan, &[&projection.input], has_filter),
            // Of ROLLUP and its kin the rules make groups by no key but their own.
            LogicalPlan::Aggregate(aggregate) if !has_filter && !groups_by_sets(aggregate) => {
                self.through(plan, &[&aggregate.input], false)
            }
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner && !is_lateral(&join.right) => {
                self.through(plan, &[&join.left, &join.right], has_filter)
            }
            _ => Ok(false),
        }
    }

    fn through(&self, plan: &LogicalPlan, inputs: &[&LogicalPlan], has_filter: bool) -> Result<bool> {
        if plan.expressions().iter().map(sees_in).collect::<Result<Vec<_>>>()?.contains(&true) {
            return Ok(false);
        }
        for input in inputs {
            if !self.below(input, has_filter)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a condition sees the surroundings alone, and no subquery within it looks further than to `input`.
    fn is_own(&self, predicate: &Expr, input: &LogicalPlan) -> Result<bool> {
        let other = predicate.exists(|expr| match expr {
            Expr::OuterReferenceColumn(_, column) => Ok(!self.surroundings.has_column(column)),
            other => match subquery_of(other) {
                Some(subquery) => Ok(!free(&subquery.subquery)?.iter().all(|column| input.schema().has_column(column))),
                None => Ok(false),
            },
        })?;
        Ok(!other)
    }
}

fn groups_by_sets(aggregate: &Aggregate) -> bool {
    aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)))
}

fn sees_in(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| match expr {
        Expr::OuterReferenceColumn(..) => Ok(true),
        other => Ok(subquery_of(other).is_some()),
    })
}
