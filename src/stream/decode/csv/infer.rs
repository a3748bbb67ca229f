//! Names and types from a sample of a CSV file.
