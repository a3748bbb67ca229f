//! One value of any type per group, overwritten in place: numbers in a vector, booleans in a bitmap, strings in an arena.
//!
//! Owns        the bytes of long strings. A string of up to 12 bytes is its view; a longer one keeps its length and
//!             prefix there, and where it lies in the arena:
//!
//! ```text
//! | length 4 | prefix 4 | offset in the arena 8 |
//! ```
//!
//! Invariants  a place that is overwritten is used again if the new string fits, else it is waste; when half of the
//!             arena is waste, it is copied without.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::BinaryViewBuilder;
use arrow::datatypes::DataType;
use millstream_kernels::{bitmap, view};

use super::value;
use crate::batch::{Argument, Column, Fixed, Strings};
use crate::error::{Error, Result};
use crate::function::scalar::text;

/// A value per group.
pub(super) trait Store: Clone + Debug + Default + Send + Sync + 'static {
    /// An argument, ready to be read row by row.
    type Values<'a>;

    fn values<'a>(arg: &Argument<'a>) -> Result<Self::Values<'a>>;
    /// Makes room for `group_count` groups.
    fn grow(&mut self, group_count: usize);
    /// Keeps the value of a row for a group.
    fn set(&mut self, group: usize, values: &Self::Values<'_>, row: usize);
    /// Keeps what another store keeps for its group `from`.
    fn copy(&mut self, group: usize, other: &Self, from: usize);
    /// Makes `out` the values of `groups`, null where there is none.
    fn write(
        &self,
        groups: &[u32],
        data_type: &DataType,
        out: &mut Column,
        is_there: impl Fn(usize) -> bool,
    ) -> Result<()>;
    fn clear(&mut self);
    fn size_bytes(&self) -> usize;
}

/// Values of fixed width.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
}

impl<T: Fixed> Store for Numbers<T> {
    /// The values and how far apart they are: 0 for a constant.
    type Values<'a> = (&'a [T], usize);

    fn values<'a>(arg: &Argument<'a>) -> Result<Self::Values<'a>> {
        Ok((arg.values::<T>()?, usize::from(!arg.is_constant())))
    }

    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.values, group_count, T::default());
    }

    fn set(&mut self, group: usize, (values, stride): &Self::Values<'_>, row: usize) {
        self.values[group] = values[row * stride];
    }

    fn copy(&mut self, group: usize, other: &Self, from: usize) {
        self.values[group] = other.values[from];
    }

    fn write(&self, groups: &[u32], _: &DataType, out: &mut Column, is_there: impl Fn(usize) -> bool) -> Result<()> {
        value::write(groups, out, |group| Ok(is_there(group).then(|| self.values[group])))
    }

    fn clear(&mut self) {
        self.values.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.values)
    }
}

/// Booleans.
#[derive(Debug, Clone, Default)]
pub(super) struct Booleans {
    words: Vec<u64>,
}

/// The words of a boolean column, or the one value of a constant.
#[derive(Clone, Copy)]
pub(super) enum Bits<'a> {
    Words(&'a [u64]),
    Constant(bool),
}

impl Store for Booleans {
    type Values<'a> = Bits<'a>;

    fn values<'a>(arg: &Argument<'a>) -> Result<Self::Values<'a>> {
        if arg.is_constant() {
            Ok(Bits::Constant(arg.constant_bool() == Some(true)))
        } else {
            arg.bits().map(Bits::Words)
        }
    }

    fn grow(&mut self, group_count: usize) {
        value::grow_bits(&mut self.words, group_count);
    }

    fn set(&mut self, group: usize, values: &Self::Values<'_>, row: usize) {
        let bit = match values {
            Bits::Words(words) => bitmap::get(words, row),
            Bits::Constant(bit) => *bit,
        };
        if bit { bitmap::set(&mut self.words, group) } else { bitmap::clear(&mut self.words, group) }
    }

    fn copy(&mut self, group: usize, other: &Self, from: usize) {
        self.set(group, &Bits::Words(&other.words), from);
    }

    fn write(&self, groups: &[u32], _: &DataType, out: &mut Column, is_there: impl Fn(usize) -> bool) -> Result<()> {
        value::write_booleans(groups, out, |group| is_there(group).then(|| bitmap::get(&self.words, group)));
        Ok(())
    }

    fn clear(&mut self) {
        self.words.clear();
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.words)
    }
}

/// Strings or bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    views: Vec<u128>,
    arena: Vec<u8>,
    /// Bytes of the arena that no view means any more.
    waste: usize,
    /// The arena before the last copy, kept for the next one.
    spare: Vec<u8>,
}

/// Less waste than this is not worth a copy.
const WASTE_MIN: usize = 1 << 16;

impl Text {
    /// How the string of a group and another one are ordered.
    #[inline]
    pub(super) fn order(&self, group: usize, strings: &Strings<'_>, row: usize) -> Ordering {
        text::order(self.views[group], strings.views[row], || self.bytes(group), || strings.bytes(row))
    }

    /// How the string of a group and that of a group of another store are ordered.
    pub(super) fn order_of(&self, group: usize, other: &Text, from: usize) -> Ordering {
        text::order(self.views[group], other.views[from], || self.bytes(group), || other.bytes(from))
    }

    /// Keeps a row's string for a group.
    pub(super) fn keep(&mut self, group: usize, strings: &Strings<'_>, row: usize) {
        self.replace(group, strings.views[row], || strings.bytes(row));
    }

    fn bytes(&self, group: usize) -> &[u8] {
        let view = &self.views[group];
        let length = text::length(*view) as usize;
        if length <= text::INLINE as usize {
            return view::inline(view, length);
        }
        &self.arena[offset(*view)..][..length]
    }

    fn replace<'a>(&mut self, group: usize, view: u128, bytes: impl FnOnce() -> &'a [u8]) {
        let old = self.views[group];
        let room = if text::length(old) > text::INLINE { text::length(old) as usize } else { 0 };
        if text::length(view) <= text::INLINE {
            self.waste += room;
            self.views[group] = view;
            return;
        }
        let bytes = bytes();
        let at = if bytes.len() <= room {
            self.waste += room - bytes.len();
            self.arena[offset(old)..][..bytes.len()].copy_from_slice(bytes);
            offset(old)
        } else {
            self.waste += room;
            self.arena.extend_from_slice(bytes);
            self.arena.len() - bytes.len()
        };
        self.views[group] = long(view, at);
        if self.waste > WASTE_MIN && self.waste * 2 > self.arena.len() {
            self.compact();
        }
    }

    /// Copies the arena without what no view means any more.
    fn compact(&mut self) {
        self.spare.clear();
        for view in self.views.iter_mut().filter(|view| text::length(**view) > text::INLINE) {
            let at = self.spare.len();
            self.spare.extend_from_slice(&self.arena[offset(*view)..][..text::length(*view) as usize]);
            *view = long(*view, at);
        }
        std::mem::swap(&mut self.arena, &mut self.spare);
        self.waste = 0;
    }
}

/// Where in the arena a long string lies.
fn offset(view: u128) -> usize {
    (view >> 64) as usize
}

/// A view with the length and prefix of `view`, for a string that lies at `offset`.
fn long(view: u128, offset: usize) -> u128 {
    u128::from(view as u64) | (offset as u128) << 64
}

impl Store for Text {
    /// The strings and how far apart they are: 0 for a constant.
    type Values<'a> = (Strings<'a>, usize);

    fn values<'a>(arg: &Argument<'a>) -> Result<Self::Values<'a>> {
        Ok((arg.strings()?, usize::from(!arg.is_constant())))
    }

    fn grow(&mut self, group_count: usize) {
        value::grow(&mut self.views, group_count, 0);
    }

    fn set(&mut self, group: usize, (strings, stride): &Self::Values<'_>, row: usize) {
        self.keep(group, strings, row * stride);
    }

    fn copy(&mut self, group: usize, other: &Self, from: usize) {
        self.replace(group, other.views[from], || other.bytes(from));
    }

    fn write(
        &self,
        groups: &[u32],
        data_type: &DataType,
        out: &mut Column,
        is_there: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let mut builder = BinaryViewBuilder::with_capacity(groups.len());
        for &group in groups {
            builder.append_option(is_there(group as usize).then(|| self.bytes(group as usize)));
        }
        let bytes = builder.finish();
        *out = Column::Array(match data_type {
            DataType::BinaryView => Arc::new(bytes),
            _ => Arc::new(bytes.to_string_view().map_err(|e| Error::bug(format!("a string broke in the arena: {e}")))?),
        });
        Ok(())
    }

    fn clear(&mut self) {
        self.views.clear();
        self.arena.clear();
        self.waste = 0;
    }

    fn size_bytes(&self) -> usize {
        value::bytes(&self.views) + self.arena.capacity() + self.spare.capacity()
    }
}
