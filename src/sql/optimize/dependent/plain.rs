//! Subqueries that the planner's own rules turn into joins, rightly and cheaply.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, JoinType, Result};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Aggregate, Expr, Join, LogicalPlan};

use super::domain::free;
use super::subquery_of;

/// Whether a plan sees only columns of `surroundings`, in conditions with nothing but inner joins and projections, and
/// one grouping, above them.
///
/// Beyond that the rules lose names behind an alias, take columns from two levels up for their own, or forget a HAVING.
pub(super) fn is_plain(plan: &LogicalPlan, surroundings: &DFSchema) -> Result<bool> {
    Ok(Plain { surroundings }.below(plan, false)? && are_told_apart(plan)?)
}

/// Whether the columns that stand beside those of the surroundings have different names: the rules make keys of them, and
/// forget whose they are.
fn are_told_apart(plan: &LogicalPlan) -> Result<bool> {
    let mut beside: Vec<Column> = Vec::new();
    plan.apply(|plan| {
        if let LogicalPlan::Filter(filter) = plan {
            for conjunct in split_conjunction(&filter.predicate) {
                if sees_in(conjunct)? {
                    beside.extend(conjunct.column_refs().into_iter().cloned());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let same_name = |(at, column): (usize, &Column)| {
        beside[..at].iter().any(|other| other.name == column.name && other.relation != column.relation)
    };
    Ok(!beside.iter().enumerate().any(same_name))
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
                // One that sees the surroundings above a grouping is HAVING.
                let is_having = groups(&filter.input) && sees_in(&filter.predicate)?;
                Ok(!is_having && self.is_own(&filter.predicate, &filter.input)? && self.below(&filter.input, true)?)
            }
            LogicalPlan::Projection(projection) => self.through(plan, &[&projection.input], has_filter),
            // Of ROLLUP and its kin the rules make groups by no key but their own.
            LogicalPlan::Aggregate(aggregate) if !has_filter && !groups_by_sets(aggregate) => {
                self.through(plan, &[&aggregate.input], false)
            }
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner && !sees_left(join)? => {
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

fn groups(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => plan.inputs().into_iter().any(groups),
        _ => false,
    }
}

/// Whether the right side of a join sees the left one.
fn sees_left(join: &Join) -> Result<bool> {
    Ok(free(&join.right)?.iter().any(|column| join.left.schema().has_column(column)))
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
