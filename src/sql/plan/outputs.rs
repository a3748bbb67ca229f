//! What the columns of a SELECT are called when the user does not say: a column as it is, anything else by its own text.
//!
//! `SELECT n, n + 1, COUNT(*)` gives `n`, `n + 1` and `count(*)`. The cast of a column is called like the column, as in
//! PostgreSQL, a field of a struct like the field. DataFusion wants names to differ, so the second of two like ones gets its text if that is free, else a number; the same
//! alias given twice gets a number the second time.
//! Also reads `FROM t` without SELECT as `SELECT * FROM t`.

use std::collections::HashSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, OrderBy, OrderByKind, Query, Select, SelectFlavor, SelectItem, SetExpr,
    Spanned, TableFactor, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions,
};

use crate::sql::parse::written::{cast_column, column_of_table, normalized, text};

/// Names the columns of every SELECT of the query.
pub(super) fn name(query: &mut Query) {
    let _ = query.visit(&mut Namer::default());
}

#[derive(Default)]
struct Namer {
    /// What the relations are called of the SELECTs that are being visited, the innermost last.
    relations: Vec<Vec<String>>,
}

impl VisitorMut for Namer {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        let mut relations = Vec::new();
        select.from.iter().for_each(|table| relations_of(table, &mut relations));
        self.relations.push(relations);
        let taken = select.projection.iter().filter_map(alias).collect();
        let mut names = Names { taken, of_tables: HashSet::new(), relations: &self.relations };
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

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.relations.pop();
        ControlFlow::Continue(())
    }

    /// ORDER BY over DISTINCT may say again what a column is: its name, for DataFusion looks for no more.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by: Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }), .. } = query else {
            return ControlFlow::Continue(());
        };
        let SetExpr::Select(select) = body.as_ref() else { return ControlFlow::Continue(()) };
        for key in keys.iter_mut().filter(|_| select.distinct.is_some()) {
            let key_text = text(&key.expr);
            let same = select.projection.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if text(expr) == key_text => Some(alias),
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
struct Names<'a> {
    taken: HashSet<String>,
    /// Columns with their tables: `t.a` and `u.a` may both be called `a`.
    of_tables: HashSet<(String, String)>,
    /// What a path may begin with that leads to a column of a table.
    relations: &'a [Vec<String>],
}

impl Names<'_> {
    /// The alias that an expression needs; `None` for a column that DataFusion names well.
    fn alias_for(&mut self, expr: &Expr) -> Option<String> {
        if let Some(field) = self.field(expr) {
            let is_free =
                self.taken.insert(field.clone()) && !self.of_tables.iter().any(|(column, _)| *column == field);
            return Some(if is_free { field } else { self.numbered(&field) });
        }
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

    /// The name of a field of a struct, as it is written: a path that is longer than that of a column, or begins with none of the
    /// tables.
    fn field(&self, expr: &Expr) -> Option<String> {
        let path = match expr {
            Expr::Nested(inner) => return self.field(inner),
            Expr::CompoundIdentifier(path) => path,
            _ => return None,
        };
        let is_relation = |ident: &Ident| self.relations.iter().flatten().any(|name| *name == normalized(ident));
        let of_column = match path.as_slice() {
            [first, ..] if is_relation(first) => 2,
            [_, second, _, ..] if is_relation(second) => 3,
            _ => 1,
        };
        path.last().filter(|_| path.len() > of_column).map(|ident| ident.value.clone())
    }

    fn numbered(&mut self, name: &str) -> String {
        let mut numbered = (1..).map(|number| format!("{name}_{number}"));
        numbered.find(|name| self.taken.insert(name.clone())).expect("there is no end to numbers")
    }
}

/// What the relations of FROM are called.
fn relations_of(table: &TableWithJoins, names: &mut Vec<String>) {
    for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
        relations_in(factor, names);
    }
}

fn relations_in(factor: &TableFactor, names: &mut Vec<String>) {
    let alias = match factor {
        TableFactor::Table { name, alias, args, .. } => {
            names.extend(name.0.last().and_then(|part| part.as_ident()).filter(|_| alias.is_none()).map(normalized));
            // TUMBLE(TABLE t, ...): the table goes by its own name.
            names.extend(args.iter().flat_map(|args| &args.args).filter_map(table_of));
            alias
        }
        TableFactor::Function { name, args, alias, .. } => {
            names.extend(name.0.last().and_then(|part| part.as_ident()).map(normalized));
            names.extend(args.iter().filter_map(table_of));
            alias
        }
        TableFactor::Unpivot { table, alias, .. } | TableFactor::Pivot { table, alias, .. } => {
            relations_in(table, names);
            alias
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            relations_of(table_with_joins, names);
            alias
        }
        TableFactor::UNNEST { alias, .. } => {
            names.push("unnest".to_string());
            alias
        }
        TableFactor::Derived { alias, .. } | TableFactor::TableFunction { alias, .. } => alias,
        _ => return,
    };
    names.extend(alias.iter().map(|alias| normalized(&alias.name)));
}

/// The name that an argument of a table function is.
fn table_of(arg: &FunctionArg) -> Option<String> {
    let (FunctionArg::Unnamed(value)
    | FunctionArg::Named { arg: value, .. }
    | FunctionArg::ExprNamed { arg: value, .. }) = arg;
    match value {
        FunctionArgExpr::Expr(Expr::Identifier(ident)) => Some(normalized(ident)),
        FunctionArgExpr::Expr(Expr::CompoundIdentifier(path)) => path.last().map(normalized),
        _ => None,
    }
}

fn alias(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normalized(alias)),
        _ => None,
    }
}

/// Whether it is a column, of no table in particular.
fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_column(inner),
        Expr::Identifier(_) => true,
        _ => false,
    }
}
