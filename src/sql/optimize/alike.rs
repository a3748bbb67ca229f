//! Groups that a query asks for several times under other conditions on their keys: asked for once, under any of the conditions.
//!
//! ```text
//! Join                                           Join
//!   Aggregate: by k, year, sum(x)                  Filter: year = 2001
//!     Filter: year = 2001                            Aggregate: by k, year, sum(x)     the same in both places, and
//!       t                             ─▶               Filter: year = 2001 OR year = 2002    computed once: compile/shared
//!   Aggregate: by k, year, sum(x)                        t
//!     Filter: year = 2002                          Filter: year = 2002
//!       t                                            Aggregate: by k, year, sum(x) ..
//! ```
//! Invariants  a condition that differs reads columns that come out as keys, so that it says the same of a group as of its rows;
//!             no row is grouped, and no pair of rows of a join, that none of the places asks for: it might fail.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result};
use datafusion_expr::utils::{conjunction, disjunction, split_conjunction};
use datafusion_expr::{Aggregate, Expr, ExprSchemable, Filter, JoinType, LogicalPlan, TableScan};

use super::same::{has_unlike_equals, is_repeatable};

/// Makes aggregates that are alike the same.
pub(super) fn ask_once(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut families: HashMap<LogicalPlan, Vec<Member>> = HashMap::new();
    plan.apply(|plan| {
        if let LogicalPlan::Aggregate(aggregate) = plan
            && is_plain(plan, aggregate)?
            && let Some(stripped) = Stripped::of(aggregate)?
        {
            let members = families.entry(stripped.plan).or_default();
            if members.iter().all(|member| member.plan != *plan) {
                members.push(Member { plan: plan.clone(), conditions: stripped.conditions });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut instead: Vec<(LogicalPlan, LogicalPlan)> = Vec::new();
    for members in families.values().filter(|members| members.len() > 1) {
        instead.extend(merged(members)?.unwrap_or_default());
    }
    if instead.is_empty() {
        return Ok(plan);
    }
    let plan = plan.transform_down(|plan| match instead.iter().find(|(known, _)| *known == plan) {
        Some((_, instead)) => Ok(Transformed::new(instead.clone(), true, TreeNodeRecursion::Jump)),
        None => Ok(Transformed::no(plan)),
    })?;
    Ok(plan.data)
}

/// An aggregate of a family, and the conditions below it.
struct Member {
    plan: LogicalPlan,
    conditions: Vec<Condition>,
}

/// A condition on the rows of a plan below an aggregate.
#[derive(Debug, Clone)]
struct Condition {
    /// Which plan, by its number among those below the aggregate, conditions left out.
    place: usize,
    /// Whether a table is told of it as well, which may then read less.
    is_told: bool,
    expr: Expr,
    /// What it says of the rows that are grouped; `None`: they do not have its columns.
    above: Option<Expr>,
    /// The union that it stands below, in which of how many branches.
    branch: Option<(usize, usize, usize)>,
}

impl Condition {
    fn is_same(&self, other: &Condition) -> bool {
        (self.place, self.is_told, &self.expr) == (other.place, other.is_told, &other.expr)
    }
}

/// Whether an aggregate groups by columns, and gives the same each time.
fn is_plain(plan: &LogicalPlan, aggregate: &Aggregate) -> Result<bool> {
    let by_columns = aggregate.group_expr.iter().all(|key| matches!(key, Expr::Column(_)));
    Ok(by_columns && !aggregate.group_expr.is_empty() && is_repeatable(plan)?)
}

/// A plan without its conditions, and these.
struct Stripped {
    plan: LogicalPlan,
    conditions: Vec<Condition>,
}

impl Stripped {
    fn of(aggregate: &Aggregate) -> Result<Option<Stripped>> {
        let mut places = 0;
        let Some(below) = Self::below(&aggregate.input, &mut places)? else { return Ok(None) };
        let Aggregate { group_expr, aggr_expr, schema, .. } = aggregate.clone();
        let plan = Aggregate::try_new_with_schema(Arc::new(below.plan), group_expr, aggr_expr, schema)?;
        Ok(Some(Stripped { plan: LogicalPlan::Aggregate(plan), conditions: below.conditions }))
    }

    fn below(plan: &LogicalPlan, places: &mut usize) -> Result<Option<Stripped>> {
        if let LogicalPlan::Filter(filter) = plan {
            let place = *places;
            let Some(mut below) = Self::below(&filter.input, places)? else { return Ok(None) };
            below.conditions.extend(conditions(split_conjunction(&filter.predicate), place, false));
            return Ok(Some(below));
        }
        let place = *places;
        *places += 1;
        if let LogicalPlan::TableScan(scan) = plan {
            let told = conditions(scan.filters.iter().collect(), place, true);
            let plan = LogicalPlan::TableScan(TableScan { filters: Vec::new(), ..scan.clone() });
            return Ok(Some(Stripped { plan, conditions: told }));
        }
        let known = match plan {
            LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_) => true,
            LogicalPlan::Aggregate(below) => below.group_expr.iter().all(|key| matches!(key, Expr::Column(_))),
            _ => false,
        };
        if !known {
            return Ok(None);
        }
        let (mut inputs, mut all) = (Vec::new(), Vec::new());
        let count = plan.inputs().len();
        for (number, input) in plan.inputs().into_iter().enumerate() {
            let Some(below) = Self::below(input, places)? else { return Ok(None) };
            inputs.push(below.plan);
            all.extend(below.conditions.into_iter().map(|mut condition| {
                condition.above = condition.above.and_then(|expr| through(plan, number, input, expr));
                if let LogicalPlan::Union(_) = plan {
                    condition.above = condition.above.filter(|_| condition.branch.is_none());
                    condition.branch = Some((place, number, count));
                }
                condition
            }));
        }
        Ok(Some(Stripped { plan: plan.with_new_exprs(plan.expressions(), inputs)?, conditions: all }))
    }
}

fn conditions(exprs: Vec<&Expr>, place: usize, is_told: bool) -> Vec<Condition> {
    let condition =
        |expr: &Expr| Condition { place, is_told, expr: expr.clone(), above: Some(expr.clone()), branch: None };
    exprs.into_iter().map(condition).collect()
}

/// What a condition on the rows of an input says of the rows that a plan makes of them; `None`: they do not tell.
fn through(plan: &LogicalPlan, number: usize, input: &LogicalPlan, expr: Expr) -> Option<Expr> {
    let place = |column: &Column| -> Option<Column> {
        match plan {
            LogicalPlan::Join(join) => {
                let keeps = match join.join_type {
                    JoinType::Inner => true,
                    JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => number == 0,
                    JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => number == 1,
                    _ => false,
                };
                (keeps && join.schema.has_column(column)).then(|| column.clone())
            }
            LogicalPlan::Projection(projection) => {
                let at = projection.expr.iter().position(|expr| match expr {
                    Expr::Alias(alias) => matches!(alias.expr.as_ref(), Expr::Column(known) if known == column),
                    other => matches!(other, Expr::Column(known) if known == column),
                });
                Some(Column::from(projection.schema.qualified_field(at?)))
            }
            // Of a group it says what it says of its rows where it is about its keys.
            LogicalPlan::Aggregate(below) => {
                below.group_expr.contains(&Expr::Column(column.clone())).then(|| column.clone())
            }
            LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => {
                let at = input.schema().maybe_index_of_column(column)?;
                Some(Column::from(plan.schema().qualified_field(at)))
            }
            _ => None,
        }
    };
    let mut tells = true;
    let above = expr.transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        let found = place(column);
        tells &= found.is_some();
        Ok(found.map_or_else(|| Transformed::no(expr), |column| Transformed::yes(Expr::Column(column))))
    });
    above.ok().filter(|_| tells).map(|above| above.data)
}

/// For each member what stands in its place; `None`: they differ in more than a condition on their keys.
fn merged(members: &[Member]) -> Result<Option<Vec<(LogicalPlan, LogicalPlan)>>> {
    let is_common = |condition: &Condition| {
        members.iter().all(|member| member.conditions.iter().any(|other| other.is_same(condition)))
    };
    let LogicalPlan::Aggregate(first) = &members[0].plan else { return Ok(None) };
    let mut of_groups = Vec::with_capacity(members.len());
    let mut differing: Vec<&Condition> = Vec::new();
    for member in members {
        let own: Vec<&Condition> =
            member.conditions.iter().filter(|condition| !condition.is_told && !is_common(condition)).collect();
        let Some(says) = said_of_groups(&own, first)? else { return Ok(None) };
        of_groups.push(says);
        differing.extend(own);
    }
    if !is_one_place(&differing) {
        return Ok(None);
    }
    let told: Vec<&Condition> =
        members[0].conditions.iter().filter(|condition| condition.is_told && is_common(condition)).collect();
    let mut places = 0;
    let input = rebuilt(&first.input, &mut places, members, &told)?;
    let Aggregate { group_expr, aggr_expr, schema, .. } = first.clone();
    let all = Aggregate::try_new_with_schema(Arc::new(input), group_expr, aggr_expr, schema)?;
    let all = Arc::new(LogicalPlan::Aggregate(all));
    let of_member = |(member, says): (&Member, Option<Expr>)| {
        let instead = match says {
            Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, all.clone())?),
            None => all.as_ref().clone(),
        };
        Ok((member.plan.clone(), instead))
    };
    members.iter().zip(of_groups).map(of_member).collect::<Result<Vec<_>>>().map(Some)
}

/// Whether conditions stand at one place, or at one in each branch of a union. Of two places the rows that one member wants of
/// the first would meet those that another wants of the second: pairs that none has asked for, and that may not add up.
fn is_one_place(conditions: &[&Condition]) -> bool {
    let Some(first) = conditions.first() else { return true };
    conditions.iter().all(|condition| match (first.branch, condition.branch) {
        (None, None) => condition.place == first.place,
        (Some((union, ..)), Some((other, branch, _))) => {
            let in_branch =
                conditions.iter().filter(|other| other.branch.is_some_and(|(_, number, _)| number == branch));
            union == other && in_branch.into_iter().all(|other| other.place == condition.place)
        }
        _ => false,
    })
}

/// What conditions say of the groups; outer `None`: they say it of rows alone.
fn said_of_groups(own: &[&Condition], aggregate: &Aggregate) -> Result<Option<Option<Expr>>> {
    let mut said: Vec<Expr> = Vec::new();
    for condition in own {
        let Some(above) = &condition.above else { return Ok(None) };
        for column in above.column_refs() {
            let key = Expr::Column(column.clone());
            if !aggregate.group_expr.contains(&key) || has_unlike_equals(&key.get_type(&aggregate.schema)?) {
                return Ok(None);
            }
        }
        // Of a union's rows it says something only where every branch says the same.
        if let Some((union, _, count)) = condition.branch {
            let same = |branch: usize| {
                own.iter().any(|other| other.branch == Some((union, branch, count)) && other.above == condition.above)
            };
            if !(0..count).all(same) {
                return Ok(None);
            }
        }
        if !said.contains(above) {
            said.push(above.clone());
        }
    }
    Ok(Some(conjunction(said)))
}

/// The plan below the first of several members, with the rows that any of them wants.
fn rebuilt(plan: &LogicalPlan, places: &mut usize, members: &[Member], told: &[&Condition]) -> Result<LogicalPlan> {
    if let LogicalPlan::Filter(filter) = plan {
        return rebuilt(&filter.input, places, members, told);
    }
    let place = *places;
    *places += 1;
    let below = match plan {
        LogicalPlan::TableScan(scan) => {
            let told = told.iter().filter(|condition| condition.place == place);
            let filters = told.map(|condition| condition.expr.clone()).collect();
            LogicalPlan::TableScan(TableScan { filters, ..scan.clone() })
        }
        _ => {
            let inputs = plan.inputs().into_iter().map(|input| rebuilt(input, places, members, told));
            plan.with_new_exprs(plan.expressions(), inputs.collect::<Result<_>>()?)?
        }
    };
    Ok(match wanted(place, members) {
        Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, Arc::new(below))?),
        None => below,
    })
}

/// Which rows at a place any of the members wants; `None`: all. What all ask first is asked once; from there on each asks in
/// its own order, where a condition may keep the next one from failing.
fn wanted(place: usize, members: &[Member]) -> Option<Expr> {
    let of_member = |member: &Member| {
        let here = member.conditions.iter().filter(|condition| condition.place == place && !condition.is_told);
        here.map(|condition| condition.expr.clone()).collect::<Vec<_>>()
    };
    let mut asked: Vec<Vec<Expr>> = members.iter().map(of_member).collect();
    let is_shared = |at: usize| asked.iter().all(|exprs| exprs.get(at).is_some_and(|expr| *expr == asked[0][at]));
    let first: Vec<Expr> = (0..asked[0].len()).take_while(|&at| is_shared(at)).map(|at| asked[0][at].clone()).collect();
    asked.iter_mut().for_each(|exprs| drop(exprs.drain(..first.len())));
    let rest: Option<Vec<Expr>> = asked.into_iter().map(conjunction).collect();
    conjunction(first.into_iter().chain(rest.and_then(disjunction)))
}
