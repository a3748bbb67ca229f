//! Makes string columns whose long values stay where they were read: in the block of text.
//!
//! Owns        the views, and a heap for values that are not in the block as they are (unescaped ones).
//! Invariants  the block is UTF-8 as a whole, checked once; a view into it begins and ends between characters, which is
//!             one look at two bytes; the heap takes `&str` only. So each value is UTF-8 and nothing is validated again.
//!             A view not set is the empty string.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryViewArray, StringViewArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

use crate::{level, scan};

/// Bytes that are UTF-8 from the first to the last.
#[derive(Debug, Clone)]
pub struct Text(Buffer);

impl Text {
    /// Checks the whole buffer once; gives it back when it is not UTF-8, or too long for a view's offset.
    pub fn new(bytes: Buffer) -> Result<Self, Buffer> {
        let fits = bytes.len() <= u32::MAX as usize;
        if fits && scan::is_utf8(level::detect(), &bytes) { Ok(Text(bytes)) } else { Err(bytes) }
    }
}

/// Fills a string or bytes column, row by row in any order.
#[derive(Debug)]
pub struct ViewBuilder {
    /// Whether the column is of strings; else of bytes.
    is_text: bool,
    views: Vec<u128>,
    block: Option<Buffer>,
    heap: Vec<u8>,
}

const BLOCK: u32 = 0;
const HEAP: u32 = 1;

impl ViewBuilder {
    /// A builder of string columns.
    pub fn text() -> Self {
        ViewBuilder { is_text: true, views: Vec::new(), block: None, heap: Vec::new() }
    }

    /// A builder of columns of bytes.
    pub fn bytes() -> Self {
        ViewBuilder { is_text: false, views: Vec::new(), block: None, heap: Vec::new() }
    }

    /// Starts a column of up to `rows` rows, all empty, whose values may lie in `block`.
    pub fn begin_text(&mut self, block: Option<Text>, rows: usize) {
        self.begin(block.map(|text| text.0), rows);
    }

    /// As [`ViewBuilder::begin_text`] for bytes.
    ///
    /// Panics: on a builder of strings.
    pub fn begin_bytes(&mut self, block: Buffer, rows: usize) {
        assert!(!self.is_text, "strings come from checked text");
        assert!(block.len() <= u32::MAX as usize, "an offset fits a view");
        self.begin(Some(block), rows);
    }

    fn begin(&mut self, block: Option<Buffer>, rows: usize) {
        self.views.clear();
        self.views.resize(rows, 0);
        self.heap.clear();
        self.block = block;
    }

    /// Takes over the memory of a column made earlier, when nobody else holds it.
    pub fn recycle(&mut self, array: &mut ArrayRef) {
        if !self.views.is_empty() || self.views.capacity() > 0 {
            return;
        }
        let old = std::mem::replace(array, Arc::new(arrow_array::NullArray::new(0)));
        let views = if let Some(strings) = old.as_any().downcast_ref::<StringViewArray>() {
            strings.views().inner().clone()
        } else if let Some(bytes) = old.as_any().downcast_ref::<BinaryViewArray>() {
            bytes.views().inner().clone()
        } else {
            return;
        };
        drop(old);
        if let Ok(views) = views.into_vec::<u128>() {
            self.views = views;
        }
    }

    /// Makes row `row` the bytes `start..end` of the block, and says whether that is a value: the range lies in the
    /// block, and for strings it begins and ends between characters.
    #[inline(always)]
    pub fn set_range(&mut self, row: usize, start: usize, end: usize) -> bool {
        let Some(block) = self.block.as_deref() else { return false };
        if self.is_text && !(is_boundary(block, start) && is_boundary(block, end)) {
            return false;
        }
        let Some(value) = block.get(start..end) else { return false };
        let length = value.len();
        self.views[row] = match block[start..].first_chunk::<16>() {
            Some(ahead) => {
                let ahead = u128::from_le_bytes(*ahead);
                // Chosen by mask: which of the two it is cannot be predicted.
                let inline = (ahead & INLINE[length.min(12)]) << 32;
                let long = (ahead as u32 as u128) << 32 | (BLOCK as u128) << 64 | (start as u128) << 96;
                let is_long = 0u128.wrapping_sub((length > 12) as u128);
                length as u128 | inline & !is_long | long & is_long
            }
            None => view(value, BLOCK, start as u32),
        };
        true
    }

    /// Makes row `row` a copy of `value`, and says whether there was room for it.
    pub fn set_copy(&mut self, row: usize, value: &str) -> bool {
        self.copy(row, value.as_bytes())
    }

    /// As [`ViewBuilder::set_copy`] for bytes.
    ///
    /// Panics: on a builder of strings.
    pub fn set_copy_bytes(&mut self, row: usize, value: &[u8]) -> bool {
        assert!(!self.is_text, "strings are copied from strings");
        self.copy(row, value)
    }

    fn copy(&mut self, row: usize, value: &[u8]) -> bool {
        let offset = self.heap.len();
        if offset + value.len() > u32::MAX as usize {
            return false;
        }
        if value.len() > 12 {
            self.heap.extend_from_slice(value);
        }
        self.views[row] = view(value, HEAP, offset as u32);
        true
    }

    /// Makes row `to` the value that row `from` has.
    #[inline]
    pub fn copy_view(&mut self, from: usize, to: usize) {
        self.views[to] = self.views[from];
    }

    /// Makes row `row` the empty value, as it should be under a null.
    #[inline]
    pub fn set_empty(&mut self, row: usize) {
        self.views[row] = 0;
    }

    /// The first `rows` rows as an array; the builder is empty afterwards.
    ///
    /// Panics: when `nulls` do not cover `rows`, or `rows` are more than were begun.
    pub fn finish(&mut self, rows: usize, nulls: Option<NullBuffer>) -> ArrayRef {
        assert!(rows <= self.views.len(), "rows were begun");
        assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == rows), "nulls cover the rows");
        self.views.truncate(rows);
        let views = ScalarBuffer::from(std::mem::take(&mut self.views));
        let block = self.block.take();
        let buffers: Arc<[Buffer]> = match (block, self.heap.is_empty()) {
            (Some(block), true) => Arc::from([block]),
            (block, false) => Arc::from([block.unwrap_or_default(), Buffer::from(&self.heap[..])]),
            (None, true) => Arc::from([]),
        };
        self.heap.clear();
        if self.is_text {
            // SAFETY: each view is 0 (the empty string), or was made by `set_range` or `copy`, or is one of these again: inline with zero padding,
            // or with the prefix of bytes that lie within buffer BLOCK or HEAP at that offset. Bytes of the block are
            // UTF-8 because a text builder gets it as `Text` only and ranges end between characters; the heap and
            // inline copies come from `&str`. The buffers above are those the views were made for: `begin` resets all
            // views, so none speaks of an earlier block.
            Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) })
        } else {
            // SAFETY: as above; bytes need not be UTF-8.
            Arc::new(unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) })
        }
    }
}

/// The low bytes of a word that an inline value of some length keeps.
const INLINE: [u128; 13] = {
    let mut masks = [0; 13];
    let mut length = 0;
    while length < 13 {
        masks[length] = (1 << (8 * length)) - 1;
        length += 1;
    }
    masks
};

fn view(value: &[u8], buffer: u32, offset: u32) -> u128 {
    if value.len() <= 12 { super::short(value) } else { super::long(value, buffer, offset) }
}

#[inline(always)]
fn is_boundary(block: &[u8], at: usize) -> bool {
    // A continuation byte is 0b10xx_xxxx, below -64 as a signed number.
    block.get(at).map_or(at == block.len(), |&byte| byte as i8 >= -0x40)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(block: &str, values: &[(usize, usize)]) {
        let mut builder = ViewBuilder::text();
        builder.begin_text(Some(Text::new(Buffer::from(block.as_bytes())).unwrap()), values.len() + 1);
        for (row, &(start, end)) in values.iter().enumerate() {
            assert!(builder.set_range(row, start, end));
        }
        assert!(builder.set_copy(values.len(), "a copied value, too long to be inline"));
        let array = builder.finish(values.len() + 1, None);
        array.to_data().validate_full().unwrap();
        let strings = array.as_any().downcast_ref::<StringViewArray>().unwrap();
        let found: Vec<_> = strings.iter().flatten().collect();
        let mut wanted: Vec<_> = values.iter().map(|&(start, end)| &block[start..end]).collect();
        wanted.push("a copied value, too long to be inline");
        assert_eq!(found, wanted);
    }

    #[test]
    fn views_are_what_arrow_wants() {
        let block = "a long line of text with ümläuts, and then some more bytes";
        check(block, &[(0, 0), (0, 1), (2, 14), (2, 15), (25, 33), (45, block.len()), (block.len(), block.len())]);
    }

    #[test]
    fn a_range_within_a_character_or_past_the_end_is_refused() {
        let mut builder = ViewBuilder::text();
        builder.begin_text(Some(Text::new(Buffer::from("ü".as_bytes())).unwrap()), 1);
        assert!(!builder.set_range(0, 0, 1) && !builder.set_range(0, 1, 2) && !builder.set_range(0, 0, 3));
        builder.begin_text(None, 1);
        assert!(!builder.set_range(0, 0, 0));
    }

    #[test]
    fn bytes_that_are_not_text_are_given_back() {
        assert!(Text::new(Buffer::from(&b"\xff"[..])).is_err());
    }

    #[test]
    fn memory_comes_back_when_nobody_holds_it() {
        let mut builder = ViewBuilder::bytes();
        builder.begin_bytes(Buffer::from(&b"xyz"[..]), 100);
        let mut array = builder.finish(100, None);
        let held = array.clone();
        builder.recycle(&mut array);
        assert_eq!(builder.views.capacity(), 0);
        let mut array = held;
        builder.recycle(&mut array);
        assert!(builder.views.capacity() >= 100);
    }
}
