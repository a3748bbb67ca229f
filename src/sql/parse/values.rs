//! `VALUES 1, 2` is `VALUES (1), (2)`, where VALUES begins a query or stands in INSERT; elsewhere it is a column's name.
//!
//! ```text
//! FROM (VALUES -1, 2)        AS (VALUES x)        UNION ALL VALUES 1, 2        INSERT INTO t (a) VALUES 1, 2        rows
//! x IN (VALUES 1, 2)         a query only where a column could not stand: before a number, a text, a call
//! max(values)   (values - 1)   a AS values, b     a column
//! ```

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{closing, is_word, starts_with, word};

/// Puts each value of a list in brackets.
pub(super) fn wrap(tokens: &mut Vec<TokenWithSpan>) {
    for at in (0..tokens.len()).rev() {
        let is_list = is_word(&tokens[at], "values") && !begins_rows(&tokens[at + 1..]);
        if is_list && (begins_query(tokens, at) || may_begin_query(tokens, at) && begins_value(tokens.get(at + 1))) {
            wrap_each(tokens, at + 1);
        }
    }
}

/// Whether rows follow that are in brackets, or nothing that could be a row.
fn begins_rows(rest: &[TokenWithSpan]) -> bool {
    match rest.first() {
        None => true,
        Some(first) => {
            matches!(first.token, Token::LParen | Token::RParen | Token::Comma | Token::Period | Token::Eq)
                || is_word(first, "row")
        }
    }
}

/// Whether nothing but a query can stand at a place.
fn begins_query(tokens: &[TokenWithSpan], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    let is_word_of = |at: usize, words: &[&str]| words.iter().any(|word| is_word(&tokens[at], word));
    const SETS: &[&str] = &["union", "except", "intersect"];
    match &tokens[before].token {
        Token::LParen => before > 0 && is_word_of(before - 1, &["from", "join", "lateral", "as"]),
        _ if is_word_of(before, &["all", "distinct"]) => before > 0 && is_word_of(before - 1, SETS),
        _ if is_word_of(before, SETS) => true,
        _ if is_word_of(before, &["as"]) => is_definition(tokens, before),
        _ => is_inserted(tokens, at),
    }
}

/// Whether the AS at a place is that of CREATE: the first outside of brackets.
fn is_definition(tokens: &[TokenWithSpan], at: usize) -> bool {
    let mut next = 0;
    while next < at {
        match tokens[next].token {
            Token::LParen => next = closing(tokens, next),
            _ if is_word(&tokens[next], "as") => return false,
            _ => next += 1,
        }
    }
    next == at && is_word(&tokens[0], "create")
}

/// Whether `INSERT INTO name (columns)` ends before a place.
fn is_inserted(tokens: &[TokenWithSpan], at: usize) -> bool {
    let is_name = |token: &TokenWithSpan| {
        matches!(token.token, Token::Word(_) | Token::Period | Token::SingleQuotedString(_))
            && !["select", "from", "values"].iter().any(|word| is_word(token, word))
    };
    if !starts_with(tokens, &["insert", "into"]) || at < 3 {
        return false;
    }
    let end = (3..at).find(|&place| !is_name(&tokens[place])).unwrap_or(at);
    end == at || tokens[end].token == Token::LParen && closing(tokens, end) + 1 == at
}

/// Whether a query can stand at a place, where a column can stand too.
fn may_begin_query(tokens: &[TokenWithSpan], at: usize) -> bool {
    const BEFORE: &[&str] = &[
        "in", "exists", "any", "some", "all", "array", "not", "and", "or", "where", "having", "on", "when", "then",
        "else", "select", "by", "between", "like",
    ];
    let is_open = at > 0 && tokens[at - 1].token == Token::LParen;
    let before = at.checked_sub(2).map(|before| &tokens[before]);
    // Behind another name a bracket holds arguments or columns.
    is_open
        && before.is_none_or(|before| match before.token {
            Token::Word(_) => BEFORE.iter().any(|word| is_word(before, word)),
            _ => true,
        })
}

/// Whether a token begins a value, and cannot stand behind a column.
fn begins_value(token: Option<&TokenWithSpan>) -> bool {
    const OPERATORS: &[&str] = &[
        "is", "and", "or", "not", "between", "in", "like", "ilike", "similar", "rlike", "regexp", "collate", "at",
        "order", "ignore", "respect", "as", "from", "for", "div", "xor", "isnull", "notnull", "over",
    ];
    let Some(token) = token else { return false };
    match &token.token {
        Token::Number(..) | Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_) => true,
        Token::Word(_) => word(token).is_some_and(|word| !OPERATORS.contains(&word.as_str())),
        _ => false,
    }
}

/// Puts brackets around each value from a place on, up to the end of the list.
fn wrap_each(tokens: &mut Vec<TokenWithSpan>, first: usize) {
    const ENDS: &[&str] = &["order", "limit", "union", "except", "intersect", "fetch", "offset", "emit", "as"];
    let (mut depth, mut places, mut end) = (0usize, vec![first], tokens.len());
    for (place, token) in tokens.iter().enumerate().skip(first) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket if depth > 0 => depth -= 1,
            Token::Comma if depth == 0 => places.push(place + 1),
            _ => {
                let is_end = matches!(token.token, Token::RParen | Token::RBracket)
                    || ENDS.iter().any(|word| is_word(token, word));
                if depth == 0 && is_end {
                    end = place;
                    break;
                }
            }
        }
    }
    for &from in places.iter().rev() {
        let span = tokens[from.min(tokens.len() - 1)].span;
        tokens.insert(end, TokenWithSpan::new(Token::RParen, span));
        tokens.insert(from, TokenWithSpan::new(Token::LParen, span));
        end = from - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokenize;
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut tokens = tokenize(text).expect("tokens");
        wrap(&mut tokens);
        let plain = |tokens: Vec<TokenWithSpan>| tokens.into_iter().map(|token| token.token).collect::<Vec<_>>();
        assert_eq!(plain(tokens), plain(tokenize(expected).expect("tokens")), "{text}");
    }

    #[test]
    fn values_are_rows_where_a_query_begins() {
        check("VALUES 1, f(2, 3) ORDER BY 1", "VALUES (1), (f(2, 3)) ORDER BY 1");
        check("SELECT * FROM (VALUES -1, [2, 3]) AS t(a)", "SELECT * FROM (VALUES (-1), ([2, 3])) AS t(a)");
        check("VALUES 1 UNION ALL VALUES -2", "VALUES (1) UNION ALL VALUES (-2)");
        check("CREATE VIEW v (a) AS VALUES -1, 2", "CREATE VIEW v (a) AS VALUES (-1), (2)");
        check("INSERT INTO a.b (x, y) VALUES -1, 2", "INSERT INTO a.b (x, y) VALUES (-1), (2)");
        check("INSERT INTO values VALUES 1", "INSERT INTO values VALUES (1)");
        check("SELECT a IN (VALUES 1, NULL), (VALUES abs(-1))", "SELECT a IN (VALUES (1), (NULL)), (VALUES (abs(-1)))");
    }

    #[test]
    fn columns_are_called_values() {
        for text in [
            "SELECT max(values), (values), (values - 1), (values IS NULL), coalesce(values, 1) FROM t",
            "SELECT a AS values, values FROM (SELECT 1 AS values FROM t) AS u(values, b)",
            "CREATE TABLE t (values INT, b INT)",
            "INSERT INTO t SELECT values - 1 FROM t",
            "SELECT t.values, array_agg(values ORDER BY a), CAST(values AS INT) FROM t",
            "VALUES (1), (2)",
        ] {
            check(text, text);
        }
    }
}
