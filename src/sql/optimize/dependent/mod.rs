//! Subqueries that depend on their surroundings in any way, and LATERAL: joins with the values they depend on.
//!
//! The planner's rules pull conditions of a subquery up into the join that takes its place. Where there is nothing that
//! could be pulled up as it is, the values that the subquery sees are pushed down into it instead:
//!
//! ```text
//! Projection: (SELECT count(*) FROM x WHERE x.b < t.b)     Projection: coalesce(sq.value, 0)
//!   t                                                  ─▶    Left Join: t.b = outer.b
//!                                                              t
//!                                                              Aggregate: by outer.b, count(*)
//!                                                                Join: x.b < outer.b
//!                                                                  outer: the distinct t.b
//!                                                                  x
//! ```
//!
//! Invariants  a subquery is asked once for each combination of values it sees, NULL being one of them; the innermost
//!             subqueries go first; what cannot be pushed through is left as it was, and refused by `compile`.
//! Source      Neumann and Kemper 2015, "Unnesting Arbitrary Queries".

mod domain; //  the values a subquery sees
mod lateral; // LATERAL
mod sides; //   subqueries in the condition of joins that are not inner ones
mod plain; //   what the planner's own rules do well
mod push; //    those values pushed down into a plan
mod scalar; //  at most one row for each of them
mod sets; //    ROLLUP and its kin for each of them

use std::sync::Arc;

use datafusion_common::alias::AliasGenerator;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, NullEquality, Result, plan_err};
use datafusion_expr::expr::Exists;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Expr, Filter, Join, JoinConstraint, LogicalPlan, LogicalPlanBuilder, Projection, Sort, Subquery,
    check_subquery_expr,
};
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

use super::in_subquery::every_in;
use super::scalar_subquery::with_columns_of;
use crate::sql::logical::subquery_of;
use domain::{Domain, free};

/// Joins subqueries with the values they depend on.
#[derive(Debug)]
pub(super) struct JoinDependent {
    /// Plain ones are the planner's: its joins are cheaper.
    leaves_plain: bool,
}

impl JoinDependent {
    /// Goes before the planner's rules, which take those that are not plain for what they are not.
    pub(super) fn first() -> JoinDependent {
        JoinDependent { leaves_plain: true }
    }

    /// Takes what the planner's rules have left.
    pub(super) fn last() -> JoinDependent {
        JoinDependent { leaves_plain: false }
    }
}

impl OptimizerRule for JoinDependent {
    fn name(&self) -> &str {
        if self.leaves_plain { "join_dependent_first" } else { "join_dependent" }
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        self.everywhere(plan, config.alias_generator())
    }
}

impl JoinDependent {
    /// The innermost subqueries first, then from the bottom up.
    fn everywhere(&self, plan: LogicalPlan, names: &Arc<AliasGenerator>) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up(|plan| {
            let within = plan.map_subqueries(|subquery| self.everywhere(subquery, names))?;
            within.transform_data(|plan| self.node(plan, names))
        })
    }

    fn node(&self, plan: LogicalPlan, names: &Arc<AliasGenerator>) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Join(join) = plan {
            return match lateral::joined(&join, names, self.leaves_plain)? {
                Some(joined) => Ok(Transformed::yes(joined)),
                None => self.join(join, names),
            };
        }
        if let LogicalPlan::Sort(sort) = &plan
            && let Some(widened) = self.widened(sort, names)?
        {
            return Ok(Transformed::yes(widened));
        }
        let takes = matches!(
            plan,
            LogicalPlan::Filter(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Window(_)
        );
        if !takes || !self.has_ours(&plan)? {
            return Ok(Transformed::no(plan));
        }
        let mut joined = Joined::new(plan.inputs()[0], names);
        let preserved = NamePreserver::new(&plan);
        let rewritten = plan.expressions().into_iter().map(|expr| {
            // Keys of several sets have names of their own, and are put under those of the plan below.
            let name = (!matches!(expr, Expr::GroupingSet(_))).then(|| preserved.save(&expr));
            let replaced = self.replaced(expr, &plan, &mut joined)?;
            Ok(match name {
                Some(name) => name.restore(replaced),
                None => replaced,
            })
        });
        let exprs = rewritten.collect::<Result<Vec<_>>>()?;
        if !joined.has_any {
            return Ok(Transformed::no(plan));
        }
        let above = plan.with_new_exprs(exprs, vec![joined.plan])?;
        let LogicalPlan::Window(window) = &plan else { return Ok(Transformed::yes(with_columns_of(above, &plan)?)) };
        // What the functions give stands behind all columns of the input.
        let own = window.input.schema().columns().into_iter();
        let behind = above.schema().fields().len() - window.window_expr.len();
        let columns: Vec<Expr> = own.chain(above.schema().columns().split_off(behind)).map(Expr::Column).collect();
        let above = LogicalPlanBuilder::from(above).project(columns)?.build()?;
        Ok(Transformed::yes(with_columns_of(above, &plan)?))
    }

    /// An ORDER BY whose subqueries see columns of FROM that do not leave: they are passed on as far as the order.
    fn widened(&self, sort: &Sort, names: &Arc<AliasGenerator>) -> Result<Option<LogicalPlan>> {
        let LogicalPlan::Projection(below) = sort.input.as_ref() else { return Ok(None) };
        let mut missing: Vec<Expr> = Vec::new();
        for order in &sort.expr {
            order.expr.apply(|expr| {
                let Some(subquery) = subquery_of(expr) else { return Ok(TreeNodeRecursion::Continue) };
                for column in free(&subquery.subquery)? {
                    let is_missing = !below.schema.has_column(&column) && below.input.schema().has_column(&column);
                    let column = Expr::Column(column);
                    if is_missing && !missing.contains(&column) {
                        missing.push(column);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if missing.is_empty() {
            return Ok(None);
        }
        let leaving = below.schema.columns().into_iter().map(Expr::Column);
        let exprs = below.expr.iter().cloned().chain(missing).collect();
        let wide = LogicalPlan::Projection(Projection::try_new(exprs, below.input.clone())?);
        let sorted = self.node(LogicalPlan::Sort(Sort { input: Arc::new(wide), ..sort.clone() }), names)?.data;
        Ok(Some(LogicalPlanBuilder::from(sorted).project(leaving)?.build()?))
    }

    /// Subqueries in the condition of an inner join are those of a filter above it.
    fn join(&self, join: Join, names: &Arc<AliasGenerator>) -> Result<Transformed<LogicalPlan>> {
        let Some(filter) = join.filter.clone() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
        if !filter.exists(|expr| Ok(is_subquery(expr)))? {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        if join.join_type != JoinType::Inner {
            return self.of_sides(join, filter, names);
        }
        let below = LogicalPlan::Join(Join { filter: None, ..join });
        let filter = LogicalPlan::Filter(Filter::try_new(filter, Arc::new(below))?);
        Ok(Transformed::yes(self.node(filter, names)?.data))
    }

    fn has_ours(&self, plan: &LogicalPlan) -> Result<bool> {
        let mut found = false;
        plan.apply_expressions(|expr| {
            found |= expr.exists(|expr| self.is_ours(expr, plan))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }

    fn is_ours(&self, expr: &Expr, plan: &LogicalPlan) -> Result<bool> {
        if !is_subquery(expr) {
            return Ok(false);
        }
        if !self.leaves_plain {
            return Ok(true);
        }
        let Some(subquery) = subquery_of(expr) else { return Ok(false) };
        let is_dependent = !free(&subquery.subquery)?.is_empty();
        let fits = || check_subquery_expr(plan, &subquery.subquery, expr).is_ok();
        Ok(is_dependent && !(plain::is_plain(&subquery.subquery, plan.inputs()[0].schema())? && fits()))
    }

    /// An expression with columns in the place of its subqueries.
    fn replaced(&self, expr: Expr, plan: &LogicalPlan, joined: &mut Joined<'_>) -> Result<Expr> {
        let expr = expr.transform_down(|expr| match expr {
            Expr::InSubquery(_) if self.is_ours(&expr, plan)? => Ok(Transformed::yes(every_in(expr, joined.input)?)),
            other => Ok(Transformed::no(other)),
        })?;
        // What IN has been written out as is EXISTS.
        let has_written = expr.transformed;
        let replaced = expr.data.transform_down(|expr| {
            if !(has_written && matches!(expr, Expr::Exists(_)) || self.is_ours(&expr, plan)?) {
                return Ok(Transformed::no(expr));
            }
            let column = match &expr {
                Expr::Exists(exists) => joined.exists(exists)?,
                Expr::ScalarSubquery(subquery) => joined.scalar(subquery)?,
                _ => None,
            };
            Ok(match column {
                Some(column) => Transformed::new(column, true, TreeNodeRecursion::Jump),
                None => Transformed::no(expr),
            })
        })?;
        Ok(replaced.data)
    }
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_))
}

fn has_subquery(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| Ok(is_subquery(expr)))
}

/// The input of a node, joined with the subqueries of its expressions.
struct Joined<'a> {
    /// What the subqueries see.
    input: &'a LogicalPlan,
    plan: LogicalPlan,
    names: &'a Arc<AliasGenerator>,
    /// Equal subqueries share a column.
    known: Vec<(Subquery, bool, Expr)>,
    has_any: bool,
}

impl<'a> Joined<'a> {
    fn new(input: &'a LogicalPlan, names: &'a Arc<AliasGenerator>) -> Joined<'a> {
        Joined { input, plan: input.clone(), names, known: Vec::new(), has_any: false }
    }

    fn known(&self, subquery: &Subquery, asks_existence: bool) -> Option<Expr> {
        let same = |(known, kind, _): &&(Subquery, bool, Expr)| known == subquery && *kind == asks_existence;
        self.known.iter().find(same).map(|(_, _, column)| column.clone())
    }

    /// A subquery's plan, the subqueries in it joined.
    fn without_subqueries(&self, subquery: &Subquery) -> Result<LogicalPlan> {
        Ok(JoinDependent::last().everywhere(subquery.subquery.as_ref().clone(), self.names)?.data)
    }

    /// Whether the subquery has rows; `None`: it cannot be joined.
    fn exists(&mut self, exists: &Exists) -> Result<Option<Expr>> {
        let negate = |mark: Expr| if exists.negated { Expr::Not(Box::new(mark)) } else { mark };
        if let Some(mark) = self.known(&exists.subquery, true) {
            return Ok(Some(negate(mark)));
        }
        let query = self.without_subqueries(&exists.subquery)?;
        let domain = Domain::of(&query, self.input, self.names)?;
        let Some(pushed) = push::push(push::existence(&query), &domain, self.names)? else {
            return Ok(None);
        };
        let name = self.names.next("__exists");
        // One column is enough where the subquery sees nothing.
        let kept = match domain.names.is_empty() {
            true => vec![Expr::Literal(true.into(), None).alias("found")],
            false => domain.names.iter().cloned().map(Expr::Column).collect(),
        };
        let found = LogicalPlanBuilder::from(pushed).project(kept)?.alias(name.as_str())?.build()?;
        let mark = Expr::Column(Column::new(Some(name.clone()), "mark"));
        let found_names = domain.names.iter().map(|column| Column::new(Some(name.clone()), &column.name)).collect();
        self.plan = domain.join(self.plan.clone(), found, found_names, JoinType::LeftMark)?;
        self.known.push((exists.subquery.clone(), true, mark.clone()));
        self.has_any = true;
        Ok(Some(negate(mark)))
    }

    /// The subquery's one value; `None`: it cannot be joined.
    fn scalar(&mut self, subquery: &Subquery) -> Result<Option<Expr>> {
        if let Some(value) = self.known(subquery, false) {
            return Ok(Some(value));
        }
        if subquery.subquery.schema().fields().len() != 1 {
            return plan_err!("a scalar subquery has one column");
        }
        let query = self.without_subqueries(subquery)?;
        let domain = Domain::of(&query, self.input, self.names)?;
        let Some(single) = scalar::single(&query, &domain, self.names)? else { return Ok(None) };
        let name = self.names.next("__scalar_sq");
        let single = LogicalPlanBuilder::from(single).alias(name.as_str())?.build()?;
        let column = |at: &str| Column::new(Some(name.clone()), at);
        let found_names = domain.names.iter().map(|of| column(&of.name)).collect();
        self.plan = domain.join(self.plan.clone(), single, found_names, JoinType::Left)?;
        let value = Expr::Column(column(scalar::VALUE));
        self.known.push((subquery.clone(), false, value.clone()));
        self.has_any = true;
        Ok(Some(value))
    }
}

/// `left` joined with `right` where the pairs are the same, NULL being the same as NULL.
fn join_same(
    left: LogicalPlan,
    right: LogicalPlan,
    pairs: Vec<(Column, Column)>,
    filter: Option<Expr>,
    join_type: JoinType,
) -> Result<LogicalPlan> {
    let nullable = |plan: &LogicalPlan, column: &Column| {
        Ok::<_, datafusion_common::DataFusionError>(plan.schema().qualified_field_from_column(column)?.1.is_nullable())
    };
    let mut both_nullable = false;
    for (a, b) in &pairs {
        both_nullable |= nullable(&left, a)? && nullable(&right, b)?;
    }
    let null_equality = if both_nullable { NullEquality::NullEqualsNull } else { NullEquality::NullEqualsNothing };
    let on = pairs.into_iter().map(|(a, b)| (Expr::Column(a), Expr::Column(b))).collect();
    let (left, right) = (Arc::new(left), Arc::new(right));
    let join = Join::try_new(left, right, on, filter, join_type, JoinConstraint::On, null_equality, false)?;
    Ok(LogicalPlan::Join(join))
}

/// All of the conditions, if there are any.
fn all_of(conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    conjunction(conditions)
}
