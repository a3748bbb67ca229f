//! Kernels (being merged).
pub mod bitmap;
pub mod level;
pub mod view;
pub mod gather {
    //! Stand-in.
    pub fn take<T: Copy>(values: &[T], rows: &[u16], out: &mut Vec<T>) {
        out.clear();
        out.extend(rows.iter().map(|&r| values[r as usize]));
    }
}
pub use level::Level;
