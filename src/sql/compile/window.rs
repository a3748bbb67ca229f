//! `TUMBLE` and its kin: the windows of each row, or, under an aggregate that groups by them, of each group.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Extension, Filter, LogicalPlan, Projection};

use super::closed::Closed;
use super::columns::{Columns, Slot, refuse};
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{
    ChangeMode, EmitMode, EventTime, NodeId, ProjectSpec, Spec, WindowColumn, WindowKind, WindowSpec, time_unit,
};
use crate::sql::plan::{AsOfNode, OperatorNode, WindowKeys, WindowNode};

/// Rows that an aggregate will put into windows: the window's columns are known, but in no batch yet.
pub(super) struct Windowed {
    pub node: NodeId,
    /// The columns of the plan below the aggregate.
    pub columns: Columns,
    pub kind: WindowKind,
    /// The time column of `node`; `None` for windows of rows.
    pub time: Option<usize>,
    pub data_type: DataType,
    /// Conditions on the window's columns alone, with the columns they read: for the aggregate's results.
    pub late: Vec<(Expr, Columns)>,
    /// What the columns of `node` tell of windows that have closed below, when these are the windows here.
    pub closed: Option<Closed>,
}

impl Compiler {
    pub(super) fn extension(&mut self, extension: &Extension) -> Result<NodeId> {
        if let Some(operator) = extension.node.as_any().downcast_ref::<OperatorNode>() {
            return self.custom(operator);
        }
        if let Some(as_of) = extension.node.as_any().downcast_ref::<AsOfNode>() {
            return self.as_of(as_of);
        }
        let Some(window) = extension.node.as_any().downcast_ref::<WindowNode>() else {
            return Err(Error::user(format!("this part of a query is not supported: {}", extension.node.name())));
        };
        let input = self.plan(&window.input)?;
        let WindowKeys::Columns(keys) = &window.keys else {
            return self.window_of_groups(window, input);
        };
        let columns = self.columns(input, &window.input);
        let plain = |key| columns.plain(key).ok_or_else(|| refuse(key, "a key of a window must be a column"));
        let keys = keys.iter().map(plain).collect::<Result<Vec<usize>>>()?;
        if window.kind.is_per_key() {
            self.refuse_window(input, window)?;
        }
        self.add_window(window, input, keys)
    }

    /// Windows in GROUP BY that no aggregate has taken over: what is per key has no keys here.
    fn window_of_groups(&mut self, window: &WindowNode, input: NodeId) -> Result<NodeId> {
        if !window.kind.is_per_key() {
            return self.add_window(window, input, Vec::new());
        }
        let name = if window.kind.has_time() { "SESSION" } else { "TUMBLE_ROWS" };
        Err(Error::user(format!(
            "this window goes by the other keys of GROUP BY, so the query may look at window_start and window_end only \
             behind its aggregates; use FROM {name}(TABLE ... PARTITION BY ...) instead"
        ))
        .at(window.time.as_ref().and_then(place_of)))
    }

    fn add_window(&mut self, window: &WindowNode, input: NodeId, keys: Vec<usize>) -> Result<NodeId> {
        let column = self.window_column(window, input)?;
        if let Some(column) = column {
            self.prefer_time(input, column);
        }
        let spec = WindowSpec { kind: window.kind.clone(), column: column.unwrap_or(0), keys };
        let (schema, mut time) = (engine_schema(&window.schema), self.nodes[input].time.clone());
        let own = schema.fields().len() - window.columns().len();
        let is_event_time = column.is_some() && time.as_ref().map(|time| time.column) == column;
        let is_session = matches!(window.kind, WindowKind::Session { .. });
        if is_session {
            if !is_event_time {
                self.without_watermark(input);
            }
            // Rows wait for the end of their session: it is the last tick of that which comes in order.
            let unit = time_unit(window.time_type()).ok_or_else(|| Error::bug("a session has a time"))?;
            time = Some(EventTime { column: own + 2, unit });
        }
        self.needs_input_order |= !window.kind.has_time();
        let node = self.add_above(input, Spec::Window(spec), schema, time);
        self.nodes[node].place = window.time.as_ref().and_then(place_of);
        if (is_event_time || is_session) && self.nodes[node].changes == ChangeMode::Append {
            // Rows of a window come before the watermark passes its end, as those of windows that have closed do.
            let of_window = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time].map(Some);
            let columns = std::iter::repeat_n(None, own).chain(of_window).collect();
            let closed = Closed { kind: window.kind.clone(), data_type: window.time_type().clone(), columns };
            self.closed.insert(node, closed);
        }
        Ok(node)
    }

    /// The input's column that windows are made of.
    fn window_column(&self, window: &WindowNode, input: NodeId) -> Result<Option<usize>> {
        let columns = self.columns(input, &window.input);
        let column = |time| columns.plain(time).ok_or_else(|| refuse(time, "the time of a window must be a column"));
        window.time.as_ref().map(column).transpose()
    }

    /// The rows below an aggregate whose groups are to be windows; `plan` is one that `window_columns` knows. For the
    /// outermost aggregate of a query, late rows go as its clauses say.
    pub(super) fn windowed(&mut self, plan: &LogicalPlan, is_outermost: bool) -> Result<Windowed> {
        match plan {
            LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref() {
                Some(window) => self.windowed_input(window, is_outermost),
                None => Err(Error::bug("a window node was expected below a windowed aggregate")),
            },
            LogicalPlan::SubqueryAlias(alias) => {
                let mut windowed = self.windowed(&alias.input, is_outermost)?;
                windowed.columns.schema = alias.schema.as_ref().clone();
                Ok(windowed)
            }
            LogicalPlan::Filter(filter) => self.windowed_filter(filter, is_outermost),
            LogicalPlan::Projection(projection) => self.windowed_projection(projection, is_outermost),
            _ => Err(Error::bug("only filters and projections stand between a window and its aggregate")),
        }
    }

    fn windowed_input(&mut self, window: &WindowNode, is_outermost: bool) -> Result<Windowed> {
        let node = self.plan(&window.input)?;
        self.refuse_window(node, window)?;
        let time = self.window_column(window, node)?;
        if let Some(time) = time {
            self.prefer_time(node, time);
        }
        if time.is_some() && self.nodes[node].time.as_ref().map(|event_time| event_time.column) != time {
            self.without_watermark(node);
        }
        let node = if is_outermost { self.around_late_rows(node, &window.kind, time)? } else { node };
        self.needs_input_order |= !window.kind.has_time();
        let mut columns = self.columns(node, &window.input);
        columns.schema = window.schema.as_ref().clone();
        let own = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time].map(Slot::Window);
        columns.slots.extend(own.into_iter().take(window.columns().len()));
        Ok(Windowed {
            node,
            columns,
            kind: window.kind.clone(),
            time,
            data_type: window.time_type().clone(),
            late: Vec::new(),
            closed: None,
        })
    }

    /// Fails where windows could not be closed or would have to be opened again.
    fn refuse_window(&self, node: NodeId, window: &WindowNode) -> Result<()> {
        if window.kind.is_per_key() && self.nodes[node].changes == ChangeMode::Updating {
            let message = "sessions and windows of rows cannot stand above rows that may be taken back; use EMIT FINAL \
                           below, or windows at fixed places";
            return Err(Error::user(message).at(window.time.as_ref().and_then(place_of)));
        }
        let input = &self.nodes[node];
        let column = self.window_column(window, node)?;
        let is_event_time = column.is_none() || input.time.as_ref().map(|time| time.column) == column;
        let stays_open = self.is_continuous && self.emit != Some(EmitMode::Final);
        if !input.bounded && !is_event_time && !stays_open {
            let why = "a window over input that does not end needs a column with a watermark; \
                       declare WATERMARK FOR it in CREATE TABLE";
            return Err(window.time.as_ref().map_or_else(|| Error::user(why), |time| refuse(time, why)));
        }
        Ok(())
    }

    /// Takes the watermarks below a node away: they speak of another column than its windows, which close at the end.
    fn without_watermark(&mut self, node: NodeId) {
        let below = &mut self.nodes[node];
        below.time = None;
        if let Spec::Scan(scan) = &mut below.spec {
            scan.watermark = None;
        }
        for input in below.inputs.clone() {
            self.without_watermark(input);
        }
    }

    fn windowed_filter(&mut self, filter: &Filter, is_outermost: bool) -> Result<Windowed> {
        let mut windowed = self.windowed(&filter.input, is_outermost)?;
        let conjuncts = split_conjunction(&filter.predicate).into_iter().cloned();
        let (late, early): (Vec<Expr>, Vec<Expr>) = conjuncts.partition(|expr| windowed.columns.reads_window(expr));
        windowed.late.extend(late.into_iter().map(|expr| (expr, windowed.columns.clone())));
        if let Some(early) = conjunction(early) {
            windowed.node = self.add_filter(windowed.node, &windowed.columns, &early)?;
        }
        Ok(windowed)
    }

    /// A projection without the window columns, which no batch has yet, and with the time column at the end.
    fn windowed_projection(&mut self, projection: &Projection, is_outermost: bool) -> Result<Windowed> {
        let below = self.windowed(&projection.input, is_outermost)?;
        let mut expressions = Expressions::new(&below.columns);
        let planned = engine_schema(&projection.schema);
        let mut fields: Vec<Field> = Vec::new();
        let mut slots = Vec::new();
        let mut sources = Vec::new();
        for (expr, field) in projection.expr.iter().zip(planned.fields()) {
            if let Some(column) = below.columns.plain_window(expr) {
                slots.push(Slot::Window(column));
                continue;
            }
            expressions.output_as(expr, field.data_type())?;
            slots.push(Slot::Input { index: fields.len(), data_type: field.data_type().clone() });
            sources.push(below.columns.plain(expr));
            fields.push(field.as_ref().clone());
        }
        let time = below.time.map(|time| {
            sources.iter().position(|source| *source == Some(time)).unwrap_or_else(|| {
                let field = self.nodes[below.node].schema.field(time).clone();
                expressions.output_input(time, field.data_type().clone());
                sources.push(Some(time));
                fields.push(field);
                fields.len() - 1
            })
        });
        let spec = Spec::Project(ProjectSpec { program: expressions.finish() });
        let event_time = self.time_after(below.node, &sources);
        let node = self.add_above(below.node, spec, Arc::new(Schema::new(fields)), event_time);
        self.nodes[node].place = projection.expr.iter().find_map(place_of);
        let columns = Columns { schema: projection.schema.as_ref().clone(), slots, time: None };
        Ok(Windowed { node, columns, time, ..below })
    }
}

/// For each column of a window node, or of filters and projections above one that keep its columns apart from the
/// others, whether it is one of the window's; `None` for other plans.
pub(super) fn window_columns(plan: &LogicalPlan) -> Option<Vec<bool>> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let window = extension.node.as_any().downcast_ref::<WindowNode>()?;
            let own = window.input.schema().fields().len();
            Some((0..window.schema.fields().len()).map(|column| column >= own).collect())
        }
        LogicalPlan::SubqueryAlias(alias) => window_columns(&alias.input),
        LogicalPlan::Filter(filter) => {
            let below = window_columns(&filter.input)?;
            let apart =
                |expr: &Expr| !reads(expr, &filter.input, &below, true) || !reads(expr, &filter.input, &below, false);
            split_conjunction(&filter.predicate).into_iter().all(apart).then_some(below)
        }
        LogicalPlan::Projection(projection) => {
            let below = window_columns(&projection.input)?;
            let passed = projection.expr.iter().map(|expr| match plain_index(expr, &projection.input) {
                Some(column) => Some(below[column]),
                None => (!reads(expr, &projection.input, &below, true)).then_some(false),
            });
            passed.collect()
        }
        _ => None,
    }
}

pub(super) fn plain_index(expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => plain_index(&alias.expr, input),
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        _ => None,
    }
}

/// Whether `expr` reads a column for which `window` says `which`.
pub(super) fn reads(expr: &Expr, input: &LogicalPlan, window: &[bool], which: bool) -> bool {
    let index = |column| input.schema().maybe_index_of_column(column);
    expr.column_refs().into_iter().any(|column| index(column).is_some_and(|index| window[index] == which))
}
