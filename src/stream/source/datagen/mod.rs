//! Rows made up as declared, and what generated tables share.

pub mod hash; //    random bits from row numbers
pub mod options; // the options of generated tables
pub mod rows; //    ranges of row numbers as morsels
