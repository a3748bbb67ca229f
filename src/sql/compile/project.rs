//! `SELECT` lists: computes columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_expr::{Expr, Projection};

use super::columns::Columns;
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::expression::Program;
use crate::pipeline::{EventTime, NodeId, ProjectSpec, Spec};

impl Compiler {
    pub(super) fn projection(&mut self, projection: &Projection) -> Result<NodeId> {
        self.note_unread_rank(projection);
        let input = self.plan(&projection.input)?;
        let mut columns = self.columns(input, &projection.input);
        let schema = engine_schema(&projection.schema);
        let exprs: Vec<&Expr> = projection.expr.iter().collect();
        self.narrow_join(input, &mut columns, &exprs)?;
        columns.time = self.nodes[input].time.as_ref().map(|time| time.column);
        if self.is_renaming(input, &columns, &exprs, &schema) {
            self.nodes[input].schema = schema;
            return Ok(input);
        }
        self.add_project(input, &columns, &exprs, schema)
    }

    /// Computes `exprs` over `columns` of `input`, a column of `schema` each.
    pub(super) fn add_project(
        &mut self,
        input: NodeId,
        columns: &Columns,
        exprs: &[&Expr],
        schema: SchemaRef,
    ) -> Result<NodeId> {
        let mut expressions = Expressions::new(columns);
        for (expr, field) in exprs.iter().zip(schema.fields()) {
            expressions.output_as(expr, field.data_type())?;
        }
        let sources: Vec<Option<usize>> = exprs.iter().map(|expr| columns.plain(expr)).collect();
        let time = self.time_after(input, &sources);
        let spec = Spec::Project(ProjectSpec { program: expressions.finish() });
        let node = self.add_above(input, spec, schema, time);
        self.nodes[node].place = exprs.iter().find_map(|expr| place_of(expr));
        self.closed_after(input, node, &sources);
        self.truncated_by(input, node, columns, exprs);
        Ok(node)
    }

    /// Puts the columns `order` of `input` out, under the names of `schema`.
    pub(super) fn add_selection(&mut self, input: NodeId, order: &[usize], schema: SchemaRef) -> NodeId {
        let from = self.nodes[input].schema.clone();
        let columns: Vec<(usize, DataType)> =
            order.iter().map(|&column| (column, from.field(column).data_type().clone())).collect();
        let sources: Vec<Option<usize>> = order.iter().map(|&column| Some(column)).collect();
        let time = self.time_after(input, &sources);
        let types = schema.fields().iter().zip(&columns);
        let fields: Vec<Field> =
            types.map(|(field, (_, data_type))| field.as_ref().clone().with_data_type(data_type.clone())).collect();
        let program = Arc::new(Program::columns(&columns));
        let node = self.add_above(input, Spec::Project(ProjectSpec { program }), Arc::new(Schema::new(fields)), time);
        self.closed_after(input, node, &sources);
        node
    }

    /// Which of the new columns is the event time, where each is the input column named or a computed one.
    pub(super) fn time_after(&self, input: NodeId, sources: &[Option<usize>]) -> Option<EventTime> {
        let time = self.nodes[input].time.clone()?;
        let column = sources.iter().position(|source| *source == Some(time.column))?;
        Some(EventTime { column, unit: time.unit })
    }

    /// Whether the projection does nothing but give the columns other names. A scan keeps its own.
    fn is_renaming(&self, input: NodeId, columns: &Columns, exprs: &[&Expr], schema: &SchemaRef) -> bool {
        let from = &self.nodes[input];
        let same_types = || {
            let pairs = from.schema.fields().iter().zip(schema.fields());
            pairs.clone().all(|(from, to)| from.data_type() == to.data_type())
                && (!matches!(from.spec, Spec::Scan(_)) || pairs.clone().all(|(from, to)| from.name() == to.name()))
        };
        exprs.len() == from.schema.fields().len()
            && exprs.iter().enumerate().all(|(index, expr)| columns.plain(expr) == Some(index))
            && same_types()
    }
}
