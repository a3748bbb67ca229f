//! scalar functions.
