//! `VALUES` and queries without FROM: constant rows.

use arrow::array::{ArrayRef, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use datafusion_common::DFSchema;
use datafusion_expr::{EmptyRelation, Expr, Values};

use super::columns::Columns;
use super::expression::Expressions;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::batch::{Batch, Column};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{ChangeMode, Node, NodeId, Spec, ValuesSpec};

impl Compiler {
    pub(super) fn values(&mut self, values: &Values) -> Result<NodeId> {
        let schema = engine_schema(&values.schema);
        let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::new(); schema.fields().len()];
        for row in &values.values {
            for (cell, column) in constants(row, &schema)?.into_iter().zip(&mut columns) {
                column.push(cell);
            }
        }
        let columns = columns.iter().zip(schema.fields()).map(|(cells, field)| match cells.is_empty() {
            true => Ok(new_empty_array(field.data_type())),
            false => Ok(concat(&cells.iter().map(|cell| cell.as_ref()).collect::<Vec<_>>())?),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(self.add_values(columns, values.values.len(), schema))
    }

    pub(super) fn empty(&mut self, empty: &EmptyRelation) -> Result<NodeId> {
        let schema = engine_schema(&empty.schema);
        let columns = schema.fields().iter().map(|field| match empty.produce_one_row {
            true => arrow::array::new_null_array(field.data_type(), 1),
            false => new_empty_array(field.data_type()),
        });
        Ok(self.add_values(columns.collect(), usize::from(empty.produce_one_row), schema))
    }

    fn add_values(&mut self, columns: Vec<ArrayRef>, rows: usize, schema: SchemaRef) -> NodeId {
        let spec = Spec::Values(ValuesSpec { columns, rows });
        let (inputs, changes) = (Vec::new(), ChangeMode::Append);
        self.add(Node { spec, inputs, schema, changes, time: None, bounded: true, place: None })
    }
}

/// Evaluates a row of expressions that read no column.
fn constants(row: &[Expr], schema: &SchemaRef) -> Result<Vec<ArrayRef>> {
    let none = Columns { schema: DFSchema::empty(), slots: Vec::new(), time: None };
    let mut expressions = Expressions::new(&none);
    for (expr, field) in row.iter().zip(schema.fields()) {
        expressions.output_as(expr, field.data_type())?;
    }
    let mut evaluator = Evaluator::new(expressions.finish(), KernelContext::default());
    let mut batch = Batch { rows: 1, ..Batch::default() };
    evaluator.run(&batch)?;
    let cells = schema.fields().iter().enumerate().map(|(index, field)| {
        let mut cell = Column::default();
        evaluator.take_output(&mut batch, index, &mut cell);
        cell.to_array(field.data_type(), 1, &Default::default())
    });
    cells.collect()
}
