//! Timestamps moved by a constant number of ticks: `ts - INTERVAL '5' SECOND`.
//!
//! Intervals with months, which have no fixed length, go to the function library.

use std::sync::Arc;

use arrow::datatypes::DataType;
use millstream_kernels::arithmetic::{self, Op};

use super::write::{self, Side};
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// Adds `ticks` to a timestamp, `None` for other types. `shown` is the interval without its sign, for EXPLAIN.
pub fn shift(ticks: i64, shown: &str, data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let is_timestamp = matches!(data_type, DataType::Timestamp(..));
    is_timestamp.then(|| Arc::new(Shift { ticks, shown: shown.to_string(), data_type: data_type.clone() }) as _)
}

#[derive(Debug)]
struct Shift {
    ticks: i64,
    shown: String,
    data_type: DataType,
}

impl ScalarKernel for Shift {
    fn name(&self) -> &str {
        "shift"
    }

    fn result_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let from = write::side::<i64>(&args[0], rows)?;
        write::values::<i64>(context.level, args, rows, out, |out, validity| match from {
            Side::Column(from) => arithmetic::column_constant(context.level, Op::Add, from, self.ticks, validity, out)
                .map_err(|fault| self.out_of_range(from[fault.row])),
            Side::Constant(from) => match from.checked_add(self.ticks) {
                Some(moved) => {
                    out.fill(moved);
                    Ok(())
                }
                None if out.is_empty() || validity.is_some() => Ok(()),
                None => Err(self.out_of_range(from)),
            },
        })
    }

    fn show(&self, args: &[String]) -> String {
        let sign = if self.ticks < 0 { '-' } else { '+' };
        format!("({} {sign} INTERVAL '{}')", args.join(", "), self.shown)
    }
}

impl Shift {
    #[cold]
    fn out_of_range(&self, ticks: i64) -> Error {
        Error::user(format!("timestamp out of range: {ticks} ticks, moved by {}; test it before", self.ticks))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, TimestampMillisecondArray};
    use arrow::datatypes::TimeUnit;

    use super::*;
    use crate::batch::Selection;

    #[test]
    fn moves_values_and_keeps_nulls() {
        let data_type = DataType::Timestamp(TimeUnit::Millisecond, None);
        let kernel = shift(-5, "5ms", &data_type).unwrap();
        let column = Column::Array(Arc::new(TimestampMillisecondArray::from(vec![Some(10), None, Some(-1)])));
        let mut out = Column::default();
        let argument = Argument::new(&column, Some(&[0b101]), 3);
        kernel.evaluate(&KernelContext::default(), &[argument], 3, &mut out).unwrap();
        let out = out.to_array(&data_type, 3, &Selection::default()).unwrap();
        let out = out.as_primitive::<arrow::datatypes::TimestampMillisecondType>();
        assert_eq!((out.value(0), out.is_null(1), out.value(2)), (5, true, -6));
        assert_eq!(kernel.show(&["ts".to_string()]), "(ts - INTERVAL '5ms')");
    }

    #[test]
    fn fails_out_of_range() {
        let kernel = shift(1, "1s", &DataType::Timestamp(TimeUnit::Second, None)).unwrap();
        let column = Column::Array(Arc::new(arrow::array::TimestampSecondArray::from(vec![i64::MAX])));
        let argument = Argument::new(&column, None, 1);
        let error = kernel.evaluate(&KernelContext::default(), &[argument], 1, &mut Column::default()).unwrap_err();
        assert!(error.message().starts_with("timestamp out of range"), "{error}");
    }
}
