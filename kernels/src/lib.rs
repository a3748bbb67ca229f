//! Plain loops over columns, compiled once per CPU level and dispatched once per call.
//!
//! Place       the lowest room: everybody may call it, it calls nobody.
//! Owns        nothing: slices in, slices and vectors out.
//! Invariants  every tier of a kernel gives the same bits as its `scalar` module; lengths are asserted once per
//!             call; a bitmap holds row `i` at bit `i % 64` of word `i / 64`, and bits past the last row are written
//!             as zero and ignored on reading; a selection is a list of `u16` rows.
//! Source      one room per subject; `benches/kernels.rs` holds the numbers behind each choice.
//!
//! A room is a folder: `mod.rs` is the contract and the dispatch, `scalar.rs` the plain truth that the tests compare
//! with, `simd.rs` one body for every vector width, `avx512.rs` exists only where the bench shows that it wins.
//! Kernels know no SQL, no time zones, no error type. A `&mut Vec` named `out` is emptied first, so that a caller can
//! hand the same buffer in for every batch; only `bitmap::append`, `bitmap::positions`,
//! `gather::append` and `snappy::append` add to what is there.

mod lanes; //          the types that kernels know as vectors
pub mod level; //      what this CPU can do, asked once
pub mod number; //     the types that kernels know, and their order

pub mod aggregate; //  a column → one value
pub mod arithmetic; // + - * / %, checked for integers
pub mod bitmap; //     one bit per row: and, or, not, count, positions
pub mod cast; //       numbers → wider numbers
pub mod choose; //     one column or another, by bit
pub mod compare; //    two columns, or a column and a constant → bitmap
pub mod filter; //     the rows whose bit is set, moved together
pub mod fused; //    arithmetic and a comparison over it, without a column between
pub mod gather; //     the rows of a list, in its order; and back
pub mod grouped; //    a column → one value per group
pub mod hash; //       keys → 64 bits
pub mod logic; //      AND and OR of values that may be null
pub mod pane; //       timestamps → panes
pub mod partition; //  hashes → a selection per partition
pub mod probe; //      asking memory ahead of time
pub mod scan; //       bytes of interest in text
pub mod snappy; //     compressed blocks → bytes
pub mod unpack; //    numbers of a few bits → words
pub mod view; //       16-byte string views

pub use level::Level;
pub use number::{Integer, Native, Number};
