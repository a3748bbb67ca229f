//! Sums, differences, products, quotients and remainders of columns and constants.
//!
//! Invariants  integers are checked: the first valid row that overflows or divides by zero is reported, rows under
//!             nulls never are. Floats follow IEEE 754 and never fault. Integer division truncates, the remainder has
//!             the sign of the dividend, `MIN / -1` overflows and `MIN % -1` is 0.
//!
//! One vector pass computes wrapped results and collects whether anything at all went wrong; only then does a slow
//! pass look for the row. When a fault is returned, `out` holds nothing of use.

mod invariant;
pub mod scalar;
pub(crate) mod simd;

use crate::number::Number;
use fearless_simd::{Level, dispatch};

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// `a % b`
    Rem,
}

/// What went wrong in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The result does not fit the type.
    Overflow,
    /// The divisor is zero.
    DivideByZero,
}

/// The first valid row that has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The index of the row.
    pub row: usize,
    /// What went wrong there.
    pub kind: FaultKind,
}

/// One side of an operation.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum Side<'a, T> {
    Column(&'a [T]),
    Constant(T),
}

impl<T: Copy> Side<'_, T> {
    #[inline(always)]
    fn at(self, row: usize) -> T {
        match self {
            Side::Column(values) => values[row],
            Side::Constant(value) => value,
        }
    }
}

/// A number to calculate with: all of them. Its methods are compiled here, once.
pub trait Arithmetic: Number {
    /// Returns `a op b`, or why there is no such number: the truth that the loops are tested against.
    fn checked(op: Op, a: Self, b: Self) -> Result<Self, FaultKind>;
    /// Returns `-a`, or why there is no such number.
    fn checked_negate(a: Self) -> Result<Self, FaultKind>;
    /// Returns the distance of `a` from zero, or why there is no such number.
    fn checked_abs(a: Self) -> Result<Self, FaultKind>;
    /// Computes every row and returns whether one may be at fault.
    #[doc(hidden)]
    fn run(level: Level, op: Op, a: Side<Self>, b: Side<Self>, out: &mut [Self]) -> bool;
    #[doc(hidden)]
    fn run_negate(level: Level, a: &[Self], out: &mut [Self]) -> bool;
    #[doc(hidden)]
    fn run_abs(level: Level, a: &[Self], out: &mut [Self]) -> bool;
}

/// Writes `a[i] op b[i]`, or returns the first valid row at fault.
///
/// Shapes: `a`, `b` and `out` of one length, `validity` covers it (none: all rows are valid). Panics otherwise.
pub fn columns<T: Arithmetic>(
    level: Level,
    op: Op,
    a: &[T],
    b: &[T],
    validity: Option<&[u64]>,
    out: &mut [T],
) -> Result<(), Fault> {
    assert!(a.len() == out.len() && b.len() == out.len(), "columns of one length");
    sides(level, op, Side::Column(a), Side::Column(b), validity, out)
}

/// Writes `a[i] op c`, or returns the first valid row at fault. Shapes and panics as in [`columns`].
pub fn column_constant<T: Arithmetic>(
    level: Level,
    op: Op,
    a: &[T],
    c: T,
    validity: Option<&[u64]>,
    out: &mut [T],
) -> Result<(), Fault> {
    assert_eq!(a.len(), out.len(), "columns of one length");
    sides(level, op, Side::Column(a), Side::Constant(c), validity, out)
}

/// Writes `c op b[i]`, or returns the first valid row at fault. Shapes and panics as in [`columns`].
pub fn constant_column<T: Arithmetic>(
    level: Level,
    op: Op,
    c: T,
    b: &[T],
    validity: Option<&[u64]>,
    out: &mut [T],
) -> Result<(), Fault> {
    assert_eq!(b.len(), out.len(), "columns of one length");
    sides(level, op, Side::Constant(c), Side::Column(b), validity, out)
}

/// Writes `-a[i]`, or returns the first valid row at fault (`MIN`, and every unsigned number but 0).
///
/// Shapes: `a` and `out` of one length, `validity` covers it. Panics otherwise.
pub fn negate<T: Arithmetic>(level: Level, a: &[T], validity: Option<&[u64]>, out: &mut [T]) -> Result<(), Fault> {
    assert_eq!(a.len(), out.len(), "columns of one length");
    if !T::run_negate(level, a, out) {
        return Ok(());
    }
    scalar::first_fault(a.len(), validity, |row| T::checked_negate(a[row]))
}

/// Writes the distance of `a[i]` from zero, or returns the first valid row at fault (`MIN`).
///
/// Shapes: `a` and `out` of one length, `validity` covers it. Panics otherwise.
pub fn abs<T: Arithmetic>(level: Level, a: &[T], validity: Option<&[u64]>, out: &mut [T]) -> Result<(), Fault> {
    assert_eq!(a.len(), out.len(), "columns of one length");
    if !T::run_abs(level, a, out) {
        return Ok(());
    }
    scalar::first_fault(a.len(), validity, |row| T::checked_abs(a[row]))
}

fn sides<T: Arithmetic>(
    level: Level,
    op: Op,
    a: Side<T>,
    b: Side<T>,
    validity: Option<&[u64]>,
    out: &mut [T],
) -> Result<(), Fault> {
    if !T::run(level, op, a, b, out) {
        return Ok(());
    }
    scalar::first_fault(out.len(), validity, |row| T::checked(op, a.at(row), b.at(row)))
}

/// Picks the loop for columns and constants; `$loop` is compiled for each of the three pairs and every level.
macro_rules! pick {
    ($level:expr, $loop:path, $a:expr, $b:expr, $out:expr) => {
        match ($a, $b) {
            (Side::Column(a), Side::Column(b)) => dispatch!($level, _s => $loop(a, b, $out)),
            (Side::Column(a), Side::Constant(b)) => dispatch!($level, _s => $loop(a, simd::Constant(b), $out)),
            (Side::Constant(a), Side::Column(b)) => dispatch!($level, _s => $loop(simd::Constant(a), b, $out)),
            (Side::Constant(_), Side::Constant(_)) => unreachable!("two constants are folded by the planner"),
        }
    };
}

macro_rules! integers {
    ($product:path: $($t:ty)*) => {$(
        impl Arithmetic for $t {
            fn checked(op: Op, a: Self, b: Self) -> Result<Self, FaultKind> {
                let result = match op {
                    Op::Add => a.checked_add(b),
                    Op::Sub => a.checked_sub(b),
                    Op::Mul => a.checked_mul(b),
                    Op::Div | Op::Rem if b == 0 => return Err(FaultKind::DivideByZero),
                    Op::Div => a.checked_div(b),
                    Op::Rem => Some(a.wrapping_rem(b)),
                };
                result.ok_or(FaultKind::Overflow)
            }
            fn checked_negate(a: Self) -> Result<Self, FaultKind> {
                a.checked_neg().ok_or(FaultKind::Overflow)
            }
            #[allow(unused_comparisons, reason = "an unsigned number is its own distance from zero")]
            fn checked_abs(a: Self) -> Result<Self, FaultKind> {
                if a < 0 { Self::checked_negate(a) } else { Ok(a) }
            }
            fn run(level: Level, op: Op, a: Side<Self>, b: Side<Self>, out: &mut [Self]) -> bool {
                match op {
                    Op::Add => pick!(level, simd::sum, a, b, out),
                    Op::Sub => pick!(level, simd::difference, a, b, out),
                    Op::Mul => pick!(level, $product, a, b, out),
                    // No CPU divides integers in vectors: these are multiplications, where the divisor is a constant.
                    Op::Div => dispatch!(level, _s => simd::quotient(a, b, out)),
                    Op::Rem => dispatch!(level, _s => simd::remainder(a, b, out)),
                }
            }
            fn run_negate(level: Level, a: &[Self], out: &mut [Self]) -> bool {
                dispatch!(level, _s => simd::difference(simd::Constant(0), a, out))
            }
            fn run_abs(level: Level, a: &[Self], out: &mut [Self]) -> bool {
                dispatch!(level, _s => simd::distance(a, out))
            }
        }
    )*};
}
integers!(simd::product: i8 i16 i32 u8 u16 u32 i128 u128);
integers!(simd::product_of_blocks: i64 u64);

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl Arithmetic for $t {
            fn checked(op: Op, a: Self, b: Self) -> Result<Self, FaultKind> {
                Ok(match op {
                    Op::Add => a + b,
                    Op::Sub => a - b,
                    Op::Mul => a * b,
                    Op::Div => a / b,
                    Op::Rem => a % b,
                })
            }
            fn checked_negate(a: Self) -> Result<Self, FaultKind> {
                Ok(-a)
            }
            fn checked_abs(a: Self) -> Result<Self, FaultKind> {
                Ok(a.abs())
            }
            fn run(level: Level, op: Op, a: Side<Self>, b: Side<Self>, out: &mut [Self]) -> bool {
                match op {
                    Op::Add => pick!(level, simd::float::sum, a, b, out),
                    Op::Sub => pick!(level, simd::float::difference, a, b, out),
                    Op::Mul => pick!(level, simd::float::product, a, b, out),
                    Op::Div => pick!(level, simd::float::quotient, a, b, out),
                    Op::Rem => out.iter_mut().enumerate().for_each(|(row, out)| *out = a.at(row) % b.at(row)),
                }
                false
            }
            fn run_negate(level: Level, a: &[Self], out: &mut [Self]) -> bool {
                dispatch!(level, _s => simd::map(a, out, |a| -a));
                false
            }
            fn run_abs(level: Level, a: &[Self], out: &mut [Self]) -> bool {
                dispatch!(level, _s => simd::map(a, out, |a| a.abs()));
                false
            }
        }
    )*};
}
floats!(f32 f64);
