//! Lists that are written otherwise: `GROUP BY DISTINCT a` is `GROUP BY a`, `VALUES 1, 2` is `VALUES (1), (2)`, `MAP['a', 1]` is `MAP(['a'], [1])`, and
//! `aggregate:f(x)` is `f(array_agg(x))`.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, make_word, split_commas, word};

/// Rewrites them.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    join_aggregates(&mut tokens);
    pair_maps(&mut tokens);
    wrap_values(&mut tokens);
    drop_distinct(&mut tokens);
    tokens
}

/// `GROUP BY DISTINCT a, b`, where no set of keys can be there twice, is `GROUP BY a, b`.
fn drop_distinct(tokens: &mut Vec<TokenWithSpan>) {
    let is =
        |at: usize, words: &[&str]| tokens.get(at).and_then(word).is_some_and(|word| words.contains(&word.as_str()));
    let behind = |at: usize| is(at, &["distinct"]) && at >= 2 && is(at - 1, &["by"]) && is(at - 2, &["group"]);
    let found: Vec<usize> = (0..tokens.len()).filter(|&at| behind(at)).collect();
    let has_sets = (0..tokens.len()).any(|at| is(at, &["rollup", "cube", "grouping"]));
    for at in found.into_iter().rev().filter(|_| !has_sets) {
        tokens.remove(at);
    }
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
