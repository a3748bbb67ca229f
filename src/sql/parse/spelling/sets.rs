//! ROLLUP and CUBE that name a key twice, or whose parts are several keys: as the GROUPING SETS that they mean, each with
//! every key once. DataFusion takes neither.

use sqlparser::ast::{Expr, Ident};

use crate::error::{Error, Result};

/// Parts of a CUBE that is written out: 4,096 sets.
const CUBE_PARTS_MAX: usize = 12;

/// What stands for `ROLLUP (parts)`, where it must.
pub(super) fn rollup(parts: &[Vec<Expr>]) -> Result<Option<Expr>> {
    if !is_beyond(parts) {
        return Ok(None);
    }
    let sets = (0..=parts.len()).rev().map(|count| set(parts[..count].iter()));
    Ok(Some(Expr::GroupingSets(sets.collect())))
}

/// What stands for `CUBE (parts)`, where it must.
///
/// Failure: too many parts.
pub(super) fn cube(parts: &[Vec<Expr>]) -> Result<Option<Expr>> {
    if !is_beyond(parts) {
        return Ok(None);
    }
    if parts.len() > CUBE_PARTS_MAX {
        let message = format!(
            "CUBE with a key twice or with several keys in brackets takes {CUBE_PARTS_MAX} parts, found: {}; \
             list the sets with GROUPING SETS (...)",
            parts.len()
        );
        return Err(Error::user(message));
    }
    let chosen =
        |mask: usize| parts.iter().enumerate().filter(move |(at, _)| mask >> at & 1 == 1).map(|(_, part)| part);
    let sets = (0..1usize << parts.len()).rev().map(|mask| set(chosen(mask)));
    Ok(Some(Expr::GroupingSets(sets.collect())))
}

/// Whether a part has several keys, or a key is there twice.
fn is_beyond(parts: &[Vec<Expr>]) -> bool {
    let mut keys: Vec<String> = parts.iter().flatten().map(key).collect();
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    keys.len() < count || parts.iter().any(|part| part.len() != 1)
}

/// The keys of these parts, each once.
fn set<'a>(parts: impl Iterator<Item = &'a Vec<Expr>>) -> Vec<Expr> {
    let mut keys: Vec<Expr> = Vec::new();
    for expr in parts.flatten() {
        if !keys.iter().any(|known| key(known) == key(expr)) {
            keys.push(expr.clone());
        }
    }
    keys
}

/// A key as a text: names without quotes in lower case, a column without its table.
fn key(expr: &Expr) -> String {
    let name = |ident: &Ident| match ident.quote_style {
        None => ident.value.to_lowercase(),
        Some(_) => ident.value.clone(),
    };
    match expr {
        Expr::Nested(inner) => key(inner),
        Expr::Identifier(ident) => name(ident),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_there_twice_are_sets() {
        let key = |name: &str| Expr::Identifier(Ident::new(name));
        let text = |sets: Result<Option<Expr>>| sets.expect("sets").map(|sets| sets.to_string());
        let (a, b) = (|| vec![key("a")], || vec![key("b")]);
        assert_eq!(text(rollup(&[a(), b()])), None);
        assert_eq!(text(rollup(&[a(), vec![key("A")]])).as_deref(), Some("GROUPING SETS ((a), (a), ())"));
        assert_eq!(
            text(rollup(&[vec![key("a"), key("b")], a()])).as_deref(),
            Some("GROUPING SETS ((a, b), (a, b), ())")
        );
        assert_eq!(text(cube(&[a(), a()])).as_deref(), Some("GROUPING SETS ((a), (a), (a), ())"));
        assert!(cube(&vec![a(); 13]).is_err());
    }
}
