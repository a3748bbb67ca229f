//! decode.
pub mod value;
