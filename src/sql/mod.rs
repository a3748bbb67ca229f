//! sql (in the making).
