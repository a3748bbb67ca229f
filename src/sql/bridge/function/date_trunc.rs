//! `date_trunc` of the planner's library, mended: to milliseconds and microseconds it cuts towards 1970, where a time before
//! that has to become earlier.
//!
//! What it folds and what it runs (times with a zone) comes through here; other columns have a kernel of ours.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion_common::{Result as ForeignResult, ScalarValue};
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::time::ticks_per_second;

/// The library's function, with the two units of our own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    inner: Arc<ScalarUDF>,
}

/// The mended function.
pub fn date_trunc(inner: Arc<ScalarUDF>) -> ScalarUDF {
    ScalarUDF::from(DateTrunc { inner })
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> ForeignResult<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> ForeignResult<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> ForeignResult<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> ForeignResult<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let Some(size) = size_ticks(&args.args) else { return self.inner.invoke_with_args(args) };
        let floor = |value: i64| value.div_euclid(size) * size;
        match &args.args[1] {
            ColumnarValue::Array(times) => {
                let ticks = cast(times, &DataType::Int64)?;
                let cut = ticks.as_primitive::<Int64Type>().unary::<_, Int64Type>(floor);
                Ok(ColumnarValue::Array(cast(&cut, times.data_type())?))
            }
            ColumnarValue::Scalar(time) => {
                let ticks = time.cast_to(&DataType::Int64)?;
                let ScalarValue::Int64(ticks) = ticks else { return self.inner.invoke_with_args(args) };
                Ok(ColumnarValue::Scalar(ScalarValue::Int64(ticks.map(floor)).cast_to(&time.data_type())?))
            }
        }
    }
}

/// The ticks of a millisecond or a microsecond of a timestamp; `None`: another unit, or nothing to cut.
fn size_ticks(args: &[ColumnarValue]) -> Option<i64> {
    let [ColumnarValue::Scalar(unit), time] = args else { return None };
    let DataType::Timestamp(ticks, _) = time.data_type() else { return None };
    let per_second = match unit.try_as_str().flatten()?.to_ascii_lowercase().as_str() {
        "millisecond" => 1_000,
        "microsecond" => 1_000_000,
        _ => return None,
    };
    Some(ticks_per_second(ticks) / per_second).filter(|size| *size > 1)
}
