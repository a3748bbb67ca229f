//! SQL values that Rust has no type of its own for, as newtypes around the integers that columns hold.

/// A `TIMESTAMP`: microseconds since 1970-01-01 00:00:00. Timestamps of other units are cast to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A `TIMESTAMP(9)`: nanoseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampNanos(pub i64);

/// A `TIMESTAMP(3)`: milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampMillis(pub i64);

/// A `TIMESTAMP(0)`: seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimestampSeconds(pub i64);

/// A `DATE`: days since 1970-01-01.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// A `TIME`: nanoseconds since midnight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// An `INTERVAL`: months, days and nanoseconds, which do not add up to one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub nanoseconds: i64,
}

/// A `DECIMAL(PRECISION, SCALE)`: the number times 10 to the power of `SCALE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const PRECISION: u8, const SCALE: i8>(pub i128);

impl<const PRECISION: u8, const SCALE: i8> Decimal<PRECISION, SCALE> {
    /// The nearest float.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 10f64.powi(SCALE.into())
    }
}

impl Timestamp {
    /// How far it is after `earlier`, in seconds.
    pub fn seconds_since(self, earlier: Timestamp) -> f64 {
        // In 128 bits: the ends of time are further apart than 64 bits hold.
        (i128::from(self.0) - i128::from(earlier.0)) as f64 / 1e6
    }
}
