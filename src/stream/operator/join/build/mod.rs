//! The side of a hash join that is read first: its rows, and which of them have a key.
//!
//! ```text
//! key ─▶ group number ─▶ rows of the group      no list at all while every key is new: the group's number is the row's
//!        GroupIndex       starts, rows
//! ```

mod saved; // in a snapshot

use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use smallvec::SmallVec;

pub(super) use saved::{KEYS, NULL_KEY, ROWS};

use super::perfect::{Perfect, append_integers, integers};
use crate::batch::{Argument, Batch, Column, KernelColumn, Kind};
use crate::error::Result;
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{JoinSide, JoinSpec, has_keys};
use crate::state::{GroupIndex, NO_GROUP, StoredRows};

/// Groups whose keys are looked at together.
const CHUNK: usize = 8_192;

/// The rows of the build side and a table of their keys.
pub(super) struct Build {
    key_count: usize,
    nulls_match: bool,
    index: GroupIndex,
    pub(super) rows: StoredRows,
    /// The columns of the build side that are stored.
    stored: Vec<usize>,
    /// Whether pairs are asked for; else only which keys there are.
    keeps_rows: bool,
    /// Of each group, how many rows have not answered for one of the other side; empty unless each answers once.
    left_over: Vec<u32>,
    each_once: bool,
    /// Whether rows are kept that can match nothing.
    keeps_null_keys: bool,
    /// The values of a single key of whole numbers, until the side has ended: only then it is known how they are found best.
    values: Option<Vec<i64>>,
    /// Rows among them that have none.
    rows_aside: Vec<u32>,
    /// The group of each row, until the side has ended.
    row_groups: Vec<u32>,
    /// Whether each row has been the first of its group.
    unique: bool,
    /// Where the rows of each group start in `chained`, and one more; empty while `unique`.
    starts: Vec<u32>,
    chained: Vec<u32>,
    pub(super) has_null_key: bool,
    /// Rows that came, kept or not.
    pub(super) seen: u64,
    groups: Vec<u32>,
    /// How keys are found once the side has ended, where they lie close enough together.
    perfect: Option<Perfect>,
}

/// Rows of one group.
pub(super) enum Rows<'a> {
    One(u32),
    Chain(&'a [u32]),
}

impl Build {
    /// Keeps `stored` columns of the build side, whose types these are, when `keeps_rows`.
    pub(super) fn new(
        spec: &JoinSpec,
        side: JoinSide,
        (stored, types): (Vec<usize>, Vec<DataType>),
        (keeps_rows, keeps_null_keys): (bool, bool),
        seed: u64,
        context: KernelContext,
    ) -> Self {
        let keys = spec.keys(side);
        let is_single = keys.output_types.len() == 1 && has_keys(Kind::of(&keys.output_types[0]));
        Build {
            values: (is_single && !spec.nulls_match && !spec.each_once).then(Vec::new),
            rows_aside: Vec::new(),
            key_count: keys.outputs.len(),
            index: GroupIndex::new(keys.output_types.clone(), seed, context.level),
            nulls_match: spec.nulls_match,
            rows: StoredRows::new(&types),
            stored,
            keeps_rows,
            keeps_null_keys,
            left_over: Vec::new(),
            each_once: spec.each_once,
            row_groups: Vec::new(),
            unique: true,
            starts: Vec::new(),
            chained: Vec::new(),
            has_null_key: false,
            seen: 0,
            groups: Vec::new(),
            perfect: None,
        }
    }

    /// Takes a batch in; `keys` computes the keys of its rows.
    pub(super) fn push(&mut self, keys: &mut Evaluator, batch: &mut Batch) -> Result<()> {
        self.seen += batch.selected_rows() as u64;
        keys.run(batch)?;
        if !self.nulls_match {
            let nulls = with_null_key(&arguments(keys, batch, self.key_count), keys.rows());
            if let Some(nulls) = nulls
                && !self.set_null_keys_aside(keys, batch, &nulls)?
            {
                return Ok(());
            }
        }
        self.add_keys(&arguments(keys, batch, self.key_count), keys.rows(), self.each_once)?;
        if self.keeps_rows { self.rows.append(batch, &self.stored) } else { Ok(()) }
    }

    /// Takes the keys of rows in, which come next to `rows` where these are kept. `counts`: whether each of them may answer
    /// for one row of the other side.
    fn add_keys(&mut self, keys: &[Argument<'_>], rows: usize, counts: bool) -> Result<()> {
        if let Some(values) = &mut self.values {
            return append_integers(&keys[0], rows, values);
        }
        self.index.lookup(keys, rows, &mut self.groups)?;
        if self.each_once {
            self.left_over.resize(self.index.len(), 0);
        }
        if counts {
            self.groups.iter().for_each(|group| self.left_over[*group as usize] += 1);
        }
        if self.keeps_rows {
            let first = self.rows.len() as u32;
            self.unique &= self.groups.iter().enumerate().all(|(at, &group)| group == first + at as u32);
            self.row_groups.extend_from_slice(&self.groups);
        }
        Ok(())
    }

    /// Deselects the rows with a NULL key, which match nothing; whether others are left.
    fn set_null_keys_aside(&mut self, keys: &mut Evaluator, batch: &mut Batch, nulls: &[bool]) -> Result<bool> {
        self.has_null_key = true;
        let rows = (0..nulls.len() as u32).map(|row| row as u16);
        let (with_null, without): (Vec<u16>, Vec<u16>) = rows.partition(|row| nulls[*row as usize]);
        if self.keeps_null_keys {
            let all = batch.selection.clone();
            batch.selection.narrow(&with_null);
            let before = self.rows.len() as u32;
            self.rows.append(batch, &self.stored)?;
            self.set_rows_aside(before, self.rows.len() as u32);
            batch.selection = all;
        }
        batch.selection.narrow(&without);
        keys.run(batch)?;
        Ok(!without.is_empty())
    }

    /// Notes that these rows have no key.
    fn set_rows_aside(&mut self, from: u32, to: u32) {
        match self.values {
            Some(_) => self.rows_aside.extend(from..to),
            None => self.row_groups.resize(to as usize, NO_GROUP),
        }
        self.unique = false;
    }

    /// The values of a key, each at least once, where they are whole numbers. Comes before [`Build::seal`].
    pub(super) fn key_values(&self, key: usize) -> Result<Vec<i64>> {
        if let Some(values) = &self.values {
            return Ok(values.clone());
        }
        let count = self.index.len() as u32;
        let mut values = Vec::with_capacity(count as usize);
        let (mut groups, mut column) = (Vec::new(), Column::default());
        for from in (0..count).step_by(CHUNK) {
            groups.clear();
            groups.extend(from..count.min(from + CHUNK as u32));
            self.index.keys(key, &groups, &mut column)?;
            let column = KernelColumn::new(std::mem::take(&mut column));
            append_integers(&column.argument(groups.len()), groups.len(), &mut values)?;
        }
        Ok(values)
    }

    /// Ends the adding.
    pub(super) fn seal(&mut self) -> Result<()> {
        self.rows.seal()?;
        let groups = match self.values.take() {
            Some(values) => self.number_values(&values)?,
            None => self.index.len(),
        };
        let row_groups = std::mem::take(&mut self.row_groups);
        if !self.unique && self.keeps_rows {
            self.chain(&row_groups, groups);
        }
        Ok(())
    }

    /// Gives the values of a single key their groups, and their rows; how many groups there are.
    fn number_values(&mut self, values: &[i64]) -> Result<usize> {
        let aside = std::mem::take(&mut self.rows_aside);
        let Some(perfect) = Perfect::new(values) else {
            let numbers = self.look_up(values)?;
            self.unique = aside.is_empty() && numbers.iter().enumerate().all(|(row, group)| *group == row as u32);
            self.row_groups = if self.unique { Vec::new() } else { with_rows_aside(numbers, &aside) };
            return Ok(self.index.len());
        };
        let count = perfect.len();
        self.unique = aside.is_empty() && count == values.len();
        let perfect = self.perfect.insert(perfect);
        if self.unique {
            perfect.number_by_row(values);
        } else if self.keeps_rows {
            let numbers = values.iter().map(|&value| perfect.rank_of(value).unwrap_or(NO_GROUP)).collect();
            self.row_groups = with_rows_aside(numbers, &aside);
        }
        perfect.finish();
        Ok(count)
    }

    /// Puts values that lie too far apart into the index; the group of each.
    fn look_up(&mut self, values: &[i64]) -> Result<Vec<u32>> {
        let kind = self.index.key_types().first().map_or(Kind::I64, Kind::of);
        let mut numbers = Vec::with_capacity(values.len());
        for values in values.chunks(CHUNK) {
            let column = Column::Flat(integers(kind, values));
            self.index.lookup(&[Argument::new(&column, None, values.len())], values.len(), &mut self.groups)?;
            numbers.extend_from_slice(&self.groups);
        }
        Ok(numbers)
    }

    /// Counting sort: how many rows each group has, where they start, then each row to its place.
    fn chain(&mut self, row_groups: &[u32], groups: usize) {
        let mut starts = vec![0u32; groups + 1];
        row_groups.iter().filter(|group| **group != NO_GROUP).for_each(|group| starts[*group as usize + 1] += 1);
        for group in 1..starts.len() {
            starts[group] += starts[group - 1];
        }
        let mut next = starts.clone();
        let mut chained = vec![0u32; *starts.last().expect("one more than groups") as usize];
        for (row, &group) in row_groups.iter().enumerate().filter(|(_, group)| **group != NO_GROUP) {
            let at = &mut next[group as usize];
            chained[*at as usize] = row as u32;
            *at += 1;
        }
        (self.starts, self.chained) = (starts, chained);
    }

    /// The group of each row's key, [`NO_GROUP`] where no row of this side has it.
    pub(super) fn find(&mut self, keys: &[Argument<'_>], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        if self.nulls_match {
            return self.index.find(keys, rows, groups);
        }
        if let Some(perfect) = &self.perfect {
            return perfect.find(&keys[0], rows, groups);
        }
        if keys.iter().any(Argument::constant_is_null) {
            groups.clear();
            groups.resize(rows, NO_GROUP);
            return Ok(());
        }
        let Some(nulls) = with_null_key(keys, rows) else { return self.index.find(keys, rows, groups) };
        if keys.iter().all(is_fixed) {
            // A NULL matches nothing, whatever value lies under it: the table need not make room for nulls.
            let plain = keys.iter().map(|key| Argument::new(key.column(), None, key.rows()));
            self.index.find(&plain.collect::<SmallVec<[Argument<'_>; 4]>>(), rows, groups)?;
        } else {
            self.index.find(keys, rows, groups)?;
        }
        groups.iter_mut().zip(nulls).filter(|(_, null)| *null).for_each(|(group, _)| *group = NO_GROUP);
        Ok(())
    }

    /// Lets a row of each group answer for one of these rows, as long as there are some; for the others there is no group.
    pub(super) fn answer_once(&mut self, groups: &mut [u32]) {
        for group in groups.iter_mut().filter(|group| **group != NO_GROUP) {
            match &mut self.left_over[*group as usize] {
                0 => *group = NO_GROUP,
                left => *left -= 1,
            }
        }
    }

    /// The rows of a group, from its `from`th on.
    #[inline]
    pub(super) fn rows_of(&self, group: u32, from: usize) -> Rows<'_> {
        if self.starts.is_empty() {
            return if from == 0 { Rows::One(group) } else { Rows::Chain(&[]) };
        }
        let (start, end) = (self.starts[group as usize] as usize, self.starts[group as usize + 1] as usize);
        Rows::Chain(&self.chained[(start + from).min(end)..end])
    }

    /// Whether each key has one row, of the same number as its group.
    pub(super) fn is_unique(&self) -> bool {
        self.unique && self.keeps_rows
    }

    /// How keys are found, for EXPLAIN ANALYZE.
    pub(super) fn mode(&self) -> String {
        let mode = if self.perfect.is_some() { "perfect" } else { self.index.mode() };
        format!("table {mode}{}", if self.is_unique() { ", unique" } else { "" })
    }

    /// Whether no row came.
    pub(super) fn is_empty(&self) -> bool {
        self.seen == 0
    }

    pub(super) fn size_bytes(&self) -> usize {
        let numbers = [&self.row_groups, &self.starts, &self.chained, &self.groups, &self.left_over];
        let values = self.values.as_ref().map_or(0, |values| values.capacity() * 8);
        values
            + self.index.size_bytes()
            + self.perfect.as_ref().map_or(0, Perfect::size_bytes)
            + self.rows.size_bytes()
            + numbers.map(|list| list.capacity() * 4).iter().sum::<usize>()
    }
}

/// The groups of rows with those between them that have none.
fn with_rows_aside(groups: Vec<u32>, aside: &[u32]) -> Vec<u32> {
    if aside.is_empty() {
        return groups;
    }
    let mut all = vec![0; groups.len() + aside.len()];
    aside.iter().for_each(|&row| all[row as usize] = NO_GROUP);
    all.iter_mut().filter(|group| **group != NO_GROUP).zip(groups).for_each(|(to, group)| *to = group);
    all
}

/// The keys of the last run over `batch`.
pub(super) fn arguments<'a>(keys: &'a Evaluator, batch: &'a Batch, count: usize) -> SmallVec<[Argument<'a>; 4]> {
    (0..count).map(|key| keys.output(batch, key)).collect()
}

/// Which rows have a NULL among their keys; `None` when none has.
pub(super) fn with_null_key(keys: &[Argument<'_>], rows: usize) -> Option<Vec<bool>> {
    if keys.iter().any(Argument::constant_is_null) {
        return Some(vec![true; rows]);
    }
    let validities: SmallVec<[&[u64]; 4]> = keys.iter().filter_map(|key| key.validity()).collect();
    if validities.iter().all(|validity| bitmap::all_set(validity, rows)) {
        return None;
    }
    Some((0..rows).map(|row| validities.iter().any(|validity| !bitmap::get(validity, row))).collect())
}

fn is_fixed(key: &Argument<'_>) -> bool {
    key.is_constant() || key.strings().is_err()
}
