//! Text of one value → the value. Each parser takes exactly the value's bytes and says `None` when they are none.
//!
//! Invariants  no parser panics or allocates, whatever the bytes; numbers are exact or correctly rounded.

pub mod boolean; // true, false, yes, no, 1, 0
pub mod integer; // integers
pub mod float; //   floats, correctly rounded
pub mod decimal; // decimals of a fixed scale
pub mod time; //    dates, times of day, timestamps
pub mod word; //    up to eight digits at once
