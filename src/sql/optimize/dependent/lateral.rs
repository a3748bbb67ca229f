//! LATERAL: a table of FROM that sees those before it.

use std::sync::Arc;

use datafusion_common::{JoinType, NullHandling, Result, TableReference};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Unnest, lit};

use super::domain::{Domain, Names, free};
use super::plain::is_plain;
use super::push::push;
use super::{all_of, join_same};

/// The join without its LATERAL; `None`: it has none, or one that cannot be taken away here.
pub(super) fn joined(join: &Join, names: &Names, leaves_plain: bool) -> Result<Option<LogicalPlan>> {
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Ok(None);
    }
    let Some((query, alias)) = lateral(&join.right) else { return Ok(None) };
    let domain = Domain::of(query, &join.left, names)?;
    if domain.names.is_empty() {
        return Ok(None);
    }
    let condition =
        all_of(join.on.iter().map(|(left, right)| left.clone().eq(right.clone())).chain(join.filter.iter().cloned()));
    let condition = condition.filter(|condition| *condition != lit(true));
    if is_by_row(query)? {
        let query = match join.join_type {
            JoinType::Inner => Some(query.clone()),
            _ if condition.is_none() => keeping_all(query),
            _ => None,
        };
        if let Some(query) = query {
            return by_row(join, &query, alias, condition, names);
        }
    }
    if leaves_plain && is_plain(query, join.left.schema())? {
        return Ok(None);
    }
    let Some(found) = push(query, &domain, names)? else { return Ok(None) };
    let found = named(found, query, alias, &domain)?;
    let pairs = domain.outer.iter().cloned().zip(domain.names.iter().cloned()).collect();
    let all = join_same(join.left.as_ref().clone(), found, pairs, condition, join.join_type)?;
    only_columns(all, join).map(Some)
}

/// The query behind LATERAL, and what it is called.
fn lateral(plan: &LogicalPlan) -> Option<(&LogicalPlan, Option<&TableReference>)> {
    match plan {
        LogicalPlan::Subquery(subquery) => Some((&subquery.subquery, None)),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => Some((&subquery.subquery, Some(&alias.alias))),
            // Columns that are named where the query stands: AS u(x).
            input => looks_out(input).then_some((input, Some(&alias.alias))),
        },
        _ => looks_out(plan).then_some((plan, None)),
    }
}

/// The same, or sees anything else around it: in a subquery, where the planner has not seen it.
fn looks_out(plan: &LogicalPlan) -> bool {
    is_lateral(plan) || free(plan).is_ok_and(|seen| !seen.is_empty())
}

/// Whether a table of FROM sees those before it, or is joined with one that does.
fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(_) => true,
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        LogicalPlan::Projection(projection) => is_lateral(&projection.input),
        LogicalPlan::Filter(filter) => is_lateral(&filter.input),
        LogicalPlan::Join(join) => is_lateral(&join.left) || is_lateral(&join.right),
        _ => false,
    }
}

/// Whether a query makes its rows of each row before it by itself: nothing that sees them groups, counts or orders.
fn is_by_row(plan: &LogicalPlan) -> Result<bool> {
    if free(plan)?.is_empty() {
        return Ok(true);
    }
    match plan {
        LogicalPlan::Projection(projection) => is_by_row(&projection.input),
        LogicalPlan::Filter(filter) => is_by_row(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => is_by_row(&alias.input),
        LogicalPlan::Subquery(subquery) => is_by_row(&subquery.subquery),
        LogicalPlan::Unnest(unnest) => is_by_row(&unnest.input),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            // Only one side may see them: rows of two would have to be the same.
            let [left, right] = [&join.left, &join.right].map(|side| free(side).map(|seen| seen.is_empty()));
            Ok((left? || right?) && is_by_row(&join.left)? && is_by_row(&join.right)?)
        }
        _ => Ok(false),
    }
}

/// The query for LEFT JOIN: with a row of NULL where a list has none. `None`: it has more in it than one UNNEST.
fn keeping_all(plan: &LogicalPlan) -> Option<LogicalPlan> {
    let below = match plan {
        LogicalPlan::Projection(projection) if projection.expr.iter().all(is_column) => &projection.input,
        LogicalPlan::SubqueryAlias(alias) => &alias.input,
        LogicalPlan::Subquery(subquery) => &subquery.subquery,
        LogicalPlan::Unnest(unnest) => {
            let options = unnest.options.clone().with_null_handling(NullHandling::PreserveAndExpandEmpty);
            return Some(LogicalPlan::Unnest(Unnest { options, ..unnest.clone() }));
        }
        _ => return None,
    };
    let below = keeping_all(below)?;
    match plan {
        LogicalPlan::Subquery(_) => Some(below),
        other => other.with_new_exprs(other.expressions(), vec![below]).ok(),
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_column(&alias.expr),
        other => matches!(other, Expr::Column(_)),
    }
}

/// The rows before LATERAL carried through it.
fn by_row(
    join: &Join,
    query: &LogicalPlan,
    alias: Option<&TableReference>,
    condition: Option<Expr>,
    names: &Names,
) -> Result<Option<LogicalPlan>> {
    let domain = Domain::rows(&join.left, names);
    let Some(found) = push(query, &domain, names)? else { return Ok(None) };
    let found = named(found, query, alias, &domain)?;
    let found_columns = found.schema().columns().into_iter().skip(domain.names.len());
    let outer = domain.outer.iter().zip(&domain.names);
    let columns = outer
        .map(|(outer, name)| Expr::Column(name.clone()).alias_qualified(outer.relation.clone(), &outer.name))
        .chain(found_columns.map(Expr::Column));
    let all = LogicalPlanBuilder::from(found).project(columns)?.build()?;
    Ok(Some(match condition {
        Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, Arc::new(all))?),
        None => all,
    }))
}

/// What has been found, its columns called as the join calls them.
fn named(
    found: LogicalPlan,
    query: &LogicalPlan,
    alias: Option<&TableReference>,
    domain: &Domain,
) -> Result<LogicalPlan> {
    let Some(alias) = alias else { return Ok(found) };
    let columns = query.schema().columns().into_iter().map(|column| {
        let name = column.name.clone();
        Expr::Column(column).alias_qualified(Some(alias.clone()), name)
    });
    LogicalPlanBuilder::from(found).project(domain.columns().chain(columns))?.build()
}

/// The columns of the join alone.
fn only_columns(plan: LogicalPlan, join: &Join) -> Result<LogicalPlan> {
    let columns = join.schema.columns().into_iter().map(Expr::Column);
    LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()
}
