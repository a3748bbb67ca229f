//! Joins: operators with two inputs, the left one at port 0, the right one at port 1.
//!
//! Place       behind an exchange by the hash of the keys, so that equal keys of both sides meet in one instance.

mod build; // the side that is read first: its rows and a table of its keys
mod hash; //  one side into a table, the other past it
mod roles; // what becomes of the rows of each side

pub use hash::HashJoin;
