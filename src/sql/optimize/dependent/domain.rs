//! The values that a subquery sees of its surroundings.

use std::sync::Arc;

use datafusion_common::alias::AliasGenerator;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::join_same;

/// Columns of the surroundings, and a plan of the combinations of values they have.
pub(super) struct Domain {
    /// The combinations, under the surroundings' names.
    values: LogicalPlan,
    /// What the subquery calls the columns.
    pub(super) outer: Vec<Column>,
    /// What they are called inside the subquery, in the same order.
    pub(super) names: Vec<Column>,
}

impl Domain {
    /// The columns of `input` that `subquery` sees, each combination once.
    pub(super) fn of(subquery: &LogicalPlan, input: &LogicalPlan, names: &AliasGenerator) -> Result<Domain> {
        let outer = seen(subquery, input)?;
        let columns = outer.iter().cloned().map(Expr::Column);
        let values = match outer.is_empty() {
            true => LogicalPlanBuilder::empty(true).build()?,
            false => LogicalPlanBuilder::from(input.clone()).aggregate(columns, Vec::<Expr>::new())?.build()?,
        };
        Ok(Domain::new(values, outer, names))
    }

    /// All rows of `input`, with all of their columns: for plans that treat each row by itself.
    pub(super) fn rows(input: &LogicalPlan, names: &AliasGenerator) -> Domain {
        Domain::new(input.clone(), input.schema().columns(), names)
    }

    fn new(values: LogicalPlan, outer: Vec<Column>, names: &AliasGenerator) -> Domain {
        let alias = names.next("__outer");
        // A name that is still one where a column loses its qualifier.
        let name = |(at, column): (usize, &Column)| {
            let same = outer[..at].iter().filter(|other| other.name == column.name).count();
            let number = if same > 0 { format!("_{same}") } else { String::new() };
            Column::new(Some(alias.clone()), format!("{alias}_{}{number}", column.name))
        };
        let names = outer.iter().enumerate().map(name).collect();
        Domain { values, outer, names }
    }

    /// The same under other names.
    pub(super) fn again(&self, names: &AliasGenerator) -> Domain {
        Domain::new(self.values.clone(), self.outer.clone(), names)
    }

    /// A plan of the combinations, under the names they have inside.
    pub(super) fn plan(&self) -> Result<LogicalPlan> {
        if self.names.is_empty() {
            return Ok(self.values.clone());
        }
        let named = self
            .outer
            .iter()
            .zip(&self.names)
            .map(|(outer, name)| Expr::Column(outer.clone()).alias_qualified(name.relation.clone(), &name.name));
        LogicalPlanBuilder::from(self.values.clone()).project(named)?.build()
    }

    /// The columns as expressions.
    pub(super) fn columns(&self) -> impl Iterator<Item = Expr> {
        self.names.iter().cloned().map(Expr::Column)
    }

    /// Whether a plan sees one of the columns.
    pub(super) fn is_seen_by(&self, plan: &LogicalPlan) -> Result<bool> {
        let mut found = false;
        plan.apply(|plan| {
            plan.apply_expressions(|expr| {
                found |= self.is_seen_in(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(found)
    }

    /// Whether an expression, or a subquery within it, sees one of the columns.
    pub(super) fn is_seen_in(&self, expr: &Expr) -> Result<bool> {
        expr.exists(|expr| match expr {
            Expr::OuterReferenceColumn(_, column) => Ok(self.outer.contains(column)),
            other => match super::subquery_of(other) {
                Some(subquery) => self.is_seen_by(&subquery.subquery),
                None => Ok(false),
            },
        })
    }

    /// An expression of the subquery that reads the columns from its own input.
    pub(super) fn inside(&self, expr: Expr) -> Result<Expr> {
        let inside = expr.transform_up(|expr| {
            let Expr::OuterReferenceColumn(_, column) = &expr else { return Ok(Transformed::no(expr)) };
            Ok(match self.outer.iter().position(|outer| outer == column) {
                Some(at) => Transformed::yes(Expr::Column(self.names[at].clone())),
                None => Transformed::no(expr),
            })
        })?;
        Ok(inside.data)
    }

    /// The surroundings joined with what has been found for them, which calls the columns `found_names`.
    pub(super) fn join(
        &self,
        surroundings: LogicalPlan,
        found: LogicalPlan,
        found_names: Vec<Column>,
        join_type: JoinType,
    ) -> Result<LogicalPlan> {
        let pairs = self.outer.iter().cloned().zip(found_names).collect();
        join_same(surroundings, found, pairs, None, join_type)
    }
}

/// The columns of `input` that a plan refers to as those of its surroundings.
fn seen(plan: &LogicalPlan, input: &LogicalPlan) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for column in free(plan)? {
        if input.schema().has_column(&column) && !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns)
}

/// The columns that a plan, or a subquery in it, sees outside of the plan.
pub(super) fn free(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    let inputs = plan.inputs();
    plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            match expr {
                Expr::OuterReferenceColumn(_, column) => found.push(column.clone()),
                other => {
                    let Some(subquery) = super::subquery_of(other) else { return Ok(TreeNodeRecursion::Continue) };
                    let is_own = |column: &Column| inputs.iter().any(|input| input.schema().has_column(column));
                    found.extend(free(&subquery.subquery)?.into_iter().filter(|column| !is_own(column)));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    if let LogicalPlan::Join(join) = plan {
        let is_own = |column: &Column| join.left.schema().has_column(column);
        found.extend(free(&join.left)?);
        found.extend(free(&join.right)?.into_iter().filter(|column| !is_own(column)));
        return Ok(found);
    }
    for input in inputs {
        found.extend(free(input)?);
    }
    Ok(found)
}

/// The names of columns made here never meet those of the query.
pub(super) type Names = Arc<AliasGenerator>;
