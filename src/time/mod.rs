//! time (in the making).
