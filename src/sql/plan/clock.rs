//! Functions of time: `now()` is that of the statement, `proctime()` that of each batch, `current_watermark(ts)` the
//! watermark that has come before it.

use std::sync::LazyLock;

use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use datafusion_common::{Result as PlanResult, not_impl_err, plan_err};
use datafusion_expr::scalar_doc_sections::DOC_SECTION_DATETIME;
use datafusion_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::function::scalar::PROCESSING_TIME;

/// `proctime()`, as the planner knows it; a kernel of our own computes it.
pub(super) fn proctime() -> ScalarUDF {
    ScalarUDF::new_from_impl(ProcessingTime { signature: Signature::nullary(Volatility::Volatile) })
}

/// `current_watermark(ts)`, as the planner knows it.
pub(super) fn current_watermark() -> ScalarUDF {
    ScalarUDF::new_from_impl(CurrentWatermark { signature: Signature::any(1, Volatility::Volatile) })
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

    fn documentation(&self) -> Option<&Documentation> {
        static TEXT: LazyLock<Documentation> = LazyLock::new(|| {
            let what = "The clock when a batch of rows is read, the same for all of them, in milliseconds.";
            Documentation::builder(DOC_SECTION_DATETIME, what, "proctime()").build()
        });
        Some(&TEXT)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentWatermark {
    signature: Signature,
}

impl ScalarUDFImpl for CurrentWatermark {
    fn name(&self) -> &str {
        "current_watermark"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> PlanResult<DataType> {
        match types {
            [time @ DataType::Timestamp(..)] => Ok(time.clone()),
            _ => plan_err!("'current_watermark' takes the column that has the watermark, a TIMESTAMP"),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        not_impl_err!("current_watermark is known where rows are, not where a plan is made")
    }

    fn documentation(&self) -> Option<&Documentation> {
        static TEXT: LazyLock<Documentation> = LazyLock::new(|| {
            let what =
                "The watermark that had come before a batch of rows, by the column that has it; NULL before the first.";
            Documentation::builder(DOC_SECTION_DATETIME, what, "current_watermark(ts)").build()
        });
        Some(&TEXT)
    }
}
