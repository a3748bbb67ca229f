//! Computed columns of CREATE TABLE, planned against the columns that the source has.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::{Expr, ExprSchemable};
use datafusion_sql::planner::PlannerContext;

use super::context::Context;
use super::define::normalize;
use super::watermark::exact_names;
use super::{cast, simplify, sql_function};
use crate::error::{Error, Result};
use crate::sql::catalog::Computed;
use crate::sql::error::from_datafusion;
use crate::sql::parse::{ComputedColumn, place};

/// Plans the computed columns of a table whose source has the columns of `read`, and those of `all` with its system
/// columns; the table's columns, and how each of the computed ones follows.
pub(super) fn plan(
    context: &Context<'_>,
    columns: &[ComputedColumn],
    read: &SchemaRef,
    all: &SchemaRef,
) -> Result<(SchemaRef, Vec<Computed>)> {
    let mut fields: Vec<Arc<Field>> = read.fields().iter().cloned().collect();
    let source = DFSchema::try_from(all.as_ref().clone()).map_err(from_datafusion)?;
    let mut computed = Vec::new();
    for column in columns {
        let name = normalize(&column.name);
        let at = place(column.name.span);
        if fields.iter().any(|field| *field.name() == name) {
            return Err(Error::user(format!("column appears twice: {name}")).at(at));
        }
        let mut expr = column.expr.clone();
        sql_function::expand(context, &mut expr)?;
        cast::spell_out(&mut expr);
        let expr = exact_names(&expr, &source);
        let planned = context.planner().sql_to_expr(expr, &source, &mut PlannerContext::new());
        let expr = planned.and_then(|expr| simplify(expr, &source, context.config())).map_err(from_datafusion)?;
        let data_type = expr.get_type(&source).map_err(from_datafusion)?;
        fields.insert(column.position.min(fields.len()), Arc::new(Field::new(&name, data_type, true)));
        let bare = |expr: Expr| match expr {
            Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
            other => Ok(Transformed::no(other)),
        };
        let expr = expr.transform(bare).map_err(from_datafusion)?.data;
        computed.push(Computed { name, expr, text: column.expr.to_string() });
    }
    Ok((Arc::new(Schema::new(fields)), computed))
}
