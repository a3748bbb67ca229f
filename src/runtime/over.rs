//! OVER, ranks and ORDER BY on workers: rows made wide, brought to the owner of their partition, and there put in order.

use std::sync::Arc;

use super::assemble::Assembly;
use super::parts::Parts;
use crate::error::Result;
use crate::pipeline::parting;
use crate::pipeline::{Completion, Node, NodeId, OverSpec, RankSpec, SortSpec};
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
            let operator: Box<dyn Operator> = match spec.completion {
                Completion::End | Completion::Window { .. } => Box::new(Over::new(shape.clone())),
                Completion::Time { .. } | Completion::Arrival => Box::new(StreamOver::new(shape.clone())),
                Completion::Changes => Box::new(UpdatingOver::new(shape.clone()).map_err(|e| e.at(node.place))?),
            };
            self.append(part, "over", Some(id), operator);
        }
        Ok(parts)
    }

    pub(super) fn rank(&mut self, id: NodeId, node: &Node, spec: &RankSpec) -> Result<Parts> {
        let input = self.pipeline.nodes[node.inputs[0]].schema.clone();
        let program = wide(&spec.program, &input);
        let parts = self.node(node.inputs[0])?;
        let keys = program.output_types[..spec.key_count].to_vec();
        let mut parts = self.bring_to_owners(id, parts, &program, keys)?;
        let shape = RankShape {
            spec: spec.clone(),
            types: program.output_types.clone(),
            rank_type: node.schema.field(input.fields().len()).data_type().clone(),
            cutoff: self.cutoffs.get(&id).cloned(),
            seed: self.seed,
            context: self.context,
            batch_rows: self.config.batch_rows,
        };
        for part in parts.iter_mut().flatten() {
            let operator = Rank::new(shape.clone()).map_err(|e| e.at(node.place))?;
            self.append(part, "rank", Some(id), Box::new(operator));
        }
        Ok(parts)
    }

    /// Every worker sorts its rows; the first one puts them together.
    pub(super) fn sort(&mut self, id: NodeId, node: &Node, spec: &SortSpec) -> Result<Parts> {
        let input = self.pipeline.nodes[node.inputs[0]].schema.clone();
        let program = wide(&spec.program, &input);
        let mut parts = self.node(node.inputs[0])?;
        let shape = SortShape {
            options: spec.options.clone(),
            fetch: spec.fetch,
            types: program.output_types.clone(),
            keeps_keys: true,
            cutoff: self.cutoffs.entry(id).or_default().clone(),
            batch_rows: self.config.batch_rows,
        };
        let is_alone = parts.iter().flatten().count() <= 1;
        for part in parts.iter_mut().flatten() {
            self.append(part, "project", Some(id), Box::new(Project::new(&program, self.context)));
            if !is_alone {
                self.append(part, "sort", Some(id), Box::new(Sort::new(shape.clone())));
            }
        }
        let mut parts = self.gather(parts)?;
        let last = SortShape { keeps_keys: false, ..shape };
        for part in parts.iter_mut().flatten() {
            self.append(part, "sort", Some(id), Box::new(Sort::new(last.clone())));
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
        let input = self.parting(self.pipeline.nodes[id].inputs[0]);
        let parted = parting::through(&input, program, keys.len());
        if parting::fitting(&parted, keys.len(), self.options.portable).is_some() {
            self.parted_by.insert(id, input);
            return Ok(parts);
        }
        if !keys.is_empty() {
            self.parted_by.insert(id, parting::plain_inputs(program, keys.len()).into_iter().collect());
        }
        let route = if keys.is_empty() { Route::First } else { Route::Hash(keys) };
        self.exchange(parts, route)
    }
}
