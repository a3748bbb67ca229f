//! Joins by the nearest: `ASOF JOIN` and `FOR SYSTEM_TIME AS OF` as a node of the logical plan.
//!
//! The marked joins of the syntax tree (see `parse/as_of.rs`) are put into FROM as a relation of their own, which the
//! relation planner makes the node of.
//!
//! Invariants  the left input's columns come first, then the right one's, with their qualifiers; no condition from above
//!             goes below: it would change which right row is the nearest.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion_common::{Column, DFSchemaRef, JoinType, Result as PlanResult, internal_err};
use datafusion_expr::logical_plan::builder::build_join_schema;
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::utils::split_conjunction_owned;
use datafusion_expr::{BinaryExpr, Expr, Extension, LogicalPlan, Operator, UserDefinedLogicalNodeCore};
use sqlparser::ast::{
    self, ExprWithAlias, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join, JoinConstraint, JoinOperator,
    Query, Select, Spanned, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::event_time;
use crate::error::{Error, Result};
use crate::pipeline::Nearest;
use crate::sql::catalog::CatalogTable;
use crate::sql::error::from_datafusion;
use crate::sql::error::to_datafusion;
use crate::sql::parse::{SYSTEM_TIME, place};

/// Names the relation that a marked join becomes: an UNPIVOT that nobody can write, for it has no columns.
const MARKER: &str = "__as_of";

/// Which right row of its key a left row meets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub enum AsOf {
    /// The nearest by an order of both.
    Nearest { left: Expr, right: Expr, nearest: NearestRow },
    /// The version that the right table had at a time of the left row.
    Version { left: Expr, right: Expr },
    /// What the right table holds when the left row comes.
    Current,
}

/// [`Nearest`], with an order for the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NearestRow {
    AtOrBefore,
    Before,
    AtOrAfter,
    After,
}

impl From<NearestRow> for Nearest {
    fn from(row: NearestRow) -> Nearest {
        match row {
            NearestRow::AtOrBefore => Nearest::AtOrBefore,
            NearestRow::Before => Nearest::Before,
            NearestRow::AtOrAfter => Nearest::AtOrAfter,
            NearestRow::After => Nearest::After,
        }
    }
}

/// Puts each left row beside one right row with equal keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOfNode {
    pub left: Arc<LogicalPlan>,
    pub right: Arc<LogicalPlan>,
    pub on: Vec<(Expr, Expr)>,
    pub as_of: AsOf,
    /// The primary key of the right side, where its rows change by one: it decides between equal orders.
    pub ties: Vec<Expr>,
    /// What else must be true of both rows: only with [`AsOf::Current`].
    pub filter: Vec<Expr>,
    /// Whether left rows without a right one stay.
    pub outer: bool,
    pub schema: DFSchemaRef,
}

/// Makes relations of the marked joins of a query.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    match query.visit(&mut Rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Error;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        select.from.iter_mut().for_each(rewrite_joins);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            rewrite_joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }
}

/// The marked joins, each with all that stands before it as its left side.
fn rewrite_joins(table: &mut TableWithJoins) {
    if !table.joins.iter().any(|join| join.global) {
        return;
    }
    for join in std::mem::take(&mut table.joins) {
        if !join.global {
            table.joins.push(join);
            continue;
        }
        let left = TableWithJoins { relation: table.relation.clone(), joins: std::mem::take(&mut table.joins) };
        let left = match left.joins.is_empty() {
            true => left.relation,
            false => TableFactor::NestedJoin { table_with_joins: Box::new(left), alias: None },
        };
        let inner = TableWithJoins { relation: left, joins: vec![Join { global: false, ..join }] };
        table.relation = TableFactor::Unpivot {
            table: Box::new(TableFactor::NestedJoin { table_with_joins: Box::new(inner), alias: None }),
            value: ast::Expr::Identifier(Ident::new(MARKER)),
            name: Ident::new(MARKER),
            columns: Vec::new(),
            null_inclusion: None,
            alias: None,
        };
    }
}

/// Whether an UNPIVOT is such a relation.
pub(super) fn is_marker(name: &Ident, columns: &[ExprWithAlias]) -> bool {
    name.value == MARKER && columns.is_empty()
}

/// Plans the join inside a marker.
pub(super) fn plan(table: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let TableFactor::NestedJoin { table_with_joins, .. } = table else {
        return Err(Error::bug("a marker holds its join"));
    };
    let TableWithJoins { relation, mut joins } = *table_with_joins;
    let join = joins.pop().ok_or_else(|| Error::bug("a marker holds its join"))?;
    let at = place(join.relation.span());
    let (constraint, outer) = match join.join_operator {
        JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (constraint, false),
        JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => (constraint, true),
        _ => return Err(Error::user("a join by the nearest is INNER or LEFT, and nothing else").at(at)),
    };
    let JoinConstraint::On(condition) = constraint else {
        let message = "ASOF JOIN takes its keys and its order from ON: ON a.k = b.k AND a.ts >= b.ts";
        return Err(Error::user(message).at(at));
    };
    let left = context.plan(relation).map_err(from_datafusion)?;
    let right = context.plan(join.relation).map_err(from_datafusion)?;
    let (condition, time) = split_time(condition)?;
    let both = left.schema().join(right.schema()).map_err(from_datafusion)?;
    let conjuncts = match condition {
        None => Vec::new(),
        Some(condition) => split_conjunction_owned(context.sql_to_expr(condition, &both).map_err(from_datafusion)?),
    };
    let parts = match time {
        Some(time) => {
            let as_of = as_of_time(time, &left, &right, context)?;
            as_of_conditions(conjuncts, as_of, &left, &right)
        }
        None => nearest_conditions(conjuncts, &left, &right),
    };
    let node = parts.and_then(|parts| AsOfNode::try_new(left, right, parts, outer));
    node.map(AsOfNode::into_plan).map_err(|e| e.at(at))
}

/// What the conditions of a join say: its keys, how it is by the nearest, and what else must be true.
struct Parts {
    on: Vec<(Expr, Expr)>,
    as_of: AsOf,
    ties: Vec<Expr>,
    filter: Vec<Expr>,
}

/// Equal keys and one order.
fn nearest_conditions(conjuncts: Vec<Expr>, left_plan: &LogicalPlan, right_plan: &LogicalPlan) -> Result<Parts> {
    let (mut on, mut orders) = (Vec::new(), Vec::new());
    for conjunct in conjuncts {
        let (a, op, b) = compared(conjunct, left_plan, right_plan).ok_or_else(refuse_condition)?;
        match op {
            Operator::Eq => on.push((a, b)),
            Operator::GtEq => orders.push((a, b, NearestRow::AtOrBefore)),
            Operator::Gt => orders.push((a, b, NearestRow::Before)),
            Operator::LtEq => orders.push((a, b, NearestRow::AtOrAfter)),
            Operator::Lt => orders.push((a, b, NearestRow::After)),
            _ => return Err(refuse_condition()),
        }
    }
    match (orders.pop(), orders.is_empty()) {
        (Some((left, right, nearest)), true) => {
            let ties = primary_key(right_plan).into_iter().map(Expr::Column).collect();
            Ok(Parts { on, as_of: AsOf::Nearest { left, right, nearest }, ties, filter: Vec::new() })
        }
        _ => {
            let message = "ASOF JOIN needs one comparison of an order, such as a.ts >= b.ts, beside its equal keys";
            Err(Error::user(message))
        }
    }
}

/// Equal keys, and of a table as it is now any other condition too.
fn as_of_conditions(conjuncts: Vec<Expr>, as_of: AsOf, left: &LogicalPlan, right: &LogicalPlan) -> Result<Parts> {
    let (mut on, mut filter) = (Vec::new(), Vec::new());
    for conjunct in conjuncts {
        match compared(conjunct.clone(), left, right) {
            Some((a, Operator::Eq, b)) => on.push((a, b)),
            _ if as_of == AsOf::Current => filter.push(conjunct),
            _ => return Err(refuse_condition()),
        }
    }
    Ok(Parts { on, as_of, ties: Vec::new(), filter })
}

/// The primary key of the table that a plan's rows are, where all of it is among their columns.
fn primary_key(plan: &LogicalPlan) -> Vec<Column> {
    let above = |input: &LogicalPlan, place: &dyn Fn(&Column) -> Option<Column>| {
        primary_key(input).iter().map(place).collect::<Option<Vec<_>>>().unwrap_or_default()
    };
    match plan {
        LogicalPlan::TableScan(scan) => match scan.source.downcast_ref::<CatalogTable>() {
            Some(table) => {
                let column = |name: &String| Column::new(Some(scan.table_name.clone()), name);
                table.primary_key.iter().map(column).collect()
            }
            None => Vec::new(),
        },
        LogicalPlan::SubqueryAlias(alias) => above(&alias.input, &|column| {
            let index = alias.input.schema().maybe_index_of_column(column)?;
            Some(Column::from(alias.schema.qualified_field(index)))
        }),
        LogicalPlan::Projection(projection) => above(&projection.input, &|column| {
            let is_column = |expr: &Expr| matches!(expr.clone().unalias(), Expr::Column(inner) if inner == *column);
            let index = projection.expr.iter().position(is_column)?;
            Some(Column::from(projection.schema.qualified_field(index)))
        }),
        LogicalPlan::Filter(filter) => primary_key(&filter.input),
        _ => Vec::new(),
    }
}

fn refuse_condition() -> Error {
    let message = "a join by the nearest takes equal keys, one of each side, joined by AND; put other conditions into WHERE, \
                   or into a subquery";
    Error::user(message)
}

/// The condition without the time that `FOR SYSTEM_TIME AS OF` has put in front of it, and the time.
fn split_time(condition: ast::Expr) -> Result<(Option<ast::Expr>, Option<ast::Expr>)> {
    match condition {
        ast::Expr::BinaryOp { left, op: ast::BinaryOperator::And, right } => {
            let (left, time) = split_time(*left)?;
            let rest = match left {
                None => *right,
                Some(left) => ast::Expr::BinaryOp { left: Box::new(left), op: ast::BinaryOperator::And, right },
            };
            Ok((Some(rest), time))
        }
        ast::Expr::Function(function) if function.name.to_string() == SYSTEM_TIME => match function.args {
            FunctionArguments::List(mut list) => match list.args.pop() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(time))) => Ok((None, Some(time))),
                _ => Err(Error::bug("the call holds the time")),
            },
            _ => Err(Error::bug("the call holds the time")),
        },
        other => Ok((Some(other), None)),
    }
}

/// A comparison of both sides with the left side's expression first.
fn compared(expr: Expr, left: &LogicalPlan, right: &LogicalPlan) -> Option<(Expr, Operator, Expr)> {
    let reads = |expr: &Expr, plan: &LogicalPlan| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.into_iter().all(|column| plan.schema().maybe_index_of_column(column).is_some())
    };
    let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = expr else { return None };
    if reads(&a, left) && reads(&b, right) {
        return Some((*a, op, *b));
    }
    match op.swap() {
        Some(op) if reads(&b, left) && reads(&a, right) => Some((*b, op, *a)),
        _ => None,
    }
}

/// A version of the right table when both have an event time and the time is the left one's; else what it holds now.
fn as_of_time(
    time: ast::Expr,
    left: &LogicalPlan,
    right: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<AsOf> {
    if let ast::Expr::Function(function) = &time {
        return match function.name.to_string().eq_ignore_ascii_case("proctime") {
            true => Ok(AsOf::Current),
            false => Err(Error::user(format!(
                "FOR SYSTEM_TIME AS OF takes a column of the other side, or PROCTIME(): {}",
                function.name
            ))
            .at(place(function.name.span()))),
        };
    }
    let at = place(time.span());
    let planned = context.sql_to_expr(time, left.schema()).map_err(from_datafusion)?;
    let Expr::Column(column) = &planned else { return Ok(AsOf::Current) };
    if event_time::carried(left).is_some_and(|known| known.name == column.name) {
        let Some(version) = event_time::carried(right) else {
            let message = "a table as of an event time needs versions: WATERMARK FOR a column that says when each row became \
                           valid, and a PRIMARY KEY; for what the table holds now, write FOR SYSTEM_TIME AS OF PROCTIME()";
            return Err(Error::user(message).at(at));
        };
        return Ok(AsOf::Version { left: planned, right: Expr::Column(version) });
    }
    match is_processing_time(left, column) {
        true => Ok(AsOf::Current),
        false => {
            let message = "FOR SYSTEM_TIME AS OF takes the event time of the other side, the column of its WATERMARK, or \
                           PROCTIME()";
            Err(Error::user(message).at(at))
        }
    }
}

/// Whether a column of a plan is the time at which its row is processed.
fn is_processing_time(plan: &LogicalPlan, column: &Column) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => {
            let Some(index) = alias.schema.maybe_index_of_column(column) else { return false };
            is_processing_time(&alias.input, &Column::from(alias.input.schema().qualified_field(index)))
        }
        LogicalPlan::Filter(filter) => is_processing_time(&filter.input, column),
        LogicalPlan::Projection(projection) => {
            let Some(index) = projection.schema.maybe_index_of_column(column) else { return false };
            match projection.expr[index].clone().unalias() {
                Expr::Column(inner) => is_processing_time(&projection.input, &inner),
                Expr::ScalarFunction(call) => {
                    matches!(call.name(), "proctime" | "now" | "current_timestamp" | "localtimestamp")
                }
                _ => false,
            }
        }
        _ => false,
    }
}

impl AsOfNode {
    fn try_new(left: LogicalPlan, right: LogicalPlan, parts: Parts, outer: bool) -> Result<AsOfNode> {
        let Parts { on, as_of, ties, filter } = parts;
        let kind = if outer { JoinType::Left } else { JoinType::Inner };
        let schema = build_join_schema(left.schema(), right.schema(), &kind).map_err(from_datafusion)?;
        Ok(AsOfNode {
            left: Arc::new(left),
            right: Arc::new(right),
            on,
            as_of,
            ties,
            filter,
            outer,
            schema: Arc::new(schema),
        })
    }

    fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    fn order(&self) -> Option<(&Expr, &Expr)> {
        match &self.as_of {
            AsOf::Nearest { left, right, .. } | AsOf::Version { left, right } => Some((left, right)),
            AsOf::Current => None,
        }
    }
}

impl UserDefinedLogicalNodeCore for AsOfNode {
    fn name(&self) -> &str {
        "AsOf"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let pairs = self.on.iter().map(|(left, right)| (left, right)).chain(self.order());
        pairs
            .flat_map(|(left, right)| [left.clone(), right.clone()])
            .chain(self.ties.iter().chain(&self.filter).cloned())
            .collect()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let kind = if self.outer { "left" } else { "inner" };
        let on: Vec<String> = self.on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
        write!(f, "AsOf: {kind}, {}", on.join(", "))?;
        match &self.as_of {
            AsOf::Nearest { left, right, nearest } => write!(f, ", {left} {} {right}", Nearest::from(*nearest).sign()),
            AsOf::Version { left, right } => write!(f, ", version by {right} at {left}"),
            AsOf::Current => f.write_str(", as it is now"),
        }?;
        self.filter.iter().try_for_each(|condition| write!(f, " and {condition}"))
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        let (Some(right), Some(left), true) = (inputs.pop(), inputs.pop(), inputs.is_empty()) else {
            return internal_err!("a join by the nearest has two inputs");
        };
        let filter = exprs.split_off(exprs.len().saturating_sub(self.filter.len()));
        let ties = exprs.split_off(exprs.len().saturating_sub(self.ties.len()));
        let mut pairs: Vec<(Expr, Expr)> = Vec::new();
        let mut exprs = exprs.into_iter();
        while let (Some(left), Some(right)) = (exprs.next(), exprs.next()) {
            pairs.push((left, right));
        }
        let as_of = match (&self.as_of, pairs.len().checked_sub(self.on.len())) {
            (AsOf::Current, Some(0)) => AsOf::Current,
            (AsOf::Nearest { nearest, .. }, Some(1)) => {
                let (left, right) = pairs.pop().expect("one more than keys");
                AsOf::Nearest { left, right, nearest: *nearest }
            }
            (AsOf::Version { .. }, Some(1)) => {
                let (left, right) = pairs.pop().expect("one more than keys");
                AsOf::Version { left, right }
            }
            _ => return internal_err!("a join by the nearest has its keys and its order"),
        };
        AsOfNode::try_new(left, right, Parts { on: pairs, as_of, ties, filter }, self.outer).map_err(to_datafusion)
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let left = self.left.schema().fields().len();
        let (of_left, of_right): (Vec<usize>, Vec<usize>) = output_columns.iter().partition(|column| **column < left);
        Some(vec![of_left, of_right.into_iter().map(|column| column - left).collect()])
    }
}

impl Hash for AsOfNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.on, &self.as_of, &self.filter, self.outer, &self.left, &self.right).hash(state);
    }
}

impl PartialOrd for AsOfNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let key = |node: &Self| (node.on.clone(), node.as_of.clone(), node.filter.clone(), node.outer);
        let order = key(self).partial_cmp(&key(other))?;
        let order = order.then((&self.left, &self.right).partial_cmp(&(&other.left, &other.right))?);
        (order != Ordering::Equal || self == other).then_some(order)
    }
}
