//! Scalar subqueries that do not depend on their surroundings: a join with the one row that they have.
//!
//! ```text
//! Filter: x > (query)     ─▶     Projection: the columns of t
//!   t                              Filter: x > sq.value
//!                                    Cross Join
//!                                      t
//!                                      SubqueryAlias: sq
//!                                        SingleRow: query      fails on a second row, gives NULL where there is none
//! ```
//! Those that depend on it are joined by the planner's own rule.

use std::sync::Arc;

use datafusion_common::alias::AliasGenerator;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result, plan_err};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, Subquery};
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::sql::plan::SingleRowNode;

/// Turns uncorrelated scalar subqueries into joins.
#[derive(Debug, Default)]
pub struct JoinSingleRows;

impl OptimizerRule for JoinSingleRows {
    fn name(&self) -> &str {
        "join_single_rows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_ours = matches!(
            plan,
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Sort(_)
        );
        if !is_ours || !has_single_row(&plan)? {
            return Ok(Transformed::no(plan));
        }
        let mut joined: Vec<(Subquery, Column)> = Vec::new();
        let names = NamePreserver::new(&plan);
        let rewritten = plan.expressions().into_iter().map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(replaced(expr, &mut joined, config.alias_generator())?))
        });
        let exprs = rewritten.collect::<Result<Vec<_>>>()?;
        let mut input = LogicalPlanBuilder::from(plan.inputs()[0].clone());
        for (subquery, column) in joined {
            input = input.cross_join(single_row(&subquery, &column)?)?;
        }
        let above = plan.with_new_exprs(exprs, vec![input.build()?])?;
        Ok(Transformed::yes(with_columns_of(above, &plan)?))
    }
}

fn is_single_row(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty())
}

fn has_single_row(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found |= expr.exists(|expr| Ok(is_single_row(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The expression with columns in place of subqueries; equal ones share a column.
fn replaced(expr: Expr, joined: &mut Vec<(Subquery, Column)>, aliases: &Arc<AliasGenerator>) -> Result<Expr> {
    let replaced = expr.transform_down(|expr| match expr {
        Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => {
            if let Some((_, column)) = joined.iter().find(|(known, _)| *known == subquery) {
                return Ok(Transformed::new(Expr::Column(column.clone()), true, TreeNodeRecursion::Jump));
            }
            if subquery.subquery.schema().fields().len() != 1 {
                return plan_err!("a scalar subquery has one column");
            }
            let column = Column::new(Some(aliases.next("__scalar_sq")), "value");
            joined.push((subquery, column.clone()));
            Ok(Transformed::new(Expr::Column(column), true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(replaced.data)
}

/// The subquery's row, its value under the name `column`.
fn single_row(subquery: &Subquery, column: &Column) -> Result<LogicalPlan> {
    let plan = subquery.subquery.as_ref().clone();
    let value = Expr::Column(plan.schema().columns().remove(0)).alias(&column.name);
    let plan = if is_always_one_row(&plan) { plan } else { SingleRowNode::new(plan).into_plan() };
    let name = column.relation.clone().expect("named above").to_string();
    LogicalPlanBuilder::from(plan).project([value])?.alias(name)?.build()
}

/// Whether a plan gives one row whatever it reads, as an aggregate over all rows does.
fn is_always_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => is_always_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_always_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// `plan` with the columns of `like` alone, under its names.
pub(super) fn with_columns_of(plan: LogicalPlan, like: &LogicalPlan) -> Result<LogicalPlan> {
    let wanted = like.schema().columns();
    let columns = plan.schema().columns();
    if columns == wanted {
        return Ok(plan);
    }
    let named = columns.into_iter().zip(wanted).map(|(column, wanted)| {
        if column == wanted {
            Expr::Column(column)
        } else {
            Expr::Column(column).alias_qualified(wanted.relation, wanted.name)
        }
    });
    Ok(LogicalPlan::Projection(Projection::try_new(named.collect(), Arc::new(plan))?))
}
