//! aggregate functions.
