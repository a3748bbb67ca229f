//! `GROUP BY` and `DISTINCT`: groups, and windows of groups by panes.
//!
//! The pipeline's aggregate puts out keys, then window columns, then aggregates; a projection above brings them into
//! the order of the plan where that is another one.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_expr::{Aggregate, Expr, LogicalPlan};

use super::call::Call;
use super::closed::Closed;
use super::columns::Columns;
use super::covered;
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_schema;
use super::window::Windowed;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{
    AggregateSpec, AggregateWindow, ChangeMode, EmitMode, EventTime, Node, NodeId, Spec, WindowColumn, time_unit,
};

/// The rows that an aggregate groups.
pub(super) struct Grouped {
    pub node: NodeId,
    pub columns: Columns,
    pub window: Option<Windowed>,
    /// Groups that are there even when no row is, by their keys.
    pub standing: Vec<Vec<ArrayRef>>,
}

/// Where a grouping expression's values come out.
enum Group {
    Key(usize),
    Window(WindowColumn),
}

impl Compiler {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<NodeId> {
        let schema = engine_schema(&aggregate.schema);
        let is_outermost = !std::mem::replace(&mut self.below_aggregate, true);
        let node = match aggregate.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => self.grouping_sets(sets, aggregate, schema, is_outermost)?,
            _ => {
                let keys = datafusion_expr::utils::grouping_set_to_exprlist(&aggregate.group_expr);
                let keys = keys.map_err(crate::sql::bridge::foreign)?;
                let grouped = self.grouped(&aggregate.input, &keys, &aggregate.aggr_expr, is_outermost, false)?;
                self.add_aggregate(&grouped, &keys, &aggregate.aggr_expr, schema, is_outermost)?
            }
        };
        self.below_aggregate = !is_outermost;
        Ok(node)
    }

    /// `SELECT DISTINCT`: groups by all columns.
    pub(super) fn distinct(&mut self, input: &LogicalPlan) -> Result<NodeId> {
        let schema = engine_schema(input.schema());
        let keys: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        let keys: Vec<&Expr> = keys.iter().collect();
        let is_outermost = !std::mem::replace(&mut self.below_aggregate, true);
        let grouped = self.grouped(input, &keys, &[], is_outermost, false)?;
        let node = self.add_aggregate(&grouped, &keys, &[], schema, is_outermost)?;
        self.below_aggregate = !is_outermost;
        Ok(node)
    }

    /// Compiles what is to be grouped: in windows by panes, when window columns are among the keys and nothing else of
    /// the aggregate looks into them, or when the rows tell of windows that have closed.
    pub(super) fn grouped(
        &mut self,
        input: &LogicalPlan,
        keys: &[&Expr],
        calls: &[Expr],
        is_outermost: bool,
        in_sets: bool,
    ) -> Result<Grouped> {
        let known = super::window::window_columns(input);
        let by_window = known.is_some_and(|known| {
            let is_window = |expr: &Expr| super::window::plain_index(expr, input).is_some_and(|column| known[column]);
            let looks_in = |expr: &Expr| super::window::reads(expr, input, &known, true);
            keys.iter().any(|key| is_window(key))
                && keys.iter().all(|key| is_window(key) || !looks_in(key))
                && !calls.iter().any(looks_in)
                && super::per_key::are_of_groups(input, keys, in_sets)
        });
        if by_window {
            let windowed = self.windowed(input, is_outermost)?;
            return Ok(Grouped {
                node: windowed.node,
                columns: windowed.columns.clone(),
                window: Some(windowed),
                standing: Vec::new(),
            });
        }
        let node = self.plan(input)?;
        let columns = self.columns(node, input);
        let continuous = self.is_continuous && self.emit != Some(EmitMode::Final);
        let at_once = continuous || (is_outermost && self.emit == Some(EmitMode::Changes));
        if !self.nodes[node].bounded && !at_once {
            if let Some(windowed) = self.in_closed_windows(node, &columns, keys)? {
                return Ok(Grouped { node: windowed.node, columns, window: Some(windowed), standing: Vec::new() });
            }
            if let Some(windowed) = self.in_stretches(node, &columns, keys)? {
                return Ok(Grouped { node: windowed.node, columns, window: Some(windowed), standing: Vec::new() });
            }
            if let Some(windowed) = self.in_truncated_time(node, &columns, keys)? {
                return Ok(Grouped { node: windowed.node, columns, window: Some(windowed), standing: Vec::new() });
            }
        }
        let standing = if keys.is_empty() { vec![Vec::new()] } else { Vec::new() };
        Ok(Grouped { node, columns, window: None, standing })
    }

    /// Groups rows by `keys`; the node's columns are those of `schema`: the keys, then a column per call.
    pub(super) fn add_aggregate(
        &mut self,
        grouped: &Grouped,
        keys: &[&Expr],
        calls: &[Expr],
        schema: SchemaRef,
        is_outermost: bool,
    ) -> Result<NodeId> {
        let updating = self.nodes[grouped.node].changes == ChangeMode::Updating;
        let emit = self.emit_mode(grouped, is_outermost);
        let fires = is_outermost && self.is_fired(self.nodes[grouped.node].bounded, grouped.window.is_some());
        let mut expressions = Expressions::new(&grouped.columns);
        let mut groups = Vec::with_capacity(keys.len());
        let mut key_fields: Vec<Field> = Vec::new();
        for (key, field) in keys.iter().zip(schema.fields()) {
            match grouped.columns.plain_window(key) {
                Some(column) => groups.push(Group::Window(column)),
                None => {
                    groups.push(Group::Key(key_fields.len()));
                    expressions.output_as(key, field.data_type())?;
                    key_fields.push(field.as_ref().clone());
                }
            }
        }
        let mut aggregates = Vec::with_capacity(calls.len());
        let mut nullable = Vec::with_capacity(calls.len());
        for (expr, field) in calls.iter().zip(&schema.fields()[keys.len()..]) {
            let call = Call::new(expr, field.data_type())?;
            nullable.push(call.takes_nulls(&expressions)?);
            let bound = call.bind(&mut expressions, emit == EmitMode::Changes, updating)?;
            self.needs_input_order |= bound.function.is_order_sensitive();
            aggregates.push(bound);
        }
        let key_count = key_fields.len();
        let window = grouped.window.as_ref().map(|windowed| AggregateWindow {
            kind: windowed.kind.clone(),
            column: windowed.time.unwrap_or(0),
            data_type: windowed.data_type.clone(),
            outputs: window_outputs(windowed, &groups, fires),
        });
        let outputs = window.as_ref().map_or(Vec::new(), |window| window.outputs.clone());
        let results = schema.fields()[keys.len()..].iter().zip(&aggregates);
        let results = results.map(|(field, call)| field.as_ref().clone().with_name(call.text.clone()));
        let physical = physical_schema(key_fields, window.as_ref(), results);
        if let Some(windowed) = &grouped.window
            && emit == EmitMode::Changes
            && !windowed.kind.has_time()
        {
            return Err(Error::user(
                "EMIT CHANGES and EMIT EVERY do not go with windows of rows, which leave when they are full",
            ));
        }
        let closed = grouped.window.as_ref().filter(|windowed| emit == EmitMode::Final && windowed.kind.has_time());
        let closed = closed.map(|windowed| {
            let keys = keys.iter().zip(&groups).filter(|(_, group)| matches!(group, Group::Key(_)));
            let keys = keys.map(|(key, _)| windowed.closed.as_ref()?.columns[grouped.columns.plain(key)?]);
            let columns = keys.chain(outputs.iter().copied().map(Some)).chain(calls.iter().map(|_| None));
            let kind = windowed.closed.as_ref().map_or(&windowed.kind, |closed| &closed.kind).clone();
            Closed { kind, data_type: windowed.data_type.clone(), columns: columns.collect() }
        });
        let time = closed.as_ref().and_then(event_time);
        let mut program = Arc::unwrap_or_clone(expressions.finish());
        covered::share(&mut program, key_count, &mut aggregates, &nullable);
        let program = Arc::new(program);
        let standing_groups = grouped.standing.clone();
        let forgets = window.is_none() && key_count > 0 && emit == EmitMode::Changes;
        let ttl = if forgets { self.state_ttl_over(grouped.node) } else { None };
        let spec = AggregateSpec { program, key_count, aggregates, standing_groups, window, emit, ttl };
        let Node { bounded, place, .. } = self.nodes[grouped.node];
        let node = Node {
            spec: Spec::Aggregate(spec),
            inputs: vec![grouped.node],
            schema: physical,
            changes: if emit == EmitMode::Changes { ChangeMode::Updating } else { ChangeMode::Append },
            time,
            bounded,
            place: keys.iter().copied().chain(calls).find_map(place_of).or(place),
        };
        let mut node = self.add(node);
        if let Some(closed) = closed {
            self.closed.insert(node, closed);
        }
        if fires {
            let end = outputs.iter().position(|output| *output == WindowColumn::End).map(|end| key_count + end);
            node = self.fire(node, key_count + outputs.len(), key_count, end)?;
        }
        if let Some(windowed) = &grouped.window {
            for (condition, columns) in &windowed.late {
                let columns = columns.after_window(&outputs, key_count, &windowed.data_type);
                node = self.add_filter(node, &columns, condition)?;
            }
        }
        let order = plan_order(&groups, &outputs, key_count, calls.len());
        Ok(self.reordered(node, &order, schema))
    }

    /// When the results of an aggregate leave: as EMIT says for the outermost one, else as its input allows.
    pub(super) fn emit_mode(&self, grouped: &Grouped, is_outermost: bool) -> EmitMode {
        let unbounded_groups = !self.nodes[grouped.node].bounded && grouped.window.is_none();
        let corrects = is_outermost && self.is_fired(self.nodes[grouped.node].bounded, grouped.window.is_some());
        match self.emit {
            _ if corrects => EmitMode::Changes,
            Some(EmitMode::Final) => EmitMode::Final,
            Some(EmitMode::Changes) if is_outermost => EmitMode::Changes,
            _ if unbounded_groups || self.is_continuous => EmitMode::Changes,
            _ => EmitMode::Final,
        }
    }

    /// `node` with its columns in this order, under the plan's names.
    pub(super) fn reordered(&mut self, node: NodeId, order: &[usize], schema: SchemaRef) -> NodeId {
        let as_is =
            order.len() == self.nodes[node].schema.fields().len() && order.iter().enumerate().all(|(i, &c)| i == c);
        if !as_is {
            return self.add_selection(node, order, schema);
        }
        self.nodes[node].schema = schema;
        node
    }
}

/// The window columns to put out: those the plan groups by, then those that conditions on the results read
/// besides, and the end where that decides when results leave.
fn window_outputs(windowed: &Windowed, groups: &[Group], fires: bool) -> Vec<WindowColumn> {
    let wanted = groups.iter().filter_map(|group| if let Group::Window(column) = group { Some(*column) } else { None });
    let read = windowed.late.iter().flat_map(|(condition, columns)| columns.window_columns(condition));
    let mut outputs = Vec::new();
    for column in wanted.chain(read).chain(fires.then_some(WindowColumn::End)) {
        if !outputs.contains(&column) {
            outputs.push(column);
        }
    }
    outputs
}

/// Keys, window columns, aggregates.
fn physical_schema(
    mut fields: Vec<Field>,
    window: Option<&AggregateWindow>,
    results: impl Iterator<Item = Field>,
) -> SchemaRef {
    for column in window.iter().flat_map(|window| window.outputs.iter().map(|output| (output, &window.data_type))) {
        let name = match column.0 {
            WindowColumn::Start => "window_start",
            WindowColumn::End => "window_end",
            WindowColumn::Time => "window_time",
        };
        fields.push(Field::new(name, column.1.clone(), false));
    }
    fields.extend(results);
    Arc::new(Schema::new(fields))
}

/// The column of closed windows that is their event time: the last tick inside, else the end.
pub(super) fn event_time(closed: &Closed) -> Option<EventTime> {
    let position = |wanted| closed.columns.iter().position(|column| *column == Some(wanted));
    let column = position(WindowColumn::Time).or(position(WindowColumn::End))?;
    Some(EventTime { column, unit: time_unit(&closed.data_type)? })
}

/// For each column of the plan, the column of the node.
fn plan_order(groups: &[Group], outputs: &[WindowColumn], key_count: usize, call_count: usize) -> Vec<usize> {
    let group = |group: &Group| match group {
        Group::Key(key) => *key,
        Group::Window(column) => {
            key_count + outputs.iter().position(|output| output == column).expect("every window key is an output")
        }
    };
    let calls = (0..call_count).map(|call| key_count + outputs.len() + call);
    groups.iter().map(group).chain(calls).collect()
}
