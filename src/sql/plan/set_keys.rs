//! Keys of ROLLUP, CUBE and GROUPING SETS as the planner reads them: numbers of the select list are what they stand for, and a key
//! that is written twice stands once in each set.
//!
//! `ROLLUP (a, b, a)` is `GROUPING SETS ((a, b), (a, b), (a), ())`.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, Value, VisitMut, VisitorMut};

/// The most keys of a CUBE that is spelled out.
const CUBE_MAX: usize = 12;

/// Puts the keys of all queries in order.
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
                put_once(key);
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

/// Spells the sets out where a key would stand in one of them twice.
fn put_once(key: &mut Expr) {
    let (Expr::Rollup(parts) | Expr::Cube(parts) | Expr::GroupingSets(parts)) = &*key else { return };
    let repeats = match key {
        Expr::GroupingSets(_) => parts.iter().any(|set| each_once(set.clone()).len() < set.len()),
        _ => each_once(parts.concat()).len() < parts.concat().len(),
    };
    let sets: Vec<Vec<Expr>> = match &*key {
        _ if !repeats => return,
        Expr::Rollup(parts) => (0..=parts.len()).rev().map(|count| parts[..count].concat()).collect(),
        Expr::Cube(parts) if parts.len() <= CUBE_MAX => {
            let has = |set: usize, part: usize| set & (1 << (parts.len() - 1 - part)) != 0;
            let of =
                |set: usize| (0..parts.len()).filter(move |&part| has(set, part)).flat_map(|part| parts[part].clone());
            (0..1_usize << parts.len()).rev().map(|set| of(set).collect()).collect()
        }
        Expr::GroupingSets(sets) => sets.clone(),
        _ => return,
    };
    *key = Expr::GroupingSets(sets.into_iter().map(each_once).collect());
}

fn each_once(keys: Vec<Expr>) -> Vec<Expr> {
    let mut each: Vec<Expr> = Vec::with_capacity(keys.len());
    for key in keys {
        if !each.contains(&key) {
            each.push(key);
        }
    }
    each
}
