//! Which columns decide the worker that has a row, and so where rows of a key are together without an exchange.
//!
//! ```text
//! Aggregate by a, b      rows of one a are in one worker already: no exchange
//!   Aggregate by a       exchanged by a
//!     Scan
//! ```
//! Invariants  rows that agree in the columns of a list are in one worker; several lists say so each for itself. The order
//!             of a list is that of the hash which has parted the rows.

use super::{JoinKind, JoinSide, JoinSpec, Node, NodeId, Pipeline, Spec};
use crate::expression::{Operand, Program};

/// Columns of a node that decide the worker: alternatives.
pub type Parting = Vec<Vec<usize>>;

/// What the rows of a node that keeps each row in its worker are parted by, from what its input's are.
pub fn kept(node: &Node, input: &Parting) -> Parting {
    match &node.spec {
        Spec::Filter(_) | Spec::Delay(_) | Spec::Divert(_) => input.clone(),
        Spec::Firing(spec) if spec.key_count.is_some() => input.clone(),
        // A row per window, its own columns first.
        Spec::Window(spec) if !spec.kind.is_per_key() => input.clone(),
        Spec::Project(spec) => through(input, &spec.program, spec.program.outputs.len()),
        _ => Parting::new(),
    }
}

/// The places among the first `count` outputs of a program of what its input is parted by.
pub fn through(input: &Parting, program: &Program, count: usize) -> Parting {
    let place = |column: &usize| program.outputs[..count].iter().position(|output| *output == Operand::Input(*column));
    input.iter().filter_map(|columns| columns.iter().map(place).collect()).collect()
}

/// The input columns that the first `count` outputs of a program are; `None` where one is computed.
pub fn plain_inputs(program: &Program, count: usize) -> Option<Vec<usize>> {
    let plain = |output: &Operand| if let Operand::Input(column) = output { Some(*column) } else { None };
    program.outputs[..count].iter().map(plain).collect()
}

/// The first of some lists of numbers of keys by which rows of equal keys are together; with `same`, only all keys in their
/// order: what a snapshot's rows are parted by.
pub fn fitting(keys: &Parting, key_count: usize, same: bool) -> Option<&Vec<usize>> {
    keys.iter().find(|keys| !keys.is_empty() && (!same || keys.iter().copied().eq(0..key_count)))
}

/// What the rows of a join are parted by, whose sides met by the keys of these numbers.
pub fn of_join(spec: &JoinSpec, left_width: usize, keys: &[usize]) -> Parting {
    // Rows that leave without a match have NULL in place of the other side's keys.
    let left = !matches!(spec.kind, JoinKind::Right | JoinKind::Full);
    let right = !matches!(spec.kind, JoinKind::Left | JoinKind::Full);
    let of_side = |side: JoinSide, offset: usize| -> Option<Vec<usize>> {
        let plain = |&key: &usize| match spec.keys(side).outputs[key] {
            Operand::Input(column) => spec.outputs.iter().position(|output| *output == column + offset),
            _ => None,
        };
        keys.iter().map(plain).collect()
    };
    let left = left.then(|| of_side(JoinSide::Left, 0)).flatten();
    left.into_iter().chain(right.then(|| of_side(JoinSide::Right, left_width)).flatten()).collect()
}

/// What the rows of a side that stays where it is are parted by behind the join.
pub fn of_side(spec: &JoinSpec, left_width: usize, side: JoinSide, input: &Parting) -> Parting {
    let offset = if side == JoinSide::Left { 0 } else { left_width };
    let place = |column: &usize| spec.outputs.iter().position(|output| *output == column + offset);
    input.iter().filter_map(|columns| columns.iter().map(place).collect()).collect()
}

/// What the rows of a node are parted by whatever the number of workers: joins, which may go either way, are left out.
pub fn parting(pipeline: &Pipeline, id: NodeId) -> Parting {
    let node = &pipeline.nodes[id];
    let input = || node.inputs.first().map_or(Parting::new(), |input| parting(pipeline, *input));
    match &node.spec {
        Spec::Aggregate(spec) if spec.key_count > 0 => {
            let own = vec![(0..spec.key_count).collect()];
            let keys = through(&input(), &spec.program, spec.key_count);
            if spec.standing_groups.is_empty() && !keys.is_empty() { keys } else { own }
        }
        Spec::Sets(spec) => vec![(0..=spec.aggregate.key_count).collect()],
        Spec::Over(spec) if spec.key_count > 0 => by_keys(&spec.program, spec.key_count, input()),
        Spec::Rank(spec) if spec.key_count > 0 => by_keys(&spec.program, spec.key_count, input()),
        _ => kept(node, &input()),
    }
}

/// The same for a node that puts columns behind those of its input.
fn by_keys(program: &Program, key_count: usize, input: Parting) -> Parting {
    match through(&input, program, key_count).is_empty() {
        false => input,
        true => plain_inputs(program, key_count).into_iter().collect(),
    }
}

/// The keys by which the input of a node that groups by keys is parted already, if it is.
pub fn already_parted(pipeline: &Pipeline, id: NodeId) -> Option<Vec<usize>> {
    let node = &pipeline.nodes[id];
    let (program, key_count) = match &node.spec {
        Spec::Aggregate(spec) if spec.standing_groups.is_empty() => (&spec.program, spec.key_count),
        Spec::Over(spec) => (&spec.program, spec.key_count),
        Spec::Rank(spec) => (&spec.program, spec.key_count),
        _ => return None,
    };
    let input = parting(pipeline, *node.inputs.first()?);
    fitting(&through(&input, program, key_count), key_count, false).cloned()
}
