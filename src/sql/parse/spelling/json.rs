//! JSON in texts as PostgreSQL writes it: operators, and functions that make it.
//!
//! | written | read as |
//! |---|---|
//! | `j -> 'a'`, `j -> 0`, `j ->> 'a'` | `json_get(j, 'a')`, `json_get(j, 0)`, `json_get_text(j, 'a')` |
//! | `j #> '{a,0}'`, `j #>> '{a,0}'`, `jsonb_extract_path(j, 'a', '0')` | `json_step(json_step(j, 'a'), '0')` and its kin |
//! | `CAST(x AS JSONB)`, `JSONB 'x'`, `TRY_CAST(x AS JSONB)` | `jsonb(x)`, `try_jsonb(x)`; of JSON `json(x)` |
//! | `jsonb_agg(x)`, `jsonb_object_agg(k, v)` | `to_jsonb(array_agg(x))`, and a text of members |
//! | `jsonb_build_object('a', x)`, `jsonb_build_array(x)` | a text of members or elements |
//! | `jsonb_array_elements(j)` and its kin in SELECT | `unnest(json_elements(j))` |
//!
//! A text is a JSON string, unless it is seen to be JSON itself: a call of these functions, or a cast to JSON or JSONB.

use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Function, Spanned, Value};
use sqlparser::tokenizer::Span;

use super::{rename, set_args};
use crate::error::{Error, Result};
use crate::sql::parse::dialect::JSON_MEMBER;
use crate::sql::parse::literal;
use crate::sql::tree::{binary, call_of, cast_to, nested, plain_args, text, when};

/// What stands for an operator of JSON; `None`: it is another.
pub(super) fn operator(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Option<Expr>> {
    let call = |name: &str| Ok(Some(call_of(name, vec![left.clone(), right.clone()], left.span())));
    match op {
        BinaryOperator::Custom(name) if name == JSON_MEMBER => call("json_get"),
        BinaryOperator::LongArrow => call("json_get_text"),
        BinaryOperator::HashArrow => path(left, &steps(right)?, false).map(Some),
        BinaryOperator::HashLongArrow => path(left, &steps(right)?, true).map(Some),
        BinaryOperator::AtArrow if is_json(left) || is_json(right) => call("json_contains"),
        BinaryOperator::ArrowAt if is_json(left) || is_json(right) => {
            Ok(Some(call_of("json_contains", vec![right.clone(), left.clone()], left.span())))
        }
        _ => Ok(None),
    }
}

/// What stands for a call of a function that makes JSON or takes it apart; `None`: it is another.
pub(super) fn replaced(name: &str, call: &mut Function) -> Result<Option<Expr>> {
    let span = call.name.span();
    let plain = name.strip_prefix("jsonb_").or_else(|| name.strip_prefix("json_"));
    let Some(plain) = plain else { return Ok(None) };
    let args = plain_args(call);
    let form = if name.starts_with("jsonb_") { "to_jsonb" } else { "to_json" };
    Ok(match plain {
        "typeof" | "array_length" | "strip_nulls" | "contains" | "exists" => {
            rename(call, &format!("json_{plain}"));
            None
        }
        "array_elements" => Some(rows_of("json_elements", args, span)),
        "array_elements_text" => Some(rows_of("json_elements_text", args, span)),
        "object_keys" => Some(rows_of("json_keys", args, span)),
        "extract_path" | "extract_path_text" => match args.as_slice() {
            [json, steps @ ..] if !steps.is_empty() => Some(path(json, steps, plain.ends_with("_text"))?),
            _ => return Err(Error::user(format!("{name} takes JSON, and the names of the path into it"))),
        },
        "agg" => {
            rename(call, "array_agg");
            let values = Expr::Function(call.clone());
            match args.as_slice() {
                // Its elements are JSON already.
                [value] if is_json(value) => {
                    set_args(call, vec![in_usual_form(value)]);
                    let values = Expr::Function(call.clone());
                    let elements = call_of("array_to_string", vec![values, text(", "), text("null")], span);
                    Some(nested(concat(vec![text("["), elements, text("]")])))
                }
                _ => Some(call_of(form, vec![values], span)),
            }
        }
        "object_agg" => match args.as_slice() {
            [key, value] => {
                let name = match &call.filter {
                    None => quoted(key, span),
                    // Of rows that do not count a name may be NULL.
                    Some(filter) => when(filter.as_ref().clone(), quoted(key, span), None),
                };
                let member = concat(vec![name, text(": "), json_of(value, span)]);
                set_args(call, vec![member, text(", ")]);
                rename(call, "string_agg");
                let members = concat(vec![text("{"), Expr::Function(call.clone()), text("}")]);
                Some(call_of("jsonb", vec![members], span))
            }
            _ => return Err(Error::user(format!("{name} takes the name and the value of a member"))),
        },
        "build_array" => {
            let mut parts = vec![text("[")];
            for (at, value) in args.iter().enumerate() {
                parts.extend((at > 0).then(|| text(", ")));
                parts.push(json_of(value, span));
            }
            parts.push(text("]"));
            Some(nested(concat(parts)))
        }
        "build_object" if args.len().is_multiple_of(2) => {
            let mut parts = vec![text("{")];
            for (at, member) in args.chunks(2).enumerate() {
                parts.extend((at > 0).then(|| text(", ")));
                parts.extend([quoted(&member[0], span), text(": "), json_of(&member[1], span)]);
            }
            parts.push(text("}"));
            Some(call_of("jsonb", vec![concat(parts)], span))
        }
        "build_object" => return Err(Error::user(format!("{name} takes names and values of members in turn"))),
        _ => None,
    })
}

/// What stands for a cast to JSON or JSONB: the text checked, and of JSONB in its usual form.
pub(super) fn checked(value: &Expr, kind: &CastKind, data_type: &DataType, span: Span) -> Expr {
    let is_trying = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
    let name = if *data_type == DataType::JSON { "json" } else { "jsonb" };
    match value {
        Expr::Value(literal) if literal.value == Value::Null => cast_to(value.clone(), DataType::Text),
        _ if is_trying => call_of(&format!("try_{name}"), vec![value.clone()], span),
        _ => call_of(name, vec![value.clone()], span),
    }
}

/// Whether a text is seen to be JSON.
pub(super) fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_json(inner),
        Expr::Function(call) => {
            const NAMES: &[&str] = &[
                "json",
                "try_json",
                "jsonb",
                "try_jsonb",
                "json_get",
                "json_step",
                "to_json",
                "to_jsonb",
                "json_strip_nulls",
            ];
            NAMES.contains(&call.name.to_string().to_lowercase().as_str())
        }
        _ => false,
    }
}

/// JSON in the form of JSONB.
pub(super) fn in_usual_form(json: &Expr) -> Expr {
    match json {
        Expr::Nested(inner) => in_usual_form(inner),
        Expr::Function(call)
            if ["json", "try_json", "to_json"].contains(&call.name.to_string().to_lowercase().as_str()) =>
        {
            call_of("jsonb", vec![json.clone()], call.name.span())
        }
        _ => json.clone(),
    }
}

fn rows_of(name: &str, args: Vec<Expr>, span: Span) -> Expr {
    call_of("unnest", vec![call_of(name, args, span)], span)
}

/// The steps of a path: `'{a,b,0}'`, or a list.
fn steps(path: &Expr) -> Result<Vec<Expr>> {
    let wrong = || Error::user(format!("not a path into JSON: {path}; write it as '{{a,b,0}}', or use json_step"));
    match path {
        Expr::Value(literal) => {
            let Value::SingleQuotedString(written) = &literal.value else { return Err(wrong()) };
            literal::texts(written).ok_or_else(wrong)
        }
        Expr::Array(array) => Ok(array.elem.clone()),
        Expr::Nested(inner) => steps(inner),
        _ => Err(wrong()),
    }
}

fn path(json: &Expr, steps: &[Expr], as_text: bool) -> Result<Expr> {
    let Some((last, before)) = steps.split_last() else {
        return Err(Error::user("a path into JSON has a step at least"));
    };
    let step = |name: &str, json: Expr, step: &Expr| call_of(name, vec![json, step.clone()], step.span());
    let inner = before.iter().fold(json.clone(), |json, next| step("json_step", json, next));
    Ok(step(if as_text { "json_step_text" } else { "json_step" }, inner, last))
}

/// A value as JSON, `null` for NULL.
fn json_of(value: &Expr, span: Span) -> Expr {
    let json = match is_json(value) {
        true => in_usual_form(value),
        false => call_of("to_jsonb", vec![value.clone()], span),
    };
    call_of("coalesce", vec![json, text("null")], span)
}

/// The name of a member.
fn quoted(name: &Expr, span: Span) -> Expr {
    call_of("json_name", vec![cast_to(nested(name.clone()), DataType::Text)], span)
}

/// Texts one behind the other; NULL where one of them is.
fn concat(parts: Vec<Expr>) -> Expr {
    let joined = parts.into_iter().reduce(|all, next| binary(all, BinaryOperator::StringConcat, next));
    joined.map_or_else(|| text(""), nested)
}

/// Functions in FROM that make rows of JSON, and the list that the rows are.
pub(in crate::sql) fn row_function(name: &str) -> Option<&'static str> {
    Some(match name {
        "jsonb_array_elements" | "json_array_elements" => "json_elements",
        "jsonb_array_elements_text" | "json_array_elements_text" => "json_elements_text",
        "jsonb_object_keys" | "json_object_keys" => "json_keys",
        _ => return None,
    })
}
