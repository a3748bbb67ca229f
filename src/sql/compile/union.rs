//! `UNION ALL`: the rows of several inputs.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_expr::{Expr, Union};

use super::expression::Expressions;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::pipeline::{ChangeMode, EventTime, Node, NodeId, ProjectSpec, Spec};

impl Compiler {
    pub(super) fn union(&mut self, union: &Union) -> Result<NodeId> {
        let schema = engine_schema(&union.schema);
        let mut inputs = Vec::with_capacity(union.inputs.len());
        for input in &union.inputs {
            let node = self.plan(input)?;
            inputs.push(self.fitted(node, input, &schema)?);
        }
        Ok(self.add_union(inputs, schema))
    }

    /// All rows of `inputs`, whose columns have the types of `schema`.
    pub(super) fn add_union(&mut self, inputs: Vec<NodeId>, schema: SchemaRef) -> NodeId {
        let of = |id: &NodeId| &self.nodes[*id];
        let updating = inputs.iter().any(|id| of(id).changes == ChangeMode::Updating);
        let bounded = inputs.iter().all(|id| of(id).bounded);
        let times: Vec<Option<&EventTime>> = inputs.iter().map(|id| of(id).time.as_ref()).collect();
        let same = times.windows(2).all(|pair| pair[0] == pair[1]);
        let time = times.first().copied().flatten().filter(|_| same).cloned();
        let place = inputs.iter().find_map(|id| of(id).place);
        let changes = if updating { ChangeMode::Updating } else { ChangeMode::Append };
        let nullable = |index: usize| inputs.iter().any(|id| of(id).schema.field(index).is_nullable());
        let fields = schema.fields().iter().enumerate();
        let fields: Vec<Field> =
            fields.map(|(index, field)| field.as_ref().clone().with_nullable(nullable(index))).collect();
        let schema = Arc::new(Schema::new(fields));
        self.add(Node { spec: Spec::Union, inputs, schema, changes, time, bounded, place })
    }

    /// `node`, with a projection above where its types are not those of `schema`.
    pub(super) fn fitted(
        &mut self,
        node: NodeId,
        plan: &datafusion_expr::LogicalPlan,
        schema: &SchemaRef,
    ) -> Result<NodeId> {
        let from = self.nodes[node].schema.clone();
        if from.fields().iter().zip(schema.fields()).all(|(from, to)| from.data_type() == to.data_type()) {
            return Ok(node);
        }
        let columns = self.columns(node, plan);
        let mut expressions = Expressions::new(&columns);
        let exprs: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        for (expr, field) in exprs.iter().zip(schema.fields()) {
            expressions.output_as(expr, field.data_type())?;
        }
        let time = self.nodes[node].time.clone();
        let spec = Spec::Project(ProjectSpec { program: expressions.finish() });
        Ok(self.add_above(node, spec, schema.clone(), time))
    }
}
