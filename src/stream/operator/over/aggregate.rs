//! Aggregates over frames, by the way that costs least for the frames at hand.
//!
//! ```text
//! frames apart from each other     each row goes to its frame: one update
//! frames that start at the first   rows are added one frame after the other
//! narrow frames                    each row goes to all its frames, as copies
//! wide frames                      a tree of merged states; a frame is O(log) of its nodes
//! ```
//! Invariants  every way uses an aggregate's states alone (update, merge, save), so that every function can run here; peers
//!             share a frame and its result.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{concat, take};
use millstream_kernels::bitmap;
use smallvec::SmallVec;

use super::frame::Frames;
use super::sorted::Sorted;
use super::{extreme, prefix};
use crate::batch::{Argument, Column, KernelColumn, Selection};
use crate::error::Result;
use crate::function::{AggregateStates, KernelContext, Update};
use crate::pipeline::AggregateCall;
use crate::stream::operator::aggregate::call_states;

/// Rows that are copied for narrow frames at a time.
const COPIES_MAX: usize = 1 << 16;
/// Frames up to this many rows on average are narrow.
const NARROW_ROWS: usize = 16;
/// Rows that a tree stands over, if frames are not wider.
const TREE_ROWS: usize = 1 << 17;

/// An aggregate call over sorted rows.
pub(super) struct Aggregated<'a> {
    pub context: KernelContext,
    pub seed: u64,
    pub call: &'a AggregateCall,
    /// The arguments, sorted.
    pub args: &'a [ArrayRef],
    /// Which sorted rows count.
    pub filter: Option<&'a BooleanArray>,
    /// For each partition, the saved state of the rows before these: of frames that start with the partition.
    pub before: Option<&'a [ArrayRef]>,
}

/// A frame that one row or several have.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shared {
    start: u32,
    end: u32,
    partition: u32,
}

impl Shared {
    fn rows(&self) -> usize {
        (self.end - self.start) as usize
    }
}

impl Aggregated<'_> {
    /// The result of each row's frame.
    pub fn results(&self, sorted: &Sorted, frames: &Frames) -> Result<ArrayRef> {
        if self.before.is_none() {
            if let Some(results) = prefix::results(self, sorted, frames)? {
                return Ok(results);
            }
            if let Some(results) = extreme::results(self, sorted, frames)? {
                return Ok(results);
            }
        }
        let (shared, frame_of_row) = share(sorted, frames);
        let results = self.of_frames(&shared, frames.from_first)?;
        let data_type = self.call.function.result_type();
        let results = match results.as_slice() {
            [] => arrow::array::new_empty_array(&data_type),
            [one] => one.clone(),
            many => concat(&many.iter().map(|part| part.as_ref()).collect::<Vec<_>>())?,
        };
        if shared.len() == sorted.rows {
            Ok(results)
        } else {
            Ok(take(&results, &UInt32Array::from(frame_of_row), None)?)
        }
    }

    fn of_frames(&self, frames: &[Shared], from_first: bool) -> Result<Vec<ArrayRef>> {
        let rows: usize = self
            .args
            .first()
            .map_or_else(|| frames.iter().map(|f| f.end as usize).max(), |a| Some(a.len()))
            .unwrap_or(0);
        let total: usize = frames.iter().map(Shared::rows).sum();
        let in_pieces = !self.call.distinct && !self.call.function.is_order_sensitive();
        if total <= rows {
            self.by_copies(frames, usize::MAX)
        } else if from_first && (!in_pieces || self.before.is_none()) {
            self.by_adding(frames)
        } else if total / frames.len().max(1) <= NARROW_ROWS || !in_pieces {
            self.by_copies(frames, COPIES_MAX)
        } else {
            self.by_tree(frames)
        }
    }

    fn states(&self) -> Box<dyn AggregateStates> {
        call_states(self.call, self.seed, self.context)
    }

    /// Takes rows in, each into its group.
    fn update(
        &self,
        states: &mut dyn AggregateStates,
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
        groups: &[u32],
        group_count: usize,
    ) -> Result<()> {
        let columns: SmallVec<[KernelColumn; 2]> =
            args.iter().map(|arg| KernelColumn::new(Column::Array(arg.clone()))).collect();
        let args: SmallVec<[Argument<'_>; 2]> = columns.iter().map(|column| column.argument(groups.len())).collect();
        let filter = filter.map(words);
        let update = Update { groups, group_count, args: &args, filter: filter.as_deref(), changes: None };
        states.update(&self.context, &update)
    }

    /// Puts the states of the rows before into those of the frames of their partitions.
    fn start(&self, states: &mut dyn AggregateStates, frames: &[Shared]) -> Result<()> {
        let Some(before) = self.before else { return Ok(()) };
        let partitions = UInt32Array::from_iter_values(frames.iter().map(|frame| frame.partition));
        let saved = before.iter().map(|column| Ok(take(column, &partitions, None)?)).collect::<Result<Vec<_>>>()?;
        let groups: Vec<u32> = (0..frames.len() as u32).collect();
        states.merge_saved(&groups, frames.len(), &saved)
    }

    fn finish(&self, states: &mut dyn AggregateStates, groups: &[u32]) -> Result<ArrayRef> {
        let mut out = Column::default();
        states.finish(groups, &mut out)?;
        out.to_array(&self.call.function.result_type(), groups.len(), &Selection::default())
    }

    /// Each row into all its frames, some frames at a time.
    fn by_copies(&self, frames: &[Shared], copies_max: usize) -> Result<Vec<ArrayRef>> {
        let mut states = self.states();
        let mut results = Vec::new();
        let (mut rows, mut groups): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut from = 0;
        while from < frames.len() {
            rows.clear();
            groups.clear();
            let mut to = from;
            while to < frames.len() && (to == from || rows.len() + frames[to].rows() <= copies_max) {
                rows.extend(frames[to].start..frames[to].end);
                groups.resize(rows.len(), (to - from) as u32);
                to += 1;
            }
            states.clear();
            self.start(states.as_mut(), &frames[from..to])?;
            let first = rows.first().map_or(0, |&row| row as usize);
            let is_slice = rows.iter().enumerate().all(|(at, &row)| row as usize == first + at);
            let pick = |array: &ArrayRef| match is_slice {
                true => Ok(array.slice(first, rows.len())),
                false => Ok(take(array, &UInt32Array::from(rows.clone()), None)?),
            };
            let args = self.args.iter().map(pick).collect::<Result<Vec<_>>>()?;
            let filter = self.filter.map(|filter| pick(&(Arc::new(filter.clone()) as ArrayRef))).transpose()?;
            let filter = filter.as_ref().map(|filter| arrow::array::AsArray::as_boolean(filter.as_ref()));
            self.update(states.as_mut(), &args, filter, &groups, to - from)?;
            let all: Vec<u32> = (0..(to - from) as u32).collect();
            results.push(self.finish(states.as_mut(), &all)?);
            from = to;
        }
        Ok(results)
    }

    /// Frames that all start with their partition: the rows that one has more than the one before are added.
    fn by_adding(&self, frames: &[Shared]) -> Result<Vec<ArrayRef>> {
        let mut states = self.states();
        let mut results = Vec::with_capacity(frames.len());
        let mut added: Option<Shared> = None;
        for frame in frames {
            let from = match added.filter(|added| added.partition == frame.partition) {
                Some(added) => added.end,
                None => {
                    states.clear();
                    self.start(states.as_mut(), std::slice::from_ref(frame))?;
                    frame.start
                }
            };
            let (from, count) = (from as usize, (frame.end - from) as usize);
            let args: SmallVec<[ArrayRef; 2]> = self.args.iter().map(|arg| arg.slice(from, count)).collect();
            let filter = self.filter.map(|filter| filter.slice(from, count));
            self.update(states.as_mut(), &args, filter.as_ref(), &vec![0; count], 1)?;
            results.push(self.finish(states.as_mut(), &[0])?);
            added = Some(*frame);
        }
        Ok(results)
    }

    /// A tree of states over the rows of some frames at a time.
    fn by_tree(&self, frames: &[Shared]) -> Result<Vec<ArrayRef>> {
        let widest = frames.iter().map(Shared::rows).max().unwrap_or(0);
        let rows_max = TREE_ROWS.max(2 * widest);
        let mut results = Vec::new();
        let mut from = 0;
        while from < frames.len() {
            let (mut first, mut last) = (frames[from].start, frames[from].end);
            let mut to = from;
            while to < frames.len() {
                let (start, end) = (first.min(frames[to].start), last.max(frames[to].end));
                if to > from && (end - start) as usize > rows_max {
                    break;
                }
                (first, last) = (start, end);
                to += 1;
            }
            results.push(self.tree(&frames[from..to], first as usize, last as usize)?);
            from = to;
        }
        Ok(results)
    }

    fn tree(&self, frames: &[Shared], first: usize, last: usize) -> Result<ArrayRef> {
        let mut states = self.states();
        self.start(states.as_mut(), frames)?;
        let mut nodes = last - first;
        let args: Vec<ArrayRef> = self.args.iter().map(|arg| arg.slice(first, nodes)).collect();
        let filter = self.filter.map(|filter| filter.slice(first, nodes));
        let mut level = self.states();
        let own: Vec<u32> = (0..nodes as u32).collect();
        self.update(level.as_mut(), &args, filter.as_ref(), &own, nodes)?;
        let mut open: Vec<(u32, u32)> =
            frames.iter().map(|frame| (frame.start - first as u32, frame.end - first as u32)).collect();
        let (mut into, mut picked): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        loop {
            let saved = level.save(nodes)?;
            into.clear();
            picked.clear();
            for (frame, (left, right)) in open.iter_mut().enumerate() {
                if *left < *right && *left % 2 == 1 {
                    into.push(frame as u32);
                    picked.push(*left);
                    *left += 1;
                }
                if *left < *right && *right % 2 == 1 {
                    *right -= 1;
                    into.push(frame as u32);
                    picked.push(*right);
                }
                (*left, *right) = (*left / 2, *right / 2);
            }
            let nodes_of_frames = UInt32Array::from(picked.clone());
            let picked =
                saved.iter().map(|column| Ok(take(column, &nodes_of_frames, None)?)).collect::<Result<Vec<_>>>()?;
            states.merge_saved(&into, frames.len(), &picked)?;
            if open.iter().all(|(left, right)| left >= right) {
                break;
            }
            let above: Vec<u32> = (0..nodes as u32).map(|node| node / 2).collect();
            nodes = nodes.div_ceil(2);
            level = self.states();
            level.merge_saved(&above, nodes, &saved)?;
        }
        let all: Vec<u32> = (0..frames.len() as u32).collect();
        self.finish(states.as_mut(), &all)
    }
}

/// The frames, each once as long as rows next to each other have it, and the frame of each row.
fn share(sorted: &Sorted, frames: &Frames) -> (Vec<Shared>, Vec<u32>) {
    let mut shared: Vec<Shared> = Vec::new();
    let mut frame_of_row = Vec::with_capacity(sorted.rows);
    sorted.each_partition(|partition, start, end| {
        for row in start..end {
            let frame = Shared { start: frames.starts[row], end: frames.ends[row], partition: partition as u32 };
            if shared.last() != Some(&frame) {
                shared.push(frame);
            }
            frame_of_row.push(shared.len() as u32 - 1);
        }
    });
    (shared, frame_of_row)
}

/// Which rows are true, as words.
pub(super) fn words(filter: &BooleanArray) -> Vec<u64> {
    let bits: BooleanBuffer = match filter.nulls() {
        None => filter.values().clone(),
        Some(nulls) => filter.values() & nulls.inner(),
    };
    let mut words = Vec::new();
    bitmap::from_bytes(bits.values(), bits.offset(), bits.len(), &mut words);
    words
}
