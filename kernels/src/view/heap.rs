//! Strings kept at places: put over what was there, and read out as columns, copied or sharing the bytes.
//!
//! ```text
//! views    len │ bytes                        up to 12
//!          len │ prefix │ block │ offset      longer: block 0, 1, ... or the open one behind them
//! ```
//! Owns        the views and their bytes, in blocks that are full and one that is open. Buffers of which most is put become
//!             blocks as they are.
//! Invariants  a view is 0 (the empty string), or that of a value of an array of the heap's kind, its bytes lying whole in
//!             a block: so each value is valid and nothing is validated again. Bytes that no view speaks of any more are
//!             counted, and left out once they are most.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryViewArray, StringViewArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

/// A block is full with so many bytes.
const BLOCK_BYTES: usize = 1 << 20;
/// Fewer unused bytes than these are left where they are.
const UNUSED_BYTES_MIN: usize = 1 << 16;
/// Fewer bytes than these, or those of more buffers, are copied rather than taken over with their buffers.
const ADOPTED_BYTES_MIN: usize = 1 << 16;
const ADOPTED_BUFFERS_MAX: usize = 8;

/// Strings, or bytes, at places.
#[derive(Debug)]
pub struct ViewHeap {
    is_text: bool,
    views: Vec<u128>,
    blocks: Vec<Buffer>,
    open: Vec<u8>,
    block_bytes: usize,
    unused: usize,
}

/// The values of an array of strings or bytes, to be put into a heap of its kind.
#[derive(Debug, Clone, Copy)]
pub struct ViewSource<'a> {
    is_text: bool,
    views: &'a [u128],
    buffers: &'a [Buffer],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> ViewSource<'a> {
    /// `None`: an array of another type.
    pub fn of(array: &'a ArrayRef) -> Option<Self> {
        let any = array.as_any();
        let (is_text, views, buffers) = match any.downcast_ref::<StringViewArray>() {
            Some(strings) => (true, strings.views(), strings.data_buffers()),
            None => {
                let bytes = any.downcast_ref::<BinaryViewArray>()?;
                (false, bytes.views(), bytes.data_buffers())
            }
        };
        Some(ViewSource { is_text, views, buffers, nulls: array.nulls() })
    }

    /// The bytes of a value, null or not.
    #[inline]
    pub fn bytes(&self, row: usize) -> &'a [u8] {
        let view = &self.views[row];
        match *view as u32 as usize {
            length @ ..=12 => super::inline(view, length),
            length => {
                let (buffer, offset) = ((*view >> 64) as u32 as usize, (*view >> 96) as usize);
                &self.buffers[buffer].as_slice()[offset..offset + length]
            }
        }
    }

    /// The view of a value: its length and first bytes, or all of them.
    #[inline]
    pub fn view(&self, row: usize) -> u128 {
        self.views[row]
    }

    /// The view of a value, that of the empty string for a null.
    #[inline]
    fn found(&self, row: usize) -> u128 {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) { 0 } else { self.views[row] }
    }
}

impl ViewHeap {
    /// A heap of strings, or of bytes.
    pub fn new(is_text: bool) -> Self {
        ViewHeap { is_text, views: Vec::new(), blocks: Vec::new(), open: Vec::new(), block_bytes: 0, unused: 0 }
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether there is no place yet.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    /// How many places fit before the views move.
    pub fn capacity(&self) -> usize {
        self.views.capacity()
    }

    /// Makes room for `count` places in all, where so much is to be had.
    pub fn try_reserve(&mut self, count: usize) {
        let _ = self.views.try_reserve_exact(count.saturating_sub(self.views.len()));
    }

    /// Makes places for `count` values in all; new ones hold the empty string.
    pub fn grow(&mut self, count: usize) {
        self.views.resize(count, 0);
    }

    /// Puts values of `source` at places. Nulls become the empty string.
    ///
    /// Panics: when the source is of another kind, or has no such row, or the heap no such place.
    pub fn put(&mut self, source: &ViewSource<'_>, pairs: impl Iterator<Item = (usize, usize)> + Clone) {
        assert_eq!(source.is_text, self.is_text, "strings among strings, bytes among bytes");
        if let Some(shift) = self.adopt(source, pairs.clone()) {
            for (row, place) in pairs {
                let view = source.found(row);
                self.replace(place, if view as u32 <= 12 { view } else { view + shift });
            }
        } else {
            for (row, place) in pairs {
                let view = source.found(row);
                let view = if view as u32 <= 12 { view } else { self.keep(view, source.bytes(row)) };
                self.replace(place, view);
            }
        }
        self.leave_unused_out();
    }

    /// Makes the buffers of a source blocks of the heap, where most of their bytes are put; what its long views grow by.
    fn adopt(&mut self, source: &ViewSource<'_>, pairs: impl Iterator<Item = (usize, usize)>) -> Option<u128> {
        let all: usize = source.buffers.iter().map(Buffer::capacity).sum();
        if all < ADOPTED_BYTES_MIN || source.buffers.len() > ADOPTED_BUFFERS_MAX {
            return None;
        }
        let lengths = pairs.map(|(row, _)| source.found(row) as u32 as usize).filter(|length| *length > 12);
        let used: usize = lengths.sum();
        if used < all / 2 {
            return None;
        }
        self.seal();
        let shift = (self.blocks.len() as u128) << 64;
        self.blocks.extend(source.buffers.iter().cloned());
        self.block_bytes += all;
        // Where values share bytes, more are put than there are.
        self.unused += all.saturating_sub(used);
        Some(shift)
    }

    /// Makes the value at a place the empty string.
    pub fn clear(&mut self, place: usize) {
        self.replace(place, 0);
    }

    /// The bytes at a place.
    #[inline]
    pub fn bytes(&self, place: usize) -> &[u8] {
        let view = &self.views[place];
        if *view as u32 <= 12 { super::inline(view, *view as u32 as usize) } else { self.long(*view) }
    }

    /// The view at a place: its length and first bytes, or all of them.
    #[inline]
    pub fn view(&self, place: usize) -> u128 {
        self.views[place]
    }

    /// Ends the adding of bytes to the open block, so that columns can share it.
    pub fn seal(&mut self) {
        if !self.open.is_empty() {
            let mut block = std::mem::take(&mut self.open);
            block.shrink_to_fit();
            self.block_bytes += block.len();
            self.blocks.push(Buffer::from_vec(block));
        }
    }

    /// The values at `places` as a column that shares the blocks: sealed before, else as [`ViewCopier`] does it.
    ///
    /// Panics: when `nulls` do not cover the places, or there is no such place.
    pub fn shared(&self, places: &[u32], nulls: Option<NullBuffer>) -> ArrayRef {
        if !self.open.is_empty() {
            let mut copier = ViewCopier::new(self.is_text, places.len());
            places.iter().for_each(|&place| copier.push(self, place as usize));
            return copier.finish(nulls);
        }
        let views = places.iter().map(|&place| self.views[place as usize]).collect();
        finish(self.is_text, views, self.blocks.clone(), nulls)
    }

    /// Gives back what growing has reserved too much.
    pub fn shrink_to_fit(&mut self) {
        self.views.shrink_to_fit();
        self.open.shrink_to_fit();
    }

    /// Bytes that long strings take, used or not.
    pub fn heap_bytes(&self) -> usize {
        self.block_bytes + self.open.capacity() + self.blocks.capacity() * size_of::<Buffer>()
    }

    /// The view of bytes that are put into the open block, with the length and the prefix of `view`.
    fn keep(&mut self, view: u128, bytes: &[u8]) -> u128 {
        if self.open.len() + bytes.len() > BLOCK_BYTES {
            self.seal();
        }
        let offset = self.open.len() as u128;
        self.open.extend_from_slice(bytes);
        (view as u64) as u128 | (self.blocks.len() as u128) << 64 | offset << 96
    }

    fn replace(&mut self, place: usize, view: u128) {
        let old = std::mem::replace(&mut self.views[place], view) as u32 as usize;
        self.unused += if old > 12 { old } else { 0 };
    }

    fn long(&self, view: u128) -> &[u8] {
        let (block, offset) = ((view >> 64) as u32 as usize, (view >> 96) as usize);
        let block = self.blocks.get(block).map_or(&self.open[..], Buffer::as_slice);
        &block[offset..offset + view as u32 as usize]
    }

    /// Writes the bytes anew where most of them are unused.
    fn leave_unused_out(&mut self) {
        if self.unused < UNUSED_BYTES_MIN || self.unused <= (self.block_bytes + self.open.len()) / 2 {
            return;
        }
        let mut kept = ViewHeap::new(self.is_text);
        let mut views = std::mem::take(&mut self.views);
        for view in views.iter_mut().filter(|view| **view as u32 > 12) {
            *view = kept.keep(*view, self.long(*view));
        }
        kept.views = views;
        *self = kept;
    }
}

/// Makes a column of values that lie in heaps, with bytes of its own.
#[derive(Debug)]
pub struct ViewCopier {
    out: ViewHeap,
}

impl ViewCopier {
    /// A column of strings, or of bytes, of about `rows` values.
    pub fn new(is_text: bool, rows: usize) -> Self {
        let mut out = ViewHeap::new(is_text);
        out.views.reserve(rows);
        ViewCopier { out }
    }

    /// Adds a value.
    ///
    /// Panics: when the heap is of another kind, or has no such place.
    #[inline]
    pub fn push(&mut self, heap: &ViewHeap, place: usize) {
        assert_eq!(heap.is_text, self.out.is_text, "strings among strings, bytes among bytes");
        let view = heap.views[place];
        let view = if view as u32 <= 12 { view } else { self.out.keep(view, heap.long(view)) };
        self.out.views.push(view);
    }

    /// Adds the empty string, as it should be under a null.
    pub fn push_empty(&mut self) {
        self.out.views.push(0);
    }

    /// The column.
    ///
    /// Panics: when `nulls` do not cover it.
    pub fn finish(mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        self.out.seal();
        finish(self.out.is_text, self.out.views, self.out.blocks, nulls)
    }
}

/// A column of views of a heap, into its blocks.
fn finish(is_text: bool, views: Vec<u128>, blocks: Vec<Buffer>, nulls: Option<NullBuffer>) -> ArrayRef {
    assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == views.len()), "nulls cover the rows");
    let (views, blocks) = (ScalarBuffer::from(views), Arc::from(blocks));
    if is_text {
        // SAFETY: each view is 0 (the empty string), or came from a `StringViewArray`, whose views are inline UTF-8 with
        // zero padding, or have the length and prefix of UTF-8 bytes: `ViewHeap::keep` has put these whole into a block, at
        // the number and the offset it wrote into the view, or `ViewHeap::adopt` made all buffers of that array blocks, the
        // first at the number that is added to the view's. Blocks are only ever appended to, and all of them are here.
        Arc::new(unsafe { StringViewArray::new_unchecked(views, blocks, nulls) })
    } else {
        // SAFETY: as above, from a `BinaryViewArray`; bytes need not be UTF-8.
        Arc::new(unsafe { BinaryViewArray::new_unchecked(views, blocks, nulls) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: usize) -> String {
        if number.is_multiple_of(3) { format!("{number}") } else { format!("{}{number}", "ä long string ".repeat(4)) }
    }

    fn array(numbers: &[usize]) -> ArrayRef {
        let value = |&number: &usize| (!number.is_multiple_of(5)).then(|| text(number));
        Arc::new(numbers.iter().map(value).collect::<StringViewArray>())
    }

    /// Every value is what was put there last, whatever was written anew meanwhile.
    #[test]
    fn places_hold_what_was_put_last() {
        let mut heap = ViewHeap::new(true);
        let mut model: Vec<String> = Vec::new();
        for step in 0..3000 {
            let numbers: Vec<usize> = (0..20).map(|at| step * 7 + at * at).collect();
            let values = array(&numbers);
            let source = ViewSource::of(&values).expect("strings");
            let places: Vec<usize> = (0..20).map(|at| (step * 13 + at * 29) % (model.len() + 1).min(4000)).collect();
            for (row, &place) in places.iter().enumerate() {
                if place == model.len() {
                    model.push(String::new());
                    heap.grow(model.len());
                }
                heap.put(&source, std::iter::once((row, place)));
                model[place] = if numbers[row].is_multiple_of(5) { String::new() } else { text(numbers[row]) };
            }
            if step % 50 == 0 && !model.is_empty() {
                heap.clear(step % model.len());
                let cleared = step % model.len();
                model[cleared].clear();
            }
        }
        // Many at once, whose buffers are taken over.
        let numbers: Vec<usize> = (0..3000).map(|at| at * 2 + 1).collect();
        let values = array(&numbers);
        let source = ViewSource::of(&values).expect("strings");
        model.resize(model.len().max(4000), String::new());
        heap.grow(model.len());
        let blocks = heap.blocks.len();
        heap.put(&source, (0..3000).map(|row| (row, model.len() - 1 - row)));
        assert!(heap.blocks.len() > blocks, "buffers are taken over");
        let first = model.len() - 3000;
        for (place, number) in model[first..].iter_mut().rev().zip(&numbers) {
            *place = if number.is_multiple_of(5) { String::new() } else { text(*number) };
        }
        let places: Vec<u32> = (0..model.len() as u32).collect();
        let strings = |array: ArrayRef| -> Vec<String> {
            let strings = array.as_any().downcast_ref::<StringViewArray>().expect("strings").clone();
            // What was not validated is: views, prefixes, UTF-8.
            let checked = StringViewArray::try_new(strings.views().clone(), strings.data_buffers().to_vec(), None);
            checked.expect("valid views").iter().map(|value| value.unwrap_or_default().to_string()).collect()
        };
        assert_eq!(strings(heap.shared(&places, None)), model, "copied");
        let used: usize = model.iter().map(String::len).filter(|length| *length > 12).sum();
        assert!(heap.heap_bytes() <= 2 * used + 2 * BLOCK_BYTES, "{} bytes for {used}", heap.heap_bytes());
        heap.seal();
        assert_eq!(strings(heap.shared(&places, None)), model, "shared");
        for (place, value) in model.iter().enumerate() {
            assert_eq!(heap.bytes(place), value.as_bytes());
        }
    }
}
