//! What CREATE TABLE says beyond sqlparser's grammar: `WATERMARK FOR`, `LATENESS`, `CREATE STREAM`, option keys with dots.

use datafusion_sql::parser::DFParserBuilder;
use sqlparser::ast::{CastKind, DataType, Expr, Ident, TimezoneInfo, Value};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::{DIALECT, closing, is_word, make_word, place_of, split_commas, starts_with, word};
use crate::error::{Error, Place, Result};
use crate::sql::error;

/// `WATERMARK FOR column AS expr`: no row before `expr` is expected any more.
#[derive(Debug, Clone)]
pub struct WatermarkClause {
    pub column: Ident,
    pub expr: Expr,
    pub place: Option<Place>,
}

impl WatermarkClause {
    /// A watermark of a column that the source itself tells: no row moves it.
    pub fn told(column: &str) -> Self {
        let (kind, null) = (CastKind::Cast, Box::new(Expr::value(Value::Null)));
        let data_type = DataType::Timestamp(None, TimezoneInfo::None);
        let expr = Expr::Cast { kind, expr: null, data_type, array: false, format: None };
        WatermarkClause { column: Ident::with_quote('"', column), expr, place: None }
    }
}

/// Refuses what CREATE cannot make yet, and reads `STREAM` as `TABLE`.
pub(super) fn check_create(tokens: &mut [TokenWithSpan]) -> Result<()> {
    const BEFORE: &[&str] = &["CREATE", "OR", "REPLACE", "TEMP", "TEMPORARY", "UNBOUNDED", "EXTERNAL"];
    let Some(at) = tokens.iter().position(|token| !BEFORE.iter().any(|word| is_word(token, word))) else {
        return Ok(());
    };
    let place = place_of(&tokens[at..=at]);
    if is_word(&tokens[at], "STREAM") {
        tokens[at] = make_word("TABLE", None, tokens[at].span);
    } else if starts_with(&tokens[at..], &["MATERIALIZED", "VIEW"]) {
        return Ok(());
    } else if is_word(&tokens[at], "SOURCE") || is_word(&tokens[at], "SINK") {
        let message =
            format!("CREATE {} is not known; use CREATE TABLE ... WITH (...), which serves as both", tokens[at].token);
        return Err(Error::user(message).at(place));
    } else if !is_word(&tokens[at], "TABLE") && !is_word(&tokens[at], "VIEW") {
        return Err(Error::user(format!(
            "CREATE {} is not supported; use CREATE TABLE or CREATE VIEW",
            tokens[at].token
        ))
        .at(place));
    }
    refuse_partitioned(&tokens[at..])
}

/// Refuses `PARTITIONED BY`, behind the columns and before a query.
fn refuse_partitioned(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 && is_word(token, "AS") => return Ok(()),
            _ if depth == 0 && starts_with(&tokens[at..], &["PARTITIONED", "BY"]) => {
                let message = "CREATE TABLE does not take PARTITIONED BY: files are not laid out in folders by the values of \
                               columns; leave it out, workers share the rows by themselves";
                return Err(Error::user(message).at(place_of(&tokens[at..at + 2])));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Cuts `WATERMARK FOR ...` out of the column list.
pub(super) fn cut_watermark(tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, Option<WatermarkClause>)> {
    let Some(open) = column_list(&tokens) else { return Ok((tokens, None)) };
    let close = closing(&tokens, open);
    let mut watermark = None;
    let mut kept: Vec<TokenWithSpan> = tokens[..=open].to_vec();
    let mut count = 0;
    for part in split_commas(&tokens[open + 1..close]) {
        let is_short = starts_with(part, &["WATERMARK"]) && part.get(2).is_some_and(|token| is_word(token, "AS"));
        if starts_with(part, &["WATERMARK", "FOR"]) || is_short {
            if watermark.is_some() {
                return Err(Error::user("a table has one watermark at most").at(place_of(part)));
            }
            watermark = Some(parse_watermark(part)?);
            continue;
        }
        let (part, late) = cut_lateness(part)?;
        if let Some(late) = late
            && watermark.replace(late).is_some()
        {
            return Err(Error::user("a table has one watermark at most, and LATENESS is one").at(place_of(&part)));
        }
        if count > 0 {
            kept.push(TokenWithSpan::new(Token::Comma, tokens[open].span));
        }
        kept.extend(part);
        count += 1;
    }
    kept.extend(tokens[close..].iter().cloned());
    Ok((kept, watermark))
}

/// Cuts `LATENESS delay` out of a column: `WATERMARK FOR column AS column - delay`.
fn cut_lateness(part: &[TokenWithSpan]) -> Result<(Vec<TokenWithSpan>, Option<WatermarkClause>)> {
    const BEHIND: &[&str] = &["NOT", "NULL", "PRIMARY", "DEFAULT", "WATERMARK"];
    let Some(at) = (1..part.len()).find(|&at| at > 1 && is_word(&part[at], "LATENESS")) else {
        return Ok((part.to_vec(), None));
    };
    let is_end = |token: &TokenWithSpan| BEHIND.iter().any(|word| is_word(token, word));
    let end = part[at + 1..].iter().position(is_end).map_or(part.len(), |length| at + 1 + length);
    if end == at + 1 {
        let message = "LATENESS needs a delay, such as LATENESS INTERVAL '5' SECOND";
        return Err(Error::user(message).at(place_of(&part[at..=at])));
    }
    let span = part[at].span;
    let mut expression = vec![part[0].clone(), TokenWithSpan::new(Token::Minus, span)];
    expression.push(TokenWithSpan::new(Token::LParen, span));
    expression.extend(part[at + 1..end].iter().cloned());
    expression.push(TokenWithSpan::new(Token::RParen, span));
    let mut clause = vec![make_word("WATERMARK", None, span), make_word("FOR", None, span), part[0].clone()];
    clause.push(make_word("AS", None, span));
    clause.extend(expression);
    let watermark = parse_watermark(&clause)?;
    Ok(([&part[..at], &part[end..]].concat(), Some(watermark)))
}

/// The parenthesis that opens the column list of a CREATE TABLE.
pub(super) fn column_list(tokens: &[TokenWithSpan]) -> Option<usize> {
    const AFTER: &[&str] = &["AS", "WITH", "STORED", "LOCATION", "OPTIONS"];
    let at = tokens.iter().position(|t| t.token == Token::LParen || AFTER.iter().any(|word| is_word(t, word)))?;
    (tokens[at].token == Token::LParen).then_some(at)
}

fn parse_watermark(part: &[TokenWithSpan]) -> Result<WatermarkClause> {
    let place = place_of(part);
    let usage = || {
        Error::user("expected WATERMARK FOR column AS expression, such as WATERMARK FOR ts AS ts - INTERVAL '5' SECOND")
            .at(place)
    };
    if !starts_with(part, &["WATERMARK", "FOR"]) {
        return Err(usage());
    }
    let column = match part.get(2).map(|token| (&token.token, token.span)) {
        Some((Token::Word(word), span)) => Ident { value: word.value.clone(), quote_style: word.quote_style, span },
        _ => return Err(usage()),
    };
    let expr = match &part[3..] {
        [] => Expr::Identifier(column.clone()),
        [keyword, rest @ ..] if is_word(keyword, "AS") && !rest.is_empty() => {
            let parser = DFParserBuilder::new(rest.to_vec()).with_dialect(&DIALECT).build();
            let parsed = parser.and_then(|mut parser| parser.parse_into_expr());
            parsed.map_err(|e| error::from_datafusion(e).at(place))?.expr
        }
        _ => return Err(usage()),
    };
    Ok(WatermarkClause { column, expr, place: place_of(&part[2..3]) })
}

/// Quotes the keys of `WITH (key = value, ...)`, so that dots and keywords may be among them.
pub(super) fn quote_option_keys(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let Some(with) = (0..tokens.len())
        .find(|&at| is_word(&tokens[at], "WITH") && tokens.get(at + 1).is_some_and(|t| t.token == Token::LParen))
    else {
        return tokens;
    };
    let close = closing(&tokens, with + 1);
    let mut out: Vec<TokenWithSpan> = tokens[..with + 2].to_vec();
    for (index, part) in split_commas(&tokens[with + 2..close]).into_iter().enumerate() {
        if index > 0 {
            out.push(TokenWithSpan::new(Token::Comma, tokens[with].span));
        }
        match part.iter().position(|token| token.token == Token::Eq) {
            Some(eq) if eq > 0 && matches!(part[0].token, Token::Word(_)) => {
                let key: String = part[..eq].iter().map(key_text).collect();
                out.push(make_word(&key, Some('"'), part[0].span));
                out.extend(part[eq..].iter().cloned());
            }
            _ => out.extend(part.iter().cloned()),
        }
    }
    out.extend(tokens[close..].iter().cloned());
    out
}

/// Quotes columns called `key`, `index` and the like, which sqlparser takes for the beginning of a constraint.
pub(super) fn quote_column_names(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    const CONSTRAINTS: &[&str] = &["KEY", "INDEX", "FULLTEXT", "SPATIAL", "CHECK", "EXCLUDE"];
    let Some(open) = column_list(&tokens) else { return tokens };
    let mut at = open + 1;
    let mut columns = Vec::new();
    for element in split_commas(&tokens[open + 1..closing(&tokens, open)]) {
        if let [name, rest @ ..] = element
            && CONSTRAINTS.iter().any(|word| is_word(name, word))
            && starts_with_type(rest)
        {
            columns.push(at);
        }
        at += element.len() + 1;
    }
    for at in columns {
        tokens[at] = make_word(&key_text(&tokens[at]).to_lowercase(), Some('"'), tokens[at].span);
    }
    tokens
}

/// Whether a type stands here, rather than the name of an index before its columns, or those alone.
fn starts_with_type(tokens: &[TokenWithSpan]) -> bool {
    const OF_TYPES: &[&str] = &["MAP", "ARRAY", "STRUCT", "ROW"];
    let Some(first) = tokens.first().filter(|first| word(first).is_some()) else { return false };
    match &tokens[1..] {
        [paren, inside, ..] if paren.token == Token::LParen => {
            OF_TYPES.iter().any(|of_types| is_word(first, of_types)) || matches!(inside.token, Token::Number(..))
        }
        _ => !is_word(first, "USING"),
    }
}

fn key_text(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) => word.value.clone(),
        other => other.to_string(),
    }
}

/// Writes `MAP<k, v>` as `MAP(k, v)` and `ROW<..>` as `STRUCT<..>`, which sqlparser takes.
pub(super) fn plain_types(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_map = |tokens: &[TokenWithSpan], at: usize| {
        is_word(&tokens[at], "MAP") && tokens.get(at + 1).is_some_and(|token| token.token == Token::Lt)
    };
    let mut at = 0;
    while at < tokens.len() {
        if is_word(&tokens[at], "ROW") && tokens.get(at + 1).is_some_and(|token| token.token == Token::Lt) {
            tokens[at] = make_word("STRUCT", None, tokens[at].span);
        }
        if is_map(&tokens, at) {
            let Some(close) = closing_angle(&mut tokens, at + 1) else { break };
            tokens[at + 1].token = Token::LParen;
            tokens[close].token = Token::RParen;
        }
        at += 1;
    }
    quote_fields(&mut tokens);
    tokens
}

/// Quotes the fields of `STRUCT<..>` that have capitals: they are looked for as they are written, and found in any case.
fn quote_fields(tokens: &mut [TokenWithSpan]) {
    for at in 0..tokens.len() {
        if !is_word(&tokens[at], "STRUCT") || tokens.get(at + 1).is_none_or(|token| token.token != Token::Lt) {
            continue;
        }
        let (mut angles, mut brackets) = (0i32, 0i32);
        for inside in at + 1..tokens.len() {
            match tokens[inside].token {
                Token::Lt => angles += 1,
                Token::Gt => angles -= 1,
                Token::ShiftRight => angles -= 2,
                Token::LParen => brackets += 1,
                Token::RParen => brackets -= 1,
                _ => {}
            }
            if angles <= 0 || brackets < 0 {
                break;
            }
            let begins = (inside == at + 1 || tokens[inside].token == Token::Comma) && angles == 1 && brackets == 0;
            let Some(field) = tokens.get(inside + 1).filter(|_| begins) else { continue };
            let has_type =
                tokens.get(inside + 2).is_some_and(|next| matches!(next.token, Token::Word(_) | Token::Colon));
            if word(field).is_some() && has_type && key_text(field).contains(|c: char| c.is_ascii_uppercase()) {
                tokens[inside + 1] = make_word(&key_text(field), Some('"'), field.span);
            }
        }
    }
}

/// The `>` that closes the `<` at `open`; a `>>` on the way is cut in two.
fn closing_angle(tokens: &mut Vec<TokenWithSpan>, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = open;
    while at < tokens.len() {
        if tokens[at].token == Token::ShiftRight {
            tokens[at].token = Token::Gt;
            let second = tokens[at].clone();
            tokens.insert(at + 1, second);
        }
        match tokens[at].token {
            Token::Lt => depth += 1,
            Token::Gt => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
        at += 1;
    }
    None
}
