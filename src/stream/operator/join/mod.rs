//! Joins: operators with two inputs, the left one at port 0, the right one at port 1.
//!
//! Place       behind an exchange by the hash of the keys, so that equal keys of both sides meet in one instance.

mod build; // the side that is read first: its rows and a table of its keys
mod perfect; // one key, of numbers that lie close together
mod hash; //  one side into a table, the other past it
mod roles; // what becomes of the rows of each side
mod symmetric; // both sides kept, each row past those that came before
mod lookup; //   a table that is asked by key
mod recall; //   what the right side holds when a left row comes that may go again
mod as_of; //    the nearest row of the other side
mod as_of_changes; // the same, where rows come and go
mod versions; //  the rows of a key in the order of their times
mod side; //      a side that is kept
mod bytes; //     what joins share that hold rows as bytes
mod writer; //    what leaves of joins that keep rows
#[cfg(test)]
mod tests;

pub use as_of::AsOfJoin;
pub use as_of_changes::AsOfChanges;
pub use hash::{HashJoin, TablePlace};
pub use lookup::LookupJoin;
pub use recall::RecallJoin;
pub use symmetric::SymmetricJoin;
