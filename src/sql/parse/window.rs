//! Windows as words: `WINDOW TUMBLING(1m)` becomes `tumble(INTERVAL '1 minute')` in the GROUP BY of its query, and window
//! functions lose the words that sqlparser does not take (`TABLE t`, `1m`).
//!
//! Invariants  tokens made here carry the places of those they stand for.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::tokens::{closing, is_word, make_word, place_of, split_commas, starts_with, word};
use crate::error::{Error, Result};

/// Rewrites every window clause and every call of a window function.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = tokens;
    while let Some(at) = (0..tokens.len()).find(|&at| is_clause(&tokens[at..])) {
        tokens = rewrite_clause(tokens, at)?;
    }
    let mut at = 0;
    while at < tokens.len() {
        if is_call(&tokens[at..]) {
            let close = closing(&tokens, at + 1);
            let args = rewrite_args(&tokens[at + 2..close]);
            tokens.splice(at + 2..close, args);
        } else if is_call_over_table(&tokens[at..]) {
            tokens.remove(at + 2);
        }
        at += 1;
    }
    Ok(tokens)
}

fn is_clause(tokens: &[TokenWithSpan]) -> bool {
    const SHAPES: &[&str] = &["TUMBLING", "HOPPING", "SLIDING", "SESSION", "TUMBLE", "HOP", "CUMULATE"];
    tokens.len() > 2
        && is_word(&tokens[0], "WINDOW")
        && SHAPES.iter().any(|shape| is_word(&tokens[1], shape))
        && tokens[2].token == Token::LParen
}

fn is_call(tokens: &[TokenWithSpan]) -> bool {
    const NAMES: &[&str] =
        &["tumble", "hop", "session", "cumulate", "tumble_start", "tumble_end", "hop_start", "hop_end"];
    tokens.len() > 1
        && tokens[1].token == Token::LParen
        && word(&tokens[0]).is_some_and(|name| NAMES.contains(&name.as_str()))
}

/// Whether a call begins here whose first argument is `TABLE t`: that of an operator.
fn is_call_over_table(tokens: &[TokenWithSpan]) -> bool {
    let [name, open, table, argument, after, ..] = tokens else { return false };
    matches!(name.token, Token::Word(_))
        && open.token == Token::LParen
        && is_word(table, "TABLE")
        && matches!(argument.token, Token::Word(_))
        && matches!(after.token, Token::Comma | Token::RParen | Token::Period)
}

/// Moves the clause at `at` into the GROUP BY of its query.
fn rewrite_clause(mut tokens: Vec<TokenWithSpan>, at: usize) -> Result<Vec<TokenWithSpan>> {
    let close = closing(&tokens, at + 2);
    if close == tokens.len() {
        return Err(Error::user("a window clause is not closed; a ) is missing").at(place_of(&tokens[at..at + 3])));
    }
    let mut call = clause_call(&tokens[at..=close])?;
    tokens.drain(at..=close);
    let span = call[0].span;
    match group_by(&tokens, at) {
        Some(by) if tokens.get(by + 1).is_some_and(|token| is_word(token, "ALL")) => {
            return Err(Error::user("a window clause does not go with GROUP BY ALL; name the keys").at(place_of(&call)));
        }
        Some(by) => {
            call.push(TokenWithSpan::new(Token::Comma, span));
            tokens.splice(by + 1..by + 1, call);
        }
        None => {
            let end = end_of_block(&tokens, at);
            call.splice(0..0, [make_word("GROUP", None, span), make_word("BY", None, span)]);
            tokens.splice(end..end, call);
        }
    }
    Ok(tokens)
}

/// The BY of the GROUP BY that belongs to the query at `at`.
fn group_by(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    for index in (0..at.min(tokens.len())).rev() {
        match &tokens[index].token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => break,
            Token::LParen => depth -= 1,
            _ if depth == 0 && starts_with(&tokens[index..], &["GROUP", "BY"]) => return Some(index + 1),
            _ if depth == 0 && is_word(&tokens[index], "SELECT") => break,
            _ => {}
        }
    }
    let end = end_of_block(tokens, at);
    let mut depth = 0usize;
    for index in at..end {
        match &tokens[index].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && starts_with(&tokens[index..], &["GROUP", "BY"]) => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// Where a GROUP BY of the query at `at` would have to stand: before what comes after it.
fn end_of_block(tokens: &[TokenWithSpan], at: usize) -> usize {
    const AFTER: &[&str] =
        &["HAVING", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "FETCH", "UNION", "EXCEPT", "INTERSECT", "WINDOW", "EMIT"];
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return index,
            Token::RParen => depth -= 1,
            _ if depth == 0 && AFTER.iter().any(|word| is_word(token, word)) => return index,
            _ => {}
        }
    }
    tokens.len()
}

/// The call that `WINDOW SHAPE(...)` stands for.
fn clause_call(clause: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let refuse = |message: String| Error::user(message).at(place_of(clause));
    let span = Span::new(clause[0].span.start, clause[clause.len() - 1].span.end);
    let shape = word(&clause[1]).expect("a window clause names its shape");
    let (mut time, mut size, mut advance) = (None, None, None);
    for part in split_commas(&clause[3..clause.len() - 1]) {
        if starts_with(part, &["SIZE"]) {
            size = Some(duration(&part[1..])?);
        } else if starts_with(part, &["ADVANCE", "BY"]) {
            advance = Some(duration(&part[2..])?);
        } else if starts_with(part, &["GRACE"]) || starts_with(part, &["RETENTION"]) {
            return Err(Error::user(
                "GRACE PERIOD and RETENTION are not supported; give the watermark a larger delay instead",
            )
            .at(place_of(part)));
        } else if is_duration(part) && size.is_none() {
            size = Some(duration(part)?);
        } else if is_duration(part) && advance.is_none() {
            advance = Some(duration(part)?);
        } else if time.is_none() && size.is_none() && !part.is_empty() {
            time = Some(part.to_vec());
        } else {
            return Err(
                refuse("a window clause takes a time column, a size and an advance".to_string()).at(place_of(part))
            );
        }
    }
    let size = match size {
        Some(size) => size,
        None => {
            return Err(refuse(format!(
                "WINDOW {} needs a size, such as 1m or INTERVAL '1' MINUTE",
                shape.to_uppercase()
            )));
        }
    };
    let (name, args) = match (shape.as_str(), advance) {
        ("tumbling" | "tumble", None) => ("tumble", vec![size]),
        ("tumbling" | "tumble", Some(_)) => {
            return Err(refuse("WINDOW TUMBLING takes one size; use WINDOW HOPPING for an advance".to_string()));
        }
        ("hopping" | "sliding" | "hop", Some(advance)) => ("hop", vec![advance, size]),
        ("hopping" | "sliding" | "hop", None) => {
            return Err(refuse(format!(
                "WINDOW {} needs a size and an advance, such as (5m, 1m)",
                shape.to_uppercase()
            )));
        }
        _ => {
            return Err(refuse(format!(
                "WINDOW {} is not supported yet; use TUMBLING or HOPPING",
                shape.to_uppercase()
            )));
        }
    };
    let mut call = vec![make_word(name, None, span), TokenWithSpan::new(Token::LParen, span)];
    for (index, arg) in time.into_iter().chain(args).enumerate() {
        if index > 0 {
            call.push(TokenWithSpan::new(Token::Comma, span));
        }
        call.extend(arg);
    }
    call.push(TokenWithSpan::new(Token::RParen, span));
    Ok(call)
}

/// Makes the arguments of a window function readable for sqlparser.
fn rewrite_args(args: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(args.len());
    let parts = split_commas(args);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(TokenWithSpan::new(Token::Comma, part.first().map_or(Span::empty(), |token| token.span)));
        }
        let (name, value) = match part {
            [name, arrow, value @ ..] if arrow.token == Token::RArrow => (Some((name, arrow)), value),
            value => (None, *value),
        };
        if let Some((name, arrow)) = name {
            out.push(word(name).map_or_else(|| name.clone(), |word| make_word(&word, Some('"'), name.span)));
            out.push(arrow.clone());
        }
        match value {
            [table, rest @ ..] if is_word(table, "TABLE") && !rest.is_empty() => out.extend(rest.iter().cloned()),
            _ if is_short_duration(value) => out.extend(duration(value).unwrap_or_else(|_| value.to_vec())),
            _ => out.extend(value.iter().cloned()),
        }
    }
    out
}

/// `1m`, `1 MINUTE`, `INTERVAL ...` or `'1 minute'`.
fn is_duration(tokens: &[TokenWithSpan]) -> bool {
    match tokens {
        [] => false,
        [only] => matches!(only.token, Token::SingleQuotedString(_)),
        [first, ..] => is_word(first, "INTERVAL") || is_short_duration(tokens),
    }
}

/// Numbers, each with its unit: `1m`, `1h 30m`, `-10s`.
fn is_short_duration(tokens: &[TokenWithSpan]) -> bool {
    let tokens = without_sign(tokens);
    tokens.len() >= 2
        && tokens.len().is_multiple_of(2)
        && tokens
            .chunks(2)
            .all(|pair| matches!(pair[0].token, Token::Number(..)) && matches!(pair[1].token, Token::Word(_)))
}

fn without_sign(tokens: &[TokenWithSpan]) -> &[TokenWithSpan] {
    match tokens {
        [sign, rest @ ..] if sign.token == Token::Minus => rest,
        _ => tokens,
    }
}

/// A duration as `INTERVAL '...'`.
fn duration(tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let text = match tokens {
        [first, ..] if is_word(first, "INTERVAL") => return Ok(tokens.to_vec()),
        [TokenWithSpan { token: Token::SingleQuotedString(text), .. }] => text.clone(),
        _ if is_short_duration(tokens) => {
            let mut words = Vec::new();
            let unsigned = without_sign(tokens);
            let sign = if unsigned.len() < tokens.len() { "-" } else { "" };
            for pair in unsigned.chunks(2) {
                let unit = word(&pair[1]).and_then(|unit| unit_name(&unit));
                let unit = unit.ok_or_else(|| {
                    Error::user(format!("unknown unit of time: {}; use ms, s, m, h or d", pair[1].token))
                        .at(place_of(&pair[1..]))
                })?;
                words.push(format!("{sign}{} {unit}", pair[0].token));
            }
            words.join(" ")
        }
        _ => return Err(Error::user("expected a duration, such as 1m or INTERVAL '1' MINUTE").at(place_of(tokens))),
    };
    let span = Span::new(tokens[0].span.start, tokens[tokens.len() - 1].span.end);
    Ok(vec![make_word("INTERVAL", None, span), TokenWithSpan::new(Token::SingleQuotedString(text), span)])
}

fn unit_name(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "ns" | "nanosecond" | "nanoseconds" => "nanosecond",
        "us" | "microsecond" | "microseconds" => "microsecond",
        "ms" | "millisecond" | "milliseconds" => "millisecond",
        "s" | "sec" | "secs" | "second" | "seconds" => "second",
        "m" | "min" | "mins" | "minute" | "minutes" => "minute",
        "h" | "hour" | "hours" => "hour",
        "d" | "day" | "days" => "day",
        "w" | "week" | "weeks" => "week",
        "month" | "months" => "month",
        "year" | "years" => "year",
        _ => return None,
    })
}
