//! `WATERMARK FOR column AS expr`, planned against the table it belongs to.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable};
use datafusion_sql::planner::PlannerContext;

use super::context::Context;
use super::simplify;
use crate::error::{Error, Result};
use crate::pipeline::{WatermarkRules, time_unit};
use crate::sql::catalog::Watermark;
use crate::sql::error::from_datafusion;
use crate::sql::parse::WatermarkClause;

/// Resolves a watermark's names and makes its type that of the time column.
pub(super) fn plan(context: &Context<'_>, clause: &WatermarkClause, schema: &Arc<Schema>) -> Result<Watermark> {
    let name = column_name(clause, schema)?;
    let field = schema.field_with_name(&name)?;
    if time_unit(field.data_type()).is_none() {
        let message = format!("a watermark needs a TIMESTAMP column: {name} is {}", field.data_type());
        return Err(Error::user(message).at(clause.place));
    }
    let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(from_datafusion)?;
    let planned =
        context.planner().sql_to_expr(exact_names(&clause.expr, &schema), &schema, &mut PlannerContext::new());
    let expr = planned.and_then(|expr| simplify(expr, &schema, context.config())).map_err(from_datafusion)?;
    let expr_type = expr.get_type(&schema).map_err(from_datafusion)?;
    if time_unit(&expr_type).is_none() {
        return Err(Error::user(format!("a watermark must be a TIMESTAMP: {expr} is {expr_type}")).at(clause.place));
    }
    let expr = match &expr {
        Expr::Literal(value, _) if value.is_null() => {
            Expr::Literal(ScalarValue::try_new_null(field.data_type()).map_err(from_datafusion)?, None)
        }
        _ => expr.cast_to(field.data_type(), &schema).map_err(from_datafusion)?,
    };
    let bare = |expr: Expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    };
    let expr = expr.transform(bare).map_err(from_datafusion)?.data;
    Ok(Watermark { column: name, expr, text: clause.expr.to_string(), rules: WatermarkRules::default() })
}

fn column_name(clause: &WatermarkClause, schema: &Schema) -> Result<String> {
    let ident = &clause.column;
    let wanted = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
    find(&wanted, ident.quote_style.is_some(), schema.fields().iter().map(|field| field.name().as_str())).ok_or_else(
        || {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            Error::user(format!(
                "the watermark's column is not in the table: {wanted}; there are: {}",
                names.join(", ")
            ))
            .at(clause.place)
        },
    )
}

/// The exact name among `known`, else the only one that differs in case.
fn find<'a>(wanted: &str, is_quoted: bool, known: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if known.clone().any(|name| name == wanted) {
        return Some(wanted.to_string());
    }
    let mut same = known.filter(|name| !is_quoted && name.eq_ignore_ascii_case(wanted));
    let found = same.next()?;
    same.next().is_none().then(|| found.to_string())
}

/// Quotes unquoted names that only differ in case from a column.
pub(super) fn exact_names(expr: &sqlparser::ast::Expr, schema: &DFSchema) -> sqlparser::ast::Expr {
    let mut expr = expr.clone();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let _ = sqlparser::ast::visit_expressions_mut(&mut expr, |part| {
        if let sqlparser::ast::Expr::Identifier(ident) = part
            && ident.quote_style.is_none()
            && let Some(exact) = find(&ident.value.to_lowercase(), false, known.iter().copied())
        {
            ident.value = exact;
            ident.quote_style = Some('"');
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    expr
}
