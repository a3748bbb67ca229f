//! source (in the making).
