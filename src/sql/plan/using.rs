//! `RIGHT` and `FULL JOIN` with `USING` or `NATURAL`: the common column has the value of the side that has one. So has that
//! of a `LEFT JOIN` behind `SELECT *`, for which the planner takes the column of the table whose name comes first.
//!
//! The planner takes the left column for the common one where it is named. Such a join is therefore put into FROM as a relation of its own,
//! whose common columns belong to neither table:
//!
//! ```text
//! Projection: coalesce(a.k, b.k) AS k, a.x, b.y
//!   Full Join: a.k = b.k
//! ```
//! Of the other joins the common column is the left one, and is called so where its bare name would be ambiguous to the
//! planner, or that of a table around the query.

use std::ops::ControlFlow;

use datafusion_common::{Column, JoinType};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{
    self, ExprWithAlias, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem, Spanned, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, visit_expressions,
};

use super::define::normalize;
use super::functions::FUNCTIONS;
use crate::error::{Error, Result};
use crate::sql::error::from_datafusion;
use crate::sql::parse::place;

/// Names the relation that such a join becomes: an UNPIVOT that nobody can write, for it has no columns.
const MARKER: &str = "__using";

/// Makes relations of the RIGHT and FULL joins of a query by common columns.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    match query.visit(&mut Rewriter { count: 0 }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter {
    /// How many there have been.
    count: usize,
}

impl VisitorMut for Rewriter {
    type Break = Error;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let left = match starred(select) {
            Ok(left) => left,
            Err(error) => return ControlFlow::Break(error),
        };
        // The common columns of what becomes a relation are of neither table.
        if !left {
            name_left_columns(select);
        }
        for table in &mut select.from {
            self.rewrite_joins(table, |join| outer(join).is_some_and(|(kind, _)| kind != JoinType::Left || left));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            self.rewrite_joins(table_with_joins, |join| outer(join).is_some_and(|(kind, _)| kind != JoinType::Left));
        }
        ControlFlow::Continue(())
    }
}

/// Whether a block has a `*` that a LEFT JOIN by columns has a part in.
///
/// Failure: it also names the common column of the right table, which then is one more.
fn starred(select: &Select) -> Result<bool> {
    let has_star = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    let joins = select.from.iter().flat_map(|table| &table.joins);
    let by_columns = |join: &&ast::Join| is_outer_by_columns(&join.join_operator);
    let left: Vec<_> = joins
        .filter(by_columns)
        .filter(|join| outer(&join.join_operator).is_some_and(|(kind, _)| kind == JoinType::Left))
        .collect();
    if !has_star || left.is_empty() {
        return Ok(false);
    }
    let named = visit_expressions(select, |expr| {
        let ast::Expr::CompoundIdentifier(path) = expr else { return ControlFlow::Continue(()) };
        let [.., table, column] = path.as_slice() else { return ControlFlow::Continue(()) };
        let is_common = |constraint: &JoinConstraint| match constraint {
            JoinConstraint::Using(names) => {
                names.iter().any(|name| name.to_string().eq_ignore_ascii_case(&column.value))
            }
            _ => true,
        };
        let is_of = |join: &&ast::Join| {
            let is_table = table_name(&join.relation).is_some_and(|name| name.eq_ignore_ascii_case(&table.value));
            is_table && outer(&join.join_operator).is_some_and(|(_, constraint)| is_common(constraint))
        };
        if left.iter().any(|join| is_of(&&**join)) {
            return ControlFlow::Break((format!("{table}.{column}"), path[0].span));
        }
        ControlFlow::Continue(())
    });
    match named {
        ControlFlow::Continue(()) => Ok(true),
        ControlFlow::Break((name, span)) => {
            let message = format!(
                "SELECT * of a LEFT JOIN by common columns has one column of each; beside it {name} cannot be named: list the \
                 columns, or join with ON"
            );
            Err(Error::user(message).at(place(span)))
        }
    }
}

/// What the columns of a table are called by.
fn table_name(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.value.clone()),
        TableFactor::Table { name, .. } => Some(name.0.last()?.as_ident()?.value.clone()),
        _ => None,
    }
}

impl Rewriter {
    /// The joins in question, each with all that stands before it as its left side.
    fn rewrite_joins(&mut self, table: &mut TableWithJoins, wanted: impl Fn(&JoinOperator) -> bool) {
        let is_wanted = |join: &JoinOperator| is_outer_by_columns(join) && wanted(join);
        if !table.joins.iter().any(|join| is_wanted(&join.join_operator)) {
            return;
        }
        for join in std::mem::take(&mut table.joins) {
            let is_outer = is_wanted(&join.join_operator);
            table.joins.push(join);
            if is_outer {
                self.count += 1;
                let inner =
                    TableWithJoins { relation: table.relation.clone(), joins: std::mem::take(&mut table.joins) };
                table.relation = TableFactor::Unpivot {
                    table: Box::new(TableFactor::NestedJoin { table_with_joins: Box::new(inner), alias: None }),
                    value: ast::Expr::Identifier(Ident::new(format!("{MARKER}_{}", self.count))),
                    name: Ident::new(MARKER),
                    columns: Vec::new(),
                    null_inclusion: None,
                    alias: None,
                };
            }
        }
    }
}

/// Puts the left table's name before the common columns of INNER and LEFT joins with USING.
fn name_left_columns(select: &mut Select) {
    let [table] = &select.from[..] else { return };
    let Some(left) = name_of(&table.relation) else { return };
    let is_alias = |name: &str| {
        let mut aliases = select.projection.iter();
        aliases.any(|item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if normalize(alias) == name))
    };
    let mut names: Vec<String> = Vec::new();
    for (at, join) in table.joins.iter().enumerate() {
        let Some(JoinConstraint::Using(columns)) = keeping_left(&join.join_operator) else { return };
        let columns: Vec<String> =
            columns.iter().filter_map(|name| column_name(name).ok()).map(|name| normalize(&name)).collect();
        match at {
            0 => names = columns.into_iter().filter(|name| !is_alias(name)).collect(),
            // A table between may have a column of this name, too.
            _ => names.retain(|name| columns.contains(name)),
        }
    }
    if names.is_empty() {
        return;
    }
    let mut naming = Naming { left, names, depth: 0 };
    let _ = select.projection.visit(&mut naming);
    let _ = select.selection.visit(&mut naming);
    let _ = select.group_by.visit(&mut naming);
    let _ = select.having.visit(&mut naming);
    let _ = select.qualify.visit(&mut naming);
}

/// The constraint of a join whose common columns are the left ones.
fn keeping_left(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => Some(constraint),
        _ => None,
    }
}

fn name_of(table: &TableFactor) -> Option<Ident> {
    match table {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            alias.columns.is_empty().then(|| alias.name.clone())
        }
        TableFactor::Table { name, alias: None, args: None, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

/// Names columns of one block, not those of queries in it.
struct Naming {
    left: Ident,
    names: Vec<String>,
    depth: usize,
}

impl VisitorMut for Naming {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::Identifier(name) = &*expr
            && self.depth == 0
            && self.names.contains(&normalize(name))
        {
            let left = Ident { span: name.span, ..self.left.clone() };
            *expr = ast::Expr::CompoundIdentifier(vec![left, name.clone()]);
        }
        ControlFlow::Continue(())
    }
}

fn is_outer_by_columns(operator: &JoinOperator) -> bool {
    outer(operator).is_some_and(|(_, constraint)| !matches!(constraint, JoinConstraint::On(_)))
}

fn outer(operator: &JoinOperator) -> Option<(JoinType, &JoinConstraint)> {
    match operator {
        JoinOperator::FullOuter(constraint) => Some((JoinType::Full, constraint)),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => Some((JoinType::Left, constraint)),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => Some((JoinType::Right, constraint)),
        _ => None,
    }
}

/// Whether an UNPIVOT is such a relation.
pub(super) fn is_marker(name: &Ident, columns: &[ExprWithAlias]) -> bool {
    name.value == MARKER && columns.is_empty()
}

/// Plans the join inside a marker: the last of those it holds.
pub(super) fn plan(
    table: TableFactor,
    name: &ast::Expr,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let TableFactor::NestedJoin { table_with_joins, .. } = table else {
        return Err(Error::bug("a marker holds its join"));
    };
    let mut left = *table_with_joins;
    let join = left.joins.pop().ok_or_else(|| Error::bug("a marker holds its join"))?;
    let at = place(join.relation.span());
    let left = match left.joins.is_empty() {
        true => left.relation,
        false => TableFactor::NestedJoin { table_with_joins: Box::new(left), alias: None },
    };
    let left = context.plan(left).map_err(from_datafusion)?;
    let right = context.plan(join.relation).map_err(from_datafusion)?;
    let (join_type, constraint) =
        outer(&join.join_operator).ok_or_else(|| Error::bug("a marker holds an outer join"))?;
    let names = match constraint {
        JoinConstraint::Using(names) => {
            names.iter().map(|name| Ok(context.normalize_ident(column_name(name)?))).collect()
        }
        JoinConstraint::Natural => Ok(common_names(&left, &right)),
        _ => Err(Error::bug("a marker holds a join by columns")),
    };
    let names: Vec<String> = names.map_err(|e: Error| e.at(at))?;
    build(left, right, (join_type, &names), &name.to_string()).map_err(|e| e.at(at))
}

fn column_name(name: &ast::ObjectName) -> Result<Ident> {
    match name.0.as_slice() {
        [part] => {
            part.as_ident().cloned().ok_or_else(|| Error::user(format!("USING takes names of columns, not {name}")))
        }
        _ => Err(Error::user(format!("USING takes names of columns without their table, not {name}"))),
    }
}

/// The names that both sides have, in the order of the left one.
fn common_names(left: &LogicalPlan, right: &LogicalPlan) -> Vec<String> {
    let is_common = |name: &&String| right.schema().fields().iter().any(|field| field.name() == *name);
    left.schema().fields().iter().map(|field| field.name()).filter(is_common).cloned().collect()
}

/// `relation` is what the common columns belong to.
fn build(
    left: LogicalPlan,
    right: LogicalPlan,
    (join_type, names): (JoinType, &[String]),
    relation: &str,
) -> Result<LogicalPlan> {
    let of = |plan: &LogicalPlan, name: &str| -> Result<Column> {
        let found = plan.schema().qualified_field_with_unqualified_name(name);
        Ok(Column::from(found.map_err(from_datafusion)?))
    };
    let mut pairs = Vec::new();
    for name in names {
        pairs.push((of(&left, name)?, of(&right, name)?));
    }
    let mut columns = Vec::new();
    for column in left.schema().columns() {
        columns.push(match pairs.iter().find(|(left, _)| *left == column) {
            Some((left, right)) if join_type == JoinType::Full => {
                let sides = vec![Expr::Column(left.clone()), Expr::Column(right.clone())];
                FUNCTIONS.scalars["coalesce"].call(sides).alias_qualified(Some(relation), &column.name)
            }
            Some((_, right)) if join_type == JoinType::Right => {
                Expr::Column(right.clone()).alias_qualified(Some(relation), &column.name)
            }
            _ => Expr::Column(column),
        });
    }
    let others = right.schema().columns().into_iter().filter(|column| !pairs.iter().any(|(_, right)| right == column));
    columns.extend(others.map(Expr::Column));
    let (left_keys, right_keys): (Vec<Column>, Vec<Column>) = pairs.into_iter().unzip();
    let joined = match left_keys.is_empty() {
        // NATURAL without a common name: every row meets every other.
        true => LogicalPlanBuilder::from(left).join_on(right, join_type, [datafusion_expr::lit(true)]),
        false => LogicalPlanBuilder::from(left).join(right, join_type, (left_keys, right_keys), None),
    };
    joined.and_then(|joined| joined.project(columns)?.build()).map_err(from_datafusion)
}
