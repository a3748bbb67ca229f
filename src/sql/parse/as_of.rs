//! Joins by the nearest, as words: `ASOF JOIN` and `FOR SYSTEM_TIME AS OF` become joins that sqlparser reads, marked by a
//! word that nobody else may use there.
//!
//! ```text
//! a ASOF LEFT JOIN b ON a.k = b.k AND a.ts >= b.ts         a GLOBAL LEFT JOIN b ON a.k = b.k AND a.ts >= b.ts
//! a ASOF JOIN b MATCH_CONDITION (a.ts >= b.ts) ON ...      a GLOBAL JOIN b ON (a.ts >= b.ts) AND ...
//! a LEFT ASOF JOIN b MATCH_CONDITION a.ts >= b.ts ON ...   a GLOBAL LEFT JOIN b ON a.ts >= b.ts AND ...
//! a JOIN t FOR SYSTEM_TIME AS OF a.ts AS b ON ...          a GLOBAL JOIN t AS b ON __system_time(a.ts) AND ...
//! ```

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, is_word, make_word, place_of, starts_with};
use crate::error::{Error, Result};

/// The function that carries the time of `FOR SYSTEM_TIME AS OF` into the join's condition.
pub(crate) const SYSTEM_TIME: &str = "__system_time";

/// Rewrites every join by the nearest.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let is_global = |at: &usize| is_word(&tokens[*at], "GLOBAL") && join_after(&tokens, at + 1).is_some();
    if let Some(at) = (0..tokens.len()).find(is_global) {
        return Err(Error::user("GLOBAL before JOIN is not supported; leave it out").at(place_of(&tokens[at..=at])));
    }
    while let Some(at) = (0..tokens.len()).find(|&at| starts_with(&tokens[at..], &["FOR", "SYSTEM_TIME", "AS", "OF"])) {
        rewrite_system_time(&mut tokens, at)?;
    }
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at], "ASOF")
            && let Some(join) = join_after(&tokens, at + 1)
        {
            let first = kind_before(&mut tokens, at);
            rewrite_as_of(&mut tokens, first, join)?;
        }
        at += 1;
    }
    Ok(tokens)
}

/// The JOIN that these words before it belong to.
fn join_after(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    const KINDS: &[&str] = &["INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "SEMI", "ANTI"];
    let words = tokens[at.min(tokens.len())..].iter().take_while(|token| KINDS.iter().any(|kind| is_word(token, kind)));
    let join = at + words.count();
    tokens.get(join).filter(|token| is_word(token, "JOIN")).map(|_| join)
}

/// Puts the kind of join that stands before ASOF behind it; where ASOF is then.
fn kind_before(tokens: &mut [TokenWithSpan], at: usize) -> usize {
    const KINDS: &[&str] = &["LEFT", "OUTER", "INNER"];
    let is_kind = |token: &&TokenWithSpan| KINDS.iter().any(|kind| is_word(token, kind));
    let first = at - tokens[..at].iter().rev().take_while(is_kind).count();
    tokens[first..=at].rotate_right(1);
    first
}

fn rewrite_as_of(tokens: &mut [TokenWithSpan], at: usize, join: usize) -> Result<()> {
    check_kind(&tokens[at + 1..join], "ASOF JOIN").map_err(|e| e.at(place_of(&tokens[at..=join])))?;
    tokens[at] = make_word("GLOBAL", None, tokens[at].span);
    // The condition of this join, before the next one begins.
    let mut depth = 0usize;
    for index in join + 1..tokens.len() {
        match tokens[index].token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return Ok(()),
            Token::RParen => depth -= 1,
            _ if depth > 0 => {}
            _ if is_word(&tokens[index], "ON") || is_word(&tokens[index], "USING") => return Ok(()),
            _ if is_word(&tokens[index], "MATCH_CONDITION") => {
                tokens[index] = make_word("ON", None, tokens[index].span);
                let is_bare = tokens.get(index + 1).is_none_or(|token| token.token != Token::LParen);
                let end = if is_bare { on_after(tokens, index + 1) } else { closing(tokens, index + 1) + 1 };
                if let Some(on) = tokens.get(end).filter(|token| is_word(token, "ON")) {
                    tokens[end] = make_word("AND", None, on.span);
                }
                return Ok(());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The ON behind a condition without brackets around it, or the end.
fn on_after(tokens: &[TokenWithSpan], from: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return tokens.len(),
            Token::RParen => depth -= 1,
            _ if depth == 0 && is_word(token, "ON") => return index,
            _ => {}
        }
    }
    tokens.len()
}

fn check_kind(words: &[TokenWithSpan], what: &str) -> Result<()> {
    let fits = match words {
        [] => true,
        [only] => is_word(only, "INNER") || is_word(only, "LEFT"),
        _ => starts_with(words, &["LEFT", "OUTER"]),
    };
    if fits { Ok(()) } else { Err(Error::user(format!("{what} is INNER or LEFT, and nothing else"))) }
}

/// Moves the time of the clause at `at` into the condition of its join.
fn rewrite_system_time(tokens: &mut Vec<TokenWithSpan>, at: usize) -> Result<()> {
    let place = place_of(&tokens[at..at + 4]);
    let refuse = |message: &str| Error::user(message).at(place);
    let time_end = end_of_time(tokens, at + 4)
        .ok_or_else(|| refuse("FOR SYSTEM_TIME AS OF takes a column of the other side, or PROCTIME()"))?;
    let is_name = |token: &TokenWithSpan| matches!(token.token, Token::Word(_) | Token::Period);
    let names = tokens[..at].iter().rev().take_while(|token| is_name(token) && !is_word(token, "JOIN")).count();
    let join = at.checked_sub(names + 1).filter(|&join| is_word(&tokens[join], "JOIN"));
    let join = join.ok_or_else(|| refuse("FOR SYSTEM_TIME AS OF stands behind the table of a JOIN"))?;
    const KINDS: &[&str] = &["INNER", "LEFT", "RIGHT", "FULL", "OUTER", "CROSS", "SEMI", "ANTI"];
    let before = tokens[..join].iter().rev();
    let kinds = before.take_while(|token| KINDS.iter().any(|kind| is_word(token, kind))).count();
    check_kind(&tokens[join - kinds..join], "a join FOR SYSTEM_TIME AS OF").map_err(|e| e.at(place))?;
    let on = (time_end..tokens.len()).take_while(|&index| tokens[index].token != Token::RParen);
    let on = on.take(4).find(|&index| is_word(&tokens[index], "ON"));
    let on = on.ok_or_else(|| refuse("a join FOR SYSTEM_TIME AS OF needs ON with the key of the table"))?;
    let time: Vec<TokenWithSpan> = tokens[at + 4..time_end].to_vec();
    let span = tokens[at].span;
    let mut call = vec![make_word(SYSTEM_TIME, None, span), TokenWithSpan::new(Token::LParen, span)];
    call.extend(time);
    call.extend([TokenWithSpan::new(Token::RParen, span), make_word("AND", None, span)]);
    tokens.splice(on + 1..on + 1, call);
    tokens.drain(at..time_end);
    tokens.insert(join - kinds, make_word("GLOBAL", None, span));
    Ok(())
}

/// Where the column or the call that begins at `at` ends.
fn end_of_time(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let mut end = at;
    while matches!(tokens.get(end)?.token, Token::Word(_)) {
        end += 1;
        match tokens.get(end).map(|token| &token.token) {
            Some(Token::Period) => end += 1,
            Some(Token::LParen) => return Some(closing(tokens, end) + 1).filter(|end| *end <= tokens.len()),
            _ => return Some(end),
        }
    }
    None
}
