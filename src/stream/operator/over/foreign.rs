//! Functions that are not the engine's own, a partition at a time.

use arrow::array::{ArrayRef, new_empty_array};
use arrow::compute::concat;

use super::frame::Frames;
use super::sorted::Sorted;
use crate::error::Result;
use crate::function::{Partition, PartitionFunction};

/// What the function makes of every partition, one behind the other.
pub(super) fn of_partitions(
    function: &dyn PartitionFunction,
    sorted: &Sorted,
    args: &[ArrayRef],
    frames: Option<&Frames>,
) -> Result<ArrayRef> {
    let mut made = Vec::with_capacity(sorted.partitions.len());
    let (mut peers, mut bounds) = (Vec::new(), Vec::new());
    let mut groups = sorted.peers.iter().map(|&row| row as usize).peekable();
    for partition in sorted.partitions.windows(2) {
        let (start, end) = (partition[0] as usize, partition[1] as usize);
        if start == end {
            continue;
        }
        let part = |columns: &[ArrayRef]| columns.iter().map(|column| column.slice(start, end - start)).collect();
        let (args, order): (Vec<ArrayRef>, Vec<ArrayRef>) = (part(args), part(&sorted.order));
        peers.clear();
        while let Some(row) = groups.next_if(|&row| row < end) {
            peers.push(row - start);
        }
        peers.push(end - start);
        bounds.clear();
        if let Some(frames) = frames {
            let edges = frames.starts[start..end].iter().zip(&frames.ends[start..end]);
            bounds.extend(edges.map(|(&from, &to)| (from as usize - start, to as usize - start)));
        }
        let rows = Partition { rows: end - start, args: &args, order: &order, peers: &peers, frames: &bounds };
        made.push(function.evaluate(&rows)?);
    }
    if made.is_empty() {
        return Ok(new_empty_array(&function.result_type()));
    }
    let made: Vec<_> = made.iter().map(AsRef::as_ref).collect();
    Ok(concat(&made)?)
}
