//! All functions over all rows at hand.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;

use super::OverShape;
use super::aggregate::Aggregated;
use super::frame::{Frames, frames};
use super::sorted::{Passed, Sorted};
use super::{foreign, rank, value};
use crate::batch::{Column, KernelColumn};
use crate::error::Result;
use crate::pipeline::{Frame, OverCall, OverFunction};
use crate::state::GroupIndex;
use crate::stream::operator::order::{Key, canonical, order};

/// Rows that keys are looked up at a time.
const LOOKUP_ROWS: usize = 1 << 16;

/// Rows in the order of their partitions, and what the functions make of them.
pub(super) struct Evaluated {
    /// The rows, by number, in order.
    pub rows: Vec<u32>,
    pub sorted: Sorted,
    /// A column per call, in this order.
    pub results: Vec<ArrayRef>,
}

/// What came before the rows at hand, per partition.
#[derive(Default)]
pub(super) struct Before {
    pub passed: Vec<Passed>,
    /// Per call, the saved states of its aggregate; `None` where its frames do not start with the partition.
    pub states: Vec<Option<Vec<ArrayRef>>>,
}

/// Finds the partitions of wide rows: a number for each row, and how many there are.
pub(super) fn partitions(shape: &OverShape, wide: &[ArrayRef], rows: usize) -> Result<(Vec<u32>, usize)> {
    let keys = &wide[..shape.spec.key_count];
    if keys.is_empty() {
        return Ok((vec![0; rows], usize::from(rows > 0)));
    }
    let mut index = GroupIndex::new(shape.types[..keys.len()].to_vec(), shape.seed, shape.context.level);
    let groups = look_up(&mut index, keys, rows)?;
    Ok((groups, index.len()))
}

/// The group of each row.
pub(in crate::stream::operator) fn look_up(index: &mut GroupIndex, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
    let (mut groups, mut piece) = (Vec::with_capacity(rows), Vec::new());
    for from in (0..rows).step_by(LOOKUP_ROWS) {
        let count = LOOKUP_ROWS.min(rows - from);
        let columns: Vec<KernelColumn> =
            keys.iter().map(|key| KernelColumn::new(Column::Array(key.slice(from, count)))).collect();
        let arguments: Vec<_> = columns.iter().map(|column| column.argument(count)).collect();
        index.lookup(&arguments, count, &mut piece)?;
        groups.extend_from_slice(&piece);
    }
    Ok(groups)
}

/// Sorts wide rows, whose partitions are known, and computes every call.
pub(super) fn evaluate(
    shape: &OverShape,
    wide: &[ArrayRef],
    partitions: &[u32],
    partition_count: usize,
    before: &Before,
) -> Result<Evaluated> {
    let (rows, mut sorted) = in_order(shape, wide, partitions, partition_count)?;
    let picked = UInt32Array::from(rows.clone());
    let pick = |column: &ArrayRef| Ok(take(column, &picked, None)?);
    sorted.passed.clone_from(&before.passed);
    let mut results = Vec::with_capacity(shape.spec.calls.len());
    let mut column = shape.order().end;
    let fields = &shape.output.fields()[shape.types.len() - shape.computed()..];
    let mut known: Vec<(Frame, Frames)> = Vec::new();
    for (at, (call, field)) in shape.spec.calls.iter().zip(fields).enumerate() {
        let args = wide[column..column + call.arg_count].iter().map(pick).collect::<Result<Vec<_>>>()?;
        column += call.arg_count;
        let filter = call.filtered.then(|| pick(&wide[column])).transpose()?;
        column += usize::from(call.filtered);
        let found = known.iter().position(|(frame, _)| *frame == call.frame);
        let frames = match (call.function.has_frame(), found) {
            (false, _) => None,
            (true, Some(found)) => Some(found),
            (true, None) => {
                known.push((call.frame, frames(&sorted, &call.frame, &shape.spec.order)?));
                Some(known.len() - 1)
            }
        };
        let frames = frames.map(|at| &known[at].1);
        let states = before.states.get(at).and_then(|states| states.as_deref());
        let result = Call { shape, call, args, filter, states }.result(&sorted, frames)?;
        results.push(of_type(result, field.data_type())?);
    }
    Ok(Evaluated { rows, sorted, results })
}

/// The order of wide rows whose partitions are known.
pub(super) fn in_order(
    shape: &OverShape,
    wide: &[ArrayRef],
    partitions: &[u32],
    partition_count: usize,
) -> Result<(Vec<u32>, Sorted)> {
    let (rows, runs) = by_partition(partitions, partition_count);
    let bounds: Vec<u32> = runs.iter().map(|run| run.start as u32).chain([rows.len() as u32]).collect();
    let keys: Vec<Key> = wide[shape.order()].iter().map(canonical).zip(shape.spec.order.iter().copied()).collect();
    let ties = if shape.spec.breaks_ties { shape.own(wide) } else { &[] };
    let rows = order(rows, runs, &keys, ties)?;
    let picked = UInt32Array::from(rows.clone());
    let ordered = keys.iter().map(|(key, _)| Ok(take(key, &picked, None)?)).collect::<Result<Vec<_>>>()?;
    let sorted = Sorted::new(rows.len(), bounds, ordered)?;
    Ok((rows, sorted))
}

/// The rows of each partition, one after the other, and where each partition lies.
fn by_partition(partitions: &[u32], count: usize) -> (Vec<u32>, Vec<Range<usize>>) {
    let mut ends = vec![0usize; count];
    partitions.iter().for_each(|&partition| ends[partition as usize] += 1);
    let mut runs = Vec::with_capacity(count);
    let mut start = 0;
    for end in &mut ends {
        runs.push(start..start + *end);
        start += std::mem::replace(end, start);
    }
    let mut rows = vec![0u32; partitions.len()];
    for (row, &partition) in partitions.iter().enumerate() {
        let place = &mut ends[partition as usize];
        rows[*place] = row as u32;
        *place += 1;
    }
    (rows, runs)
}

fn of_type(result: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if result.data_type() == data_type { Ok(result) } else { Ok(cast(&result, data_type)?) }
}

/// A call with its sorted arguments.
struct Call<'a> {
    shape: &'a OverShape,
    call: &'a OverCall,
    args: Vec<ArrayRef>,
    filter: Option<ArrayRef>,
    states: Option<&'a [ArrayRef]>,
}

impl Call<'_> {
    fn result(&self, sorted: &Sorted, frames: Option<&Frames>) -> Result<ArrayRef> {
        match (&self.call.function, frames) {
            (OverFunction::RowNumber, _) => Ok(rank::row_number(sorted)),
            (OverFunction::Rank, _) => Ok(rank::rank(sorted)),
            (OverFunction::DenseRank, _) => Ok(rank::dense_rank(sorted)),
            (OverFunction::PercentRank, _) => Ok(rank::percent_rank(sorted)),
            (OverFunction::CumeDist, _) => Ok(rank::cume_dist(sorted)),
            (OverFunction::Ntile(buckets), _) => Ok(rank::ntile(sorted, *buckets)),
            (OverFunction::Lag { offset, default, ignores_nulls }, _) => {
                value::lag(sorted, &self.args[0], *offset, default.as_ref(), *ignores_nulls)
            }
            (OverFunction::Nth { n, ignores_nulls }, Some(frames)) => {
                value::nth(frames, &self.args[0], *n, *ignores_nulls)
            }
            (OverFunction::Aggregate(call), Some(frames)) => {
                let filter: Option<&BooleanArray> = self.filter.as_ref().map(|filter| filter.as_ref().as_boolean());
                let aggregated = Aggregated {
                    context: self.shape.context,
                    seed: self.shape.seed,
                    call,
                    args: &self.args,
                    filter,
                    before: self.states,
                };
                aggregated.results(sorted, frames)
            }
            (OverFunction::Foreign(function), frames) => {
                foreign::of_partitions(function.as_ref(), sorted, &self.args, frames)
            }
            (OverFunction::Nth { .. } | OverFunction::Aggregate(_), None) => {
                unreachable!("the frames of these are found above")
            }
        }
    }
}
