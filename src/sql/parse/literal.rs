//! Values of several parts as PostgreSQL writes them: `'{1,2,NULL}'::INT[]` is a list, and `ROW(1, 'a')::STRUCT<a INT, b TEXT>` names
//! the fields of a row by their places.

use sqlparser::ast::{Array, ArrayElemTypeDef, CastKind, DataType, Expr, Function, Ident, StructField, Value};

use super::spelling::{call_of, cast_to, plain_args, text};
use crate::error::{Error, Result};

/// What stands for a cast of such a value.
pub(super) fn rewrite(expr: &mut Expr) -> Result<()> {
    let Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: value, data_type, .. } = expr else {
        return Ok(());
    };
    match (value.as_mut(), &*data_type) {
        (Expr::Value(literal), DataType::Array(_)) => {
            if let Value::SingleQuotedString(text) = &literal.value
                && text.trim_start().starts_with('{')
            {
                let wrong = || Error::user(format!("not a list: '{text}'; write it as '{{1,2,NULL}}' or [1, 2, NULL]"));
                **value = list(&mut text.trim().chars().collect(), data_type).ok_or_else(wrong)?;
            }
        }
        (Expr::Function(row), DataType::Struct(fields, _)) if row.name.to_string().eq_ignore_ascii_case("row") => {
            if let Some(named) = by_place(row, fields) {
                *expr = named;
            }
        }
        _ => {}
    }
    Ok(())
}

/// The values of a row under the names of a struct's fields, as many.
fn by_place(row: &Function, fields: &[StructField]) -> Option<Expr> {
    let values = plain_args(row);
    let names = fields.iter().map(|field| field.field_name.as_ref()).collect::<Option<Vec<&Ident>>>()?;
    if values.len() != names.len() {
        return None;
    }
    let name = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    let typed = values.into_iter().zip(fields).map(|(value, field)| cast_to(value, field.field_type.clone()));
    let args = names.into_iter().zip(typed).flat_map(|(ident, value)| [text(&name(ident)), value]).collect();
    Some(call_of("named_struct", args, row.name.0.first()?.as_ident()?.span))
}

/// A list in braces, of a type; `None`: it is none.
fn list(rest: &mut std::collections::VecDeque<char>, data_type: &DataType) -> Option<Expr> {
    let elem = elements(rest, data_type)?;
    rest.is_empty().then_some(elem)
}

fn elements(rest: &mut std::collections::VecDeque<char>, data_type: &DataType) -> Option<Expr> {
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
fn element(rest: &mut std::collections::VecDeque<char>, data_type: &DataType) -> Option<Expr> {
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
