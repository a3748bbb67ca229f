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
//! | `~x` | `bit_not(x)` |
//! | `date_trunc('day', t, 'Europe/Berlin')` | the same of `convert_timezone`, there and back |
//! | `x SIMILAR TO 'a%'` | `x ~ '^(?:a.*)$'` |
//! | `make_interval(y, m)`, `format('%s!', x)`, `booleq(a, b)` | `y * INTERVAL '1 year' + ...`, `concat('', x, '!')`, `a = b` |
//! | `ARRAY(query)`, `a && b` of lists, `list[:2]` | a list of its rows, `array_has_any(a, b)`, `list[1:2]` |
//! | `array_upper(x, 1)`, `trim_array(x, n)`, `map_contains(m, k)` | `array_length(x, 1)` where it is not 0, a slice, `array_has(map_keys(m), k)` |
//! | `(x).field`, `(ROW(1, 2)).f1` | `x['field']`, `ROW(1, 2)['c0']` |
//! | `make_timestamptz(...)` | `CAST(make_timestamp(...) AS TIMESTAMPTZ)` |

mod aggregate; // aggregates with a filter or an order
mod json; //      -> and ->>, functions that make JSON
mod similar; //   SIMILAR TO
mod time; //      times, and their units

use sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, ObjectNamePart, Spanned, Statement, Subscript, TimezoneInfo, TypedString, UnaryOperator, Value,
    WindowFrameBound, WindowSpec, WindowType,
};

use self::aggregate::{approx_percentile, count_if, extreme_by, mode, percentile_cont, percentile_disc};
pub(in crate::sql) use self::json::row_function;
use self::time::{
    complete_pattern, date_trunc_in_zone, letters_to_percent, quote_unit, respell_extract, respell_rounding,
    spell_time, takes_unit,
};
use super::tokens::place;
use super::{interval, literal, written};
use crate::error::{Error, Result};
use crate::sql::tree::{binary, call_of, cast_to, nested, number, plain_args, text, when};

/// Rewrites each such call.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    written::rewrite(statement, |expr| {
        let at = place(expr.span());
        let respelled = match expr {
            Expr::Function(call) if is_date(call) => {
                let args = plain_args(call);
                *expr = cast_to(args[0].clone(), DataType::Date);
                Ok(())
            }
            Expr::Function(call) => {
                plain_frame(call);
                respell(call).and_then(|()| replaced(call)).map(|by| by.into_iter().for_each(|by| *expr = by))
            }
            Expr::Cast { .. } | Expr::TypedString(_) => {
                interval::rewrite(expr).and_then(|()| literal::rewrite(expr)).and_then(|()| respell_cast(expr))
            }
            Expr::Interval(_) => interval::rewrite(expr),
            Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: inner } => {
                *expr = call_of("bit_not", vec![inner.as_ref().clone()], inner.span());
                Ok(())
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                // Before a subscript they are parts of a column's name, behind parentheses fields.
                let is_name = matches!(root.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let fields =
                    access_chain.iter_mut().skip_while(|access| is_name && matches!(access, AccessExpr::Dot(_)));
                fields.for_each(name_field);
                number_fields(root, access_chain);
                Ok(())
            }
            Expr::AtTimeZone { time_zone, .. } if !matches!(time_zone.as_ref(), Expr::Value(_)) => Err(Error::user(
                "AT TIME ZONE takes a zone that is written in the query; convert_timezone(from, to, ts) takes one of a column",
            )),
            Expr::BinaryOp { left, op: BinaryOperator::PGOverlap, right } => {
                *expr = call_of("array_has_any", vec![left.as_ref().clone(), right.as_ref().clone()], left.span());
                Ok(())
            }
            Expr::BinaryOp { left, op, right } => {
                json::operator(left, op, right).map(|by| by.into_iter().for_each(|by| *expr = by))
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                similar::escape(pattern, escape_char)
            }
            Expr::Value(literal) => {
                if let Value::UnicodeStringLiteral(text) = &literal.value {
                    literal.value = Value::SingleQuotedString(text.clone());
                }
                Ok(())
            }
            Expr::SimilarTo { negated, expr: of, pattern, escape_char } => {
                similar::pattern(of, pattern, escape_char.as_ref(), *negated).map(|by| *expr = by)
            }
            Expr::Floor { .. } | Expr::Ceil { .. } => respell_rounding(expr),
            Expr::Extract { .. } => respell_extract(expr),
            // GROUP BY (): all rows are one group.
            Expr::Tuple(parts) if parts.is_empty() => {
                *expr = Expr::GroupingSets(vec![Vec::new()]);
                Ok(())
            }
            _ => return Ok(()),
        };
        respelled.map_err(|error: Error| error.at(at))
    })
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
        "to_timestamp" | "to_date" if plain_args(call).len() == 2 => complete_pattern(call)?,
        "to_json" | "to_jsonb" => name_fields(call),
        "percentile_cont" | "quantile_cont" => percentile_cont(call),
        "clock_timestamp" => rename(call, "proctime"),
        "gen_random_uuid" => rename(call, "uuid"),
        "casefold" => rename(call, "lower"),
        "collect" => rename(call, "array_agg"),
        "listagg" => aggregate::listagg(call),
        "format_date" | "format_time" => {
            if let [pattern, value] = plain_args(call).as_slice() {
                set_args(call, vec![value.clone(), pattern.clone()]);
                rename(call, "to_char");
            }
        }
        "approx_count_distinct" => rename(call, "approx_distinct"),
        "map_from_key_values" => rename(call, "map"),
        "map_length" => rename(call, "cardinality"),
        "format" => format_text(call)?,
        _ => {}
    }
    Ok(())
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
        "booleq" | "boolne" => match plain_args(call).as_slice() {
            [left, right] => {
                let op =
                    if name.value.eq_ignore_ascii_case("booleq") { BinaryOperator::Eq } else { BinaryOperator::NotEq };
                Ok(Some(nested(binary(left.clone(), op, right.clone()))))
            }
            _ => Ok(None),
        },
        // JSON as JSON is what it is.
        "to_json" | "to_jsonb" => match plain_args(call).as_slice() {
            [json] if json::is_json(json) => {
                let is_jsonb = name.value.eq_ignore_ascii_case("to_jsonb");
                Ok(Some(nested(if is_jsonb { json::in_usual_form(json) } else { json.clone() })))
            }
            _ => Ok(None),
        },
        "array" => match &call.args {
            FunctionArguments::Subquery(query) => super::rows::list_of(query).map(Some),
            _ => Ok(None),
        },
        "array_lower" | "array_upper" => match plain_args(call).as_slice() {
            [list, dimension] => {
                let length = call_of("array_length", vec![list.clone(), dimension.clone()], call.name.span());
                let length = cast_to(length, DataType::BigInt(None));
                let is_lower = name.value.eq_ignore_ascii_case("array_lower");
                // A list begins at 1, if it has an element.
                let place = if is_lower { number(1) } else { length.clone() };
                Ok(Some(when(binary(length, BinaryOperator::Gt, number(0)), place, None)))
            }
            _ => Ok(None),
        },
        "trim_array" => match plain_args(call).as_slice() {
            [list, count] => {
                let span = call.name.span();
                let length = cast_to(call_of("array_length", vec![list.clone()], span), DataType::BigInt(None));
                let last = call_of("trimmed_length", vec![length, count.clone()], span);
                Ok(Some(call_of("array_slice", vec![list.clone(), number(1), last], span)))
            }
            _ => Ok(None),
        },
        "e" if matches!(&call.args, FunctionArguments::List(list) if list.args.is_empty()) => {
            Ok(Some(call_of("exp", vec![number(1)], call.name.span())))
        }
        "map_contains" | "map_contains_key" => match plain_args(call).as_slice() {
            [map, key] => {
                let keys = call_of("map_keys", vec![map.clone()], call.name.span());
                Ok(Some(call_of("array_has", vec![keys, key.clone()], call.name.span())))
            }
            _ => Ok(None),
        },
        "make_interval" => time::make_interval(call).map(Some),
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
        name => json::replaced(name, call),
    }
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

/// Distances of a frame are literals, whatever they are cast to.
fn plain_frame(call: &mut Function) {
    let Some(WindowType::WindowSpec(WindowSpec { window_frame: Some(frame), .. })) = &mut call.over else { return };
    for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
        if let WindowFrameBound::Preceding(Some(distance)) | WindowFrameBound::Following(Some(distance)) = bound
            && let Expr::Cast { expr: inner, .. } = distance.as_ref()
            && let Expr::Value(literal) = inner.as_ref()
            && matches!(literal.value, Value::Number(..))
        {
            *distance = inner.clone();
        }
    }
}

/// `format('a %s b', x)` is `concat('a ', x, ' b')`.
fn format_text(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let [Expr::Value(pattern), values @ ..] = args.as_slice() else { return Err(format_usage()) };
    let Value::SingleQuotedString(pattern) = &pattern.value else { return Err(format_usage()) };
    let (mut parts, mut plain, mut values) = (Vec::new(), String::new(), values.iter());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match (letter, if letter == '%' { letters.next() } else { None }) {
            ('%', Some('s')) => {
                parts.push(text(&std::mem::take(&mut plain)));
                parts.push(values.next().cloned().ok_or_else(format_usage)?);
            }
            ('%', Some('%')) => plain.push('%'),
            ('%', _) => return Err(format_usage()),
            (other, _) => plain.push(other),
        }
    }
    parts.push(text(&plain));
    set_args(call, parts);
    rename(call, "concat");
    Ok(())
}

fn format_usage() -> Error {
    Error::user("format takes a literal with %s for each value behind it, and %% for a percent sign")
}

/// Fields that have no name are `f1`, `f2` in JSON, as in PostgreSQL; those of a row that is cast get the names of its type.
fn name_fields(call: &mut Function) {
    let FunctionArguments::List(list) = &mut call.args else { return };
    for arg in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
            name_fields_in(expr);
        }
    }
    if call.name.to_string().eq_ignore_ascii_case("row") {
        let fields = plain_args(call).into_iter().enumerate();
        let named = fields.flat_map(|(at, field)| [text(&format!("f{}", at + 1)), field]).collect();
        set_args(call, named);
        rename(call, "named_struct");
    }
}

fn name_fields_in(expr: &mut Expr) {
    match expr {
        Expr::Function(call) => name_fields(call),
        Expr::Nested(inner) => name_fields_in(inner),
        Expr::Array(array) => array.elem.iter_mut().for_each(name_fields_in),
        _ => {}
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

/// `list[1].field` as `list[1]['field']`.
fn name_field(access: &mut AccessExpr) {
    // From the first element on, up to the last one.
    if let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = access {
        lower_bound.get_or_insert_with(|| number(1));
        upper_bound.get_or_insert_with(|| number(i32::MAX.into()));
    }
    if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
        let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
        *access = AccessExpr::Dot(text(&name));
    }
}

/// Fields of a row that is written out have no names: `(ROW(1, 2)).f1` is the first.
fn number_fields(root: &Expr, access_chain: &mut [AccessExpr]) {
    let mut inner = root;
    while let Expr::Nested(within) = inner {
        inner = within;
    }
    let is_row = match inner {
        Expr::Tuple(_) => true,
        Expr::Function(call) => call.name.to_string().eq_ignore_ascii_case("row"),
        _ => false,
    };
    if let (true, Some(AccessExpr::Dot(field))) = (is_row, access_chain.first_mut())
        && let Expr::Value(name) = &*field
        && let Value::SingleQuotedString(name) = &name.value
        && let Some(place) = name.strip_prefix('f').and_then(|digits| digits.parse::<usize>().ok())
        && place > 0
    {
        *field = text(&format!("c{}", place - 1));
    }
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
        Expr::Cast { kind, expr: value, data_type: data_type @ (DataType::JSON | DataType::JSONB), .. } => {
            *expr = json::checked(value, kind, data_type, value.span());
        }
        Expr::TypedString(TypedString { data_type: data_type @ (DataType::JSON | DataType::JSONB), value, .. }) => {
            *expr = json::checked(&Expr::Value(value.clone()), &CastKind::Cast, data_type, value.span);
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

fn set_args(call: &mut Function, args: Vec<Expr>) {
    if let FunctionArguments::List(list) = &mut call.args {
        list.args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    }
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
    let mut series = call_of("generate_series", vec![number(1), cast_to(length, DataType::BigInt(None))], span);
    if is_reverse {
        series = call_of("array_reverse", vec![series], span);
    }
    set_args(call, vec![series]);
    rename(call, "unnest");
    Ok(())
}
