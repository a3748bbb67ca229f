//! Casts that keep every value or fail: integers to others, numbers to floats and to decimals, timestamps to finer
//! units, days to timestamps; and timestamps to coarser units, which cut.
//!
//! Invariants  as Arrow casts, with overflow an error rather than null, and with times before 1970 cut to the past like others. Integers of 64 bits round to the nearest float.
//!             Everything else (text, floats to integers, time zones that change) goes to the function library.

use std::fmt::Display;
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType};
use millstream_kernels::arithmetic::{self, Op};
use millstream_kernels::bitmap;
use millstream_kernels::cast::{Widen, widen};

use super::write::{self, Machine, Side};
use super::{decimal, for_kind};
use crate::batch::{Argument, Column, Kind};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};
use crate::time::ticks_per_second;

/// The kernel that casts, `None` where there is no native one.
pub fn cast(from: &DataType, to: &DataType) -> Option<Arc<dyn ScalarKernel>> {
    let run = number(from, to).or_else(|| time(from, to)).or_else(|| to_decimal(from, to))?;
    Some(Arc::new(Cast { from: from.clone(), to: to.clone(), run }))
}

#[derive(Debug)]
struct Cast {
    from: DataType,
    to: DataType,
    run: Run,
}

type ConvertDecimal = fn(&Cast, &KernelContext, &[Argument<'_>], usize, &mut Column, i128, u8) -> Result<()>;
type Narrow = fn(&Cast, &KernelContext, &[Argument<'_>], usize, &mut Column) -> Result<()>;
type Convert = fn(&KernelContext, &[Argument<'_>], usize, &mut Column) -> Result<()>;

#[derive(Debug)]
enum Run {
    /// Cannot fail.
    Convert(Convert),
    /// Integers to ones that have no room for all of them.
    Narrow(Narrow),
    /// Ticks times a factor.
    Ticks(i64),
    /// Ticks in so many parts, to the past of what is not whole.
    Coarser(i64),
    /// Days times a factor.
    Days(i64),
    /// Integers or decimals times a factor, to decimals of a precision.
    Decimal { convert: ConvertDecimal, factor: i128, precision: u8 },
    /// Decimals of a scale to floats.
    Float(i8),
}

impl ScalarKernel for Cast {
    fn name(&self) -> &str {
        "cast"
    }

    fn result_type(&self) -> DataType {
        self.to.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        match self.run {
            Run::Convert(convert) => convert(context, args, rows, out),
            Run::Narrow(narrow) => narrow(self, context, args, rows, out),
            Run::Ticks(factor) => self.ticks(context, args, rows, out, factor),
            Run::Coarser(size) => {
                let from = write::side::<i64>(&args[0], rows)?;
                write::values::<i64>(context.level, args, rows, out, |out, _| {
                    match from {
                        Side::Column(from) => {
                            out.iter_mut().zip(from).for_each(|(out, ticks)| *out = ticks.div_euclid(size));
                        }
                        Side::Constant(ticks) => out.fill(ticks.div_euclid(size)),
                    }
                    Ok(())
                })
            }
            Run::Days(factor) => self.days(context, args, rows, out, factor),
            Run::Decimal { convert, factor, precision } => convert(self, context, args, rows, out, factor, precision),
            Run::Float(scale) => {
                let from = write::side::<i128>(&args[0], rows)?;
                write::values::<f64>(context.level, args, rows, out, |out, _| {
                    decimal::to_floats(from, scale, out);
                    Ok(())
                })
            }
        }
    }

    fn can_fail(&self) -> bool {
        !matches!(self.run, Run::Convert(_) | Run::Float(_) | Run::Coarser(_))
    }

    fn show(&self, args: &[String]) -> String {
        format!("CAST({} AS {})", args.join(", "), self.to)
    }
}

impl Cast {
    fn ticks(
        &self,
        context: &KernelContext,
        args: &[Argument<'_>],
        rows: usize,
        out: &mut Column,
        factor: i64,
    ) -> Result<()> {
        let from = write::side::<i64>(&args[0], rows)?;
        write::values::<i64>(context.level, args, rows, out, |out, validity| match from {
            Side::Column(from) => arithmetic::column_constant(context.level, Op::Mul, from, factor, validity, out)
                .map_err(|fault| self.out_of_range(from[fault.row])),
            Side::Constant(from) => self.fill(from.checked_mul(factor), from, validity, out),
        })
    }

    fn days(
        &self,
        context: &KernelContext,
        args: &[Argument<'_>],
        rows: usize,
        out: &mut Column,
        factor: i64,
    ) -> Result<()> {
        let from = write::side::<i32>(&args[0], rows)?;
        write::values::<i64>(context.level, args, rows, out, |out, validity| {
            let from = match from {
                Side::Column(from) => from,
                Side::Constant(from) => {
                    return self.fill(i64::from(from).checked_mul(factor), i64::from(from), validity, out);
                }
            };
            let mut overflows = false;
            for (out, &day) in out.iter_mut().zip(from) {
                let (ticks, overflow) = i64::from(day).overflowing_mul(factor);
                *out = ticks;
                overflows |= overflow;
            }
            if !overflows {
                return Ok(());
            }
            let valid = |row: usize| validity.is_none_or(|words| bitmap::get(words, row));
            let fault = (0..rows).find(|&row| valid(row) && i64::from(from[row]).checked_mul(factor).is_none());
            fault.map_or(Ok(()), |row| Err(self.out_of_range(i64::from(from[row]))))
        })
    }

    /// One result for all rows; that there is none counts only when some row is there and valid.
    fn fill(&self, result: Option<i64>, from: i64, validity: Option<&[u64]>, out: &mut [i64]) -> Result<()> {
        match result {
            Some(result) => out.fill(result),
            None if !out.is_empty() && validity.is_none() => return Err(self.out_of_range(from)),
            None => {}
        }
        Ok(())
    }

    #[cold]
    fn out_of_range(&self, value: impl Display) -> Error {
        let (from, to) = (&self.from, &self.to);
        let instead = if from.is_integer() { "wider type" } else { "coarser unit" };
        Error::user(format!("out of range in a cast of {from} to {to}: {value}; cast to a {instead}, or use TRY_CAST"))
    }

    #[cold]
    fn too_many_digits(&self, value: i128) -> Error {
        let (from, to) = (&self.from, &self.to);
        let scale = if let DataType::Decimal128(_, scale) = from { *scale } else { 0 };
        let value = Decimal128Type::format_decimal(value, DECIMAL128_MAX_PRECISION, scale);
        Error::user(format!("out of range in a cast of {from} to {to}: {value}; cast to more digits, or use TRY_CAST"))
    }
}

fn number(from: &DataType, to: &DataType) -> Option<Run> {
    let plain = |data_type: &DataType| data_type.is_integer() || data_type.is_floating();
    if !plain(from) || !plain(to) {
        return None;
    }
    macro_rules! pairs {
        ($($a:ident $from:ty => $($b:ident $to:ty),+;)+) => {
            match (Kind::of(from), Kind::of(to)) {
                $($((Kind::$a, Kind::$b) => Some(Run::Convert(run_widen::<$from, $to>)),)+)+
                _ => None,
            }
        };
    }
    pairs!(
        I8 i8 => I16 i16, I32 i32, I64 i64, F32 f32, F64 f64;
        I16 i16 => I32 i32, I64 i64, F32 f32, F64 f64;
        I32 i32 => I64 i64, F32 f32, F64 f64;
        I64 i64 => F32 f32, F64 f64;
        U8 u8 => U16 u16, U32 u32, U64 u64, I16 i16, I32 i32, I64 i64, F32 f32, F64 f64;
        U16 u16 => U32 u32, U64 u64, I32 i32, I64 i64, F32 f32, F64 f64;
        U32 u32 => U64 u64, I64 i64, F32 f32, F64 f64;
        U64 u64 => F32 f32, F64 f64;
        F32 f32 => F64 f64;
    )
    .or_else(|| narrower(from, to))
}

fn narrower(from: &DataType, to: &DataType) -> Option<Run> {
    macro_rules! pairs {
        ($($a:ident $from:ty => $($b:ident $to:ty),+;)+) => {
            match (Kind::of(from), Kind::of(to)) {
                $($((Kind::$a, Kind::$b) => Some(Run::Narrow(run_narrow::<$from, $to>)),)+)+
                _ => None,
            }
        };
    }
    if !from.is_integer() || !to.is_integer() {
        return None;
    }
    pairs!(
        I8 i8 => U8 u8, U16 u16, U32 u32, U64 u64;
        I16 i16 => I8 i8, U8 u8, U16 u16, U32 u32, U64 u64;
        I32 i32 => I8 i8, I16 i16, U8 u8, U16 u16, U32 u32, U64 u64;
        I64 i64 => I8 i8, I16 i16, I32 i32, U8 u8, U16 u16, U32 u32, U64 u64;
        U8 u8 => I8 i8;
        U16 u16 => I8 i8, I16 i16, U8 u8;
        U32 u32 => I8 i8, I16 i16, I32 i32, U8 u8, U16 u16;
        U64 u64 => I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32;
    )
}

fn time(from: &DataType, to: &DataType) -> Option<Run> {
    use DataType::{Date32, Int32, Int64, Timestamp};
    match (from, to) {
        (Int64, Timestamp(..)) | (Timestamp(..), Int64) => Some(Run::Convert(run_copy::<i64>)),
        (Int32, Date32) | (Date32, Int32) => Some(Run::Convert(run_copy::<i32>)),
        (Timestamp(from, zone), Timestamp(to, same_zone)) if zone == same_zone => {
            let (from, to) = (ticks_per_second(*from), ticks_per_second(*to));
            match () {
                () if to > from => Some(Run::Ticks(to / from)),
                () if to < from => Some(Run::Coarser(from / to)),
                () => None,
            }
        }
        (Date32, Timestamp(unit, None)) => Some(Run::Days(86_400 * ticks_per_second(*unit))),
        _ => None,
    }
}

fn to_decimal(from: &DataType, to: &DataType) -> Option<Run> {
    use DataType::{Decimal128, Float64};
    match (from, to) {
        (Decimal128(_, scale), Float64) if *scale >= 0 => Some(Run::Float(*scale)),
        (Decimal128(_, scale), Decimal128(precision, finer)) if from != to && *scale >= 0 && finer >= scale => {
            let factor = 10i128.checked_pow((finer - scale) as u32)?;
            Some(Run::Decimal { convert: run_decimal::<i128>, factor, precision: *precision })
        }
        (_, Decimal128(precision, scale)) if from.is_integer() && *scale >= 0 => {
            let convert = for_kind!(Kind::of(from), run_decimal as ConvertDecimal: I8 i8, I16 i16, I32 i32, I64 i64,
                U8 u8, U16 u16, U32 u32, U64 u64)?;
            Some(Run::Decimal { convert, factor: 10i128.checked_pow(*scale as u32)?, precision: *precision })
        }
        _ => None,
    }
}

fn run_decimal<T: Machine + Into<i128>>(
    cast: &Cast,
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
    factor: i128,
    precision: u8,
) -> Result<()> {
    let from = write::side::<T>(&args[0], rows)?;
    write::values::<i128>(context.level, args, rows, out, |out, validity| {
        decimal::from_integers(from, factor, precision, validity, out).map_err(|value| cast.too_many_digits(value))
    })
}

fn run_widen<A: Machine + Widen<B>, B: Machine>(
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
) -> Result<()> {
    let from = write::side::<A>(&args[0], rows)?;
    write::values::<B>(context.level, args, rows, out, |out, _| {
        match from {
            Side::Column(from) => widen(context.level, from, out),
            Side::Constant(from) => out.fill(from.widen()),
        }
        Ok(())
    })
}

fn run_narrow<A: Machine + Display, B: Machine + TryFrom<A>>(
    cast: &Cast,
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
) -> Result<()> {
    let from = write::side::<A>(&args[0], rows)?;
    write::values::<B>(context.level, args, rows, out, |out, validity| {
        let from = match from {
            Side::Column(from) => from,
            Side::Constant(from) => {
                let value = B::try_from(from);
                if value.is_err() && validity.is_none() && !out.is_empty() {
                    return Err(cast.out_of_range(from));
                }
                out.fill(value.unwrap_or_default());
                return Ok(());
            }
        };
        let mut fits = true;
        for (out, &value) in out.iter_mut().zip(from) {
            let value = B::try_from(value);
            fits &= value.is_ok();
            *out = value.unwrap_or_default();
        }
        if fits {
            return Ok(());
        }
        let valid = |row: &usize| validity.is_none_or(|words| bitmap::get(words, *row));
        let fault = (0..rows).filter(valid).find(|&row| B::try_from(from[row]).is_err());
        fault.map_or(Ok(()), |row| Err(cast.out_of_range(from[row])))
    })
}

/// The same numbers under another type.
fn run_copy<T: Machine>(context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
    let from = write::side::<T>(&args[0], rows)?;
    write::values::<T>(context.level, args, rows, out, |out, _| {
        match from {
            Side::Column(from) => out.copy_from_slice(from),
            Side::Constant(from) => out.fill(from),
        }
        Ok(())
    })
}
