//! `proctime()`: the clock when a batch set out, the same for all of its rows. `current_watermark(ts)`: the watermark then.

use std::sync::Arc;

use arrow::array::{Int64Array, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};

use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// The type of processing time.
pub const PROCESSING_TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

/// Processing time in milliseconds.
pub fn proctime() -> Arc<dyn ScalarKernel> {
    Arc::new(ProcessingTime)
}

/// The watermark of the input, as a time of this type; its argument is the event time column.
pub fn current_watermark(data_type: &DataType) -> Arc<dyn ScalarKernel> {
    Arc::new(CurrentWatermark(data_type.clone()))
}

#[derive(Debug)]
struct ProcessingTime;

impl ScalarKernel for ProcessingTime {
    fn name(&self) -> &str {
        "proctime"
    }

    fn result_type(&self) -> DataType {
        PROCESSING_TIME
    }

    fn evaluate(&self, context: &KernelContext, _: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        let now = TimestampMillisecondArray::from(vec![context.now.div_euclid(1_000)]);
        *out = Column::Constant(Arc::new(now));
        Ok(())
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn can_fail(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct CurrentWatermark(DataType);

impl ScalarKernel for CurrentWatermark {
    fn name(&self) -> &str {
        "current_watermark"
    }

    fn result_type(&self) -> DataType {
        self.0.clone()
    }

    fn evaluate(&self, context: &KernelContext, _: &[Argument<'_>], _: usize, out: &mut Column) -> Result<()> {
        *out = Column::Constant(cast(&Int64Array::from(vec![context.watermark]), &self.0)?);
        Ok(())
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn can_fail(&self) -> bool {
        false
    }
}
