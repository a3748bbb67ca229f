//! What several test files share.

pub mod tree; // the source files of this repository
