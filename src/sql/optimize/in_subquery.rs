//! `IN (query)` with NULL in it: unknown is not false.
//!
//! `x NOT IN (q)` is true only where `q` has no row, or neither `x` nor any value of `q` is NULL and none is equal. The
//! planner's rule keeps that in mind for the plain case alone, a conjunct of WHERE over an uncorrelated query. The other
//! cases are written out here before it:
//!
//! ```text
//! x NOT IN (q), a conjunct     NOT EXISTS (q WHERE (x = value) IS NOT FALSE)
//!   where q goes on            NOT EXISTS (q WHERE x = value) AND NOT EXISTS (q WHERE value IS NULL)
//!                                AND NOT EXISTS (q WHERE x IS NULL)
//! x [NOT] IN (q), elsewhere    CASE WHEN EXISTS (q WHERE x = value) THEN true
//!                                   WHEN x IS NULL AND EXISTS (q) OR EXISTS (q WHERE value IS NULL) THEN NULL
//!                                   ELSE false END
//! ```

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result, ScalarValue, plan_err};
use datafusion_expr::expr::InSubquery;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, exists, not_exists,
    when,
};
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::pipeline::Changelog;
use crate::sql::catalog::CatalogTable;

/// What the value of a query behind IN is called.
const VALUE: &str = "__in_value";

/// Writes IN over queries out where NULL counts.
#[derive(Debug, Default)]
pub struct SpellOutIn;

impl OptimizerRule for SpellOutIn {
    fn name(&self) -> &str {
        "spell_out_in"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
        let has_in = |expr: &Expr| expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_))));
        if !has_in(&filter.predicate)? {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        }
        let conjuncts = split_conjunction_owned(filter.predicate.clone()).into_iter();
        let conjuncts = conjuncts.map(|conjunct| spelled_out(conjunct, &filter.input)).collect::<Result<Vec<_>>>()?;
        let predicate = conjunction(conjuncts).expect("there was a condition");
        if predicate == filter.predicate {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        }
        Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
    }
}

/// A condition that holds where it is true.
fn spelled_out(conjunct: Expr, input: &LogicalPlan) -> Result<Expr> {
    match conjunct {
        Expr::InSubquery(within) if !within.negated => named(within),
        Expr::InSubquery(within) => not_in(within, input),
        Expr::Not(inner) => match *inner {
            Expr::InSubquery(within) => {
                let negated = !within.negated;
                spelled_out(Expr::InSubquery(InSubquery { negated, ..within }), input)
            }
            other => unknown_kept(Expr::Not(Box::new(other)), input),
        },
        // Within AND and OR, what is unknown may as well be false.
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (positive(*left, input)?, positive(*right, input)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        other => unknown_kept(other, input),
    }
}

/// The same below an OR, where no join can take the place of the condition.
fn positive(expr: Expr, input: &LogicalPlan) -> Result<Expr> {
    match expr {
        Expr::InSubquery(within) if !within.negated => named(within),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (left, right) = (positive(*left, input)?, positive(*right, input)?);
            Ok(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) }))
        }
        other => unknown_kept(other, input),
    }
}

/// A query that depends on its surroundings, with its value under a name of its own.
fn named(within: InSubquery) -> Result<Expr> {
    let query = &within.subquery;
    let schema = query.subquery.schema();
    if query.outer_ref_columns.is_empty() || schema.fields().len() != 1 || schema.field(0).name() == VALUE {
        return Ok(Expr::InSubquery(within));
    }
    let plan = valued(&query.subquery)?.build()?;
    let subquery = query.with_plan(Arc::new(plan));
    Ok(Expr::InSubquery(InSubquery { subquery, ..within }))
}

/// A query's one column as one expression, called [`VALUE`]. What the planner's rule pulls up must not meet a column of the same
/// name, and it puts the value once more into every projection on its way: so there is only one.
fn valued(plan: &LogicalPlan) -> Result<LogicalPlanBuilder> {
    let mut value = Expr::Column(plan.schema().columns().remove(0));
    let mut input = plan;
    while let LogicalPlan::Projection(below) = input
        && !below.expr.iter().any(Expr::is_volatile)
    {
        let columns = below.schema.columns();
        let of =
            |column: &Column| Some(below.expr[columns.iter().position(|known| known == column)?].clone().unalias());
        let replaced = value.transform_up(|expr| match &expr {
            Expr::Column(column) => Ok(of(column).map_or_else(|| Transformed::no(expr.clone()), Transformed::yes)),
            _ => Ok(Transformed::no(expr)),
        })?;
        (value, input) = (replaced.data, &below.input);
    }
    LogicalPlanBuilder::from(input.clone()).project([value.alias(VALUE)])
}

/// `NOT IN` as a conjunct.
fn not_in(within: InSubquery, input: &LogicalPlan) -> Result<Expr> {
    let plain = within.subquery.outer_ref_columns.is_empty() && !within.expr.column_refs().is_empty();
    if plain && goes_on(&within.subquery.subquery)? {
        return not_in_by_parts(&within, input);
    }
    if plain || !may_be_null(&within, input)? {
        return named(within);
    }
    let equal = equality(&within, input)?;
    Ok(not_exists(filtered(&within.subquery, Expr::IsNotFalse(Box::new(equal)))?))
}

/// `NOT IN` a query that does not end or whose rows come and go: each way not to be true is a join of its own, of which only
/// the first is asked by all rows, and that one has a key.
fn not_in_by_parts(within: &InSubquery, input: &LogicalPlan) -> Result<Expr> {
    let query = &within.subquery;
    let mut all = not_exists(filtered(query, equality(within, input)?)?);
    if query.subquery.schema().field(0).is_nullable() {
        all = all.and(not_exists(filtered(query, value().is_null())?));
    }
    if within.expr.nullable(input.schema())? {
        all = all.and(not_exists(filtered(query, outer(within, input)?.is_null())?));
    }
    Ok(all)
}

/// Whether a query reads what does not end, or rows that come and go.
fn goes_on(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| {
        let LogicalPlan::TableScan(scan) = plan else { return Ok(false) };
        let table = scan.source.downcast_ref::<CatalogTable>().map(|table| &table.table);
        Ok(table.is_some_and(|table| !table.is_bounded() || table.changelog() != Changelog::Append))
    })
}

/// Every IN in an expression, true, false or NULL as it should be.
fn unknown_kept(expr: Expr, input: &LogicalPlan) -> Result<Expr> {
    let written = expr.transform_up(|expr| {
        let Expr::InSubquery(within) = expr else { return Ok(Transformed::no(expr)) };
        if !may_be_null(&within, input)? {
            return named(within).map(Transformed::yes);
        }
        let query = &within.subquery;
        let found = exists(filtered(query, equality(&within, input)?)?);
        let any = exists(Arc::new(valued(&query.subquery)?.build()?));
        let unknown = within.expr.as_ref().clone().is_null().and(any);
        let unknown = unknown.or(exists(filtered(query, value().is_null())?));
        let answer = |answer: bool| Expr::Literal(ScalarValue::Boolean(Some(answer)), None);
        let null = Expr::Literal(ScalarValue::Boolean(None), None);
        let written = when(found, answer(!within.negated)).when(unknown, null).otherwise(answer(within.negated))?;
        Ok(Transformed::yes(written))
    })?;
    Ok(written.data)
}

/// An IN as EXISTS, whatever its place, true, false or NULL as it should be.
pub(super) fn every_in(expr: Expr, input: &LogicalPlan) -> Result<Expr> {
    match unknown_kept(expr, input)? {
        Expr::InSubquery(within) => {
            let found = filtered(&within.subquery, equality(&within, input)?)?;
            Ok(if within.negated { not_exists(found) } else { exists(found) })
        }
        written => Ok(written),
    }
}

fn may_be_null(within: &InSubquery, input: &LogicalPlan) -> Result<bool> {
    let value = within.subquery.subquery.schema().field(0).is_nullable();
    Ok(value || within.expr.nullable(input.schema())?)
}

/// The query's one column, as [`filtered`] calls it.
fn value() -> Expr {
    Expr::Column(Column::new_unqualified(VALUE))
}

/// `x = value`, as the query sees it.
fn equality(within: &InSubquery, input: &LogicalPlan) -> Result<Expr> {
    Ok(outer(within, input)?.eq(value()))
}

/// `x`, as the query sees it.
fn outer(within: &InSubquery, input: &LogicalPlan) -> Result<Expr> {
    let outer = within.expr.as_ref().clone().transform_up(|expr| {
        let Expr::Column(column) = expr else { return Ok(Transformed::no(expr)) };
        let (_, field) = input.schema().qualified_field_from_column(&column)?;
        Ok(Transformed::yes(Expr::OuterReferenceColumn(field.clone(), column)))
    })?;
    Ok(outer.data)
}

/// The rows of a query for which `condition` over its value holds.
fn filtered(query: &Subquery, condition: Expr) -> Result<Arc<LogicalPlan>> {
    let columns = query.subquery.schema().fields().len();
    if columns != 1 {
        return plan_err!("a query behind IN has one column, not {columns}");
    }
    Ok(Arc::new(valued(&query.subquery)?.filter(condition)?.build()?))
}
