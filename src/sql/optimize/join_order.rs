//! The order of inner joins: what gives the fewest rows is joined first, and nothing by a cross product that has a key.
//!
//! ```text
//! a JOIN b JOIN c JOIN d ─▶ relations a b c d, equal columns, conditions ─▶ (a JOIN c) JOIN (b JOIN d)
//! ```
//! Semi and anti joins are conditions on their left side: a selective one goes down to the one relation it asks, the
//! others stand above the joins, where fewer rows are.
//!
//! Source      greedy operator ordering, Fegaras 1998.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, JoinConstraint, JoinType, NullEquality, Result};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan, Projection};

use super::statistics::{ColumnStatistics, Statistics, pairs};

/// A semi join that keeps less than this share of a relation is worth doing first.
const SELECTIVE: f64 = 0.5;
/// The share of pairs that pass a condition which is no equality.
const CONDITION: f64 = 0.33;
/// Sets of relations are bits; larger queries keep the order they have.
const RELATIONS_MAX: usize = 60;

/// Brings the inner joins of a plan into a good order.
pub(super) fn order_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let ordered = plan.transform_down(|plan| match &plan {
        LogicalPlan::Join(join) if is_inner(join) || is_existence(join) => {
            let mut group = JoinGroup::default();
            group.collect(&plan)?;
            let relations = std::mem::take(&mut group.relations);
            group.relations = relations.into_iter().map(order_joins).collect::<Result<_>>()?;
            match group.ordered(&plan)? {
                Some(ordered) => Ok(Transformed::new(ordered, true, TreeNodeRecursion::Jump)),
                None => Ok(Transformed::no(plan)),
            }
        }
        _ => Ok(Transformed::no(plan)),
    })?;
    Ok(ordered.data)
}

fn is_inner(join: &Join) -> bool {
    join.join_type == JoinType::Inner && join.null_equality == NullEquality::NullEqualsNothing
}

/// Whether a join only asks of its left rows whether there is a match.
fn is_existence(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
}

/// Relations that are joined with one another in any order.
#[derive(Default)]
struct JoinGroup {
    relations: Vec<LogicalPlan>,
    /// Columns that are equal to one another.
    classes: Vec<Vec<Column>>,
    /// Equalities of other expressions, each side of its own relations.
    equalities: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
    /// Semi and anti joins, the left side left out; innermost first.
    existences: Vec<Join>,
}

/// Relations that have been joined.
struct Joined {
    plan: LogicalPlan,
    set: u64,
    statistics: Statistics,
}

impl JoinGroup {
    fn collect(&mut self, plan: &LogicalPlan) -> Result<()> {
        match plan {
            LogicalPlan::Join(join) if is_inner(join) => {
                self.collect(&join.left)?;
                self.collect(&join.right)?;
                join.on.iter().for_each(|(left, right)| self.add_equality(left, right));
                self.conditions.extend(join.filter.clone().map(split_conjunction_owned).unwrap_or_default());
            }
            LogicalPlan::Join(join) if is_existence(join) => {
                self.collect(&join.left)?;
                let mut join = join.clone();
                join.right = Arc::new(order_joins(join.right.as_ref().clone())?);
                self.existences.push(join);
            }
            LogicalPlan::Filter(filter) if self.leads_to_join(&filter.input) => {
                self.collect(&filter.input)?;
                self.conditions.extend(split_conjunction_owned(filter.predicate.clone()));
            }
            LogicalPlan::Projection(projection)
                if is_choice_of_columns(projection) && self.leads_to_join(&projection.input) =>
            {
                self.collect(&projection.input)?;
            }
            relation => self.relations.push(relation.clone()),
        }
        Ok(())
    }

    fn leads_to_join(&self, plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::Join(join) => is_inner(join) || is_existence(join),
            LogicalPlan::Filter(filter) => self.leads_to_join(&filter.input),
            LogicalPlan::Projection(projection) => {
                is_choice_of_columns(projection) && self.leads_to_join(&projection.input)
            }
            _ => false,
        }
    }

    fn add_equality(&mut self, left: &Expr, right: &Expr) {
        let (Expr::Column(left), Expr::Column(right)) = (left, right) else {
            self.equalities.push((left.clone(), right.clone()));
            return;
        };
        let class_of = |column: &Column| self.classes.iter().position(|class| class.contains(column));
        match (class_of(left), class_of(right)) {
            (None, None) => self.classes.push(vec![left.clone(), right.clone()]),
            (Some(class), None) => self.classes[class].push(right.clone()),
            (None, Some(class)) => self.classes[class].push(left.clone()),
            (Some(a), Some(b)) if a != b => {
                let (into, from) = (a.min(b), a.max(b));
                let moved = self.classes.swap_remove(from);
                self.classes[into].extend(moved);
            }
            _ => {}
        }
    }

    /// The relations joined in a good order, with the columns of `plan`; `None` where there is nothing to choose.
    fn ordered(mut self, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        if self.relations.len() < 2 && self.existences.len() < 2 || self.relations.len() > RELATIONS_MAX {
            return Ok(None);
        }
        let Some(classes) = self.placed_classes() else { return Ok(None) };
        self.equalize_within_relations(&classes)?;
        let Some(above) = self.lower_existences()? else { return Ok(None) };
        let Some(equalities) = self.placed_equalities() else { return Ok(None) };
        let Some(mut conditions) = self.placed_conditions() else { return Ok(None) };
        let relations = self.relations.into_iter().enumerate();
        let mut joined: Vec<Joined> = relations
            .map(|(number, plan)| Joined { set: 1 << number, statistics: Statistics::of(&plan), plan })
            .collect();
        while joined.len() > 1 {
            let (left, right) = best_pair(&joined, &classes, &equalities, &conditions);
            let (first, second) = (left.min(right), left.max(right));
            let second = joined.swap_remove(second);
            let first = joined.swap_remove(first);
            // The larger side stands left, as people write it: rows pass by the smaller one.
            let (left, right) =
                if first.statistics.rows >= second.statistics.rows { (first, second) } else { (second, first) };
            let on = keys(&left, &right, &classes, &equalities);
            let set = left.set | right.set;
            let (now, later): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|(_, needs)| needs & !set == 0);
            conditions = later;
            let filter = conjunction(now.into_iter().map(|(condition, _)| condition));
            let plan = inner_join(left.plan, right.plan, on, filter)?;
            joined.push(Joined { set, statistics: Statistics::of(&plan), plan });
        }
        let mut whole = joined.pop().expect("there is a relation").plan;
        if let Some(condition) = conjunction(conditions.into_iter().map(|(condition, _)| condition)) {
            whole = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(whole))?);
        }
        for join in above {
            whole = existence_join(whole, join)?;
        }
        let columns = plan.schema().columns().into_iter().map(Expr::Column).collect();
        Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(whole))?)))
    }

    /// The relations that an expression reads, as bits; `None` when one of its columns cannot be told.
    fn set_of(&self, expr: &Expr) -> Option<u64> {
        let mut set = 0;
        for column in expr.column_refs() {
            set |= 1 << self.relation_of(column)?;
        }
        Some(set)
    }

    fn relation_of(&self, column: &Column) -> Option<usize> {
        let mut having = (0..self.relations.len()).filter(|&at| self.relations[at].schema().has_column(column));
        having.next().filter(|_| having.next().is_none())
    }

    fn placed_classes(&self) -> Option<Vec<Vec<(Column, usize)>>> {
        let place = |column: &Column| Some((column.clone(), self.relation_of(column)?));
        self.classes.iter().map(|class| class.iter().map(place).collect()).collect()
    }

    /// Columns of one relation that are equal by way of others must be so within it, for one key per class is enough.
    fn equalize_within_relations(&mut self, classes: &[Vec<(Column, usize)>]) -> Result<()> {
        for class in classes {
            for at in 0..self.relations.len() {
                let mut own = class.iter().filter(|(_, relation)| *relation == at).map(|(column, _)| column);
                let Some(first) = own.next() else { continue };
                let equal = own.map(|other| Expr::Column(first.clone()).eq(Expr::Column(other.clone())));
                if let Some(condition) = conjunction(equal) {
                    let relation = Arc::new(self.relations[at].clone());
                    self.relations[at] = LogicalPlan::Filter(Filter::try_new(condition, relation)?);
                }
            }
        }
        Ok(())
    }

    /// Puts selective semi joins onto their relations; the ones that stay above, innermost first.
    fn lower_existences(&mut self) -> Result<Option<Vec<Join>>> {
        let mut above = Vec::new();
        for join in std::mem::take(&mut self.existences) {
            let mut set = 0;
            let right = join.right.schema();
            let of_filter = join.filter.iter().flat_map(|filter| filter.column_refs());
            let of_keys = join.on.iter().flat_map(|(left, _)| left.column_refs());
            for column in of_keys.chain(of_filter.filter(|column| !right.has_column(column))) {
                let Some(relation) = self.relation_of(column) else { return Ok(None) };
                set |= 1u64 << relation;
            }
            // How many matches pass a further condition is not known well enough to do it first.
            if set.count_ones() != 1 || join.join_type != JoinType::LeftSemi || join.filter.is_some() {
                above.push(join);
                continue;
            }
            let relation = &mut self.relations[set.trailing_zeros() as usize];
            let before = Statistics::of(relation).rows;
            let lowered = existence_join(relation.clone(), join.clone())?;
            if Statistics::of(&lowered).rows < before * SELECTIVE {
                *relation = lowered;
            } else {
                above.push(join);
            }
        }
        Ok(Some(above))
    }

    fn placed_equalities(&self) -> Option<Vec<Equality>> {
        let place = |(left, right): &(Expr, Expr)| {
            let (left_set, right_set) = (self.set_of(left)?, self.set_of(right)?);
            Some(Equality { left: left.clone(), right: right.clone(), left_set, right_set })
        };
        self.equalities.iter().map(place).collect()
    }

    fn placed_conditions(&self) -> Option<Vec<(Expr, u64)>> {
        self.conditions.iter().map(|condition| Some((condition.clone(), self.set_of(condition)?))).collect()
    }
}

/// An equality of two expressions, and the relations that each of them reads.
struct Equality {
    left: Expr,
    right: Expr,
    left_set: u64,
    right_set: u64,
}

/// The two to join next: with a key if any pair has one, and of these the one that gives the fewest rows.
fn best_pair(
    joined: &[Joined],
    classes: &[Vec<(Column, usize)>],
    equalities: &[Equality],
    conditions: &[(Expr, u64)],
) -> (usize, usize) {
    let mut best = (0, 1);
    let mut best_cost = (true, f64::MAX, f64::MAX);
    for left in 0..joined.len() {
        for right in left + 1..joined.len() {
            let (a, b) = (&joined[left], &joined[right]);
            let on = keys(a, b, classes, equalities);
            let known: Vec<(Option<ColumnStatistics>, Option<ColumnStatistics>)> =
                on.iter().map(|(l, r)| (a.statistics.column(l, &a.plan), b.statistics.column(r, &b.plan))).collect();
            let set = a.set | b.set;
            let met = conditions.iter().filter(|(_, needs)| needs & !set == 0).count();
            let rows = pairs(&a.statistics, &b.statistics, &known) * CONDITION.powi(met as i32);
            let cost = (on.is_empty(), rows, a.statistics.rows + b.statistics.rows);
            if cost < best_cost {
                (best, best_cost) = ((left, right), cost);
            }
        }
    }
    best
}

/// The keys by which two can be joined: one per class of equal columns, and the equalities between them.
fn keys(left: &Joined, right: &Joined, classes: &[Vec<(Column, usize)>], equalities: &[Equality]) -> Vec<(Expr, Expr)> {
    let mut keys = Vec::new();
    for class in classes {
        let of = |side: &Joined| class.iter().find(|(_, relation)| side.set >> relation & 1 == 1);
        if let (Some((left, _)), Some((right, _))) = (of(left), of(right)) {
            keys.push((Expr::Column(left.clone()), Expr::Column(right.clone())));
        }
    }
    for equality in equalities {
        let within = |set: u64, side: &Joined| set & !side.set == 0;
        if within(equality.left_set, left) && within(equality.right_set, right) {
            keys.push((equality.left.clone(), equality.right.clone()));
        } else if within(equality.right_set, left) && within(equality.left_set, right) {
            keys.push((equality.right.clone(), equality.left.clone()));
        }
    }
    keys
}

fn inner_join(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let (left, right) = (Arc::new(left), Arc::new(right));
    let nulls = NullEquality::NullEqualsNothing;
    Ok(LogicalPlan::Join(Join::try_new(left, right, on, filter, JoinType::Inner, JoinConstraint::On, nulls, false)?))
}

/// The same semi or anti join with another left side.
fn existence_join(left: LogicalPlan, join: Join) -> Result<LogicalPlan> {
    let Join { right, on, filter, join_type, join_constraint, null_equality, null_aware, .. } = join;
    let join = Join::try_new(Arc::new(left), right, on, filter, join_type, join_constraint, null_equality, null_aware)?;
    Ok(LogicalPlan::Join(join))
}

/// Whether a projection only leaves columns out or moves them, each under its name.
fn is_choice_of_columns(projection: &Projection) -> bool {
    let fields = projection.schema.columns();
    projection.expr.iter().zip(fields).all(|(expr, field)| matches!(expr, Expr::Column(column) if *column == field))
}
