//! `SELECT DISTINCT ON (keys) ... ORDER BY keys, order`: the first row of each key by the order, which is the same as
//! `QUALIFY ROW_NUMBER() OVER (PARTITION BY keys ORDER BY keys, order) = 1`.
//!
//! Source      PostgreSQL's rules: the keys stand first in ORDER BY; names of the SELECT list and its numbers count in both.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, OrderByExpr, OrderByKind, Query, Select, SetExpr, Spanned, Statement, VisitMut,
    VisitorMut,
};

use super::order_key::meant;
use super::tokens::place;
use crate::error::{Error, Result};
use crate::sql::tree::{binary, number, over};

/// Rewrites each of them.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Error;

    /// The query's ORDER BY says which row is the first; other parts of a set operation have none.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let SetExpr::Select(select) = query.body.as_mut() else { return ControlFlow::Continue(()) };
        let mut none = Vec::new();
        let order = match query.order_by.as_mut().map(|order| &mut order.kind) {
            Some(OrderByKind::Expressions(order)) => order,
            _ => &mut none,
        };
        flow(rewrite_select(select, order))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        flow(rewrite_select(select, &mut Vec::new()))
    }
}

fn flow(done: Result<()>) -> ControlFlow<Error> {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

fn rewrite_select(select: &mut Select, order: &mut Vec<OrderByExpr>) -> Result<()> {
    let Some(Distinct::On(keys)) = &select.distinct else { return Ok(()) };
    let at = place(keys.first().map_or(select.select_token.0.span, Spanned::span));
    if select.qualify.is_some() {
        return Err(Error::user("DISTINCT ON does not go with QUALIFY; put one of them into a subquery").at(at));
    }
    let keys = keys.iter().map(|key| meant(key, &select.projection)).collect::<Result<Vec<Expr>>>()?;
    let meant_item =
        |item: &OrderByExpr| Ok(OrderByExpr { expr: meant(&item.expr, &select.projection)?, ..item.clone() });
    let meant_order = order.iter().map(meant_item).collect::<Result<Vec<_>>>()?;
    let first = &meant_order[..keys.len().min(meant_order.len())];
    let all_first = keys.iter().all(|key| first.iter().any(|item| same(&item.expr, key)));
    let only_keys = first.iter().all(|item| keys.iter().any(|key| same(&item.expr, key)));
    let begins_with_keys = all_first && only_keys;
    if !order.is_empty() && !begins_with_keys {
        return Err(Error::user("the keys of DISTINCT ON must be what ORDER BY begins with").at(at));
    }
    // One row is left of each key: behind the keys nothing is to be put in order.
    order.truncate(keys.len());
    select.distinct = None;
    select.qualify = Some(binary(over("row_number", keys, meant_order), BinaryOperator::Eq, number(1)));
    Ok(())
}

/// The same but for where it stands.
fn same(a: &Expr, b: &Expr) -> bool {
    a.to_string() == b.to_string()
}
