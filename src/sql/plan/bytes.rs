//! `SUBSTRING(x FROM 1)` and `OVERLAY(x PLACING y FROM 1)` of texts and of bytes.

use datafusion_common::Result as PlanResult;
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult};

use super::functions::FUNCTIONS;

/// Plans them as the functions of our list, which take bytes too.
#[derive(Debug)]
pub(super) struct BytesPlanner;

fn call(name: &str, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
    Ok(match FUNCTIONS.scalars.get(name) {
        Some(function) => PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), args))),
        None => PlannerResult::Original(args),
    })
}

impl ExprPlanner for BytesPlanner {
    fn plan_substring(&self, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
        call("substr", args)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
        call("overlay", args)
    }
}
