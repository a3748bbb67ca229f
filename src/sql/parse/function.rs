//! `CREATE FUNCTION name(types) RETURNS type LANGUAGE NATIVE AS 'library', 'symbol'`, and `CREATE FUNCTION name AS 'class'`.
//!
//! Read here and not by sqlparser, which knows other languages' forms of it.

use datafusion_sql::parser::{DFParser, DFParserBuilder};
use sqlparser::ast::{DataType as SqlType, ObjectName};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::Statement;
use super::tokens::{DIALECT, is_word, place, place_of, starts_with};
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
        args.push(parser.parser.parse_data_type().map_err(|e| error::from_parser(&e, rest))?);
        if parser.parser.peek_token().token != Token::RParen {
            expect(&mut parser, &Token::Comma)?;
        }
    }
    expect(&mut parser, &Token::RParen)?;
    words(&mut parser, &["RETURNS"])?;
    let returns = parser.parser.parse_data_type().map_err(|e| error::from_parser(&e, rest))?;
    words(&mut parser, &["LANGUAGE"])?;
    let language = parser.parser.next_token();
    if !is_word(&language, "NATIVE") {
        let message =
            format!("functions are written in other languages than {}; LANGUAGE takes NATIVE", language.token);
        return Err(Error::user(message).at(place(language.span)));
    }
    words(&mut parser, &["AS"])?;
    let library = text(&mut parser)?;
    expect(&mut parser, &Token::Comma)?;
    let symbol = text(&mut parser)?;
    let end = parser.parser.peek_token();
    if end.token != Token::EOF {
        return Err(Error::user(format!("expected the end of the statement, found: {}", end.token)).at(place(end.span)));
    }
    let place = place_of(&rest[..1]);
    Ok(Statement::CreateFunction(CreateFunction { name, or_replace, args, returns, library, symbol, place }))
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
    let found = parser.parser.next_token();
    match found.token {
        Token::SingleQuotedString(text) => Ok(text),
        other => Err(Error::user(format!("expected a text in quotes, found: {other}")).at(place(found.span))),
    }
}
