//! Windows in GROUP BY: `tumble(ts, size)` and `hop(ts, slide, size)` become a window under the whole query block.
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

use super::functions::WINDOW_FUNCTIONS;
use super::window::WINDOW_COLUMNS;
use crate::error::{Error, Result};
use crate::sql::parse::place;

/// Names the marker that carries a window from here to the relation planner: an UNPIVOT that nobody can write, for it
/// has no columns.
const MARKER: &str = "__window";
/// Before the name of the function inside the marker, so that an outer block does not take it for its own.
const INSIDE: &str = "__inside_";

/// The shapes of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Tumble,
    Hop,
}

impl Shape {
    pub(super) fn usage(self) -> Error {
        Error::user(match self {
            Shape::Tumble => "tumble takes (ts, size [, offset]), such as tumble(ts, INTERVAL '1' MINUTE)",
            Shape::Hop => {
                "hop takes (ts, slide, size [, offset]), such as hop(ts, INTERVAL '1' MINUTE, INTERVAL '5' MINUTE)"
            }
        })
    }
}

/// A window as a function call says it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) shape: Shape,
    /// `None`: the event time of the input.
    pub(super) time: Option<Expr>,
    pub(super) intervals: Vec<Expr>,
    pub(super) span: Span,
    /// Which of the window's columns it stands for.
    column: &'static str,
}

/// Whether an UNPIVOT is our marker.
pub(super) fn is_marker(name: &Ident, columns: &[ExprWithAlias]) -> bool {
    name.value == MARKER && columns.is_empty()
}

/// The window inside a marker.
pub(super) fn call(expr: &Expr) -> Option<Call> {
    let Expr::Function(function) = expr else { return None };
    let name = function_name(function)?;
    read(name.strip_prefix(INSIDE)?, function).ok()
}

/// Rewrites every query block that groups by a window.
pub(super) fn rewrite(query: &mut Query) -> Result<()> {
    match query.visit(&mut Rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Error;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        match rewrite_body(&mut query.body, query.order_by.as_mut()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn rewrite_body(body: &mut SetExpr, order_by: Option<&mut OrderBy>) -> Result<()> {
    match body {
        SetExpr::Select(select) => rewrite_block(select, order_by),
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_body(left, None)?;
            rewrite_body(right, None)
        }
        _ => Ok(()),
    }
}

fn rewrite_block(select: &mut Select, mut order_by: Option<&mut OrderBy>) -> Result<()> {
    let mut window: Option<Call> = None;
    let mut failure = None;
    each_expr(select, &mut order_by, &mut |expr| {
        if let Expr::Function(function) = &*expr
            && function_name(function).is_some_and(|name| name == "session" || name == "cumulate")
        {
            let message = format!("{} windows are not supported yet; use tumble or hop", function.name);
            failure = failure.take().or(Some(Error::user(message).at(place(function.name.span()))));
        } else if let Expr::Function(function) = &*expr
            && let Some(name) = function_name(function).filter(|name| WINDOW_FUNCTIONS.contains(&name.as_str()))
        {
            let unified = read(&name, function).and_then(|call| unify(window.take(), call));
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
    if window.intervals.is_empty() {
        return Err(Error::user(
            "tumble_start, tumble_end, hop_start and hop_end need a window in GROUP BY to refer to",
        )
        .at(at));
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
fn each_expr(select: &mut Select, order_by: &mut Option<&mut OrderBy>, f: &mut dyn FnMut(&mut Expr)) {
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

fn read(name: &str, function: &Function) -> Result<Call> {
    let shape = if name.starts_with("hop") { Shape::Hop } else { Shape::Tumble };
    let FunctionArguments::List(list) = &function.args else { return Err(shape.usage()) };
    let mut args = Vec::new();
    for arg in &list.args {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => args.push(expr.clone()),
            _ => return Err(shape.usage()),
        }
    }
    // Without a time column when the window clause made the call: then sizes only.
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let has_time = match (shape, args.len()) {
        (_, 0) if name.contains('_') => false,
        (Shape::Tumble, 1) | (Shape::Hop, 2) if !is_column(&args[0]) => false,
        (Shape::Tumble, 2 | 3) | (Shape::Hop, 3 | 4) => true,
        _ => return Err(shape.usage()),
    };
    let time = has_time.then(|| args.remove(0));
    let column = if name.ends_with("_end") { "window_end" } else { "window_start" };
    Ok(Call { shape, time, intervals: args, span: function.name.span(), column })
}

/// Makes one window of two calls, and says which column the second stands for.
fn unify(known: Option<Call>, call: Call) -> Result<(Call, &'static str)> {
    let column = call.column;
    let Some(known) = known else { return Ok((call, column)) };
    let times_agree = match (&known.time, &call.time) {
        (Some(a), Some(b)) => time_text(a) == time_text(b),
        _ => true,
    };
    let texts = |call: &Call| call.intervals.iter().map(interval_text).collect::<Vec<_>>();
    let sizes_agree = known.intervals.is_empty() || call.intervals.is_empty() || texts(&known) == texts(&call);
    if known.shape != call.shape || !times_agree || !sizes_agree {
        return Err(Error::user("a query block has one window; use a subquery for the second one"));
    }
    let (time, intervals) =
        (known.time.or(call.time), if known.intervals.is_empty() { call.intervals } else { known.intervals });
    Ok((Call { time, intervals, ..known }, column))
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
fn referred<'a>(key: &Expr, projection: &'a [SelectItem]) -> Option<&'a Expr> {
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
    let name = match window.shape {
        Shape::Tumble => "tumble",
        Shape::Hop => "hop",
    };
    let ident = Ident { value: format!("{INSIDE}{name}"), quote_style: None, span: window.span };
    let args =
        window.time.into_iter().chain(window.intervals).map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)));
    let call = sqlparser::ast::Function {
        name: ObjectName::from(vec![ident]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(sqlparser::ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    };
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
