//! Other forms of what there is: `|x| x + 1` is the lambda `x -> x + 1`, `TRIM(BOTH FROM x, y)` is `BTRIM(x, y)`, and
//! `FETCH FIRST n ROWS` is LIMIT, WITH TIES a condition on the rank; `VALUES 1, 2` is `VALUES (1), (2)`, `a # b` is `a ^ b`,
//! `aggregate:f(x)` is `f(array_agg(x))`, `(x).*` is `UNNEST(x)`, and `ARRAY(query)` is a list of what it gives.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Fetch, FunctionArg, FunctionArgExpr, Ident, LimitClause, ObjectNamePart, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Spanned, Statement, TableAlias,
    TableFactor, VisitMut, VisitorMut,
};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::order_key::{meant, named};
use super::spelling::row_function;
use super::tokens::{DIALECT, closing, make_word, word};
use crate::error::{Error, Result};
use crate::sql::tree::{binary, call_of, number, over};

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
        }
    }
    join_aggregates(&mut tokens);
    wrap_values(&mut tokens);
    tokens
}

/// `aggregate:f(x)` is `f(array_agg(x))`.
fn join_aggregates(tokens: &mut Vec<TokenWithSpan>) {
    let is =
        |tokens: &[TokenWithSpan], at: usize, token: Token| tokens.get(at).is_some_and(|found| found.token == token);
    for at in (0..tokens.len()).rev() {
        let is_aggregate = word(&tokens[at]).as_deref() == Some("aggregate") && is(tokens, at + 1, Token::Colon);
        if is_aggregate && tokens.get(at + 2).and_then(word).is_some() && is(tokens, at + 3, Token::LParen) {
            let close = closing(tokens, at + 3);
            if close < tokens.len() {
                let span = tokens[at].span;
                tokens.insert(close, TokenWithSpan::new(Token::RParen, span));
                let inner = [make_word("array_agg", None, span), TokenWithSpan::new(Token::LParen, span)];
                tokens.splice(at + 4..at + 4, inner);
                tokens.drain(at..at + 2);
            }
        }
    }
}

/// `VALUES 1, 2` is `VALUES (1), (2)`.
fn wrap_values(tokens: &mut Vec<TokenWithSpan>) {
    const ENDS: &[&str] = &["order", "limit", "union", "except", "intersect", "fetch", "offset", "emit", "as"];
    for at in (0..tokens.len()).rev() {
        let starts_query = |before: &TokenWithSpan| {
            matches!(before.token, Token::LParen)
                || word(before).is_some_and(|word| ["as", "all"].contains(&word.as_str()))
        };
        let is_values = word(&tokens[at]).as_deref() == Some("values") && (at == 0 || starts_query(&tokens[at - 1]));
        let first = tokens.get(at + 1);
        let is_row = first.is_none_or(|first| {
            first.token == Token::LParen || word(first).is_some_and(|word| ["row", "as"].contains(&word.as_str()))
        });
        if !is_values || is_row {
            continue;
        }
        let (mut depth, mut places) = (0usize, vec![at + 1]);
        let mut end = tokens.len();
        for (place, token) in tokens.iter().enumerate().skip(at + 1) {
            match &token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => {
                    end = place;
                    break;
                }
                Token::RParen | Token::RBracket => depth -= 1,
                Token::Comma if depth == 0 => places.push(place + 1),
                _ if depth == 0 && word(token).is_some_and(|word| ENDS.contains(&word.as_str())) => {
                    end = place;
                    break;
                }
                _ => {}
            }
        }
        let mut until = end;
        for &from in places.iter().rev() {
            let span = tokens[from.min(tokens.len() - 1)].span;
            tokens.insert(until, TokenWithSpan::new(Token::RParen, span));
            tokens.insert(from, TokenWithSpan::new(Token::LParen, span));
            until = from - 1;
        }
    }
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

/// Rewrites `FETCH`.
pub(super) fn rewrite_fetch(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Fetches) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Rewrites `(x).*`, the fields of a struct as columns, records in VALUES, and functions in FROM that make rows of JSON.
pub(super) fn rewrite_stars(statement: &mut Statement) {
    struct Stars;
    impl VisitorMut for Stars {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            for item in &mut select.projection {
                if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(of), _) = item {
                    *item = SelectItem::UnnamedExpr(call_of("unnest", vec![of.clone()], of.span()));
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
    let _ = statement.visit(&mut Stars);
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

/// What stands for `ARRAY(query)`: a list of its one column, in its order; an empty one where there is no row.
pub(super) fn list_of(query: &Query) -> Result<Expr> {
    let (mut query, mut keys) = (query.clone(), Vec::new());
    let order = match query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(order)) => order.clone(),
        _ => Vec::new(),
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        let items = select.projection.clone();
        for item in &order {
            let key = meant(&item.expr, &items)?;
            let is_only = matches!(items.as_slice(), [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] if *expr == key);
            let name = if is_only { "__x".to_string() } else { format!("__key_{}", select.projection.len()) };
            if !is_only {
                if select.distinct.is_some() {
                    return Err(Error::user("ARRAY of a query with DISTINCT is ordered by its column alone"));
                }
                select.projection.push(SelectItem::ExprWithAlias { expr: key, alias: Ident::with_quote('"', &name) });
            }
            keys.push(OrderByExpr { expr: Expr::Identifier(Ident::with_quote('"', name)), ..item.clone() });
        }
    } else if !order.is_empty() {
        return Err(Error::user("ARRAY of a query with ORDER BY takes one SELECT; put the rest into a subquery"));
    }
    let names: Vec<String> = match query.body.as_ref() {
        SetExpr::Select(select) => (1..select.projection.len()).map(|at| format!(", \"__key_{at}\"")).collect(),
        _ => Vec::new(),
    };
    let keys: Vec<String> = keys.iter().map(OrderByExpr::to_string).collect();
    let order = if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) };
    let text = format!(
        "SELECT coalesce(array_agg(\"__x\"{order}), make_array()) FROM ({query}) AS \"__rows\" (\"__x\"{})",
        names.concat()
    );
    let parsed = Parser::parse_sql(&DIALECT, &text).map_err(|e| Error::user(format!("ARRAY of a query: {e}")))?;
    match parsed.into_iter().next() {
        Some(Statement::Query(query)) => Ok(Expr::Subquery(query)),
        _ => Err(Error::bug("a query was written")),
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
