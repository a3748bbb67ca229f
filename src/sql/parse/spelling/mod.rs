//! Other engines' spellings of what there is: functions that are aggregates with a filter or an order, units of time
//! without quotes, patterns of times by letters.
//!
//! | written | read as |
//! |---|---|
//! | `every(x)`, `some(x)` | `bool_and(x)`, `bool_or(x)` |
//! | `countif(x)`, `count_if(x)` | `count(*) FILTER (WHERE x)` |
//! | `arg_max(x, y)`, `max_by(x, y)`, and of min | `first_value(x ORDER BY y DESC, x DESC) FILTER (WHERE y IS NOT NULL)` |
//! | `timestampdiff(DAY, a, b)`, `datediff(DAY, a, b)`, `timestampadd(DAY, n, t)` | `timestampdiff('DAY', a, b)` and its kin |
//! | `variance(x)`, `is_nan(x)`, `rlike(x, p)`, `sequence(a, b)`, `array_size(x)`, `array(a, b)`, `grouping_id(x)` | `var_samp`, `isnan`, `regexp_like`, `generate_series`, `array_length`, `make_array`, `grouping` |
//! | `sort_array(x, false)` | `array_sort(x, 'DESC', 'NULLS LAST')` |
//! | `approx_percentile(p)`, with an error `approx_percentile(p, e)` | `approx_percentile_cont(p)`, `percentile_cont(p)` |
//! | `generate_subscripts(x, 1)` | `unnest(generate_series(1, array_length(x, 1)))` |
//! | `CAST(x AS UUID)`, `UUID 'x'` | `to_uuid(x)` |
//! | `INTERVAL '1-2' YEAR TO MONTH`, `INTERVAL n DAY` | `INTERVAL '14 months'`, `n * INTERVAL '1' DAY` |
//! | `FLOOR(t TO HOUR)`, `date(x)`, `sign(x)`, `regexp_replace(x, p)` | `date_trunc('hour', t)`, `CAST(x AS DATE)`, `signum(x)`, `regexp_replace(x, p, '', 'g')` |
//! | `'\x1234'::BYTEA` | `X'1234'` |
//! | `to_char(t, 'YYYY-MM-DD')` | `to_char(t, '%Y-%m-%d')` |
//! | `mode() WITHIN GROUP (ORDER BY x)`, `mode(x)` | `array_mode(array_agg(x ORDER BY x))` |
//! | `percentile_disc(p) WITHIN GROUP (ORDER BY x)` | the element of `array_agg(x ORDER BY x)` at that share of `count(x)` |
//! | `regexp_matches(x, p)` | `unnest(regexp_match_all(x, p))` |
//! | `regexp_replace(x, p, '\&')` | `regexp_replace(x, p, '\0')` |
//! | `to_jsonb(row(a, b))` | `to_jsonb(named_struct('f1', a, 'f2', b))` |
//! | `~x` | `-1 - x` |
//! | `date_trunc('day', t, 'Europe/Berlin')` | the same of `convert_timezone`, there and back |
//! | `make_timestamptz(...)` | `CAST(make_timestamp(...) AS TIMESTAMPTZ)` |

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, DataType, DateTimeField, DuplicateTreatment,
    ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, ObjectNamePart, OrderByExpr, OrderByOptions, Spanned, Statement,
    TimezoneInfo, TypedString, UnaryOperator, Value, visit_expressions_mut,
};
use sqlparser::tokenizer::Span;

use super::tokens::place;
use super::{interval, literal};
use crate::error::{Error, Result};
use crate::function::dialect::interval_of;

/// Rewrites each such call.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    let walked = visit_expressions_mut(statement, |expr| {
        let at = place(expr.span());
        let respelled = match expr {
            Expr::Function(call) if is_date(call) => {
                let args = plain_args(call);
                *expr = cast_to(args[0].clone(), DataType::Date);
                Ok(())
            }
            Expr::Function(call) => {
                respell(call).and_then(|()| replaced(call)).map(|by| by.into_iter().for_each(|by| *expr = by))
            }
            Expr::Cast { .. } | Expr::TypedString(_) => {
                interval::rewrite(expr).and_then(|()| literal::rewrite(expr)).and_then(|()| respell_cast(expr))
            }
            Expr::Interval(_) => respell_interval(expr).and_then(|()| interval::rewrite(expr)),
            Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: inner } => {
                *expr = bitwise_not(inner);
                Ok(())
            }
            Expr::CompoundFieldAccess { access_chain, .. } => {
                // Before a subscript they are parts of the column's name.
                let fields = access_chain.iter_mut().skip_while(|access| matches!(access, AccessExpr::Dot(_)));
                fields.for_each(name_field);
                Ok(())
            }
            Expr::Floor { .. } | Expr::Ceil { .. } => respell_rounding(expr),
            Expr::Extract { .. } => respell_extract(expr),
            // GROUP BY (): all rows are one group.
            Expr::Tuple(parts) if parts.is_empty() => {
                *expr = Expr::GroupingSets(vec![Vec::new()]);
                Ok(())
            }
            _ => return ControlFlow::Continue(()),
        };
        match respelled {
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
        "datediff" if takes_unit(call) => {
            quote_unit(call);
            rename(call, "timestampdiff");
        }
        "variance" => rename(call, "var_samp"),
        "sign" => rename(call, "signum"),
        "strftime" => rename(call, "to_char"),
        "regexp_substr" => rename(call, "regexp_extract"),
        "regexp_replace" => {
            remove_matches(call);
            regexp_replace(call);
        }
        "is_nan" => rename(call, "isnan"),
        "rlike" => rename(call, "regexp_like"),
        "sequence" => rename(call, "generate_series"),
        "array_size" => rename(call, "array_length"),
        "array" if matches!(call.args, FunctionArguments::List(_)) => rename(call, "make_array"),
        "grouping_id" => rename(call, "grouping"),
        "approx_percentile" => approx_percentile(call)?,
        "sort_array" => sort_array(call)?,
        "convert_from" | "get_bit" | "set_bit" | "get_byte" | "set_byte" | "bit_count" | "crc32" | "crc32c" => {
            bytes_first(call)?;
        }
        "generate_subscripts" => subscripts(call)?,
        "to_char" => letters_to_percent(call)?,
        "to_timestamp" | "to_date" if plain_args(call).len() == 2 => letters_to_percent(call)?,
        "to_json" | "to_jsonb" => name_fields(call),
        "percentile_cont" | "quantile_cont" => percentile_cont(call),
        "clock_timestamp" => rename(call, "proctime"),
        "gen_random_uuid" => rename(call, "uuid"),
        _ => {}
    }
    Ok(())
}

/// All bits the other way round: -1 less the number.
fn bitwise_not(number: &Expr) -> Expr {
    let ones =
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(Expr::value(Value::Number("1".to_string(), false))) };
    let number = Box::new(Expr::Nested(Box::new(number.clone())));
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(ones), op: BinaryOperator::Minus, right: number }))
}

/// What stands for a call that no other call does.
fn replaced(call: &mut Function) -> Result<Option<Expr>> {
    let [ObjectNamePart::Identifier(name)] = call.name.0.as_slice() else { return Ok(None) };
    if name.quote_style.is_some() {
        return Ok(None);
    }
    match name.value.to_lowercase().as_str() {
        "mode" => mode(call).map(Some),
        "date_trunc" if plain_args(call).len() == 3 => Ok(Some(date_trunc_in_zone(call))),
        "percentile_disc" => percentile_disc(call).map(Some),
        "make_timestamptz" => {
            rename(call, "make_timestamp");
            let zoned = DataType::Timestamp(None, TimezoneInfo::Tz);
            Ok(Some(cast_to(Expr::Function(call.clone()), zoned)))
        }
        "regexp_matches" => {
            let span = call.name.span();
            rename(call, "regexp_match_all");
            Ok(Some(call_of("unnest", vec![Expr::Function(call.clone())], span)))
        }
        _ => Ok(None),
    }
}

/// The beginning of a unit as the clocks of a time zone have it: there and back.
fn date_trunc_in_zone(call: &Function) -> Expr {
    let (args, span) = (plain_args(call), call.name.span());
    let [unit, time, zone] = args.as_slice() else { return Expr::Function(call.clone()) };
    let utc = || text("UTC");
    let time = cast_to(time.clone(), DataType::Timestamp(None, TimezoneInfo::None));
    let there = call_of("convert_timezone", vec![utc(), zone.clone(), time], span);
    let cut = call_of("date_trunc", vec![unit.clone(), there], span);
    let cut = cast_to(cut, DataType::Timestamp(None, TimezoneInfo::None));
    let back = call_of("convert_timezone", vec![zone.clone(), utc(), cut], span);
    cast_to(back, DataType::Timestamp(None, TimezoneInfo::Tz))
}

/// The one order behind WITHIN GROUP.
fn order_within(call: &Function) -> Result<OrderByExpr> {
    match call.within_group.as_slice() {
        [order] => Ok(order.clone()),
        _ => Err(Error::user(format!("{} takes one order: WITHIN GROUP (ORDER BY x)", call.name))),
    }
}

/// All values of an ordered aggregate as a list in their order, without NULL.
fn values_in_order(call: &Function, order: &OrderByExpr) -> Function {
    let mut values = call.clone();
    values.within_group = Vec::new();
    let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(order.expr.clone()))];
    let clauses = vec![FunctionArgumentClause::OrderBy(vec![order.clone()])];
    values.args = FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses });
    add_filter(&mut values, Expr::IsNotNull(Box::new(Expr::Nested(Box::new(order.expr.clone())))));
    rename(&mut values, "array_agg");
    values
}

/// Of several values that are there equally often the first in the order, which is ascending unless it is said.
fn mode(call: &Function) -> Result<Expr> {
    let order = match (plain_args(call).as_slice(), call.within_group.is_empty()) {
        ([value], true) => OrderByExpr {
            expr: value.clone(),
            options: OrderByOptions { asc: None, nulls_first: None },
            with_fill: None,
        },
        ([], false) => order_within(call)?,
        _ => return Err(Error::user("mode takes one value, mode(x), or an order: mode() WITHIN GROUP (ORDER BY x)")),
    };
    let values = Expr::Function(values_in_order(call, &order));
    Ok(call_of("array_mode", vec![values], call.name.span()))
}

/// The first value in the order at or behind a share of all values.
fn percentile_disc(call: &Function) -> Result<Expr> {
    let args = plain_args(call);
    let [share] = args.as_slice() else {
        return Err(Error::user("percentile_disc takes a share: percentile_disc(0.5) WITHIN GROUP (ORDER BY x)"));
    };
    let order = order_within(call)?;
    let span = call.name.span();
    let values = values_in_order(call, &order);
    let mut count = values.clone();
    if let FunctionArguments::List(list) = &mut count.args {
        list.clauses = Vec::new();
    }
    rename(&mut count, "count");
    let number = |number: &str| Expr::value(Value::Number(number.to_string(), false));
    let share = Expr::Nested(Box::new(share.clone()));
    let binary = |left: Expr, op: BinaryOperator, right: Expr| Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    };
    let double = cast_to(share.clone(), DataType::Double(ExactNumberInfo::None));
    let place = call_of("ceil", vec![binary(double, BinaryOperator::Multiply, Expr::Function(count))], span);
    let place = call_of("greatest", vec![cast_to(place, DataType::BigInt(None)), number("1")], span);
    let is_share = Expr::Between {
        expr: Box::new(share),
        negated: false,
        low: Box::new(number("0")),
        high: Box::new(number("1")),
    };
    // A share that is none has no place.
    let place = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: is_share, result: place }],
        else_result: None,
    };
    Ok(call_of("array_element", vec![Expr::Function(values), place], span))
}

/// `\&` is all that matches, and of the flags i and c the last counts.
fn regexp_replace(call: &mut Function) {
    let FunctionArguments::List(list) = &mut call.args else { return };
    for (at, arg) in list.args.iter_mut().enumerate().skip(2) {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(literal))) = arg
            && let Value::SingleQuotedString(text) = &mut literal.value
        {
            *text = match at {
                2 => text.replace("\\&", "\\0"),
                _ => without_case(text),
            };
        }
    }
    let is_empty = |arg: &FunctionArg| *arg == FunctionArg::Unnamed(FunctionArgExpr::Expr(text("")));
    if list.args.len() == 4 && list.args.last().is_some_and(is_empty) {
        list.args.pop();
    }
}

/// Fields that have no name are `f1`, `f2` in JSON, as in PostgreSQL.
fn name_fields(call: &mut Function) {
    let _ = visit_expressions_mut(&mut call.args, |expr| {
        if let Expr::Function(row) = expr
            && row.name.to_string().eq_ignore_ascii_case("row")
        {
            let fields = plain_args(row).into_iter().enumerate();
            let named = fields.flat_map(|(at, field)| [text(&format!("f{}", at + 1)), field]).collect();
            set_args(row, named);
            rename(row, "named_struct");
        }
        ControlFlow::<()>::Continue(())
    });
}

/// From the greatest down, a share is the rest of all from the least up.
fn percentile_cont(call: &mut Function) {
    if let ([share], [OrderByExpr { options, .. }]) = (plain_args(call).as_slice(), call.within_group.as_mut_slice())
        && options.asc == Some(false)
    {
        options.asc = Some(true);
        let one = Box::new(Expr::value(Value::Number("1".to_string(), false)));
        let share = Box::new(Expr::Nested(Box::new(share.clone())));
        set_args(call, vec![Expr::BinaryOp { left: one, op: BinaryOperator::Minus, right: share }]);
    }
}

/// Flags without `c`, and without the `i` that it takes back.
fn without_case(flags: &str) -> String {
    let last = flags.chars().rfind(|flag| matches!(flag, 'i' | 'c'));
    flags.chars().filter(|flag| *flag != 'c' && (*flag != 'i' || last == Some('i'))).collect()
}

/// `date(x)`, which is a cast.
fn is_date(call: &Function) -> bool {
    call.name.to_string().eq_ignore_ascii_case("date") && call.over.is_none() && plain_args(call).len() == 1
}

fn rename(call: &mut Function, to: &str) {
    if let [ObjectNamePart::Identifier(name)] = call.name.0.as_slice() {
        let name = Ident { value: to.to_string(), ..name.clone() };
        call.name = ObjectName::from(vec![name]);
    }
}

/// The arguments of a call that are expressions; empty where there is another kind among them.
pub(super) fn plain_args(call: &Function) -> Vec<Expr> {
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

/// `list[1].field` as `list[1]['field']`.
fn name_field(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
        let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
        *access = AccessExpr::Dot(text(&name));
    }
}

/// `INTERVAL '1-2' YEAR TO MONTH` as one of 14 months, `INTERVAL '2' QUARTER` as one of six, and `INTERVAL n DAY` as so often a
/// day.
fn respell_interval(expr: &mut Expr) -> Result<()> {
    let Expr::Interval(interval) = expr else { return Ok(()) };
    let Some(first) = interval.leading_field.clone() else { return Ok(()) };
    let (value, is_negative) = match interval.value.as_mut() {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => (expr.as_mut(), true),
        value => (value, false),
    };
    let literal = match value {
        Expr::Value(literal) => literal,
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Nested(_)
        | Expr::Function(_)
        | Expr::Cast { .. }
        | Expr::Case { .. }
            if interval.last_field.is_none() =>
        {
            let count = interval.value.as_ref().clone();
            *interval.value = text("1");
            let one = Expr::Interval(interval.clone());
            let product = Expr::BinaryOp { left: Box::new(count), op: BinaryOperator::Multiply, right: Box::new(one) };
            *expr = Expr::Nested(Box::new(product));
            return Ok(());
        }
        _ => return Ok(()),
    };
    let written = match &literal.value {
        Value::SingleQuotedString(text) | Value::Number(text, _) => text.trim().to_string(),
        _ => return Ok(()),
    };
    let is_quarter = matches!(first, DateTimeField::Quarter);
    let spelled = match &interval.last_field {
        Some(last) => {
            let found = interval_of(&written, &format!("{first} TO {last}").to_uppercase()).map_err(Error::user)?;
            let sign = if is_negative { -1 } else { 1 };
            let (months, days) = (sign * i64::from(found.months), sign * i64::from(found.days));
            format!("{months} months {days} days {} nanoseconds", sign * found.nanoseconds)
        }
        None if is_quarter => {
            let count: i64 =
                written.parse().map_err(|_| Error::user(format!("not a number of quarters: '{written}'")))?;
            let months = count.checked_mul(if is_negative { -3 } else { 3 });
            let months = months.ok_or_else(|| Error::user("so long an interval cannot be told"))?;
            format!("{months} months")
        }
        // Two signs are none.
        None => match written.strip_prefix('-').filter(|_| is_negative) {
            Some(positive) => format!("{positive} {first}"),
            None => return Ok(()),
        },
    };
    let literal = Value::SingleQuotedString(spelled).with_span(literal.span);
    *interval = Interval {
        value: Box::new(Expr::Value(literal)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    };
    Ok(())
}

/// `2024-01-31 9:05` as `2024-01-31T09:05:00`, in a literal.
fn spell_time(literal: &mut Value) {
    let Value::SingleQuotedString(text) = literal else { return };
    let Some((date, rest)) = text.split_once([' ', 'T']) else { return };
    let end = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, ':' | '.')).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let mut parts: Vec<String> = clock.split(':').map(str::to_string).collect();
    let is_short = |part: &String| part.split('.').next().is_some_and(|whole| whole.len() == 1);
    if date.is_empty() || !(2..=3).contains(&parts.len()) || parts.iter().any(String::is_empty) {
        return;
    }
    if parts.len() == 3 && !parts.iter().any(is_short) {
        return;
    }
    parts.resize(3, "00".to_string());
    let padded = parts.iter().map(|part| if is_short(part) { format!("0{part}") } else { part.clone() });
    *text = format!("{date}T{}{zone}", padded.collect::<Vec<_>>().join(":"));
}

/// `FLOOR(t TO HOUR)` is `date_trunc('hour', t)`; `CEIL` is that or the next one.
fn respell_rounding(expr: &mut Expr) -> Result<()> {
    let (value, field, is_up) = match expr {
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(field) } => (expr, field, false),
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(field) } => (expr, field, true),
        _ => return Ok(()),
    };
    if matches!(field, DateTimeField::NoDateTime) {
        return Ok(());
    }
    let span = value.span();
    let unit = field.to_string().to_lowercase();
    let cut = call_of("date_trunc", vec![text(&unit), value.as_ref().clone()], span);
    if !is_up {
        *expr = cut;
        return Ok(());
    }
    let one = if unit == "quarter" { "3 months".to_string() } else { format!("1 {unit}") };
    let one = Expr::Interval(Interval {
        value: Box::new(text(&one)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    });
    let is_whole = binary(cut.clone(), BinaryOperator::Eq, value.as_ref().clone());
    *expr = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition: is_whole, result: cut.clone() }],
        else_result: Some(Box::new(binary(cut, BinaryOperator::Plus, one))),
    };
    Ok(())
}

/// Decades, centuries and millennia, of years as PostgreSQL counts them: the first century has the years 1 to 100.
fn respell_extract(expr: &mut Expr) -> Result<()> {
    let Expr::Extract { field, expr: value, .. } = expr else { return Ok(()) };
    let span = value.span();
    let year = call_of("date_part", vec![text("year"), value.as_ref().clone()], span);
    let part = |name: &str, years: Expr, size: i64| {
        let size = cast_to(number(size), DataType::DoublePrecision);
        call_of(name, vec![binary(years, BinaryOperator::Divide, size)], span)
    };
    let counted = |size: i64| Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: binary(year.clone(), BinaryOperator::Gt, number(0)),
            result: part("ceil", year.clone(), size),
        }],
        else_result: Some(Box::new(part(
            "floor",
            Expr::Nested(Box::new(binary(year.clone(), BinaryOperator::Minus, number(1)))),
            size,
        ))),
    };
    let found = match field {
        DateTimeField::Decade => part("floor", year.clone(), 10),
        DateTimeField::Century => counted(100),
        DateTimeField::Millennium | DateTimeField::Millenium => counted(1_000),
        _ => return Ok(()),
    };
    *expr = cast_to(found, DataType::Int(None));
    Ok(())
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn number(value: i64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

/// `CAST(x AS UUID)` and `UUID 'x'` check and write anew; `'\x12'::BYTEA` is two digits a byte.
fn respell_cast(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Cast { kind, expr: value, data_type: DataType::Uuid, .. } => {
            let is_null = matches!(value.as_ref(), Expr::Value(value) if value.value == Value::Null);
            let name = if *kind == CastKind::TryCast { "try_to_uuid" } else { "to_uuid" };
            let value = match is_null {
                true => cast_to(value.as_ref().clone(), DataType::Text),
                false => value.as_ref().clone(),
            };
            *expr = call_of(name, vec![value], expr.span());
        }
        Expr::TypedString(TypedString { data_type: DataType::Uuid, value, .. }) => {
            let value = Expr::Value(value.clone());
            *expr = call_of("to_uuid", vec![value], expr.span());
        }
        Expr::Cast { expr: value, data_type: DataType::Bytea, .. } => by_digits(value)?,
        Expr::Cast { expr: value, data_type: DataType::Timestamp(..) | DataType::Datetime(_), .. } => {
            if let Expr::Value(literal) = value.as_mut() {
                spell_time(&mut literal.value);
            }
        }
        Expr::TypedString(TypedString {
            data_type: DataType::Timestamp(..) | DataType::Datetime(_), value, ..
        }) => {
            spell_time(&mut value.value);
        }
        _ => {}
    }
    Ok(())
}

/// Makes a text that begins with `\x` the bytes that its digits are.
fn by_digits(expr: &mut Expr) -> Result<()> {
    if let Expr::Value(literal) = expr
        && let Value::SingleQuotedString(text) = &literal.value
        && let Some(digits) = text.strip_prefix("\\x")
    {
        if digits.len() % 2 == 1 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Error::user(format!("not two hexadecimal digits for each byte: '{text}'")));
        }
        literal.value = Value::HexStringLiteral(digits.to_string());
    }
    Ok(())
}

/// What a function of bytes is given as text may be digits.
fn bytes_first(call: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    match list.args.first_mut() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => by_digits(expr),
        _ => Ok(()),
    }
}

pub(super) fn cast_to(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// A call of a function, in the place of something else.
pub(super) fn call_of(name: &str, args: Vec<Expr>, span: Span) -> Expr {
    let ident = Ident { value: name.to_string(), quote_style: None, span };
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![ident]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn set_args(call: &mut Function, args: Vec<Expr>) {
    if let FunctionArguments::List(list) = &mut call.args {
        list.args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    }
}

pub(super) fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_string()))
}

/// In ascending order NULL comes first, else last.
fn sort_array(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let is_ascending = match args.as_slice() {
        [_] => true,
        [_, Expr::Value(value)] if matches!(value.value, Value::Boolean(_)) => value.value == Value::Boolean(true),
        _ => return Err(Error::user("sort_array takes a list, and true or false for ascending or not")),
    };
    let (order, nulls) = if is_ascending { ("ASC", "NULLS FIRST") } else { ("DESC", "NULLS LAST") };
    set_args(call, vec![args[0].clone(), text(order), text(nulls)]);
    rename(call, "array_sort");
    Ok(())
}

/// Who says how exact it is to be gets it exactly: a sketch promises no error.
fn approx_percentile(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let (percentile, name) = match args.as_slice() {
        [percentile] => (percentile, "approx_percentile_cont"),
        [percentile, _] => (percentile, "percentile_cont"),
        _ => {
            return Err(Error::user(
                "approx_percentile takes the percentile, its error if need be, and WITHIN GROUP (ORDER BY ...)",
            ));
        }
    };
    set_args(call, vec![percentile.clone()]);
    rename(call, name);
    Ok(())
}

/// Without a replacement all matches go.
fn remove_matches(call: &mut Function) {
    if let [of, pattern] = plain_args(call).as_slice() {
        set_args(call, vec![of.clone(), pattern.clone(), text(""), text("g")]);
    }
}

/// A row for each place of a list.
fn subscripts(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let (list, dimension, is_reverse) = match args.as_slice() {
        [list, dimension] => (list, dimension, false),
        [list, dimension, Expr::Value(value)] if matches!(value.value, Value::Boolean(_)) => {
            (list, dimension, value.value == Value::Boolean(true))
        }
        _ => {
            return Err(Error::user("generate_subscripts takes a list, a dimension, and true for the other way round"));
        }
    };
    let span = call.name.span();
    let length = call_of("array_length", vec![list.clone(), dimension.clone()], span);
    let one = Expr::value(Value::Number("1".to_string(), false));
    let mut series = call_of("generate_series", vec![one, cast_to(length, DataType::BigInt(None))], span);
    if is_reverse {
        series = call_of("array_reverse", vec![series], span);
    }
    set_args(call, vec![series]);
    rename(call, "unnest");
    Ok(())
}

/// Whether the first argument is a unit's name.
fn takes_unit(call: &Function) -> bool {
    matches!(plain_args(call).as_slice(), [Expr::Identifier(_), _, _])
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
