//! Comparisons of values of two types, brought to the type that tells both: before the library does, which takes dates and
//! times to nanoseconds (1677 to 2262), floats to decimals, and knows no common type for times of day.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::expr::InList;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, cast};

use super::interval::compares;

/// Casts the sides of comparisons.
pub(super) fn agree(plan: LogicalPlan) -> Result<LogicalPlan> {
    let agreed = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let type_of = |expr: &Expr| expr.get_type(&schema).ok();
        // Both sides in the type that tells both.
        let pair = |left: Expr, right: Expr| match (type_of(&left), type_of(&right)) {
            (Some(a), Some(b)) => match common(&a, &b, &left, &right) {
                Some(to) => (as_type(left, &a, &to), as_type(right, &b, &to), true),
                None => (left, right, false),
            },
            _ => (left, right, false),
        };
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let agreed = expr.transform_up(|expr| match expr {
                Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
                    let (left, right, has_changed) = pair(*left, *right);
                    let both = BinaryExpr { left: Box::new(left), op, right: Box::new(right) };
                    Ok(Transformed::new_transformed(Expr::BinaryExpr(both), has_changed))
                }
                Expr::Between(between) => {
                    let (value, low, first) = pair(between.expr.as_ref().clone(), between.low.as_ref().clone());
                    let (other, high, second) = pair(between.expr.as_ref().clone(), between.high.as_ref().clone());
                    // Both bounds want the same of the value, or it is left to the library.
                    if !first || !second || value != other {
                        return Ok(Transformed::no(Expr::Between(between)));
                    }
                    let made = Between::new(Box::new(value), between.negated, Box::new(low), Box::new(high));
                    Ok(Transformed::yes(Expr::Between(made)))
                }
                Expr::InList(InList { expr, list, negated }) => {
                    let pairs: Vec<_> = list.iter().map(|item| pair(expr.as_ref().clone(), item.clone())).collect();
                    let is_one = pairs.iter().all(|(value, _, has_changed)| *has_changed && *value == pairs[0].0);
                    if pairs.is_empty() || !is_one {
                        return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
                    }
                    let value = pairs[0].0.clone();
                    let list = pairs.into_iter().map(|(_, item, _)| item).collect();
                    Ok(Transformed::yes(Expr::InList(InList { expr: Box::new(value), list, negated })))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(agreed.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(agreed.data)
}

fn as_type(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    if from == to { expr } else { cast(expr, to.clone()) }
}

/// The type that two are compared in, where the library would take another.
fn common(a: &DataType, b: &DataType, left: &Expr, right: &Expr) -> Option<DataType> {
    use DataType::{Date32, Decimal128, Float32, Float64, Time32, Time64, Timestamp};
    let is_literal = |expr: &Expr| matches!(expr, Expr::Literal(..));
    match (a, b) {
        (Date32, time @ Timestamp(_, None)) | (time @ Timestamp(_, None), Date32) => Some(time.clone()),
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) if a != b => Some(Time64(TimeUnit::Nanosecond)),
        // What is written with a point is compared as the decimal that it looks like.
        (Decimal128(..), Float32 | Float64) if !is_literal(right) => Some(Float64),
        (Float32 | Float64, Decimal128(..)) if !is_literal(left) => Some(Float64),
        _ => None,
    }
}
