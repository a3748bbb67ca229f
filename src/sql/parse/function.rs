//! `CREATE FUNCTION name(types) RETURNS type LANGUAGE NATIVE AS 'library', 'symbol'`, functions that are an expression of SQL, and
//! `CREATE FUNCTION name AS 'class'`.
//!
//! Read here and not by sqlparser, which knows other languages' forms of it.

use datafusion_sql::parser::{DFParser, DFParserBuilder};
use sqlparser::ast::{DataType as SqlType, Expr, Ident, ObjectName, SelectItem, SetExpr};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::statement::{QueryStatement, Statement};
use super::tokens::{DIALECT, is_word, make_word, place, place_of, starts_with, tokenize};
use crate::error::{Error, Place, Result};
use crate::sql::error;

/// `CREATE FUNCTION`.
#[derive(Debug, Clone)]
pub struct CreateFunction {
    pub name: ObjectName,
    pub or_replace: bool,
    pub args: Vec<SqlType>,
    pub returns: SqlType,
    /// The shared library, as a path.
    pub library: String,
    pub symbol: String,
    pub place: Option<Place>,
}

/// A function that is an expression: `CREATE FUNCTION f(x INT) RETURNS INT RETURN x + 1`, `AS $$ SELECT x + 1 $$ LANGUAGE SQL`.
#[derive(Debug, Clone)]
pub struct CreateSqlFunction {
    pub name: ObjectName,
    pub or_replace: bool,
    /// Names, where they have some, and types.
    pub args: Vec<(Option<Ident>, SqlType)>,
    pub returns: SqlType,
    pub body: Expr,
    pub place: Option<Place>,
}

/// `CREATE FUNCTION name AS 'class'`: a function that another engine would load by the name of its class.
#[derive(Debug, Clone)]
pub struct NamedFunction {
    pub name: ObjectName,
    pub class: String,
    pub place: Option<Place>,
}

/// How many tokens `CREATE [OR REPLACE] [AGGREGATE] FUNCTION` has; `None`: the statement is another one.
fn head(tokens: &[TokenWithSpan]) -> Option<usize> {
    let forms: [&[&str]; 4] = [
        &["CREATE", "FUNCTION"],
        &["CREATE", "AGGREGATE", "FUNCTION"],
        &["CREATE", "OR", "REPLACE", "FUNCTION"],
        &["CREATE", "OR", "REPLACE", "AGGREGATE", "FUNCTION"],
    ];
    forms.into_iter().find(|words| starts_with(tokens, words)).map(<[&str]>::len)
}

/// Whether a statement is one of these.
pub(super) fn is_create(tokens: &[TokenWithSpan]) -> bool {
    head(tokens).is_some()
}

/// Reads the statement.
pub(super) fn parse(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let length = head(tokens).unwrap_or(0);
    let or_replace = is_word(&tokens[1], "OR");
    let rest = &tokens[length..];
    let mut parser =
        DFParserBuilder::new(rest.to_vec()).with_dialect(&DIALECT).build().map_err(error::from_datafusion)?;
    let name = parser.parser.parse_object_name(false).map_err(|e| error::from_parser(&e, rest))?;
    if is_word(&parser.parser.peek_token(), "AS") {
        words(&mut parser, &["AS"])?;
        let class = text(&mut parser)?;
        return Ok(Statement::NamedFunction(NamedFunction { name, class, place: place_of(&rest[..1]) }));
    }
    expect(&mut parser, &Token::LParen)?;
    let mut args = Vec::new();
    while parser.parser.peek_token().token != Token::RParen {
        args.push(argument(&mut parser, rest)?);
        if parser.parser.peek_token().token != Token::RParen {
            expect(&mut parser, &Token::Comma)?;
        }
    }
    expect(&mut parser, &Token::RParen)?;
    words(&mut parser, &["RETURNS"])?;
    let returns = data_type(&mut parser, rest)?;
    let head = Head { name, or_replace, args, returns, place: place_of(&rest[..1]) };
    let mut language = None;
    loop {
        let word = parser.parser.next_token();
        match () {
            () if is_word(&word, "LANGUAGE") => language = Some(parser.parser.next_token()),
            // What a function of SQL is follows from what it computes.
            () if ["IMMUTABLE", "STABLE", "DETERMINISTIC"].iter().any(|known| is_word(&word, known)) => {}
            () if is_word(&word, "AS") || is_word(&word, "RETURN") => {
                let body = remaining(&mut parser);
                return definition(head, language, body, is_word(&word, "RETURN"));
            }
            () => {
                let message = format!("expected LANGUAGE, AS or RETURN, found: {}", word.token);
                return Err(Error::user(message).at(place(word.span)));
            }
        }
    }
}

/// `CREATE FUNCTION name(args) RETURNS type`.
struct Head {
    name: ObjectName,
    or_replace: bool,
    args: Vec<(Option<Ident>, SqlType)>,
    returns: SqlType,
    place: Option<Place>,
}

/// Reads what stands behind AS or RETURN, and LANGUAGE where that stands behind it.
fn definition(
    head: Head,
    mut language: Option<TokenWithSpan>,
    mut body: Vec<TokenWithSpan>,
    is_expression: bool,
) -> Result<Statement> {
    if let Some(at) = body.len().checked_sub(2).filter(|&at| is_word(&body[at], "LANGUAGE")) {
        language = body.pop();
        body.truncate(at);
    }
    let is_text =
        |token: &TokenWithSpan| matches!(token.token, Token::SingleQuotedString(_) | Token::DollarQuotedString(_));
    let is = |word: &str| language.as_ref().is_some_and(|language| is_word(language, word));
    match (&language, body.as_slice()) {
        (None, _) | (Some(_), []) if body.is_empty() => {
            Err(Error::user("a function needs a body: AS expression, or RETURN expression").at(head.place))
        }
        (Some(_), [library, comma, symbol]) if is("NATIVE") && comma.token == Token::Comma => {
            let Head { name, or_replace, args, returns, place } = head;
            let args = args.into_iter().map(|(_, data_type)| data_type).collect();
            let (library, symbol) = (text_of(library)?, text_of(symbol)?);
            Ok(Statement::CreateFunction(CreateFunction { name, or_replace, args, returns, library, symbol, place }))
        }
        (Some(found), _) if is("NATIVE") => {
            Err(Error::user("a native function is AS 'library', 'symbol'").at(place(found.span)))
        }
        (Some(found), _) if !is("SQL") => {
            let message =
                format!("functions are written in other languages than {}; LANGUAGE takes SQL and NATIVE", found.token);
            Err(Error::user(message).at(place(found.span)))
        }
        (_, [text])
            if is_text(text) && !is_expression && (is("SQL") || matches!(text.token, Token::DollarQuotedString(_))) =>
        {
            let written = text_of(text)?;
            let mut tokens = tokenize(written.trim().trim_end_matches(';'))?;
            tokens.iter_mut().for_each(|token| token.span = text.span);
            sql_function(head, tokens)
        }
        _ => sql_function(head, body),
    }
}

fn sql_function(head: Head, mut tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    let at = place_of(&tokens);
    if !starts_with(&tokens, &["SELECT"]) {
        let span = tokens.first().map_or(Span::empty(), |token| token.span);
        tokens.insert(0, make_word("SELECT", None, span));
    }
    let one = || Error::user("a function of SQL is one expression, without FROM and what stands behind it").at(at);
    let Statement::Query(QueryStatement { query, emit: None }) = super::statement::parse(&tokens)? else {
        return Err(one());
    };
    let select = match *query.body {
        SetExpr::Select(select) if query.order_by.is_none() && query.limit_clause.is_none() && query.with.is_none() => {
            *select
        }
        _ => return Err(one()),
    };
    let is_plain = select.from.is_empty() && select.selection.is_none() && select.having.is_none();
    let body = match <[SelectItem; 1]>::try_from(select.projection) {
        Ok([SelectItem::UnnamedExpr(body) | SelectItem::ExprWithAlias { expr: body, .. }]) if is_plain => body,
        _ => return Err(one()),
    };
    let Head { name, or_replace, args, returns, place } = head;
    Ok(Statement::CreateSqlFunction(Box::new(CreateSqlFunction { name, or_replace, args, returns, body, place })))
}

/// `name type` or `type`.
fn argument(parser: &mut DFParser<'_>, tokens: &[TokenWithSpan]) -> Result<(Option<Ident>, SqlType)> {
    let ends = |token: &TokenWithSpan| matches!(token.token, Token::Comma | Token::RParen) || is_word(token, "NOT");
    let bare = parser.parser.maybe_parse(|parser| {
        let data_type = parser.parse_data_type()?;
        if ends(&parser.peek_token()) { Ok(data_type) } else { Err(ParserError::ParserError(String::new())) }
    });
    if let Some(found) = bare.map_err(|e| error::from_parser(&e, tokens))? {
        skip_not_null(parser)?;
        return Ok((None, found));
    }
    let name = parser.parser.parse_identifier().map_err(|e| error::from_parser(&e, tokens))?;
    Ok((Some(name), data_type(parser, tokens)?))
}

/// A type; that it is not null says nothing here.
fn data_type(parser: &mut DFParser<'_>, tokens: &[TokenWithSpan]) -> Result<SqlType> {
    let found = parser.parser.parse_data_type().map_err(|e| error::from_parser(&e, tokens))?;
    skip_not_null(parser)?;
    Ok(found)
}

fn skip_not_null(parser: &mut DFParser<'_>) -> Result<()> {
    if is_word(&parser.parser.peek_token(), "NOT") { words(parser, &["NOT", "NULL"]) } else { Ok(()) }
}

/// All tokens that were not read.
fn remaining(parser: &mut DFParser<'_>) -> Vec<TokenWithSpan> {
    let mut rest = Vec::new();
    loop {
        match parser.parser.next_token() {
            end if end.token == Token::EOF => return rest,
            token => rest.push(token),
        }
    }
}

fn expect(parser: &mut DFParser<'_>, token: &Token) -> Result<()> {
    let found = parser.parser.next_token();
    if found.token == *token {
        return Ok(());
    }
    Err(Error::user(format!("expected {token}, found: {}", found.token)).at(place(found.span)))
}

fn words(parser: &mut DFParser<'_>, expected: &[&str]) -> Result<()> {
    for word in expected {
        let found = parser.parser.next_token();
        if !is_word(&found, word) {
            return Err(Error::user(format!("expected {word}, found: {}", found.token)).at(place(found.span)));
        }
    }
    Ok(())
}

fn text(parser: &mut DFParser<'_>) -> Result<String> {
    text_of(&parser.parser.next_token())
}

fn text_of(token: &TokenWithSpan) -> Result<String> {
    match &token.token {
        Token::SingleQuotedString(text) => Ok(text.clone()),
        Token::DollarQuotedString(text) => Ok(text.value.clone()),
        other => Err(Error::user(format!("expected a text in quotes, found: {other}")).at(place(token.span))),
    }
}
