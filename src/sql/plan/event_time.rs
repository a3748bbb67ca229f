//! Which column of a plan carries event time, for windows that do not name one.

use datafusion_common::Column;
use datafusion_expr::{Expr, LogicalPlan};

use super::as_of::AsOfNode;
use super::operator::OperatorNode;
use super::window::WindowNode;
use crate::error::{Error, Result};
use crate::pipeline::time_unit;
use crate::sql::catalog::CatalogTable;

/// The watermark's column, wherever the plan has carried it; without a watermark, the only TIMESTAMP column.
pub(super) fn of(plan: &LogicalPlan) -> Result<Column> {
    if let Some(column) = carried(plan) {
        return Ok(column);
    }
    let is_time = |field: &arrow::datatypes::Field| time_unit(field.data_type()).is_some();
    let times: Vec<Column> = plan.schema().iter().filter(|(_, field)| is_time(field)).map(Column::from).collect();
    match times.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::user("a window needs a TIMESTAMP column, and its input has none")),
        several => {
            let names: Vec<&str> = several.iter().map(Column::name).collect();
            let message = format!(
                "the window must name its time column: its input has no watermark and several: {}",
                names.join(", ")
            );
            Err(Error::user(message))
        }
    }
}

/// The watermark's column, where the plan has carried it.
pub(super) fn carried(plan: &LogicalPlan) -> Option<Column> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let watermark = scan.source.downcast_ref::<CatalogTable>()?.watermark.as_ref()?;
            Some(Column::new(Some(scan.table_name.clone()), &watermark.column))
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let inner = carried(&alias.input)?;
            Some(Column::new(Some(alias.alias.clone()), inner.name))
        }
        LogicalPlan::Projection(projection) => {
            let inner = carried(&projection.input)?;
            let is_inner = |expr: &Expr| match expr {
                Expr::Alias(alias) => matches!(&*alias.expr, Expr::Column(column) if *column == inner),
                Expr::Column(column) => *column == inner,
                _ => false,
            };
            let at = projection.expr.iter().position(is_inner)?;
            Some(Column::from(projection.schema.qualified_field(at)))
        }
        LogicalPlan::Filter(filter) => carried(&filter.input),
        LogicalPlan::Sort(sort) => carried(&sort.input),
        LogicalPlan::Limit(limit) => carried(&limit.input),
        LogicalPlan::Join(join) => match (carried(&join.left), carried(&join.right)) {
            (Some(one), None) | (None, Some(one)) => Some(one),
            _ => None,
        },
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<AsOfNode>() {
            Some(as_of) => carried(&as_of.left),
            None => match extension.node.as_any().downcast_ref::<OperatorNode>() {
                Some(node) => {
                    carried(&node.input)?;
                    Some(Column::from(node.schema.qualified_field(node.operator.event_time?)))
                }
                None => carried(&extension.node.as_any().downcast_ref::<WindowNode>()?.input),
            },
        },
        _ => None,
    }
}
