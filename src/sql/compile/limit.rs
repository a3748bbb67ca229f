//! `LIMIT` and `OFFSET`: the first rows, in the order they come.

use datafusion_expr::{FetchType, Limit, LogicalPlan, SkipType};

use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{ChangeMode, LimitSpec, NodeId, Spec};
use crate::sql::bridge::foreign;

impl Compiler {
    pub(super) fn limit(&mut self, limit: &Limit) -> Result<NodeId> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type().map_err(foreign)?, limit.get_fetch_type().map_err(foreign)?)
        else {
            return Err(Error::user("LIMIT and OFFSET need a number; write it into the query"));
        };
        let over_sort = matches!(limit.input.as_ref(), LogicalPlan::Sort(sort) if sort.fetch.is_some());
        self.skip = if over_sort { skip } else { 0 };
        let input = self.plan(&limit.input)?;
        self.skip = 0;
        if over_sort && !self.nodes[input].bounded && self.nodes[input].changes == ChangeMode::Updating {
            return Ok(input);
        }
        if skip == 0 && fetch.is_none() {
            return Ok(input);
        }
        if let (true, false, Some(fetch)) = (self.is_continuous, self.nodes[input].bounded, fetch) {
            // Any of the rows will do: the first by all their columns, so that the same rows give the same answer.
            return Ok(self.first_of_any(input, skip, skip.saturating_add(fetch)));
        }
        let instead = "leave LIMIT away, add ORDER BY to follow the first rows, or use EMIT FINAL";
        let input = self.folded(input, "LIMIT", instead)?;
        self.needs_input_order |= !self.has_order(input);
        let (schema, time) = (self.nodes[input].schema.clone(), self.nodes[input].time.clone());
        Ok(self.add_above(input, Spec::Limit(LimitSpec { skip, fetch }), schema, time))
    }

    /// Whether the rows of a node come in an order of the query's own.
    fn has_order(&self, node: NodeId) -> bool {
        let Some(node) = self.nodes.get(node) else { return false };
        match &node.spec {
            Spec::Sort(_) | Spec::Values(_) => true,
            Spec::Aggregate(aggregate) => aggregate.key_count == 0 && aggregate.window.is_none(),
            Spec::Project(_) | Spec::Filter(_) | Spec::Limit(_) => {
                node.inputs.iter().all(|&input| self.has_order(input))
            }
            _ => false,
        }
    }
}
