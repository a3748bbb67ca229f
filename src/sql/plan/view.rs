//! Views: a named query, planned wherever it is read.

use datafusion_common::Column;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::context::Context;
use super::query;
use crate::error::{Error, Result};
use crate::sql::catalog::View;
use crate::sql::error::from_datafusion;
use crate::sql::parse::{CreateView, Statement, place};

/// The plan of a view's query, its columns named as the view says.
pub(super) fn plan(context: &Context<'_>, view: &View) -> Result<LogicalPlan> {
    match &view.parsed.statement {
        Statement::CreateView(statement) => plan_statement(context, statement),
        _ => Err(Error::bug(format!("a view is made by CREATE VIEW: {}", view.name))),
    }
}

pub(super) fn plan_statement(context: &Context<'_>, statement: &CreateView) -> Result<LogicalPlan> {
    let plan = query::plan(context, &statement.query)?;
    if statement.columns.is_empty() {
        return Ok(plan);
    }
    let count = plan.schema().fields().len();
    if statement.columns.len() != count {
        let message = format!("the view names {} columns, but its query has {count}", statement.columns.len());
        return Err(Error::user(message).at(place(statement.columns[0].span)));
    }
    let columns = plan.schema().columns();
    let named = columns.into_iter().zip(&statement.columns).map(|(column, ident): (Column, _)| {
        let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
        Expr::Column(column).alias(name)
    });
    LogicalPlanBuilder::from(plan).project(named).and_then(|builder| builder.build()).map_err(from_datafusion)
}
