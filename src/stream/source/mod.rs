//! source (in the making).

pub mod datagen;
pub mod measurements;
pub mod nexmark;
pub mod scenario;
