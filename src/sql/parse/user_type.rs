//! `CREATE TYPE name AS (field type, ...)`, and `CREATE TYPE name AS type`.

use datafusion_sql::parser::DFParserBuilder;
use sqlparser::ast::{DataType as SqlType, Ident, ObjectName};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::statement::Statement;
use super::tokens::{DIALECT, is_word, place, place_of, starts_with};
use crate::error::{Error, Place, Result};
use crate::sql::error;

/// `CREATE TYPE`.
#[derive(Debug, Clone)]
pub struct CreateType {
    pub name: ObjectName,
    pub or_replace: bool,
    pub is: TypeIs,
    pub place: Option<Place>,
}

/// What a type of the user's is.
#[derive(Debug, Clone)]
pub enum TypeIs {
    /// A struct of these fields.
    Fields(Vec<(Ident, SqlType)>),
    /// Another name of a type.
    Alias(SqlType),
}

/// Whether a statement is one of these.
pub(super) fn is_create(tokens: &[TokenWithSpan]) -> bool {
    starts_with(tokens, &["CREATE", "TYPE"]) || starts_with(tokens, &["CREATE", "OR", "REPLACE", "TYPE"])
}

/// Reads the statement.
pub(super) fn parse(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let or_replace = is_word(&tokens[1], "OR");
    let rest = &tokens[if or_replace { 4 } else { 2 }..];
    let mut parser =
        DFParserBuilder::new(rest.to_vec()).with_dialect(&DIALECT).build().map_err(error::from_datafusion)?;
    let parser = &mut parser.parser;
    let read = read(parser).map_err(|e| error::from_parser(&e, rest))?;
    let end = parser.peek_token();
    match read {
        Some((name, is)) if end.token == Token::EOF => {
            Ok(Statement::CreateType(CreateType { name, or_replace, is, place: place_of(&rest[..1]) }))
        }
        None => {
            let message = "CREATE TYPE takes AS (field type, ...) or AS type; a type of a few values is a TEXT here";
            Err(Error::user(message).at(place(end.span)))
        }
        _ => Err(Error::user(format!("expected the end of the statement, found: {}", end.token)).at(place(end.span))),
    }
}

/// `None`: a type of another kind.
fn read(parser: &mut Parser<'_>) -> Result<Option<(ObjectName, TypeIs)>, ParserError> {
    let name = parser.parse_object_name(false)?;
    if !is_word(&parser.peek_token(), "AS") {
        return Ok(None);
    }
    parser.next_token();
    let next = parser.peek_token();
    if is_word(&next, "ENUM") || is_word(&next, "RANGE") {
        return Ok(None);
    }
    if next.token != Token::LParen {
        return Ok(Some((name, TypeIs::Alias(parser.parse_data_type()?))));
    }
    parser.next_token();
    let fields = parser.parse_comma_separated(|parser| {
        let field = (parser.parse_identifier()?, parser.parse_data_type()?);
        if is_word(&parser.peek_token(), "NOT") {
            parser.next_token();
            parser.next_token();
        }
        Ok(field)
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(Some((name, TypeIs::Fields(fields))))
}
