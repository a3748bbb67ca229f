//! The best rows of each key, in order.
//!
//! Where rows are only added, a key keeps what ranks well enough: what falls out never comes back. Where rows may be taken
//! back, it keeps all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{ArrayRef, UInt32Array, new_empty_array};
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, SortField};

use super::RankShape;
use super::entry::{Converters, Entry, Stored, Tally};
use crate::batch::{Change, ROWS_MAX, with_few_buffers, without_waste};
use crate::error::{Error, Result};
use crate::pipeline::RankFunction;
use crate::state::GroupIndex;
use crate::stream::operator::order::canonical;
use crate::stream::operator::over::look_up;

/// Batches are written anew when they hold so many rows per row that is still there,
const STORED_PER_ROW: usize = 3;
/// or more batches than these and fewer rows in each, as those of a few rows leave them;
const BATCHES_MIN: usize = 256;
const ROWS_PER_BATCH_MIN: usize = 64;
/// then in batches of so many.
const STORED_ROWS: usize = 8192;

/// A row that is shown, and its rank.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked {
    pub rank: u64,
    pub entry: Entry,
}

/// The rows of one key.
#[derive(Debug)]
enum Rows {
    /// The best ones, ascending, and how many different places in the order they have.
    Best { entries: Vec<Entry>, places: u64 },
    /// All of them, and how often each is there.
    All(BTreeMap<Entry, i64>),
}

/// Keys and their rows.
pub(super) struct RankTable {
    shape: Arc<RankShape>,
    index: GroupIndex,
    rows: Vec<Rows>,
    converters: Arc<Converters>,
    /// What stored rows take; what written ones do; and how many entries there are of stored ones.
    tally: Arc<Tally>,
    bytes: usize,
    entries: usize,
}

impl RankTable {
    pub fn new(shape: &Arc<RankShape>) -> Result<Self> {
        Ok(RankTable {
            index: GroupIndex::new(shape.types[..shape.spec.key_count].to_vec(), shape.seed, shape.context.level),
            rows: Vec::new(),
            converters: Arc::new(Converters::new(shape)?),
            tally: Arc::default(),
            bytes: 0,
            entries: 0,
            shape: shape.clone(),
        })
    }

    pub fn key_count(&self) -> usize {
        self.rows.len()
    }

    /// The group of each of `rows` wide rows.
    pub fn find_groups(&mut self, wide: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let groups = look_up(&mut self.index, &wide[..self.shape.spec.key_count], rows)?;
        let takes_back = self.shape.spec.takes_back;
        self.rows.resize_with(self.index.len(), || match takes_back {
            true => Rows::All(BTreeMap::new()),
            false => Rows::Best { entries: Vec::new(), places: 0 },
        });
        Ok(groups)
    }

    /// Keeps these groups only, ascending, which are numbered anew in this order.
    pub fn retain(&mut self, left: &[u32]) -> Result<()> {
        let keys = self.keys(left)?;
        let shape = self.shape.clone();
        let (types, seed, level) = (&shape.types[..shape.spec.key_count], shape.seed, shape.context.level);
        self.index = GroupIndex::new(types.to_vec(), seed, level);
        for from in (0..left.len()).step_by(ROWS_MAX) {
            let rows = ROWS_MAX.min(left.len() - from);
            let piece: Vec<ArrayRef> = keys.iter().map(|key| key.slice(from, rows)).collect();
            look_up(&mut self.index, &piece, rows)?;
        }
        let mut left = left.iter().peekable();
        let rows = std::mem::take(&mut self.rows);
        for (group, rows) in rows.into_iter().enumerate() {
            if left.next_if(|next| **next as usize == group).is_some() {
                self.rows.push(rows);
            } else if let Rows::Best { entries, .. } = rows {
                self.entries -= entries.len();
            }
        }
        self.rows.shrink_to_fit();
        if self.is_loose() { self.store_anew() } else { Ok(()) }
    }

    /// Takes wide rows in, whose groups are known. `touch` is called with each group right before its rows change.
    pub fn take(
        &mut self,
        wide: &[ArrayRef],
        groups: &[u32],
        changes: Option<&[Change]>,
        touch: impl FnMut(u32, &dyn Fn() -> Vec<Ranked>),
    ) -> Result<()> {
        let (key_count, own) = (self.shape.spec.key_count, self.shape.own());
        let order = wide[key_count..own].iter().map(canonical).collect();
        match self.shape.spec.takes_back {
            true => self.change(order, &wide[own..], groups, changes, touch),
            false => self.add(order, wide[own..].to_vec(), groups, touch),
        }
    }

    /// Adds rows, or takes rows back.
    fn change(
        &mut self,
        order: Vec<ArrayRef>,
        own: &[ArrayRef],
        groups: &[u32],
        changes: Option<&[Change]>,
        mut touch: impl FnMut(u32, &dyn Fn() -> Vec<Ranked>),
    ) -> Result<()> {
        let write = |converter: &RowConverter, columns: &[ArrayRef]| match columns.is_empty() {
            true => Ok(None),
            false => converter.convert_columns(columns).map(Some),
        };
        let order = write(&self.converters.order, &order)?;
        let own = write(&self.converters.row, own)?;
        for (row, &group) in groups.iter().enumerate() {
            let weight = changes.map_or(1, |changes| changes[row].weight());
            let order = order.as_ref().map_or(&[][..], |order| order.row(row).data());
            let entry = Entry::written(order, own.as_ref().map_or(&[][..], |own| own.row(row).data()));
            let held = &mut self.rows[group as usize];
            touch(group, &|| held.ranked(&self.shape));
            if let Rows::All(rows) = held {
                self.bytes = self.bytes.wrapping_add_signed(change_all(rows, entry, weight));
            }
        }
        Ok(())
    }

    /// Adds rows that rank well enough.
    fn add(
        &mut self,
        order: Vec<ArrayRef>,
        own: Vec<ArrayRef>,
        groups: &[u32],
        mut touch: impl FnMut(u32, &dyn Fn() -> Vec<Ranked>),
    ) -> Result<()> {
        let (function, last) = (self.shape.spec.function, self.shape.spec.last);
        let prefixes = self.converters.prefixes(&order, groups.len())?;
        // Of the batch as it came only what is left of it after its last row is stored.
        let batch = Stored::new(order, own, groups.len(), &self.converters, &Arc::default());
        let mut touched = Vec::new();
        for (row, (&group, &prefix)) in groups.iter().zip(&prefixes).enumerate() {
            let held = &mut self.rows[group as usize];
            if held.is_behind(prefix, function, last) {
                continue;
            }
            let entry = Entry::Stored { prefix, batch: batch.clone(), row: row as u32 };
            if !held.may_take(&entry, function, last) {
                continue;
            }
            touch(group, &|| held.ranked(&self.shape));
            if let Rows::Best { entries, places } = held {
                let before = entries.len();
                insert_best(entries, places, entry, function, last);
                self.entries = self.entries + entries.len() - before;
                touched.push(group);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        self.store(&batch, &touched)?;
        if self.is_loose() { self.store_anew() } else { Ok(()) }
    }

    /// Whether stored batches hold much beside the rows that are still there.
    fn is_loose(&self) -> bool {
        let (rows, batches) = (self.tally.rows.load(Relaxed), self.tally.batches.load(Relaxed));
        rows > STORED_PER_ROW * (self.entries + STORED_ROWS)
            || batches > BATCHES_MIN + self.entries / ROWS_PER_BATCH_MIN
    }

    /// Stores the rows of a batch that entries of these groups point at, and points them there.
    fn store(&mut self, batch: &Arc<Stored>, groups: &[u32]) -> Result<()> {
        let mut picks = Vec::new();
        self.each_of(batch, groups, |_, row| picks.push(*row));
        if picks.is_empty() {
            return Ok(());
        }
        let picked = UInt32Array::from(picks);
        let pick = |column: &ArrayRef| Ok(without_waste(take(column, &picked, None)?));
        let order = batch.order.iter().map(pick).collect::<Result<_>>()?;
        let own = batch.own.iter().map(pick).collect::<Result<_>>()?;
        let stored = Stored::new(order, own, picked.len(), &self.converters, &self.tally);
        let mut next = 0;
        self.each_of(batch, groups, |place, row| {
            *place = stored.clone();
            *row = next;
            next += 1;
        });
        Ok(())
    }

    fn each_of(&mut self, batch: &Arc<Stored>, groups: &[u32], mut each: impl FnMut(&mut Arc<Stored>, &mut u32)) {
        for &group in groups {
            let Rows::Best { entries, .. } = &mut self.rows[group as usize] else { continue };
            for entry in entries {
                match entry {
                    Entry::Stored { batch: place, row, .. } if Arc::ptr_eq(place, batch) => each(place, row),
                    _ => {}
                }
            }
        }
    }

    /// Gathers the rows that are still there into batches of their own.
    fn store_anew(&mut self) -> Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        let best = |rows: &mut Rows| match rows {
            Rows::Best { entries, .. } => std::mem::take(entries),
            Rows::All(_) => Vec::new(),
        };
        let lengths: Vec<usize> =
            rows.iter().map(|rows| if let Rows::Best { entries, .. } = rows { entries.len() } else { 0 }).collect();
        let mut entries: Vec<Entry> = rows.iter_mut().flat_map(best).collect();
        for entries in entries.chunks_mut(STORED_ROWS) {
            let fresh = |columns: Vec<ArrayRef>| columns.into_iter().map(without_waste).collect();
            let (order, own) = (fresh(self.order_columns(entries.iter())?), fresh(self.columns(entries.iter())?));
            let stored = Stored::new(order, own, entries.len(), &self.converters, &self.tally);
            for (at, entry) in entries.iter_mut().enumerate() {
                if let Entry::Stored { batch, row, .. } = entry {
                    (*batch, *row) = (stored.clone(), at as u32);
                }
            }
        }
        let mut entries = entries.into_iter();
        for (rows, length) in rows.iter_mut().zip(lengths) {
            if let Rows::Best { entries: place, .. } = rows {
                place.reserve_exact(length);
                place.extend(entries.by_ref().take(length));
            }
        }
        self.rows = rows;
        Ok(())
    }

    /// The rows of a group that are shown, in order.
    pub fn ranked(&self, group: u32) -> Vec<Ranked> {
        self.rows[group as usize].ranked(&self.shape)
    }

    /// All rows of a group, and how often each is there.
    pub fn all(&self, group: u32) -> Vec<(Entry, i64)> {
        match &self.rows[group as usize] {
            Rows::Best { entries, .. } => entries.iter().map(|entry| (entry.clone(), 1)).collect(),
            Rows::All(rows) => rows.iter().map(|(entry, count)| (entry.clone(), *count)).collect(),
        }
    }

    /// Rows as the columns that they were made of.
    pub fn columns<'a>(&self, entries: impl ExactSizeIterator<Item = &'a Entry>) -> Result<Vec<ArrayRef>> {
        let types = &self.shape.types[self.shape.own()..];
        match self.shape.spec.takes_back {
            true => read(&self.converters.row, entries.map(|entry| entry.written_parts().1)),
            false => gather(types, entries, |batch| &batch.own),
        }
    }

    /// The ORDER BY keys of rows.
    pub fn order_columns<'a>(&self, entries: impl ExactSizeIterator<Item = &'a Entry>) -> Result<Vec<ArrayRef>> {
        let types = &self.shape.types[self.shape.spec.key_count..self.shape.own()];
        match self.shape.spec.takes_back {
            true if types.is_empty() => Ok(Vec::new()),
            true => read(&self.converters.order, entries.map(|entry| entry.written_parts().0)),
            false => gather(types, entries, |batch| &batch.order),
        }
    }

    /// The keys of groups.
    pub fn keys(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let key = |(key, data_type): (usize, &DataType)| {
            let mut column = crate::batch::Column::default();
            self.index.keys(key, groups, &mut column)?;
            column.to_array(data_type, groups.len(), &crate::batch::Selection::default())
        };
        self.shape.types[..self.shape.spec.key_count].iter().enumerate().map(key).collect()
    }

    pub fn size_bytes(&self) -> usize {
        let entries = self.entries * size_of::<Entry>() + self.tally.bytes.load(Relaxed);
        self.bytes + entries + self.index.size_bytes() + self.rows.capacity() * size_of::<Rows>()
    }
}

/// Columns of stored rows, one behind the other.
fn gather<'a>(
    types: &[DataType],
    entries: impl Iterator<Item = &'a Entry>,
    part: impl Fn(&'a Stored) -> &'a [ArrayRef],
) -> Result<Vec<ArrayRef>> {
    let (mut batches, mut places, mut picks) = (Vec::new(), HashMap::new(), Vec::new());
    for entry in entries {
        if let Entry::Stored { batch, row, .. } = entry {
            let place = *places.entry(Arc::as_ptr(batch)).or_insert_with(|| {
                batches.push(part(batch));
                batches.len() - 1
            });
            picks.push((place, *row as usize));
        }
    }
    let column = |(at, data_type): (usize, &DataType)| {
        if batches.is_empty() {
            return Ok(new_empty_array(data_type));
        }
        let arrays: Vec<_> = batches.iter().map(|batch| batch[at].as_ref()).collect();
        Ok(with_few_buffers(interleave(&arrays, &picks)?))
    };
    types.iter().enumerate().map(column).collect()
}

fn read<'a>(converter: &RowConverter, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
    let parser = converter.parser();
    let rows: Vec<Row<'_>> = rows.map(|row| parser.parse(row)).collect();
    Ok(converter.convert_rows(rows)?)
}

/// Adds a row, or takes one back; by how many bytes the rows have grown.
#[allow(clippy::mutable_key_type, reason = "what changes inside is kept beside the rows and never changes their order")]
fn change_all(rows: &mut BTreeMap<Entry, i64>, entry: Entry, weight: i64) -> isize {
    let size = (entry.size_bytes() + size_of::<i64>()) as isize;
    let is_new = !rows.contains_key(&entry);
    let count = rows.entry(entry.clone()).or_insert(0);
    *count += weight;
    match *count {
        0 => {
            rows.remove(&entry);
            if is_new { 0 } else { -size }
        }
        _ if is_new => size,
        _ => 0,
    }
}

/// Adds a row to the best ones, and drops those that do not rank well enough any more.
fn insert_best(entries: &mut Vec<Entry>, places: &mut u64, entry: Entry, function: RankFunction, last: u64) {
    let at = entries.partition_point(|known| *known <= entry);
    if function == RankFunction::RowNumber {
        if at as u64 >= last {
            return;
        }
        if entries.len() as u64 == last {
            entries.pop();
        }
        if entries.capacity() == 0 {
            entries.reserve_exact(1);
        }
        entries.insert(at, entry);
        return;
    }
    let has_place = |other: Option<&Entry>| other.is_some_and(|other| other.cmp_order(&entry).is_eq());
    *places += u64::from(!has_place(at.checked_sub(1).map(|at| &entries[at])) && !has_place(entries.get(at)));
    entries.insert(at, entry);
    while let Some(worst) = entries.last() {
        let first_peer = entries.partition_point(|known| known.cmp_order(worst).is_lt());
        let is_over = match function {
            RankFunction::DenseRank => *places > last,
            _ => first_peer as u64 >= last,
        };
        if !is_over {
            break;
        }
        *places -= 1;
        entries.truncate(first_peer);
    }
}

/// Whether there are as many rows, or places, as are shown.
fn is_full(entries: &[Entry], places: u64, function: RankFunction, last: u64) -> bool {
    let filled = if function == RankFunction::DenseRank { places } else { entries.len() as u64 };
    filled >= last
}

impl Rows {
    /// Whether a row of which the order begins like this ranks too low for sure.
    fn is_behind(&self, prefix: u128, function: RankFunction, last: u64) -> bool {
        match self {
            Rows::Best { entries, places } if is_full(entries, *places, function, last) => {
                matches!(entries.last(), Some(Entry::Stored { prefix: worst, .. }) if prefix > *worst)
            }
            _ => false,
        }
    }

    /// Whether a row may rank well enough.
    fn may_take(&self, entry: &Entry, function: RankFunction, last: u64) -> bool {
        let Rows::Best { entries, places } = self else { return true };
        match entries.last() {
            Some(worst) if is_full(entries, *places, function, last) => entry.cmp_order(worst).is_le(),
            _ => last > 0,
        }
    }

    fn ranked(&self, shape: &RankShape) -> Vec<Ranked> {
        let mut ranked = Vec::new();
        let mut ranking = Ranking { shape, rows: 0, places: 0, rank: 0, last: None };
        match self {
            Rows::Best { entries, .. } => {
                for entry in entries {
                    if !ranking.add(entry, 1, &mut ranked) {
                        break;
                    }
                }
            }
            Rows::All(rows) => {
                for (entry, &count) in rows {
                    if !ranking.add(entry, count, &mut ranked) {
                        break;
                    }
                }
            }
        }
        ranked
    }
}

/// Ranks given to rows in order.
struct Ranking<'a> {
    shape: &'a RankShape,
    rows: u64,
    places: u64,
    rank: u64,
    last: Option<&'a Entry>,
}

impl<'a> Ranking<'a> {
    /// Ranks a row that is there `count` times; whether rows behind it may still be shown.
    fn add(&mut self, entry: &'a Entry, count: i64, ranked: &mut Vec<Ranked>) -> bool {
        let spec = &self.shape.spec;
        if count > 0 && self.last.is_none_or(|last| last.cmp_order(entry).is_ne()) {
            self.places += 1;
            self.rank = if spec.function == RankFunction::DenseRank { self.places } else { self.rows + 1 };
            self.last = Some(entry);
        }
        for _ in 0..count {
            self.rows += 1;
            if spec.function == RankFunction::RowNumber {
                self.rank = self.rows;
            }
            if self.rank > spec.last {
                return false;
            }
            if self.rank >= spec.first {
                ranked.push(Ranked { rank: self.rank, entry: entry.clone() });
            }
        }
        true
    }
}

/// Fails where rows cannot be written as bytes.
pub(super) fn check(types: &[DataType]) -> Result<()> {
    let refused =
        types.iter().find(|data_type| !RowConverter::supports_fields(&[SortField::new((*data_type).clone())]));
    match refused {
        None => Ok(()),
        Some(data_type) => Err(Error::user(format!("rows with a column of this type cannot be ranked: {data_type}"))),
    }
}
