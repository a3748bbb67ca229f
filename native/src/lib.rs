//! Kernels in shared libraries: loading them, and calling them with columns.
//!
//! Place       beside `kernels`, and as low: it knows slices and Arrow memory, no SQL.
//! Owns        the libraries, which are never unloaded: what they export is there for good.
//! Invariants  the rest of the engine sees safe functions only. What a library promises by its description is believed;
//!             what it writes is looked at: a value behind the end of an output, an array that is none.
//!
//! `include/millstream_kernel.h` is the contract; [`abi`] is the same in Rust.

mod call; //      columns as the contract has them
mod library; //   opening a library, checking what it exports

pub use call::{Arg, Output, States, Text, Word};
pub use library::{Kernel, Library};
pub use millstream_plugin::abi;
