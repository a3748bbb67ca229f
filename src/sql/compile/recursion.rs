//! `WITH RECURSIVE`: two pipelines within one, the second over what the last run gave.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion_expr::{LogicalPlan, RecursiveQuery, TableScan};

use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{ChangeMode, Node, NodeId, Pipeline, RecursionSpec, Spec};

impl Compiler {
    pub(super) fn recursion(&mut self, query: &RecursiveQuery) -> Result<NodeId> {
        let schema = engine_schema(&query.schema);
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let initial = self.term(&query.static_term, &schema)?;
        let body = self.term(&query.recursive_term, &schema)?;
        let spec = RecursionSpec { name: query.name.clone(), initial, body, distinct: query.is_distinct };
        let (spec, changes) = (Spec::Recursion(spec), ChangeMode::Append);
        Ok(self.add(Node { spec, inputs: Vec::new(), schema, changes, time: None, bounded: true, place: None }))
    }

    /// A term as a pipeline of its own, with the columns of `schema`.
    fn term(&mut self, plan: &LogicalPlan, schema: &SchemaRef) -> Result<Arc<Pipeline>> {
        let mut compiler = Compiler::new(None);
        let node = compiler.plan(plan)?;
        let node = compiler.fitted(node, plan, schema)?;
        let output = &compiler.nodes[node];
        if !output.bounded || output.changes == ChangeMode::Updating {
            return Err(Error::user("a recursive query reads tables that end, whose rows are not taken back"));
        }
        Ok(Arc::new(Pipeline { nodes: compiler.nodes, needs_input_order: compiler.needs_input_order }))
    }

    /// The rows of the last run.
    pub(super) fn work_table(&mut self, scan: &TableScan) -> NodeId {
        let schema = scan.source.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let (spec, inputs, changes) = (Spec::WorkTable, Vec::new(), ChangeMode::Append);
        let engine = crate::batch::engine_schema(&schema);
        let node = Node { spec, inputs, schema: engine.clone(), changes, time: None, bounded: true, place: None };
        let node = self.add(node);
        match &scan.projection {
            Some(projection) if *projection != all => {
                let fields = projection.iter().map(|&column| engine.field(column).clone());
                self.add_selection(node, projection, Arc::new(Schema::new(fields.collect::<Vec<_>>())))
            }
            _ => node,
        }
    }
}
