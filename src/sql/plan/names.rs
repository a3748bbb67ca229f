//! A second try for names: `dateTime` may be written without quotes where no other column differs from it in case only.
//!
//! The planner tells which column it did not find and where; if exactly one of the columns it has there differs in case
//! only, the name is replaced in the statement by the quoted one and the statement is planned again. So are UNKNOWN and PI,
//! which stand for values where no column is called so.

use std::error::Error as _;

use datafusion_common::{Column, DataFusionError, SchemaError, Span};
use sqlparser::tokenizer::{Location as TokenLocation, Span as TokenSpan};

use crate::error::{Error, Result};
use crate::sql::parse::{Parsed, Put, Replacement};

/// The statement with the names that `error` complains of written exactly; `None` if that does not help.
pub(super) fn exact(parsed: &Parsed, error: &Error) -> Option<Result<Parsed>> {
    let mut replacements = Vec::new();
    let cause = error.source()?.downcast_ref::<DataFusionError>()?;
    collect(cause, None, &mut replacements);
    parsed.with_exact_names(&replacements)
}

fn collect(error: &DataFusionError, span: Option<Span>, out: &mut Vec<Replacement>) {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => collect(inner, diagnostic.span.or(span), out),
        DataFusionError::Context(_, inner) => collect(inner, span, out),
        DataFusionError::Shared(inner) => collect(inner, span, out),
        DataFusionError::Collection(errors) => errors.iter().for_each(|error| collect(error, span, out)),
        DataFusionError::External(inner) => {
            let source = inner.downcast_ref::<Error>().and_then(|ours| ours.source());
            if let Some(source) = source.and_then(|source| source.downcast_ref::<DataFusionError>()) {
                collect(source, span, out);
            }
        }
        DataFusionError::SchemaError(schema, _) => {
            if let SchemaError::FieldNotFound { field, valid_fields } = &**schema
                && let Some(put) = only_by_case(field, valid_fields).map(Put::Exact).or_else(|| value(field))
            {
                let span = span.or(field.spans.first());
                let within = span.map(token_span);
                out.push(Replacement { name: field.name.to_lowercase(), within, put });
            }
        }
        _ => {}
    }
}

/// A value that standard SQL gives a name, where no column has it.
fn value(field: &Column) -> Option<Put> {
    match (&field.relation, field.name.as_str()) {
        (None, "unknown") => Some(Put::Sql("CAST(NULL AS BOOLEAN)")),
        (None, "pi") => Some(Put::Sql("pi()")),
        _ => None,
    }
}

fn token_span(span: Span) -> TokenSpan {
    let location = |at: datafusion_common::Location| TokenLocation { line: at.line, column: at.column };
    TokenSpan::new(location(span.start), location(span.end))
}

/// The one name among `valid` that differs from the column's in case only.
fn only_by_case(field: &Column, valid: &[Column]) -> Option<String> {
    let fits = |column: &&Column| {
        let same_table = match (&field.relation, &column.relation) {
            (Some(a), Some(b)) => a.table().eq_ignore_ascii_case(b.table()),
            (Some(_), None) => false,
            (None, _) => true,
        };
        same_table && column.name != field.name && column.name.to_lowercase() == field.name.to_lowercase()
    };
    let mut names: Vec<&str> = valid.iter().filter(fits).map(|column| column.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [only] => Some(only.to_string()),
        _ => None,
    }
}
