//! Lists that are written otherwise: `GROUP BY DISTINCT a` is `GROUP BY a`, `MAP['a', 1]` is `MAP(['a'], [1])`, and
//! `aggregate:f(x)` is `f(array_agg(x))`.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, is_word, make_word, place, split_commas, starts_with, word};
use super::values;
use crate::error::{Error, Result};

/// Rewrites them.
///
/// Failure: GROUP BY DISTINCT of grouping sets.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    join_aggregates(&mut tokens);
    pair_maps(&mut tokens);
    values::wrap(&mut tokens);
    drop_distinct(&mut tokens)?;
    Ok(tokens)
}

/// `GROUP BY DISTINCT a, b`, where no set of keys can be there twice, is `GROUP BY a, b`.
fn drop_distinct(tokens: &mut Vec<TokenWithSpan>) -> Result<()> {
    for at in (2..tokens.len()).rev() {
        if !starts_with(&tokens[at - 2..], &["GROUP", "BY", "DISTINCT"]) {
            continue;
        }
        let keys = keys_of(&tokens[at + 1..]);
        if let Some(sets) = (0..keys.len()).find(|&at| is_sets(&keys[at..])) {
            let message = "GROUP BY DISTINCT takes keys, and no ROLLUP, CUBE or GROUPING SETS: leave DISTINCT out, or sets that are there twice";
            return Err(Error::user(message).at(place(keys[sets].span)));
        }
        tokens.remove(at);
    }
    Ok(())
}

/// What is grouped by, of what follows GROUP BY.
fn keys_of(rest: &[TokenWithSpan]) -> &[TokenWithSpan] {
    const ENDS: &[&str] =
        &["having", "qualify", "window", "order", "limit", "offset", "fetch", "union", "except", "intersect", "emit"];
    let mut at = 0;
    while let Some(token) = rest.get(at) {
        match token.token {
            Token::LParen => at = closing(rest, at),
            Token::RParen => break,
            _ if ENDS.iter().any(|word| is_word(token, word)) => break,
            _ => {}
        }
        at += 1;
    }
    &rest[..at.min(rest.len())]
}

/// Whether grouping sets begin here.
fn is_sets(rest: &[TokenWithSpan]) -> bool {
    let is_open = rest.get(1).is_some_and(|next| next.token == Token::LParen);
    starts_with(rest, &["GROUPING", "SETS"]) || is_open && ["ROLLUP", "CUBE"].iter().any(|word| is_word(&rest[0], word))
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

/// `MAP['a', 1, 'b', 2]` is `MAP(['a', 'b'], [1, 2])`.
fn pair_maps(tokens: &mut Vec<TokenWithSpan>) {
    for at in (0..tokens.len()).rev() {
        let is_map = word(&tokens[at]).as_deref() == Some("map");
        if !is_map || tokens.get(at + 1).is_none_or(|next| next.token != Token::LBracket) {
            continue;
        }
        let Some(close) = closing_bracket(tokens, at + 1) else { continue };
        let parts = split_commas(&tokens[at + 2..close]);
        if parts.len() % 2 == 1 || parts.is_empty() {
            continue;
        }
        let token = |token: Token| TokenWithSpan::new(token, tokens[at].span);
        let list = |first: usize| {
            let parts: Vec<&[TokenWithSpan]> = parts.iter().copied().skip(first).step_by(2).collect();
            let comma = [token(Token::Comma)];
            [vec![token(Token::LBracket)], parts.join(&comma[..]), vec![token(Token::RBracket)]].concat()
        };
        let (open, comma, end) = (vec![token(Token::LParen)], vec![token(Token::Comma)], vec![token(Token::RParen)]);
        let made = [open, list(0), comma, list(1), end].concat();
        tokens.splice(at + 1..=close, made);
    }
}

/// The bracket that closes the one at `open`.
fn closing_bracket(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.token {
            Token::LBracket => depth += 1,
            Token::RBracket => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    #[test]
    fn distinct_goes_where_keys_stand_alone() {
        let rewritten = |text: &str| {
            let tokens = rewrite(tokenize(text).expect("tokens"))?;
            Ok::<_, Error>(tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" "))
        };
        let text =
            "SELECT cube , rollup ( a ) FROM ( SELECT a FROM t GROUP BY DISTINCT a , ( b ) ) GROUP BY ROLLUP ( a )";
        assert_eq!(rewritten(text).ok(), Some(text.replace("DISTINCT ", "")));
        assert_eq!(rewritten("GROUP BY DISTINCT cube").ok().as_deref(), Some("GROUP BY cube"));
        for sets in ["a, ROLLUP(b)", "GROUPING SETS ((a), (a))", "CUBE(a)"] {
            assert!(rewritten(&format!("SELECT 1 FROM t GROUP BY DISTINCT {sets}")).is_err(), "{sets}");
        }
    }
}
