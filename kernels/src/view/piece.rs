//! Pieces of strings between separators, as views of the strings that they are pieces of.
//!
//! Contract    the separator is an ASCII character, so a piece of UTF-8 is UTF-8.

use fearless_simd::{Level, Simd, dispatch, prelude::*, u8x64};

use super::ViewChooser;
use crate::bitmap;

impl ViewChooser {
    /// Makes each row whose bit in `found` is set the piece of number `index` (from 0) of the value of `source` there. Where
    /// there are not so many the row stays empty, and its bit is taken away.
    ///
    /// Panics: when the separator is not ASCII, the source does not cover the rows, or `found` does not.
    pub fn pieces(&mut self, level: Level, source: usize, separator: u8, index: usize, found: &mut [u64]) {
        assert!(separator.is_ascii(), "a separator is one byte in UTF-8");
        assert_eq!(self.sources[source].views.len(), self.views.len(), "a source covers the rows");
        assert_eq!(found.len(), bitmap::words(self.views.len()), "the bitmap covers the rows");
        dispatch!(level, s => pieces(s, self, source, separator, index, found));
    }
}

#[inline(always)]
fn pieces<S: Simd>(s: S, out: &mut ViewChooser, source: usize, separator: u8, index: usize, found: &mut [u64]) {
    let needle = u8x64::splat(s, separator);
    let ViewChooser { views, sources, buffers, .. } = out;
    let source = &sources[source];
    for (row, out) in views.iter_mut().enumerate() {
        if !bitmap::get(found, row) {
            continue;
        }
        let view = source.view(row);
        let length = view as u32 as usize;
        let piece = if length <= 12 {
            let bytes = super::inline(&view, length);
            scalar(bytes, separator, index).map(|(start, end)| super::short(&bytes[start..end]))
        } else {
            let (buffer, offset) = ((view >> 64) as u32, (view >> 96) as u32);
            let bytes = &buffers[buffer as usize].as_slice()[offset as usize..];
            long(s, bytes, length, needle, index).map(|(start, end)| view_of(bytes, start, end, buffer, offset))
        };
        match piece {
            Some(piece) => *out = piece,
            None => found[row / 64] &= !(1 << (row % 64)),
        }
    }
}

/// Where a piece of a few bytes begins and ends.
#[inline(always)]
fn scalar(bytes: &[u8], separator: u8, index: usize) -> Option<(usize, usize)> {
    let (mut start, mut left) = (0, index);
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == separator) {
        if left == 0 {
            return Some((start, at));
        }
        (start, left) = (at + 1, left - 1);
    }
    (left == 0).then_some((start, bytes.len()))
}

/// Where a piece of the first `length` of `bytes` begins and ends.
#[inline(always)]
fn long<S: Simd>(s: S, bytes: &[u8], length: usize, needle: u8x64<S>, index: usize) -> Option<(usize, usize)> {
    let (mut start, mut left) = ((index == 0).then_some(0), index);
    for at in (0..length).step_by(64) {
        let block = match bytes[at..].first_chunk::<64>() {
            Some(block) => u8x64::from_slice(s, block),
            None => {
                let mut block = [0; 64];
                block[..bytes.len() - at].copy_from_slice(&bytes[at..]);
                u8x64::from_slice(s, &block)
            }
        };
        let mut word = block.simd_eq(needle).to_bitmask() & bitmap::tail((length - at).min(64));
        if start.is_none() {
            let count = word.count_ones() as usize;
            if count < left {
                left -= count;
                continue;
            }
            (1..left).for_each(|_| word &= word - 1);
            start = Some(at + word.trailing_zeros() as usize + 1);
            word &= word - 1;
        }
        if let (Some(start), true) = (start, word != 0) {
            return Some((start, at + word.trailing_zeros() as usize));
        }
    }
    start.map(|start| (start, length))
}

/// The view of `bytes[start..end]`; `bytes` are those of a buffer from `offset` on.
#[inline(always)]
fn view_of(bytes: &[u8], start: usize, end: usize, buffer: u32, offset: u32) -> u128 {
    let length = end - start;
    if length > 12 {
        return super::long(&bytes[start..end], buffer, offset + start as u32);
    }
    match bytes[start..].first_chunk::<16>() {
        Some(block) => {
            let kept = u128::from_le_bytes(*block) & ((1 << (8 * length)) - 1);
            kept << 32 | length as u128
        }
        None => super::short(&bytes[start..end]),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array, ArrayRef, StringViewArray};
    use arrow_buffer::NullBuffer;

    use super::*;

    #[test]
    fn pieces_are_those_of_split() {
        let lengths = [0, 1, 3, 11, 12, 13, 20, 62, 63, 64, 65, 90, 128, 200];
        let text = |seed: usize, length: usize| -> String {
            (0..length).map(|at| if (at * 7 + seed * 13).is_multiple_of(3 + seed % 17) { '/' } else { 'x' }).collect()
        };
        let texts: Vec<String> =
            lengths.iter().flat_map(|&length| (0..40).map(move |seed| text(seed, length))).collect();
        let texts: Vec<String> = texts.into_iter().chain(["ü/ßß/ä".to_string(), "ü".repeat(40) + "/ß"]).collect();
        let array: ArrayRef = Arc::new(StringViewArray::from_iter_values(&texts));
        for level in crate::level::available() {
            for index in [0, 1, 2, 3, 7, 30, 70] {
                let mut chooser = ViewChooser::new(true, texts.len());
                let source = chooser.source(&array).unwrap();
                let mut found = vec![u64::MAX; bitmap::words(texts.len())];
                found[0] &= !2;
                chooser.pieces(level, source, b'/', index, &mut found);
                let is_found = (0..texts.len()).map(|row| bitmap::get(&found, row));
                let array = chooser.finish(Some(NullBuffer::from_iter(is_found)));
                array.to_data().validate_full().unwrap();
                let strings = array.as_any().downcast_ref::<StringViewArray>().unwrap();
                for (row, text) in texts.iter().enumerate() {
                    let wanted = text.split('/').nth(index).filter(|_| row != 1);
                    assert_eq!(strings.is_valid(row).then(|| strings.value(row)), wanted, "piece {index} of {text}");
                }
            }
        }
    }
}
