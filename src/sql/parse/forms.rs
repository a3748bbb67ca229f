//! Other forms of what there is: `|x| x + 1` is the lambda `x -> x + 1`, `TRIM(BOTH FROM x, y)` is `BTRIM(x, y)`, `a # b` is
//! `a ^ b`, `WITH x AS [NOT] MATERIALIZED (...)` is without the hint, and `FETCH FIRST n ROWS` is LIMIT, WITH TIES a condition on
//! the rank.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Fetch, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement,
    VisitMut, VisitorMut,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::order_key::{meant, named};
use super::tokens::{DIALECT, closing, is_word, make_word, starts_with, word};
use crate::error::{Error, Result};
use crate::sql::tree::{binary, number, over};

/// Rewrites what must be before the tree is made.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in (1..tokens.len()).rev() {
        let before = &tokens[at - 1].token;
        let starts_argument = matches!(before, Token::LParen | Token::Comma);
        let pipe = |at: usize| tokens.get(at).is_some_and(|token| token.token == Token::Pipe);
        if starts_argument && pipe(at) && pipe(at + 2) && word(&tokens[at + 1]).is_some() {
            tokens[at + 2].token = Token::Arrow;
            tokens.remove(at);
        } else if tokens[at].token == Token::Sharp {
            // Exclusive or, as `^` is here.
            tokens[at].token = Token::Caret;
        } else if *before == Token::LParen && at >= 2 && word(&tokens[at - 2]).as_deref() == Some("trim") {
            rewrite_trim(&mut tokens, at);
        } else if *before == Token::LParen && at >= 2 && word(&tokens[at - 2]).as_deref() == Some("in") {
            rewrite_in(&mut tokens, at);
        } else if let Some(count) = hint(&tokens, at) {
            tokens.drain(at..at + count);
        }
    }
    tokens
}

/// How many words of a hint, MATERIALIZED or NOT MATERIALIZED, stand between AS and a bracket.
fn hint(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let count =
        [&["MATERIALIZED"][..], &["NOT", "MATERIALIZED"]].iter().find(|words| starts_with(&tokens[at..], words))?.len();
    let is_open = tokens.get(at + count).is_some_and(|token| token.token == Token::LParen);
    (is_word(&tokens[at - 1], "AS") && is_open).then_some(count)
}

/// `TRIM([BOTH | LEADING | TRAILING] FROM x`, whose first word in brackets is at a place.
fn rewrite_trim(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let is_from = |at: usize| tokens.get(at).and_then(word).as_deref() == Some("from");
    let (name, words) = match word(&tokens[at]).as_deref() {
        Some("from") => ("btrim", 1),
        Some("both") if is_from(at + 1) => ("btrim", 2),
        Some("leading") if is_from(at + 1) => ("ltrim", 2),
        Some("trailing") if is_from(at + 1) => ("rtrim", 2),
        _ => return,
    };
    tokens.drain(at..at + words);
    tokens[at - 2] = make_word(name, None, tokens[at - 2].span);
}

/// `IN ((SELECT ..), x`: a list that begins with a query, which would be read as the query alone.
fn rewrite_in(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let is_query = |at: usize| matches!(tokens.get(at).and_then(word).as_deref(), Some("select" | "with"));
    if tokens[at].token != Token::LParen || !is_query(at + 1) {
        return;
    }
    let end = closing(tokens, at);
    if tokens.get(end + 1).is_none_or(|behind| behind.token == Token::RParen) {
        return;
    }
    let span = tokens[at].span;
    tokens.insert(end + 1, make_word("end", None, tokens[end].span));
    let words = ["case", "when", "true", "then"].map(|word| make_word(word, None, span));
    tokens.splice(at..at, words);
}

/// Rewrites `FETCH`.
pub(super) fn rewrite_fetch(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Fetches) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Fetches;

impl VisitorMut for Fetches {
    type Break = Error;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        match rewrite_query(query, fetch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn rewrite_query(query: &mut Query, fetch: Fetch) -> Result<()> {
    if fetch.percent {
        return Err(Error::user("FETCH takes a number of rows, and no PERCENT"));
    }
    let count = fetch.quantity.unwrap_or_else(|| number(1));
    if fetch.with_ties {
        return with_ties(query, count);
    }
    let offset = match query.limit_clause.take() {
        None => None,
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) if limit_by.is_empty() => offset,
        Some(_) => return Err(Error::user("FETCH and LIMIT say the same; one of them is enough")),
    };
    query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(count), offset, limit_by: Vec::new() });
    Ok(())
}

/// The rows whose rank by the query's order is among the first: of one SELECT by QUALIFY, for its keys need not be among its
/// columns; else of the query's columns.
fn with_ties(query: &mut Query, count: Expr) -> Result<()> {
    let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|order| &order.kind) else {
        return Err(Error::user("FETCH ... WITH TIES needs ORDER BY and its keys"));
    };
    if query.limit_clause.is_some() {
        return Err(Error::user("FETCH ... WITH TIES does not go with LIMIT or OFFSET"));
    }
    let by = |key: fn(&Expr, &[SelectItem]) -> Result<Expr>, items: &[SelectItem]| {
        let keys = order.iter().map(|item| Ok(OrderByExpr { expr: key(&item.expr, items)?, ..item.clone() }));
        keys.collect::<Result<Vec<_>>>()
    };
    if let SetExpr::Select(select) = query.body.as_mut()
        && select.distinct.is_none()
        && select.qualify.is_none()
    {
        let rank = over("rank", Vec::new(), by(meant, &select.projection)?);
        select.qualify = Some(binary(rank, BinaryOperator::LtEq, count));
        return Ok(());
    }
    let keys = by(named, first_select(&query.body).map_or(&[], |select| &select.projection))?;
    let keys: Vec<String> = keys.iter().map(OrderByExpr::to_string).collect();
    let text = format!(
        "SELECT * EXCLUDE (\"__place\") FROM (SELECT *, rank() OVER (ORDER BY {}) AS \"__place\" FROM ({}) AS \"__rows\") AS \
         \"__ranked\" WHERE \"__place\" <= {count}",
        keys.join(", "),
        query.body
    );
    let parsed = Parser::parse_sql(&DIALECT, &text).map_err(|e| Error::user(format!("FETCH ... WITH TIES: {e}")))?;
    match parsed.into_iter().next() {
        Some(Statement::Query(ranked)) => *query.body = SetExpr::Query(ranked),
        _ => return Err(Error::bug("a query was written")),
    }
    Ok(())
}

/// The SELECT whose columns name those of a query.
fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}
