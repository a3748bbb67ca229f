//! A table of one key of whole numbers that lie close together: a bit per value of their range, and the group of each bit.
//!
//! ```text
//! value less the least ─▶ word and bit ─▶ bits set before it: its rank ─▶ group
//! ```
//! Invariants  made once, when all keys are known; a value that is no key costs one look at a bit.
//! Source      rank over bitmaps, Jacobson 1989.

use millstream_kernels::bitmap;

use crate::batch::{Argument, Fixed, Flat, Kind, Values};
use crate::error::{Error, Result};
use crate::pipeline::Keys;
use crate::state::NO_GROUP;

/// Ranges of at most this many values are looked up directly: the groups stay in L2.
const DIRECT_MAX: u64 = 1 << 17;

/// The groups of keys.
pub(super) struct Perfect {
    keys: Keys,
    /// For each word of the bits, how many are set in those before it.
    ranks: Vec<u32>,
    /// The group of each key, by its rank; empty where rank and group are one number.
    groups: Vec<u32>,
    /// The group of each value of a small range, [`NO_GROUP`] where it is no key: one look instead of three.
    direct: Vec<u32>,
}

impl Perfect {
    /// A table of keys, some perhaps several times, each by its rank; `None` where they lie too far apart.
    pub(super) fn new(values: &[i64]) -> Option<Self> {
        let keys = Keys::new(values);
        let Keys::Bits { words, .. } = &keys else { return None };
        let mut before = 0;
        let rank = |word: &u64| {
            let own = before;
            before += word.count_ones();
            own
        };
        let ranks: Vec<u32> = words.iter().map(rank).collect();
        Some(Perfect { keys, ranks, groups: Vec::new(), direct: Vec::new() })
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        if let Keys::Bits { count, .. } = self.keys { count as usize } else { 0 }
    }

    /// Makes the number of a key's row its group: `values` are the keys in the order of the rows, each once.
    pub(super) fn number_by_row(&mut self, values: &[i64]) {
        if values.is_sorted() {
            return;
        }
        let mut groups = vec![NO_GROUP; values.len()];
        for (row, &value) in values.iter().enumerate() {
            if let Some(rank) = self.rank_of(value) {
                groups[rank as usize] = row as u32;
            }
        }
        self.groups = groups;
    }

    /// Comes last, when groups have been numbered.
    pub(super) fn finish(&mut self) {
        if let Keys::Bits { least, range, .. } = self.keys
            && range <= DIRECT_MAX
        {
            self.direct = (0..range as i64).map(|at| self.group_of(least.wrapping_add(at))).collect();
        }
    }

    #[inline(always)]
    fn group_of(&self, value: i64) -> u32 {
        match self.rank_of(value) {
            None => NO_GROUP,
            Some(rank) if self.groups.is_empty() => rank,
            Some(rank) => self.groups[rank as usize],
        }
    }

    /// The rank of a value, if it is a key.
    #[inline(always)]
    pub(super) fn rank_of(&self, value: i64) -> Option<u32> {
        let Keys::Bits { least, words, range, .. } = &self.keys else { return None };
        let at = value.wrapping_sub(*least) as u64;
        if at >= *range {
            return None;
        }
        let (word, bit) = ((at / 64) as usize, at % 64);
        let bits = words[word];
        (bits >> bit & 1 == 1).then(|| self.ranks[word] + (bits & ((1 << bit) - 1)).count_ones())
    }

    /// The keys, by their groups.
    pub(super) fn values(&self) -> Vec<i64> {
        let Keys::Bits { least, words, .. } = &self.keys else { return Vec::new() };
        let mut values = vec![0; self.len()];
        for (word, &bits) in words.iter().enumerate() {
            for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
                let value = least.wrapping_add(word as i64 * 64 + bit);
                values[self.group_of(value) as usize] = value;
            }
        }
        values
    }

    /// Writes the group of each row into `groups`.
    pub(super) fn find(&self, key: &Argument<'_>, rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        macro_rules! by_kind {
            ($($kind:ident: $native:ty),+) => {
                match key.kind() {
                    $(Kind::$kind => self.find_typed(key.values::<$native>()?, key.is_constant(), rows, groups),)+
                    kind => return Err(Error::bug(format!("a key of whole numbers came as {kind:?}"))),
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
        Ok(())
    }

    fn find_typed<T: Fixed + Into<i64>>(&self, values: &[T], is_constant: bool, rows: usize, groups: &mut Vec<u32>) {
        let Keys::Bits { least, .. } = self.keys else { return groups.resize(rows, NO_GROUP) };
        let place = |value: T| value.into().wrapping_sub(least) as u64 as usize;
        match (is_constant, self.direct.is_empty()) {
            (true, _) => groups.resize(rows, self.group_of(values[0].into())),
            (false, true) => groups.extend(values[..rows].iter().map(|&value| self.group_of(value.into()))),
            (false, false) => {
                let direct = |&value: &T| self.direct.get(place(value)).copied().unwrap_or(NO_GROUP);
                groups.extend(values[..rows].iter().map(direct));
            }
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.keys.size_bytes() + (self.ranks.capacity() + self.groups.capacity() + self.direct.capacity()) * 4
    }
}

/// Adds the values of `rows` rows of a column of whole numbers; nulls are left out.
pub(super) fn append_integers(column: &Argument<'_>, rows: usize, out: &mut Vec<i64>) -> Result<()> {
    macro_rules! by_kind {
        ($($kind:ident: $native:ty),+) => {
            match column.kind() {
                $(Kind::$kind => {
                    let values = column.values::<$native>()?;
                    match column.validity() {
                        _ if column.constant_is_null() => {}
                        _ if column.is_constant() => out.resize(out.len() + rows, i64::from(values[0])),
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

/// Values as a flat column of a kind that holds them.
pub(super) fn integers(kind: Kind, values: &[i64]) -> Flat {
    macro_rules! by_kind {
        ($($kind:ident: $native:ty),+) => {
            match kind {
                $(Kind::$kind => Values::$kind(values.iter().map(|&value| value as $native).collect()),)+
                _ => Values::I64(values.to_vec()),
            }
        };
    }
    let mut flat = Flat::new(by_kind!(I8: i8, I16: i16, I32: i32, U8: u8, U16: u16, U32: u32));
    flat.rows = values.len();
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Column;

    fn check(keys: &[i64], asked: &[i64]) {
        let mut perfect = Perfect::new(keys).expect("close together");
        assert_eq!(perfect.len(), keys.len());
        perfect.number_by_row(keys);
        let indirect = (asked.iter().map(|&value| perfect.group_of(value))).collect::<Vec<_>>();
        perfect.finish();
        let column = Column::Flat(Flat::new(Values::I64(asked.to_vec())));
        let mut groups = Vec::new();
        perfect.find(&Argument::new(&column, None, asked.len()), asked.len(), &mut groups).unwrap();
        let position = |value: &i64| keys.iter().position(|key| key == value).map_or(NO_GROUP, |at| at as u32);
        assert_eq!(groups, asked.iter().map(position).collect::<Vec<_>>());
        assert_eq!(groups, indirect);
        let values = perfect.values();
        assert!(keys.iter().all(|&key| values[perfect.group_of(key) as usize] == key));
    }

    #[test]
    fn each_key_has_its_group_and_others_have_none() {
        let asked: Vec<i64> = (-200..400).chain([i64::MIN, i64::MAX]).collect();
        check(&[7], &asked);
        check(&[-3, 0, 64, 65, 127, 128, 300], &asked);
        check(&[300, -3, 64, 128, 0, 127, 65], &asked);
        check(&(0..299).map(|key| (key * 7) % 299).collect::<Vec<_>>(), &asked);
        assert_eq!(Perfect::new(&[5, 9, 5, 5]).expect("close together").rank_of(9), Some(1));
        assert!(Perfect::new(&[0, 1 << 40]).is_none());
    }
}
