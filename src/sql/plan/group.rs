//! Windows in GROUP BY: `tumble(ts, size)` and its kin become a window under the whole query block.
//!
//! `SELECT k, tumble_end(ts, s) FROM t GROUP BY k, tumble(ts, s)` is read as
//! `SELECT k, window_end FROM <t in windows> GROUP BY k, window_start, window_end`.
//!
//! Invariants  one window per block. The window stands under WHERE, which the optimizer pushes below it again; keys come
//!             first in GROUP BY, then the window columns that are used, start before end before time.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ExprWithAlias, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Interval, Join,
    JoinConstraint, JoinOperator, ObjectName, OrderBy, Query, Select, SelectItem, SetExpr, Spanned, TableFactor,
    TableWithJoins, Value, VisitMut, VisitorMut, visit_expressions_mut,
};
use sqlparser::tokenizer::Span;

use super::shape::{Shape, WindowFunctions};
use super::window::WINDOW_COLUMNS;
use crate::error::{Error, Result};
use crate::sql::parse::place;
use crate::sql::tree::function;

/// Names the marker that carries a window from here to the relation planner: an UNPIVOT that nobody can write, for it
/// has no columns.
const MARKER: &str = "__window";
/// Before the name of the function inside the marker, so that an outer block does not take it for its own.
const INSIDE: &str = "__inside_";

/// A window as a function call says it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) shape: Shape,
    /// `None`: the event time of the input.
    pub(super) time: Option<Expr>,
    /// Sizes, and what follows them.
    pub(super) args: Vec<Expr>,
    pub(super) span: Span,
    /// Which of the window's columns it stands for.
    column: &'static str,
}

/// Whether an UNPIVOT is our marker.
pub(super) fn is_marker(name: &Ident, columns: &[ExprWithAlias]) -> bool {
    name.value == MARKER && columns.is_empty()
}

/// The window inside a marker.
pub(super) fn call(expr: &Expr, custom: &WindowFunctions) -> Option<Call> {
    let Expr::Function(function) = expr else { return None };
    let name = function_name(function)?;
    let (shape, column) = window_function(name.strip_prefix(INSIDE)?, custom)?;
    read(shape, column, function).ok()
}

/// Rewrites every query block that groups by a window.
pub(super) fn rewrite(query: &mut Query, custom: &WindowFunctions) -> Result<()> {
    match query.visit(&mut Rewriter { custom }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter<'a> {
    custom: &'a WindowFunctions,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Error;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        match self.body(&mut query.body, query.order_by.as_mut()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewriter<'_> {
    fn body(&self, body: &mut SetExpr, order_by: Option<&mut OrderBy>) -> Result<()> {
        match body {
            SetExpr::Select(select) => rewrite_block(select, order_by, self.custom),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, None)?;
                self.body(right, None)
            }
            _ => Ok(()),
        }
    }
}

/// The shape that a function in a query stands for, and which column of the window.
fn window_function(name: &str, custom: &WindowFunctions) -> Option<(Shape, &'static str)> {
    let endings = [("_start", "window_start"), ("_end", "window_end"), ("_rowtime", "window_time")];
    let ending = endings.iter().find_map(|(ending, column)| Some((name.strip_suffix(ending)?, *column)));
    let (base, column) = match ending {
        Some((base, column)) if Shape::named(base, custom).is_some() => (base, column),
        _ => (name, "window_start"),
    };
    Some((Shape::named(base, custom)?, column))
}

fn rewrite_block(select: &mut Select, mut order_by: Option<&mut OrderBy>, custom: &WindowFunctions) -> Result<()> {
    let mut window: Option<Call> = None;
    let mut failure = None;
    each_expr(select, &mut order_by, &mut |expr| {
        if let Expr::Function(function) = &*expr
            && let Some((shape, column)) = function_name(function).and_then(|name| window_function(&name, custom))
        {
            let unified = read(shape, column, function).and_then(|call| unify(window.take(), call));
            match unified {
                Ok((call, column)) => {
                    window = Some(call);
                    *expr = column_expr(column, function.name.span());
                }
                Err(error) => failure = failure.take().or(Some(error.at(place(function.name.span())))),
            }
        }
    });
    if let Some(failure) = failure {
        return Err(failure);
    }
    let Some(window) = window else { return Ok(()) };
    let at = place(window.span);
    if window.args.is_empty() && !matches!(window.shape, Shape::Custom(..)) {
        let name = window.shape.name();
        return Err(Error::user(format!("{name}_start and {name}_end need a window in GROUP BY to refer to")).at(at));
    }
    if select.from.is_empty() {
        return Err(Error::user("a window needs a FROM").at(at));
    }
    complete_keys(select, &mut order_by);
    select.from =
        vec![TableWithJoins { relation: marker(std::mem::take(&mut select.from), window), joins: Vec::new() }];
    Ok(())
}

/// Calls `f` on every expression of the block but those in FROM, inner ones first.
pub(super) fn each_expr(select: &mut Select, order_by: &mut Option<&mut OrderBy>, f: &mut dyn FnMut(&mut Expr)) {
    let mut visit = |expr: &mut Expr| {
        f(expr);
        ControlFlow::<()>::Continue(())
    };
    let _ = visit_expressions_mut(&mut select.distinct, &mut visit);
    let _ = visit_expressions_mut(&mut select.projection, &mut visit);
    let _ = visit_expressions_mut(&mut select.selection, &mut visit);
    let _ = visit_expressions_mut(&mut select.group_by, &mut visit);
    let _ = visit_expressions_mut(&mut select.having, &mut visit);
    let _ = visit_expressions_mut(&mut select.named_window, &mut visit);
    let _ = visit_expressions_mut(&mut select.qualify, &mut visit);
    if let Some(order_by) = order_by.as_deref_mut() {
        let _ = visit_expressions_mut(order_by, &mut visit);
    }
}

fn function_name(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [part] if function.over.is_none() => Some(part.as_ident()?.value.to_lowercase()),
        _ => None,
    }
}

fn read(shape: Shape, column: &'static str, function: &Function) -> Result<Call> {
    let FunctionArguments::List(list) = &function.args else { return Err(shape.usage()) };
    let mut args = Vec::new();
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(expr.clone()),
            _ => return Err(shape.usage()),
        }
    }
    // Without a time column when the window clause made the call: then constants only.
    let is_constant = |expr: &Expr| matches!(expr, Expr::Interval(_) | Expr::Value(_) | Expr::UnaryOp { .. });
    let has_time = shape.has_time() && args.first().is_some_and(|first| !is_constant(first));
    let time = has_time.then(|| args.remove(0));
    let (needed, more) = shape.args();
    let is_reference = args.is_empty() && function.name.to_string().contains('_');
    let fits = (needed.len()..=needed.len() + more.len()).contains(&args.len());
    if !fits && !is_reference && !matches!(shape, Shape::Custom(..)) {
        return Err(shape.usage());
    }
    Ok(Call { shape, time, args, span: function.name.span(), column })
}

/// Makes one window of two calls, and says which column the second stands for.
fn unify(known: Option<Call>, call: Call) -> Result<(Call, &'static str)> {
    let column = call.column;
    let Some(known) = known else { return Ok((call, column)) };
    let times_agree = match (&known.time, &call.time) {
        (Some(a), Some(b)) => time_text(a) == time_text(b),
        _ => true,
    };
    let texts = |call: &Call| call.args.iter().map(interval_text).collect::<Vec<_>>();
    let sizes_agree = known.args.is_empty() || call.args.is_empty() || texts(&known) == texts(&call);
    if known.shape.name() != call.shape.name() || !times_agree || !sizes_agree {
        return Err(Error::user("a query block has one window; use a subquery for the second one"));
    }
    let (time, args) = (known.time.or(call.time), if known.args.is_empty() { call.args } else { known.args });
    Ok((Call { time, args, ..known }, column))
}

/// A time column without its table, in lower case: `b.ts` and `ts` agree here, and the planner checks the rest.
fn time_text(expr: &Expr) -> String {
    match expr {
        Expr::CompoundIdentifier(idents) => idents.last().map_or_else(String::new, |ident| ident.value.to_lowercase()),
        Expr::Identifier(ident) => ident.value.to_lowercase(),
        other => other.to_string(),
    }
}

/// An interval as one text: `INTERVAL '1' MINUTE` and `INTERVAL '1 minute'` agree.
fn interval_text(expr: &Expr) -> String {
    let Expr::Interval(Interval { value, leading_field, .. }) = expr else { return expr.to_string() };
    let value = match &**value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    let field = leading_field.as_ref().map_or_else(String::new, |field| format!(" {field}"));
    format!("{value}{field}").to_lowercase().trim_end_matches('s').to_string()
}

fn column_expr(column: &str, span: Span) -> Expr {
    Expr::Identifier(Ident { value: column.to_string(), quote_style: None, span })
}

fn window_column(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Identifier(ident) => WINDOW_COLUMNS.into_iter().find(|name| ident.value.eq_ignore_ascii_case(name)),
        _ => None,
    }
}

/// Adds the window columns that are used to the keys, when the block groups by its window at all.
fn complete_keys(select: &mut Select, order_by: &mut Option<&mut OrderBy>) {
    let projection = select.projection.clone();
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return };
    let mut used: Vec<&'static str> = keys.iter().filter_map(window_column).collect();
    let by_reference = keys.iter().any(|key| referred(key, &projection).and_then(window_column).is_some());
    if used.is_empty() && !by_reference {
        return;
    }
    keys.retain(|key| window_column(key).is_none());
    let mut outside = Vec::new();
    each_expr(select, order_by, &mut |expr| outside.extend(window_column(expr)));
    used.extend(outside);
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return };
    for column in WINDOW_COLUMNS {
        if used.contains(&column) || column == "window_start" {
            keys.push(column_expr(column, Span::empty()));
        }
    }
}

/// The select item that a key refers to by number or by alias.
pub(super) fn referred<'a>(key: &Expr, projection: &'a [SelectItem]) -> Option<&'a Expr> {
    let item = match key {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => projection.get(number.parse::<usize>().ok()?.checked_sub(1)?)?,
            _ => return None,
        },
        Expr::Identifier(ident) => projection.iter().find(|item| {
            matches!(item, SelectItem::ExprWithAlias { alias, .. } if alias.value.eq_ignore_ascii_case(&ident.value))
        })?,
        _ => return None,
    };
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// FROM with a window around it.
fn marker(from: Vec<TableWithJoins>, window: Call) -> TableFactor {
    let ident = Ident { value: format!("{INSIDE}{}", window.shape.name()), quote_style: None, span: window.span };
    let call = function(ObjectName::from(vec![ident]), window.time.into_iter().chain(window.args).collect());
    TableFactor::Unpivot {
        table: Box::new(one_factor(from)),
        value: Expr::Function(call),
        name: Ident::new(MARKER),
        columns: Vec::new(),
        null_inclusion: None,
        alias: None,
    }
}

/// Everything in FROM as one table factor; commas become cross joins.
fn one_factor(from: Vec<TableWithJoins>) -> TableFactor {
    let nest = |table: TableWithJoins| match table.joins.is_empty() {
        true => table.relation,
        false => TableFactor::NestedJoin { table_with_joins: Box::new(table), alias: None },
    };
    let mut tables = from.into_iter();
    let mut first = tables.next().expect("a block with a window has a FROM");
    for table in tables {
        let join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        first.joins.push(Join { relation: nest(table), global: false, join_operator });
    }
    nest(first)
}
