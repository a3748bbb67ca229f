//! operator (in the making).
