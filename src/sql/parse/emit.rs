//! `EMIT ...`, `ALLOW LATENESS ...` and `LATE DATA TO ...` at the end of a statement: cut out of the tokens before sqlparser,
//! which does not know the words, sees them.
//!
//! Invariants  they are clauses only where a query may end and only before words of ours; elsewhere they stay names.

use datafusion_sql::parser::DFParserBuilder;
use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{DIALECT, is_word, place_of, starts_with};
use super::window::{duration, unit_name};
use crate::error::{Error, Place, Result};
use crate::pipeline::EmitMode;
use crate::sql::error;

/// When a query wants its results to leave, and what becomes of late rows.
#[derive(Debug, Clone, Default)]
pub struct Emit {
    /// `None`: what fits the input.
    pub mode: Option<EmitMode>,
    /// Results leave by the clock, with what has changed since the last time: this often.
    pub every: Option<Expr>,
    /// With `every`: they leave when the window closes, too.
    pub on_close: bool,
    /// Corrections of windows that have closed leave by the clock, this often; else at once.
    pub late_every: Option<Expr>,
    /// How long a window that has closed takes late rows, and where it says so.
    pub lateness: Option<(Expr, Option<Place>)>,
    /// Where rows go that are late for all their windows, and where it says so.
    pub late_sink: Option<(ObjectName, Option<Place>)>,
    /// Where the first of the clauses stands.
    pub place: Option<Place>,
}

/// The words that begin a clause, and what comes behind them.
const CLAUSES: &[(&[&str], Clause)] = &[
    (&["EMIT", "FINAL"], Clause::Final),
    (&["EMIT", "ON", "WINDOW", "CLOSE"], Clause::Final),
    (&["EMIT", "AFTER", "WATERMARK"], Clause::Final),
    (&["EMIT", "CHANGES"], Clause::Changes),
    (&["EMIT", "EARLY", "EVERY"], Clause::Early),
    (&["EMIT", "EVERY"], Clause::Every),
    (&["EMIT", "PERIODIC"], Clause::Every),
    (&["EMIT", "EARLY"], Clause::Refused("EMIT EARLY takes EVERY: EMIT EARLY EVERY 1s THEN FINAL")),
    (&["EMIT", "BEFORE"], Clause::Refused("EMIT BEFORE is not known; use EMIT EARLY EVERY 1s THEN FINAL")),
    (&["EMIT", "AFTER"], Clause::Refused("EMIT AFTER takes WATERMARK only")),
    (&["EMIT", "ON"], Clause::Refused("EMIT ON takes WINDOW CLOSE only")),
    (&["ALLOW", "LATENESS"], Clause::Lateness),
    (&["LATE", "DATA", "TO"], Clause::LateData),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    Final,
    Changes,
    Every,
    Early,
    Lateness,
    LateData,
    Refused(&'static str),
}

impl Clause {
    fn is_emit(self) -> bool {
        matches!(self, Clause::Final | Clause::Changes | Clause::Every | Clause::Early)
    }
}

/// Cuts the clauses out; what follows them may only be a LIMIT, which stays.
pub(super) fn cut(tokens: &[TokenWithSpan]) -> Result<(Vec<TokenWithSpan>, Option<Emit>)> {
    refuse_unknown(tokens)?;
    let mut depth = 0usize;
    for at in 0..tokens.len() {
        match tokens[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let Some((words, _)) = clause_at(tokens, at) else { continue };
        let place = place_of(&tokens[at..at + words.len()]);
        if depth > 0 {
            return Err(Error::user(format!(
                "{} stands inside parentheses; say it once, at the end of the statement",
                words.join(" ")
            ))
            .at(place));
        }
        let (emit, end, last) = read(tokens, at)?;
        let rest = &tokens[end..];
        if rest.first().is_some_and(|token| !is_word(token, "LIMIT")) {
            return Err(Error::user(format!("{last} must end the statement; unexpected: {}", rest[0].token))
                .at(place_of(&rest[..1])));
        }
        let kept = tokens[..at].iter().chain(rest).cloned().collect();
        return Ok((kept, Some(Emit { place, ..emit })));
    }
    Ok((tokens.to_vec(), None))
}

/// Refuses EMIT and a word that is none of ours at the end; anywhere else it may be a name.
fn refuse_unknown(tokens: &[TokenWithSpan]) -> Result<()> {
    let [.., before, emit, what] = tokens else { return Ok(()) };
    let is_unknown = is_word(emit, "EMIT") && super::tokens::word(what).is_some() && can_end_query(before);
    if !is_unknown || clause_at(tokens, tokens.len() - 2).is_some() {
        return Ok(());
    }
    let message = format!(
        "EMIT {} is not known; there are EMIT FINAL, EMIT CHANGES, EMIT EVERY 1s and EMIT EARLY EVERY 1s THEN FINAL",
        what.token
    );
    Err(Error::user(message).at(place_of(&tokens[tokens.len() - 2..])))
}

/// Reads the clauses that begin at `at`: what they say, where they end, and the words of the last one.
fn read(tokens: &[TokenWithSpan], mut at: usize) -> Result<(Emit, usize, String)> {
    let mut emit = Emit::default();
    let mut seen: Vec<(Clause, String)> = Vec::new();
    while let Some((words, clause)) = clause_at(tokens, at) {
        let name = words.join(" ");
        let place = place_of(&tokens[at..at + words.len()]);
        let same = |known: Clause| known == clause || (known.is_emit() && clause.is_emit());
        if let Some((_, known)) = seen.iter().find(|(known, _)| same(*known)) {
            return Err(Error::user(format!("{name} after {known}: one of them is enough")).at(place));
        }
        at += words.len();
        match clause {
            Clause::Refused(why) => return Err(Error::user(why).at(place)),
            Clause::Final => {
                emit.mode = Some(EmitMode::Final);
                at = then_late(tokens, at, &mut emit)?;
            }
            Clause::Changes => emit.mode = Some(EmitMode::Changes),
            Clause::Every => {
                emit.mode = Some(EmitMode::Changes);
                emit.every = Some(read_duration(tokens, &mut at, &name)?);
            }
            Clause::Early => {
                emit.mode = Some(EmitMode::Changes);
                emit.every = Some(read_duration(tokens, &mut at, &name)?);
                emit.on_close = true;
                if !starts_with(&tokens[at..], &["THEN", "FINAL"]) {
                    let message = "EMIT EARLY EVERY needs an end: EMIT EARLY EVERY 1s THEN FINAL";
                    return Err(Error::user(message).at(place));
                }
                at = then_late(tokens, at + 2, &mut emit)?;
            }
            Clause::Lateness => emit.lateness = Some((read_duration(tokens, &mut at, &name)?, place)),
            Clause::LateData => {
                let sink = tokens.get(at).and_then(sink_name);
                let sink = sink.ok_or_else(|| Error::user("LATE DATA TO needs the name of a table").at(place))?;
                emit.late_sink = Some((sink, place));
                at += 1;
            }
        }
        seen.push((clause, name));
    }
    let last = seen.pop().map(|(_, name)| name).unwrap_or_default();
    Ok((emit, at, last))
}

/// `THEN LATE CHANGES` or `THEN LATE EVERY d`.
fn then_late(tokens: &[TokenWithSpan], at: usize, emit: &mut Emit) -> Result<usize> {
    if !starts_with(&tokens[at..], &["THEN"]) {
        return Ok(at);
    }
    if starts_with(&tokens[at..], &["THEN", "LATE", "CHANGES"]) {
        return Ok(at + 3);
    }
    if starts_with(&tokens[at..], &["THEN", "LATE", "EVERY"]) {
        let mut end = at + 3;
        emit.late_every = Some(read_duration(tokens, &mut end, "THEN LATE EVERY")?);
        return Ok(end);
    }
    let message = "THEN is followed by LATE CHANGES or LATE EVERY and a duration";
    Err(Error::user(message).at(place_of(&tokens[at..=at])))
}

fn sink_name(token: &TokenWithSpan) -> Option<ObjectName> {
    let ident = match &token.token {
        Token::Word(word) => Ident { value: word.value.clone(), quote_style: word.quote_style, span: token.span },
        Token::SingleQuotedString(path) => Ident { value: path.clone(), quote_style: Some('\''), span: token.span },
        _ => return None,
    };
    Some(ObjectName::from(vec![ident]))
}

/// Reads a duration and moves `at` behind it.
fn read_duration(tokens: &[TokenWithSpan], at: &mut usize, what: &str) -> Result<Expr> {
    let rest = &tokens[*at..];
    let is_unit = |token: &TokenWithSpan| super::tokens::word(token).is_some_and(|word| unit_name(&word).is_some());
    let is_text = |token: &TokenWithSpan| matches!(token.token, Token::SingleQuotedString(_));
    let is_number = |token: &TokenWithSpan| matches!(token.token, Token::Number(..));
    let length = match rest {
        [interval, text, unit, ..] if is_word(interval, "INTERVAL") && is_text(text) && is_unit(unit) => 3,
        [interval, text, ..] if is_word(interval, "INTERVAL") && is_text(text) => 2,
        [text, ..] if is_text(text) => 1,
        _ => 2 * rest.chunks(2).take_while(|pair| pair.len() == 2 && is_number(&pair[0]) && is_unit(&pair[1])).count(),
    };
    let place = place_of(&rest[..length.max(1).min(rest.len())]).or_else(|| place_of(&tokens[*at - 1..*at]));
    if length == 0 {
        return Err(Error::user(format!("{what} needs a duration, such as 5s or INTERVAL '1' MINUTE")).at(place));
    }
    *at += length;
    let parser = DFParserBuilder::new(duration(&rest[..length])?).with_dialect(&DIALECT).build();
    let parsed = parser.and_then(|mut parser| parser.parse_into_expr());
    Ok(parsed.map_err(|e| error::from_datafusion(e).at(place))?.expr)
}

fn clause_at(tokens: &[TokenWithSpan], at: usize) -> Option<(&'static [&'static str], Clause)> {
    if at == 0 || at >= tokens.len() || !can_end_query(&tokens[at - 1]) {
        return None;
    }
    let found = CLAUSES.iter().find(|(words, _)| starts_with(&tokens[at..], words));
    let (words, clause) = found?;
    // `emit on` may be a table named emit before its join condition, `allow`, `late` and the like are names as well.
    let is_join = words == &["EMIT", "ON"]
        && tokens[at + 2..].iter().any(|t| matches!(t.token, Token::Eq | Token::Lt | Token::Gt));
    (!is_join).then_some((*words, *clause))
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
