//! Lists as PostgreSQL writes them: `'{1,2,NULL}'::INT[]`, and paths into JSON, `'{a,"b,c"}'`; and numbers that are cast to
//! decimals, which keep all of their digits.

use std::collections::VecDeque;

use sqlparser::ast::{Array, ArrayElemTypeDef, CastKind, DataType, Expr, UnaryOperator, Value};

use crate::error::{Error, Result};
use crate::sql::tree::{cast_to, text};

/// What stands for a cast of such a value.
pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    let Expr::Cast { kind, expr: value, data_type, .. } = expr else { return Ok(()) };
    if is_decimal(data_type) {
        keep_digits(value);
    }
    if !matches!(kind, CastKind::Cast | CastKind::DoubleColon) {
        return Ok(());
    }
    if let (Expr::Value(literal), DataType::Array(_)) = (value.as_mut(), &*data_type)
        && let Value::SingleQuotedString(text) = &literal.value
        && text.trim_start().starts_with('{')
    {
        let wrong = || Error::user(format!("not a list: '{text}'; write it as '{{1,2,NULL}}' or [1, 2, NULL]"));
        **value = list(&mut text.trim().chars().collect(), data_type).ok_or_else(wrong)?;
    }
    Ok(())
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal(_) | DataType::Dec(_) | DataType::Numeric(_))
}

/// A number that is more exact than a float is read as the text it is.
fn keep_digits(value: &mut Expr) {
    let (sign, number) = match unnested(value) {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => ("-", unnested(expr)),
        other => ("", other),
    };
    if let Expr::Value(literal) = number
        && let Value::Number(digits, false) = &literal.value
        && is_inexact(digits)
    {
        *value = text(&format!("{sign}{digits}"));
    }
}

fn unnested(expr: &Expr) -> &Expr {
    if let Expr::Nested(inner) = expr { unnested(inner) } else { expr }
}

/// Whether digits have a point, or are too many for an integer of 64 bits.
fn is_inexact(digits: &str) -> bool {
    const WHOLE_MAX: usize = 18;
    digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && (digits.contains('.') || digits.len() > WHOLE_MAX)
}

/// The texts in a list; `None`: it is none.
pub(super) fn texts(written: &str) -> Option<Vec<Expr>> {
    let (mut rest, mut texts) = (written.trim().chars().collect(), Vec::new());
    in_braces(&mut rest, |rest| {
        texts.push(element(rest, &DataType::Text)?);
        Some(())
    })?;
    rest.is_empty().then_some(texts)
}

/// A list in braces, of a type; `None`: it is none.
fn list(rest: &mut VecDeque<char>, data_type: &DataType) -> Option<Expr> {
    let elem = elements(rest, data_type)?;
    rest.is_empty().then_some(elem)
}

fn elements(rest: &mut VecDeque<char>, data_type: &DataType) -> Option<Expr> {
    let DataType::Array(
        ArrayElemTypeDef::AngleBracket(of) | ArrayElemTypeDef::SquareBracket(of, _) | ArrayElemTypeDef::Parenthesis(of),
    ) = data_type
    else {
        return None;
    };
    let mut elem = Vec::new();
    in_braces(rest, |rest| {
        elem.push(if rest.front()? == &'{' { elements(rest, of)? } else { element(rest, of)? });
        Some(())
    })?;
    let elements = Expr::Array(Array { elem, named: false });
    Some(cast_to(elements, data_type.clone()))
}

/// Reads what stands between commas in braces; `None`: it is no list.
fn in_braces(rest: &mut VecDeque<char>, mut read: impl FnMut(&mut VecDeque<char>) -> Option<()>) -> Option<()> {
    (rest.pop_front()? == '{').then_some(())?;
    skip_blanks(rest);
    if rest.front()? == &'}' {
        rest.pop_front();
        return Some(());
    }
    loop {
        skip_blanks(rest);
        read(rest)?;
        skip_blanks(rest);
        match rest.pop_front()? {
            ',' => {}
            '}' => return Some(()),
            _ => return None,
        }
    }
}

fn skip_blanks(rest: &mut VecDeque<char>) {
    while rest.front().is_some_and(|next| next.is_whitespace()) {
        rest.pop_front();
    }
}

/// A value up to a comma or a brace; in quotes anything.
fn element(rest: &mut VecDeque<char>, data_type: &DataType) -> Option<Expr> {
    let mut value = String::new();
    if rest.front() == Some(&'"') {
        rest.pop_front();
        loop {
            match rest.pop_front()? {
                '"' => return Some(cast_to(text(&value), data_type.clone())),
                '\\' => value.push(rest.pop_front()?),
                other => value.push(other),
            }
        }
    }
    while !matches!(rest.front()?, ',' | '}') {
        value.push(rest.pop_front()?);
    }
    let value = value.trim_end();
    match value {
        "" => None,
        null if null.eq_ignore_ascii_case("null") => Some(cast_to(Expr::value(Value::Null), data_type.clone())),
        value => Some(cast_to(text(value), data_type.clone())),
    }
}
