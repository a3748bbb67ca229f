//! State without a bound, over input without an end: what a query that runs for long will fail of.

use super::{
    AggregateSpec, Completion, JoinSpec, JoinStrategy, NodeId, OverSpec, Pipeline, RankSpec, Spec, SymmetricSpec,
};
use crate::error::Place;

/// A node whose state grows for as long as rows come.
#[derive(Debug, Clone)]
pub struct Growth {
    pub node: NodeId,
    /// What grows, and what to do about it.
    pub why: String,
    pub place: Option<Place>,
}

impl Pipeline {
    /// The nodes whose state grows with input that does not end.
    pub fn growing(&self) -> Vec<Growth> {
        let grows = |(id, node): (NodeId, &super::Node)| {
            let why = if self.is_bounded_below(id) { None } else { self.growth(id, &node.spec) }?;
            Some(Growth { node: id, why: why.to_string(), place: node.place })
        };
        self.nodes.iter().enumerate().filter_map(grows).collect()
    }

    /// What of an operator's state grows, over input that does not end.
    fn growth(&self, id: NodeId, spec: &Spec) -> Option<&'static str> {
        match spec {
            Spec::Aggregate(aggregate) => aggregate_growth(aggregate),
            Spec::Upsert(upsert) if upsert.ttl.is_some() => None,
            Spec::Upsert(_) => Some(
                "an upsert table keeps a row for every key there ever was; delete keys that are done with tombstones, or forget \
                 idle ones with /*+ STATE_TTL('1h') */",
            ),
            Spec::ByKey(_) => Some(
                "a sink with a PRIMARY KEY keeps all rows that are there; write changes by 'changelog' = 'retract'",
            ),
            Spec::Over(over) => over_growth(over),
            Spec::Rank(rank) => rank_growth(rank),
            Spec::Join(join) => self.join_growth(id, join),
            _ => None,
        }
    }

    fn join_growth(&self, id: NodeId, join: &JoinSpec) -> Option<&'static str> {
        let symmetric = match &join.strategy {
            JoinStrategy::Symmetric(symmetric) => symmetric,
            JoinStrategy::AsOf(as_of) if as_of.changes => {
                return Some(
                    "a join by the nearest of rows that come and go, or without event times of both, keeps all rows of both \
                     sides; order by columns with a WATERMARK of rows that stay",
                );
            }
            JoinStrategy::AsOf(_) if !self.nodes[self.nodes[id].inputs[1]].bounded => {
                return Some(
                    "a join by the nearest keeps the last right row of every key there ever was; let the right side be of few \
                     keys, or join within a span of time",
                );
            }
            _ => return None,
        };
        let ends = |side: usize| self.nodes[self.nodes[id].inputs[side]].bounded;
        let left_grows = |symmetric: &SymmetricSpec| symmetric.recalls() && symmetric.ttl[0].is_none() && !ends(0);
        match symmetric {
            symmetric if left_grows(symmetric) => Some(
                "a join with what a table holds keeps of every left row that may be taken back what it has met; forget old ones \
                 with /*+ STATE_TTL('a' = '1h') */",
            ),
            SymmetricSpec { lookup: true, .. } if ends(1) => None,
            SymmetricSpec { lookup: true, ttl: [_, Some(_)], .. } | SymmetricSpec { ttl: [Some(_), Some(_)], .. } => {
                None
            }
            SymmetricSpec { lookup: true, .. } => {
                Some("a lookup join keeps all rows of its right side; let them change by a PRIMARY KEY of few values")
            }
            SymmetricSpec { time: None, .. } => Some(
                "a join without a span of time keeps all rows of both sides; say in ON how far apart in time its rows \
                 are, join the same windows, or forget old rows with /*+ STATE_TTL('a' = '1h', 'b' = '1h') */",
            ),
            SymmetricSpec { time: Some(bound), .. } if bound.lower.is_none() || bound.upper.is_none() => Some(
                "a join whose span of time is open at one end keeps rows for good; say in ON how far apart in time its \
                 rows are at most",
            ),
            _ => None,
        }
    }

    fn is_bounded_below(&self, id: NodeId) -> bool {
        self.nodes[id].inputs.iter().all(|input| self.nodes[*input].bounded)
    }
}

/// Aggregates whose state is all values of a group.
const KEEPING_VALUES: [&str; 5] = ["array_agg", "median", "percentile_cont", "quantile_cont", "string_agg"];

fn aggregate_growth(aggregate: &AggregateSpec) -> Option<&'static str> {
    let is_distinct = |call: &super::AggregateCall| call.distinct;
    let keeps_values = |call: &super::AggregateCall| KEEPING_VALUES.contains(&call.function.name());
    match aggregate {
        AggregateSpec { window: None, ttl: None, key_count: 1.., .. } => Some(
            "GROUP BY without a window keeps a group for every key there ever was; group by a window, or forget idle \
             groups with /*+ STATE_TTL('1h') */",
        ),
        AggregateSpec { window: Some(window), ttl: None, key_count: 1.., .. } if !window.kind.has_time() => Some(
            "windows of so many rows keep one under way for every key there ever was; use windows of time, or keys that are few",
        ),
        AggregateSpec { window: None, key_count: 0, aggregates, .. } if aggregates.iter().any(is_distinct) => Some(
            "DISTINCT without a window keeps every value there ever was; group by a window, or use APPROX_DISTINCT",
        ),
        AggregateSpec { window: None, key_count: 0, aggregates, .. } if aggregates.iter().any(keeps_values) => Some(
            "without a window this function keeps every value there ever was; group by a window, or use APPROX_MEDIAN and its kin",
        ),
        _ => None,
    }
}

fn over_growth(over: &OverSpec) -> Option<&'static str> {
    match over.completion {
        _ if over.ttl.is_some() => None,
        Completion::Changes if over.key_count > 0 => Some(
            "OVER above rows that come and go keeps all rows; order by the column with the watermark over rows that stay, or \
             forget idle partitions with /*+ STATE_TTL('1h') */",
        ),
        Completion::Changes | Completion::End => Some(
            "OVER above rows that come and go keeps all rows; order by the column with the watermark over rows that stay",
        ),
        Completion::Time { .. } | Completion::Arrival if over.key_count > 0 && !over.forgets_keys() => Some(
            "OVER keeps something of every key there ever was; let frames be stretches of time (RANGE BETWEEN INTERVAL ... \
             PRECEDING), PARTITION BY a window as well, or forget idle keys with /*+ STATE_TTL('1h') */",
        ),
        _ => None,
    }
}

fn rank_growth(rank: &RankSpec) -> Option<&'static str> {
    match rank.completion {
        Completion::Window { .. } => None,
        _ if rank.ttl.is_some() => None,
        _ if rank.takes_back => Some(
            "the first rows of rows that come and go keep all rows; rank within a window, whose columns PARTITION BY names, or \
             forget idle keys with PARTITION BY and /*+ STATE_TTL('1h') */",
        ),
        _ if rank.key_count > 0 => Some(
            "the first rows per key are kept for every key there ever was; PARTITION BY a window as well, or forget idle \
             keys with /*+ STATE_TTL('1h') */",
        ),
        _ => None,
    }
}
