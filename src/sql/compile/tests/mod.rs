//! Queries from text to answers: compiled, then run by a naive runner over tables in memory.

mod explains; //    golden pipelines
mod expressions; // values of expressions
mod functions; //   users' functions
mod plans; //       answers of whole queries, and what is refused
mod run; //         the naive runner
mod world; //       tables in memory, text to plan

use run::answer;
use world::{compiled, refused};
