//! Errors of sqlparser and DataFusion in our words: kind, clean message, place, and what may have been meant.

use datafusion_common::{Column, DataFusionError, SchemaError};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{TokenWithSpan, TokenizerError};

use super::plan::FUNCTIONS;
use crate::error::{Error, Kind, Place};

/// A text that cannot be cut into tokens.
pub(super) fn from_tokenizer(error: TokenizerError) -> Error {
    let place = Place { line: error.location.line, column: error.location.column, width: 1 };
    Error::user(clean(&error.message)).at(Some(place))
}

/// A statement that cannot be read.
pub(super) fn from_parser(error: &ParserError, tokens: &[TokenWithSpan]) -> Error {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.as_str(),
        ParserError::RecursionLimitExceeded => {
            let start = tokens.first().and_then(|token| super::parse::place(token.span));
            return Error::user("the statement is nested too deep").at(start);
        }
    };
    let (message, place) = split_location(message);
    let at_end = message.ends_with("found: EOF");
    let message = message.replace("found: EOF", "found: the end of the statement");
    let width = place.and_then(|place| {
        let token = tokens
            .iter()
            .find(|token| token.span.start.line == place.line && token.span.start.column == place.column)?;
        super::parse::place(token.span)
    });
    let end = tokens.last().filter(|_| at_end).map(|token| Place {
        line: token.span.end.line,
        column: token.span.end.column,
        width: 1,
    });
    Error::user(clean(&message)).at(width.or(place).or(end))
}

/// A statement that DataFusion's parser cannot read.
pub(super) fn from_statement(error: DataFusionError, tokens: &[TokenWithSpan]) -> Error {
    match &error {
        DataFusionError::SQL(parser, _) => from_parser(parser, tokens),
        DataFusionError::Diagnostic(_, inner) => match &**inner {
            DataFusionError::SQL(parser, _) => from_parser(parser, tokens),
            _ => from_datafusion(error),
        },
        _ => from_datafusion(error),
    }
}

/// Takes ` at Line: 1, Column: 8` off a message.
fn split_location(message: &str) -> (String, Option<Place>) {
    let Some(at) = message.rfind(" at Line: ") else { return (message.to_string(), None) };
    let numbers = &message[at + " at Line: ".len()..];
    let place = numbers.split_once(", Column: ").and_then(|(line, column)| {
        let column: String = column.chars().take_while(char::is_ascii_digit).collect();
        Some(Place { line: line.parse().ok()?, column: column.parse().ok()?, width: 1 })
    });
    (message[..at].to_string(), place)
}

/// An error of the planner, the analyzer or the optimizer. The original stays as its cause.
pub(super) fn from_datafusion(error: DataFusionError) -> Error {
    let place = place(&error);
    match take_ours(error) {
        Ok(ours) => ours.at(place),
        Err(error) => Error::user(message(&error)).at(place).caused_by(error),
    }
}

/// Our own error on its way through DataFusion.
pub(super) fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The same error without its place, which points into another text.
pub(super) fn without_place(error: Error) -> Error {
    let message = error.message().to_string();
    match error.kind() {
        _ if error.place().is_none() => error,
        Kind::User => Error::user(message),
        Kind::Outside => Error::outside(message),
        Kind::Bug => Error::bug(message),
        Kind::Cancelled => Error::cancelled(),
    }
}

/// Our error, if it is one that went through DataFusion.
fn take_ours(error: DataFusionError) -> Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => Ok(*ours),
            Err(inner) => Err(DataFusionError::External(inner)),
        },
        DataFusionError::Diagnostic(diagnostic, inner) => {
            take_ours(*inner).map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner)))
        }
        DataFusionError::Context(context, inner) => {
            take_ours(*inner).map_err(|inner| DataFusionError::Context(context, Box::new(inner)))
        }
        DataFusionError::Collection(mut errors) if !errors.is_empty() => match take_ours(errors.remove(0)) {
            Ok(ours) => Ok(ours),
            Err(first) => {
                errors.insert(0, first);
                Err(DataFusionError::Collection(errors))
            }
        },
        other => Err(other),
    }
}

/// The place of the innermost diagnostic that has one.
pub(super) fn place(error: &DataFusionError) -> Option<Place> {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => place(inner).or_else(|| diagnostic.span.and_then(span_place)),
        DataFusionError::Context(_, inner) => place(inner),
        DataFusionError::Shared(inner) => place(inner),
        DataFusionError::Collection(errors) => errors.first().and_then(place),
        _ => None,
    }
}

fn span_place(span: datafusion_common::Span) -> Option<Place> {
    if span.start.line == 0 {
        return None;
    }
    let width =
        if span.start.line == span.end.line { span.end.column.saturating_sub(span.start.column).max(1) } else { 1 };
    Some(Place { line: span.start.line, column: span.start.column, width })
}

fn message(error: &DataFusionError) -> String {
    match error {
        DataFusionError::SchemaError(schema, _) => schema_message(schema),
        DataFusionError::SQL(parser, _) => match &**parser {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
                clean(&split_location(message).0)
            }
            ParserError::RecursionLimitExceeded => "the statement is nested too deep".to_string(),
        },
        DataFusionError::Plan(message) => plan_message(message),
        DataFusionError::Execution(message) | DataFusionError::Configuration(message) => clean(message),
        DataFusionError::NotImplemented(message) => {
            let message = clean(message);
            if message.contains("not supported") || message.starts_with("unsupported") {
                message
            } else {
                format!("not supported: {message}")
            }
        }
        DataFusionError::Internal(message) => format!("the planner could not make sense of this: {}", clean(message)),
        DataFusionError::Diagnostic(_, inner) | DataFusionError::Context(_, inner) => message(inner),
        DataFusionError::Shared(inner) => message(inner),
        DataFusionError::Collection(errors) => errors.first().map_or_else(String::new, message),
        DataFusionError::ArrowError(arrow, _) => clean(&arrow.to_string()),
        other => clean(&other.to_string()),
    }
}

fn schema_message(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let known: Vec<String> = valid_fields.iter().map(|column| column_text(column, field)).collect();
            let wanted = column_text(field, field);
            let meant = closest(&wanted, known.iter().map(String::as_str));
            match meant {
                Some(meant) => format!("column not found: {wanted}; did you mean `{meant}`?"),
                None if known.is_empty() => format!("column not found: {wanted}"),
                None if known.len() <= 12 => format!("column not found: {wanted}; there are: {}", known.join(", ")),
                None => format!("column not found: {wanted}"),
            }
        }
        SchemaError::AmbiguousReference { field } => {
            let name = column_text(field, field);
            format!("column is ambiguous: {name}; put the name of its table before it")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            format!("column appears twice: {name}; give one of them another name with AS")
        }
    }
}

/// A column as the user would write it: with its table only if `like` has one.
fn column_text(column: &Column, like: &Column) -> String {
    match (&column.relation, &like.relation) {
        (Some(table), Some(_)) => format!("{table}.{}", column.name),
        _ => column.name.clone(),
    }
}

/// Cuts prefixes, keeps the first line, starts with a small letter, ends without a full stop.
fn clean(message: &str) -> String {
    const PREFIXES: &[&str] = &[
        "Error during planning: ",
        "Schema error: ",
        "SQL error: ",
        "sql parser error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Invalid or Unsupported Configuration: ",
        "Internal error: ",
        "Parser error: ",
        "Invalid argument error: ",
        "Cast error: ",
        "type_coercion\ncaused by\n",
        "External error: ",
        "Optimizer rule ",
    ];
    let mut rest = message.trim();
    while let Some(prefix) = PREFIXES.iter().find(|prefix| rest.starts_with(**prefix)) {
        rest = rest[prefix.len()..].trim_start();
    }
    let mut lines = rest.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut text = lines.next().unwrap_or_default().trim_end_matches('.').to_string();
    if let Some(hint) = lines.find(|line| line.starts_with("Did you mean")) {
        text.push_str("; ");
        text.push_str(&hint.replacen("Did", "did", 1).replace('\'', "`"));
    }
    let text = lower_first(&text);
    match text.strip_prefix("expected: ") {
        Some(rest) => format!("expected {rest}"),
        None => text,
    }
}

/// Messages of the planner that say too much, in few words.
fn plan_message(message: &str) -> String {
    let quoted = |mark: char, at: usize| message.split(mark).nth(2 * at + 1).unwrap_or_default().to_string();
    if let Some(at) = message.find(" must be in GROUP BY or an aggregate function") {
        let clause = message[..at].rsplit("in ").next().unwrap_or_default();
        return format!("a column in {clause} must be in GROUP BY or inside an aggregate function: {}", quoted('"', 0));
    }
    if message.contains("Invalid function '") && FUNCTIONS.windows.contains_key(&quoted('\'', 0).to_lowercase()) {
        let name = quoted('\'', 0);
        return format!(
            "this function goes by the rows around each row and needs OVER, as in {name}(..) OVER (ORDER BY ..): {name}"
        );
    }
    if message.contains("Invalid function '") {
        let meant = message.split_once("Did you mean '").and_then(|(_, rest)| rest.split('\'').next());
        let meant = meant.filter(|meant| closest(&quoted('\'', 0), std::iter::once(*meant)).is_some());
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        return format!("function not found: {}{hint}", quoted('\'', 0));
    }
    if let Some((_, why)) = message.split_once("user-defined coercion failed with: ") {
        return clean(why.split(" No function matches").next().unwrap_or(why));
    }
    if message.contains("failed to match any signature") {
        let received = message.split_once("but received ").and_then(|(_, rest)| rest.split(" (").next());
        let received = received.map_or_else(String::new, |received| format!(" of type {received}"));
        return format!("function does not take arguments{received}: {}; cast them", quoted('\'', 0));
    }
    if let Some((_, call)) = message.split_once("No function matches the given name and argument types '") {
        let call = call.split('\'').next().unwrap_or_default();
        return format!("function does not take arguments of these types: {call}; cast them");
    }
    if message.contains("require unique expression names") {
        return format!("two columns have the same name: {}; give one of them another name with AS", quoted('"', 0));
    }
    clean(message)
}

/// Words of the language keep their capitals: only a capital before a small letter is lowered.
fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_string(),
    }
}

/// The name that `wanted` was probably meant to be.
pub(super) fn closest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let scored = known.map(|name| (distance(&wanted, &name.to_lowercase()), name));
    scored.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (a, b, expected) in
            [("", "abc", 3), ("price", "price", 0), ("prcie", "price", 1), ("bider", "bidder", 1), ("a", "b", 1)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["bidder", "price", "auction"];
        assert_eq!(closest("bider", known.into_iter()), Some("bidder"));
        assert_eq!(closest("PRICE", known.into_iter()), Some("price"));
        assert_eq!(closest("zzz", known.into_iter()), None);
    }

    #[test]
    fn cleans_messages() {
        assert_eq!(
            clean("Error during planning: Invalid function 'foo'.\nDid you mean 'floor'?"),
            "invalid function 'foo'; did you mean `floor`?"
        );
        assert_eq!(clean("SELECT is odd."), "SELECT is odd");
        assert_eq!(
            split_location("Expected: x, found: y at Line: 3, Column: 17"),
            ("Expected: x, found: y".into(), Some(Place { line: 3, column: 17, width: 1 }))
        );
    }
}
