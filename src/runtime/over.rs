//! OVER on workers: rows made wide, brought to the owner of their partition, and there put in order.

use std::sync::Arc;

use super::assemble::Assembly;
use super::parts::Parts;
use crate::error::Result;
use crate::pipeline::{Node, NodeId, OverSpec};
use crate::stream::exchange::Route;
use crate::stream::operator::*;

impl Assembly<'_> {
    pub(super) fn over(&mut self, id: NodeId, node: &Node, spec: &OverSpec) -> Result<Parts> {
        let input = self.pipeline.nodes[node.inputs[0]].schema.clone();
        let program = wide(&spec.program, &input);
        let parts = self.node(node.inputs[0])?;
        let keys = program.output_types[..spec.key_count].to_vec();
        let mut parts = self.bring_to_owners(id, parts, &program, keys)?;
        let shape = OverShape {
            spec: Arc::new(spec.clone()),
            types: program.output_types.clone(),
            output: node.schema.clone(),
            seed: self.seed,
            context: self.context,
            batch_rows: self.config.batch_rows,
        };
        for part in parts.iter_mut().flatten() {
            self.append(part, "over", Some(id), Box::new(Over::new(shape.clone())));
        }
        Ok(parts)
    }

    /// Computes `program` and sends its rows to the owners of their first columns, which have these types.
    fn bring_to_owners(
        &mut self,
        id: NodeId,
        mut parts: Parts,
        program: &Arc<crate::expression::Program>,
        keys: Vec<arrow::datatypes::DataType>,
    ) -> Result<Parts> {
        for part in parts.iter_mut().flatten() {
            self.append(part, "project", Some(id), Box::new(Project::new(program, self.context)));
        }
        if parts.iter().flatten().count() <= 1 {
            return Ok(parts);
        }
        let route = if keys.is_empty() { Route::First } else { Route::Hash(keys) };
        self.exchange(parts, route)
    }
}
