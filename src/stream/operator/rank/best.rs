//! The best rows of each key, where rows are only added: what falls out never comes back.
//!
//! ```text
//! batch ─▶ prefixes of the first ORDER BY key ─▶ behind the key's bound? ─▶ into its list, as a row of the batch
//!          end of the batch: rows that are still in a list ─▶ columns, at places of rows that fell out
//! ```
//! Invariants  a list's rows are in order, ties by all columns; between batches all of them are at places.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::SortOptions;

use super::changes::Changed;
use super::lists::{Entry, Lists, NONE};
use super::ranking::{Ranked, Ranking, Row};
use super::{RankShape, is_exact, key_of_groups};
use crate::batch::{Batch, Column, KernelColumn, ROWS_MAX, first_keys_of, tells_values};
use crate::error::Result;
use crate::expression::Operand;
use crate::pipeline::{Completion, RankFunction};
use crate::state::{GroupIndex, NewRows, SlotRow, Slots};
use crate::stream::operator::Next;
use crate::stream::operator::order::canonical;

/// Set in the row of an entry that is a row of the batch: not at a place yet.
const OF_BATCH: u32 = 1 << 31;
const _: () = assert!(Slots::MOST <= OF_BATCH as usize);
/// Fewer free places than these are left.
const FREE_MIN: usize = 1 << 14;

pub(super) struct Best {
    shape: Arc<RankShape>,
    lists: Lists<Entry>,
    /// What the rows' own columns are.
    own: Vec<Own>,
    /// The rows' own columns that are no keys, then the ORDER BY keys that are not among them.
    slots: Slots,
    order: Order,
    /// Whether each key has one row, whose place has the key's number.
    places_are_keys: bool,
    /// How many places in the order the rows of each key have, where rows may share one.
    different: Vec<u64>,
    /// Keys that rows of the batch came to, and places of rows that fell out.
    won: Vec<u32>,
    fallen: Vec<u32>,
    rows: Vec<u32>,
    places: Vec<u32>,
}

/// Where one of the rows' own columns is.
#[derive(Debug, Clone, Copy)]
enum Own {
    /// A key, which its table has.
    Key(usize),
    /// A column of the slots.
    Slot(usize),
}

/// How rows are compared. Columns are those of the slots.
struct Order {
    /// The columns of the ORDER BY keys.
    keys: Vec<(usize, SortOptions)>,
    /// Whether a prefix that is neither least nor greatest says all of the order.
    is_told: bool,
    /// How many columns are the rows' own.
    own_count: usize,
    /// The own columns that may differ between rows of one key and one place in the order.
    ties: Vec<usize>,
}

impl Order {
    fn of(&self, slots: &Slots, new: Option<&NewRows<'_>>, a: Entry, b: Entry) -> Ordering {
        let by_prefix = a.prefix.cmp(&b.prefix);
        if by_prefix.is_ne() || (self.is_told && a.prefix != 0 && a.prefix != u64::MAX) {
            return by_prefix;
        }
        let mut keys = self.keys.iter().map(|&(column, options)| slots.compare(column, row(a), row(b), new, options));
        keys.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The same with ties by all columns.
    fn of_all(&self, slots: &Slots, new: Option<&NewRows<'_>>, a: Entry, b: Entry) -> Ordering {
        let own = |column| slots.compare(column, row(a), row(b), new, SortOptions::default());
        let ties = || self.ties.iter().copied().map(own).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal);
        self.of(slots, new, a, b).then_with(ties)
    }
}

/// Rows at places, and the group of each.
#[derive(Default)]
pub(super) struct Places {
    pub groups: Vec<u32>,
    places: Vec<u32>,
}

impl Places {
    pub fn push(&mut self, group: u32, place: u32) {
        self.groups.push(group);
        self.places.push(place);
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.places.clear();
    }
}

fn row(entry: Entry) -> SlotRow {
    match entry.row & OF_BATCH {
        0 => SlotRow::at(entry.row),
        _ => SlotRow::new(entry.row & !OF_BATCH),
    }
}

impl Best {
    /// Failure: columns that cannot be kept.
    pub fn new(shape: &Arc<RankShape>) -> Result<Self> {
        let (key_count, own_from) = (shape.spec.key_count, shape.own());
        let (mut own, mut types) = (Vec::new(), Vec::new());
        for (column, data_type) in shape.types[own_from..].iter().enumerate() {
            own.push(shape.key_of(column).map_or(Own::Slot(types.len()), Own::Key));
            if let Some(Own::Slot(_)) = own.last() {
                types.push((data_type.clone(), SortOptions::default()));
            }
        }
        let own_count = types.len();
        let (mut keys, mut told) = (Vec::new(), Vec::new());
        for (at, options) in (key_count..own_from).zip(&shape.spec.order) {
            let data_type = &shape.types[at];
            // Floats among the keys have one zero and one NaN; nested values are kept in their order.
            let kept = match shape.spec.program.outputs[at] {
                Operand::Input(column) if is_exact(data_type) => match own[column] {
                    Own::Slot(slot) => Some(slot),
                    Own::Key(_) => None,
                },
                _ => None,
            };
            told.extend(kept);
            keys.push((kept.unwrap_or(types.len()), *options));
            if kept.is_none() {
                types.push((data_type.clone(), *options));
            }
        }
        let is_told = match &shape.types[key_count..own_from] {
            [] => true,
            [one] => tells_values(one),
            _ => false,
        };
        let ties = (0..own_count).filter(|slot| !told.contains(slot)).collect();
        let single = shape.spec.function == RankFunction::RowNumber && shape.spec.last == 1;
        Ok(Best {
            lists: Lists::new(single),
            slots: Slots::new(&types)?,
            own,
            order: Order { keys, is_told, own_count, ties },
            places_are_keys: single && shape.spec.completion != Completion::Changes,
            different: Vec::new(),
            won: Vec::new(),
            fallen: Vec::new(),
            rows: Vec::new(),
            places: Vec::new(),
            shape: shape.clone(),
        })
    }

    pub fn grow(&mut self, count: usize) {
        self.lists.grow(count);
        if self.shape.spec.function != RankFunction::RowNumber {
            self.different.resize(count, 0);
        }
    }

    /// The number of the first ORDER BY key behind which no row is among the best of a key.
    pub fn bound(&self, group: u32) -> u64 {
        self.lists.bound(group)
    }

    /// Adds rows that rank well enough. Those that fall out are there until [`settle`](Self::settle).
    pub fn add(&mut self, wide: &[ArrayRef], groups: &[u32], mut changed: Option<&mut Changed>) -> Result<()> {
        let (key_count, own) = (self.shape.spec.key_count, self.shape.own());
        let order: Vec<ArrayRef> = wide[key_count..own].iter().map(canonical).collect();
        let mut prefixes = Vec::new();
        let has_prefixes = match order.first() {
            Some(first) => first_keys_of(first, self.shape.spec.order[0], &mut prefixes)?,
            None => false,
        };
        let kept = |column: &ArrayRef| KernelColumn::new(Column::Array(column.clone()));
        let apart = order.iter().zip(&self.order.keys).filter(|(_, (column, _))| *column >= self.order.own_count);
        let of_slots = wide[own..].iter().zip(&self.own).filter(|(_, own)| matches!(own, Own::Slot(_)));
        let of_slots = of_slots.map(|(column, _)| column).chain(apart.map(|(column, _)| column));
        let columns: Vec<KernelColumn> = of_slots.map(kept).collect();
        let new = self.slots.incoming(&columns, groups.len())?;
        self.won.clear();
        if self.places_are_keys && changed.is_none() {
            self.add_to_single(&new, groups, has_prefixes.then_some(&prefixes));
            return self.put(&new);
        }
        for (at, &group) in groups.iter().enumerate() {
            let prefix = if has_prefixes { prefixes[at] } else { 0 };
            if prefix > self.lists.bound(group) {
                continue;
            }
            let entry = Entry { prefix, row: at as u32 | OF_BATCH };
            let Some(place) = self.place_of(&new, group, entry) else { continue };
            if let Some(changed) = changed.as_deref_mut() {
                changed.touch(group, |shown| self.ranked(group, shown));
            }
            self.insert(&new, group, place, entry);
        }
        self.put(&new)?;
        if changed.is_none() { self.settle() } else { Ok(()) }
    }

    /// Lets each row take the place of its key's one row where it comes before it. Of equal rows the first one stays.
    fn add_to_single(&mut self, new: &NewRows<'_>, groups: &[u32], prefixes: Option<&[u64]>) {
        let (order, slots) = (&self.order, &self.slots);
        let entries = self.lists.single_mut();
        for (at, &group) in groups.iter().enumerate() {
            let entry = Entry { prefix: prefixes.map_or(0, |prefixes| prefixes[at]), row: at as u32 | OF_BATCH };
            let known = &mut entries[group as usize];
            if entry.prefix > known.prefix {
                continue;
            }
            let is_first = known.row == NONE;
            let wins = entry.prefix < known.prefix || is_first || order.of_all(slots, Some(new), *known, entry).is_gt();
            if wins {
                let is_known = !is_first && known.row & OF_BATCH != 0;
                *known = entry;
                self.won.extend((!is_known).then_some(group));
            }
        }
    }

    /// Where in its list a row belongs; `None`: it does not rank well enough.
    fn place_of(&self, new: &NewRows<'_>, group: u32, entry: Entry) -> Option<usize> {
        let (list, order) = (self.lists.get(group), &self.order);
        let spec = &self.shape.spec;
        let Some(worst) = list.last() else { return (spec.last > 0).then_some(0) };
        if self.is_full(group) {
            // Of equal rows the first one stays.
            let stays = match spec.function {
                RankFunction::RowNumber => order.of_all(&self.slots, Some(new), *worst, entry).is_le(),
                _ => order.of(&self.slots, Some(new), *worst, entry).is_lt(),
            };
            if stays {
                return None;
            }
        }
        Some(list.partition_point(|known| order.of_all(&self.slots, Some(new), *known, entry).is_le()))
    }

    /// Whether a key has as many rows, or places, as are shown.
    fn is_full(&self, group: u32) -> bool {
        let filled = match self.shape.spec.function {
            RankFunction::DenseRank => self.different[group as usize],
            _ => self.lists.get(group).len() as u64,
        };
        filled >= self.shape.spec.last
    }

    /// Puts a row into a list, and drops those that do not rank well enough any more.
    fn insert(&mut self, new: &NewRows<'_>, group: u32, at: usize, entry: Entry) {
        let list = self.lists.get(group);
        let is_known = self.places_are_keys && list.iter().any(|entry| entry.row & OF_BATCH != 0);
        if self.shape.spec.function == RankFunction::RowNumber {
            if list.len() as u64 == self.shape.spec.last {
                self.drop_last(group);
            }
            self.lists.insert(group, at, entry);
        } else {
            self.insert_with_peers(new, group, at, entry);
        }
        self.lists.set_full(group, self.is_full(group));
        if !is_known {
            self.won.push(group);
        }
    }

    /// The same where rows with one place in the order share their rank.
    fn insert_with_peers(&mut self, new: &NewRows<'_>, group: u32, at: usize, entry: Entry) {
        let (function, last) = (self.shape.spec.function, self.shape.spec.last);
        let list = self.lists.get(group);
        let is_peer = |other: &Entry| self.order.of(&self.slots, Some(new), *other, entry).is_eq();
        let has_peer = list[..at].last().is_some_and(is_peer) || list.get(at).is_some_and(is_peer);
        self.lists.insert(group, at, entry);
        self.different[group as usize] += u64::from(!has_peer);
        while let Some(&worst) = self.lists.get(group).last() {
            let is_better = |known: &Entry| self.order.of(&self.slots, Some(new), *known, worst).is_lt();
            let first_peer = self.lists.get(group).partition_point(is_better);
            let is_over = match function {
                RankFunction::DenseRank => self.different[group as usize] > last,
                _ => first_peer as u64 >= last,
            };
            if !is_over {
                break;
            }
            self.different[group as usize] -= 1;
            while self.lists.get(group).len() > first_peer {
                self.drop_last(group);
            }
        }
    }

    fn drop_last(&mut self, group: u32) {
        let dropped = self.lists.pop(group).row;
        if dropped & OF_BATCH == 0 && !self.places_are_keys {
            self.fallen.push(dropped);
        }
    }

    /// Puts the rows of the batch that are in a list at places.
    fn put(&mut self, new: &NewRows<'_>) -> Result<()> {
        self.rows.clear();
        self.places.clear();
        if self.places_are_keys {
            let more = self.lists.key_count() - self.slots.used();
            self.slots.take(more, &mut self.places)?;
            self.places.clone_from(&self.won);
        } else {
            self.won.sort_unstable();
            self.won.dedup();
        }
        for &group in &self.won {
            let of_batch = self.lists.get(group).iter().filter(|entry| entry.row & OF_BATCH != 0);
            self.rows.extend(of_batch.map(|entry| entry.row & !OF_BATCH));
        }
        if !self.places_are_keys {
            self.slots.take(self.rows.len(), &mut self.places)?;
        }
        self.slots.put(new, &self.rows, &self.places);
        let mut places = self.places.iter();
        for &group in &self.won {
            for entry in self.lists.get_mut(group).iter_mut().filter(|entry| entry.row & OF_BATCH != 0) {
                entry.row = *places.next().expect("a place per row");
            }
        }
        Ok(())
    }

    /// Gives the places of rows that fell out back: nobody asks for them any more.
    pub fn settle(&mut self) -> Result<()> {
        for place in self.fallen.drain(..) {
            self.slots.give_back(place);
        }
        if self.slots.free() > FREE_MIN + self.slots.used() {
            let all: Vec<u32> = (0..self.lists.key_count() as u32).collect();
            self.keep(&all)?;
        }
        Ok(())
    }

    /// Keeps the rows of these keys only, ascending, which are numbered anew in this order.
    pub fn keep(&mut self, left: &[u32]) -> Result<()> {
        let mut kept = Best::new(&self.shape)?;
        kept.grow(left.len());
        let mut moved: Vec<Entry> = Vec::new();
        let mut owners: Vec<u32> = Vec::new();
        for (new, &old) in left.iter().enumerate() {
            moved.extend(self.lists.get(old));
            owners.resize(moved.len(), new as u32);
        }
        for (entries, owners) in moved.chunks(ROWS_MAX).zip(owners.chunks(ROWS_MAX)) {
            let from: Vec<u32> = entries.iter().map(|entry| entry.row).collect();
            let places = self.slots.copy_into(&mut kept.slots, &from)?;
            for ((entry, place), &owner) in entries.iter().zip(places).zip(owners) {
                let at = kept.lists.get(owner).len();
                kept.lists.insert(owner, at, Entry { row: place, ..*entry });
            }
        }
        for (new, &old) in (0..).zip(left) {
            if let Some(different) = kept.different.get_mut(new as usize) {
                *different = self.different[old as usize];
            }
            kept.lists.set_full(new, kept.is_full(new));
        }
        *self = kept;
        Ok(())
    }

    /// The rows of a group that are shown, in order.
    pub fn ranked(&self, group: u32, shown: &mut Vec<Ranked>) {
        ranked(&self.shape, &self.order, &self.slots, self.lists.get(group), |rank, entry| {
            shown.push(Ranked { rank, row: Row::At { group, place: entry.row } });
        });
    }

    /// Pushes everything on that is shown: the rows' columns, then the rank.
    pub fn emit(
        &mut self,
        index: &GroupIndex,
        rank: impl Fn(&[u64]) -> Result<ArrayRef>,
        next: &mut Next<'_>,
    ) -> Result<()> {
        self.slots.seal();
        let batch_rows = self.shape.batch_rows.clamp(1, ROWS_MAX);
        let (mut ranks, mut rows) = (Vec::new(), Places::default());
        let push = |rows: &Places, ranks: &[u64], next: &mut Next<'_>| {
            let mut columns = self.columns_by(index, rows, |slot| self.slots.shared(slot, &rows.places))?;
            columns.push(rank(ranks)?);
            next.push(&mut Batch::from_arrays(columns, ranks.len()))
        };
        for group in 0..self.lists.key_count() as u32 {
            let list = self.lists.get(group);
            let mut pushed = Ok(());
            ranked(&self.shape, &self.order, &self.slots, list, |rank, entry| {
                ranks.push(rank);
                rows.push(group, entry.row);
                if ranks.len() == batch_rows && pushed.is_ok() {
                    pushed = push(&rows, &ranks, next);
                    ranks.clear();
                    rows.clear();
                }
            });
            pushed?;
        }
        if ranks.is_empty() { Ok(()) } else { push(&rows, &ranks, next) }
    }

    /// All rows of a group.
    pub fn each(&self, group: u32) -> impl Iterator<Item = u32> {
        self.lists.get(group).iter().map(|entry| entry.row)
    }

    /// Compares rows of one group, ties by all columns.
    pub fn compare(&self, a: u32, b: u32) -> Ordering {
        let entry = |row| Entry { prefix: 0, row };
        self.order.of_all(&self.slots, None, entry(a), entry(b))
    }

    /// The columns of rows.
    pub fn columns(&self, index: &GroupIndex, rows: &Places) -> Result<Vec<ArrayRef>> {
        self.columns_by(index, rows, |slot| self.slots.array(slot, &rows.places))
    }

    fn columns_by(
        &self,
        index: &GroupIndex,
        rows: &Places,
        kept: impl Fn(usize) -> Result<ArrayRef>,
    ) -> Result<Vec<ArrayRef>> {
        let column = |own: &Own| match *own {
            Own::Key(key) => key_of_groups(index, key, &rows.groups),
            Own::Slot(slot) => kept(slot),
        };
        self.own.iter().map(column).collect()
    }

    /// The ORDER BY keys of rows.
    pub fn order_columns(&self, rows: &Places) -> Result<Vec<ArrayRef>> {
        self.order.keys.iter().map(|&(column, _)| self.slots.array(column, &rows.places)).collect()
    }

    pub fn size_bytes(&self) -> usize {
        self.lists.size_bytes() + self.slots.size_bytes() + self.different.capacity() * size_of::<u64>()
    }
}

/// Calls `show` with the rows of a list that are shown, and their ranks.
fn ranked(shape: &RankShape, order: &Order, slots: &Slots, list: &[Entry], mut show: impl FnMut(u64, &Entry)) {
    let spec = &shape.spec;
    if spec.function == RankFunction::RowNumber {
        let first = (spec.first - 1).min(list.len() as u64) as usize;
        list[first..].iter().enumerate().for_each(|(at, entry)| show((first + at + 1) as u64, entry));
        return;
    }
    let mut ranking = Ranking::new(shape);
    for (at, entry) in list.iter().enumerate() {
        let is_behind = at == 0 || order.of(slots, None, list[at - 1], *entry).is_ne();
        if !ranking.add(is_behind, |rank| show(rank, entry)) {
            return;
        }
    }
}
