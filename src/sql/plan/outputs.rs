//! What the columns of a SELECT are called when the user does not say: a column as it is, anything else by its own text.
//!
//! `SELECT n, n + 1, COUNT(*)` gives `n`, `n + 1` and `count(*)`. The cast of a column is called like the column, as in
//! PostgreSQL. DataFusion wants names to differ, so the second of two like ones gets its text if that is free, else a number; the same
//! alias given twice gets a number the second time.
//! Also reads `FROM t` without SELECT as `SELECT * FROM t`.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, Expr, Ident, ObjectName, ObjectNamePart, OrderBy, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SetExpr, Spanned, VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions_mut,
};

use crate::sql::tree::function;

/// Names the columns of every SELECT of the query.
pub(super) fn name(query: &mut Query) {
    let _ = query.visit(&mut Namer);
}

struct Namer;

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        let mut names = Names { taken: select.projection.iter().filter_map(alias).collect(), ..Names::default() };
        let mut given = HashSet::new();
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item
                && !given.insert(normalized(alias))
            {
                alias.value = names.numbered(&normalized(alias));
                alias.quote_style = Some('"');
            }
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            if let Some(value) = names.alias_for(expr) {
                let alias = Ident { value, quote_style: Some('"'), span: expr.span() };
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        ControlFlow::Continue(())
    }

    /// ORDER BY over DISTINCT may say again what a column is: its name, for DataFusion looks for no more.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by: Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }), .. } = query else {
            return ControlFlow::Continue(());
        };
        let SetExpr::Select(select) = body.as_ref() else { return ControlFlow::Continue(()) };
        for key in keys.iter_mut().filter(|_| select.distinct.is_some()) {
            let text = text(&key.expr);
            let same = select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if self::text(expr) == text => Some(alias),
                _ => None,
            });
            if let Some(alias) = same {
                key.expr = Expr::Identifier(alias.clone());
            }
        }
        ControlFlow::Continue(())
    }
}

/// The names that columns of a SELECT have so far.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    /// Columns with their tables: `t.a` and `u.a` may both be called `a`.
    of_tables: HashSet<(String, String)>,
}

impl Names {
    /// The alias that an expression needs; `None` for a column that DataFusion names well.
    fn alias_for(&mut self, expr: &Expr) -> Option<String> {
        if let Some(column) = column_of_table(expr) {
            let is_new = !self.taken.contains(&column) && self.of_tables.insert((column.clone(), text(expr)));
            return (!is_new).then(|| self.numbered(&column));
        }
        let name = cast_column(expr).unwrap_or_else(|| text(expr));
        let is_free = !self.of_tables.iter().any(|(column, _)| *column == name);
        match self.taken.insert(name.clone()) && is_free {
            true => (!is_column(expr)).then_some(name),
            false if self.taken.insert(text(expr)) => Some(text(expr)),
            false => Some(self.numbered(&name)),
        }
    }

    fn numbered(&mut self, name: &str) -> String {
        let mut numbered = (1..).map(|number| format!("{name}_{number}"));
        numbered.find(|name| self.taken.insert(name.clone())).expect("there is no end to numbers")
    }
}

fn alias(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normalized(alias)),
        _ => None,
    }
}

fn normalized(ident: &Ident) -> String {
    if ident.quote_style.is_none() { ident.value.to_lowercase() } else { ident.value.clone() }
}

/// Whether it is a column, of no table in particular.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_column(inner),
        Expr::Identifier(_) => true,
        _ => false,
    }
}

/// The name of a column that comes with its table.
fn column_of_table(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => column_of_table(inner),
        Expr::CompoundIdentifier(path) => path.last().map(normalized),
        _ => None,
    }
}

/// The column's name, if it is a column of no table in particular, or the cast of any.
fn cast_column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => cast_column(inner),
        Expr::Identifier(ident) => Some(normalized(ident)),
        Expr::Cast { expr, .. } => column_of_table(expr).or_else(|| cast_column(expr)),
        _ => None,
    }
}

/// An expression as it was written, but for blanks, quotes nobody needs, and the case of keywords and function names.
fn text(expr: &Expr) -> String {
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
