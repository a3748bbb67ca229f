//! Joins on their way into stages: which rows of both sides must meet, and where.
//!
//! Equal keys meet in the worker that owns them. Without keys every row of one side must meet every row of the other:
//! then each worker gets the whole build side and keeps its share of the rows that pass by it, unless rows of the build
//! side leave alone, which only one place can decide; then all rows go there.

use std::sync::Arc;

use super::assemble::Assembly;
use super::parts::Parts;
use crate::error::Result;
use crate::pipeline::{JoinKind, JoinSide, JoinSpec, JoinStrategy, KeyFilter, Node, NodeId};
use crate::stream::exchange::Route;
use crate::stream::operator::{AsOfJoin, HashJoin, Operator, SymmetricJoin};

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
        let ([left, right], is_whole) = self.met(spec, left, right)?;
        let workers =
            if is_whole { 1 } else { left.iter().zip(&right).filter(|(l, r)| l.is_some() && r.is_some()).count() };
        let mut tells = self.told_keys(id, workers);
        let schemas = [0, 1].map(|side| self.pipeline.nodes[node.inputs[side]].schema.clone());
        let mut parts = Parts::with_capacity(self.partitions);
        for sides in left.into_iter().zip(right) {
            let (Some(left), Some(right)) = sides else {
                parts.push(None);
                continue;
            };
            let operator: Box<dyn Operator> = match &spec.strategy {
                JoinStrategy::Hash { build, .. } => {
                    let schemas = (&schemas[0], &schemas[1]);
                    let told = if is_whole { std::mem::take(&mut tells) } else { tells.clone() };
                    let rows = self.config.batch_rows;
                    let join = HashJoin::new(spec, *build, schemas, self.seed, self.context, rows);
                    Box::new(join.telling_keys(told))
                }
                JoinStrategy::Symmetric(symmetric) => {
                    let schemas = [&schemas[0], &schemas[1]];
                    let (seed, rows) = (self.seed, self.config.batch_rows);
                    Box::new(SymmetricJoin::new(spec, symmetric, schemas, seed, self.context, rows)?)
                }
                JoinStrategy::AsOf(as_of) => {
                    let schemas = [&schemas[0], &schemas[1]];
                    let (seed, rows) = (self.seed, self.config.batch_rows);
                    Box::new(AsOfJoin::new(spec, as_of, schemas, seed, self.context, rows)?)
                }
            };
            parts.push(Some(self.two_inputs([left, right], "join", id, operator)));
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

    /// Both sides in the workers where they meet: afterwards a worker has both or none. And whether each of them has the
    /// whole table.
    fn met(&mut self, spec: &JoinSpec, left: Parts, right: Parts) -> Result<([Parts; 2], bool)> {
        let alone = |parts: &Parts| parts.iter().skip(1).all(Option::is_none);
        if alone(&left) && alone(&right) {
            return Ok(([left, right], true));
        }
        let meeting = meeting(spec, &left, &right);
        let sides = match meeting {
            Meeting::Owner => [
                self.exchange(left, Route::Keys(spec.left_keys.clone()))?,
                self.exchange(right, Route::Keys(spec.right_keys.clone()))?,
            ],
            Meeting::Everywhere(JoinSide::Left) => [self.exchange(left, Route::All)?, right],
            Meeting::Everywhere(JoinSide::Right) => [left, self.exchange(right, Route::All)?],
            Meeting::First => [self.gather(left)?, self.gather(right)?],
        };
        Ok((sides, meeting != Meeting::Owner))
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
