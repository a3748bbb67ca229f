//! Text of one value → the value. Each parser takes exactly the value's bytes and says `None` when they are none.
//!
//! Invariants  no parser panics or allocates, whatever the bytes; numbers are exact or correctly rounded.

pub mod boolean; // true, false, yes, no, 1, 0
pub mod integer; // integers
pub mod float; //   floats, correctly rounded
pub mod decimal; // decimals of a fixed scale
pub mod time; //    dates, times of day, timestamps
pub mod word; //    up to eight digits at once
pub mod strict; //  numbers and words as JSON writes them

/// The text of a value, and what is read ahead from its start.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    pub bytes: &'a [u8],
    /// The first 16 bytes as a word, the first one lowest; behind the value's end it holds anything.
    ahead: u128,
}

impl<'a> Field<'a> {
    /// The value at `start..end` of a text that goes on for 16 bytes behind any value's start.
    #[inline(always)]
    pub fn new(padded: &'a [u8], start: usize, end: usize) -> Self {
        let ahead = padded[start..].first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes));
        Field { bytes: &padded[start..end], ahead }
    }

    /// A value that lies anywhere.
    pub fn of(bytes: &'a [u8]) -> Self {
        let mut ahead = [0; 16];
        let length = bytes.len().min(16);
        ahead[..length].copy_from_slice(&bytes[..length]);
        Field { bytes, ahead: u128::from_le_bytes(ahead) }
    }

    /// Whether a minus comes first, and the word and the length behind a sign.
    #[inline(always)]
    fn sign(&self) -> (bool, u128, usize) {
        let first = self.ahead as u8;
        let negative = first == b'-' && !self.bytes.is_empty();
        let signed = negative || first == b'+' && !self.bytes.is_empty();
        (negative, self.ahead >> (8 * signed as u32), self.bytes.len() - signed as usize)
    }
}
