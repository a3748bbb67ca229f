//! Columns with the values that break kernels, and the forms in which a kernel may meet them.

use std::sync::Arc;

use arrow::array::*;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, IntervalMonthDayNano};

use crate::error::{Error, Result};

/// Numbers from a seed (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Which rows of a column are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    None,
    Some,
    All,
}

/// What values a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// Plain ones, of either sign.
    Small,
    /// The least, the greatest, those without a number, and plain ones between.
    Edges,
    /// Five different ones, again and again.
    Few,
}

/// A column of `rows` rows. Failure: a type that no closure takes.
pub(super) fn column(
    random: &mut Random,
    data_type: &DataType,
    rows: usize,
    nulls: Nulls,
    spread: Spread,
) -> Result<ArrayRef> {
    let distinct = if spread == Spread::Few { rows.min(5) } else { rows };
    let whole = values(random, data_type, distinct, spread == Spread::Edges)?;
    let is_null = |random: &mut Random| match nulls {
        Nulls::None => false,
        Nulls::Some => random.below(4) == 0,
        Nulls::All => true,
    };
    let picks: UInt32Array =
        (0..rows).map(|row| Some((row % distinct.max(1)) as u32).filter(|_| !is_null(random))).collect();
    if nulls == Nulls::None && distinct == rows {
        return Ok(whole);
    }
    // Values stay under the nulls, so that a kernel which looks there is seen.
    let full: UInt32Array = (0..rows).map(|row| Some((row % distinct.max(1)) as u32)).collect();
    let data = take(&whole, &full, None)?.to_data();
    let data = data.into_builder().nulls(picks.nulls().cloned()).build()?;
    Ok(make_array(data))
}

fn values(random: &mut Random, data_type: &DataType, rows: usize, edges: bool) -> Result<ArrayRef> {
    let float = |random: &mut Random| match random.below(if edges { 12 } else { 4 }) {
        4 => f64::NAN,
        5 => f64::INFINITY,
        6 => f64::NEG_INFINITY,
        7 => -0.0,
        8 => f64::MAX,
        9 => f64::MIN_POSITIVE,
        _ => random.below(20_000) as f64 / 64.0 - 150.0,
    };
    let bits = 8 * data_type.primitive_width().unwrap_or(8);
    let integer = |random: &mut Random| match random.below(if edges { 8 } else { 4 }) {
        4 => i64::MIN,
        5 => i64::MAX,
        6 => 0,
        7 => -1,
        _ if data_type.is_unsigned_integer() => random.below(100) as i64,
        _ => random.below(200) as i64 - 100,
    };
    let narrow = |random: &mut Random| {
        let value = integer(random);
        if !(i64::MIN + 1..i64::MAX).contains(&value) && bits < 64 { value >> (64 - bits) } else { value }
    };
    Ok(match data_type {
        DataType::Boolean => Arc::new((0..rows).map(|_| Some(random.below(2) == 1)).collect::<BooleanArray>()),
        DataType::Utf8View => Arc::new((0..rows).map(|_| Some(text(random))).collect::<StringViewArray>()),
        DataType::BinaryView => {
            Arc::new((0..rows).map(|_| Some(text(random).into_bytes())).collect::<BinaryViewArray>())
        }
        DataType::Float32 => Arc::new((0..rows).map(|_| Some(float(random) as f32)).collect::<Float32Array>()),
        DataType::Float64 => Arc::new((0..rows).map(|_| Some(float(random))).collect::<Float64Array>()),
        DataType::Decimal128(..) => {
            let values: Decimal128Array = (0..rows).map(|_| Some(i128::from(random.next() as i32))).collect();
            Arc::new(values.with_data_type(data_type.clone()))
        }
        DataType::Interval(_) => Arc::new(
            (0..rows)
                .map(|_| {
                    let (months, days) = (random.below(30) as i32 - 15, random.below(60) as i32 - 30);
                    Some(IntervalMonthDayNano::new(months, days, random.next() as i64 >> 20))
                })
                .collect::<IntervalMonthDayNanoArray>(),
        ),
        DataType::UInt64 => Arc::new((0..rows).map(|_| Some(integer(random) as u64)).collect::<UInt64Array>()),
        DataType::UInt32 => Arc::new((0..rows).map(|_| Some(narrow(random) as u32)).collect::<UInt32Array>()),
        DataType::UInt16 => Arc::new((0..rows).map(|_| Some(narrow(random) as u16)).collect::<UInt16Array>()),
        DataType::UInt8 => Arc::new((0..rows).map(|_| Some(narrow(random) as u8)).collect::<UInt8Array>()),
        DataType::Int32 => Arc::new((0..rows).map(|_| Some(narrow(random) as i32)).collect::<Int32Array>()),
        DataType::Int16 => Arc::new((0..rows).map(|_| Some(narrow(random) as i16)).collect::<Int16Array>()),
        DataType::Int8 => Arc::new((0..rows).map(|_| Some(narrow(random) as i8)).collect::<Int8Array>()),
        DataType::Date32 => {
            let days: Int32Array = (0..rows).map(|_| Some(random.below(100_000) as i32 - 50_000)).collect();
            cast(&days, data_type)?
        }
        DataType::Time64(_) => {
            let ticks: Int64Array = (0..rows).map(|_| Some(random.below(86_400) as i64 * 1_000)).collect();
            cast(&ticks, data_type)?
        }
        DataType::Timestamp(..) | DataType::Int64 => {
            let ticks: Int64Array = (0..rows).map(|_| Some(integer(random))).collect();
            cast(&ticks, data_type)?
        }
        other => return Err(Error::user(format!("no column of this type can be made up: {other}"))),
    })
}

/// Texts that share prefixes, hold zeros and letters of several bytes, and lie on both sides of 12 bytes.
fn text(random: &mut Random) -> String {
    let start =
        ["", "a", "ab", "shared prefix ", "shared prefix, ", "ümläut", "\0", "1", "-7", "x@y"][random.below(10)];
    let end = random.next() % 1_000;
    match random.below(4) {
        0 => start.to_string(),
        1 => format!("{start}{end}"),
        2 => format!("{start} and a longer end {end}"),
        _ => end.to_string(),
    }
}

/// The same column as a part of a longer one.
pub(super) fn sliced(array: &ArrayRef) -> Result<ArrayRef> {
    let rows = array.len() as u32;
    if rows == 0 {
        return Ok(array.clone());
    }
    // Rows of its own before and behind, so that a kernel that leaves the slice reads values.
    let picks: UInt32Array = [rows - 1, rows / 2, 0].into_iter().chain(0..rows).chain([rows / 3]).map(Some).collect();
    Ok(take(array, &picks, None)?.slice(3, rows as usize))
}
