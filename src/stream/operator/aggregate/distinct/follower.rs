//! A DISTINCT call behind one without FILTER that has the same arguments: it looks no pair up, and keeps a bit for each
//! that it has seen.
//!
//! ```text
//! count(DISTINCT x), count(DISTINCT x) FILTER (WHERE a), ...     one table of pairs, a bitmap for each filter
//! ```
//! Invariants  the call that owns the pairs is asked before its followers, for every batch and every table that is merged.

use std::any::Any;

use arrow::array::ArrayRef;
use millstream_kernels::bitmap;

use super::pairs::Pairs;
use super::{feed, lent, lists, saved_rows, select};
use crate::batch::Column;
use crate::error::{Error, Result};
use crate::function::{AggregateStates, KernelContext, Update};

/// States that see each pair of group and arguments once, if a row of theirs has it.
pub(in super::super) struct Follower {
    /// Its owner's, while it is asked.
    pub(super) pairs: Option<Box<Pairs>>,
    /// By pair.
    seen: Vec<u64>,
    has_own_pairs: bool,
    inner: Box<dyn AggregateStates>,
    context: KernelContext,
    group_count: usize,
}

impl Follower {
    pub(in super::super) fn new(inner: Box<dyn AggregateStates>, context: KernelContext) -> Self {
        Follower { pairs: None, seen: Vec::new(), has_own_pairs: false, inner, context, group_count: 0 }
    }

    /// Does something with the pairs.
    fn with_pairs<R>(&mut self, call: impl FnOnce(&mut Self, &mut Pairs) -> Result<R>) -> Result<R> {
        let mut pairs = self.pairs.take().ok_or_else(lent)?;
        let result = call(self, &mut pairs);
        self.pairs = Some(pairs);
        result
    }

    /// Takes those rows of a batch in that pass, and whose pairs were not seen.
    fn take_rows(&mut self, pairs: &Pairs, context: &KernelContext, update: &Update<'_>) -> Result<()> {
        self.seen.resize(bitmap::words(pairs.len()), 0);
        let mut rows = Vec::new();
        let mut take = |row: u32, pair: u32| {
            let passes = update.filter.is_none_or(|words| bitmap::get(words, row as usize));
            if passes && !bitmap::get(&self.seen, pair as usize) {
                bitmap::set(&mut self.seen, pair as usize);
                rows.push(row);
            }
        };
        match &pairs.rows {
            None => pairs.found.iter().enumerate().for_each(|(row, &pair)| take(row as u32, pair)),
            Some(rows) => rows.iter().zip(&pairs.found).for_each(|(&row, &pair)| take(row, pair)),
        }
        if rows.is_empty() {
            return Ok(());
        }
        let groups: Vec<u32> = rows.iter().map(|&row| update.groups[row as usize]).collect();
        let columns = select(update.args, &pairs.arg_types, &rows)?;
        feed(self.inner.as_mut(), context, &groups, update.group_count, &columns, None)
    }

    /// Says that no other instance sees the same pairs: saved states are those of the function without DISTINCT.
    pub(in super::super) fn own_pairs(&mut self) {
        self.has_own_pairs = true;
    }

    /// Takes these pairs for seen, and feeds the inner states with those that were not.
    fn see(&mut self, pairs: &Pairs, wanted: impl Iterator<Item = u32>) -> Result<()> {
        self.seen.resize(bitmap::words(pairs.len()), 0);
        let mut fresh = Vec::new();
        for pair in wanted {
            if !bitmap::get(&self.seen, pair as usize) {
                bitmap::set(&mut self.seen, pair as usize);
                fresh.push(pair);
            }
        }
        let (groups, columns) = pairs.columns(&fresh)?;
        feed(self.inner.as_mut(), &self.context, &groups, self.group_count, &columns, None)?;
        self.grow()
    }

    /// Groups that no row has updated have their empty state.
    fn grow(&mut self) -> Result<()> {
        let grow = Update { groups: &[], group_count: self.group_count, args: &[], filter: None, changes: None };
        self.inner.update(&self.context, &grow)
    }

    fn seen_pairs(&self) -> Vec<u32> {
        let mut pairs = Vec::new();
        for (index, &word) in self.seen.iter().enumerate() {
            let mut left = word;
            while left != 0 {
                pairs.push(index as u32 * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
        pairs
    }
}

impl AggregateStates for Follower {
    fn update(&mut self, context: &KernelContext, update: &Update<'_>) -> Result<()> {
        self.context = *context;
        self.group_count = update.group_count;
        if update.groups.is_empty() {
            return self.inner.update(context, update);
        }
        if update.changes.is_some() {
            return Err(Error::bug("rows were taken back from calls that share their pairs"));
        }
        self.with_pairs(|states, pairs| states.take_rows(pairs, context, update))?;
        self.grow()
    }

    fn merge(&mut self, _: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Follower>();
        let other = other.ok_or_else(|| Error::bug("a distinct aggregate was merged with another function"))?;
        self.group_count = group_count;
        // The owner has merged, and knows where the other's pairs are here.
        let theirs = other.seen_pairs().into_iter();
        self.with_pairs(|states, pairs| states.see(pairs, theirs.map(|pair| pairs.found[pair as usize])))
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.inner.finish(groups, out)
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        if self.has_own_pairs {
            return self.inner.save(group_count);
        }
        let seen = self.seen_pairs();
        let pairs = self.pairs.as_ref().ok_or_else(lent)?;
        let (groups, columns) = pairs.columns(&seen)?;
        lists(&pairs.arg_types, &groups, columns, vec![1; seen.len()], group_count)
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        self.group_count = group_count;
        let saved = saved_rows(groups, &columns[0]);
        let columns: Vec<_> = saved.columns.into_iter().map(super::kernel_column).collect();
        let args: Vec<_> = columns.iter().map(|column| column.argument(saved.groups.len())).collect();
        self.with_pairs(|states, pairs| {
            let known = pairs.len();
            pairs.find(&saved.groups, &args)?;
            if pairs.len() > known {
                let why = "the snapshot does not hold together: a filtered DISTINCT has values of its own";
                return Err(Error::user(why));
            }
            let found = pairs.found.clone();
            states.see(pairs, found.into_iter())
        })
    }

    fn clear(&mut self) {
        self.seen.clear();
        self.inner.clear();
        self.group_count = 0;
    }

    fn size_bytes(&self) -> usize {
        self.seen.capacity() * 8 + self.inner.size_bytes()
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
