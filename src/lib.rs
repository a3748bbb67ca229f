//! Millstream: an embeddable, vectorized, columnar SQL engine for streams and tables.
#![forbid(unsafe_code)]

pub mod batch; //      rows in columns
pub mod config;
pub mod engine; //     the front door
pub mod error;
pub mod expression; // programs over columns
pub mod function; //   SQL functions
pub mod pipeline; //   the compiled query
pub mod query; //      a query at work, as its owner holds it
pub mod runtime; //    pipelines become threads
pub mod sql; //        text becomes a pipeline
pub mod state; //      keyed tables
pub mod stream; //     bytes in, bytes out
pub mod testing; //    scripted streams and what must come out
pub mod time; //       event time

pub use arrow;
pub use error::{Error, Kind, Result};
pub use millstream_macros::kernel;

/// The listings of `docs/kernels.md`.
#[cfg(doctest)]
#[doc = include_str!("../docs/kernels.md")]
pub struct KernelsPage;
