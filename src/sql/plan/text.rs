//! Functions that SQL writes with words between their arguments, by name: of texts and of bytes.

use datafusion_common::Result as PlanResult;
use datafusion_expr::Expr;
use datafusion_expr::planner::{ExprPlanner, PlannerResult};

use super::functions::FUNCTIONS;

/// Plans `SUBSTRING(x FROM 2 FOR 3)`, `OVERLAY(x PLACING y FROM 2)` and `POSITION(x IN y)` as the functions that SQL
/// calls by name.
#[derive(Debug)]
pub(super) struct TextPlanner;

impl ExprPlanner for TextPlanner {
    fn plan_substring(&self, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
        Ok(call("substr", args))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
        Ok(call("overlay", args))
    }

    fn plan_position(&self, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
        Ok(call("strpos", args))
    }
}

fn call(name: &str, args: Vec<Expr>) -> PlannerResult<Vec<Expr>> {
    match FUNCTIONS.scalars.get(name) {
        Some(function) => PlannerResult::Planned(function.call(args)),
        None => PlannerResult::Original(args),
    }
}
