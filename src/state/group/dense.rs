//! One integer key: an array over the range of its values, from value to group number.

use millstream_kernels::level::Level;

use super::{DoesNotFit, EMPTY, write_integers};
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::Result;

/// A range of this many values is always taken, however few groups are in it: 256 KiB of slots stay in L2.
const RANGE_SMALL: u64 = 1 << 16;
/// Wider ranges are taken while there are at most this many values per group: as many bytes as a packed table has for
/// it. Behind an exchange a table sees every second value of a range, or every fourth.
const SPREAD_MAX: u64 = 8;

#[derive(Debug)]
pub(super) struct Dense {
    /// The value of slot 0, as ordered bits.
    base: u64,
    /// The greatest value that was asked for: slots behind it are room.
    greatest: u64,
    slots: Vec<u32>,
    /// The value of each group, as ordered bits; anything for the null group.
    keys: Vec<u64>,
    null_group: u32,
}

impl Dense {
    pub(super) fn new() -> Self {
        Dense { base: 0, greatest: 0, slots: Vec::new(), keys: Vec::new(), null_group: EMPTY }
    }

    /// Whether keys of `kind` can be dense.
    pub(super) fn takes(kind: Kind) -> bool {
        use Kind::*;
        matches!(kind, I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn lookup(
        &mut self,
        level: Level,
        key: &Argument<'_>,
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<Result<(), DoesNotFit>> {
        if key.constant_is_null() {
            let group = self.null_group();
            groups.resize(rows, group);
            return Ok(Ok(()));
        }
        macro_rules! dispatch {
            ($($kind:ident: $native:ty),+) => {
                match key.kind() {
                    $(Kind::$kind => self.lookup_typed::<$native>(level, key, rows, groups),)+
                    _ => unreachable!("a dense table has an integer key"),
                }
            };
        }
        dispatch!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64)
    }

    fn lookup_typed<T: Ordered>(
        &mut self,
        level: Level,
        key: &Argument<'_>,
        rows: usize,
        groups: &mut Vec<u32>,
    ) -> Result<Result<(), DoesNotFit>> {
        let values = key.values::<T>()?;
        if let Some((min, max)) = T::min_max(level, values, key.validity())
            && !self.cover(min.ordered(), max.ordered(), rows)
        {
            return Ok(Err(DoesNotFit));
        }
        if key.is_constant() {
            let group = self.group_of(values[0].ordered());
            groups.resize(rows, group);
        } else if key.validity().is_none() {
            self.groups_of(values, groups);
        } else {
            for (row, value) in values.iter().enumerate() {
                let group = if key.is_null(row) { self.null_group() } else { self.group_of(value.ordered()) };
                groups.push(group);
            }
        }
        Ok(Ok(()))
    }

    /// The group of each row, `EMPTY` where there is none.
    pub(super) fn find(&self, key: &Argument<'_>, rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        if key.constant_is_null() {
            groups.resize(rows, self.null_group);
            return Ok(());
        }
        macro_rules! dispatch {
            ($($kind:ident: $native:ty),+) => {
                match key.kind() {
                    $(Kind::$kind => self.find_typed::<$native>(key, rows, groups),)+
                    _ => unreachable!("a dense table has an integer key"),
                }
            };
        }
        dispatch!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32, U64: u64)
    }

    fn find_typed<T: Ordered>(&self, key: &Argument<'_>, rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        let values = key.values::<T>()?;
        let find = |value: &T| {
            let at = value.ordered().wrapping_sub(self.base);
            self.slots.get(at as usize).copied().unwrap_or(EMPTY)
        };
        if key.is_constant() {
            groups.resize(rows, find(&values[0]));
        } else {
            groups.extend(values.iter().map(find));
            if key.validity().is_some() {
                for (row, group) in groups.iter_mut().enumerate() {
                    *group = if key.is_null(row) { self.null_group } else { *group };
                }
            }
        }
        Ok(())
    }

    /// The groups of values that the range holds. No branch says whether one is new: in a pane of few rows that is guessed
    /// wrong often. The place behind the last key is written in any case, and counts if it was.
    fn groups_of<T: Ordered>(&mut self, values: &[T], groups: &mut Vec<u32>) {
        let mut count = self.keys.len();
        // No more keys than slots, but for the null: in a pane of few keys, room for every row would be what is cleared.
        let most = (count + values.len()).min(self.slots.len() + 1);
        let (base, slots) = (self.base, &mut self.slots[..]);
        self.keys.resize(most + 1, 0);
        let keys = &mut self.keys[..];
        groups.extend(values.iter().map(|value| {
            let key = value.ordered();
            let slot = &mut slots[key.wrapping_sub(base) as usize];
            let is_new = *slot == EMPTY;
            let group = if is_new { count as u32 } else { *slot };
            *slot = group;
            keys[count] = key;
            count += usize::from(is_new);
            group
        }));
        self.keys.truncate(count);
    }

    #[inline(always)]
    fn group_of(&mut self, key: u64) -> u32 {
        let slot = &mut self.slots[key.wrapping_sub(self.base) as usize];
        if *slot == EMPTY {
            *slot = self.keys.len() as u32;
            self.keys.push(key);
        }
        *slot
    }

    fn null_group(&mut self) -> u32 {
        if self.null_group == EMPTY {
            self.null_group = self.keys.len() as u32;
            self.keys.push(0);
        }
        self.null_group
    }

    /// Widens the range to hold `min` to `max`; `false` when it would be too sparse.
    fn cover(&mut self, min: u64, max: u64, rows: usize) -> bool {
        if !self.slots.is_empty() && min >= self.base && max - self.base < self.slots.len() as u64 {
            self.greatest = self.greatest.max(max);
            return true;
        }
        let is_empty = self.slots.is_empty();
        let (low, high) = if is_empty { (min, max) } else { (min.min(self.base), max.max(self.greatest)) };
        let Some(range) = (high - low).checked_add(1) else { return false };
        let groups = (self.keys.len() + rows) as u64;
        if range > RANGE_SMALL.max(SPREAD_MAX * groups) {
            return false;
        }
        self.greatest = high;
        // Room above for keys that grow with time, so that not every batch widens.
        let room = range.saturating_add(range / 2 + 64).min((u64::MAX - low).saturating_add(1)) as usize;
        if low == self.base && !self.slots.is_empty() {
            self.slots.resize(room, EMPTY);
        } else {
            self.base = low;
            self.slots.clear();
            self.slots.resize(room, EMPTY);
            for (group, &key) in self.keys.iter().enumerate() {
                if group as u32 != self.null_group {
                    self.slots[(key - low) as usize] = group as u32;
                }
            }
        }
        true
    }

    pub(super) fn keys(&self, kind: Kind, groups: &[u32], out: &mut Column) {
        let signed = matches!(kind, Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64);
        let flip = if signed { 1 << 63 } else { 0 };
        if self.null_group == EMPTY {
            return write_integers(kind, groups, out, false, |group| Some(self.keys[group as usize] ^ flip));
        }
        let value = |group| (group != self.null_group).then(|| self.keys[group as usize] ^ flip);
        write_integers(kind, groups, out, true, value);
    }

    /// The range starts anew with the next key: panes of later times hold later keys.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.keys.clear();
        self.null_group = EMPTY;
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.slots.capacity() * 4 + self.keys.capacity() * 8
    }
}

/// Integers as 64 bits whose unsigned order is theirs.
pub(super) trait Ordered: Fixed {
    fn ordered(self) -> u64;
    fn min_max(level: Level, values: &[Self], validity: Option<&[u64]>) -> Option<(Self, Self)>;
}

macro_rules! ordered {
    ($($native:ty => $wide:ty, $flip:expr);+) => {
        $(impl Ordered for $native {
            #[inline(always)]
            fn ordered(self) -> u64 {
                (self as $wide as u64) ^ $flip
            }
            fn min_max(level: Level, values: &[Self], validity: Option<&[u64]>) -> Option<(Self, Self)> {
                let validity = validity.filter(|_| values.len() > 1);
                millstream_kernels::aggregate::min_max(level, values, validity)
            }
        })+
    };
}
ordered!(
    i8 => i64, 1 << 63; i16 => i64, 1 << 63; i32 => i64, 1 << 63; i64 => i64, 1 << 63;
    u8 => u64, 0; u16 => u64, 0; u32 => u64, 0; u64 => u64, 0
);
