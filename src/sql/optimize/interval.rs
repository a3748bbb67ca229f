//! Intervals compared by how long they are: `INTERVAL '36' HOUR > INTERVAL '1' DAY`, with months of 30 days.
//!
//! The library orders them by months, then days, then the rest. What has columns on a side is measured where it is
//! compiled, so that conditions on event times stay what they are; constants are measured here, before they are folded,
//! and so is what ORDER BY names, and what MIN and MAX compare. Their text is PostgreSQL's, there and back.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction, Sort};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};

use crate::sql::plan::FUNCTIONS;
use crate::time::ticks_per_second;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// The operators that tell two values apart by their order or equality.
pub fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// The comparison of two intervals as that of their lengths.
pub fn compare_lengths(left: Expr, op: Operator, right: Expr) -> BinaryExpr {
    BinaryExpr { left: Box::new(length(left)), op, right: Box::new(length(right)) }
}

fn length(interval: Expr) -> Expr {
    let function = Arc::clone(&FUNCTIONS.scalars["interval_nanoseconds"]);
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![interval]))
}

/// The shortest or the longest interval: the first of them by their lengths, and of equally long ones by what they look like.
fn extreme(call: AggregateFunction) -> Expr {
    let is_min = call.func.name() == "min";
    let arg = call.params.args[0].clone();
    let by = |expr: Expr| Sort { expr, asc: is_min, nulls_first: false };
    let order = vec![by(length(arg.clone())), by(cast(arg.clone(), DataType::Utf8))];
    let there = arg.clone().is_not_null();
    let filter = match call.params.filter {
        Some(filter) => filter.and(there),
        None => there,
    };
    let first = Arc::clone(&FUNCTIONS.aggregates["first_value"]);
    Expr::AggregateFunction(AggregateFunction::new_udf(first, vec![arg], false, Some(Box::new(filter)), order, None))
}

/// A part of an interval, or of the difference of two times, as PostgreSQL has it: hours up to 23 beside the days.
fn part_of_span(args: &[Expr], data_type: &DataType) -> Option<Expr> {
    let Expr::Literal(part, _) = &args[0] else { return None };
    let part = part.try_as_str().flatten()?.to_lowercase();
    let (kind, span) = match data_type {
        DataType::Interval(_) => ("interval", cast(args[1].clone(), INTERVAL)),
        DataType::Duration(_) => ("span", micros(args[1].clone())),
        _ => return None,
    };
    let function = |what: &str| &FUNCTIONS.scalars[&format!("{kind}_{what}")];
    Some(match part.as_str() {
        "epoch" => function("epoch").call(vec![span]),
        "nanosecond" | "nanoseconds" => function("part").call(vec![lit(part), span]),
        _ => cast(function("part").call(vec![lit(part), span]), DataType::Int32),
    })
}

/// The difference of two times as so many microseconds.
fn micros(span: Expr) -> Expr {
    cast(cast(span, DataType::Duration(TimeUnit::Microsecond)), DataType::Int64)
}

/// An interval as a text.
fn text_of(of: Cast) -> Expr {
    cast(FUNCTIONS.scalars["interval_text"].call(vec![*of.expr]), of.field.data_type().clone())
}

/// A text as an interval, where it is one.
fn of_text(text: Expr, name: &str) -> Expr {
    FUNCTIONS.scalars[name].call(vec![cast(text, DataType::Utf8View)])
}

/// The unit of the coarser one of two timestamps, where that is the second.
fn coarser(from: &DataType, to: &DataType) -> Option<&'static str> {
    let (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) = (from, to) else { return None };
    let name = match to {
        TimeUnit::Second => "second",
        TimeUnit::Millisecond => "millisecond",
        TimeUnit::Microsecond => "microsecond",
        TimeUnit::Nanosecond => return None,
    };
    (ticks_per_second(*to) < ticks_per_second(*from)).then_some(name)
}

/// Measures constants that are compared, and what rows are ordered by.
pub(super) fn measure(plan: LogicalPlan) -> Result<LogicalPlan> {
    let measured = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let is_interval = |expr: &Expr| expr.get_type(&schema).is_ok_and(|data_type| data_type == INTERVAL);
        let is_nested = |expr: &Expr| expr.get_type(&schema).is_ok_and(|data_type| data_type.is_nested());
        let is_span = |expr: &Expr| matches!(expr.get_type(&schema), Ok(DataType::Duration(_)));
        let is_text = |expr: &Expr| expr.get_type(&schema).is_ok_and(|data_type| data_type.is_string());
        let is_sort = matches!(plan, LogicalPlan::Sort(_));
        plan.map_expressions(|expr| {
            if is_sort && is_interval(&expr) {
                return Ok(Transformed::yes(length(expr)));
            }
            let name = names.save(&expr);
            let measured = expr.transform_up(|expr| match expr {
                Expr::BinaryExpr(BinaryExpr { left, op, right })
                    if compares(op)
                        && is_interval(&left)
                        && is_interval(&right)
                        && left.column_refs().is_empty()
                        && right.column_refs().is_empty() =>
                {
                    Ok(Transformed::yes(Expr::BinaryExpr(compare_lengths(*left, op, *right))))
                }
                Expr::AggregateFunction(call)
                    if matches!(call.func.name(), "min" | "max") && call.params.args.iter().all(is_interval) =>
                {
                    Ok(Transformed::yes(extreme(call)))
                }
                Expr::ScalarFunction(call) if call.func.name() == "date_part" => {
                    let of = call.args.get(1).and_then(|arg| arg.get_type(&schema).ok());
                    Ok(match of.and_then(|data_type| part_of_span(&call.args, &data_type)) {
                        Some(part) => Transformed::yes(part),
                        None => Transformed::no(Expr::ScalarFunction(call)),
                    })
                }
                // A number alone is seconds; the library has months.
                Expr::Cast(of) if *of.field.data_type() == INTERVAL && is_text(&of.expr) => {
                    Ok(Transformed::yes(of_text(*of.expr, "text_interval")))
                }
                Expr::TryCast(of) if *of.field.data_type() == INTERVAL && is_text(&of.expr) => {
                    Ok(Transformed::yes(of_text(*of.expr, "try_text_interval")))
                }
                Expr::Cast(of) if of.field.data_type().is_string() && is_span(&of.expr) => {
                    let text = FUNCTIONS.scalars["span_text"].call(vec![micros(*of.expr)]);
                    Ok(Transformed::yes(cast(text, of.field.data_type().clone())))
                }
                // The library would leave NULL away inside.
                Expr::Cast(of) if of.field.data_type().is_string() && is_nested(&of.expr) => {
                    let text = FUNCTIONS.scalars["nested_text"].call(vec![*of.expr]);
                    Ok(Transformed::yes(cast(text, of.field.data_type().clone())))
                }
                // The library would cut what it folds towards 1970.
                Expr::Cast(of) if of.expr.column_refs().is_empty() => {
                    let unit = of.expr.get_type(&schema).ok().and_then(|from| coarser(&from, of.field.data_type()));
                    Ok(match unit {
                        Some(unit) => {
                            let cut = FUNCTIONS.scalars["date_trunc"].call(vec![lit(unit), *of.expr]);
                            Transformed::yes(cast(cut, of.field.data_type().clone()))
                        }
                        None if is_interval(&of.expr) && of.field.data_type().is_string() => {
                            Transformed::yes(text_of(of))
                        }
                        None => Transformed::no(Expr::Cast(of)),
                    })
                }
                Expr::Cast(of) if is_interval(&of.expr) && of.field.data_type().is_string() => {
                    Ok(Transformed::yes(text_of(of)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(measured.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(measured.data)
}
