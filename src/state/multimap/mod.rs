//! Rows by key, several per key: what a join on streams remembers of one side.
//!
//! ```text
//! heads    bucket ─▶ newest row             a row's number is its block's number and its place in there
//! block    columns │ links │ counts         4,096 rows; a link is the key's hash and the row before in the bucket
//! ```
//! Invariants  rows are appended, so chains go from newer to older numbers: a number below the first block ends its chain,
//!             and a block at the front is dropped without touching a link. Rows that are gone are taken out of their
//!             chains by whoever walks past them; when more than half are gone, all is built anew, and numbers change.
//! Owns        its rows: a row costs its values, 8 bytes of link and 4 to 8 of bucket; 4 more where matches are counted,
//!             12 more where rows can be taken back.

mod block; //  rows in columns, some of them gone
mod chains; // buckets of rows
mod hash; //   keys to numbers
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use arrow::datatypes::DataType;
use millstream_kernels::level::Level;

use super::column::{self, ColumnType, Incoming};
use crate::batch::{Argument, Column, KernelColumn};
use crate::error::{Error, Result};
use block::{BLOCK_BITS, BLOCK_ROWS, Block};
use chains::{Chains, NONE};

/// Fewer rows that are gone than this are left where they are.
const GONE_ROWS_MIN: usize = 2 * BLOCK_ROWS;

/// What a [`Multimap`] holds and what it must be able to do.
#[derive(Debug, Clone)]
pub struct MultimapShape {
    pub types: Vec<DataType>,
    /// The columns that are the key.
    pub keys: Vec<usize>,
    /// The column whose ticks say when a row expires; its values are never null.
    pub time: Option<usize>,
    /// Whether a count is kept beside each row.
    pub counted: bool,
    /// Whether rows can be taken back.
    pub removable: bool,
}

/// Rows by key.
#[derive(Debug)]
pub struct Multimap {
    shape: MultimapShape,
    columns: Vec<ColumnType>,
    level: Level,
    seed: u64,
    blocks: VecDeque<Block>,
    /// Number of the first of `blocks`.
    first: u32,
    by_key: Chains,
    /// Rows by all their columns, where they can be taken back.
    by_row: Option<Chains>,
    live: usize,
    /// Rows that are gone and still take room.
    gone: usize,
    /// No row is older.
    lowest: i64,
    /// No row came earlier, where they are stamped.
    first_stamp: i64,
    /// Bytes of the blocks that are full.
    full_bytes: usize,
    /// The old numbers of all rows in the order of their new ones, where the last call has numbered them anew.
    moved: Option<Vec<u32>>,
    scratch: Vec<u64>,
    row_hashes: Vec<u64>,
}

/// Pairs of a row of a batch and a row that is held.
#[derive(Debug, Default)]
pub struct Pairs {
    /// Positions among the selected rows of the batch.
    pub asked: Vec<u16>,
    pub held: Vec<u32>,
}

/// The ticks that a held row may have, by position in the batch; both ends belong to it.
#[derive(Debug, Clone, Copy)]
pub struct TimeRange<'a> {
    pub low: &'a [i64],
    pub high: &'a [i64],
}

/// Rows that ask for those with equal keys.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// A key per key column; each covers the batch or is constant.
    pub keys: &'a [Argument<'a>],
    /// Their hashes, over the batch.
    pub hashes: &'a [u64],
    /// Positions of the rows that ask.
    pub rows: &'a [u16],
    /// What the held rows' times may be.
    pub range: Option<TimeRange<'a>>,
}

/// Where a search goes on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walk {
    /// Index in the list of rows that are asked about.
    row: usize,
    /// The next row of its chain, and the one before.
    chain: Option<(u32, u32)>,
}

/// Hashes key columns, one number per row, the same for all maps with this seed.
///
/// Shapes: each column covers `rows` or is constant.
pub fn hash_keys(
    level: Level,
    seed: u64,
    keys: &[Argument<'_>],
    types: &[DataType],
    rows: usize,
    scratch: &mut Vec<u64>,
    out: &mut Vec<u64>,
) -> Result<()> {
    hash::columns(level, seed, keys.iter().zip(types), rows, scratch, out)
}

impl Multimap {
    /// An empty map.
    ///
    /// Failure: a type that has no row format.
    pub fn new(shape: MultimapShape, seed: u64, level: Level) -> Result<Self> {
        let columns = shape.types.iter().cloned().map(ColumnType::new).collect::<Result<_>>()?;
        Ok(Multimap {
            columns,
            level,
            seed,
            blocks: VecDeque::new(),
            first: 0,
            by_key: Chains::default(),
            by_row: shape.removable.then(Chains::default),
            live: 0,
            gone: 0,
            lowest: i64::MAX,
            first_stamp: i64::MAX,
            full_bytes: 0,
            moved: None,
            scratch: Vec::new(),
            row_hashes: Vec::new(),
            shape,
        })
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.live
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    pub fn shape(&self) -> &MultimapShape {
        &self.shape
    }

    /// Takes the rows at `rows` of a batch's columns, with their keys' hashes and, where counted, their counts.
    ///
    /// Shapes: `hashes` covers the batch; `counts` covers `rows`.
    pub fn append(&mut self, columns: &[Argument<'_>], hashes: &[u64], rows: &[u16], counts: &[u32]) -> Result<()> {
        self.append_stamped(columns, hashes, rows, counts, &[])
    }

    /// The same, of rows that will be forgotten by when they came.
    ///
    /// Shapes: `stamps` covers `rows`, and none is before those of rows that came earlier.
    pub fn append_stamped(
        &mut self,
        columns: &[Argument<'_>],
        hashes: &[u64],
        rows: &[u16],
        counts: &[u32],
        stamps: &[i64],
    ) -> Result<()> {
        let incoming = self.incoming(columns)?;
        if let Some(stamp) = stamps.first() {
            self.first_stamp = self.first_stamp.min(*stamp);
        }
        let mut row_hashes = std::mem::take(&mut self.row_hashes);
        if self.by_row.is_some() {
            self.hash_rows(columns, hashes.len(), &mut row_hashes)?;
        }
        let mut from = 0;
        while from < rows.len() {
            let at = self.open_block()?;
            let to = rows.len().min(from + self.blocks[at].room());
            let number = self.first + at as u32;
            let piece = &rows[from..to];
            self.blocks[at].append(&incoming, piece, counts.get(from..to).unwrap_or_default(), self.shape.time);
            self.blocks[at].stamps.extend_from_slice(stamps.get(from..to).unwrap_or_default());
            self.lowest = self.lowest.min(self.blocks[at].lowest);
            self.live += piece.len();
            self.link(at, number, piece, hashes, &row_hashes);
            if self.blocks[at].room() == 0 {
                self.blocks[at].close(self.shape.time);
                self.blocks[at].recount(&mut self.full_bytes);
            }
            from = to;
        }
        self.row_hashes = row_hashes;
        Ok(())
    }

    fn incoming<'a>(&self, columns: &[Argument<'a>]) -> Result<Vec<Incoming<'a>>> {
        assert_eq!(columns.len(), self.columns.len(), "a column per type");
        self.columns.iter().zip(columns).map(|(column, argument)| column.incoming(argument)).collect()
    }

    fn hash_rows(&mut self, columns: &[Argument<'_>], rows: usize, out: &mut Vec<u64>) -> Result<()> {
        hash::columns(self.level, self.seed, columns.iter().zip(&self.shape.types), rows, &mut self.scratch, out)
    }

    /// Index of the block that takes the next row.
    fn open_block(&mut self) -> Result<usize> {
        if self.blocks.back().is_none_or(|block| block.room() == 0) {
            if (self.first as usize + self.blocks.len() + 1) << BLOCK_BITS > NONE as usize {
                // Numbers have run out: the rows that are left get new ones.
                self.rebuild()?;
                if (self.blocks.len() + 1) << BLOCK_BITS > NONE as usize {
                    return Err(Error::user("a join holds more than four billion rows; bound it by time"));
                }
                return self.open_block();
            }
            self.blocks.push_back(Block::new(&self.columns, self.shape.removable));
        }
        Ok(self.blocks.len() - 1)
    }

    /// Puts the last rows of a block into their chains.
    fn link(&mut self, at: usize, number: u32, piece: &[u16], hashes: &[u64], row_hashes: &[u64]) {
        let held = self.live + self.gone;
        if self.by_key.is_full(held) {
            self.by_key.resize(held);
            self.by_key.relink(&mut self.blocks, self.first, |block| &mut block.links);
        }
        if let Some(by_row) = self.by_row.as_mut().filter(|by_row| by_row.is_full(held)) {
            by_row.resize(held);
            by_row.relink(&mut self.blocks, self.first, |block| &mut block.row_links);
        }
        let block = &mut self.blocks[at];
        let start = block.rows - piece.len();
        for (i, &row) in piece.iter().enumerate() {
            let id = (number << BLOCK_BITS) + (start + i) as u32;
            block.links.push(self.by_key.push(hashes[row as usize], id));
            if let Some(by_row) = &mut self.by_row {
                block.row_links.push(by_row.push(row_hashes[row as usize], id));
            }
        }
    }

    /// Lists the held rows with keys equal to those asked for, until there are `limit` pairs, from `walk` on; whether all
    /// are listed. Nulls are equal.
    pub fn find(&mut self, asked: &Asked<'_>, walk: &mut Walk, limit: usize, pairs: &mut Pairs) -> Result<bool> {
        let Asked { keys, hashes, rows, range } = *asked;
        assert_eq!(keys.len(), self.shape.keys.len(), "a key per key column");
        if self.blocks.is_empty() {
            return Ok(true);
        }
        let keys = self.shape.keys.iter().zip(keys);
        let keys: Vec<Incoming<'_>> =
            keys.map(|(&column, argument)| self.columns[column].incoming(argument)).collect::<Result<_>>()?;
        while walk.row < rows.len() {
            let row = rows[walk.row] as usize;
            let (mut before, mut at) = walk.chain.take().unwrap_or((NONE, self.by_key.head(hashes[row])));
            while let Some((block, place)) = self.locate(at) {
                let (link, is_gone) = (self.blocks[block].links[place], self.blocks[block].is_gone(place));
                if is_gone {
                    self.skip(before, link.next, hashes[row]);
                    at = link.next;
                    continue;
                }
                if link.is_of(hashes[row]) && self.is_match(block, place, &keys, row, range) {
                    pairs.asked.push(row as u16);
                    pairs.held.push(at);
                    if pairs.held.len() >= limit {
                        walk.chain = Some((at, link.next));
                        return Ok(false);
                    }
                }
                before = at;
                at = link.next;
            }
            walk.row += 1;
        }
        Ok(true)
    }

    /// Where a row is; `None` at the end of a chain.
    #[inline]
    fn locate(&self, id: u32) -> Option<(usize, usize)> {
        let number = id >> BLOCK_BITS;
        (id != NONE && number >= self.first).then(|| ((number - self.first) as usize, id as usize & (BLOCK_ROWS - 1)))
    }

    fn place(&self, id: u32) -> (usize, usize) {
        self.locate(id).expect("the row is held")
    }

    /// The numbers of the rows that were appended last, in their order.
    pub fn last_ids(&self, count: usize, out: &mut Vec<u32>) {
        out.clear();
        for (index, block) in self.blocks.iter().enumerate().rev() {
            let base = (self.first + index as u32) << BLOCK_BITS;
            let rows = block.rows.min(count - out.len()) as u32;
            out.extend((0..rows).map(|back| base + block.rows as u32 - 1 - back));
            if out.len() == count {
                break;
            }
        }
        out.reverse();
    }

    /// Lets rows go by their numbers; they can be read until [`release`](Self::release).
    pub fn forget(&mut self, ids: &[u32]) {
        for &id in ids {
            let (block, place) = self.place(id);
            self.mark_gone(block, place);
        }
    }

    /// Where the last call has numbered rows anew, in a map without keys: the old numbers, ascending, at the places of the
    /// new ones.
    pub fn take_moved(&mut self) -> Option<Vec<u32>> {
        self.moved.take()
    }

    /// Takes what lies between two rows of a chain out of it.
    fn skip(&mut self, before: u32, after: u32, hash: u64) {
        match self.locate(before) {
            None => self.by_key.set_head(hash, after),
            Some((block, place)) => self.blocks[block].links[place].next = after,
        }
    }

    #[inline]
    fn is_match(
        &self,
        block: usize,
        place: usize,
        keys: &[Incoming<'_>],
        row: usize,
        range: Option<TimeRange<'_>>,
    ) -> bool {
        let block = &self.blocks[block];
        if let (Some(range), Some(time)) = (range, self.shape.time) {
            let tick = block.columns[time].ticks()[place];
            if tick < range.low[row] || tick > range.high[row] {
                return false;
            }
        }
        self.shape.keys.iter().zip(keys).all(|(&column, key)| block.columns[column].equals(place, key, row))
    }

    /// Takes a row back for each of `rows`: the number of one that was equal, in `out`. They are gone, and can be read
    /// until [`release`](Self::release).
    ///
    /// Failure: there is none.
    pub fn remove(
        &mut self,
        columns: &[Argument<'_>],
        batch_rows: usize,
        rows: &[u16],
        out: &mut Vec<u32>,
    ) -> Result<()> {
        let mut missing = false;
        self.remove_known(columns, batch_rows, rows, out, |_, found| missing |= !found)?;
        match missing {
            true => Err(Error::user("a join was told to take back a row that it was not given")),
            false => Ok(()),
        }
    }

    /// The same, where rows may have been forgotten: `tell` is told of each whether there was one.
    pub fn remove_known(
        &mut self,
        columns: &[Argument<'_>],
        batch_rows: usize,
        rows: &[u16],
        out: &mut Vec<u32>,
        mut tell: impl FnMut(u16, bool),
    ) -> Result<()> {
        out.clear();
        let incoming = self.incoming(columns)?;
        let mut row_hashes = std::mem::take(&mut self.row_hashes);
        self.hash_rows(columns, batch_rows, &mut row_hashes)?;
        for &row in rows {
            let found = self.take(&incoming, row as usize, row_hashes[row as usize]);
            tell(row, found.is_some());
            out.extend(found);
        }
        self.row_hashes = row_hashes;
        Ok(())
    }

    fn take(&mut self, incoming: &[Incoming<'_>], row: usize, hash: u64) -> Option<u32> {
        let by_row = self.by_row.as_ref().expect("only maps of rows that can be taken back are asked");
        let (mut before, mut at) = (NONE, by_row.head(hash));
        while let Some((index, place)) = self.locate(at) {
            let block = &self.blocks[index];
            let link = block.row_links[place];
            let equal = || block.columns.iter().zip(incoming).all(|(stored, value)| stored.equals(place, value, row));
            if !block.is_gone(place) && link.is_of(hash) && equal() {
                match self.locate(before) {
                    None => self.by_row.as_mut().expect("asked above").set_head(hash, link.next),
                    Some((block, place)) => self.blocks[block].row_links[place].next = link.next,
                }
                self.mark_gone(index, place);
                return Some(at);
            }
            before = at;
            at = link.next;
        }
        None
    }

    fn mark_gone(&mut self, block: usize, place: usize) {
        self.blocks[block].mark_gone(place);
        self.live -= 1;
        self.gone += 1;
    }

    /// The count beside a row.
    pub fn count(&self, id: u32) -> u32 {
        let (block, place) = self.place(id);
        self.blocks[block].counts[place]
    }

    /// Changes the count beside a row; before and after.
    pub fn add(&mut self, id: u32, change: i32) -> (u32, u32) {
        let (block, place) = self.place(id);
        let count = &mut self.blocks[block].counts[place];
        let before = *count;
        *count = before.wrapping_add_signed(change);
        debug_assert!(*count as i32 >= 0, "no more matches are taken back than were given");
        (before, *count)
    }

    /// The ticks of a row.
    pub fn tick(&self, id: u32) -> i64 {
        let (block, place) = self.place(id);
        self.blocks[block].columns[self.shape.time.expect("the rows have a time")].ticks()[place]
    }

    /// Lets rows before `threshold` go. With `unmatched`, all of them, and those whose count is 0 are listed there, to be
    /// read until [`release`](Self::release); without, rows may stay a while.
    pub fn expire(&mut self, threshold: i64, mut unmatched: Option<&mut Vec<u32>>) {
        if self.lowest >= threshold {
            return;
        }
        let time = self.shape.time.expect("rows expire by their time");
        let mut lowest = i64::MAX;
        for (index, block) in self.blocks.iter_mut().enumerate() {
            if block.live > 0 && block.lowest < threshold && (unmatched.is_some() || block.is_worth_expiring(threshold))
            {
                let before = block.live;
                let base = (self.first + index as u32) << BLOCK_BITS;
                block.expire(threshold, time, |place, count| {
                    if let Some(unmatched) = unmatched.as_deref_mut().filter(|_| count == 0) {
                        unmatched.push(base + place as u32);
                    }
                });
                self.live -= before - block.live;
                self.gone += before - block.live;
            }
            if block.live > 0 {
                lowest = lowest.min(block.lowest);
            }
        }
        self.lowest = lowest;
    }

    /// Lets rows go that came before `threshold`; those whose count is 0 are listed in `unmatched`, to be read until
    /// [`release`](Self::release).
    pub fn forget_before(&mut self, threshold: i64, unmatched: &mut Vec<u32>) {
        if self.first_stamp >= threshold {
            return;
        }
        let mut first_stamp = None;
        for (index, block) in self.blocks.iter_mut().enumerate() {
            let before = block.live;
            let base = (self.first + index as u32) << BLOCK_BITS;
            first_stamp = block.forget_before(threshold, |place, count| {
                if count == 0 {
                    unmatched.push(base + place as u32);
                }
            });
            self.live -= before - block.live;
            self.gone += before - block.live;
            if first_stamp.is_some() {
                break;
            }
        }
        self.first_stamp = first_stamp.unwrap_or(i64::MAX);
    }

    /// When the first of its rows came, or one before it; `None`: there is none, or rows are not stamped.
    pub fn first_stamp(&self) -> Option<i64> {
        Some(self.first_stamp).filter(|stamp| *stamp != i64::MAX)
    }

    /// When a row came.
    pub fn stamp(&self, id: u32) -> i64 {
        let (block, place) = self.place(id);
        self.blocks[block].stamps[place]
    }

    /// Gives back the memory of rows that are gone. Numbers of rows may change.
    pub fn release(&mut self) -> Result<()> {
        if self.gone == 0 {
            return Ok(());
        }
        for block in &mut self.blocks {
            if block.live == 0 && block.rows > 0 && !block.is_emptied {
                block.empty();
                block.recount(&mut self.full_bytes);
            }
        }
        while self.blocks.front().is_some_and(|block| block.is_emptied) {
            let block = self.blocks.pop_front().expect("there is one");
            self.gone -= block.rows;
            self.full_bytes -= block.counted_bytes;
            self.first += 1;
        }
        if self.gone > self.live.max(GONE_ROWS_MIN) || self.by_key.is_wide(self.live) {
            self.rebuild()?;
        }
        Ok(())
    }

    /// Builds all anew without the rows that are gone.
    fn rebuild(&mut self) -> Result<()> {
        let mut new = Multimap::new(self.shape.clone(), self.seed, self.level)?;
        new.by_key.resize(self.live);
        let mut columns: Vec<KernelColumn> = Vec::new();
        columns.resize_with(self.columns.len(), KernelColumn::default);
        let (mut hashes, mut counts, mut stamps) = (Vec::new(), Vec::new(), Vec::new());
        let mut moved = Vec::with_capacity(self.live);
        for ids in self.ids(BLOCK_ROWS) {
            moved.extend_from_slice(&ids);
            for (index, column) in columns.iter_mut().enumerate() {
                self.gather(index, &ids, &mut column.column)?;
                column.settle();
            }
            hashes.clear();
            counts.clear();
            stamps.clear();
            for &id in &ids {
                let (block, place) = self.place(id);
                hashes.push(self.blocks[block].links[place].hash());
                counts.extend(self.blocks[block].counts.get(place));
                stamps.extend(self.blocks[block].stamps.get(place));
            }
            let arguments: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(ids.len())).collect();
            let rows: Vec<u16> = (0..ids.len() as u16).collect();
            new.append_stamped(&arguments, &hashes, &rows, &counts, &stamps)?;
        }
        // Rows without a key are found by their numbers alone.
        new.moved = self.shape.keys.is_empty().then_some(moved);
        *self = new;
        Ok(())
    }

    /// The numbers of all rows, oldest first, in lists of at most `most`.
    pub fn ids(&self, most: usize) -> Vec<Vec<u32>> {
        let mut lists: Vec<Vec<u32>> = Vec::new();
        for (index, block) in self.blocks.iter().enumerate() {
            let base = (self.first + index as u32) << BLOCK_BITS;
            for place in (0..block.rows).filter(|&place| !block.is_gone(place)) {
                match lists.last_mut().filter(|list| list.len() < most) {
                    Some(list) => list.push(base + place as u32),
                    None => lists.push(vec![base + place as u32]),
                }
            }
        }
        lists
    }

    /// Writes column `column` of the rows `ids` into `out`, one each.
    pub fn gather(&self, column: usize, ids: &[u32], out: &mut Column) -> Result<()> {
        let of = |id: u32| {
            let (block, place) = self.place(id);
            (&self.blocks[block].columns[column], place)
        };
        column::gather(&self.columns[column], ids, of, out)
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let open = self.blocks.back().filter(|block| block.room() > 0 && !block.is_emptied);
        self.full_bytes
            + open.map_or(0, Block::size_bytes)
            + self.by_key.size_bytes()
            + self.by_row.as_ref().map_or(0, Chains::size_bytes)
            + (self.scratch.capacity() + self.row_hashes.capacity()) * 8
    }
}
