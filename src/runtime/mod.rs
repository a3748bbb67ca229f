//! runtime (in the making).
