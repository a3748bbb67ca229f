//! `(a, b) IN (query)` among the conditions of WHERE or HAVING: whether the query has such a row.
//!
//! | written | read as |
//! |---|---|
//! | `(a, b) IN (query)` | `EXISTS (SELECT 1 FROM (query) AS q (c0, c1) WHERE a = c0 AND b = c1)` |
//! | `(a, b) NOT IN (query)` | `NOT EXISTS (SELECT 1 FROM (query) AS q (c0, c1) WHERE (a = c0 AND b = c1) IS NOT FALSE)` |
//!
//! A condition keeps the rows for which it is true, so that NULL and false are the same there.

use std::ops::ControlFlow;

use sqlparser::ast::{BinaryOperator, Expr, Query, Select, Statement, VisitMut, VisitorMut};
use sqlparser::parser::Parser;

use super::tokens::DIALECT;
use crate::error::{Error, Result};

/// Rewrites each of them.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Rewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for condition in [&mut select.selection, &mut select.having].into_iter().flatten() {
            if let Err(error) = rewrite_conditions(condition) {
                return ControlFlow::Break(error);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Each of the conditions that AND connects.
fn rewrite_conditions(condition: &mut Expr) -> Result<()> {
    match condition {
        Expr::Nested(inner) => rewrite_conditions(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            rewrite_conditions(left)?;
            rewrite_conditions(right)
        }
        Expr::InSubquery { expr, subquery, negated } => {
            if let Expr::Tuple(parts) = expr.as_ref()
                && parts.len() > 1
            {
                *condition = has_row(parts, subquery, *negated)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn has_row(parts: &[Expr], query: &Query, negated: bool) -> Result<Expr> {
    let columns: Vec<String> = (0..parts.len()).map(|at| format!("\"__c{at}\"")).collect();
    let equal: Vec<String> = parts.iter().zip(&columns).map(|(part, column)| format!("({part}) = {column}")).collect();
    let (not, end) = if negated { ("NOT ", " IS NOT FALSE") } else { ("", "") };
    let text = format!(
        "{not}EXISTS (SELECT 1 FROM ({query}) AS \"__rows\" ({}) WHERE ({}){end})",
        columns.join(", "),
        equal.join(" AND ")
    );
    let parsed = Parser::new(&DIALECT).try_with_sql(&text).and_then(|mut parser| parser.parse_expr());
    parsed.map_err(|e| Error::user(format!("IN with several columns: {e}")))
}
