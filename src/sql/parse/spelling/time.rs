//! Spellings of times: units without quotes, patterns by letters, FLOOR and CEIL to a unit, parts in centuries.

use sqlparser::ast::{
    BinaryOperator, CeilFloorKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Interval, Spanned, TimezoneInfo, Value,
};

use crate::error::{Error, Result};
use crate::sql::tree::{binary, call_of, cast_to, nested, number, plain_args, text, when};

/// The beginning of a unit as the clocks of a time zone have it: there and back.
pub(super) fn date_trunc_in_zone(call: &Function) -> Expr {
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

/// `FLOOR(t TO HOUR)` is `date_trunc('hour', t)`; `CEIL` is that or the next one.
pub(super) fn respell_rounding(expr: &mut Expr) -> Result<()> {
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
    *expr = when(is_whole, cut.clone(), Some(binary(cut, BinaryOperator::Plus, one)));
    Ok(())
}

/// Decades, centuries and millennia, of years as PostgreSQL counts them: the first century has the years 1 to 100.
pub(super) fn respell_extract(expr: &mut Expr) -> Result<()> {
    let Expr::Extract { field, expr: value, .. } = expr else { return Ok(()) };
    let span = value.span();
    let year = call_of("date_part", vec![text("year"), value.as_ref().clone()], span);
    let part = |name: &str, years: Expr, size: i64| {
        let size = cast_to(number(size), DataType::DoublePrecision);
        call_of(name, vec![binary(years, BinaryOperator::Divide, size)], span)
    };
    let counted = |size: i64| {
        let before = nested(binary(year.clone(), BinaryOperator::Minus, number(1)));
        let is_after_christ = binary(year.clone(), BinaryOperator::Gt, number(0));
        when(is_after_christ, part("ceil", year.clone(), size), Some(part("floor", before, size)))
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

/// `2024-01-31 9:05` as `2024-01-31T09:05:00`, in a literal.
pub(super) fn spell_time(literal: &mut Value) {
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

/// Whether the first argument is a unit's name.
pub(super) fn takes_unit(call: &Function) -> bool {
    matches!(plain_args(call).as_slice(), [Expr::Identifier(_), _, _])
}

/// Makes the unit that stands first a text.
pub(super) fn quote_unit(call: &mut Function) {
    let FunctionArguments::List(list) = &mut call.args else { return };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
        && let Expr::Identifier(ident) = unit
        && ident.quote_style.is_none()
    {
        *unit = Expr::value(Value::SingleQuotedString(ident.value.clone()).with_span(ident.span));
    }
}

/// A pattern without `%` is one by letters, as in PostgreSQL.
pub(super) fn letters_to_percent(call: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(pattern)))] = list.args.as_mut_slice() else {
        return Ok(());
    };
    // Of a stretch of time these are no letters.
    let is_word = |text: &str| matches!(text.to_ascii_lowercase().as_str(), "pretty" | "iso8601");
    if let Value::SingleQuotedString(text) = &mut pattern.value
        && !text.contains('%')
        && !is_word(text)
    {
        *text = by_percent(text)?;
    }
    Ok(())
}

/// What a pattern by letters leaves open is the first of it, hours of 12 without a half of the day are those of the
/// morning: both `to_timestamp('2024-05 9', 'YYYY-MM HH12')` and its kin.
pub(super) fn complete_pattern(call: &mut Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [
        FunctionArg::Unnamed(FunctionArgExpr::Expr(value)),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(pattern))),
    ] = list.args.as_mut_slice()
    else {
        return Ok(());
    };
    let Value::SingleQuotedString(written) = &mut pattern.value else { return Ok(()) };
    if written.contains('%') {
        return Ok(());
    }
    let mut format = by_percent(written)?;
    let has = |format: &str, parts: &[&str]| parts.iter().any(|part| format.contains(part));
    if !has(&format, &["%p", "%P"]) {
        format = format.replace("%I", "%H");
    }
    let (mut more, mut rest) = (String::new(), String::new());
    let mut add = |part: &str, first: &str| {
        more += &format!(" {part}");
        rest += &format!(" {first}");
    };
    if has(&format, &["%Y", "%y"]) && !has(&format, &["%j", "%G"]) {
        if !has(&format, &["%m", "%b", "%B"]) {
            add("%m", "01");
        }
        if !has(&format, &["%d"]) {
            add("%d", "01");
        }
    }
    if has(&format, &["%H", "%I"]) && !has(&format, &["%M"]) {
        add("%M", "00");
    }
    if !more.is_empty() {
        *value = nested(binary(value.clone(), BinaryOperator::StringConcat, text(&rest)));
    }
    *written = format + &more;
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

/// `make_interval(years, months, weeks, days, hours, minutes, seconds)`, those that are given.
pub(super) fn make_interval(call: &Function) -> Result<Expr> {
    const UNITS: &[&str] = &["year", "month", "week", "day", "hour", "minute", "second"];
    let counts = plain_args(call);
    let is_empty = matches!(&call.args, FunctionArguments::List(list) if list.args.is_empty());
    if counts.len() > UNITS.len() || counts.is_empty() && !is_empty {
        return Err(Error::user(format!("make_interval takes {} in this order, or fewer", UNITS.join("s, "))));
    }
    let one = |unit: &str| Expr::Interval(whole_interval(format!("1 {unit}")));
    let parts = counts.iter().zip(UNITS);
    let parts = parts.map(|(count, unit)| binary(nested(count.clone()), BinaryOperator::Multiply, one(unit)));
    let sum = parts.reduce(|sum, part| binary(sum, BinaryOperator::Plus, part));
    Ok(nested(sum.unwrap_or_else(|| Expr::Interval(whole_interval("0 second".to_string())))))
}

fn whole_interval(written: String) -> Interval {
    Interval {
        value: Box::new(text(&written)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }
}
