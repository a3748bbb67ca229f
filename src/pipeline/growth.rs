//! State without a bound, over input without an end: what a query that runs for long will fail of.

use super::{AggregateSpec, NodeId, Pipeline, Spec};
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
            let why = match &node.spec {
                _ if self.is_bounded_below(id) => return None,
                Spec::Aggregate(AggregateSpec { window: None, ttl: None, key_count, .. }) if *key_count > 0 => {
                    "GROUP BY without a window keeps a group for every key there ever was; group by a window, or forget \
                     idle groups with /*+ STATE_TTL('1h') */"
                }
                _ => return None,
            };
            Some(Growth { node: id, why: why.to_string(), place: node.place })
        };
        self.nodes.iter().enumerate().filter_map(grows).collect()
    }

    fn is_bounded_below(&self, id: NodeId) -> bool {
        self.nodes[id].inputs.iter().all(|input| self.nodes[*input].bounded)
    }
}
