//! Bytes become batches: CSV and newline-delimited JSON, straight from a block of text into the projected columns.
//!
//! Place       after a source cut the text into blocks at record boundaries; a decoder belongs to one worker at a time.
//! Owns        the scratch memory of decoding; columns are handed over with each batch and their memory comes back.
//! Invariants  a decoder never panics on what it reads; the rows are the same wherever the text is cut;
//!             a value that is not projected is not looked at beyond what finding its end takes.

pub mod block; //   the text a decoder works on
pub mod fault; //   what is wrong with a row, and what to do about it
pub mod column; //  the column being filled
pub mod value; //   text of one value → value
pub mod fill; //    a field of many rows → a column
pub mod infer; //   types from samples
pub mod csv; //     comma-separated values
pub mod json; //    an object per line

pub use block::Block;
pub use fault::OnError;
