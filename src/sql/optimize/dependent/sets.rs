//! ROLLUP and its kin in a subquery: each set is one of each combination of values that the subquery sees.

use std::sync::Arc;

use datafusion_common::{Column, JoinType, Result, ScalarValue};
use datafusion_expr::{
    Aggregate, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Union, binary_expr, cast, lit,
};

use super::domain::{Domain, Names};
use super::join_same;
use super::push::{coalesce, named, named_like, of_nothing, push};
use crate::sql::logical::expanded;

/// The groups of each combination. The group of nothing is there even without rows, as often as it is written.
pub(super) fn grouped(
    plan: &LogicalPlan,
    aggregate: &Aggregate,
    sets: &GroupingSet,
    domain: &Domain,
    names: &Names,
) -> Result<Option<LogicalPlan>> {
    let keys: Vec<Expr> = sets.distinct_expr().into_iter().cloned().collect();
    let key_count = keys.len();
    let sets = expanded(sets)?;
    let of_nothing_count = sets.iter().filter(|set| set.is_empty()).count();
    let within = domain.again(names);
    if key_count + within.names.len() >= u64::BITS as usize {
        return Ok(None);
    }
    let Some(input) = push(&aggregate.input, &within, names)? else { return Ok(None) };
    let (input, keys) = with_keys(input, keys, &within, names)?;
    let inside = |set: Vec<&Expr>| {
        let key = |key: &Expr| keys.iter().find(|(known, _)| known == key).map_or(key, |(_, column)| column).clone();
        within.columns().chain(set.into_iter().map(key)).collect::<Vec<_>>()
    };
    let sets = sets.into_iter().map(inside).collect();
    let calls = aggregate.aggr_expr.iter().map(|expr| within.inside(expr.clone())).collect::<Result<Vec<_>>>()?;
    let by_sets = vec![Expr::GroupingSet(GroupingSet::GroupingSets(sets))];
    let grouped = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), by_sets, calls)?);
    let grouped = renumbered(grouped, plan, key_count, within.names.len())?;
    if of_nothing_count == 0 {
        return named_like(grouped, plan, domain).map(Some);
    }
    let without_rows = without_rows(plan, aggregate, key_count)?;
    let pairs = domain.names.iter().cloned().zip(within.names.iter().cloned()).collect();
    let named_within = named_like(grouped.clone(), plan, &within)?;
    if of_nothing_count == 1 {
        let all = join_same(domain.plan()?, named_within, pairs, None, JoinType::Left)?;
        let columns = plan.schema().columns().into_iter().zip(without_rows);
        let columns = columns.map(|(column, nothing)| match nothing {
            Some(nothing) => named(coalesce(Expr::Column(column.clone()), nothing), column),
            None => Expr::Column(column),
        });
        let exprs = domain.columns().chain(columns).collect();
        return Ok(Some(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(all))?)));
    }
    let none = join_same(domain.plan()?, named_within, pairs, None, JoinType::LeftAnti)?;
    let id_type = plan.schema().field(key_count).data_type();
    let rows = (0..of_nothing_count as u64).map(|repeat| {
        let nothing = plan.schema().fields().iter().zip(plan.schema().columns()).zip(without_rows.iter().cloned());
        let exprs = nothing.enumerate().map(|(at, ((field, column), nothing))| {
            let value = match nothing {
                _ if at == key_count => lit(id_of_nothing(key_count, repeat).cast_to(id_type)?),
                Some(nothing) => nothing,
                None => lit(ScalarValue::try_from(field.data_type())?),
            };
            Ok(named(value, column))
        });
        let exprs = domain.columns().map(Ok).chain(exprs).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(none.clone()))?)))
    });
    let mut branches = rows.collect::<Result<Vec<_>>>()?;
    branches.insert(0, Arc::new(named_like(grouped, plan, domain)?));
    named_like(LogicalPlan::Union(Union::try_new(branches)?), plan, domain).map(Some)
}

/// The groups with the numbers of their sets as they are in `plan`: `more` keys stand in front, which every set has.
fn renumbered(grouped: LogicalPlan, plan: &LogicalPlan, key_count: usize, more: usize) -> Result<LogicalPlan> {
    let at = more + key_count;
    let id_type = plan.schema().field(key_count).data_type();
    let (all, own) = (lit(1_u64 << at), lit(1_u64 << key_count));
    let columns = grouped.schema().columns().into_iter().enumerate().map(|(index, column)| {
        let value = Expr::Column(column.clone());
        if index != at {
            return value;
        }
        // Above a bit for each key stands how often the set came before.
        let number = cast(value, arrow::datatypes::DataType::UInt64);
        let repeats = binary_expr(number.clone(), Operator::Divide, all.clone());
        let lacking = binary_expr(number, Operator::Modulo, all.clone());
        let number = binary_expr(binary_expr(repeats, Operator::Multiply, own.clone()), Operator::Plus, lacking);
        named(cast(number, id_type.clone()), column)
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(grouped))?))
}

/// The number of the set without keys, where it came `repeat` times before.
fn id_of_nothing(key_count: usize, repeat: u64) -> ScalarValue {
    ScalarValue::UInt64(Some(repeat << key_count | ((1 << key_count) - 1)))
}

/// What each column of the group of nothing is where there are no rows; `None`: NULL.
fn without_rows(plan: &LogicalPlan, aggregate: &Aggregate, key_count: usize) -> Result<Vec<Option<Expr>>> {
    let columns = plan.schema().columns().into_iter().enumerate();
    let values = columns.map(|(at, column)| match at.checked_sub(key_count + 1) {
        Some(call) => of_nothing(&aggregate.aggr_expr[call], plan, &column),
        None if at == key_count => {
            let id_type = plan.schema().field(key_count).data_type();
            Ok(Some(lit(id_of_nothing(key_count, 0).cast_to(id_type)?)))
        }
        None => Ok(None),
    });
    values.collect()
}

/// The input with a column of its own for each key that sees the surroundings, whose columns stand in every set, and what stands
/// in the place of each key.
fn with_keys(
    input: LogicalPlan,
    keys: Vec<Expr>,
    within: &Domain,
    names: &Names,
) -> Result<(LogicalPlan, Vec<(Expr, Expr)>)> {
    let mut columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    let column_count = columns.len();
    let mut replaced = Vec::with_capacity(keys.len());
    for key in keys {
        let inside = within.inside(key.clone())?;
        if within.is_seen_in(&key)? {
            let name = names.next("__key");
            columns.push(inside.alias(&name));
            replaced.push((key, Expr::Column(Column::new_unqualified(name))));
        } else {
            replaced.push((key, inside));
        }
    }
    if columns.len() == column_count {
        return Ok((input, replaced));
    }
    Ok((LogicalPlanBuilder::from(input).project(columns)?.build()?, replaced))
}
