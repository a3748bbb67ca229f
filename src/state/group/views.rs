//! One string key: short strings are compared as the 16-byte views they are, long ones by view, then bytes.
//!
//! ```text
//! slot    half of the hash | group number      see `tags.rs`
//! group   short: the Arrow view itself; long: length, prefix, offset into the table's bytes
//! ```

use std::sync::{Arc, Weak};

use arrow::array::{Array, ArrayRef, BinaryViewArray, BinaryViewBuilder};
use arrow::datatypes::DataType;
use millstream_kernels::{aggregate, gather, hash, level, probe, view};

use super::EMPTY;
use super::tags::{Place, Tags};
use crate::batch::{Argument, Dictionary, DictionaryValues, Strings, held_bytes, make_room};
use crate::error::Result;

/// From this many slots on, a probe misses L2 often enough to ask ahead.
const SLOTS_PREFETCH_MIN: usize = 1 << 16;
/// How many rows ahead an entry is asked for; a slot twice as many.
const PREFETCH_ROWS: usize = 8;
/// Dictionaries whose codes are known at a time: through an exchange those of many readers come by turns.
const DICTIONARIES_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Views {
    seed: u64,
    slots: Tags,
    /// Of the rows of a batch.
    row_hashes: Vec<u64>,
    entries: Vec<u128>,
    bytes: Vec<u8>,
    null_group: u32,
    /// The dictionaries that came last, the latest in front.
    dictionaries: Vec<Codes>,
}

/// A dictionary, and the group of each of its codes as far as they are known.
#[derive(Debug)]
struct Codes {
    /// Not held: when whoever reads it has gone on, nothing of it comes any more.
    values: Weak<DictionaryValues>,
    groups: Vec<u32>,
}

impl Views {
    pub(super) fn new(seed: u64) -> Self {
        Views {
            seed,
            slots: Tags::new(),
            row_hashes: Vec::new(),
            entries: Vec::new(),
            bytes: Vec::new(),
            null_group: EMPTY,
            dictionaries: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn lookup(&mut self, key: &Argument<'_>, rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        self.keep_moving(rows);
        if key.constant_is_null() {
            let group = self.null_group();
            groups.resize(rows, group);
            return Ok(());
        }
        if let Some(dictionary) = key.dictionary() {
            return self.lookup_codes(dictionary, groups);
        }
        let strings = key.strings()?;
        if key.is_constant() {
            let group = self.find_or_insert(strings.bytes(0), strings.views[0]);
            groups.resize(rows, group);
            return Ok(());
        }
        groups.reserve(rows);
        if self.slots.count() >= SLOTS_PREFETCH_MIN {
            self.lookup_ahead(key, &strings, rows, groups);
            return Ok(());
        }
        // Streams repeat themselves: the last short key and its group save a probe.
        let (mut last, mut last_group) = (0u128, EMPTY);
        for row in 0..rows {
            if key.validity().is_some() && key.is_null(row) {
                groups.push(self.null_group());
                continue;
            }
            let found = strings.views[row];
            if found == last && last_group != EMPTY && found as u32 <= 12 {
                groups.push(last_group);
                continue;
            }
            let group = self.find_or_insert(strings.bytes(row), found);
            (last, last_group) = (found, group);
            groups.push(group);
        }
        Ok(())
    }

    /// The same for large tables: slots, then entries are asked for some rows before they are looked at.
    fn lookup_ahead(&mut self, key: &Argument<'_>, strings: &Strings<'_>, rows: usize, groups: &mut Vec<u32>) {
        let mut hashes = std::mem::take(&mut self.row_hashes);
        hashes.clear();
        hashes.extend((0..rows).map(|row| hash::bytes(self.seed, strings.bytes(row))));
        let nullable = key.validity().is_some();
        for row in 0..rows {
            if let Some(&ahead) = hashes.get(row + 2 * PREFETCH_ROWS) {
                self.slots.prefetch(ahead);
            }
            let guess = hashes.get(row + PREFETCH_ROWS).and_then(|&ahead| self.slots.first_guess(ahead));
            if let Some(group) = guess {
                probe::prefetch(&self.entries, group as usize);
            }
            let group = if nullable && key.is_null(row) {
                self.null_group()
            } else {
                self.find_or_insert_hashed(hashes[row], strings.bytes(row), strings.views[row])
            };
            groups.push(group);
        }
        self.row_hashes = hashes;
    }

    /// A value is looked up once per dictionary; then its code tells its group.
    fn lookup_codes(&mut self, dictionary: &Dictionary, groups: &mut Vec<u32>) -> Result<()> {
        let values = dictionary.values();
        let strings = Strings::of(&values.0)?;
        self.turn_to(values);
        let codes = dictionary.codes();
        let nulls = dictionary.code_array().nulls().filter(|nulls| nulls.null_count() > 0);
        if let Some(nulls) = nulls {
            groups.reserve(codes.len());
            for (row, &code) in codes.iter().enumerate() {
                let group = if nulls.is_null(row) { self.null_group() } else { self.group_of_code(code, &strings) };
                groups.push(group);
            }
            return Ok(());
        }
        gather::take_u32(&self.dictionaries[0].groups, codes, groups);
        let greatest = aggregate::min_max(level::detect(), groups, None).map(|(_, greatest)| greatest);
        if greatest == Some(EMPTY) {
            for (group, &code) in groups.iter_mut().zip(codes).filter(|(group, _)| **group == EMPTY) {
                *group = self.group_of_code(code, &strings);
            }
        }
        Ok(())
    }

    /// Brings the groups of this dictionary's codes to the front.
    fn turn_to(&mut self, values: &Arc<DictionaryValues>) {
        let known = self.dictionaries.iter().position(|codes| codes.values.as_ptr() == Arc::as_ptr(values));
        if let Some(at) = known {
            self.dictionaries[..=at].rotate_right(1);
            return;
        }
        let used = self.dictionaries.iter().position(|codes| codes.values.strong_count() == 0);
        let used = used.or_else(|| (self.dictionaries.len() >= DICTIONARIES_MAX).then_some(DICTIONARIES_MAX - 1));
        let mut groups = used.map_or_else(Vec::new, |at| self.dictionaries.remove(at).groups);
        groups.clear();
        groups.resize(values.0.len(), EMPTY);
        self.dictionaries.insert(0, Codes { values: Arc::downgrade(values), groups });
    }

    #[inline]
    fn group_of_code(&mut self, code: u32, strings: &Strings<'_>) -> u32 {
        let known = self.dictionaries[0].groups[code as usize];
        if known != EMPTY {
            return known;
        }
        let group = self.find_or_insert(strings.bytes(code as usize), strings.views[code as usize]);
        self.dictionaries[0].groups[code as usize] = group;
        group
    }

    /// The group of each row, `EMPTY` where there is none.
    pub(super) fn find(&self, key: &Argument<'_>, rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        if key.constant_is_null() {
            groups.resize(rows, self.null_group);
            return Ok(());
        }
        if let Some(dictionary) = key.dictionary() {
            let strings = Strings::of(&dictionary.values().0)?;
            let find = |code: usize| self.find_one(strings.bytes(code), strings.views[code]);
            groups.extend(dictionary.code_array().iter().map(|c| c.map_or(self.null_group, |c| find(c as usize))));
            return Ok(());
        }
        let strings = key.strings()?;
        if key.is_constant() {
            groups.resize(rows, self.find_one(strings.bytes(0), strings.views[0]));
            return Ok(());
        }
        groups.reserve(rows);
        for row in 0..rows {
            let null = key.validity().is_some() && key.is_null(row);
            groups.push(if null { self.null_group } else { self.find_one(strings.bytes(row), strings.views[row]) });
        }
        Ok(())
    }

    /// The group of `bytes`, `EMPTY` where there is none.
    pub(super) fn find_bytes(&self, bytes: &[u8]) -> u32 {
        let found = if bytes.len() <= 12 { view::short(bytes) } else { view::long(bytes, 0, 0) };
        self.find_one(bytes, found)
    }

    #[inline]
    fn find_one(&self, bytes: &[u8], found: u128) -> u32 {
        let hash = hash::bytes(self.seed, bytes);
        self.slots.find(hash, |group| self.is_equal(group, bytes, found)).unwrap_or(EMPTY)
    }

    /// Moves what a batch of `rows` rows should, if the table has grown.
    pub(super) fn keep_moving(&mut self, rows: usize) {
        self.slots.keep_moving(rows);
    }

    /// The group of `bytes`, which need no view: rows of keys written as bytes come here.
    pub(super) fn group_of_bytes(&mut self, bytes: &[u8]) -> u32 {
        let found = if bytes.len() <= 12 { view::short(bytes) } else { view::long(bytes, 0, 0) };
        self.find_or_insert(bytes, found)
    }

    fn null_group(&mut self) -> u32 {
        if self.null_group == EMPTY {
            self.null_group = self.entries.len() as u32;
            self.entries.push(0);
        }
        self.null_group
    }

    #[inline]
    fn find_or_insert(&mut self, bytes: &[u8], found: u128) -> u32 {
        self.find_or_insert_hashed(hash::bytes(self.seed, bytes), bytes, found)
    }

    #[inline(always)]
    fn find_or_insert_hashed(&mut self, hash: u64, bytes: &[u8], found: u128) -> u32 {
        match self.slots.find(hash, |group| self.is_equal(group, bytes, found)) {
            Ok(group) => group,
            Err(place) => self.insert(place, hash, bytes, found),
        }
    }

    #[inline]
    fn is_equal(&self, group: u32, bytes: &[u8], found: u128) -> bool {
        let entry = self.entries[group as usize];
        if bytes.len() <= 12 {
            return entry == found;
        }
        entry as u64 == found as u64 && self.long(entry) == bytes
    }

    fn long(&self, entry: u128) -> &[u8] {
        let offset = (entry >> 64) as usize;
        &self.bytes[offset..offset + entry as u32 as usize]
    }

    /// The key of a group that is not the null group.
    pub(super) fn bytes_of(&self, group: u32) -> &[u8] {
        let entry = &self.entries[group as usize];
        let length = *entry as u32 as usize;
        if length <= 12 { view::inline(entry, length) } else { self.long(*entry) }
    }

    #[cold]
    fn insert(&mut self, place: Place, hash: u64, bytes: &[u8], found: u128) -> u32 {
        let group = self.entries.len() as u32;
        let entry = if bytes.len() <= 12 {
            found
        } else {
            let offset = self.bytes.len();
            make_room(&mut self.bytes, offset + bytes.len());
            self.bytes.extend_from_slice(bytes);
            (found as u64) as u128 | (offset as u128) << 64
        };
        make_room(&mut self.entries, group as usize + 1);
        self.entries.push(entry);
        self.slots.insert(place, hash, group);
        group
    }

    /// Which share of the slots is taken, and how many a lookup looks at.
    pub(super) fn load(&self) -> (f64, f64) {
        (self.entries.len() as f64 / self.slots.count() as f64, self.slots.probes())
    }

    pub(super) fn keys(&self, data_type: &DataType, groups: &[u32]) -> Result<ArrayRef> {
        let mut builder = BinaryViewBuilder::with_capacity(groups.len());
        for &group in groups {
            if group == self.null_group { builder.append_null() } else { builder.append_value(self.bytes_of(group)) }
        }
        as_type(builder.finish(), data_type)
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.entries.clear();
        self.bytes.clear();
        let in_use = self.dictionaries.iter_mut().filter(|codes| codes.values.strong_count() > 0);
        in_use.for_each(|codes| codes.groups.fill(EMPTY));
        self.null_group = EMPTY;
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.slots.size_bytes()
            + self.row_hashes.capacity() * 8
            + held_bytes(&self.entries)
            + held_bytes(&self.bytes)
            + self.dictionaries.iter().map(|codes| codes.groups.capacity() * 4).sum::<usize>()
    }
}

/// Bytes as the key's own type, `Utf8View` or `BinaryView`.
pub(super) fn as_type(array: BinaryViewArray, data_type: &DataType) -> Result<ArrayRef> {
    if data_type == &DataType::Utf8View { Ok(Arc::new(array.to_string_view()?)) } else { Ok(Arc::new(array)) }
}
