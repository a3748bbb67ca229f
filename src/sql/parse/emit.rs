//! `EMIT ...` at the end of a statement: cut out of the tokens before sqlparser, which does not know the word, sees them.
//!
//! Invariants  EMIT is a clause only where a query may end and only before words of ours; elsewhere it stays a name.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{is_word, place_of, starts_with};
use crate::error::{Error, Place, Result};
use crate::pipeline::EmitMode;

/// When a query wants its results to leave, and where it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emit {
    pub mode: EmitMode,
    pub place: Option<Place>,
}

/// What the clauses mean; `Err` holds why one is refused. New clauses enter here.
const CLAUSES: &[(&[&str], Result<EmitMode, &str>)] = &[
    (&["EMIT", "FINAL"], Ok(EmitMode::Final)),
    (&["EMIT", "ON", "WINDOW", "CLOSE"], Ok(EmitMode::Final)),
    (&["EMIT", "AFTER", "WATERMARK"], Ok(EmitMode::Final)),
    (&["EMIT", "CHANGES"], Ok(EmitMode::Changes)),
    (&["EMIT", "EVERY"], Err("EMIT EVERY is not supported yet; use EMIT CHANGES or EMIT FINAL")),
    (&["EMIT", "PERIODIC"], Err("EMIT PERIODIC is not supported yet; use EMIT CHANGES or EMIT FINAL")),
    (&["EMIT", "BEFORE"], Err("EMIT BEFORE is not supported yet; use EMIT CHANGES or EMIT FINAL")),
    (&["EMIT", "AFTER"], Err("EMIT AFTER takes WATERMARK only; other forms are not supported yet")),
    (&["EMIT", "ON"], Err("EMIT ON takes WINDOW CLOSE only; other forms are not supported yet")),
    (&["ALLOW", "LATENESS"], Err("ALLOW LATENESS is not supported yet; give the watermark a larger delay instead")),
    (&["LATE", "DATA", "TO"], Err("LATE DATA TO is not supported yet; late rows are counted in the metrics")),
];

/// Cuts the clause out; what follows it may only be a LIMIT, which stays.
pub(super) fn cut(tokens: &[TokenWithSpan]) -> Result<(Vec<TokenWithSpan>, Option<Emit>)> {
    let mut depth = 0usize;
    for at in 0..tokens.len() {
        match tokens[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let Some((words, meaning)) = clause_at(tokens, at) else { continue };
        let place = place_of(&tokens[at..at + words.len()]);
        if depth > 0 {
            return Err(Error::user(format!(
                "{} stands inside parentheses; say it once, at the end of the statement",
                words.join(" ")
            ))
            .at(place));
        }
        let mode = meaning.map_err(|why| Error::user(why).at(place))?;
        let rest = &tokens[at + words.len()..];
        if let Some((again, why)) = clause_at(tokens, at + words.len()) {
            let message = why.err().map_or_else(
                || format!("{} after {}: one of them is enough", again.join(" "), words.join(" ")),
                str::to_string,
            );
            return Err(Error::user(message).at(place_of(&rest[..again.len()])));
        }
        if rest.first().is_some_and(|token| !is_word(token, "LIMIT")) {
            return Err(Error::user(format!(
                "{} must end the statement; unexpected: {}",
                words.join(" "),
                rest[0].token
            ))
            .at(place_of(&rest[..1])));
        }
        let kept = tokens[..at].iter().chain(rest).cloned().collect();
        return Ok((kept, Some(Emit { mode, place })));
    }
    Ok((tokens.to_vec(), None))
}

fn clause_at(tokens: &[TokenWithSpan], at: usize) -> Option<(&'static [&'static str], Result<EmitMode, &'static str>)> {
    if at == 0 || !can_end_query(&tokens[at - 1]) {
        return None;
    }
    let found = CLAUSES.iter().find(|(words, _)| starts_with(&tokens[at..], words));
    let (words, meaning) = found?;
    // `emit on` may be a table named emit before its join condition, `allow`, `late` and the like are names as well.
    let is_join = words == &["EMIT", "ON"]
        && tokens[at + 2..].iter().any(|t| matches!(t.token, Token::Eq | Token::Lt | Token::Gt));
    (!is_join).then_some((*words, *meaning))
}

/// Whether a query may end with this token, so that a clause may follow.
fn can_end_query(token: &TokenWithSpan) -> bool {
    const OPEN: &[&str] = &[
        "SELECT",
        "DISTINCT",
        "ALL",
        "FROM",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "BY",
        "ON",
        "AS",
        "JOIN",
        "HAVING",
        "QUALIFY",
        "IN",
        "LIKE",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "UNION",
        "EXCEPT",
        "INTERSECT",
        "INTO",
        "TABLE",
        "VALUES",
        "USING",
        "LIMIT",
        "OFFSET",
        "WITH",
        "SET",
        "INTERVAL",
        "VIEW",
        "STREAM",
        "EXISTS",
        "DESCRIBE",
        "FOR",
    ];
    match &token.token {
        Token::Word(word) => {
            word.quote_style.is_some() || !OPEN.iter().any(|open| word.value.eq_ignore_ascii_case(open))
        }
        Token::RParen | Token::RBracket | Token::Mul | Token::Number(..) | Token::SingleQuotedString(_) => true,
        _ => false,
    }
}
