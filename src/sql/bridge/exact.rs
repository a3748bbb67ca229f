//! Rewrites expressions so that their arithmetic and comparisons mean what ours mean.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::BinaryExpr;

use super::float::{CanonicalFloat, is_float};

/// Makes `+`, `-` and `*` fail where they overflow, and float comparisons follow PostgreSQL.
///
/// Left as Arrow has them: floats in `IN` lists of more than a few values and in `CASE x WHEN`.
pub fn make_exact(expression: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    Ok(expression.transform_up(|node| exact_node(node, schema))?.data)
}

fn exact_node(node: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    let Some(binary) = node.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(node)) };
    match binary.op() {
        Operator::Plus | Operator::Minus | Operator::Multiply => {
            let exact = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone());
            Ok(Transformed::yes(Arc::new(exact.with_fail_on_overflow(true))))
        }
        // A lambda's variables are not columns of `schema`, so its operands may have no type here: leave those.
        op if is_comparison(op) && binary.left().data_type(schema).is_ok_and(|left| is_float(&left)) => {
            let canonical = |operand: &Arc<dyn PhysicalExpr>| -> Arc<dyn PhysicalExpr> {
                Arc::new(CanonicalFloat { operand: operand.clone() })
            };
            Ok(Transformed::yes(Arc::new(BinaryExpr::new(canonical(binary.left()), *op, canonical(binary.right())))))
        }
        _ => Ok(Transformed::no(node)),
    }
}

fn is_comparison(op: &Operator) -> bool {
    use Operator::*;
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
