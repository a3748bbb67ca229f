//! Feldera's cases: exact changes step by step, blocks of queries with their answers, and views over tables.

mod blocks; // queries and answers
mod steps; //  changes with weights
mod views; //  views that follow tables
