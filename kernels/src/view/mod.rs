//! Looks into Arrow's 16-byte string views.
//!
//! Contract    a view is four bytes of length, then up to 12 bytes of the string itself, or a prefix, a buffer
//!             number and an offset. Source: Arrow columnar format, "variable-size binary view layout".

mod builder; // views over a block of text, made without a second look at each value
mod chooser; // views of several columns, row by row
mod heap; //    strings kept at places
mod letters; // ASCII letters in one case
mod piece; //   pieces of strings between separators

pub use builder::{Text, ViewBuilder};
pub use chooser::ViewChooser;
pub use heap::{ViewCopier, ViewHeap, ViewSource};
pub use letters::ascii_case;

/// The first `length` bytes that a view of at most 12 bytes holds inline.
///
/// Panics: when `length` is above 12.
pub fn inline(view: &u128, length: usize) -> &[u8] {
    assert!(length <= 12, "only short strings are inline");
    // SAFETY: a u128 is 16 initialised bytes without padding, `u8` needs no alignment, and 4 + length <= 16 keeps the
    // slice inside of it; it borrows from `view` and lives no longer.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(view).cast::<u8>().add(4), length) }
}

/// The view of a string of at most 12 bytes, zero padded as Arrow wants it.
///
/// Panics: when `bytes` are more than 12.
pub fn short(bytes: &[u8]) -> u128 {
    assert!(bytes.len() <= 12, "only short strings are inline");
    let mut view = [0u8; 16];
    view[0] = bytes.len() as u8;
    view[4..4 + bytes.len()].copy_from_slice(bytes);
    u128::from_le_bytes(view)
}

/// The view of a longer string that lies at `offset` of buffer `buffer`.
///
/// Panics: when `bytes` are 12 or fewer.
pub fn long(bytes: &[u8], buffer: u32, offset: u32) -> u128 {
    assert!(bytes.len() > 12, "short strings are inline");
    let prefix = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    bytes.len() as u32 as u128 | (prefix as u128) << 32 | (buffer as u128) << 64 | (offset as u128) << 96
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_views_hold_their_bytes() {
        for text in ["", "a", "twelve bytes"] {
            assert_eq!(inline(&short(text.as_bytes()), text.len()), text.as_bytes());
        }
    }
}
