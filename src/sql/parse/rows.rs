//! Rows and their fields in other forms: `(x).*` is `UNNEST(x)`, a record in VALUES is of any expressions, `ARRAY(query)` is a
//! list of what the query gives, and functions in FROM that make rows are UNNEST of a list.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectNamePart, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Spanned, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};
use sqlparser::parser::Parser;

use super::order_key::meant;
use super::spelling::row_function;
use super::tokens::DIALECT;
use crate::error::{Error, Result};
use crate::sql::tree::call_of;

/// What the columns that a struct is spread over are called together, until they are planned.
pub(in crate::sql) const ALL_FIELDS: &str = "(x).*";

/// Rewrites all of them but ARRAY.
pub(super) fn rewrite(statement: &mut Statement) {
    struct Rewriter;
    impl VisitorMut for Rewriter {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for item in &mut select.projection {
                if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(of), _) = item {
                    let expr = call_of("unnest", vec![of.clone()], of.span());
                    *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', ALL_FIELDS) };
                }
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            if let SetExpr::Values(values) = query.body.as_mut() {
                values.rows.iter_mut().flat_map(|row| &mut row.content).for_each(as_record);
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let Some(lists) = lists_of(factor) {
                *factor = lists;
            }
            ControlFlow::Continue(())
        }
    }
    let _ = statement.visit(&mut Rewriter);
}

/// A record in a row of VALUES, `(1, f(2))`, is one of any expressions.
fn as_record(expr: &mut Expr) {
    if let Expr::Tuple(parts) = expr {
        parts.iter_mut().for_each(as_record);
        if !parts.is_empty() {
            *expr = call_of("row", std::mem::take(parts), expr.span());
        }
    }
}

/// A function in FROM that makes rows of what stands before it, as the list that it takes apart.
fn lists_of(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } = factor else { return None };
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let function = ident.value.to_lowercase();
    let list = row_function(&function);
    let exprs = args.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let exprs = exprs.collect::<Option<Vec<Expr>>>()?;
    let is_of_columns = exprs.iter().any(|expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)));
    let is_series = ["generate_series", "range"].contains(&function.as_str()) && is_of_columns;
    if list.is_none() && !is_series {
        return None;
    }
    let name = Ident { value: function.clone(), ..ident.clone() };
    let named = || TableAlias { explicit: true, name, columns: Vec::new(), at: None };
    Some(TableFactor::UNNEST {
        alias: Some(alias.clone().unwrap_or_else(named)),
        array_exprs: vec![call_of(list.unwrap_or(&function), exprs, ident.span)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    })
}

/// What the rows of `ARRAY(query)` are called; the plan looks whether their columns are as many as they have names.
pub(in crate::sql) const ARRAY_ROWS: &str = "__array";

/// What stands for `ARRAY(query)`: a list of its one column, in its order; an empty one where there is no row.
pub(super) fn list_of(query: &Query) -> Result<Expr> {
    let mut query = query.clone();
    let (order, key_count) = order_of(&mut query)?;
    let keys: String = (1..=key_count).map(|at| format!(", \"{}\"", key_name(at))).collect();
    let order: Vec<String> = order.iter().map(OrderByExpr::to_string).collect();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let text = format!(
        "(SELECT coalesce(array_agg(\"{VALUE}\"{order}), make_array()) FROM (SELECT 1) AS \"{ARRAY_ROWS}\" (\"{VALUE}\"{keys}))"
    );
    let parsed = Parser::new(&DIALECT).try_with_sql(&text).and_then(|mut parser| parser.parse_expr());
    let Ok(Expr::Subquery(mut list)) = parsed else { return Err(Error::bug(format!("a query was written: {text}"))) };
    if let SetExpr::Select(select) = list.body.as_mut()
        && let TableFactor::Derived { subquery, .. } = &mut select.from[0].relation
    {
        **subquery = query;
    }
    Ok(Expr::Subquery(list))
}

/// The column that the list is of.
const VALUE: &str = "__x";

fn key_name(number: usize) -> String {
    format!("__key_{number}")
}

/// What the list is ordered by, and how many columns the query has got for that behind its own.
fn order_of(query: &mut Query) -> Result<(Vec<OrderByExpr>, usize)> {
    let by = |name: &str| Expr::Identifier(Ident::with_quote('"', name));
    let order = match query.order_by.as_ref().map(|order| &order.kind) {
        None => return Ok((Vec::new(), 0)),
        // All columns are the one.
        Some(OrderByKind::All(options)) => {
            return Ok((vec![OrderByExpr { expr: by(VALUE), options: *options, with_fill: None }], 0));
        }
        Some(OrderByKind::Expressions(order)) => order.clone(),
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(Error::user("ARRAY of a query with ORDER BY takes one SELECT; put the rest into a subquery"));
    };
    let (items, mut keys) = (select.projection.clone(), Vec::new());
    let mut key_count = 0;
    for item in order {
        let key = meant(&item.expr, &items)?;
        let is_value = matches!(items.as_slice(), [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] if *expr == key);
        let expr = if is_value {
            by(VALUE)
        } else if select.distinct.is_some() {
            return Err(Error::user("ARRAY of a query with DISTINCT is ordered by its column alone"));
        } else {
            key_count += 1;
            let alias = Ident::with_quote('"', key_name(key_count));
            select.projection.push(SelectItem::ExprWithAlias { expr: key, alias });
            by(&key_name(key_count))
        };
        keys.push(OrderByExpr { expr, ..item });
    }
    Ok((keys, key_count))
}
