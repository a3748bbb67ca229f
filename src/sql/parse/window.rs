//! Windows as words: `WINDOW TUMBLING(1m)` becomes `tumble(INTERVAL '1 minute')` in the GROUP BY of its query, and window
//! functions lose the words that sqlparser does not take (`TABLE t`, `1m`).
//!
//! Invariants  tokens made here carry the places of those they stand for.

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::tokens::{closing, is_word, make_word, place_of, split_commas, starts_with, word};
use crate::error::{Error, Result};

/// The name of the argument that PARTITION BY becomes.
pub(in crate::sql) const PARTITION_ARGUMENT: &str = "partition_by";

/// Rewrites every window clause and every call of a window function.
pub(super) fn rewrite(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = tokens;
    while let Some(at) = (0..tokens.len()).find(|&at| is_clause(&tokens[at..])) {
        tokens = rewrite_clause(tokens, at)?;
    }
    let mut at = 0;
    while at < tokens.len() {
        if is_call(at.checked_sub(1).map(|before| &tokens[before]), &tokens[at..]) {
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

/// The words after WINDOW that begin a clause of ours, and the function that each stands for.
const SHAPES: &[(&str, &str)] = &[
    ("tumbling", "tumble"),
    ("tumble", "tumble"),
    ("hopping", "hop"),
    ("sliding", "hop"),
    ("hop", "hop"),
    ("cumulating", "cumulate"),
    ("cumulate", "cumulate"),
    ("session", "session"),
    ("count", "rows"),
];

fn is_clause(tokens: &[TokenWithSpan]) -> bool {
    tokens.len() > 2
        && is_word(&tokens[0], "WINDOW")
        && word(&tokens[1]).is_some_and(|word| SHAPES.iter().any(|(shape, _)| *shape == word))
        && tokens[2].token == Token::LParen
}

/// Whether a call begins here whose arguments may be written in our words: a window function, or any table function that
/// is given `TABLE t` first.
fn is_call(before: Option<&TokenWithSpan>, tokens: &[TokenWithSpan]) -> bool {
    const NAMES: &[&str] = &["tumble", "hop", "session", "cumulate", "tumble_rows", "hop_rows"];
    const ENDINGS: &[&str] = &["_start", "_end", "_rowtime"];
    let is_ours = |name: String| {
        let base = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
        NAMES.contains(&base)
    };
    let is_relation = before.is_some_and(|token| {
        is_word(token, "FROM") || is_word(token, "JOIN") || matches!(token.token, Token::LParen | Token::Comma)
    });
    let begins = tokens.len() > 1 && tokens[1].token == Token::LParen;
    begins && word(&tokens[0]).is_some_and(|name| is_ours(name) || is_relation && takes_table(&tokens[2..]))
}

/// `TABLE t` or `DATA => TABLE t`, but not the function of that name.
fn takes_table(args: &[TokenWithSpan]) -> bool {
    let args = match args {
        [_, arrow, rest @ ..] if arrow.token == Token::RArrow => rest,
        args => args,
    };
    matches!(args, [table, name, ..] if is_word(table, "TABLE") && !matches!(name.token, Token::LParen | Token::RParen | Token::Comma))
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

/// What stands in the parentheses of a window clause.
#[derive(Default)]
struct Clause {
    time: Option<Vec<TokenWithSpan>>,
    size: Option<Vec<TokenWithSpan>>,
    advance: Option<Vec<TokenWithSpan>>,
    offset: Option<Vec<TokenWithSpan>>,
    zone: Option<Vec<TokenWithSpan>>,
    /// Whether sizes are numbers of rows.
    in_rows: bool,
}

impl Clause {
    fn read(shape: &str, parts: &[&[TokenWithSpan]], refuse: &dyn Fn(String) -> Error) -> Result<Clause> {
        let mut clause = Clause { in_rows: shape == "rows", ..Clause::default() };
        for part in parts {
            if starts_with(part, &["SIZE"]) {
                clause.size = Some(clause.length(&part[1..])?);
            } else if starts_with(part, &["GAP"]) {
                clause.size = Some(duration(&part[1..])?);
            } else if starts_with(part, &["ADVANCE", "BY"]) {
                clause.advance = Some(clause.length(&part[2..])?);
            } else if starts_with(part, &["STEP"]) || starts_with(part, &["SLIDE"]) {
                clause.advance = Some(clause.length(&part[1..])?);
            } else if starts_with(part, &["OFFSET"]) {
                clause.offset = Some(duration(&part[1..])?);
            } else if starts_with(part, &["TIME", "ZONE"]) {
                clause.zone = Some(part[2..].to_vec());
            } else if starts_with(part, &["GRACE"]) || starts_with(part, &["RETENTION"]) {
                return Err(Error::user(
                    "GRACE PERIOD and RETENTION are not supported; give the watermark a larger delay instead",
                )
                .at(place_of(part)));
            } else if is_zone_name(part) && clause.size.is_some() && clause.zone.is_none() {
                clause.zone = Some(part.to_vec());
            } else if clause.is_length(part) && clause.size.is_none() {
                clause.size = Some(clause.length(part)?);
            } else if clause.is_length(part) && clause.advance.is_none() {
                clause.advance = Some(clause.length(part)?);
            } else if clause.time.is_none() && !part.is_empty() && (clause.size.is_none() || shape == "session") {
                clause.time = Some(part.to_vec());
            } else {
                return Err(
                    refuse("a window clause takes a time column, a size and an advance".to_string()).at(place_of(part))
                );
            }
        }
        Ok(clause)
    }

    fn is_length(&self, part: &[TokenWithSpan]) -> bool {
        is_duration(part) || rows(part, self.in_rows).is_some()
    }

    /// A duration, or a number of rows.
    fn length(&mut self, part: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
        match rows(part, self.in_rows) {
            None => duration(part),
            Some(number) => {
                self.in_rows = true;
                Ok(vec![number.clone()])
            }
        }
    }
}

/// `100 ROWS`, or `100` where nothing else can be meant.
fn rows(part: &[TokenWithSpan], in_rows: bool) -> Option<&TokenWithSpan> {
    match part {
        [number, word] if is_word(word, "ROWS") || is_word(word, "ROW") => Some(number),
        [number] if in_rows => Some(number),
        _ => None,
    }
    .filter(|number| matches!(number.token, Token::Number(..)))
}

/// A string that is no duration: the name of a time zone.
fn is_zone_name(part: &[TokenWithSpan]) -> bool {
    let [TokenWithSpan { token: Token::SingleQuotedString(text), .. }] = part else { return false };
    text.contains(':') || !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+')
}

/// The call that `WINDOW SHAPE(...)` stands for.
fn clause_call(clause: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let refuse = |message: String| Error::user(message).at(place_of(clause));
    let span = Span::new(clause[0].span.start, clause[clause.len() - 1].span.end);
    let written = word(&clause[1]).expect("a window clause names its shape");
    let (_, shape) = SHAPES.iter().find(|(shape, _)| *shape == written).expect("a window clause has one of the shapes");
    let written = written.to_uppercase();
    let parsed = Clause::read(shape, &split_commas(&clause[3..clause.len() - 1]), &refuse)?;
    let Some(size) = parsed.size else {
        let example = if parsed.in_rows { "100" } else { "1m or INTERVAL '1' MINUTE" };
        let what = if *shape == "session" { "gap" } else { "size" };
        return Err(refuse(format!("WINDOW {written} needs a {what}, such as {example}")));
    };
    let (name, sizes) = match (*shape, parsed.in_rows, parsed.advance) {
        ("tumble" | "rows", true, None) => ("tumble_rows", vec![size]),
        ("hop" | "rows", true, Some(advance)) => ("hop_rows", vec![advance, size]),
        ("tumble", false, None) => ("tumble", vec![size]),
        ("tumble", _, Some(_)) => {
            return Err(refuse("WINDOW TUMBLING takes one size; use WINDOW HOPPING for an advance".to_string()));
        }
        ("hop", false, Some(advance)) => ("hop", vec![advance, size]),
        ("hop", ..) => {
            return Err(refuse(format!("WINDOW {written} needs a size and an advance, such as (5m, 1m)")));
        }
        ("cumulate", false, Some(step)) => ("cumulate", vec![step, size]),
        ("cumulate", false, None) => {
            return Err(refuse(format!("WINDOW {written} needs a size and a step, such as (1d, 1h)")));
        }
        ("session", false, None) => ("session", vec![size]),
        ("session", false, Some(_)) => return Err(refuse("WINDOW SESSION takes one gap".to_string())),
        _ => return Err(refuse(format!("WINDOW {written} does not count rows; use TUMBLING or SLIDING"))),
    };
    if *shape == "session" && (parsed.offset.is_some() || parsed.zone.is_some()) {
        return Err(refuse("WINDOW SESSION takes a time column and a gap; it lies where its rows do".to_string()));
    }
    if parsed.in_rows && (parsed.time.is_some() || parsed.offset.is_some() || parsed.zone.is_some()) {
        return Err(refuse("a window of rows takes numbers of rows alone".to_string()));
    }
    let mut call = vec![make_word(name, None, span), TokenWithSpan::new(Token::LParen, span)];
    let args = parsed.time.into_iter().chain(sizes).chain(parsed.offset).chain(parsed.zone);
    for (index, arg) in args.enumerate() {
        if index > 0 {
            call.push(TokenWithSpan::new(Token::Comma, span));
        }
        call.extend(arg);
    }
    call.push(TokenWithSpan::new(Token::RParen, span));
    Ok(call)
}

/// Makes the arguments of a window function readable for sqlparser. The keys of `TABLE t PARTITION BY k, l` go to the end,
/// as an argument with a name.
fn rewrite_args(args: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(args.len());
    let mut keys: Vec<TokenWithSpan> = Vec::new();
    let mut in_keys = false;
    for part in split_commas(args) {
        let is_argument = |part: &[TokenWithSpan]| match part {
            [_, second, ..] if second.token == Token::RArrow => true,
            [number] => matches!(number.token, Token::Number(..)),
            [first, second, ..] => is_word(first, "DESCRIPTOR") && second.token == Token::LParen,
            _ => false,
        };
        in_keys = in_keys && !is_argument(part) && !is_duration(part);
        if in_keys {
            keys.push(TokenWithSpan::new(Token::Comma, part.first().map_or(Span::empty(), |token| token.span)));
            keys.extend(part.iter().cloned());
            continue;
        }
        if !out.is_empty() {
            out.push(TokenWithSpan::new(Token::Comma, part.first().map_or(Span::empty(), |token| token.span)));
        }
        let (name, value) = match part {
            [name, arrow, value @ ..] if arrow.token == Token::RArrow => (Some((name, arrow)), value),
            value => (None, value),
        };
        if let Some((name, arrow)) = name {
            out.push(word(name).map_or_else(|| name.clone(), |word| make_word(&word, Some('"'), name.span)));
            out.push(arrow.clone());
        }
        match value {
            [table, rest @ ..] if is_word(table, "TABLE") && !rest.is_empty() => match partition_by(rest) {
                None => out.extend(rest.iter().cloned()),
                Some(at) => {
                    out.extend(rest[..at].iter().cloned());
                    keys = without_parentheses(&rest[at + 2..]).to_vec();
                    in_keys = true;
                }
            },
            _ if is_short_duration(value) => out.extend(duration(value).unwrap_or_else(|_| value.to_vec())),
            _ => out.extend(value.iter().cloned()),
        }
    }
    if let Some(first) = keys.first() {
        let span = first.span;
        let token = |token| TokenWithSpan::new(token, span);
        let name = [make_word(PARTITION_ARGUMENT, Some('"'), span), token(Token::RArrow)];
        out.push(token(Token::Comma));
        out.extend(name.into_iter().chain([make_word("descriptor", None, span), token(Token::LParen)]));
        out.extend(keys);
        out.push(token(Token::RParen));
    }
    out
}

/// Where PARTITION BY stands, outside of parentheses.
fn partition_by(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && starts_with(&tokens[at..], &["PARTITION", "BY"]) => return Some(at),
            _ => {}
        }
    }
    None
}

fn without_parentheses(tokens: &[TokenWithSpan]) -> &[TokenWithSpan] {
    match tokens {
        [open, inner @ .., _] if open.token == Token::LParen && closing(tokens, 0) + 1 == tokens.len() => inner,
        tokens => tokens,
    }
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
pub(super) fn duration(tokens: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
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

/// Nanoseconds of a text such as `5s`, `1m30s` or `2 hours`; `None`: it is no duration of a certain length.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    let tokens = super::tokens::tokenize(text).ok()?;
    if !is_short_duration(&tokens) {
        return None;
    }
    let mut sum = 0i64;
    for pair in without_sign(&tokens).chunks(2) {
        let Token::Number(number, _) = &pair[0].token else { return None };
        let unit: i64 = match unit_name(&word(&pair[1])?)? {
            "nanosecond" => 1,
            "microsecond" => 1_000,
            "millisecond" => 1_000_000,
            "second" => 1_000_000_000,
            "minute" => 60_000_000_000,
            "hour" => 3_600_000_000_000,
            "day" => 86_400_000_000_000,
            "week" => 604_800_000_000_000,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    (without_sign(&tokens).len() == tokens.len()).then_some(sum)
}

pub(super) fn unit_name(unit: &str) -> Option<&'static str> {
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
