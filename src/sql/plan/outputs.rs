//! Names for columns of a SELECT that would otherwise have the same one: `SELECT sum(a), sum(a)`, `a::INT, a::STRING`.
//!
//! DataFusion wants names to differ and names a cast like what is cast, so the second such column gets an alias: its own
//! text if that is free, else the name with a number. The cast of a column is called like the column, as in PostgreSQL.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Query, Select, SelectItem, Spanned, VisitMut, VisitorMut};

/// Gives the second of two like columns an alias, in every SELECT of the query.
pub(super) fn make_unique(query: &mut Query) {
    let _ = query.visit(&mut Namer);
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut taken: HashSet<String> = select.projection.iter().filter_map(alias).collect();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = name(expr);
            let is_new = taken.insert(name.clone());
            if is_new && !is_cast_column(expr) {
                continue;
            }
            let value = if is_new { name } else { free_name(&name, &expr.to_string(), &mut taken) };
            let alias = Ident { value, quote_style: Some('"'), span: expr.span() };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
        ControlFlow::Continue(())
    }
}

fn free_name(name: &str, text: &str, taken: &mut HashSet<String>) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(text.to_string()).chain(numbered).find(|name| taken.insert(name.clone()));
    free.expect("there is no end to numbers")
}

fn alias(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } if alias.quote_style.is_none() => Some(alias.value.to_lowercase()),
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        _ => None,
    }
}

/// What DataFusion will call it, near enough.
fn name(expr: &Expr) -> String {
    match expr {
        Expr::Cast { expr, .. } => name(expr),
        Expr::Nested(inner) => name(inner),
        Expr::Identifier(ident) if ident.quote_style.is_none() => ident.value.to_lowercase(),
        Expr::Identifier(ident) => ident.value.clone(),
        other => other.to_string(),
    }
}

fn is_cast_column(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } => matches!(**expr, Expr::Identifier(_)) || is_cast_column(expr),
        _ => false,
    }
}
