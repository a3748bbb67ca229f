//! Comparisons of values of two types, brought to the type that tells both: before the library does, which takes dates and
//! times to nanoseconds (1677 to 2262), floats to decimals, and knows no common type for times of day and for records
//! whose fields have other names.

use arrow::datatypes::DataType::Struct;
use arrow::datatypes::{DataType, FieldRef, Fields, TimeUnit};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::expr::{Case, InList};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::type_coercion::binary::comparison_coercion;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, cast, lit};

use super::interval::compares;
use crate::sql::plan::FUNCTIONS;

/// Casts the sides of comparisons.
pub(super) fn agree(plan: LogicalPlan) -> Result<LogicalPlan> {
    let agreed = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let type_of = |expr: &Expr| expr.get_type(&schema).ok();
        // Both sides in the type that tells both.
        let pair = |left: Expr, right: Expr| match (type_of(&left), type_of(&right)) {
            (Some(Struct(a)), Some(Struct(b))) if have_other_names(&a, &b) => {
                let (left, right) = (with_names(left, &a, &a, &b), with_names(right, &b, &a, &b));
                (left, right, true)
            }
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

/// Whether records are told apart by the names of their fields alone; the library compares by names where they are the same.
fn have_other_names(a: &Fields, b: &Fields) -> bool {
    let names = |fields: &Fields| {
        let mut names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        names.sort();
        names
    };
    let inside = |(a, b): (&FieldRef, &FieldRef)| match (a.data_type(), b.data_type()) {
        (Struct(a), Struct(b)) => have_other_names(a, b),
        _ => false,
    };
    a.len() == b.len() && (names(a) != names(b) || a.iter().zip(b.iter()).any(inside))
}

/// A record as one of numbered fields, each of the type that both sides of a comparison can have; NULL where it is NULL.
fn with_names(record: Expr, fields: &Fields, a: &Fields, b: &Fields) -> Expr {
    let scalars = &FUNCTIONS.scalars;
    let mut args = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let part = match &record {
            Expr::ScalarFunction(call) if call.func.name() == "struct" => call.args[at].clone(),
            Expr::ScalarFunction(call) if call.func.name() == "named_struct" => call.args[2 * at + 1].clone(),
            _ => scalars["get_field"].call(vec![record.clone(), lit(field.name().as_str())]),
        };
        let part = match (a[at].data_type(), b[at].data_type(), field.data_type()) {
            (Struct(a), Struct(b), Struct(fields)) if a.len() == b.len() => with_names(part, fields, a, b),
            (a, b, own) => match comparison_coercion(a, b) {
                Some(to) if to != *own => cast(part, to),
                _ => part,
            },
        };
        args.extend([lit(format!("c{at}")), part]);
    }
    let made = scalars["named_struct"].call(args);
    match record {
        Expr::ScalarFunction(call) if matches!(call.func.name(), "struct" | "named_struct") => made,
        record => {
            let otherwise = Some(Box::new(made));
            Expr::Case(Case::new(None, vec![(Box::new(record.is_null()), Box::new(lit(ScalarValue::Null)))], otherwise))
        }
    }
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
