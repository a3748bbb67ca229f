//! A table of one key of whole numbers that lie close together: a bit per value of their range, and the group of each bit.
//!
//! ```text
//! value less the least ─▶ word and bit ─▶ bits set before it: its rank ─▶ group
//! ```
//! Invariants  made once, when all keys are known; a value that is no key costs one look at a bit.
//! Source      rank over bitmaps, Jacobson 1989.

use millstream_kernels::bitmap;

use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::Result;
use crate::pipeline::Keys;
use crate::state::NO_GROUP;

/// The groups of keys.
pub(super) struct Perfect {
    keys: Keys,
    /// For each word of the bits, how many are set in those before it.
    ranks: Vec<u32>,
    /// The group of each key, by its rank; empty where rank and group are one number.
    groups: Vec<u32>,
}

impl Perfect {
    /// A table of keys, the one of group `i` at `i`; `None` where they lie too far apart.
    pub(super) fn new(values: &[i64]) -> Option<Self> {
        let keys = Keys::new(values);
        let Keys::Bits { words, .. } = &keys else { return None };
        let mut before = 0;
        let mut rank = |word: &u64| {
            let own = before;
            before += word.count_ones();
            own
        };
        let ranks: Vec<u32> = words.iter().map(&mut rank).collect();
        let mut perfect = Perfect { keys, ranks, groups: Vec::new() };
        if !values.is_sorted() {
            let mut groups = vec![NO_GROUP; values.len()];
            for (group, &value) in values.iter().enumerate() {
                groups[perfect.rank_of(value)? as usize] = group as u32;
            }
            perfect.groups = groups;
        }
        Some(perfect)
    }

    /// The rank of a value, if it is a key.
    #[inline(always)]
    fn rank_of(&self, value: i64) -> Option<u32> {
        let Keys::Bits { least, words, range, .. } = &self.keys else { return None };
        let at = value.wrapping_sub(*least) as u64;
        if at >= *range {
            return None;
        }
        let (word, bit) = ((at / 64) as usize, at % 64);
        let bits = words[word];
        (bits >> bit & 1 == 1).then(|| self.ranks[word] + (bits & ((1 << bit) - 1)).count_ones())
    }

    /// Writes the group of each row into `groups`; whether the column is of a kind that it knows.
    pub(super) fn find(&self, key: &Argument<'_>, rows: usize, groups: &mut Vec<u32>) -> Result<bool> {
        macro_rules! by_kind {
            ($($kind:ident: $native:ty),+) => {
                match kind_of(key) {
                    $(Kind::$kind => self.find_typed(key.values::<$native>()?, key.is_constant(), rows, groups),)+
                    _ => return Ok(false),
                }
            };
        }
        groups.clear();
        by_kind!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32);
        if key.constant_is_null() {
            groups.fill(NO_GROUP);
        }
        if let Some(validity) = key.validity() {
            let nulls = groups.iter_mut().enumerate().filter(|(row, _)| !bitmap::get(validity, *row));
            nulls.for_each(|(_, group)| *group = NO_GROUP);
        }
        Ok(true)
    }

    fn find_typed<T: Fixed + Into<i64>>(&self, values: &[T], is_constant: bool, rows: usize, groups: &mut Vec<u32>) {
        let group = |value: T| match self.rank_of(value.into()) {
            None => NO_GROUP,
            Some(rank) if self.groups.is_empty() => rank,
            Some(rank) => self.groups[rank as usize],
        };
        match is_constant {
            true => groups.resize(rows, group(values[0])),
            false => groups.extend(values[..rows].iter().map(|&value| group(value))),
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.keys.size_bytes() + (self.ranks.capacity() + self.groups.capacity()) * 4
    }
}

/// Adds the values of a column of whole numbers; nulls are left out.
pub(super) fn append_integers(column: &Argument<'_>, out: &mut Vec<i64>) -> Result<()> {
    macro_rules! by_kind {
        ($($kind:ident: $native:ty),+) => {
            match kind_of(column) {
                $(Kind::$kind => {
                    let values = column.values::<$native>()?;
                    match column.validity() {
                        None => out.extend(values.iter().map(|&value| i64::from(value))),
                        Some(validity) => {
                            let valid = values.iter().enumerate().filter(|(row, _)| bitmap::get(validity, *row));
                            out.extend(valid.map(|(_, &value)| i64::from(value)));
                        }
                    }
                })+
                _ => {}
            }
        };
    }
    by_kind!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32);
    Ok(())
}

fn kind_of(column: &Argument<'_>) -> Kind {
    match column.column() {
        Column::Array(array) | Column::Constant(array) => Kind::of(array.data_type()),
        Column::Flat(flat) => flat.values.kind(),
        Column::Dictionary(_) => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Flat, Values};

    fn check(keys: &[i64], asked: &[i64]) {
        let perfect = Perfect::new(keys).expect("close together");
        let column = Column::Flat(Flat::new(Values::I64(asked.to_vec())));
        let mut groups = Vec::new();
        assert!(perfect.find(&Argument::new(&column, None, asked.len()), asked.len(), &mut groups).unwrap());
        let position = |value: &i64| keys.iter().position(|key| key == value).map_or(NO_GROUP, |at| at as u32);
        assert_eq!(groups, asked.iter().map(position).collect::<Vec<_>>());
    }

    #[test]
    fn each_key_has_its_group_and_others_have_none() {
        let asked: Vec<i64> = (-200..400).chain([i64::MIN, i64::MAX]).collect();
        check(&[7], &asked);
        check(&[-3, 0, 64, 65, 127, 128, 300], &asked);
        check(&[300, -3, 64, 128, 0, 127, 65], &asked);
        check(&(0..300).map(|key| (key * 7) % 300).collect::<Vec<_>>(), &asked);
        assert!(Perfect::new(&[0, 1 << 40]).is_none());
    }
}
