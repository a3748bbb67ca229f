//! `OVER (ROWS WINDOW BUFFER n ROWS ...)`: the last n rows of a partition, as the frame that it means.
//!
//! ```text
//! ROWS WINDOW BUFFER 100 ROWS PARTITION BY k ORDER BY t    →   PARTITION BY k ORDER BY t ROWS BETWEEN 99 PRECEDING AND CURRENT ROW
//! ```
//! A frame of its own inside it can only make it narrower.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, make_word, place_of, starts_with};
use crate::error::{Error, Result};

const BUFFER: &[&str] = &["ROWS", "WINDOW", "BUFFER"];

/// Rewrites every row buffer.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut at = 0;
    while at + 1 < tokens.len() {
        if tokens[at].token == Token::LParen && starts_with(&tokens[at + 1..], BUFFER) {
            let close = closing(&tokens, at);
            let frame = frame(&tokens[at + 1..close])?;
            tokens.splice(at + 1..close, frame);
        }
        at += 1;
    }
    Ok(tokens)
}

/// What stands for the inside of the parentheses.
fn frame(inside: &[TokenWithSpan]) -> Result<Vec<TokenWithSpan>> {
    let refuse = |message: &str, at: &[TokenWithSpan]| Err(Error::user(message).at(place_of(at)));
    let rows = number(inside.get(BUFFER.len())).filter(|rows| *rows > 0);
    let (Some(rows), true) = (rows, starts_with(inside.get(BUFFER.len() + 1..).unwrap_or_default(), &["ROWS"])) else {
        return refuse("a row buffer says how many rows: ROWS WINDOW BUFFER 100 ROWS", inside);
    };
    let mut rest = inside[BUFFER.len() + 2..].to_vec();
    for words in [&["EMIT", "EVERY", "RECORD"][..], &["EXPIRE", "AFTER", "NEVER"]] {
        if let Some(at) = (0..rest.len()).find(|&at| starts_with(&rest[at..], words)) {
            rest.drain(at..at + words.len());
        }
    }
    if let Some(at) = (0..rest.len()).find(|&at| starts_with(&rest[at..], &["EMIT"])) {
        return refuse("a row buffer gives a row for every row; leave EMIT away", &rest[at..]);
    }
    if let Some(at) = (0..rest.len()).find(|&at| starts_with(&rest[at..], &["EXPIRE"])) {
        let message = "EXPIRE AFTER would make the answer depend on when rows come; leave it away, \
                       or use RANGE with an interval";
        return refuse(message, &rest[at..]);
    }
    let own = (0..rest.len()).find(|&at| is_frame(&rest[at..]));
    let span = inside[0].span;
    let mut preceding = rows - 1;
    let mut end = vec![make_word("CURRENT", None, span), make_word("ROW", None, span)];
    if let Some(at) = own {
        let narrower = rest.split_off(at);
        let (start, until) = bounds(&narrower)?;
        preceding = start.map_or(preceding, |start| start.min(preceding));
        end = until;
    }
    let number = TokenWithSpan::new(Token::Number(preceding.to_string(), false), span);
    rest.extend([make_word("ROWS", None, span), make_word("BETWEEN", None, span), number]);
    rest.extend([make_word("PRECEDING", None, span), make_word("AND", None, span)]);
    rest.append(&mut end);
    Ok(rest)
}

fn is_frame(tokens: &[TokenWithSpan]) -> bool {
    ["ROWS", "RANGE", "GROUPS"].iter().any(|word| starts_with(tokens, &[word]))
}

/// How far before the row a frame of rows starts, `None` for all the way, and the words of its end.
fn bounds(frame: &[TokenWithSpan]) -> Result<(Option<u64>, Vec<TokenWithSpan>)> {
    let refused = || {
        Error::user("the frame inside a row buffer is ROWS BETWEEN ... PRECEDING AND CURRENT ROW or ... PRECEDING")
            .at(place_of(frame))
    };
    let is_between = starts_with(frame, &["ROWS", "BETWEEN"]);
    if !is_between && !starts_with(frame, &["ROWS"]) {
        return Err(refused());
    }
    let (start, used) = start(&frame[if is_between { 2 } else { 1 }..]).ok_or_else(refused)?;
    let rest = &frame[if is_between { 2 } else { 1 } + used..];
    let span = frame[0].span;
    let current = || vec![make_word("CURRENT", None, span), make_word("ROW", None, span)];
    match is_between {
        false if rest.is_empty() => Ok((start, current())),
        true if starts_with(rest, &["AND", "CURRENT", "ROW"]) && rest.len() == 3 => Ok((start, current())),
        true if starts_with(rest, &["AND"])
            && number(rest.get(1)).is_some()
            && starts_with(&rest[2..], &["PRECEDING"]) =>
        {
            Ok((start, rest[1..].to_vec()))
        }
        _ => Err(refused()),
    }
}

/// The start of a frame, and how many words it takes.
fn start(tokens: &[TokenWithSpan]) -> Option<(Option<u64>, usize)> {
    if starts_with(tokens, &["UNBOUNDED", "PRECEDING"]) {
        return Some((None, 2));
    }
    if starts_with(tokens, &["CURRENT", "ROW"]) {
        return Some((Some(0), 2));
    }
    let rows = number(tokens.first())?;
    starts_with(&tokens[1..], &["PRECEDING"]).then_some((Some(rows), 2))
}

fn number(token: Option<&TokenWithSpan>) -> Option<u64> {
    match &token?.token {
        Token::Number(digits, _) => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    fn text(tokens: &[TokenWithSpan]) -> String {
        tokens.iter().map(|token| token.token.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn buffers_become_frames() {
        let rewritten = |sql: &str| text(&rewrite(tokenize(sql).expect("tokens")).expect("rewritten"));
        let cases = [
            ("(ROWS WINDOW BUFFER 100 ROWS)", "( ROWS BETWEEN 99 PRECEDING AND CURRENT ROW )"),
            (
                "(rows window buffer 3 rows PARTITION BY k ORDER BY t)",
                "( PARTITION BY k ORDER BY t ROWS BETWEEN 2 PRECEDING AND CURRENT ROW )",
            ),
            (
                "(ROWS WINDOW BUFFER 9 ROWS ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EMIT EVERY RECORD)",
                "( ORDER BY t ROWS BETWEEN 8 PRECEDING AND CURRENT ROW )",
            ),
            (
                "(ROWS WINDOW BUFFER 9 ROWS ORDER BY t ROWS BETWEEN 4 PRECEDING AND 1 PRECEDING EXPIRE AFTER NEVER)",
                "( ORDER BY t ROWS BETWEEN 4 PRECEDING AND 1 PRECEDING )",
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(rewritten(sql), expected);
        }
        let refused = |sql: &str| rewrite(tokenize(sql).expect("tokens")).expect_err("refused").to_string();
        assert!(refused("(ROWS WINDOW BUFFER ROWS)").contains("how many rows"));
        assert!(refused("(ROWS WINDOW BUFFER 5 ROWS EMIT ON BUFFER FULL)").contains("leave EMIT away"));
        assert!(refused("(ROWS WINDOW BUFFER 5 ROWS EXPIRE AFTER INTERVAL '1' MINUTE INACTIVITY)").contains("EXPIRE"));
        assert!(
            refused("(ROWS WINDOW BUFFER 5 ROWS RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)")
                .contains("inside a row buffer")
        );
    }
}
