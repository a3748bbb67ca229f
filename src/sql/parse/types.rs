//! Types and intervals as standard SQL and others write them: `INT ARRAY` is `INT[]`, `INTERVAL '2' DAYS` is of DAY.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{make_word, word};

/// Words that end the name of a type.
const TYPES: &[&str] = &[
    "tinyint",
    "smallint",
    "int",
    "integer",
    "bigint",
    "unsigned",
    "real",
    "float",
    "double",
    "precision",
    "decimal",
    "numeric",
    "boolean",
    "bool",
    "char",
    "varchar",
    "text",
    "string",
    "binary",
    "varbinary",
    "bytea",
    "date",
    "time",
    "timestamp",
    "timestamptz",
];

const UNITS: &[&str] =
    &["years", "quarters", "months", "weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds"];

/// Rewrites them.
pub(super) fn rewrite(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 0..tokens.len() {
        let Some(unit) = word(&tokens[at]) else { continue };
        if UNITS.contains(&unit.as_str()) && is_of_interval(&tokens, at) {
            tokens[at] = make_word(&unit[..unit.len() - 1], None, tokens[at].span);
        }
    }
    // From behind, so that places found stay true.
    for at in (1..tokens.len()).rev() {
        if word(&tokens[at]).is_some_and(|word| word == "array") && is_behind_type(&tokens, at) {
            let span = tokens[at].span;
            let brackets = [Token::LBracket, Token::RBracket].map(|token| TokenWithSpan::new(token, span));
            tokens.splice(at..=at, brackets);
        }
    }
    tokens
}

/// `INTERVAL '2'` or `INTERVAL 2` before a unit, or a unit of an interval and TO.
fn is_of_interval(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is = |at: usize, wanted: &str| word(&tokens[at]).is_some_and(|word| word == wanted);
    let is_amount =
        |at: usize| matches!(tokens[at].token, Token::SingleQuotedString(_) | Token::Number(..) | Token::RParen);
    match at {
        0 | 1 => false,
        _ if is(at - 1, "to") => true,
        _ if !is_amount(at - 1) => false,
        _ if is(at - 2, "interval") => true,
        // INTERVAL -2 DAYS
        _ => at >= 3 && tokens[at - 2].token == Token::Minus && is(at - 3, "interval"),
    }
}

/// Whether ARRAY stands behind a type, and what may stand behind a type stands behind it.
fn is_behind_type(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is_end = match tokens.get(at + 1) {
        None => true,
        Some(next) => match &next.token {
            Token::Comma | Token::RParen => true,
            _ => word(next).is_some_and(|word| {
                ["not", "null", "primary", "default", "array", "lateness"].contains(&word.as_str())
            }),
        },
    };
    let is_type = |at: usize| word(&tokens[at]).is_some_and(|word| TYPES.contains(&word.as_str()));
    let is_sized = || {
        let open = tokens[..at - 1].iter().rposition(|token| token.token == Token::LParen);
        tokens[at - 1].token == Token::RParen && open.is_some_and(|open| open > 0 && is_type(open - 1))
    };
    // CREATE TYPE has given it a name: the word behind that of a column.
    let is_users = || {
        at >= 2
            && word(&tokens[at - 1]).is_some()
            && word(&tokens[at - 2]).is_some()
            && word(&tokens[0]).is_some_and(|first| first == "create")
    };
    let is_array =
        || tokens[at - 1].token == Token::RBracket || word(&tokens[at - 1]).is_some_and(|word| word == "array");
    is_end && (is_type(at - 1) || is_sized() || is_array() || is_users())
}
