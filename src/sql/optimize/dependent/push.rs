//! The values that a subquery sees, pushed down into its plan until nothing looks out of it.

use std::sync::Arc;

use datafusion_common::{Column, JoinType, NullEquality, Result, TableReference};
use datafusion_expr::expr::{Sort as SortExpr, WindowFunction};
use datafusion_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, FetchType, Filter, Join, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, SkipType, Sort, Union, Unnest, Values, Window, binary_expr, lit,
};

use super::domain::{Domain, Names};
use super::{all_of, has_subquery, join_same, scalar, sets};
use crate::sql::plan::{FUNCTIONS, SetOperationNode, SingleRowNode};

/// A plan with the domain's columns in front of those of `plan`: for each combination of values, the rows that `plan`
/// has for it. `None`: there is no such form.
pub(super) fn push(plan: &LogicalPlan, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    if domain.names.is_empty() {
        return Ok(Some(plan.clone()));
    }
    if !domain.is_seen_by(plan)? {
        return Ok(Some(beside(domain, plan)?));
    }
    let pushed = match plan {
        LogicalPlan::Filter(filter) => {
            let Some(input) = push(&filter.input, domain, names)? else { return Ok(None) };
            let predicate = domain.inside(filter.predicate.clone())?;
            if has_subquery(&predicate)? {
                return Ok(None);
            }
            LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?)
        }
        LogicalPlan::Projection(projection) => return project(projection, domain, names),
        LogicalPlan::SubqueryAlias(alias) => match push(&alias.input, domain, names)? {
            Some(input) => input,
            None => return Ok(None),
        },
        LogicalPlan::Subquery(subquery) => match push(&subquery.subquery, domain, names)? {
            Some(input) => input,
            None => return Ok(None),
        },
        LogicalPlan::Aggregate(aggregate) => return group(plan, aggregate, domain, names),
        LogicalPlan::Distinct(Distinct::All(input)) => match push(input, domain, names)? {
            Some(input) => LogicalPlan::Distinct(Distinct::All(Arc::new(input))),
            None => return Ok(None),
        },
        LogicalPlan::Sort(sort) => match sort.fetch {
            // Its order is nobody's but that of a limit above, which takes it from there.
            None => match push(&sort.input, domain, names)? {
                Some(input) => input,
                None => return Ok(None),
            },
            Some(fetch) => return first(sort.input.as_ref(), &sort.expr, 0, Some(fetch), domain, names),
        },
        LogicalPlan::Limit(limit) => return limited(limit, domain, names),
        LogicalPlan::Window(window) => return over(window, domain, names),
        LogicalPlan::Union(union) => {
            let inputs =
                union.inputs.iter().map(|input| push(input, domain, names)).collect::<Result<Option<Vec<_>>>>()?;
            let Some(inputs) = inputs else { return Ok(None) };
            LogicalPlan::Union(Union::try_new(inputs.into_iter().map(Arc::new).collect())?)
        }
        LogicalPlan::Values(values) => {
            let rows = LogicalPlan::Union(rows_of(values)?);
            match push(&rows, domain, names)? {
                Some(pushed) => pushed,
                None => return Ok(None),
            }
        }
        LogicalPlan::Unnest(unnest) => match unnested(unnest, domain, names)? {
            Some(pushed) => pushed,
            None => return Ok(None),
        },
        LogicalPlan::Join(join) => return joined(plan, join, domain, names),
        LogicalPlan::Extension(extension) => {
            if let Some(node) = extension.node.as_any().downcast_ref::<SetOperationNode>() {
                let (left, right) = (push(&node.left, domain, names)?, push(&node.right, domain, names)?);
                let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
                let node = SetOperationNode { left: Arc::new(left), right: Arc::new(right), except: node.except };
                node.into_plan()
            } else if let Some(node) = extension.node.as_any().downcast_ref::<SingleRowNode>() {
                return single_row(node, domain, names);
            } else {
                return Ok(None);
            }
        }
        _ => return Ok(None),
    };
    named_like(pushed, plan, domain).map(Some)
}

/// What decides whether a plan has rows: its columns, their order and how often a row is there do not.
pub(super) fn existence(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Projection(projection) => existence(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => existence(&alias.input),
        LogicalPlan::Distinct(Distinct::All(input)) => existence(input),
        LogicalPlan::Sort(Sort { input, fetch: None, .. }) => existence(input),
        LogicalPlan::Limit(limit) => match bounds(limit) {
            Some((0, fetch)) if fetch.is_none_or(|fetch| fetch > 0) => existence(&limit.input),
            _ => plan,
        },
        other => other,
    }
}

/// A plan that sees nothing, once for each combination.
fn beside(domain: &Domain, plan: &LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row && empty.schema.fields().is_empty() => domain.plan(),
        _ => LogicalPlanBuilder::from(domain.plan()?).cross_join(plan.clone())?.build(),
    }
}

/// `pushed` with the domain's columns and the names of `like`, where it has others: column by column.
pub(super) fn named_like(pushed: LogicalPlan, like: &LogicalPlan, domain: &Domain) -> Result<LogicalPlan> {
    let wanted: Vec<Column> = domain.names.iter().cloned().chain(like.schema().columns()).collect();
    let columns = pushed.schema().columns();
    if columns == wanted {
        return Ok(pushed);
    }
    let named = columns.into_iter().zip(wanted).map(|(column, wanted)| named(Expr::Column(column), wanted));
    Ok(LogicalPlan::Projection(Projection::try_new(named.collect(), Arc::new(pushed))?))
}

pub(super) fn named(expr: Expr, wanted: Column) -> Expr {
    if matches!(&expr, Expr::Column(column) if *column == wanted) {
        return expr;
    }
    expr.alias_qualified(wanted.relation, wanted.name)
}

fn project(projection: &Projection, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    let Some(input) = push(&projection.input, domain, names)? else { return Ok(None) };
    let mut exprs: Vec<Expr> = domain.columns().collect();
    for (expr, column) in projection.expr.iter().zip(projection.schema.columns()) {
        let inside = domain.inside(expr.clone())?;
        if has_subquery(&inside)? {
            return Ok(None);
        }
        exprs.push(if inside == *expr { inside } else { named(inside.unalias(), column) });
    }
    Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)))
}

/// Groups are groups of each combination; without GROUP BY there is one for each, whether it has rows or not.
fn group(plan: &LogicalPlan, aggregate: &Aggregate, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    if let [Expr::GroupingSet(sets)] = &aggregate.group_expr[..] {
        return sets::grouped(plan, aggregate, sets, domain, names);
    }
    let within = domain.again(names);
    let Some(input) = push(&aggregate.input, &within, names)? else { return Ok(None) };
    let groups = aggregate.group_expr.iter().map(|expr| within.inside(expr.clone())).collect::<Result<Vec<_>>>()?;
    let calls = aggregate.aggr_expr.iter().map(|expr| within.inside(expr.clone())).collect::<Result<Vec<_>>>()?;
    let keys = within.columns().chain(groups).collect();
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), keys, calls)?);
    if !aggregate.group_expr.is_empty() {
        return named_like(grouped, plan, domain).map(Some);
    }
    let grouped = named_like(grouped, plan, &within)?;
    let pairs = domain.names.iter().cloned().zip(within.names.iter().cloned()).collect();
    let all = join_same(domain.plan()?, grouped, pairs, None, JoinType::Left)?;
    let mut exprs: Vec<Expr> = domain.columns().collect();
    for (call, column) in aggregate.aggr_expr.iter().zip(plan.schema().columns()) {
        let value = Expr::Column(column.clone());
        exprs.push(match of_nothing(call, plan, &column)? {
            Some(nothing) => named(coalesce(value, nothing), column),
            None => value,
        });
    }
    Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(all))?)))
}

/// What an aggregate gives over no rows, where that is not NULL.
pub(super) fn of_nothing(call: &Expr, plan: &LogicalPlan, column: &Column) -> Result<Option<Expr>> {
    match call {
        Expr::Alias(alias) => of_nothing(&alias.expr, plan, column),
        Expr::AggregateFunction(function) => {
            let data_type = plan.schema().qualified_field_from_column(column)?.1.data_type().clone();
            let nothing = function.func.default_value(&data_type)?;
            Ok((!nothing.is_null()).then(|| lit(nothing)))
        }
        _ => Ok(None),
    }
}

pub(super) fn coalesce(value: Expr, otherwise: Expr) -> Expr {
    FUNCTIONS.scalars["coalesce"].call(vec![value, otherwise])
}

/// How many rows LIMIT skips and takes, where it says so in numbers.
fn bounds(limit: &Limit) -> Option<(usize, Option<usize>)> {
    match (limit.get_skip_type(), limit.get_fetch_type()) {
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) => Some((skip, fetch)),
        _ => None,
    }
}

fn limited(limit: &Limit, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    let Some((skip, fetch)) = bounds(limit) else { return Ok(None) };
    match limit.input.as_ref() {
        // The order that decides may stand below columns that leave.
        LogicalPlan::Projection(below) => {
            let input = Arc::new(LogicalPlan::Limit(Limit { input: below.input.clone(), ..limit.clone() }));
            project(&Projection::try_new_with_schema(below.expr.clone(), input, below.schema.clone())?, domain, names)
        }
        LogicalPlan::SubqueryAlias(below) => {
            let input = LogicalPlan::Limit(Limit { input: below.input.clone(), ..limit.clone() });
            let Some(pushed) = push(&input, domain, names)? else { return Ok(None) };
            named_like(pushed, limit.input.as_ref(), domain).map(Some)
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none_or(|kept| fetch.is_some_and(|fetch| skip + fetch <= kept)) => {
            first(sort.input.as_ref(), &sort.expr, skip, fetch, domain, names)
        }
        input => first(input, &[], skip, fetch, domain, names),
    }
}

/// The first rows of each combination: those of the lowest numbers.
fn first(
    input: &LogicalPlan,
    order: &[SortExpr],
    skip: usize,
    fetch: Option<usize>,
    domain: &Domain,
    names: &Names,
) -> Result<Option<LogicalPlan>> {
    let Some(pushed) = push(input, domain, names)? else { return Ok(None) };
    let mut by = Vec::new();
    for sort in order {
        by.push(SortExpr { expr: domain.inside(sort.expr.clone())?, ..sort.clone() });
    }
    // Ties are broken by the other columns, so that the answer is one.
    let fields = input.schema().fields().iter().zip(input.schema().columns());
    let others = fields.filter(|(field, _)| !field.data_type().is_nested());
    by.extend(others.map(|(_, column)| Expr::Column(column).sort(true, false)));
    let number = FUNCTIONS.windows["row_number"].clone();
    let number = Expr::from(WindowFunction::new(number, Vec::new()));
    let number = number.partition_by(domain.columns().collect()).order_by(by).build()?;
    let name = names.next("__row");
    let number = number.alias(name.as_str());
    let numbered = LogicalPlanBuilder::from(pushed).window([number])?.build()?;
    let at = Expr::Column(numbered.schema().columns().pop().expect("the number was added"));
    let as_number = |rows: usize| lit(u64::try_from(rows).unwrap_or(u64::MAX));
    let after = (skip > 0).then(|| at.clone().gt(as_number(skip)));
    let until = fetch.map(|fetch| at.lt_eq(as_number(skip.saturating_add(fetch))));
    let Some(condition) = all_of(after.into_iter().chain(until)) else { return Ok(None) };
    let kept = LogicalPlanBuilder::from(numbered).filter(condition)?;
    let columns = domain.columns().chain(input.schema().columns().into_iter().map(Expr::Column));
    Ok(Some(kept.project(columns)?.build()?))
}

/// Window functions look at the rows of their own combination.
fn over(window: &Window, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    let Some(input) = push(&window.input, domain, names)? else { return Ok(None) };
    let mut calls = Vec::new();
    for expr in &window.window_expr {
        let Some(call) = partitioned(domain.inside(expr.clone())?, domain) else { return Ok(None) };
        calls.push(call);
    }
    let pushed = LogicalPlan::Window(Window::try_new(calls, Arc::new(input))?);
    named_like(pushed, &LogicalPlan::Window(window.clone()), domain).map(Some)
}

fn partitioned(expr: Expr, domain: &Domain) -> Option<Expr> {
    match expr {
        Expr::WindowFunction(mut call) => {
            call.params.partition_by.splice(0..0, domain.columns());
            Some(Expr::WindowFunction(call))
        }
        Expr::Alias(mut alias) => {
            *alias.expr = partitioned(*alias.expr, domain)?;
            Some(Expr::Alias(alias))
        }
        _ => None,
    }
}

/// VALUES as a union of its rows.
fn rows_of(values: &Values) -> Result<Union> {
    let rows = values.values.iter().map(|row| {
        let named = row.iter().zip(values.schema.columns()).map(|(expr, column)| named(expr.clone(), column));
        let row = LogicalPlanBuilder::empty(true).project(named)?.build()?;
        Ok(Arc::new(row))
    });
    Union::try_new(rows.collect::<Result<_>>()?)
}

fn unnested(unnest: &Unnest, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    let Some(input) = push(&unnest.input, domain, names)? else { return Ok(None) };
    let builder = LogicalPlanBuilder::from(input);
    let pushed = builder.unnest_columns_with_options(unnest.exec_columns.clone(), unnest.options.clone())?.build()?;
    // What the columns are called depends on their place.
    Ok((pushed.schema().fields().len() == domain.names.len() + unnest.schema.fields().len()).then_some(pushed))
}

/// A scalar subquery within a subquery: its one row, or NULLs.
fn single_row(node: &SingleRowNode, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    let within = domain.again(names);
    let Some(single) = scalar::single(&node.input, &within, names)? else { return Ok(None) };
    let pairs = domain.names.iter().cloned().zip(within.names.iter().cloned()).collect();
    let all = join_same(domain.plan()?, single, pairs, None, JoinType::Left)?;
    let value = Expr::Column(all.schema().columns().pop().expect("a scalar subquery has a column"));
    let wanted = node.input.schema().columns().remove(0);
    let columns = domain.columns().chain([named(value, wanted)]).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(all))?)))
}

/// A join is one of the rows of the same combination.
fn joined(plan: &LogicalPlan, join: &Join, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi};
    if join.null_aware {
        return Ok(None);
    }
    let sees = [domain.is_seen_by(&join.left)?, domain.is_seen_by(&join.right)?];
    // Which sides have the combinations in front of their rows; the first of them names them.
    let with = match join.join_type {
        Inner if sees == [false, true] => [false, true],
        Inner => [true, sees[1]],
        Left | LeftSemi | LeftAnti | LeftMark => [true, sees[1]],
        Right | RightSemi | RightAnti | RightMark => [sees[0], true],
        Full => [true, true],
    };
    let right_leads = matches!(join.join_type, Right | RightSemi | RightAnti | RightMark) || with == [false, true];
    let other = domain.again(names);
    let domains = if right_leads { [&other, domain] } else { [domain, &other] };
    let mut sides = Vec::new();
    for ((side, domain), with) in [&join.left, &join.right].into_iter().zip(domains).zip(with) {
        let pushed = if with { push(side, domain, names)? } else { Some(side.as_ref().clone()) };
        let Some(pushed) = pushed else { return Ok(None) };
        sides.push(pushed);
    }
    let [mut left, mut right] = <[LogicalPlan; 2]>::try_from(sides).expect("a join has two sides");
    let mut keys = [domains[0].names.clone(), domains[1].names.clone()];
    // The mark is called after the side that is looked into.
    let mark = plan.schema().columns().pop().and_then(|mark| mark.relation);
    match (join.join_type, mark) {
        (LeftMark, Some(mark)) => (right, keys[1]) = under(right, &keys[1], mark)?,
        (RightMark, Some(mark)) => (left, keys[0]) = under(left, &keys[0], mark)?,
        _ => {}
    }
    let [left_keys, right_keys] = keys;
    let pairs = if with == [true, true] { left_keys.into_iter().zip(right_keys).collect() } else { Vec::new() };
    let mut conditions = Vec::new();
    for (a, b) in &join.on {
        let (a, b) = (domain.inside(a.clone())?, domain.inside(b.clone())?);
        let op = match join.null_equality {
            NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
            NullEquality::NullEqualsNothing => Operator::Eq,
        };
        conditions.push(binary_expr(a, op, b));
    }
    if let Some(filter) = &join.filter {
        conditions.push(domain.inside(filter.clone())?);
    }
    for condition in &conditions {
        if has_subquery(condition)? {
            return Ok(None);
        }
    }
    let all = join_same(left, right, pairs, all_of(conditions), join.join_type)?;
    // FULL: a row of the right alone has its combination there.
    let leading: Vec<Expr> = match join.join_type {
        Full => {
            let pairs = domains[0].names.iter().zip(&domains[1].names);
            pairs.map(|(a, b)| named(coalesce(Expr::Column(a.clone()), Expr::Column(b.clone())), a.clone())).collect()
        }
        _ => domain.columns().collect(),
    };
    let columns = leading.into_iter().chain(plan.schema().columns().into_iter().map(Expr::Column)).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(all))?)))
}

/// A plan whose columns all belong to `relation`, and what `columns` of it are then.
fn under(plan: LogicalPlan, columns: &[Column], relation: TableReference) -> Result<(LogicalPlan, Vec<Column>)> {
    let columns = columns.iter().map(|column| Column::new(Some(relation.clone()), &column.name)).collect();
    Ok((LogicalPlanBuilder::from(plan).alias(relation)?.build()?, columns))
}
