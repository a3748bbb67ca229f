//! Casts whose meaning is not the type's alone: lengths of texts and bytes, units of intervals.
//!
//! | written | planned as |
//! |---|---|
//! | `CAST(x AS VARCHAR(n))` | `left(CAST(x AS VARCHAR), n)` |
//! | `CAST(x AS CHAR(n))`, `CHAR` being `CHAR(1)` | `rtrim(left(CAST(x AS VARCHAR), n))`: blanks behind are padding, which is not kept |
//! | `CAST(x AS BYTEA)`, `BINARY(n)`, `VARBINARY(n)` | `to_bytea(x)`, `to_binary(x, n)`, `to_varbinary(x, n)` |
//! | `CAST(x AS INTERVAL DAY TO HOUR)` | `to_interval(x, 'DAY TO HOUR')` |
//! | `CAST(ROW(1, 2) AS ROW(a INT, b TINYINT))` | `named_struct('a', CAST(1 AS INT), 'b', CAST(2 AS TINYINT))` |
//! | `CAST(INTERVAL '2' DAY AS BIGINT)` | `interval_units(INTERVAL '2' DAY, 'DAY')`: of one unit that is said |
//!
//! Place       after columns have got their names, which are made of what is written.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryLength, BinaryOperator, CastKind, CharacterLength, DataType as SqlType, DateTimeField, ExactNumberInfo, Expr,
    FunctionArg, FunctionArgExpr, FunctionArguments, Interval, Spanned, StructField, Value, VisitMut,
    visit_expressions_mut,
};
use sqlparser::tokenizer::Span;

use super::define::normalize;
use crate::sql::tree::{call_of, cast, cast_to, number, plain_args, text};

/// Rewrites each such cast of a query or an expression.
pub(super) fn spell_out<N: VisitMut>(node: &mut N) {
    let _ = visit_expressions_mut(node, |expr| {
        if let Some(put) = spelled(expr) {
            *expr = put;
        }
        ControlFlow::<()>::Continue(())
    });
}

/// A type without its length, which arguments of functions do not keep.
pub(super) fn without_length(data_type: &SqlType) -> SqlType {
    match text_length(data_type) {
        Some(_) => SqlType::Varchar(None),
        None => data_type.clone(),
    }
}

fn spelled(expr: &Expr) -> Option<Expr> {
    let Expr::Cast { kind, expr: value, data_type, array: false, format: None } = expr else { return None };
    let span = value.span();
    let call = |name: &str, args: Vec<Expr>| {
        let name = if is_trying(kind) { format!("try_{name}") } else { name.to_string() };
        call_of(&name, args, span)
    };
    let value = value.as_ref();
    if let Some((length, is_padded)) = text_length(data_type) {
        let plain = cast(kind.clone(), value.clone(), SqlType::Varchar(None));
        let cut = match length {
            Some(length) => call_of("left", vec![plain, number(length as i64)], span),
            None => plain,
        };
        return Some(if is_padded { call_of("rtrim", vec![cut], span) } else { cut });
    }
    match data_type {
        SqlType::Binary(length) => {
            Some(call_of("to_binary", vec![as_int(value), number(length.unwrap_or(1) as i64)], span))
        }
        SqlType::Varbinary(Some(BinaryLength::IntegerLength { length })) => {
            Some(call_of("to_varbinary", vec![as_int(value), number(*length as i64)], span))
        }
        SqlType::Bytea | SqlType::Bytes(None) | SqlType::Blob(None) | SqlType::Varbinary(_) => {
            Some(call_of("to_bytea", vec![as_int(value)], span))
        }
        SqlType::Interval { fields: Some(fields), .. } => {
            Some(call("to_interval", vec![value.clone(), text(&fields.to_string())]))
        }
        SqlType::Struct(fields, _) => fields_of(value, kind, fields, span),
        _ if is_number(data_type) => {
            let unit = unit_of(value)?;
            let name = if is_exact(data_type) { "interval_units_exact" } else { "interval_units" };
            let units = call_of(name, vec![value.clone(), text(unit)], span);
            Some(cast(kind.clone(), units, data_type.clone()))
        }
        _ => None,
    }
}

/// A row that is written out, with the names and types of the struct that it becomes.
fn fields_of(value: &Expr, kind: &CastKind, fields: &[StructField], span: Span) -> Option<Expr> {
    let parts: Vec<Expr> = match value {
        Expr::Tuple(parts) => parts.clone(),
        Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => plain_args(call),
        _ => return None,
    };
    if parts.len() != fields.len() {
        return None;
    }
    let mut args = Vec::new();
    for (part, field) in parts.into_iter().zip(fields) {
        args.push(text(&normalize(field.field_name.as_ref()?)));
        let plain = cast(kind.clone(), part, field.field_type.clone());
        args.push(spelled(&plain).unwrap_or(plain));
    }
    Some(call_of("named_struct", args, span))
}

/// How many characters a text type has room for, and whether blanks behind are padding; `None`: another type, or one
/// without a length.
fn text_length(data_type: &SqlType) -> Option<(Option<u64>, bool)> {
    let of = |length: &CharacterLength| match length {
        CharacterLength::IntegerLength { length, .. } => Some(*length),
        CharacterLength::Max => None,
    };
    match data_type {
        SqlType::Varchar(Some(length))
        | SqlType::CharacterVarying(Some(length))
        | SqlType::CharVarying(Some(length))
        | SqlType::Nvarchar(Some(length)) => Some((Some(of(length)?), false)),
        SqlType::Char(length) | SqlType::Character(length) => match length {
            Some(length) => Some((of(length), true)),
            None => Some((Some(1), true)),
        },
        _ => None,
    }
}

fn is_trying(kind: &CastKind) -> bool {
    matches!(kind, CastKind::TryCast | CastKind::SafeCast)
}

fn is_number(data_type: &SqlType) -> bool {
    use SqlType::*;
    matches!(
        data_type,
        TinyInt(_)
            | SmallInt(_)
            | Int(_)
            | Integer(_)
            | BigInt(_)
            | Int2(_)
            | Int4(_)
            | Int8(_)
            | Float(_)
            | Real
            | Double(_)
    ) || is_exact(data_type)
        || matches!(data_type, DoublePrecision)
}

/// Whether a type keeps fractions.
fn is_exact(data_type: &SqlType) -> bool {
    use SqlType::*;
    let has_scale = |info: &ExactNumberInfo| matches!(info, ExactNumberInfo::PrecisionAndScale(_, 1..));
    match data_type {
        Decimal(info) | Numeric(info) | Dec(info) => has_scale(info),
        Float(_) | Real | Double(_) | DoublePrecision => true,
        _ => false,
    }
}

/// The one unit that an interval is written in.
fn unit_of(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::Nested(inner) => unit_of(inner),
        Expr::UnaryOp { expr, .. } => unit_of(expr),
        Expr::Interval(Interval { leading_field: Some(field), last_field: None, .. }) => Some(match field {
            DateTimeField::Year | DateTimeField::Years => "YEAR",
            DateTimeField::Month | DateTimeField::Months => "MONTH",
            DateTimeField::Week(_) | DateTimeField::Weeks => "WEEK",
            DateTimeField::Day | DateTimeField::Days => "DAY",
            DateTimeField::Hour | DateTimeField::Hours => "HOUR",
            DateTimeField::Minute | DateTimeField::Minutes => "MINUTE",
            DateTimeField::Second | DateTimeField::Seconds => "SECOND",
            _ => return None,
        }),
        // As the cast before has been spelled out.
        Expr::Function(call) if call.name.to_string() == "to_interval" => {
            let FunctionArguments::List(list) = &call.args else { return None };
            let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(fields)))] = list.args.as_slice() else {
                return None;
            };
            let Value::SingleQuotedString(fields) = &fields.value else { return None };
            ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"].into_iter().find(|unit| fields == unit)
        }
        // So often a unit, as `(a - b) DAY` is read.
        Expr::BinaryOp { left, op: BinaryOperator::Multiply, right } => unit_of(left).or_else(|| unit_of(right)),
        _ => None,
    }
}

/// A number that is written without a type is an INT where it is one, whose bytes are four.
fn as_int(expr: &Expr) -> Expr {
    let is_small = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(&value.value, Value::Number(digits, _) if digits.parse::<i32>().is_ok()));
    let is_literal = match expr {
        Expr::UnaryOp { expr, .. } => is_small(expr),
        other => is_small(other),
    };
    if is_literal { cast_to(expr.clone(), SqlType::Int(None)) } else { expr.clone() }
}
