//! Clauses that sqlparser reads and DataFusion's planner passes over in silence: refused, for the answer would be wrong;
//! and what its optimizer cannot take.

use std::ops::ControlFlow;

use sqlparser::ast::{
    GroupByExpr, JoinOperator, LimitClause, Query, Select, Spanned, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};
use sqlparser::tokenizer::Span;

use crate::error::{Error, Result};
use crate::sql::parse::place;

/// Refuses a query with a clause that would be ignored.
pub(super) fn check(query: &Query) -> Result<()> {
    match query.visit(&mut Refuser) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Refuser;

impl Visitor for Refuser {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        let has_limit_by = match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit_by, .. }) => !limit_by.is_empty(),
            _ => false,
        };
        let ignored = [
            (!query.locks.is_empty(), "FOR UPDATE and FOR SHARE"),
            (query.for_clause.is_some(), "FOR XML, JSON and BROWSE"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
            (has_limit_by, "LIMIT BY"),
            (query.order_by.as_ref().is_some_and(|order_by| order_by.interpolate.is_some()), "INTERPOLATE"),
        ];
        refuse(&ignored, query.span())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        let modifiers = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => modifiers,
        };
        let mut joins = select.from.iter().flat_map(|table| &table.joins);
        let has_asof = joins.any(|join| matches!(join.join_operator, JoinOperator::AsOf { .. }));
        let ignored = [
            (!modifiers.is_empty(), "GROUP BY ... WITH (use ROLLUP(...), CUBE(...) or GROUPING SETS)"),
            (select.into.is_some(), "SELECT INTO (use CREATE TABLE ... AS)"),
            (select.prewhere.is_some(), "PREWHERE (use WHERE)"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (select.value_table_mode.is_some(), "SELECT AS STRUCT and AS VALUE"),
            (select.select_modifiers.is_some(), "SELECT modifiers"),
            (has_asof, "ASOF JOIN"),
        ];
        refuse(&ignored, select.select_token.0.span)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Error> {
        let ignored = match factor {
            TableFactor::Table {
                with_hints,
                version,
                with_ordinality,
                args,
                partitions,
                json_path,
                sample,
                index_hints,
                ..
            } => [
                (sample.is_some(), "TABLESAMPLE"),
                (version.is_some(), "AS OF"),
                (*with_ordinality && args.is_none(), "WITH ORDINALITY of a table"),
                (!partitions.is_empty(), "PARTITION in FROM"),
                (json_path.is_some(), "a path behind a table"),
                (!with_hints.is_empty() || !index_hints.is_empty(), "table hints"),
            ],
            TableFactor::Derived { sample: Some(_), .. } => [(true, "TABLESAMPLE"); 6],
            _ => return ControlFlow::Continue(()),
        };
        refuse(&ignored, factor.span())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        refuse(&[(matches!(value.value, Value::Placeholder(_)), "a parameter")], value.span)
    }
}

fn refuse(ignored: &[(bool, &str)], span: Span) -> ControlFlow<Error> {
    match ignored.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => ControlFlow::Break(Error::user(format!("not supported: {what}")).at(place(span))),
        None => ControlFlow::Continue(()),
    }
}
