//! Intervals multiplied and divided by numbers, which the planner's library does not have.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{DFSchema, Result as PlanResult};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion_expr::{Expr, ExprSchemable, cast};
use sqlparser::ast::BinaryOperator;

use super::functions::FUNCTIONS;

/// Plans `3 * INTERVAL '1' DAY`, either way round, as `interval_times`, and `INTERVAL '1' DAY / 3` as `interval_divide`.
#[derive(Debug)]
pub(super) struct IntervalPlanner;

impl ExprPlanner for IntervalPlanner {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        if let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema))
            && left != right
            && is_time_of_day(&left)
            && is_time_of_day(&right)
        {
            // The library knows no common type of two units.
            let finest = DataType::Time64(TimeUnit::Nanosecond);
            let [left, right] = [raw.left, raw.right].map(|side| cast(side, finest.clone()));
            return Ok(PlannerResult::Original(RawBinaryExpr { op: raw.op, left, right }));
        }
        if !matches!(raw.op, BinaryOperator::Multiply | BinaryOperator::Divide) {
            return Ok(PlannerResult::Original(raw));
        }
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let types = [left, right];
        let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
        let (interval, number) = match &types {
            [left, right] if is_interval(left) && right.is_numeric() => (raw.left, raw.right),
            [left, right] if is_interval(right) && left.is_numeric() && raw.op == BinaryOperator::Multiply => {
                (raw.right, raw.left)
            }
            _ => return Ok(PlannerResult::Original(raw)),
        };
        let name = if raw.op == BinaryOperator::Multiply { "interval_times" } else { "interval_divide" };
        let Some(times) = FUNCTIONS.scalars.get(name) else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op: raw.op, left: interval, right: number }));
        };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(times.clone(), vec![interval, number]))))
    }
}

fn is_time_of_day(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}
