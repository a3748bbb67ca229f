//! Functions of the users' own, as a program around the engine registers and calls them.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

#[path = "kernels/aggregate.rs"]
mod aggregate; // aggregates: plain, in windows, over changes, across partitions
#[path = "kernels/attribute.rs"]
mod attribute; // #[millstream::kernel]
#[path = "kernels/connector.rs"]
mod connector; // a source and a sink
#[path = "kernels/foreign.rs"]
mod foreign; //   functions written for DataFusion
#[path = "kernels/format.rs"]
mod format; //    file formats
#[path = "kernels/hostile.rs"]
mod hostile; //   functions that panic, fail, sleep, or make nonsense
#[path = "kernels/operator.rs"]
mod operator; //  table functions and operators
#[path = "kernels/native.rs"]
mod native; //    kernels of shared libraries
#[path = "kernels/peers.rs"]
mod peers; //     listings that are counted beside other engines'
#[path = "kernels/scalar.rs"]
mod scalar; //    closures
#[path = "support/squares.rs"]
mod squares; //   aggregates that say what SUM says
#[path = "kernels/states.rs"]
mod states; //    aggregates wherever they may stand
#[path = "kernels/vector.rs"]
mod vector; //    kernels over whole columns
#[path = "kernels/window.rs"]
mod window; //    window functions written for DataFusion

use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::error::Result;

/// An engine with small batches, so that rows lie in several.
fn engine() -> Engine {
    engine_of(64, 1)
}

fn engine_of(batch_rows: usize, partitions: usize) -> Engine {
    Engine::new(Config { batch_rows, partitions, ..Config::default() })
}

/// The rows of a query, values separated by spaces.
fn try_rows(engine: &Engine, sql: &str) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    let options = FormatOptions::default().with_null("NULL");
    for batch in engine.sql(sql)?.collect()? {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(values.join(" "));
        }
    }
    Ok(rows)
}

fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    try_rows(engine, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Why a query fails.
fn error(engine: &Engine, sql: &str) -> String {
    match try_rows(engine, sql) {
        Ok(rows) => panic!("{sql}: it gave {rows:?}"),
        Err(error) => error.to_string(),
    }
}
