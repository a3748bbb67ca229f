//! Rewrites expressions so that their arithmetic and comparisons mean what ours mean.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{BinaryExpr, CaseExpr, InListExpr, in_list, lit};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::float::{CanonicalFloat, is_float};

/// Makes `+`, `-` and `*` fail where they overflow, and float comparisons follow PostgreSQL, those of `IN`, `CASE x WHEN`
/// and `NULLIF` among them.
pub fn make_exact(expression: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    Ok(expression.transform_up(|node| exact_node(node, schema))?.data)
}

fn exact_node(node: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    if let Some(case) = node.downcast_ref::<CaseExpr>() {
        return case_node(case, &node, schema);
    }
    if let Some(list) = node.downcast_ref::<InListExpr>() {
        return list_node(list, &node, schema);
    }
    if let Some(call) = node.downcast_ref::<ScalarFunctionExpr>() {
        return call_node(call, &node, schema);
    }
    let Some(binary) = node.downcast_ref::<BinaryExpr>() else { return Ok(Transformed::no(node)) };
    match binary.op() {
        Operator::Plus | Operator::Minus | Operator::Multiply => {
            let exact = BinaryExpr::new(binary.left().clone(), *binary.op(), binary.right().clone());
            Ok(Transformed::yes(Arc::new(exact.with_fail_on_overflow(true))))
        }
        // A lambda's variables are not columns of `schema`, so its operands may have no type here: leave those.
        op if is_comparison(op) && binary.left().data_type(schema).is_ok_and(|left| is_float(&left)) => {
            let (left, right) = (canonical(binary.left()), canonical(binary.right()));
            Ok(Transformed::yes(Arc::new(BinaryExpr::new(left, *op, right))))
        }
        _ => Ok(Transformed::no(node)),
    }
}

type Node = Arc<dyn PhysicalExpr>;

fn canonical(operand: &Node) -> Node {
    Arc::new(CanonicalFloat { operand: operand.clone() })
}

fn compares_floats(operand: &Node, schema: &Schema) -> bool {
    operand.data_type(schema).is_ok_and(|data_type| is_float(&data_type))
}

/// `CASE x WHEN y THEN ...` of floats: `x` and every `y` in canonical form.
fn case_node(case: &CaseExpr, node: &Node, schema: &Schema) -> Result<Transformed<Node>> {
    let Some(base) = case.expr().filter(|base| compares_floats(base, schema)) else {
        return Ok(Transformed::no(node.clone()));
    };
    let branches = case.when_then_expr().iter().map(|(when, then)| (canonical(when), then.clone())).collect();
    let exact = CaseExpr::try_new(Some(canonical(base)), branches, case.else_expr().cloned())?;
    Ok(Transformed::yes(Arc::new(exact)))
}

/// `x IN (...)` of floats: all of them in canonical form.
fn list_node(list: &InListExpr, node: &Node, schema: &Schema) -> Result<Transformed<Node>> {
    if !compares_floats(list.expr(), schema) {
        return Ok(Transformed::no(node.clone()));
    }
    let items = list.list().iter().map(canonical).collect();
    Ok(Transformed::yes(in_list(canonical(list.expr()), items, &list.negated(), schema)?))
}

/// `NULLIF(x, y)` of floats as the CASE that it stands for, which gives `x` as it is.
fn call_node(call: &ScalarFunctionExpr, node: &Node, schema: &Schema) -> Result<Transformed<Node>> {
    let ("nullif", [x, y]) = (call.name(), call.args()) else { return Ok(Transformed::no(node.clone())) };
    if !compares_floats(x, schema) {
        return Ok(Transformed::no(node.clone()));
    }
    let same: Node = Arc::new(BinaryExpr::new(canonical(x), Operator::Eq, canonical(y)));
    let null = lit(ScalarValue::try_from(&x.data_type(schema)?)?);
    Ok(Transformed::yes(Arc::new(CaseExpr::try_new(None, vec![(same, null)], Some(x.clone()))?)))
}

fn is_comparison(op: &Operator) -> bool {
    use Operator::*;
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
