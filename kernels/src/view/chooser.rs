//! Makes a string column whose values come from several columns, row by row, without touching their bytes.
//!
//! Invariants  a view is the empty string, or that of a source with its buffer counted from where the source's buffers
//!             begin in the new column. So each value is what it was in its source, valid there and here.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryViewArray, StringViewArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

use crate::bitmap::words;

/// Fills a column of strings, or one of bytes, from columns of its kind.
#[derive(Debug)]
pub struct ViewChooser {
    is_text: bool,
    pub(super) views: Vec<u128>,
    pub(super) sources: Vec<Source>,
    pub(super) buffers: Vec<Buffer>,
}

/// A column to choose from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) views: ScalarBuffer<u128>,
    /// What is added to the view of a long string.
    shift: u128,
}

impl Source {
    #[inline(always)]
    pub(super) fn view(&self, row: usize) -> u128 {
        let view = self.views[row];
        view.wrapping_add(if view as u32 > 12 { self.shift } else { 0 })
    }
}

impl ViewChooser {
    /// A column of `rows` rows, all of them empty.
    pub fn new(is_text: bool, rows: usize) -> Self {
        ViewChooser { is_text, views: vec![0; rows], sources: Vec::new(), buffers: Vec::new() }
    }

    /// Adds a column to choose from; its number, `None` where it is of another kind than the column to be made.
    pub fn source(&mut self, array: &ArrayRef) -> Option<usize> {
        let any = array.as_any();
        let (views, buffers) = if self.is_text {
            let strings = any.downcast_ref::<StringViewArray>()?;
            (strings.views().clone(), strings.data_buffers())
        } else {
            let bytes = any.downcast_ref::<BinaryViewArray>()?;
            (bytes.views().clone(), bytes.data_buffers())
        };
        let first = u32::try_from(self.buffers.len()).ok()?;
        u32::try_from(self.buffers.len() + buffers.len()).ok()?;
        self.buffers.extend(buffers.iter().cloned());
        self.sources.push(Source { views, shift: u128::from(first) << 64 });
        Some(self.sources.len() - 1)
    }

    /// Takes the values of source `source` where a bit is set.
    ///
    /// Panics: when the source does not cover the rows, or the mask does not.
    pub fn column(&mut self, source: usize, mask: &[u64]) {
        let source = &self.sources[source];
        assert_eq!(source.views.len(), self.views.len(), "a source covers the rows");
        assert_eq!(mask.len(), words(self.views.len()), "the bitmap covers the rows");
        for (index, (out, &word)) in self.views.chunks_mut(64).zip(mask).enumerate() {
            each_bit(word, out.len(), |bit| out[bit] = source.view(index * 64 + bit));
        }
    }

    /// Takes the first value of source `source` where a bit is set.
    ///
    /// Panics: when the source has no value, or the mask does not cover the rows.
    pub fn constant(&mut self, source: usize, mask: &[u64]) {
        let view = self.sources[source].view(0);
        assert_eq!(mask.len(), words(self.views.len()), "the bitmap covers the rows");
        for (out, &word) in self.views.chunks_mut(64).zip(mask) {
            each_bit(word, out.len(), |bit| out[bit] = view);
        }
    }

    /// Makes the rows from `first` on the values of source `source` at these places.
    ///
    /// Panics: when a place is not in the source, or a row not in the column.
    pub fn take(&mut self, source: usize, places: &[u32], first: usize) {
        let source = &self.sources[source];
        for (out, &place) in self.views[first..first + places.len()].iter_mut().zip(places) {
            *out = source.view(place as usize);
        }
    }

    /// The values of source `source` in order, at these rows.
    ///
    /// Panics: when the source has fewer values than there are rows, or a row is not in the column.
    pub fn scatter(&mut self, source: usize, rows: &[u16]) {
        let source = &self.sources[source];
        for (place, &row) in rows.iter().enumerate() {
            self.views[row as usize] = source.view(place);
        }
    }

    /// Makes row `row` a part of the value that source `source` has there, from one byte to another.
    ///
    /// Panics: when that is no part of the value, or begins or ends within a character of a string; when the source or the
    /// column has no such row.
    pub fn part(&mut self, source: usize, row: usize, start: usize, end: usize) {
        let source = &self.sources[source];
        let view = source.view(row);
        let length = view as u32 as usize;
        assert!(start <= end && end <= length, "a part lies in its value");
        let (buffer, offset) = ((view >> 64) as u32, (view >> 96) as u32);
        let inline;
        let bytes = if length <= 12 {
            inline = view;
            super::inline(&inline, length)
        } else {
            &self.buffers[buffer as usize].as_slice()[offset as usize..offset as usize + length]
        };
        // A continuation byte is 0b10xx_xxxx, below -64 as a signed number.
        let is_boundary = |at: usize| !self.is_text || bytes.get(at).is_none_or(|&byte| byte as i8 >= -0x40);
        assert!(is_boundary(start) && is_boundary(end), "a part of a string begins and ends between characters");
        let part = &bytes[start..end];
        self.views[row] =
            if part.len() <= 12 { super::short(part) } else { super::long(part, buffer, offset + start as u32) };
    }

    /// The column.
    ///
    /// Panics: when `nulls` do not cover the rows.
    pub fn finish(self, nulls: Option<NullBuffer>) -> ArrayRef {
        assert!(nulls.as_ref().is_none_or(|nulls| nulls.len() == self.views.len()), "nulls cover the rows");
        let (views, buffers) = (ScalarBuffer::from(self.views), Arc::from(self.buffers));
        if self.is_text {
            // SAFETY: each view is 0 (the empty string), or was taken by `Source::view` from a `StringViewArray`, whose
            // views are inline UTF-8 with zero padding, or speak of UTF-8 within one of its buffers, or was made by `part` or
            // `pieces` of the bytes of such a view, between characters: inline, or with their prefix, in the same buffer. Its buffers stand in
            // `buffers` in their order, the first at the number that `shift` adds to the buffer's number of long views.
            Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) })
        } else {
            // SAFETY: as above, from a `BinaryViewArray`; bytes need not be UTF-8.
            Arc::new(unsafe { BinaryViewArray::new_unchecked(views, buffers, nulls) })
        }
    }
}

#[inline(always)]
fn each_bit(word: u64, rows: usize, mut take: impl FnMut(usize)) {
    if word == u64::MAX {
        return (0..rows).for_each(take);
    }
    let mut left = word;
    while left != 0 {
        let bit = left.trailing_zeros() as usize;
        if bit >= rows {
            return;
        }
        take(bit);
        left &= left - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(row: usize) -> String {
        format!("a value too long for a view: {row}")
    }

    #[test]
    fn each_row_is_what_its_source_has() {
        let rows = 130;
        let first: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..rows).map(|row| format!("short {row}"))));
        let second: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..rows).map(long)));
        let third: ArrayRef = Arc::new(StringViewArray::from_iter_values(["one value, too long for a view, for all"]));
        let mut chooser = ViewChooser::new(true, rows);
        let sources: Vec<usize> = [&first, &second, &third].map(|array| chooser.source(array).unwrap()).to_vec();
        let mask = |part: usize| {
            let mut mask = vec![0; words(rows)];
            (0..rows).filter(|row| row % 4 == part).for_each(|row| crate::bitmap::set(&mut mask, row));
            mask
        };
        chooser.column(sources[0], &mask(0));
        chooser.column(sources[1], &mask(1));
        chooser.constant(sources[2], &mask(2));
        let array = chooser.finish(None);
        array.to_data().validate_full().unwrap();
        let strings = array.as_any().downcast_ref::<StringViewArray>().unwrap();
        for row in 0..rows {
            let wanted = match row % 4 {
                0 => format!("short {row}"),
                1 => long(row),
                2 => "one value, too long for a view, for all".to_string(),
                _ => String::new(),
            };
            assert_eq!(strings.value(row), wanted);
        }
    }

    #[test]
    fn values_are_taken_by_place_and_put_by_row() {
        let source: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..5).map(long)));
        let mut chooser = ViewChooser::new(true, 4);
        let twice = [chooser.source(&source).unwrap(), chooser.source(&source).unwrap()];
        chooser.take(twice[0], &[4, 2], 0);
        chooser.scatter(twice[1], &[3, 2]);
        let array = chooser.finish(None);
        array.to_data().validate_full().unwrap();
        let strings = array.as_any().downcast_ref::<StringViewArray>().unwrap();
        assert_eq!(strings.iter().flatten().collect::<Vec<_>>(), [long(4), long(2), long(1), long(0)]);
    }

    #[test]
    fn parts_stay_where_they_are() {
        let values = ["ümläut and some more of it", "short ü", ""];
        let source: ArrayRef = Arc::new(StringViewArray::from_iter_values(values));
        let parts = [(2, 27), (6, 8), (0, 0)];
        let mut chooser = ViewChooser::new(true, 3);
        let number = chooser.source(&source).unwrap();
        parts.iter().enumerate().for_each(|(row, &(start, end))| chooser.part(number, row, start, end));
        let array = chooser.finish(None);
        array.to_data().validate_full().unwrap();
        let strings = array.as_any().downcast_ref::<StringViewArray>().unwrap();
        for (row, (start, end)) in parts.into_iter().enumerate() {
            assert_eq!(strings.value(row), &values[row][start..end]);
        }
    }

    #[test]
    #[should_panic(expected = "between characters")]
    fn a_part_begins_between_characters() {
        let source: ArrayRef = Arc::new(StringViewArray::from_iter_values(["ü"]));
        let mut chooser = ViewChooser::new(true, 1);
        let number = chooser.source(&source).unwrap();
        chooser.part(number, 0, 1, 2);
    }

    #[test]
    fn bytes_are_no_strings() {
        let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter_values([b"\xff"]));
        assert_eq!(ViewChooser::new(true, 1).source(&bytes), None);
        assert_eq!(ViewChooser::new(false, 1).source(&bytes), Some(0));
    }
}
