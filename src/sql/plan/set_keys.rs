//! Keys of ROLLUP, CUBE and GROUPING SETS as the planner reads them: numbers of the select list are what they stand for, parts of
//! several keys are written out, a key that is named twice stands once in each set, and `group_id()` is 0 where no set is there
//! twice.
//!
//! `ROLLUP (a, b, a)` is `GROUPING SETS ((a, b), (a, b), (a), ())`, and `ROLLUP ((a, b), c)` is
//! `GROUPING SETS ((a, b, c), (a, b), ())`.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, Select, SelectItem, Spanned, Value, VisitMut, VisitorMut, visit_expressions,
    visit_expressions_mut,
};

use crate::error::{Error, Result};
use crate::sql::parse::place;
use crate::sql::tree::number;

/// Parts of a CUBE that is written out: 4,096 sets.
const CUBE_PARTS_MAX: usize = 12;

/// Puts the keys of all queries in order.
///
/// Failure: a CUBE of too many parts.
pub(super) fn resolve(query: &mut Query) -> Result<()> {
    match query.visit(&mut Resolver) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Resolver;

impl VisitorMut for Resolver {
    type Break = Error;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return ControlFlow::Continue(()) };
        for key in keys {
            if let Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) = key {
                sets.iter_mut().flatten().for_each(|key| put_item(key, &select.projection));
                match written_out(key) {
                    Ok(None) => {}
                    Ok(Some(sets)) => *key = Expr::GroupingSets(sets),
                    Err(error) => return ControlFlow::Break(error.at(place(key.span()))),
                }
            }
        }
        number_sets(select);
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

/// The sets of a key of GROUP BY, where the planner does not read them as they are.
fn written_out(key: &Expr) -> Result<Option<Vec<Vec<Expr>>>> {
    Ok(match key {
        Expr::Rollup(parts) if is_beyond(parts) => {
            Some((0..=parts.len()).rev().map(|count| each_once(&parts[..count])).collect())
        }
        Expr::Cube(parts) if is_beyond(parts) && parts.len() > CUBE_PARTS_MAX => {
            let message = format!(
                "CUBE with a key twice or with several keys in brackets takes {CUBE_PARTS_MAX} parts, found: {}; \
                 list the sets with GROUPING SETS (...)",
                parts.len()
            );
            return Err(Error::user(message));
        }
        Expr::Cube(parts) if is_beyond(parts) => {
            let has = |set: usize, part: usize| set >> (parts.len() - 1 - part) & 1 == 1;
            let of = |set: usize| each_once((0..parts.len()).filter(|&part| has(set, part)).map(|part| &parts[part]));
            Some((0..1_usize << parts.len()).rev().map(of).collect())
        }
        Expr::GroupingSets(sets) => {
            let once: Vec<Vec<Expr>> = sets.iter().map(|set| each_once([set])).collect();
            Some(once).filter(|once| once.iter().zip(sets).any(|(once, set)| once.len() < set.len()))
        }
        _ => None,
    })
}

/// Whether a part has several keys, or a key is there twice.
fn is_beyond(parts: &[Vec<Expr>]) -> bool {
    parts.iter().any(|part| part.len() != 1) || each_once(parts).len() < parts.len()
}

/// The keys of these parts, each once.
fn each_once<'a>(parts: impl IntoIterator<Item = &'a Vec<Expr>>) -> Vec<Expr> {
    let mut keys: Vec<Expr> = Vec::new();
    for expr in parts.into_iter().flatten() {
        if !keys.iter().any(|known| text(known) == text(expr)) {
            keys.push(expr.clone());
        }
    }
    keys
}

/// A key as a text: names without quotes in lower case.
fn text(key: &Expr) -> String {
    match key {
        Expr::Nested(inner) => text(inner),
        Expr::Identifier(Ident { value, quote_style: None, .. }) => value.to_lowercase(),
        Expr::Identifier(Ident { value, .. }) => value.clone(),
        other => other.to_string(),
    }
}

/// `group_id()` where no set is there twice: 0 in all of them. Elsewhere it is left, and not found.
fn number_sets(select: &mut Select) {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else { return };
    let differ = |sets: &[Vec<Expr>]| {
        let texts: Vec<Vec<String>> = sets.iter().map(|set| set.iter().map(text).collect()).collect();
        (0..texts.len()).all(|at| !texts[..at].contains(&texts[at]))
    };
    let is_of_sets = |key: &Expr| matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_));
    let is_plain = match keys.as_slice() {
        [Expr::GroupingSets(sets)] => differ(sets),
        // Others of which a set is there twice have been written out.
        [Expr::Rollup(_) | Expr::Cube(_)] => true,
        keys => !keys.iter().any(is_of_sets),
    };
    // Queries inside have groups of their own.
    let is_query = |expr: &Expr| matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. });
    let has_query = visit_expressions(&select.projection, |expr| match is_query(expr) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    if !is_plain || has_query.is_break() {
        return;
    }
    let put = |expr: &mut Expr| {
        if matches!(expr, Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("group_id")) {
            *expr = number(0);
        }
        ControlFlow::<()>::Continue(())
    };
    let _ = visit_expressions_mut(&mut select.projection, put);
    let _ = visit_expressions_mut(&mut select.having, put);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_there_twice_and_parts_of_several_are_sets() {
        let key = |name: &str| Expr::Identifier(Ident::new(name));
        let shown = |key: Expr| {
            let sets = written_out(&key).expect("few parts");
            sets.map(|sets| Expr::GroupingSets(sets).to_string())
        };
        let (a, b) = (|| vec![key("a")], || vec![key("b")]);
        assert_eq!(shown(Expr::Rollup(vec![a(), b()])), None);
        assert_eq!(shown(Expr::GroupingSets(vec![a(), a()])), None);
        let sets = |key: Expr| shown(key).expect("sets");
        assert_eq!(sets(Expr::Rollup(vec![a(), vec![key("A")]])), "GROUPING SETS ((a), (a), ())");
        assert_eq!(sets(Expr::Rollup(vec![vec![key("a"), key("b")], a()])), "GROUPING SETS ((a, b), (a, b), ())");
        assert_eq!(sets(Expr::Cube(vec![a(), a()])), "GROUPING SETS ((a), (a), (a), ())");
        assert_eq!(sets(Expr::GroupingSets(vec![vec![key("a"), key("a")], b()])), "GROUPING SETS ((a), (b))");
        assert!(written_out(&Expr::Cube(vec![a(); CUBE_PARTS_MAX + 1])).is_err());
    }
}
