//! Numbers of the select list within ROLLUP, CUBE and GROUPING SETS, which the planner reads as numbers.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, Value, VisitMut, VisitorMut};

/// Puts what they stand for in their place.
pub(super) fn resolve(query: &mut Query) {
    let _ = query.visit(&mut Resolver);
}

struct Resolver;

impl VisitorMut for Resolver {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return ControlFlow::Continue(()) };
        for key in keys {
            if let Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) = key {
                sets.iter_mut().flatten().for_each(|key| put_item(key, &select.projection));
            }
        }
        ControlFlow::Continue(())
    }
}

fn put_item(key: &mut Expr, projection: &[SelectItem]) {
    let Expr::Value(value) = &*key else { return };
    let Value::Number(number, _) = &value.value else { return };
    let item = number.to_string().parse::<usize>().ok().and_then(|number| projection.get(number.checked_sub(1)?));
    if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item {
        *key = expr.clone();
    }
}
