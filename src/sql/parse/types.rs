//! Types and intervals as standard SQL and others write them: `INT ARRAY` is `INT[]`, `ROW(a INT)` is `STRUCT<a INT>`,
//! `INTERVAL '2' DAYS` is of DAY, and `(a - b) DAY AS c` is the whole days between two times as an interval.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, make_word, word};

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
    "uuid",
    "interval",
    "row",
    "struct",
    "map",
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
        rewrite_difference(&mut tokens, at);
    }
    for at in (1..tokens.len()).rev() {
        if word(&tokens[at]).is_some_and(|word| word == "array") && is_behind_type(&tokens, at) {
            let span = tokens[at].span;
            let brackets = [Token::LBracket, Token::RBracket].map(|token| TokenWithSpan::new(token, span));
            tokens.splice(at..=at, brackets);
        }
    }
    for at in 0..tokens.len() {
        if starts_row(&tokens, at) {
            row_to_struct(&mut tokens, at);
        }
    }
    tokens
}

/// Whether ROW is the name of a type here: fields have a name and a type, where a value has neither before a comma.
fn starts_row(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is_word =
        |at: usize, words: &[&str]| tokens.get(at).and_then(word).is_some_and(|word| words.contains(&word.as_str()));
    let is_name = |at: usize| tokens.get(at).is_some_and(|token| matches!(token.token, Token::Word(_)));
    let is_open = tokens.get(at + 1).is_some_and(|token| token.token == Token::LParen);
    if !is_word(at, &["row", "struct"]) || !is_open || at == 0 || !is_name(at + 2) || !is_name(at + 3) {
        return false;
    }
    let is_cast = is_word(at - 1, &["as"]) || tokens[at - 1].token == Token::DoubleColon;
    let defines =
        is_word(0, &["create"]) && !tokens.iter().take(5).any(|token| word(token).is_some_and(|word| word == "view"));
    is_cast || defines || is_word(at + 3, TYPES) && !is_word(at + 2, &["not", "case", "distinct", "all"])
}

/// `ROW(a INT NOT NULL, b TEXT)` as `STRUCT<a INT, b TEXT>`; what is inside may be NULL.
fn row_to_struct(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let close = closing(tokens, at + 1);
    if close >= tokens.len() {
        return;
    }
    tokens[at] = make_word("STRUCT", None, tokens[at].span);
    tokens[at + 1].token = Token::Lt;
    tokens[close].token = Token::Gt;
    for inside in (at + 2..close).rev() {
        let is = |at: usize, wanted: &str| word(&tokens[at]).is_some_and(|word| word == wanted);
        if is(inside, "null") && is(inside - 1, "not") {
            tokens.drain(inside - 1..=inside);
        } else if is(inside, "null") {
            tokens.remove(inside);
        }
    }
}

/// Rewrites `(a - b) DAY` whose unit is at a place. Without AS behind it DAYS would be a name, and so would DAY but in
/// PostgreSQL, which does not take it for one.
fn rewrite_difference(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let is = |at: usize, wanted: &str| tokens.get(at).and_then(word).is_some_and(|word| word == wanted);
    let Some(written) = word(&tokens[at]) else { return };
    let singular = |plural: &&&str| **plural == written || plural[..plural.len() - 1] == written;
    let Some(unit) = UNITS.iter().find(singular).map(|plural| plural[..plural.len() - 1].to_string()) else { return };
    let ends_item = match tokens.get(at + 1) {
        None => true,
        Some(next) => matches!(next.token, Token::Comma | Token::RParen) || is(at + 1, "from"),
    };
    let is_unit = is(at + 1, "as") || ends_item && unit == written;
    if !is_unit || tokens[at - 1].token != Token::RParen {
        return;
    }
    let (mut depth, mut open, mut minus) = (0usize, None, Vec::new());
    for place in (0..at).rev() {
        match tokens[place].token {
            Token::RParen | Token::RBracket => depth += 1,
            Token::LParen | Token::LBracket if depth == 1 => {
                open = Some(place);
                break;
            }
            Token::LParen | Token::LBracket => depth -= 1,
            Token::Minus if depth == 1 => minus.push(place),
            _ => {}
        }
    }
    let (Some(open), [minus]) = (open, minus.as_slice()) else { return };
    let stands_alone =
        open > 0 && (matches!(tokens[open - 1].token, Token::Comma | Token::LParen) || is(open - 1, "select"));
    if !stands_alone || *minus == open + 1 {
        return;
    }
    let span = tokens[at].span;
    let (earlier, later) = (tokens[minus + 1..at - 1].to_vec(), tokens[open + 1..*minus].to_vec());
    let token = |token: Token| TokenWithSpan::new(token, span);
    let name = |name: &str| make_word(name, None, span);
    let mut put = vec![token(Token::LParen), name("timestampdiff"), token(Token::LParen)];
    put.extend([token(Token::SingleQuotedString(unit.clone())), token(Token::Comma)]);
    put.extend(earlier);
    put.push(token(Token::Comma));
    put.extend(later);
    put.extend([token(Token::RParen), token(Token::Mul), name("INTERVAL")]);
    put.extend([token(Token::SingleQuotedString("1".to_string())), name(&unit), token(Token::RParen)]);
    tokens.splice(open..=at, put);
}

/// `INTERVAL '2'` or `INTERVAL 2` before a unit, or a unit of an interval and TO.
fn is_of_interval(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is = |at: usize, wanted: &str| word(&tokens[at]).is_some_and(|word| word == wanted);
    let is_amount =
        |at: usize| matches!(tokens[at].token, Token::SingleQuotedString(_) | Token::Number(..) | Token::RParen);
    match at {
        0 => false,
        // CAST(x AS INTERVAL DAYS TO HOURS)
        _ if is(at - 1, "interval") || is(at - 1, "to") => true,
        1 => false,
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
            // Another ARRAY behind it, which has become brackets.
            Token::LBracket => tokens.get(at + 2).is_some_and(|token| token.token == Token::RBracket),
            _ => word(next).is_some_and(|word| {
                ["not", "null", "primary", "default", "array", "lateness"].contains(&word.as_str())
            }),
        },
    };
    let is_type = |at: usize| word(&tokens[at]).is_some_and(|word| TYPES.contains(&word.as_str()));
    let is_sized = || {
        let is_closed = tokens[at - 1].token == Token::RParen || tokens[at - 1].token == Token::Gt;
        is_closed && opening(tokens, at - 1).is_some_and(|open| open > 0 && is_type(open - 1))
    };
    // CREATE TYPE has given it a name: the word behind that of a column, or behind AS in a cast.
    let is_users = || {
        at >= 2
            && word(&tokens[at - 1]).is_some()
            && word(&tokens[at - 2]).is_some()
            && (word(&tokens[0]).is_some_and(|first| first == "create")
                || word(&tokens[at - 2]).is_some_and(|before| before == "as"))
    };
    let is_array =
        || tokens[at - 1].token == Token::RBracket || word(&tokens[at - 1]).is_some_and(|word| word == "array");
    is_end && (is_type(at - 1) || is_sized() || is_array() || is_users())
}

/// The parenthesis, or `<`, that the one at `close` closes.
fn opening(tokens: &[TokenWithSpan], close: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in (0..=close).rev() {
        match tokens[at].token {
            Token::RParen | Token::Gt => depth += 1,
            Token::ShiftRight => depth += 2,
            Token::LParen | Token::Lt => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
