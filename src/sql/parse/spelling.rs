//! Other engines' spellings of what there is: functions that are aggregates with a filter or an order, units of time
//! without quotes, patterns of times by letters.
//!
//! | written | read as |
//! |---|---|
//! | `every(x)`, `some(x)` | `bool_and(x)`, `bool_or(x)` |
//! | `countif(x)`, `count_if(x)` | `count(*) FILTER (WHERE x)` |
//! | `arg_max(x, y)`, `max_by(x, y)`, and of min | `first_value(x ORDER BY y DESC, x DESC) FILTER (WHERE y IS NOT NULL)` |
//! | `timestampdiff(DAY, a, b)`, `timestampadd(DAY, n, t)` | the same with `'DAY'` |
//! | `to_char(t, 'YYYY-MM-DD')` | `to_char(t, '%Y-%m-%d')` |

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, OrderByExpr, OrderByOptions, Spanned, Statement, Value,
    visit_expressions_mut,
};

use super::tokens::place;
use crate::error::{Error, Result};

/// Rewrites each such call.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    let walked = visit_expressions_mut(statement, |expr| {
        let at = place(expr.span());
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        match respell(call) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error.at(at)),
        }
    });
    match walked {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

fn respell(call: &mut Function) -> Result<()> {
    let [ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else { return Ok(()) };
    if name.quote_style.is_some() {
        return Ok(());
    }
    match name.value.to_lowercase().as_str() {
        "every" => rename(call, "bool_and"),
        "some" => rename(call, "bool_or"),
        "countif" | "count_if" => count_if(call)?,
        "arg_max" | "argmax" | "max_by" => extreme_by(call, false)?,
        "arg_min" | "argmin" | "min_by" => extreme_by(call, true)?,
        "timestampdiff" | "timestampadd" | "try_timestampdiff" | "try_timestampadd" => quote_unit(call),
        "to_char" => letters_to_percent(call)?,
        _ => {}
    }
    Ok(())
}

fn rename(call: &mut Function, to: &str) {
    if let [ObjectNamePart::Identifier(name)] = call.name.0.as_slice() {
        let name = Ident { value: to.to_string(), ..name.clone() };
        call.name = ObjectName::from(vec![name]);
    }
}

/// The arguments of a call that are expressions; empty where there is another kind among them.
fn plain_args(call: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &call.args else { return Vec::new() };
    let expr = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(expr).collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn add_filter(call: &mut Function, condition: Expr) {
    let nested = |expr: Expr| Expr::Nested(Box::new(expr));
    let filter = match call.filter.take() {
        None => condition,
        Some(filter) => Expr::BinaryOp {
            left: Box::new(nested(*filter)),
            op: BinaryOperator::And,
            right: Box::new(nested(condition)),
        },
    };
    call.filter = Some(Box::new(filter));
}

fn count_if(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [condition] = args.as_slice() else {
        return Err(Error::user("count_if takes one condition"));
    };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        return Err(Error::user("count_if counts rows, so DISTINCT does not go with it"));
    }
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
    add_filter(call, condition.clone());
    rename(call, "count");
    Ok(())
}

/// The value where another one is greatest or least; of several such values the greatest or least, with NULL the least of
/// all, so that it makes no difference in which order rows come.
fn extreme_by(call: &mut Function, is_min: bool) -> Result<()> {
    let args = plain_args(call);
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [value, by] = args.as_slice() else {
        return Err(Error::user(format!("{} takes a value, and what it is chosen by", call.name)));
    };
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
    // A row that comes twice changes nothing.
    list.duplicate_treatment = None;
    let options = OrderByOptions { asc: Some(is_min), nulls_first: Some(is_min) };
    let order = [by, value].map(|expr| OrderByExpr { expr: expr.clone(), options, with_fill: None });
    list.clauses = vec![FunctionArgumentClause::OrderBy(order.to_vec())];
    add_filter(call, Expr::IsNotNull(Box::new(Expr::Nested(Box::new(by.clone())))));
    rename(call, "first_value");
    Ok(())
}

/// Makes the unit that stands first a text.
fn quote_unit(call: &mut Function) {
    let FunctionArguments::List(list) = &mut call.args else { return };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
        && let Expr::Identifier(ident) = unit
        && ident.quote_style.is_none()
    {
        *unit = Expr::value(Value::SingleQuotedString(ident.value.clone()).with_span(ident.span));
    }
}

/// A pattern without `%` is one by letters, as in PostgreSQL.
fn letters_to_percent(call: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(pattern)))] = list.args.as_mut_slice() else {
        return Ok(());
    };
    if let Value::SingleQuotedString(text) = &mut pattern.value
        && !text.contains('%')
    {
        *text = by_percent(text)?;
    }
    Ok(())
}

/// Parts of a pattern by letters, longer ones before their beginnings. What PostgreSQL pads with blanks is written with FM.
const PARTS: &[(&str, &str)] = &[
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("NS", "%9f"),
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MM", "%m"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("TZH:TZM", "%:z"),
];

/// Parts whose case tells how the word is written.
const WORDS: &[(&str, &str)] = &[
    ("FMMonth", "%B"),
    ("FMDay", "%A"),
    ("Mon", "%b"),
    ("Dy", "%a"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
];

fn by_percent(pattern: &str) -> Result<String> {
    let mut format = String::new();
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        let starts = |part: &str| rest.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part));
        if next == '"' {
            let text = &rest[1..];
            let end = text.find('"').ok_or_else(|| Error::user("a \" in the pattern of a time is not closed"))?;
            format.push_str(&text[..end]);
            rest = &text[end + 1..];
        } else if let Some((word, part)) = WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            format.push_str(part);
            rest = &rest[word.len()..];
        } else if let Some((letters, part)) = PARTS.iter().find(|(letters, _)| starts(letters)) {
            format.push_str(part);
            rest = &rest[letters.len()..];
        } else if next.is_ascii_alphabetic() && next != 'T' {
            let known = "to_char knows YYYY MM DD HH24 HH12 MI SS MS US Mon Dy AM and others; words stand between \"\", \
                         and patterns by % are taken too, as in '%Y-%m-%d'";
            return Err(Error::user(format!("not a part of a time: '{rest}' in '{pattern}'; {known}")));
        } else {
            format.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    Ok(format)
}
