//! Cases of other projects, with the answers that those projects have recorded, from a folder outside this repository:
//! `MILLSTREAM_CASES` names it. Without the variable nothing runs; with `CASE=text` only cases whose name contains it.
//!
//! What passes is counted, what is refused is listed with its reason, what is different with both answers; a bug fails the
//! test. What the folder holds, and what came of it: docs/cases.md.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

#[path = "cases/arroyo.rs"]
mod arroyo; //     queries over files
#[path = "cases/datafusion.rs"]
mod datafusion; // SQL over small tables
#[path = "cases/define.rs"]
mod define; //     the tables of a case
#[path = "cases/feldera/mod.rs"]
mod feldera; //    steps, blocks, views
#[path = "cases/risingwave.rs"]
mod risingwave; // views over change streams
#[path = "cases/row.rs"]
mod row; //        when rows are the same
#[path = "cases/sqlite.rs"]
mod sqlite; //     random queries
#[path = "cases/tally.rs"]
mod tally; //      what came of them
#[path = "cases/windows.rs"]
mod windows; //    windows and joins by event time
