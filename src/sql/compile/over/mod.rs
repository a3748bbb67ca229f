//! `OVER`: functions of the rows around each row.
//!
//! The plan has a node per combination of PARTITION BY and ORDER BY (nearly); the pipeline's node puts a column per
//! function behind the columns of its input.

mod frame; //    frames
mod function; // the functions
mod when; //     when frames are complete, on input that does not end

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, SortField};
use datafusion_expr::expr::{Sort, WindowFunction};
use datafusion_expr::{Expr, LogicalPlan, Window};

pub(super) use function::is_built_in;

use super::columns::{Columns, refuse};
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{ChangeMode, Completion, EmitMode, Node, NodeId, OverSpec, Spec};

/// Calls over the same partitions in the same order.
pub(super) struct Group<'a> {
    partition_by: &'a [Expr],
    order_by: &'a [Sort],
    /// Each with its number among the node's functions.
    calls: Vec<(usize, &'a Expr, &'a WindowFunction)>,
}

impl Compiler {
    pub(super) fn over(&mut self, window: &Window) -> Result<NodeId> {
        if let Some(ranked) = self.ranked(window)? {
            return Ok(ranked);
        }
        let input = self.over_rows(&window.input)?;
        let columns = self.columns(input, &window.input);
        self.over_input(input, &columns, window)
    }

    /// The rows that functions look around in: where nobody wants to see changes, without any.
    pub(super) fn over_rows(&mut self, plan: &LogicalPlan) -> Result<NodeId> {
        let input = self.plan(plan)?;
        let Node { bounded, changes, .. } = self.nodes[input];
        let is_final = bounded && self.emit != Some(EmitMode::Changes);
        Ok(if is_final && changes == ChangeMode::Updating { self.add_fold(input) } else { input })
    }

    /// The functions of a plan's node behind the columns of `input`.
    pub(super) fn over_input(&mut self, input: NodeId, columns: &Columns, window: &Window) -> Result<NodeId> {
        let schema = engine_schema(&window.schema);
        let width = columns.slots.len();
        let mut order: Vec<usize> = (0..width).collect();
        let mut node = input;
        let mut place = width;
        order.resize(width + window.window_expr.len(), 0);
        for group in groups(&window.window_expr)? {
            let fields: Vec<Field> =
                group.calls.iter().map(|(number, ..)| schema.field(width + number).clone()).collect();
            node = self.add_over(node, columns, &group, fields)?;
            for (number, ..) in &group.calls {
                order[width + number] = place;
                place += 1;
            }
        }
        Ok(self.reordered(node, &order, schema))
    }

    /// Puts the calls of a group behind the columns of `input`, of which the first are `columns`.
    fn add_over(&mut self, input: NodeId, columns: &Columns, group: &Group<'_>, fields: Vec<Field>) -> Result<NodeId> {
        let place = group.calls.iter().find_map(|(_, expr, _)| place_of(expr));
        let mut expressions = Expressions::new(columns);
        for key in group.partition_by {
            let data_type = expressions.output(key)?;
            check_key(key, &data_type, "PARTITION BY")?;
        }
        let mut when = self.completion(input, columns, group).map_err(|e| e.at(place))?;
        let mut options = Vec::new();
        for key in group.order_by {
            if when != Completion::Arrival && !matches!(key.expr, Expr::Literal(..)) {
                let data_type = expressions.output(&key.expr)?;
                check_key(&key.expr, &data_type, "ORDER BY")?;
                options.push(SortOptions { descending: !key.asc, nulls_first: key.nulls_first });
            }
        }
        let mut calls = Vec::with_capacity(group.calls.len());
        for ((_, expr, function), field) in group.calls.iter().zip(&fields) {
            let call = function::call(&mut expressions, function, field, when, options.is_empty());
            calls.push(call.map_err(|e| e.at(place_of(expr).or(place)))?);
        }
        let sees_ties = calls.iter().any(|call| call.function.sees_ties(&call.frame));
        // Without an order of its own a function sees rows as they come.
        if options.is_empty() && sees_ties {
            self.needs_input_order |= when != Completion::Changes;
        }
        let breaks_ties = sees_ties && !options.is_empty() || when == Completion::Changes;
        let node = &self.nodes[input];
        let changes = if when == Completion::Changes { ChangeMode::Updating } else { ChangeMode::Append };
        let all = node.schema.fields().iter().cloned().chain(fields.into_iter().map(Arc::new));
        let schema = Arc::new(Schema::new(all.collect::<Vec<_>>()));
        let time = match when {
            Completion::Time { .. } | Completion::Arrival => node.time.clone(),
            Completion::Window { .. } => self.closed.get(&input).and_then(super::aggregate::event_time),
            Completion::End | Completion::Changes => None,
        };
        if let Completion::Window { column, .. } = &mut when {
            *column = group.key_of(columns, *column);
        }
        let (order, key_count) = (options, group.partition_by.len());
        let (program, completion) = (expressions.finish(), when);
        let mut spec = OverSpec { program, key_count, order, calls, breaks_ties, completion, ttl: None };
        if spec.keeps_partitions() {
            spec.ttl = self.state_ttl_over(input);
        }
        let sources: Vec<Option<usize>> =
            (0..schema.fields().len()).map(|at| (at < node.schema.fields().len()).then_some(at)).collect();
        let above = self.add_above(input, Spec::Over(spec), schema, time);
        self.nodes[above].changes = changes;
        self.nodes[above].place = place;
        if matches!(when, Completion::Window { .. }) {
            self.closed_after(input, above, &sources);
        }
        Ok(above)
    }
}

impl Group<'_> {
    /// Which of the keys is the input's column.
    pub(super) fn key_of(&self, columns: &Columns, column: usize) -> usize {
        self.partition_by.iter().position(|key| columns.plain(key) == Some(column)).unwrap_or(0)
    }
}

/// A call by itself.
pub(super) fn group_of<'a>(expr: &'a Expr, call: &'a WindowFunction) -> Group<'a> {
    Group { partition_by: &call.params.partition_by, order_by: &call.params.order_by, calls: vec![(0, expr, call)] }
}

/// Parts calls by what they are over; a plan's node may hold several such.
fn groups(exprs: &[Expr]) -> Result<Vec<Group<'_>>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (number, expr) in exprs.iter().enumerate() {
        let mut inner = expr;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        let Expr::WindowFunction(function) = inner else {
            return Err(Error::bug(format!("a function with OVER is expected: {expr}")));
        };
        let (partition_by, order_by) = (&function.params.partition_by[..], &function.params.order_by[..]);
        let call = (number, inner, function.as_ref());
        match groups.iter_mut().find(|group| group.partition_by == partition_by && group.order_by == order_by) {
            Some(group) => group.calls.push(call),
            None => groups.push(Group { partition_by, order_by, calls: vec![call] }),
        }
    }
    Ok(groups)
}

/// Refuses keys of types without an order.
pub(super) fn check_key(key: &Expr, data_type: &DataType, clause: &str) -> Result<()> {
    match RowConverter::supports_fields(&[SortField::new(data_type.clone())]) {
        true => Ok(()),
        false => Err(refuse(key, &format!("{clause} cannot take values of type {data_type}"))),
    }
}
