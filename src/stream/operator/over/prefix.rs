//! Counts, sums and averages as differences of running totals: a frame costs the same however wide it is.
//!
//! Invariants  totals of integers and decimals are exact (128 bits); those of floats keep their rounding errors and restart
//!             with each partition, so that a result depends on no other; NaN and infinities are counted, not added.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, UInt64Array};
use arrow::compute::kernels::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};

use super::aggregate::Aggregated;
use super::frame::Frames;
use super::sorted::Sorted;
use crate::error::{Error, Result};
use crate::function::aggregate::decimal::Result128;

/// What is made of a frame's sum and count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    Count,
    Sum,
    Average,
}

/// The results of a call that running totals can answer, `None` for others.
pub(super) fn results(call: &Aggregated<'_>, sorted: &Sorted, frames: &Frames) -> Result<Option<ArrayRef>> {
    let function = &call.call.function;
    let made = match function.name() {
        _ if !function.is_native() || call.call.distinct => return Ok(None),
        "count" => Made::Count,
        "sum" => Made::Sum,
        "avg" => Made::Average,
        _ => return Ok(None),
    };
    let counts = |row: usize| {
        call.filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
            && call.args.iter().all(|arg| arg.is_valid(row))
    };
    if made == Made::Count {
        let counted = totals(sorted.rows, 0i64, |total, row| *total += i64::from(counts(row)));
        let count = |row: usize| counted[frames.ends[row] as usize] - counted[frames.starts[row] as usize];
        return Ok(Some(Arc::new(Int64Array::from_iter_values((0..sorted.rows).map(count)))));
    }
    let [arg] = call.args else { return Ok(None) };
    match (arg.data_type(), function.result_type()) {
        (data_type, DataType::Int64 | DataType::UInt64 | DataType::Float64) if data_type.is_integer() => {
            whole(arg, made, &function.result_type(), frames, &counts).map(Some)
        }
        (data_type, DataType::Float64) if data_type.is_floating() => floats(arg, made, sorted, frames, &counts),
        (DataType::Decimal128(precision, _), result) => {
            match Result128::of(function.name(), arg.data_type(), &result) {
                Some(of_sum) if fits_totals(*precision, sorted.rows) => {
                    decimals(arg, of_sum, &result, frames, &counts).map(Some)
                }
                _ => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// The total before each of `rows` rows and behind the last.
fn totals<T: Clone>(rows: usize, zero: T, add: impl Fn(&mut T, usize)) -> Vec<T> {
    let mut total = zero;
    let mut totals = Vec::with_capacity(rows + 1);
    totals.push(total.clone());
    for row in 0..rows {
        add(&mut total, row);
        totals.push(total.clone());
    }
    totals
}

fn whole(
    arg: &ArrayRef,
    made: Made,
    result: &DataType,
    frames: &Frames,
    counts: &impl Fn(usize) -> bool,
) -> Result<ArrayRef> {
    let values: Vec<i128> = match arg.data_type().is_unsigned_integer() {
        true => {
            cast(arg, &DataType::UInt64)?.as_primitive::<UInt64Type>().values().iter().map(|v| i128::from(*v)).collect()
        }
        false => {
            cast(arg, &DataType::Int64)?.as_primitive::<Int64Type>().values().iter().map(|v| i128::from(*v)).collect()
        }
    };
    let totals = totals(arg.len(), (0i128, 0u32), |(sum, count), row| {
        if counts(row) {
            *sum += values[row];
            *count += 1;
        }
    });
    let of_row = |row: usize| {
        let (start, end) = (totals[frames.starts[row] as usize], totals[frames.ends[row] as usize]);
        (end.0 - start.0, end.1 - start.1)
    };
    let rows = frames.starts.len();
    if made == Made::Average {
        let average = |(sum, count): (i128, u32)| (count > 0).then(|| sum as f64 / f64::from(count));
        return Ok(Arc::new(Float64Array::from_iter((0..rows).map(|row| average(of_row(row))))));
    }
    macro_rules! sums {
        ($native:ty, $array:ty, $sql_type:literal) => {{
            let sum = |row: usize| match of_row(row) {
                (_, 0) => Ok(None),
                (sum, _) => <$native>::try_from(sum).map(Some).map_err(|_| {
                    Error::user(format!("sum overflows {}: {sum}; cast the argument to DECIMAL(38, 0)", $sql_type))
                }),
            };
            Ok(Arc::new((0..rows).map(sum).collect::<Result<$array>>()?))
        }};
    }
    match result {
        DataType::UInt64 => sums!(u64, UInt64Array, "BIGINT UNSIGNED"),
        _ => sums!(i64, Int64Array, "BIGINT"),
    }
}

/// Whether the total of so many decimals has room in 128 bits whatever they are.
fn fits_totals(precision: u8, rows: usize) -> bool {
    let greatest = 10i128.checked_pow(precision.into());
    greatest.and_then(|greatest| greatest.checked_mul(rows as i128)).is_some()
}

fn decimals(
    arg: &ArrayRef,
    of_sum: Result128,
    result: &DataType,
    frames: &Frames,
    counts: &impl Fn(usize) -> bool,
) -> Result<ArrayRef> {
    let values = arg.as_primitive::<Decimal128Type>().values();
    let totals = totals(arg.len(), (0i128, 0u32), |(sum, count), row| {
        if counts(row) {
            *sum = sum.wrapping_add(values[row]);
            *count += 1;
        }
    });
    let of_row = |row: usize| {
        let (start, end) = (totals[frames.starts[row] as usize], totals[frames.ends[row] as usize]);
        let count = i64::from(end.1 - start.1);
        (count > 0).then(|| of_sum.result(end.0.wrapping_sub(start.0), count)).transpose()
    };
    let results = (0..frames.starts.len()).map(of_row).collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(results.with_data_type(result.clone())))
}

/// A running total of floats: the sum with what it lacks, and what cannot be added.
#[derive(Clone, Copy, Default)]
pub(super) struct Running {
    sum: f64,
    error: f64,
    count: u64,
    nans: u64,
    positive: u64,
    negative: u64,
}

impl Running {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        match () {
            () if value.is_finite() => self.shift(value),
            () if value.is_nan() => self.nans += 1,
            () if value > 0.0 => self.positive += 1,
            () => self.negative += 1,
        }
    }

    /// Takes a value away that was added.
    pub fn remove(&mut self, value: f64) {
        self.count -= 1;
        match () {
            () if value.is_finite() => self.shift(-value),
            () if value.is_nan() => self.nans -= 1,
            () if value > 0.0 => self.positive -= 1,
            () => self.negative -= 1,
        }
    }

    fn shift(&mut self, value: f64) {
        let sum = self.sum + value;
        let shift = sum - self.sum;
        self.error += (self.sum - (sum - shift)) + (value - shift);
        self.sum = sum;
    }

    /// The sum of all; infinite where it leaves the range of floats.
    pub fn sum(&self) -> f64 {
        match self.since(&Running::default()) {
            _ if self.nans == 0 && self.positive == 0 && self.negative == 0 && !self.is_in_range() => self.sum,
            sum => sum,
        }
    }

    /// Whether no sum on the way has left the range of floats.
    pub fn is_in_range(&self) -> bool {
        self.sum.is_finite()
    }

    /// All of it but the count, as bits.
    pub fn save(&self) -> [u64; 5] {
        [self.sum.to_bits(), self.error.to_bits(), self.nans, self.positive, self.negative]
    }

    /// What `save` gave, with the count.
    pub fn load([sum, error, nans, positive, negative]: [u64; 5], count: u64) -> Self {
        Running { sum: f64::from_bits(sum), error: f64::from_bits(error), count, nans, positive, negative }
    }

    /// The sum of what came behind `start`.
    fn since(&self, start: &Running) -> f64 {
        let (positive, negative) = (self.positive > start.positive, self.negative > start.negative);
        match () {
            () if self.nans > start.nans || (positive && negative) => f64::NAN,
            () if positive => f64::INFINITY,
            () if negative => f64::NEG_INFINITY,
            () => {
                let mut difference = *self;
                difference.add(-start.sum);
                difference.sum + (difference.error - start.error)
            }
        }
    }
}

/// `None` where totals leave the range of floats.
fn floats(
    arg: &ArrayRef,
    made: Made,
    sorted: &Sorted,
    frames: &Frames,
    counts: &impl Fn(usize) -> bool,
) -> Result<Option<ArrayRef>> {
    let values = cast(arg, &DataType::Float64)?;
    let values = values.as_primitive::<Float64Type>().values();
    let mut results: Vec<Option<f64>> = Vec::with_capacity(sorted.rows);
    let mut in_range = true;
    sorted.each_partition(|_, first, last| {
        let totals = totals(last - first, Running::default(), |total, row| {
            if counts(first + row) {
                total.add(values[first + row]);
            }
        });
        in_range &= totals.iter().all(|total| total.sum.is_finite());
        results.extend((first..last).map(|row| {
            let (start, end) = (frames.starts[row] as usize - first, frames.ends[row] as usize - first);
            let count = totals[end].count - totals[start].count;
            let sum = totals[end].since(&totals[start]);
            (count > 0).then(|| if made == Made::Average { sum / count as f64 } else { sum })
        }));
    });
    Ok(in_range.then(|| Arc::new(Float64Array::from(results)) as ArrayRef))
}
