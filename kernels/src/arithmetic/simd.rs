//! One body for every width: wrapped results, and one flag that remembers whether any of them is wrong.
//!
//! Source      overflow without branches: Hacker's Delight 2-13; bench `arithmetic`.

use super::Side;
use super::invariant::Divisor;
use crate::number::{Integer, Number};
use std::ops::{Add, BitOrAssign, Div, Mul, Sub};

/// A side of an operation inside a loop.
pub trait Operand<T>: Copy {
    fn at(self, row: usize) -> T;
    /// The same side for exactly `rows` rows, which spares the loop its bounds checks.
    fn first(self, rows: usize) -> Self;
    fn skip(self, rows: usize) -> Self;
}

impl<T: Copy> Operand<T> for &[T] {
    #[inline(always)]
    fn at(self, row: usize) -> T {
        self[row]
    }
    #[inline(always)]
    fn first(self, rows: usize) -> Self {
        &self[..rows]
    }
    #[inline(always)]
    fn skip(self, rows: usize) -> Self {
        &self[rows..]
    }
}

/// The same value in every row.
#[derive(Clone, Copy)]
pub struct Constant<T>(pub T);

impl<T: Copy> Operand<T> for Constant<T> {
    #[inline(always)]
    fn at(self, _: usize) -> T {
        self.0
    }
    #[inline(always)]
    fn first(self, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn skip(self, _: usize) -> Self {
        self
    }
}

/// Wrapped results beside marks of overflow, which the loops collect with OR.
pub trait Wrapping: Integer + BitOrAssign {
    const ZERO: Self;
    fn sum(self, other: Self) -> (Self, Self);
    fn difference(self, other: Self) -> (Self, Self);
    fn product(self, other: Self) -> (Self, Self);
    fn distance(self) -> (Self, Self);
    fn quotient(self, other: Self) -> (Self, bool);
    fn remainder(self, other: Self) -> (Self, bool);
    /// Divides all by one number, if that can be done without dividing; none is at fault then.
    #[inline(always)]
    fn quotients(_: &[Self], _: Self, _: &mut [Self]) -> bool {
        false
    }
    #[inline(always)]
    fn remainders(_: &[Self], _: Self, _: &mut [Self]) -> bool {
        false
    }
    /// Whether the collected marks of sums, differences and distances tell of an overflow.
    fn sum_marked(marks: Self) -> bool;
}

#[inline(always)]
pub fn sum<T: Wrapping>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) -> bool {
    T::sum_marked(marked(a, b, out, T::sum))
}

#[inline(always)]
pub fn difference<T: Wrapping>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) -> bool {
    T::sum_marked(marked(a, b, out, T::difference))
}

#[inline(always)]
pub fn product<T: Wrapping>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) -> bool {
    marked(a, b, out, T::product) != T::ZERO
}

#[inline(always)]
pub fn distance<T: Wrapping>(a: &[T], out: &mut [T]) -> bool {
    T::sum_marked(marked(a, Constant(T::ZERO), out, |a, _| a.distance()))
}

#[inline(always)]
fn marked<T: Wrapping>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T], op: impl Fn(T, T) -> (T, T)) -> T {
    let (a, b) = (a.first(out.len()), b.first(out.len()));
    let mut marks = T::ZERO;
    for (row, out) in out.iter_mut().enumerate() {
        let (result, mark) = op(a.at(row), b.at(row));
        *out = result;
        marks |= mark;
    }
    marks
}

/// Products of 64-bit numbers, which have no wider vector to check them in: a block of 64 rows whose factors are
/// small enough cannot overflow and stays as the vectors multiplied it, any other is checked row by row.
#[inline(always)]
pub fn product_of_blocks<T: Wide>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) -> bool {
    const BLOCK: usize = 64;
    let mut fault = false;
    for (index, out) in out.chunks_mut(BLOCK).enumerate() {
        let (a, b) = (a.skip(index * BLOCK).first(out.len()), b.skip(index * BLOCK).first(out.len()));
        let (mut a_bits, mut b_bits) = (0, 0);
        for (row, out) in out.iter_mut().enumerate() {
            a_bits |= a.at(row).magnitude();
            b_bits |= b.at(row).magnitude();
            *out = a.at(row).wrapping(b.at(row));
        }
        if a_bits.leading_zeros() + b_bits.leading_zeros() < T::SPARE_BITS {
            fault |= marked(a, b, out, T::product) != T::ZERO;
        }
    }
    fault
}

/// A 64-bit number.
pub trait Wide: Wrapping {
    /// How many leading zeros two factors need together so that their product fits.
    const SPARE_BITS: u32;
    /// A number with at least the leading zeros of the distance from zero (less one, for negative ones).
    fn magnitude(self) -> u64;
    fn wrapping(self, other: Self) -> Self;
}

impl Wide for i64 {
    // |a| <= 2^p and |b| <= 2^q with p + q <= 62.
    const SPARE_BITS: u32 = 128 - 62;
    #[inline(always)]
    fn magnitude(self) -> u64 {
        (self ^ (self >> 63)) as u64
    }
    #[inline(always)]
    fn wrapping(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
}

impl Wide for u64 {
    const SPARE_BITS: u32 = 128 - 64;
    #[inline(always)]
    fn magnitude(self) -> u64 {
        self
    }
    #[inline(always)]
    fn wrapping(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
}

#[inline(always)]
pub fn quotient<T: Wrapping>(a: Side<T>, b: Side<T>, out: &mut [T]) -> bool {
    if let (Side::Column(a), Side::Constant(b)) = (a, b)
        && T::quotients(a, b, out)
    {
        return false;
    }
    divided(a, b, out, T::quotient)
}

#[inline(always)]
pub fn remainder<T: Wrapping>(a: Side<T>, b: Side<T>, out: &mut [T]) -> bool {
    if let (Side::Column(a), Side::Constant(b)) = (a, b)
        && T::remainders(a, b, out)
    {
        return false;
    }
    divided(a, b, out, T::remainder)
}

#[inline(never)]
fn divided<T: Wrapping>(a: Side<T>, b: Side<T>, out: &mut [T], op: impl Fn(T, T) -> (T, bool)) -> bool {
    let mut fault = false;
    for (row, out) in out.iter_mut().enumerate() {
        let (result, wrong) = op(a.at(row), b.at(row));
        *out = result;
        fault |= wrong;
    }
    fault
}

/// Multiplies in the next wider type: the upper half must be the sign of the lower (zero for unsigned types).
macro_rules! widened {
    ($t:ty, $wide:ty) => {
        #[inline(always)]
        fn product(self, other: Self) -> (Self, Self) {
            let wide = <$wide>::from(self) * <$wide>::from(other);
            let low = wide as $t;
            let sign = if <$t>::MIN == 0 { 0 } else { low >> (<$t>::BITS - 1) };
            (low, (wide >> <$t>::BITS) as $t ^ sign)
        }
    };
}

macro_rules! overflowing {
    ($t:ty) => {
        #[inline(always)]
        fn product(self, other: Self) -> (Self, Self) {
            let (product, overflow) = self.overflowing_mul(other);
            (product, <$t>::from(overflow))
        }
    };
}

macro_rules! divisions {
    (i64) => {
        divisions!();
        #[inline(always)]
        fn quotients(values: &[i64], by: i64, out: &mut [i64]) -> bool {
            let Some(by) = Divisor::new(by) else { return false };
            by.quotients(values, out);
            true
        }
        #[inline(always)]
        fn remainders(values: &[i64], by: i64, out: &mut [i64]) -> bool {
            let Some(by) = Divisor::new(by) else { return false };
            by.remainders(values, out);
            true
        }
    };
    ($($other:ident)?) => {
        #[inline(always)]
        fn quotient(self, other: Self) -> (Self, bool) {
            if other == 0 { (0, true) } else { self.overflowing_div(other) }
        }
        #[inline(always)]
        fn remainder(self, other: Self) -> (Self, bool) {
            if other == 0 { (0, true) } else { (self.wrapping_rem(other), false) }
        }
    };
}

macro_rules! signed {
    ($($t:ident: $product:ident($($types:ty),*);)*) => {$(
        impl Wrapping for $t {
            const ZERO: Self = 0;
            #[inline(always)]
            fn sum(self, other: Self) -> (Self, Self) {
                let sum = self.wrapping_add(other);
                (sum, (self ^ sum) & (other ^ sum))
            }
            #[inline(always)]
            fn difference(self, other: Self) -> (Self, Self) {
                let difference = self.wrapping_sub(other);
                (difference, (self ^ other) & (self ^ difference))
            }
            $product!($($types),*);
            #[inline(always)]
            fn distance(self) -> (Self, Self) {
                let distance = self.wrapping_abs();
                (distance, distance)
            }
            #[inline(always)]
            fn sum_marked(marks: Self) -> bool {
                marks < 0
            }
            divisions!($t);
        }
    )*};
}

macro_rules! unsigned {
    ($($t:ident: $product:ident($($types:ty),*);)*) => {$(
        impl Wrapping for $t {
            const ZERO: Self = 0;
            #[inline(always)]
            fn sum(self, other: Self) -> (Self, Self) {
                let sum = self.wrapping_add(other);
                (sum, <$t>::from(sum < self))
            }
            #[inline(always)]
            fn difference(self, other: Self) -> (Self, Self) {
                (self.wrapping_sub(other), <$t>::from(self < other))
            }
            $product!($($types),*);
            #[inline(always)]
            fn distance(self) -> (Self, Self) {
                (self, 0)
            }
            #[inline(always)]
            fn sum_marked(marks: Self) -> bool {
                marks != 0
            }
            divisions!($t);
        }
    )*};
}

signed!(i8: widened(i8, i16); i16: widened(i16, i32); i32: widened(i32, i64); i64: overflowing(i64);
    i128: overflowing(i128););
unsigned!(u8: widened(u8, u16); u16: widened(u16, u32); u32: widened(u32, u64); u64: overflowing(u64);
    u128: overflowing(u128););

#[inline(always)]
pub fn map<T: Copy>(a: &[T], out: &mut [T], op: impl Fn(T) -> T) {
    for (out, &a) in out.iter_mut().zip(a) {
        *out = op(a);
    }
}

/// Floats: nothing to check.
pub mod float {
    use super::{Add, Div, Mul, Number, Operand, Sub};

    #[inline(always)]
    pub fn sum<T: Number + Add<Output = T>>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) {
        each(a, b, out, |a, b| a + b);
    }

    #[inline(always)]
    pub fn difference<T: Number + Sub<Output = T>>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) {
        each(a, b, out, |a, b| a - b);
    }

    #[inline(always)]
    pub fn product<T: Number + Mul<Output = T>>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) {
        each(a, b, out, |a, b| a * b);
    }

    #[inline(always)]
    pub fn quotient<T: Number + Div<Output = T>>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T]) {
        each(a, b, out, |a, b| a / b);
    }

    #[inline(always)]
    fn each<T: Number>(a: impl Operand<T>, b: impl Operand<T>, out: &mut [T], op: impl Fn(T, T) -> T) {
        let (a, b) = (a.first(out.len()), b.first(out.len()));
        for (row, out) in out.iter_mut().enumerate() {
            *out = op(a.at(row), b.at(row));
        }
    }
}
