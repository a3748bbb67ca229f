//! An average over time whose weights halve every minute, as an aggregate for DataFusion.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::cast::{as_float64_array, as_int64_array, as_timestamp_microsecond_array};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{Accumulator, AggregateUDF, Volatility, create_udaf};

/// Sum and weight as of a time, in microseconds.
#[derive(Debug)]
struct Weighted(f64, f64, i64);

impl Weighted {
    /// Both fade to the later time: a minute halves a weight.
    fn add(&mut self, other: &Weighted) {
        let last = self.2.max(other.2);
        let fade = |at: i64| 0.5_f64.powf((last as f64 - at as f64) / 60e6);
        let (mine, theirs) = (fade(self.2), fade(other.2));
        *self = Weighted(self.0 * mine + other.0 * theirs, self.1 * mine + other.1 * theirs, last);
    }
}

impl Accumulator for Weighted {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (values, times) = (as_float64_array(&values[0])?, as_timestamp_microsecond_array(&values[1])?);
        for row in 0..values.len() {
            if values.is_valid(row) && times.is_valid(row) {
                self.add(&Weighted(values.value(row), 1.0, times.value(row)));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (sums, weights) = (as_float64_array(&states[0])?, as_float64_array(&states[1])?);
        let times = as_int64_array(&states[2])?;
        for row in 0..sums.len() {
            self.add(&Weighted(sums.value(row), weights.value(row), times.value(row)));
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.0.into(), self.1.into(), self.2.into()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.1 > 0.0).then(|| self.0 / self.1)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

pub fn ewma() -> AggregateUDF {
    create_udaf(
        "ewma",
        vec![DataType::Float64, DataType::Timestamp(TimeUnit::Microsecond, None)],
        Arc::new(DataType::Float64),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Weighted(0.0, 0.0, i64::MIN)))),
        Arc::new(vec![DataType::Float64, DataType::Float64, DataType::Int64]),
    )
}
