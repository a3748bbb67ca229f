//! Functions of time: `now()` is that of the statement, `proctime()` that of each batch.

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion_common::{Result as PlanResult, not_impl_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::function::scalar::PROCESSING_TIME;

/// `proctime()`, as the planner knows it; a kernel of our own computes it.
pub(super) fn proctime() -> ScalarUDF {
    ScalarUDF::new_from_impl(ProcessingTime { signature: Signature::nullary(Volatility::Volatile) })
}

/// The time of a statement, from microseconds since 1970.
pub(super) fn moment(micros: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ProcessingTime {
    signature: Signature,
}

impl ScalarUDFImpl for ProcessingTime {
    fn name(&self) -> &str {
        "proctime"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(PROCESSING_TIME)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        not_impl_err!("proctime() is known where rows are, not where a plan is made")
    }
}
