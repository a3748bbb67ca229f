//! What a column is called that has no alias, of what the user wrote: rewritten later, it keeps the name.
//!
//! `SELECT every(x), s -> 'a', y::UUID, (p).city` gives `every(x)`, `s -> 'a'`, `y` and `city`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, CeilFloorKind, DateTimeField, Expr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, Spanned,
    Statement, VisitMut, VisitorMut, visit_expressions_mut,
};

use crate::error::{Error, Result};
use crate::sql::tree::function;

/// Rewrites each expression, the inner ones first; columns whose expressions are others then get an alias.
pub(super) fn rewrite(statement: &mut Statement, put: impl FnMut(&mut Expr) -> Result<()>) -> Result<()> {
    match statement.visit(&mut Rewriter { put, items: Vec::new() }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter<F> {
    put: F,
    /// The columns of the SELECTs that are being visited, the innermost last.
    items: Vec<Vec<Written>>,
}

/// A column before it is rewritten.
struct Written {
    /// Its text, where it has no alias.
    text: Option<String>,
    /// What it is called; `None`: it is many, `*`.
    name: Option<String>,
}

impl<F: FnMut(&mut Expr) -> Result<()>> VisitorMut for Rewriter<F> {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        self.items.push(select.projection.iter().map(Written::of).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match (self.put)(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let written = self.items.pop().expect("it was pushed before");
        for (at, item) in select.projection.iter_mut().enumerate() {
            let (SelectItem::UnnamedExpr(expr), Some(before)) = (&*item, &written[at].text) else { continue };
            if text(expr) == *before || is_bound(expr) {
                continue;
            }
            let name = written[at].name.as_ref().unwrap_or(before);
            let is_taken =
                written.iter().enumerate().any(|(other, item)| other != at && item.name.as_ref() == Some(name));
            let value = if is_taken { before.clone() } else { name.clone() };
            let alias = Ident { value, quote_style: Some('"'), span: expr.span() };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
        ControlFlow::Continue(())
    }
}

impl Written {
    fn of(item: &SelectItem) -> Written {
        match item {
            SelectItem::UnnamedExpr(expr) => Written { text: Some(text(expr)), name: Some(name(expr)) },
            SelectItem::ExprWithAlias { alias, .. } => Written { text: None, name: Some(normalized(alias)) },
            _ => Written { text: None, name: None },
        }
    }
}

/// Whether it may be a bound of a window, `tumble_start(at, ..)`, which is called like the window's column.
fn is_bound(expr: &Expr) -> bool {
    let Expr::Function(call) = expr else { return false };
    let name = call.name.to_string().to_lowercase();
    name.ends_with("_start") || name.ends_with("_end")
}

/// What an expression is called: a column, the cast of one, and a field by their names, anything else by its text.
fn name(expr: &Expr) -> String {
    field_of(expr).or_else(|| column_of_table(expr)).or_else(|| cast_column(expr)).unwrap_or_else(|| text(expr))
}

/// The name of a field behind brackets or a subscript, `(x).a`.
fn field_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => field_of(inner),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => Some(normalized(ident)),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a column that comes with its table.
pub(in crate::sql) fn column_of_table(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => column_of_table(inner),
        Expr::CompoundIdentifier(path) => path.last().map(normalized),
        _ => None,
    }
}

/// The column's name, if it is a column of no table in particular, or the cast of any.
pub(in crate::sql) fn cast_column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => cast_column(inner),
        Expr::Identifier(ident) => Some(normalized(ident)),
        Expr::Cast { expr, .. } => column_of_table(expr).or_else(|| cast_column(expr)),
        _ => None,
    }
}

pub(in crate::sql) fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_none() { ident.value.to_lowercase() } else { ident.value.clone() }
}

/// An expression as it was written, but for blanks, quotes nobody needs, and the case of keywords and function names.
pub(in crate::sql) fn text(expr: &Expr) -> String {
    let mut expr = expr.clone();
    while let Expr::Nested(inner) = expr {
        expr = *inner;
    }
    let _ = visit_expressions_mut(&mut expr, |part| {
        plain(part);
        ControlFlow::<()>::Continue(())
    });
    expr.to_string()
}

fn plain(part: &mut Expr) {
    match part {
        Expr::Identifier(ident) => unquote(ident),
        Expr::CompoundIdentifier(path) => path.iter_mut().for_each(unquote),
        Expr::Function(function) => {
            for name in &mut function.name.0 {
                if let ObjectNamePart::Identifier(ident) = name
                    && ident.quote_style.is_none()
                {
                    ident.value = ident.value.to_lowercase();
                }
            }
        }
        // Functions that sqlparser has a form of its own for, and shows in capitals.
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            *part = call("floor", [Some(&**expr)]);
        }
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            *part = call("ceil", [Some(&**expr)]);
        }
        Expr::Substring { expr, substring_from, substring_for, special: true, shorthand } => {
            let name = if *shorthand { "substr" } else { "substring" };
            *part = call(name, [Some(&**expr), substring_from.as_deref(), substring_for.as_deref()]);
        }
        Expr::Trim { expr, trim_where: None, trim_what: None, trim_characters: None } => {
            *part = call("trim", [Some(&**expr)]);
        }
        _ => {}
    }
}

/// Takes the quotes off a name that can do without.
fn unquote(ident: &mut Ident) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if ident.value.starts_with(|c: char| c.is_ascii_alphabetic()) && ident.value.chars().all(is_plain) {
        ident.quote_style = None;
    }
}

fn call<const N: usize>(name: &str, args: [Option<&Expr>; N]) -> Expr {
    Expr::Function(function(ObjectName::from(vec![Ident::new(name)]), args.into_iter().flatten().cloned().collect()))
}
