//! What a key of ORDER BY or DISTINCT ON stands for: a name or a number of the SELECT list is the expression there.

use sqlparser::ast::{Expr, Ident, SelectItem, Spanned, Value};

use super::tokens::place;
use crate::error::{Error, Result};

/// The expression that a key is computed by.
///
/// Failure: a number that no column of the list has, or that stands behind a `*`.
pub(super) fn meant(key: &Expr, items: &[SelectItem]) -> Result<Expr> {
    match key {
        Expr::Identifier(name) => {
            let found = items.iter().find_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } if alias == name => Some(expr.clone()),
                _ => None,
            });
            Ok(found.unwrap_or_else(|| key.clone()))
        }
        _ => Ok(numbered(key, items)?.map_or_else(|| key.clone(), |(expr, _)| expr.clone())),
    }
}

/// The name of the column that a number stands for, where it has one that can be written; other keys as they are.
///
/// Failure: as of [`meant`], and a column without a name.
pub(super) fn named(key: &Expr, items: &[SelectItem]) -> Result<Expr> {
    match numbered(key, items)? {
        None => Ok(key.clone()),
        Some((_, Some(name))) => Ok(Expr::Identifier(name.clone())),
        Some((Expr::Identifier(name), None)) => Ok(Expr::Identifier(name.clone())),
        Some((Expr::CompoundIdentifier(path), None)) if !path.is_empty() => {
            Ok(Expr::Identifier(path[path.len() - 1].clone()))
        }
        Some(_) => {
            let message = format!("the column that ORDER BY {key} stands for has no name; give it one with AS");
            Err(Error::user(message).at(place(key.span())))
        }
    }
}

/// The expression and the alias that a number stands for; `None`: it is no number.
fn numbered<'a>(key: &Expr, items: &'a [SelectItem]) -> Result<Option<(&'a Expr, Option<&'a Ident>)>> {
    let Expr::Value(value) = key else { return Ok(None) };
    let Value::Number(number, _) = &value.value else { return Ok(None) };
    let wrong = || {
        let message = format!("{number} is no column of the SELECT list that can be counted; write the column instead");
        Error::user(message).at(place(key.span()))
    };
    let at: usize = number.parse().map_err(|_| wrong())?;
    let until = items.get(..at).ok_or_else(wrong)?;
    let columns = until.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some((expr, None)),
        SelectItem::ExprWithAlias { expr, alias } => Some((expr, Some(alias))),
        // A star is as many columns as its table has.
        _ => None,
    });
    let columns: Vec<_> = columns.collect::<Option<_>>().ok_or_else(wrong)?;
    columns.last().copied().map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::{SetExpr, Statement};
    use sqlparser::parser::Parser;

    use super::*;
    use crate::sql::tree::number;

    fn items(text: &str) -> Vec<SelectItem> {
        let parsed = Parser::parse_sql(&super::super::tokens::DIALECT, text).expect("a query");
        let Some(Statement::Query(query)) = parsed.into_iter().next() else { panic!("a query") };
        let SetExpr::Select(select) = *query.body else { panic!("a select") };
        select.projection
    }

    #[test]
    fn numbers_are_columns_before_a_star() {
        let items = items("SELECT a + 1, b AS c, t.d, *, e FROM t");
        let shown = |expr: Result<Expr>| expr.map(|expr| expr.to_string()).ok();
        let all = |f: fn(&Expr, &[SelectItem]) -> Result<Expr>| {
            (0..6).map(|at| shown(f(&number(at), &items))).collect::<Vec<_>>()
        };
        let some = |texts: [Option<&str>; 6]| texts.map(|text| text.map(str::to_string)).to_vec();
        assert_eq!(all(meant), some([None, Some("a + 1"), Some("b"), Some("t.d"), None, None]));
        assert_eq!(all(named), some([None, None, Some("c"), Some("d"), None, None]));
        let name = |name: &str| Expr::Identifier(Ident::new(name));
        assert_eq!(shown(meant(&name("c"), &items)).as_deref(), Some("b"));
        assert_eq!(shown(meant(&name("e"), &items)).as_deref(), Some("e"));
        assert_eq!(shown(named(&name("c"), &items)).as_deref(), Some("c"));
    }
}
