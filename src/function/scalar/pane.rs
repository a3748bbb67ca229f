//! Timestamps down to the start of the fixed-size stretch that holds them: `date_trunc`, `date_bin`, `window_start`.
//!
//! Invariants  stretches are half open and reach below 1970 without a seam. Only timestamps without a time zone, and
//!             only units of one size: months and years have their own arithmetic, and zones have days of 23 hours.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use millstream_kernels::pane;

use super::write::{self, Side};
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};
use crate::time::ticks_per_second;

/// `date_trunc('unit', ts)` for units from microsecond to week, `None` for others and for other types.
/// Its one argument is the timestamp. A unit no coarser than the ticks leaves the timestamp as it is.
pub fn date_trunc(unit: &str, data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let ticks = ticks_per_second(zoneless_unit(data_type)?);
    let unit = unit.to_ascii_lowercase();
    let size = match &unit[..] {
        "microsecond" => ticks / 1_000_000,
        "millisecond" => ticks / 1_000,
        "second" => ticks,
        "minute" => ticks * 60,
        "hour" => ticks * 3_600,
        "day" => ticks * DAY,
        "week" => ticks * DAY * 7,
        _ => return None,
    };
    // 1970-01-01 was a Thursday and weeks start on Monday: the first Monday came four days later.
    let offset = if unit == "week" { ticks * DAY * 4 } else { 0 };
    let shown = Shown::DateTrunc(unit);
    Some(Arc::new(Pane { shown, size: size.max(1), offset, data_type: data_type.clone() }))
}

/// `date_bin(size, ts, origin)`, sizes and origin in ticks of the type; `None` for sizes below one and other types.
/// Its one argument is the timestamp.
pub fn date_bin(size_ticks: i64, origin_ticks: i64, data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    pane(Shown::DateBin, size_ticks, origin_ticks, data_type)
}

/// The start of the tumbling window that holds a timestamp; see [`date_bin`].
pub fn window_start(size_ticks: i64, offset_ticks: i64, data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    pane(Shown::WindowStart, size_ticks, offset_ticks, data_type)
}

fn pane(shown: Shown, size: i64, offset: i64, data_type: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    zoneless_unit(data_type)?;
    (size > 0).then(|| Arc::new(Pane { shown, size, offset, data_type: data_type.clone() }) as Arc<dyn ScalarKernel>)
}

const DAY: i64 = 86_400;

fn zoneless_unit(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, None) => Some(*unit),
        _ => None,
    }
}

/// How the call was written.
#[derive(Debug)]
enum Shown {
    DateTrunc(String),
    DateBin,
    WindowStart,
}

#[derive(Debug)]
struct Pane {
    shown: Shown,
    size: i64,
    offset: i64,
    data_type: DataType,
}

impl ScalarKernel for Pane {
    fn name(&self) -> &str {
        match self.shown {
            Shown::DateTrunc(_) => "date_trunc",
            Shown::DateBin => "date_bin",
            Shown::WindowStart => "window_start",
        }
    }

    fn result_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let ts = write::side::<i64>(&args[0], rows)?;
        write::values::<i64>(context.level, args, rows, out, |out, _| {
            match ts {
                Side::Column(ts) if self.size == 1 => out.copy_from_slice(ts),
                Side::Column(ts) => pane::bucket(context.level, ts, self.size, self.offset, out),
                Side::Constant(ts) => out.fill(pane::start(ts, self.size, self.offset)),
            }
            Ok(())
        })
    }

    fn can_fail(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        let args = args.join(", ");
        let (size, offset) = (self.size, self.offset);
        match &self.shown {
            Shown::DateTrunc(unit) => format!("date_trunc('{unit}', {args})"),
            Shown::DateBin => format!("date_bin({size} ticks, {args}, {offset})"),
            Shown::WindowStart => format!("window_start({size} ticks, {args}, {offset})"),
        }
    }
}
