//! Types that cross the boundary, in and out.

use std::ffi::c_void;
use std::fmt::Display;

use crate::abi::ArrowArray;

/// A type that a kernel takes.
pub trait Input<'a>: Sized {
    /// Its name in SQL.
    const SQL: &'static str;
    /// Whether nulls are given to it.
    const TAKES_NULLS: bool = false;

    /// The value of a row.
    ///
    /// # Safety
    /// The column is of this type and has that row; it lives for `'a`.
    #[doc(hidden)]
    unsafe fn get(column: Column, row: usize) -> Self;
}

/// The buffers of a column.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub validity: *const u8,
    pub values: *const c_void,
    pub bytes: *const u8,
}

impl Column {
    /// # Safety
    /// `array` is a column that is lent.
    pub(crate) unsafe fn new(array: *const ArrowArray) -> Column {
        // SAFETY: a column has as many buffers as it says, at least two.
        unsafe {
            let buffers = (*array).buffers;
            let bytes = if (*array).n_buffers > 2 { (*buffers.add(2)).cast() } else { std::ptr::null() };
            Column { validity: (*buffers).cast(), values: *buffers.add(1), bytes }
        }
    }

    /// # Safety
    /// The column has that row.
    #[inline(always)]
    pub(crate) unsafe fn is_null(self, row: usize) -> bool {
        // SAFETY: the validity has a bit per row, where there is one.
        !self.validity.is_null() && unsafe { *self.validity.add(row / 8) } >> (row % 8) & 1 == 0
    }
}

/// A value that a kernel gives.
pub trait Output: Sized {
    /// Its name in SQL.
    const SQL: &'static str;
    /// Whether the kernel makes the array itself.
    #[doc(hidden)]
    const IS_TEXT: bool = false;

    /// Writes the value of a row.
    ///
    /// # Safety
    /// The buffer has room for that row.
    #[doc(hidden)]
    unsafe fn put(self, values: *mut c_void, row: usize);

    /// The bytes of a text.
    #[doc(hidden)]
    fn bytes(&self) -> &[u8] {
        &[]
    }
}

macro_rules! numbers {
    ($($type:ty, $sql:literal;)*) => {
        $(
            impl Input<'_> for $type {
                const SQL: &'static str = $sql;
                #[inline(always)]
                unsafe fn get(column: Column, row: usize) -> Self {
                    // SAFETY: the caller's.
                    unsafe { *column.values.cast::<$type>().add(row) }
                }
            }

            impl Output for $type {
                const SQL: &'static str = $sql;
                #[inline(always)]
                unsafe fn put(self, values: *mut c_void, row: usize) {
                    // SAFETY: the caller's.
                    unsafe { *values.cast::<$type>().add(row) = self }
                }
            }
        )*
    };
}
numbers! {
    i8, "TINYINT";
    i16, "SMALLINT";
    i32, "INT";
    i64, "BIGINT";
    u8, "TINYINT UNSIGNED";
    u16, "SMALLINT UNSIGNED";
    u32, "INT UNSIGNED";
    u64, "BIGINT UNSIGNED";
    f32, "REAL";
    f64, "DOUBLE";
}

impl Input<'_> for bool {
    const SQL: &'static str = "BOOLEAN";
    unsafe fn get(column: Column, row: usize) -> Self {
        // SAFETY: the caller's.
        unsafe { *column.values.cast::<u8>().add(row / 8) >> (row % 8) & 1 == 1 }
    }
}

impl Output for bool {
    const SQL: &'static str = "BOOLEAN";
    unsafe fn put(self, values: *mut c_void, row: usize) {
        // SAFETY: the caller's. All bits are zero before.
        unsafe { *values.cast::<u8>().add(row / 8) |= u8::from(self) << (row % 8) }
    }
}

impl<'a> Input<'a> for &'a str {
    const SQL: &'static str = "VARCHAR";
    unsafe fn get(column: Column, row: usize) -> Self {
        // SAFETY: the caller's; the engine's texts are UTF-8.
        unsafe {
            let offsets = column.values.cast::<i32>();
            let (start, end) = (*offsets.add(row) as usize, *offsets.add(row + 1) as usize);
            std::str::from_utf8_unchecked(std::slice::from_raw_parts(column.bytes.add(start), end - start))
        }
    }
}

impl Output for String {
    const SQL: &'static str = "VARCHAR";
    const IS_TEXT: bool = true;
    unsafe fn put(self, _: *mut c_void, _: usize) {}
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<'a, T: Input<'a>> Input<'a> for Option<T> {
    const SQL: &'static str = T::SQL;
    const TAKES_NULLS: bool = true;
    unsafe fn get(column: Column, row: usize) -> Self {
        // SAFETY: the caller's.
        unsafe { if column.is_null(row) { None } else { Some(T::get(column, row)) } }
    }
}

/// What a kernel may return: a value, an `Option`, or a `Result` of either.
pub trait Returned {
    /// The value.
    type Value: Output;
    /// Its name in SQL.
    const RESULT: &'static str = <Self::Value as Output>::SQL;

    #[doc(hidden)]
    fn resolve(self) -> Result<Option<Self::Value>, String>;
}

impl<T: Output> Returned for T {
    type Value = T;
    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        Ok(Some(self))
    }
}

impl<T: Output> Returned for Option<T> {
    type Value = T;
    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        Ok(self)
    }
}

impl<T: Output, E: Display> Returned for Result<T, E> {
    type Value = T;
    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        self.map(Some).map_err(|error| error.to_string())
    }
}

impl<T: Output, E: Display> Returned for Result<Option<T>, E> {
    type Value = T;
    #[inline(always)]
    fn resolve(self) -> Result<Option<T>, String> {
        self.map_err(|error| error.to_string())
    }
}
