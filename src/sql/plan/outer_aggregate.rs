//! Aggregates in a subquery that belong to the query around it: all columns that they read are columns of that query.
//!
//! `SELECT k, (SELECT max(m) FROM b WHERE m < sum(a.n)) FROM a GROUP BY k` sums the groups of `a`. While the subquery is
//! planned the call is a function of no arguments, which no WHERE refuses and which makes no group of its own; then the call goes
//! to the grouping of the query that its columns belong to, which is made where there is none, and a column takes its place:
//!
//! ```text
//! Projection: k, (.. m < outer_aggregate)     ─▶     Projection: k, (.. m < outer sum(a.n))
//!   Aggregate: by k                                    Aggregate: by k, sum(a.n)
//! ```
//! Invariants  the innermost query that has all of the columns takes the call; a call that nobody can take is an error.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result, exec_err, plan_err};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr};
use datafusion_expr::{
    Aggregate, ColumnarValue, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Sort, Subquery, Volatility,
};

use crate::sql::logical::subquery_of;

/// Takes aggregates of columns of the surroundings out of the hands of the subquery that they stand in.
#[derive(Debug)]
pub(super) struct OuterAggregatePlanner;

impl ExprPlanner for OuterAggregatePlanner {
    fn plan_aggregate(&self, raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let read = raw.args.iter().chain(raw.filter.as_deref()).chain(raw.order_by.iter().map(|sort| &sort.expr));
        let mut sees_out = false;
        for expr in read {
            if expr.exists(|expr| Ok(matches!(expr, Expr::Column(_)) || subquery_of(expr).is_some()))? {
                return Ok(PlannerResult::Original(raw));
            }
            sees_out |= expr.contains_outer();
        }
        if !sees_out {
            return Ok(PlannerResult::Original(raw));
        }
        let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = raw;
        let call = AggregateFunction::new_udf(func, args, distinct, filter, order_by, null_treatment);
        let data_type = Expr::AggregateFunction(call.clone()).get_type(&DFSchema::empty())?;
        let function = OuterAggregate { call, data_type, signature: Signature::nullary(Volatility::Volatile) };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, Vec::new()))))
    }
}

/// Stands for an aggregate of the surroundings.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OuterAggregate {
    call: AggregateFunction,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for OuterAggregate {
    fn name(&self) -> &str {
        "outer_aggregate"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(Expr::AggregateFunction(self.call.clone()).schema_name().to_string())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("an aggregate of the surroundings was left in a subquery")
    }
}

/// Gives every aggregate that a subquery has of its surroundings to the query that groups.
pub(super) fn give_out(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        let calls = found_below(&plan)?;
        if calls.is_empty() { Ok(Transformed::no(plan)) } else { taken(plan, calls) }
    })?;
    let mut left = None;
    plan.data.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                left = left.take().or_else(|| stand_in(expr).cloned());
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match left {
        Some(call) => plan_err!(
            "{} stands in a subquery and belongs to the query around it, which groups nothing there; aggregate in a subquery of FROM",
            inside(call)?
        ),
        None => Ok(plan.data),
    }
}

/// A node with the calls in its subqueries that are its own query's, as columns.
fn taken(plan: LogicalPlan, calls: Vec<AggregateFunction>) -> Result<Transformed<LogicalPlan>> {
    let mut known = Vec::new();
    let mut wanted = Vec::new();
    for call in calls {
        let aggregate = inside(call.clone())?;
        if owns(&plan, &aggregate)? {
            wanted.push(aggregate);
            known.push(call);
        }
    }
    if known.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let input = plan.inputs()[0].clone();
    let input = match with_calls(&input, &wanted)? {
        Some(input) => input,
        None if matches!(plan, LogicalPlan::Projection(_)) => {
            only_aggregates(&plan, &wanted[0])?;
            LogicalPlanBuilder::from(input).aggregate(Vec::<Expr>::new(), wanted.clone())?.build()?
        }
        None => return Ok(Transformed::no(plan)),
    };
    let columns: Vec<Column> =
        wanted.iter().map(|call| Column::new_unqualified(call.schema_name().to_string())).collect();
    let replaced = |call: &AggregateFunction| -> Result<Option<Expr>> {
        let Some(at) = known.iter().position(|known| known == call) else { return Ok(None) };
        let field = input.schema().qualified_field_from_column(&columns[at])?.1.clone();
        Ok(Some(Expr::OuterReferenceColumn(field, columns[at].clone())))
    };
    let names = NamePreserver::new(&plan);
    let exprs = plan.expressions().into_iter().map(|expr| {
        let name = names.save(&expr);
        Ok(name.restore(in_subqueries(expr, &replaced)?))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let rebuilt = plan.with_new_exprs(exprs, vec![input])?;
    if !matches!(plan, LogicalPlan::Sort(_)) {
        return Ok(Transformed::yes(rebuilt));
    }
    // What was passed on for the order alone goes no further.
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    Ok(Transformed::yes(LogicalPlanBuilder::from(rebuilt).project(columns)?.build()?))
}

/// Whether a call reads columns of the rows that a node's query is made of.
fn owns(plan: &LogicalPlan, call: &Expr) -> Result<bool> {
    let [input] = plan.inputs()[..] else { return Ok(false) };
    let rows = rows_of(input).unwrap_or(input);
    Ok(call.column_refs().into_iter().all(|column| rows.schema().has_column(column)))
}

/// What the query's grouping reads.
fn rows_of(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => Some(&aggregate.input),
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(_) => {
            rows_of(plan.inputs()[0])
        }
        _ => None,
    }
}

/// A plan whose grouping has these calls too, their values passed on to its top; `None`: it does not group.
fn with_calls(plan: &LogicalPlan, calls: &[Expr]) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            let mut all = aggregate.aggr_expr.clone();
            all.extend(calls.iter().filter(|call| !aggregate.aggr_expr.contains(call)).cloned());
            all.dedup();
            let (input, keys) = (aggregate.input.clone(), aggregate.group_expr.clone());
            Ok(Some(LogicalPlan::Aggregate(Aggregate::try_new(input, keys, all)?)))
        }
        LogicalPlan::Filter(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(Sort { fetch: None, .. }) => {
            let input = with_calls(plan.inputs()[0], calls)?;
            input.map(|input| plan.with_new_exprs(plan.expressions(), vec![input])).transpose()
        }
        LogicalPlan::Projection(projection) => {
            let Some(input) = with_calls(&projection.input, calls)? else { return Ok(None) };
            let passed = calls.iter().map(|call| Expr::Column(Column::new_unqualified(call.schema_name().to_string())));
            let passed = passed.filter(|column| !projection.expr.contains(column)).collect::<Vec<_>>();
            let exprs = projection.expr.iter().cloned().chain(passed).collect();
            Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)))
        }
        _ => Ok(None),
    }
}

/// Fails where a query without GROUP BY, which an aggregate in a subquery groups, reads a column of its rows.
fn only_aggregates(plan: &LogicalPlan, call: &Expr) -> Result<()> {
    let input = plan.inputs()[0];
    let mut read = None;
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            let outer = subquery_of(expr).map_or(&[][..], |subquery| &subquery.outer_ref_columns);
            let found = std::iter::once(expr).chain(outer).find_map(|expr| match expr {
                Expr::Column(column) | Expr::OuterReferenceColumn(_, column) => {
                    input.schema().has_column(column).then_some(column)
                }
                _ => None,
            });
            read = read.take().or_else(|| found.cloned());
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    match read {
        Some(column) => plan_err!(
            "column {} must stand in GROUP BY or in an aggregate: {call} in a subquery reads columns of the query around it alone, which it groups",
            column.flat_name()
        ),
        None => Ok(()),
    }
}

/// The calls that the subqueries of a node have of their surroundings.
fn found_below(plan: &LogicalPlan) -> Result<Vec<AggregateFunction>> {
    let mut found: Vec<AggregateFunction> = Vec::new();
    plan.apply_subqueries(|plan| {
        plan.apply_with_subqueries(|plan| {
            plan.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Some(call) = stand_in(expr)
                        && !found.contains(call)
                    {
                        found.push(call.clone());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })
    })?;
    Ok(found)
}

/// An expression in whose subqueries, however deep, what `replaced` knows stands in the place of calls.
fn in_subqueries(expr: Expr, replaced: &dyn Fn(&AggregateFunction) -> Result<Option<Expr>>) -> Result<Expr> {
    let expr = expr.transform_down(|mut expr| {
        let Some(subquery) = subquery_mut(&mut expr) else { return Ok(Transformed::no(expr)) };
        let plan = in_plan(subquery.subquery.as_ref().clone(), replaced)?;
        (subquery.outer_ref_columns, subquery.subquery) = (plan.all_out_ref_exprs(), Arc::new(plan));
        Ok(Transformed::yes(expr))
    })?;
    Ok(expr.data)
}

fn in_plan(plan: LogicalPlan, replaced: &dyn Fn(&AggregateFunction) -> Result<Option<Expr>>) -> Result<LogicalPlan> {
    let plan = plan.transform_up(|plan| {
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| match expr {
            // Each key has a name.
            Expr::GroupingSet(sets) => Expr::GroupingSet(sets).map_children(|key| {
                let name = names.save(&key);
                Ok(Transformed::yes(name.restore(in_expr(key, replaced)?)))
            }),
            expr => {
                let name = names.save(&expr);
                Ok(Transformed::yes(name.restore(in_expr(expr, replaced)?)))
            }
        })?;
        Ok(Transformed::yes(plan.data.recompute_schema()?))
    })?;
    Ok(plan.data)
}

fn in_expr(expr: Expr, replaced: &dyn Fn(&AggregateFunction) -> Result<Option<Expr>>) -> Result<Expr> {
    let within = in_subqueries(expr, replaced)?.transform_up(|expr| {
        let column = stand_in(&expr).map(replaced).transpose()?.flatten();
        Ok(column.map_or_else(|| Transformed::no(expr), Transformed::yes))
    })?;
    Ok(within.data)
}

/// The aggregate that an expression stands for.
fn stand_in(expr: &Expr) -> Option<&AggregateFunction> {
    let Expr::ScalarFunction(function) = expr else { return None };
    function.func.inner().downcast_ref::<OuterAggregate>().map(|function| &function.call)
}

/// The call as the query that it belongs to has it.
fn inside(call: AggregateFunction) -> Result<Expr> {
    let inside = Expr::AggregateFunction(call).transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(inside.data)
}

fn subquery_mut(expr: &mut Expr) -> Option<&mut Subquery> {
    match expr {
        Expr::Exists(exists) => Some(&mut exists.subquery),
        Expr::InSubquery(within) => Some(&mut within.subquery),
        Expr::SetComparison(comparison) => Some(&mut comparison.subquery),
        Expr::ScalarSubquery(subquery) => Some(subquery),
        _ => None,
    }
}
