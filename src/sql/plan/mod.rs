//! Stands in until the real module is merged.
pub mod window;
pub use window::WindowNode;
