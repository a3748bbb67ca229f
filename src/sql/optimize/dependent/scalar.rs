//! At most one row for each combination of values that a scalar subquery sees.

use std::hash::Hash;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion_common::{Result, exec_err};
use datafusion_expr::{
    Aggregate, ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};

use super::domain::{Domain, Names};
use super::push::push;
use crate::sql::plan::FUNCTIONS;

/// What the subquery's value is called.
pub(super) const VALUE: &str = "value";

/// The columns of the domain and [`VALUE`], a row for each combination that has one; `None`: it cannot be pushed through.
///
/// A second row is an error when the query runs.
pub(super) fn single(subquery: &LogicalPlan, domain: &Domain, names: &Names) -> Result<Option<LogicalPlan>> {
    let Some(pushed) = push(subquery, domain, names)? else { return Ok(None) };
    let value = Expr::Column(subquery.schema().columns().remove(0));
    if has_one_row(subquery) {
        let columns = domain.columns().chain([value.alias(VALUE)]);
        return Ok(Some(LogicalPlanBuilder::from(pushed).project(columns)?.build()?));
    }
    let data_type = subquery.schema().field(0).data_type();
    let any = if data_type.is_nested() { "first_value" } else { "min" };
    let any = FUNCTIONS.aggregates[any].call(vec![value]).alias("__any");
    let count = FUNCTIONS.aggregates["count"].call(vec![lit(1_i64)]).alias("__count");
    let grouped = LogicalPlanBuilder::from(pushed).aggregate(domain.columns(), [any, count])?.build()?;
    let [any, count] = [1, 0].map(|from_end| {
        let columns = grouped.schema().columns();
        Expr::Column(columns[columns.len() - 1 - from_end].clone())
    });
    let checked = CHECK.call(vec![any, count]).alias(VALUE);
    Ok(Some(LogicalPlanBuilder::from(grouped).project(domain.columns().chain([checked]))?.build()?))
}

/// Whether a plan has a single row whatever it reads, filters above left aside.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Filter(filter) => has_one_row(&filter.input),
        LogicalPlan::Aggregate(Aggregate { group_expr, .. }) => group_expr.is_empty(),
        _ => false,
    }
}

static CHECK: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(SingleValue { signature }))
});

/// The value, of which there must be one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl ScalarUDFImpl for SingleValue {
    fn name(&self) -> &str {
        "single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let counts = args.args[1].to_array(args.number_rows)?;
        let counts = counts.as_primitive::<Int64Type>();
        if (0..counts.len()).any(|row| counts.is_valid(row) && counts.value(row) > 1) {
            return exec_err!("a scalar subquery gave more than one row; aggregate it, or add LIMIT 1");
        }
        Ok(args.args[0].clone())
    }
}
