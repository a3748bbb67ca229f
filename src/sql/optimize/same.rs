//! What gives the same: plans asked again, and values that are equal.

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::{Expr, LogicalPlan};

use crate::sql::catalog::CatalogTable;

/// Whether a plan gives the same rows each time: it reads tables that end and can be read again, and nothing in it is volatile.
pub(in crate::sql) fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let is_fleeting = plan.exists(|plan| {
        Ok(match plan {
            LogicalPlan::TableScan(scan) => {
                let table = scan.source.downcast_ref::<CatalogTable>();
                table.is_none_or(|table| !table.table.is_bounded() || table.table.is_read_once())
            }
            LogicalPlan::Extension(_) | LogicalPlan::RecursiveQuery(_) => true,
            _ => false,
        })
    })?;
    Ok(!is_fleeting && !is_volatile(plan)?)
}

/// Whether an expression somewhere in a plan, or in the subqueries of its expressions, has another value each time.
pub(super) fn is_volatile(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|plan| {
        found = plan.expressions().iter().any(Expr::is_volatile);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Whether values of a type may be equal, and so stand in one group, though an expression tells them apart: 0.0 and -0.0, a
/// month and thirty days.
pub(super) fn has_unlike_equals(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Interval(_) => true,
        DataType::Dictionary(_, values) => has_unlike_equals(values),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => has_unlike_equals(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_unlike_equals(field.data_type())),
        _ => false,
    }
}
