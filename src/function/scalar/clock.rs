//! `proctime()`: the clock when a batch set out, the same for all of its rows.

use std::sync::Arc;

use arrow::array::TimestampMillisecondArray;
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
