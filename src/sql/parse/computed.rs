//! Columns that a table computes: `c AS expr` and `c TYPE GENERATED ALWAYS AS (expr)` in the list of CREATE TABLE.

use datafusion_sql::parser::DFParserBuilder;
use sqlparser::ast::{Expr, Ident};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::define::column_list;
use super::tokens::{DIALECT, closing, is_word, place_of, split_commas, starts_with};
use crate::error::{Error, Result};
use crate::sql::error;

/// A column that no source has: it follows from the others, row by row.
#[derive(Debug, Clone)]
pub struct ComputedColumn {
    pub name: Ident,
    pub expr: Expr,
    /// How many columns stand before it in the list.
    pub position: usize,
}

/// Cuts computed columns out of the column list.
pub(super) fn cut(tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, Vec<ComputedColumn>)> {
    let Some(open) = column_list(&tokens) else { return Ok((tokens, Vec::new())) };
    let close = closing(&tokens, open);
    let (mut computed, mut kept) = (Vec::new(), Vec::new());
    let mut depth = 0isize;
    for part in split_commas(&tokens[open + 1..close]) {
        // Inside of ROW<a INT, ...> a part is a field, not a column.
        let is_column = depth == 0;
        depth += part.iter().map(angles).sum::<isize>();
        let position = computed.len() + kept.len();
        match part {
            [name, keyword, rest @ ..] if is_column && is_word(keyword, "AS") && is_name(name) => {
                computed.push(parse(name, rest, position)?);
            }
            _ if is_column && generated(part).is_some() => {
                let rest = generated(part).expect("just looked at");
                computed.push(parse(&part[0], rest, position)?);
            }
            _ => kept.push(part),
        }
    }
    if computed.is_empty() {
        return Ok((tokens, computed));
    }
    let mut out: Vec<TokenWithSpan> = tokens[..=open].to_vec();
    for (index, part) in kept.iter().enumerate() {
        if index > 0 {
            out.push(TokenWithSpan::new(Token::Comma, tokens[open].span));
        }
        out.extend(part.iter().cloned());
    }
    out.extend(tokens[close..].iter().cloned());
    Ok((out, computed))
}

fn is_name(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Word(_)) && !is_word(token, "WATERMARK")
}

fn angles(token: &TokenWithSpan) -> isize {
    match token.token {
        Token::Lt => 1,
        Token::Gt => -1,
        Token::ShiftRight => -2,
        _ => 0,
    }
}

/// What stands behind `GENERATED ALWAYS AS`, without `STORED` or `VIRTUAL`.
fn generated(part: &[TokenWithSpan]) -> Option<&[TokenWithSpan]> {
    let at = (1..part.len()).find(|&at| starts_with(&part[at..], &["GENERATED", "ALWAYS", "AS"]))?;
    let rest = &part[at + 3..];
    match rest {
        [rest @ .., last] if is_word(last, "STORED") || is_word(last, "VIRTUAL") => Some(rest),
        rest => Some(rest),
    }
}

fn parse(name: &TokenWithSpan, expr: &[TokenWithSpan], position: usize) -> Result<ComputedColumn> {
    let Token::Word(word) = &name.token else { return Err(Error::bug("a column's name is a word")) };
    let ident = Ident { value: word.value.clone(), quote_style: word.quote_style, span: name.span };
    if expr.is_empty() {
        let message = format!("expected an expression behind AS: {}", word.value);
        return Err(Error::user(message).at(place_of(std::slice::from_ref(name))));
    }
    let parser = DFParserBuilder::new(expr.to_vec()).with_dialect(&DIALECT).build();
    let parsed = parser.and_then(|mut parser| parser.parse_into_expr());
    let expr = parsed.map_err(|e| error::from_datafusion(e).at(place_of(expr)))?.expr;
    Ok(ComputedColumn { name: ident, expr, position })
}
