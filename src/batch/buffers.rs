//! The buffers that arrays of strings point into: not much larger than what is pointed at, and not too many.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::buffer::Buffer;

/// Arrays that point into more buffers than this are written anew: each slice and each gather names all buffers.
const BUFFERS_MAX: usize = 64;

/// The array without the memory of what was not selected: strings that point into much larger buffers are copied.
pub fn without_waste(array: ArrayRef) -> ArrayRef {
    fn is_wasteful(views: &[u128], buffers: &[Buffer]) -> bool {
        let held: usize = buffers.iter().map(|buffer| buffer.capacity()).sum();
        let used: usize = views.iter().map(|view| *view as u32 as usize).filter(|length| *length > 12).sum();
        held > 2 * used
    }
    copied_where(array, is_wasteful)
}

/// The array, copied where it points into many buffers, as one does that was put together of many small ones.
pub fn with_few_buffers(array: ArrayRef) -> ArrayRef {
    copied_where(array, |_, buffers| buffers.len() > BUFFERS_MAX)
}

fn copied_where(array: ArrayRef, is_so: impl Fn(&[u128], &[Buffer]) -> bool) -> ArrayRef {
    if let Some(strings) = array.as_string_view_opt() {
        return if is_so(strings.views(), strings.data_buffers()) { Arc::new(strings.gc()) } else { array };
    }
    match array.as_binary_view_opt() {
        Some(bytes) if is_so(bytes.views(), bytes.data_buffers()) => Arc::new(bytes.gc()),
        _ => array,
    }
}
