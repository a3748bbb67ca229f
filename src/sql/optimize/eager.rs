//! Aggregates below joins: where a join only adds texts to group by, the rows of the other side are grouped by its key first.
//!
//! ```text
//! Aggregate: by c_name, year, sum(price)     ─▶     Aggregate: by c_name, year, sum(part)
//!   Join: customer = c_id                             Join: customer = c_id
//!     sales                                             Aggregate: by customer, year, sum(price) AS part
//!     customers                                           sales
//!                                                       customers
//! ```
//! A group of the lower aggregate meets the rows that each of its rows would have met, so that its part counts as often as they
//! would. Texts are hashed and compared once per group then, not once per row.
//!
//! Invariants  only what can be put together from parts exactly, and what cannot fail, moves down: rows that the join would
//!             have left out are seen there. Sums and means of floats stay: their parts would be rounded, or not be finite.
//! Source      Yan and Larson 1995, "Eager Aggregation and Lazy Aggregation".

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::expr::AggregateFunction;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, GroupingSet, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, cast, lit, when,
};

use super::same::has_unlike_equals;
use super::scalar_subquery::with_columns_of;
use super::statistics::Statistics;
use crate::sql::plan::FUNCTIONS;

/// How many rows a group of the lower aggregate must have for it to pay.
const ROWS_PER_GROUP_MIN: f64 = 3.0;
/// The least share of the rows that find a partner: a join that leaves most of them out goes first.
const MATCHED_MIN: f64 = 0.5;
/// Fewer rows than this are not worth it.
const ROWS_MIN: f64 = 10_000.0;

/// Groups the rows of one side of a join before it, where that pays.
pub(super) fn aggregate_below_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_down(|plan| {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        Ok(match below_join(aggregate)? {
            Some(lowered) => Transformed::yes(with_columns_of(lowered, &plan)?),
            None => Transformed::no(plan),
        })
    })?;
    Ok(plan.data)
}

fn below_join(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some((join, columns)) = joined(&aggregate.input)? else { return Ok(None) };
    if join.join_type != JoinType::Inner || join.filter.is_some() || join.on.is_empty() {
        return Ok(None);
    }
    let keys = keys_of(aggregate);
    let keys = keys.into_iter().map(|key| over(key, &columns)).collect::<Result<Vec<_>>>()?;
    if !keys.iter().all(|key| tells_of_groups(key, &join)) {
        return Ok(None);
    }
    let calls = aggregate.aggr_expr.iter().map(|call| over(call.clone(), &columns)).collect::<Result<Vec<_>>>()?;
    let Some(calls) = calls.iter().map(|call| Parts::of(call, &join)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    for (side, other) in [(&join.left, &join.right), (&join.right, &join.left)] {
        let on: Vec<&Expr> =
            join.on.iter().map(|(left, right)| if Arc::ptr_eq(side, &join.left) { left } else { right }).collect();
        let Some(lower_keys) = lower_keys(side, &on, &keys, &calls)? else { continue };
        if is_grouped(side) || !adds_texts(other, &keys)? || !pays(&join, side, &lower_keys)? {
            continue;
        }
        return lowered(aggregate, &join, (side, lower_keys), &columns, &calls).map(Some);
    }
    Ok(None)
}

/// Columns, and what they are called further down.
type Renamed = Vec<(Column, Column)>;

/// The join below an aggregate, and what the columns between them are there.
fn joined(input: &LogicalPlan) -> Result<Option<(Join, Renamed)>> {
    match input {
        LogicalPlan::Join(join) => {
            let columns = join.schema.columns();
            Ok(Some((join.clone(), columns.iter().cloned().zip(columns.iter().cloned()).collect())))
        }
        LogicalPlan::Projection(projection) => {
            let Some((join, below)) = joined(&projection.input)? else { return Ok(None) };
            let mut columns = Vec::new();
            for (expr, column) in projection.expr.iter().zip(projection.schema.columns()) {
                let Expr::Column(from) = expr.clone().unalias() else { return Ok(None) };
                let Some((_, from)) = below.iter().find(|(known, _)| *known == from) else { return Ok(None) };
                columns.push((column, from.clone()));
            }
            Ok(Some((join, columns)))
        }
        _ => Ok(None),
    }
}

/// Whether a side is groups already.
fn is_grouped(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(is_grouped)
        }
        _ => false,
    }
}

/// All keys, those of several sets too.
fn keys_of(aggregate: &Aggregate) -> Vec<Expr> {
    match &aggregate.group_expr[..] {
        [Expr::GroupingSet(sets)] => sets.distinct_expr().into_iter().cloned().collect(),
        keys => keys.to_vec(),
    }
}

/// Whether a key says the same of each row of a lower group: it does not change by itself, and what it is computed of are the
/// same values in all of them.
fn tells_of_groups(key: &Expr, join: &Join) -> bool {
    let is_unlike = |column: &&Column| {
        let field = join.schema.qualified_field_from_column(column);
        field.is_ok_and(|(_, field)| has_unlike_equals(field.data_type()))
    };
    let is_plain = matches!(key, Expr::Column(_)) || !key.column_refs().iter().any(is_unlike);
    is_plain && !key.is_volatile()
}

/// An expression over the columns of the join.
fn over(expr: Expr, columns: &[(Column, Column)]) -> Result<Expr> {
    let over = expr.transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        match columns.iter().find(|(known, _)| known == column) {
            Some((_, from)) => Ok(Transformed::yes(Expr::Column(from.clone()))),
            None => Ok(Transformed::no(expr)),
        }
    })?;
    Ok(over.data)
}

/// The columns that a side is to be grouped by: those of its own among the keys, and what it is joined by. `None`: a call reads
/// the other side.
fn lower_keys(side: &LogicalPlan, on: &[&Expr], keys: &[Expr], calls: &[Parts]) -> Result<Option<Vec<Column>>> {
    let is_own = |column: &Column| side.schema().has_column(column);
    if !calls.iter().all(|call| call.argument.column_refs().into_iter().all(is_own)) {
        return Ok(None);
    }
    let mut columns: Vec<Column> = Vec::new();
    for key in on {
        let Expr::Column(column) = key else { return Ok(None) };
        columns.push(column.clone());
    }
    for key in keys {
        columns.extend(key.column_refs().into_iter().filter(|column| is_own(column)).cloned());
    }
    let mut each: Vec<Column> = Vec::new();
    for column in columns {
        if !each.contains(&column) {
            each.push(column);
        }
    }
    Ok(Some(each))
}

/// Whether texts of a side are grouped by.
fn adds_texts(side: &LogicalPlan, keys: &[Expr]) -> Result<bool> {
    for column in keys.iter().flat_map(Expr::column_refs) {
        if side.schema().has_column(column) {
            let (_, field) = side.schema().qualified_field_from_column(column)?;
            if matches!(field.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a side has many rows for each combination of these columns, and most of them stay.
fn pays(join: &Join, side: &LogicalPlan, keys: &[Column]) -> Result<bool> {
    let known = Statistics::of(side);
    let fixed = fixed_columns(side)?;
    let domain = |column: &Column| {
        let statistics = known.column(&Expr::Column(column.clone()), side);
        let domain = statistics.map_or(known.rows, |statistics| statistics.domain);
        fixed.iter().find(|(known, _)| known == column).map_or(domain, |(_, count)| domain.min(*count))
    };
    let groups: f64 = keys.iter().map(domain).product();
    let kept = Statistics::of(&LogicalPlan::Join(join.clone())).rows;
    Ok(known.rows >= ROWS_MIN && known.rows >= groups * ROWS_PER_GROUP_MIN && kept >= known.rows * MATCHED_MIN)
}

/// Columns that a condition below keeps to some values, and how many these are.
fn fixed_columns(plan: &LogicalPlan) -> Result<Vec<(Column, f64)>> {
    let mut fixed = Vec::new();
    plan.apply(|plan| {
        if let LogicalPlan::Filter(filter) = plan {
            fixed.extend(split_conjunction(&filter.predicate).into_iter().filter_map(fixed_by));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(fixed)
}

fn fixed_by(condition: &Expr) -> Option<(Column, f64)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(..)) | (Expr::Literal(..), Expr::Column(column)) => {
                Some((column.clone(), 1.0))
            }
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((column, one), (other, more)) = (fixed_by(left)?, fixed_by(right)?);
            (column == other).then_some((column, one + more))
        }
        Expr::InList(list) if !list.negated => match list.expr.as_ref() {
            Expr::Column(column) => Some((column.clone(), list.list.len() as f64)),
            _ => None,
        },
        _ => None,
    }
}

/// A call that can be put together from parts.
struct Parts {
    kind: Kind,
    argument: Expr,
    /// What the call gives.
    data_type: DataType,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sum,
    Count,
    Least,
    Greatest,
}

impl Parts {
    fn of(call: &Expr, join: &Join) -> Option<Parts> {
        let Expr::AggregateFunction(AggregateFunction { func, params }) = call.clone().unalias() else { return None };
        let is_plain = !params.distinct && params.filter.is_none() && params.order_by.is_empty();
        let [argument] = &params.args[..] else { return None };
        if !is_plain || params.null_treatment.is_some() {
            return None;
        }
        let data_type = call.get_type(&join.schema).ok()?;
        let (kind, fits) = match func.name() {
            "sum" => (Kind::Sum, is_summed_safely(argument, join)),
            "count" => (Kind::Count, cannot_fail(argument, join)),
            "min" => (Kind::Least, cannot_fail(argument, join)),
            "max" => (Kind::Greatest, cannot_fail(argument, join)),
            _ => return None,
        };
        fits.then(|| Parts { kind, argument: argument.clone(), data_type })
    }

    /// The call over the rows of one side.
    fn below(&self) -> Expr {
        let name = match self.kind {
            Kind::Sum => "sum",
            Kind::Count => "count",
            Kind::Least => "min",
            Kind::Greatest => "max",
        };
        FUNCTIONS.aggregates[name].call(vec![self.argument.clone()])
    }

    /// The call over its results, which are a `column`.
    fn above(&self, column: Expr) -> Expr {
        let name = match self.kind {
            Kind::Sum | Kind::Count => "sum",
            Kind::Least => "min",
            Kind::Greatest => "max",
        };
        FUNCTIONS.aggregates[name].call(vec![column])
    }

    /// The call's result of that one's, which is a `column` of `schema`.
    fn result(&self, column: Expr, schema: &DFSchema) -> Result<Expr> {
        let result = match self.kind {
            Kind::Count => when(column.clone().is_null(), lit(0_i64)).otherwise(column)?,
            _ => column,
        };
        let fits = result.get_type(schema)? == self.data_type;
        Ok(if fits { result } else { cast(result, self.data_type.clone()) })
    }
}

/// Whether the sum of some of the values is exact, and fits for as many rows as there ever are: the result has ten digits more
/// than they have.
fn is_summed_safely(argument: &Expr, join: &Join) -> bool {
    let is_wide = matches!(argument.get_type(&join.schema), Ok(DataType::Decimal128(precision, _)) if precision <= 24);
    let is_narrow_integer = |expr: &Expr| {
        let narrow = |data_type: DataType| matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32);
        matches!(expr, Expr::Column(_)) && expr.get_type(&join.schema).is_ok_and(narrow)
    };
    let is_cast_integer = |expr: &Expr| match expr {
        Expr::Cast(cast) => is_narrow_integer(&cast.expr) && *cast.field.data_type() == DataType::Int64,
        other => is_narrow_integer(other),
    };
    is_cast_integer(argument) || is_wide && cannot_fail(argument, join)
}

/// Whether an expression has a value for any row.
fn cannot_fail(expr: &Expr, join: &Join) -> bool {
    match expr {
        Expr::Column(_) | Expr::Literal(..) => true,
        Expr::Cast(cast) => {
            let from = cast.expr.get_type(&join.schema);
            let widens = |from: DataType| from.is_integer() && *cast.field.data_type() == DataType::Float64;
            from.is_ok_and(widens) && cannot_fail(&cast.expr, join)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus | Operator::Minus | Operator::Multiply, right }) => {
            let widens = |data_type: DataType| match data_type {
                DataType::Decimal128(precision, _) => precision < 38,
                other => other.is_floating(),
            };
            expr.get_type(&join.schema).is_ok_and(widens) && cannot_fail(left, join) && cannot_fail(right, join)
        }
        _ => false,
    }
}

/// The aggregate over the join of its parts.
fn lowered(
    aggregate: &Aggregate,
    join: &Join,
    (side, lower_keys): (&Arc<LogicalPlan>, Vec<Column>),
    columns: &[(Column, Column)],
    calls: &[Parts],
) -> Result<LogicalPlan> {
    let mut parts: Vec<Expr> = Vec::new();
    let of_calls: Vec<usize> = calls.iter().map(|call| place_of(&mut parts, call.below())).collect();
    let keys = lower_keys.iter().cloned().map(Expr::Column).collect();
    let below = LogicalPlan::Aggregate(Aggregate::try_new(side.clone(), keys, parts.clone())?);
    let made = below.schema().columns().split_off(lower_keys.len());
    // Equal aggregates stay equal: the names are seen no further than the aggregate above.
    let called = |at: usize| format!("__part_{at}");
    let named = made.into_iter().enumerate().map(|(at, column)| Expr::Column(column).alias(called(at)));
    let exprs = lower_keys.iter().cloned().map(Expr::Column).chain(named).collect();
    let below = Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(below))?));
    let (left, right) = match Arc::ptr_eq(side, &join.left) {
        true => (below, join.right.clone()),
        false => (join.left.clone(), below),
    };
    let (on, constraint) = (join.on.clone(), join.join_constraint);
    let joined = Join::try_new(left, right, on, None, JoinType::Inner, constraint, join.null_equality, false)?;
    let mut above: Vec<Expr> = Vec::new();
    let of_results = calls.iter().zip(of_calls).map(|(call, part)| {
        let column = Expr::Column(Column::new_unqualified(called(part)));
        place_of(&mut above, call.above(column))
    });
    let of_results: Vec<usize> = of_results.collect();
    let group_expr = aggregate.group_expr.iter().map(|key| keys_over(key, columns)).collect::<Result<Vec<_>>>()?;
    let key_count = aggregate.schema.fields().len() - aggregate.aggr_expr.len();
    let above = Aggregate::try_new(Arc::new(LogicalPlan::Join(joined)), group_expr, above)?;
    let made = above.schema.columns();
    let results: Vec<Expr> = made[key_count..].iter().cloned().map(Expr::Column).collect();
    let mut exprs: Vec<Expr> = made[..key_count].iter().cloned().map(Expr::Column).collect();
    for (at, (call, place)) in calls.iter().zip(of_results).enumerate() {
        let result = call.result(results[place].clone(), &above.schema)?;
        exprs.push(result.alias(format!("__whole_{at}")));
    }
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(above)).project(exprs)?.build()
}

/// Where an expression stands among others, added where it does not.
fn place_of(all: &mut Vec<Expr>, expr: Expr) -> usize {
    all.iter().position(|known| *known == expr).unwrap_or_else(|| {
        all.push(expr);
        all.len() - 1
    })
}

/// A key, or several sets of them, over the columns of the join.
fn keys_over(key: &Expr, columns: &[(Column, Column)]) -> Result<Expr> {
    let all = |keys: &[Expr]| keys.iter().map(|key| over(key.clone(), columns)).collect::<Result<Vec<_>>>();
    let Expr::GroupingSet(sets) = key else { return over(key.clone(), columns) };
    Ok(Expr::GroupingSet(match sets {
        GroupingSet::Rollup(keys) => GroupingSet::Rollup(all(keys)?),
        GroupingSet::Cube(keys) => GroupingSet::Cube(all(keys)?),
        GroupingSet::GroupingSets(sets) => {
            GroupingSet::GroupingSets(sets.iter().map(|keys| all(keys)).collect::<Result<_>>()?)
        }
    }))
}
