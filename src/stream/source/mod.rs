//! source (in the making).

pub mod datagen;
pub mod nexmark;
