//! sql (in the making).
pub mod bridge;
pub mod catalog;
pub mod compile;
pub mod plan;
