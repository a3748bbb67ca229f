//! `UNNEST`: lists into rows, structs into columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{Column, NullHandling};
use datafusion_expr::{Expr, Unnest, lit};

use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{NodeId, Spec, UnnestOutput, UnnestSpec};
use crate::sql::plan::FUNCTIONS;

impl Compiler {
    pub(super) fn unnest(&mut self, unnest: &Unnest) -> Result<NodeId> {
        let keeps_empty = match unnest.options.null_handling {
            NullHandling::Drop => false,
            NullHandling::PreserveAndExpandEmpty => true,
            NullHandling::Preserve => return Err(Error::bug("SQL has no UNNEST that tells NULL from an empty list")),
        };
        let input = self.plan(&unnest.input)?;
        let columns = self.columns(input, &unnest.input);
        let (exprs, depths) = outputs(unnest)?;
        // A column of the input for each that leaves; lists are still whole.
        let mut fields = Vec::new();
        for (expr, field) in exprs.iter().zip(engine_schema(&unnest.schema).fields()) {
            let field = match (columns.plain(expr), expr) {
                (Some(at), _) => self.nodes[input].schema.field(at).clone(),
                // A list of another form, which is still whole.
                (None, Expr::Cast(cast)) => Field::new("", cast.field.data_type().clone(), true),
                (None, _) => field.as_ref().clone(),
            };
            fields.push(field.with_name(field_name(&unnest.schema, fields.len())));
        }
        let refs: Vec<&Expr> = exprs.iter().collect();
        let mut node = self.add_project(input, &columns, &refs, Arc::new(Schema::new(fields)))?;
        let deepest = depths.iter().copied().max().unwrap_or(0);
        for level in (1..=deepest).rev() {
            let lists: Vec<bool> = depths.iter().map(|depth| *depth >= level).collect();
            node = self.add_unnest(node, &lists, keeps_empty)?;
        }
        let schema = engine_schema(&unnest.schema);
        let types =
            |schema: &SchemaRef| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        debug_assert_eq!(types(&self.nodes[node].schema), types(&schema), "an element has the type of its list");
        self.nodes[node].schema = schema;
        Ok(node)
    }

    /// A row for each element of the columns that are `lists`.
    fn add_unnest(&mut self, input: NodeId, lists: &[bool], keeps_empty: bool) -> Result<NodeId> {
        let from = self.nodes[input].schema.clone();
        let (mut outputs, mut fields) = (Vec::new(), Vec::new());
        for (at, field) in from.fields().iter().enumerate() {
            if !lists[at] {
                outputs.push(UnnestOutput::Column(at));
                fields.push(field.as_ref().clone());
                continue;
            }
            outputs.push(UnnestOutput::List(at));
            let element = match field.data_type() {
                DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                    super::types::engine_type(element.data_type())
                }
                DataType::Null => DataType::Null,
                other => return Err(Error::user(format!("UNNEST takes a list or a struct, not {other}"))),
            };
            fields.push(Field::new(field.name(), element, true));
        }
        let sources: Vec<Option<usize>> = (0..lists.len()).map(|at| (!lists[at]).then_some(at)).collect();
        let time = self.time_after(input, &sources);
        let spec = Spec::Unnest(UnnestSpec { outputs, keeps_empty });
        let node = self.add_above(input, spec, Arc::new(Schema::new(fields)), time);
        self.closed_after(input, node, &sources);
        Ok(node)
    }
}

/// What each column that leaves is of the input, and how deep the lists are that are taken apart in it.
fn outputs(unnest: &Unnest) -> Result<(Vec<Expr>, Vec<usize>)> {
    let input = unnest.input.schema().columns();
    let (mut exprs, mut depths) = (Vec::new(), Vec::new());
    for (at, &from) in unnest.dependency_indices.iter().enumerate() {
        let column = Expr::Column(input[from].clone());
        let output = Column::from(unnest.schema.qualified_field(at));
        let list = unnest.list_type_columns.iter().find(|(index, list)| *index == from && list.output_column == output);
        depths.push(list.map_or(0, |(_, list)| list.depth));
        let is_struct = list.is_none() && unnest.struct_type_columns.contains(&from);
        exprs.push(match unnest.input.schema().field(from).data_type() {
            _ if is_struct => field_of(unnest, from, at, column)?,
            // Views of lists are taken apart as lists.
            view @ (DataType::ListView(_) | DataType::LargeListView(_)) if list.is_some() => {
                datafusion_expr::cast(column, crate::batch::engine_type(view))
            }
            _ => column,
        });
    }
    Ok((exprs, depths))
}

/// The field of the struct in column `from` that is the output `at`.
fn field_of(unnest: &Unnest, from: usize, at: usize, column: Expr) -> Result<Expr> {
    let (_, field) = unnest.input.schema().qualified_field(from);
    let DataType::Struct(fields) = field.data_type() else {
        return Err(Error::bug(format!("UNNEST of a struct takes a struct, not {}", field.data_type())));
    };
    let first = unnest.dependency_indices.iter().position(|&index| index == from).expect("it is one of them");
    let field = fields.get(at - first).ok_or_else(|| Error::bug("a struct gives a column for each of its fields"))?;
    Ok(FUNCTIONS.scalars["get_field"].call(vec![column, lit(field.name().as_str())]))
}

fn field_name(schema: &datafusion_common::DFSchema, at: usize) -> String {
    schema.field(at).name().clone()
}
