//! Lists as PostgreSQL writes them: `'{1,2,NULL}'::INT[]`.

use std::collections::VecDeque;

use sqlparser::ast::{Array, ArrayElemTypeDef, CastKind, DataType, Expr, Value};

use crate::error::{Error, Result};
use crate::sql::tree::{cast_to, text};

/// What stands for a cast of such a value.
pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    let Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: value, data_type, .. } = expr else {
        return Ok(());
    };
    if let (Expr::Value(literal), DataType::Array(_)) = (value.as_mut(), &*data_type)
        && let Value::SingleQuotedString(text) = &literal.value
        && text.trim_start().starts_with('{')
    {
        let wrong = || Error::user(format!("not a list: '{text}'; write it as '{{1,2,NULL}}' or [1, 2, NULL]"));
        **value = list(&mut text.trim().chars().collect(), data_type).ok_or_else(wrong)?;
    }
    Ok(())
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
    (rest.pop_front()? == '{').then_some(())?;
    let mut elem = Vec::new();
    loop {
        while rest.front().is_some_and(|next| next.is_whitespace()) {
            rest.pop_front();
        }
        match rest.front()? {
            '}' if elem.is_empty() => {
                rest.pop_front();
                break;
            }
            '{' => elem.push(elements(rest, of)?),
            _ => elem.push(element(rest, of)?),
        }
        while rest.front().is_some_and(|next| next.is_whitespace()) {
            rest.pop_front();
        }
        match rest.pop_front()? {
            ',' => {}
            '}' => break,
            _ => return None,
        }
    }
    let elements = Expr::Array(Array { elem, named: false });
    Some(cast_to(elements, data_type.clone()))
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
