//! The best rows of each key, in order, as bytes.
//!
//! ```text
//! an entry:  | ORDER BY keys | all columns of the row |     bytes that compare as the rows do, ties by all columns
//! ```
//! Where rows are only added, a key keeps what ranks well enough: what falls out never comes back. Where rows may be taken
//! back, it keeps all of them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, SortField};

use super::RankShape;
use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::RankFunction;
use crate::state::GroupIndex;
use crate::stream::operator::order::canonical;
use crate::stream::operator::over::look_up;

/// A row with its place in the order.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    bytes: Arc<[u8]>,
    /// How many of the bytes are ORDER BY keys.
    order_bytes: u32,
}

impl Entry {
    fn new(order: &[u8], row: &[u8]) -> Self {
        let bytes: Vec<u8> = order.iter().chain(row).copied().collect();
        Entry { bytes: bytes.into(), order_bytes: order.len() as u32 }
    }

    pub fn order(&self) -> &[u8] {
        &self.bytes[..self.order_bytes as usize]
    }

    pub fn row(&self) -> &[u8] {
        &self.bytes[self.order_bytes as usize..]
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

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
    converters: Converters,
    bytes: usize,
}

/// Columns to bytes and back.
struct Converters {
    order: RowConverter,
    row: RowConverter,
}

impl RankTable {
    pub fn new(shape: &Arc<RankShape>) -> Result<Self> {
        let key_count = shape.spec.key_count;
        let order_types = &shape.types[key_count..shape.own()];
        let order = order_types.iter().zip(&shape.spec.order);
        let order = order.map(|(data_type, options)| SortField::new_with_options(data_type.clone(), *options));
        let row = shape.types[shape.own()..].iter().map(|data_type| SortField::new(data_type.clone()));
        Ok(RankTable {
            index: GroupIndex::new(shape.types[..key_count].to_vec(), shape.seed, shape.context.level),
            rows: Vec::new(),
            converters: Converters {
                order: RowConverter::new(order.collect())?,
                row: RowConverter::new(row.collect())?,
            },
            bytes: 0,
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

    /// Takes wide rows in, whose groups are known. `touch` is called with each group right before its rows change.
    pub fn take(
        &mut self,
        wide: &[ArrayRef],
        groups: &[u32],
        changes: Option<&[Change]>,
        mut touch: impl FnMut(u32, &dyn Fn() -> Vec<Ranked>),
    ) -> Result<()> {
        let (key_count, own) = (self.shape.spec.key_count, self.shape.own());
        let order: Vec<ArrayRef> = wide[key_count..own].iter().map(canonical).collect();
        let order = match order.is_empty() {
            true => None,
            false => Some(self.converters.order.convert_columns(&order)?),
        };
        let order_of = |row: u32| order.as_ref().map_or(&[][..], |order| order.row(row as usize).data());
        // What cannot get in is not even written down.
        let last = self.shape.spec.last;
        let function = self.shape.spec.function;
        let gets_in = |row: &u32| self.rows[groups[*row as usize] as usize].may_take(order_of(*row), function, last);
        let rows: Vec<u32> = (0..groups.len() as u32).filter(gets_in).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let own = &wide[own..];
        let picked = match rows.len() == groups.len() {
            true => own.to_vec(),
            false => {
                let picked = UInt32Array::from(rows.clone());
                own.iter().map(|column| Ok(take(column, &picked, None)?)).collect::<Result<Vec<_>>>()?
            }
        };
        let written = self.converters.row.convert_columns(&picked)?;
        for (at, &row) in rows.iter().enumerate() {
            let group = groups[row as usize];
            let weight = changes.map_or(1, |changes| changes[row as usize].weight());
            let held = &mut self.rows[group as usize];
            if !held.may_take(order_of(row), function, last) {
                continue;
            }
            let data = if own.is_empty() { &[][..] } else { written.row(at).data() };
            let entry = Entry::new(order_of(row), data);
            touch(group, &|| held.ranked(&self.shape));
            self.bytes = self.bytes.wrapping_add_signed(held.change(entry, weight, function, last));
        }
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
        read(&self.converters.row, entries.map(Entry::row))
    }

    /// The ORDER BY keys of rows.
    pub fn order_columns<'a>(&self, entries: impl ExactSizeIterator<Item = &'a Entry>) -> Result<Vec<ArrayRef>> {
        read(&self.converters.order, entries.map(Entry::order))
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
        self.bytes + self.index.size_bytes() + self.rows.capacity() * size_of::<Rows>()
    }
}

fn read<'a>(converter: &RowConverter, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
    let parser = converter.parser();
    let rows: Vec<Row<'_>> = rows.map(|row| parser.parse(row)).collect();
    Ok(converter.convert_rows(rows)?)
}

impl Rows {
    /// Whether a row with these ORDER BY keys may rank well enough.
    fn may_take(&self, order: &[u8], function: RankFunction, last: u64) -> bool {
        let Rows::Best { entries, places } = self else { return true };
        let filled = if function == RankFunction::DenseRank { *places } else { entries.len() as u64 };
        match entries.last() {
            Some(worst) if filled >= last => order <= worst.order(),
            _ => last > 0,
        }
    }

    /// Adds a row, or takes one back; by how many bytes the rows have grown.
    fn change(&mut self, entry: Entry, weight: i64, function: RankFunction, last: u64) -> isize {
        let cost = |entry: &Entry| (entry.bytes.len() + size_of::<Entry>() + 2 * size_of::<usize>()) as isize;
        match self {
            Rows::All(rows) => {
                let size = cost(&entry) + size_of::<i64>() as isize;
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
            Rows::Best { entries, places } => {
                let at = entries.partition_point(|known| *known <= entry);
                let size = cost(&entry);
                let has_place = |other: Option<&Entry>| other.is_some_and(|other| other.order() == entry.order());
                *places +=
                    u64::from(!has_place(at.checked_sub(1).map(|at| &entries[at])) && !has_place(entries.get(at)));
                entries.insert(at, entry);
                let mut grown = size;
                while let Some(worst) = entries.last() {
                    let first_peer = entries.partition_point(|known| known.order() < worst.order());
                    let (from, is_over) = match function {
                        RankFunction::RowNumber => (last as usize, entries.len() as u64 > last),
                        RankFunction::Rank => (first_peer, first_peer as u64 >= last),
                        RankFunction::DenseRank => (first_peer, *places > last),
                    };
                    if !is_over {
                        break;
                    }
                    *places -= u64::from(from <= first_peer);
                    grown -= entries.drain(from..).map(|entry| cost(&entry)).sum::<isize>();
                }
                grown
            }
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
        if count > 0 && self.last.is_none_or(|last| last.order() != entry.order()) {
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
