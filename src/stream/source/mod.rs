//! source (in the making).

pub mod datagen;
pub mod measurements;
pub mod nexmark;
pub mod block; // bytes, cut into blocks of whole records
pub mod text; //  tables over CSV and NDJSON
pub mod scenario;
