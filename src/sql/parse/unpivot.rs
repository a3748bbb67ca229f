//! `UNPIVOT ((a, b) FOR (x, y) IN ((c, d) AS ('v', 'w'), ...))`: what sqlparser takes for one value, one name and columns
//! that are names, it is given for as many as there are.
//!
//! ```text
//! UNPIVOT (v FOR n IN (a, b AS 'x'))     UNPIVOT (__unpivot(v, n) FOR __unpivot IN (__unpivot(a), __unpivot(b, 'x')))
//! ```

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::tokens::{closing, is_word, make_word, place_of, split_commas};
use crate::error::{Error, Result};

/// The function that holds a part of an UNPIVOT, and the name in it.
pub(crate) const UNPIVOT: &str = "__unpivot";

/// Rewrites every UNPIVOT.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    // From behind, so that one inside another comes first, and places found stay true.
    for at in (0..tokens.len()).rev() {
        if is_word(&tokens[at], "UNPIVOT")
            && let Some(open) = opening(&tokens, at)
        {
            let close = closing(&tokens, open);
            let put = rewritten(&tokens[open + 1..close], tokens[at].span)
                .ok_or_else(|| usage().at(place_of(&tokens[at..close.min(tokens.len())])))?;
            tokens.splice(open + 1..close, put);
        }
    }
    Ok(tokens)
}

fn usage() -> Error {
    Error::user("expected UNPIVOT (value FOR name IN (column, column AS 'text', ...))")
}

/// The parenthesis of an UNPIVOT behind a table; `None`: it is a name.
fn opening(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let has_nulls = tokens.get(at + 1).is_some_and(|token| is_word(token, "INCLUDE") || is_word(token, "EXCLUDE"));
    let open = if has_nulls { at + 3 } else { at + 1 };
    let is_behind_table =
        at > 0 && (tokens[at - 1].token == Token::RParen || matches!(tokens[at - 1].token, Token::Word(_)));
    (is_behind_table && tokens.get(open).is_some_and(|token| token.token == Token::LParen)).then_some(open)
}

fn rewritten(inside: &[TokenWithSpan], span: Span) -> Option<Vec<TokenWithSpan>> {
    let value_end = outermost(inside, "FOR")?;
    let names_end = outermost(inside, "IN")?;
    let columns = inside.get(names_end + 1..)?;
    let is_list = columns.first()?.token == Token::LParen && closing(columns, 0) + 1 == columns.len();
    if value_end == 0 || names_end <= value_end + 1 || !is_list {
        return None;
    }
    let mut put = call(&inside[..value_end], Some(&inside[value_end + 1..names_end]), span);
    put.extend([inside[value_end].clone(), make_word(UNPIVOT, None, span), inside[names_end].clone()]);
    put.push(columns[0].clone());
    for (index, column) in split_commas(&columns[1..columns.len() - 1]).into_iter().enumerate() {
        if index > 0 {
            put.push(TokenWithSpan::new(Token::Comma, span));
        }
        match outermost(column, "AS") {
            Some(at) => put.extend(call(&column[..at], Some(&column[at + 1..]), span)),
            None => put.extend(call(column, None, span)),
        }
    }
    put.push(columns[columns.len() - 1].clone());
    Some(put)
}

/// `__unpivot(first, second)`.
fn call(first: &[TokenWithSpan], second: Option<&[TokenWithSpan]>, span: Span) -> Vec<TokenWithSpan> {
    let token = |token: Token| TokenWithSpan::new(token, span);
    let mut put = vec![make_word(UNPIVOT, None, span), token(Token::LParen)];
    put.extend(first.iter().cloned());
    if let Some(second) = second {
        put.push(token(Token::Comma));
        put.extend(second.iter().cloned());
    }
    put.push(token(Token::RParen));
    put
}

/// Where a word stands outside of all parentheses.
fn outermost(tokens: &[TokenWithSpan], wanted: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && is_word(token, wanted) => return Some(at),
            _ => {}
        }
    }
    None
}
