//! Grouping sets in every worker, put together by the owners of their groups.

use super::assemble::Assembly;
use super::parts::Parts;
use crate::error::Result;
use crate::pipeline::{Node, NodeId, SetsSpec};
use crate::stream::exchange::Route;
use crate::stream::operator::{Aggregate, GroupingSets};

impl Assembly<'_> {
    /// One worker makes the results itself. Of several each makes groups of its rows, which go to their owners; so they do
    /// where snapshots are wanted, for the owners' groups are what is remembered.
    pub(super) fn sets(&mut self, id: NodeId, node: &Node, spec: &SetsSpec) -> Result<Parts> {
        let mut parts = self.node(node.inputs[0])?;
        let is_spread = parts.iter().flatten().count() > 1;
        let sends_groups = is_spread || self.options.portable;
        let rows = self.config.batch_rows;
        for part in parts.iter_mut().flatten() {
            let operator = GroupingSets::new(spec, self.seed, self.context, sends_groups, rows);
            let name = if sends_groups { "local grouping sets" } else { "grouping sets" };
            self.append(part, name, Some(id), Box::new(operator));
        }
        if !sends_groups {
            return Ok(parts);
        }
        let mut merged = spec.merged();
        let standing = std::mem::take(&mut merged.standing_groups);
        let first = parts.iter().position(Option::is_some).unwrap_or(0);
        let mut owners = vec![first; standing.len()];
        if is_spread {
            let route = Route::Hash(merged.program.output_types[..merged.key_count].to_vec());
            for (owner, group) in owners.iter_mut().zip(&standing) {
                *owner = route.owner(self.context, group, self.partitions)?;
            }
            self.parted_by.insert(id, vec![(0..merged.key_count).collect()]);
            parts = self.exchange(parts, route)?;
        }
        for (worker, part) in parts.iter_mut().enumerate() {
            let Some(part) = part else { continue };
            let own = standing.iter().zip(&owners).filter(|(_, owner)| **owner == worker);
            merged.standing_groups = own.map(|(group, _)| group.clone()).collect();
            let operator = Aggregate::new(&merged, self.seed, self.context, false, rows);
            self.append(part, "aggregate", Some(id), Box::new(operator));
        }
        Ok(parts)
    }
}
