//! Kernels (being merged).
pub mod level;
pub mod bitmap;
pub mod scan;
pub mod view;
pub mod gather { //! Stand-in.
pub fn take<T: Copy>(values: &[T], rows: &[u16], out: &mut Vec<T>) { out.clear(); out.extend(rows.iter().map(|&r| values[r as usize])); } }
pub use level::Level;
