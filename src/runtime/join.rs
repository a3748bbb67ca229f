//! Joins on their way into stages: which rows of both sides must meet, and where.
//!
//! Equal keys meet in the worker that owns them. Without keys every row of one side must meet every row of the other:
//! then each worker gets the whole build side and keeps its share of the rows that pass by it, unless rows of the build
//! side leave alone, which only one place can decide; then all rows go there.

use std::sync::Arc;

use super::assemble::Assembly;
use super::parts::Parts;
use crate::error::Result;
use crate::pipeline::parting::{self, Parting};
use crate::pipeline::{JoinKind, JoinSide, JoinSpec, JoinStrategy, KeyFilter, Node, NodeId};
use crate::stream::exchange::Route;
use crate::stream::operator::{AsOfChanges, AsOfJoin, HashJoin, Operator, RecallJoin, SymmetricJoin, TablePlace};

/// Where the rows of both sides meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// In the worker that owns their key.
    Owner,
    /// In every worker: this side goes to all of them.
    Everywhere(JoinSide),
    /// In the first worker.
    First,
}

impl Assembly<'_> {
    pub(super) fn join(&mut self, id: NodeId, node: &Node, spec: &JoinSpec) -> Result<Parts> {
        let left = self.node(node.inputs[0])?;
        let right = self.node(node.inputs[1])?;
        let ([left, right], meeting) = self.met(id, spec, left, right)?;
        let is_whole = meeting != Meeting::Owner;
        let workers =
            if is_whole { 1 } else { left.iter().zip(&right).filter(|(l, r)| l.is_some() && r.is_some()).count() };
        let mut tells = self.told_keys(id, workers);
        let schemas = [0, 1].map(|side| self.pipeline.nodes[node.inputs[side]].schema.clone());
        let mut parts = Parts::with_capacity(self.partitions);
        for (worker, sides) in left.into_iter().zip(right).enumerate() {
            let (Some(left), Some(right)) = sides else {
                parts.push(None);
                continue;
            };
            let (seed, context, rows) = (self.seed, self.context, self.config.batch_rows);
            let [left_schema, right_schema] = &schemas;
            let (mut lookup, both) = (false, [left_schema, right_schema]);
            let operator: Box<dyn Operator> = match &spec.strategy {
                JoinStrategy::Hash { build, .. } => {
                    let told = if is_whole { std::mem::take(&mut tells) } else { tells.clone() };
                    let place = match meeting {
                        Meeting::Owner => TablePlace::Owner,
                        Meeting::Everywhere(_) => TablePlace::Everywhere { first: worker == 0 },
                        Meeting::First => TablePlace::One,
                    };
                    let join = HashJoin::new(spec, (*build, place), (left_schema, right_schema), seed, context, rows);
                    Box::new(join.telling_keys(told))
                }
                JoinStrategy::Symmetric(symmetric) if symmetric.recalls() => {
                    let ends = self.pipeline.nodes[node.inputs[1]].bounded;
                    Box::new(RecallJoin::new(spec, symmetric, both, ends, seed, context, rows)?)
                }
                JoinStrategy::Symmetric(symmetric) => {
                    lookup = symmetric.lookup;
                    Box::new(SymmetricJoin::new(spec, symmetric, both, seed, context, rows)?)
                }
                JoinStrategy::AsOf(as_of) if as_of.changes => {
                    Box::new(AsOfChanges::new(spec, as_of, both, seed, context, rows)?)
                }
                JoinStrategy::AsOf(as_of) => Box::new(AsOfJoin::new(spec, as_of, both, seed, context, rows)?),
            };
            let mut part = self.two_inputs([left, right], "join", id, operator);
            if lookup {
                Self::follow_left(&mut part);
            }
            parts.push(Some(part));
        }
        Ok(parts)
    }

    /// The filters that wait for the keys of this join's table, told by so many workers.
    fn told_keys(&self, id: NodeId, workers: usize) -> Vec<(usize, Arc<KeyFilter>)> {
        let own = self.key_filters.iter().filter(|((join, _), _)| *join == id);
        let told: Vec<_> = own.map(|((_, key), filter)| (*key, filter.clone())).collect();
        for (_, filter) in &told {
            let wakers = self.wakers.clone();
            filter.expect(workers, Arc::new(move || wakers.iter().for_each(|waker| waker.nudge())));
        }
        told
    }

    /// Both sides in the workers where they meet: afterwards a worker has both or none.
    fn met(&mut self, id: NodeId, spec: &JoinSpec, left: Parts, right: Parts) -> Result<([Parts; 2], Meeting)> {
        let alone = |parts: &Parts| parts.iter().skip(1).all(Option::is_none);
        if alone(&left) && alone(&right) {
            return Ok(([left, right], Meeting::First));
        }
        let meeting = meeting(spec, &left, &right);
        let inputs = &self.pipeline.nodes[id].inputs;
        let left_width = self.pipeline.nodes[inputs[0]].schema.fields().len();
        let parted_by = [self.parting(inputs[0]), self.parting(inputs[1])];
        let sides = match meeting {
            Meeting::Owner => return Ok((self.bring_sides(id, spec, [left, right], parted_by)?, meeting)),
            Meeting::Everywhere(build) => {
                let (probe, stays) =
                    (build.other(), if build == JoinSide::Left { &parted_by[1] } else { &parted_by[0] });
                self.parted_by.insert(id, parting::of_side(spec, left_width, probe, stays));
                match build {
                    JoinSide::Left => [self.exchange(left, Route::All)?, right],
                    JoinSide::Right => [left, self.exchange(right, Route::All)?],
                }
            }
            Meeting::First => [self.gather(left)?, self.gather(right)?],
        };
        Ok((sides, meeting))
    }
}

impl Assembly<'_> {
    /// Both sides in the workers that own their keys. Rows that are parted by keys of the join already stay, and the other
    /// side comes to them.
    fn bring_sides(
        &mut self,
        id: NodeId,
        spec: &JoinSpec,
        [left, right]: [Parts; 2],
        parted_by: [Parting; 2],
    ) -> Result<[Parts; 2]> {
        let count = spec.left_keys.outputs.len();
        let by_keys = |side: JoinSide, parted_by: &Parting| {
            let parted = parting::through(parted_by, spec.keys(side), count);
            parting::fitting(&parted, count, self.options.portable).cloned()
        };
        let (of_left, of_right) = (by_keys(JoinSide::Left, &parted_by[0]), by_keys(JoinSide::Right, &parted_by[1]));
        let keys = of_left.clone().or_else(|| of_right.clone()).unwrap_or((0..count).collect());
        let route = |side: JoinSide| Route::Keys(Arc::new(spec.keys(side).picked(&keys)));
        let left_width = self.pipeline.nodes[self.pipeline.nodes[id].inputs[0]].schema.fields().len();
        let left_stays = of_left.as_ref() == Some(&keys);
        let right_stays = of_right.as_ref() == Some(&keys);
        let left = if left_stays { left } else { self.exchange(left, route(JoinSide::Left))? };
        let right = if right_stays { right } else { self.exchange(right, route(JoinSide::Right))? };
        self.parted_by.insert(id, parting::of_join(spec, left_width, &keys));
        Ok([left, right])
    }
}

fn meeting(spec: &JoinSpec, left: &Parts, right: &Parts) -> Meeting {
    let workers = left.len();
    let JoinStrategy::Hash { build, everywhere } = spec.strategy else {
        return if spec.has_keys() { Meeting::Owner } else { Meeting::First };
    };
    let (probe, own_kinds) = match build {
        JoinSide::Left => (right, [JoinKind::Right, JoinKind::RightSemi, JoinKind::RightAnti, JoinKind::RightMark]),
        JoinSide::Right => (left, [JoinKind::Left, JoinKind::LeftSemi, JoinKind::LeftAnti, JoinKind::LeftMark]),
    };
    // Rows of a side that is everywhere must not leave alone, nor be counted.
    let may_be_everywhere = (spec.kind == JoinKind::Inner || own_kinds.contains(&spec.kind))
        && !spec.each_once
        && probe.iter().all(Option::is_some);
    // A NULL in the table concerns all rows, wherever their keys are owned.
    let by_owner = spec.has_keys() && !spec.null_aware;
    match (by_owner, may_be_everywhere) {
        (true, false) => Meeting::Owner,
        (true, true) if workers > everywhere => Meeting::Owner,
        (_, true) => Meeting::Everywhere(build),
        (false, false) => Meeting::First,
    }
}
