//! Subqueries in the condition of a join that is not an inner one.
//!
//! One that sees a single side, or none, is a column of that side. Of those that see both, the pairs of values for which the
//! condition holds are found first, each once; then the join is one by these values:
//!
//! ```text
//! Left Join: on AND (query of l.a, r.b)     ─▶     Left Join: on AND l.a = m.a
//!   l                                                l
//!   r                                                Join: r.b = m.b
//!                                                      r
//!                                                      m: Filter: (query of l.a, r.b)
//!                                                           the distinct l.a, r.b of l JOIN r ON on
//! ```
//! Of a pair of rows there is one row of `m` or none. The side whose rows leave without a match stays as it is; where both
//! do, the rows of the right side without one are another branch.

use std::sync::Arc;

use datafusion_common::alias::AliasGenerator;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, NullEquality, Result, ScalarValue};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Expr, Filter, Join, JoinConstraint, LogicalPlan, LogicalPlanBuilder, Operator, Union, binary_expr, lit,
};

use super::domain::free;
use super::{JoinDependent, Joined, has_subquery, join_same, subquery_of};
use crate::sql::optimize::in_subquery::every_in;
use crate::sql::optimize::same::is_volatile;
use crate::sql::optimize::scalar_subquery::with_columns_of;

impl JoinDependent {
    /// A join without the subqueries of its condition.
    pub(super) fn of_sides(
        &self,
        join: Join,
        filter: Expr,
        names: &Arc<AliasGenerator>,
    ) -> Result<Transformed<LogicalPlan>> {
        let joined = with_columns(join, filter, names)?;
        let like = joined.data.clone();
        let pairs = |join: &Join| self.by_pairs(join, names);
        match &joined.data {
            LogicalPlan::Join(join) => match pairs(join)? {
                Some(plan) => Ok(Transformed::yes(with_columns_of(plan, &like)?)),
                None => Ok(joined),
            },
            // Columns of one side have been added below.
            LogicalPlan::Projection(projection) => {
                let LogicalPlan::Join(join) = projection.input.as_ref() else { return Ok(joined) };
                let Some(plan) = pairs(join)? else { return Ok(joined) };
                Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(projection.expr.clone())?.build()?))
            }
            _ => Ok(joined),
        }
    }

    /// A join by the pairs of values for which the conditions with subqueries hold; `None`: it has no such condition, or what
    /// would be read twice does not give the same twice.
    fn by_pairs(&self, join: &Join, names: &Arc<AliasGenerator>) -> Result<Option<LogicalPlan>> {
        let Some(filter) = &join.filter else { return Ok(None) };
        if !has_subquery(filter)? || is_volatile(&LogicalPlan::Join(join.clone()))? {
            return Ok(None);
        }
        let mut plain = Vec::new();
        let mut asking = Vec::new();
        for condition in split_conjunction_owned(filter.clone()) {
            if has_subquery(&condition)? { asking.push(condition) } else { plain.push(condition) }
        }
        let found = self.pairs(join, &plain, asking, names)?;
        use JoinType::{Full, Right, RightAnti, RightMark, RightSemi};
        let keeps_right = matches!(join.join_type, Right | RightSemi | RightAnti | RightMark);
        let kept = if keeps_right { Side::Right } else { Side::Left };
        if join.join_type != Full {
            return found.joined(join, &plain, join.join_type, kept).map(Some);
        }
        let left = found.joined(join, &plain, JoinType::Left, Side::Left)?;
        let right = found.joined(join, &plain, RightAnti, Side::Right)?;
        let nulls = join.left.schema().iter().map(|(relation, field)| {
            let null = lit(ScalarValue::try_from(field.data_type())?);
            Ok(null.alias_qualified(relation.cloned(), field.name()))
        });
        let columns = join.right.schema().columns().into_iter().map(|column| Ok(Expr::Column(column)));
        let right =
            LogicalPlanBuilder::from(right).project(nulls.chain(columns).collect::<Result<Vec<_>>>()?)?.build()?;
        Ok(Some(LogicalPlan::Union(Union::try_new_with_loose_types(vec![Arc::new(left), Arc::new(right)])?)))
    }

    /// The values of a pair of rows that the conditions `asking` read, where they hold, each combination once.
    fn pairs(&self, join: &Join, plain: &[Expr], asking: Vec<Expr>, names: &Arc<AliasGenerator>) -> Result<Pairs> {
        let mut read: Vec<Column> = Vec::new();
        for condition in &asking {
            condition.apply(|expr| {
                match expr {
                    Expr::Column(column) => read.push(column.clone()),
                    other => {
                        let Some(subquery) = subquery_of(other) else { return Ok(TreeNodeRecursion::Continue) };
                        read.extend(free(&subquery.subquery)?);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        let of = |side: &LogicalPlan| {
            let mut own: Vec<Column> = Vec::new();
            for column in &read {
                if side.schema().has_column(column) && !own.contains(column) {
                    own.push(column.clone());
                }
            }
            own
        };
        let columns = [of(&join.left), of(&join.right)];
        let (left, right) = (join.left.clone(), join.right.clone());
        let pairs = Join::try_new(
            left,
            right,
            join.on.clone(),
            conjunction(plain.iter().cloned()),
            JoinType::Inner,
            JoinConstraint::On,
            join.null_equality,
            false,
        )?;
        let all = columns.iter().flatten().cloned().map(Expr::Column);
        let each = LogicalPlanBuilder::from(LogicalPlan::Join(pairs)).aggregate(all, Vec::<Expr>::new())?.build()?;
        let condition = conjunction(asking).expect("there is a condition with a subquery");
        let held = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(each))?);
        let held = self.node(held, names)?.data;
        let alias = names.next("__pairs");
        let named = |side: usize, at: usize| Column::new(Some(alias.clone()), format!("{alias}_{side}_{at}"));
        let names = [0, 1].map(|side| (0..columns[side].len()).map(|at| named(side, at)).collect::<Vec<_>>());
        let exprs = columns.iter().flatten().zip(names.iter().flatten());
        let exprs = exprs.map(|(column, name)| {
            Expr::Column(column.clone()).alias_qualified(name.relation.clone(), name.name.clone())
        });
        let plan = LogicalPlanBuilder::from(held).project(exprs)?.build()?;
        Ok(Pairs { plan, columns, names })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Combinations of values of both sides, and what the values are called: on the sides, and here.
struct Pairs {
    plan: LogicalPlan,
    columns: [Vec<Column>; 2],
    names: [Vec<Column>; 2],
}

impl Pairs {
    /// The join of rows whose values are one of the pairs; the side `kept` stands in it as it is.
    fn joined(&self, join: &Join, plain: &[Expr], join_type: JoinType, kept: Side) -> Result<LogicalPlan> {
        let [kept_at, other_at] = if kept == Side::Left { [0, 1] } else { [1, 0] };
        let other = if kept == Side::Left { &join.right } else { &join.left };
        let pairs = self.columns[other_at].iter().cloned().zip(self.names[other_at].iter().cloned()).collect();
        let other = join_same(other.as_ref().clone(), self.plan.clone(), pairs, None, JoinType::Inner)?;
        let same = self.columns[kept_at].iter().zip(&self.names[kept_at]).map(|(column, name)| {
            binary_expr(Expr::Column(column.clone()), Operator::IsNotDistinctFrom, Expr::Column(name.clone()))
        });
        let equal = join.on.iter().map(|(left, right)| {
            let op = match join.null_equality {
                NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
                NullEquality::NullEqualsNothing => Operator::Eq,
            };
            binary_expr(left.clone(), op, right.clone())
        });
        let condition = conjunction(equal.chain(plain.iter().cloned()).chain(same));
        let (left, right) = match kept {
            Side::Left => (join.left.clone(), Arc::new(other)),
            Side::Right => (Arc::new(other), join.right.clone()),
        };
        let nothing = NullEquality::NullEqualsNothing;
        let joined = Join::try_new(left, right, Vec::new(), condition, join_type, JoinConstraint::On, nothing, false)?;
        let joined = LogicalPlan::Join(joined);
        let columns: Vec<Column> = match join.join_type {
            JoinType::Full if join_type == JoinType::RightAnti => join.right.schema().columns(),
            _ => join.schema.columns(),
        };
        LogicalPlanBuilder::from(joined).project(columns.into_iter().map(Expr::Column))?.build()
    }
}

/// A join with columns in the place of the subqueries of its condition that see one of its sides, or none.
fn with_columns(join: Join, filter: Expr, names: &Arc<AliasGenerator>) -> Result<Transformed<LogicalPlan>> {
    let mut sides = [Joined::new(&join.left, names), Joined::new(&join.right, names)];
    let side_of = |expr: &Expr| -> Result<Option<usize>> {
        let Some(subquery) = subquery_of(expr) else { return Ok(None) };
        let mut seen = free(&subquery.subquery)?;
        if let Expr::InSubquery(within) = expr {
            seen.extend(within.expr.column_refs().into_iter().cloned());
        }
        let sees_only = |side: &LogicalPlan| seen.iter().all(|column| side.schema().has_column(column));
        Ok([&join.left, &join.right].into_iter().position(|side| sees_only(side)))
    };
    let written = filter.transform_down(|expr| match side_of(&expr)? {
        Some(side) if matches!(expr, Expr::InSubquery(_)) => Ok(Transformed::yes(every_in(expr, sides[side].input)?)),
        _ => Ok(Transformed::no(expr)),
    })?;
    let replaced = written.data.transform_down(|expr| {
        let Some(side) = side_of(&expr)? else { return Ok(Transformed::no(expr)) };
        let column = match &expr {
            Expr::Exists(exists) => sides[side].exists(exists)?,
            Expr::ScalarSubquery(subquery) => sides[side].scalar(subquery)?,
            _ => None,
        };
        Ok(match column {
            Some(column) => Transformed::new(column, true, TreeNodeRecursion::Jump),
            None => Transformed::no(expr),
        })
    })?;
    if !replaced.transformed {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let [left, right] = sides.map(|side| Arc::new(side.plan));
    let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
    let Join { on, join_type, join_constraint, null_equality, null_aware, .. } = join;
    let joined =
        Join::try_new(left, right, on, Some(replaced.data), join_type, join_constraint, null_equality, null_aware)?;
    Ok(Transformed::yes(LogicalPlanBuilder::from(LogicalPlan::Join(joined)).project(columns)?.build()?))
}
