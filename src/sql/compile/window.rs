//! `TUMBLE` and `HOP`: the windows of each row, or, under an aggregate that groups by them, of each group.

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
use crate::pipeline::{EventTime, NodeId, ProjectSpec, Spec, WindowColumn, WindowKind, WindowSpec};
use crate::sql::plan::WindowNode;

/// Rows that an aggregate will put into windows: the window's columns are known, but in no batch yet.
pub(super) struct Windowed {
    pub node: NodeId,
    /// The columns of the plan below the aggregate.
    pub columns: Columns,
    pub kind: WindowKind,
    /// The time column of `node`.
    pub time: usize,
    pub data_type: DataType,
    /// Conditions on the window's columns alone, with the columns they read: for the aggregate's results.
    pub late: Vec<(Expr, Columns)>,
    /// What the columns of `node` tell of windows that have closed below, when these are the windows here.
    pub closed: Option<Closed>,
}

impl Compiler {
    pub(super) fn extension(&mut self, extension: &Extension) -> Result<NodeId> {
        let Some(window) = extension.node.as_any().downcast_ref::<WindowNode>() else {
            return Err(Error::user(format!("this part of a query is not supported: {}", extension.node.name())));
        };
        let input = self.plan(&window.input)?;
        let column = self.window_column(window, input)?;
        let spec = WindowSpec { kind: window.kind, column };
        let (schema, time) = (engine_schema(&window.schema), self.nodes[input].time.clone());
        let node = self.add_above(input, Spec::Window(spec), schema, time);
        self.nodes[node].place = place_of(&window.time);
        self.closes(node, window);
        Ok(node)
    }

    /// Notes that the rows of a window node tell windows, which close with the watermark of their time.
    fn closes(&mut self, node: NodeId, window: &WindowNode) {
        let columns = self.nodes[node].schema.fields().len();
        let Some(EventTime { column, .. }) = self.nodes[node].time else { return };
        let is_event_time = self.nodes[node].inputs.iter().any(|&input| {
            matches!(&self.nodes[node].spec, Spec::Window(spec) if spec.column == column) && !self.nodes[input].bounded
        });
        if is_event_time {
            let own = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time].map(Some);
            let columns = std::iter::repeat_n(None, columns - own.len()).chain(own).collect();
            self.closed.insert(node, Closed { kind: window.kind, data_type: window.time_type().clone(), columns });
        }
    }

    /// The input's column that windows are made of.
    fn window_column(&self, window: &WindowNode, input: NodeId) -> Result<usize> {
        let columns = self.columns(input, &window.input);
        columns.plain(&window.time).ok_or_else(|| refuse(&window.time, "the time of a window must be a column"))
    }

    /// The rows below an aggregate whose groups are to be windows; `plan` is one that `window_columns` knows.
    pub(super) fn windowed(&mut self, plan: &LogicalPlan) -> Result<Windowed> {
        match plan {
            LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref() {
                Some(window) => self.windowed_input(window),
                None => Err(Error::bug("a window node was expected below a windowed aggregate")),
            },
            LogicalPlan::SubqueryAlias(alias) => {
                let mut windowed = self.windowed(&alias.input)?;
                windowed.columns.schema = alias.schema.as_ref().clone();
                Ok(windowed)
            }
            LogicalPlan::Filter(filter) => self.windowed_filter(filter),
            LogicalPlan::Projection(projection) => self.windowed_projection(projection),
            _ => Err(Error::bug("only filters and projections stand between a window and its aggregate")),
        }
    }

    fn windowed_input(&mut self, window: &WindowNode) -> Result<Windowed> {
        let node = self.plan(&window.input)?;
        self.refuse_window(node, window)?;
        let time = self.window_column(window, node)?;
        if self.nodes[node].time.as_ref().is_none_or(|event_time| event_time.column != time) {
            self.without_watermark(node);
        }
        let mut columns = self.columns(node, &window.input);
        columns.schema = window.schema.as_ref().clone();
        columns.slots.extend([WindowColumn::Start, WindowColumn::End, WindowColumn::Time].map(Slot::Window));
        Ok(Windowed {
            node,
            columns,
            kind: window.kind,
            time,
            data_type: window.time_type().clone(),
            late: Vec::new(),
            closed: None,
        })
    }

    /// Fails where windows could not be closed or would have to be opened again.
    fn refuse_window(&self, node: NodeId, window: &WindowNode) -> Result<()> {
        let input = &self.nodes[node];
        let column = self.window_column(window, node)?;
        let is_event_time = input.time.as_ref().is_some_and(|time| time.column == column);
        if !input.bounded && !is_event_time {
            let why = "a window over input that does not end needs a column with a watermark; \
                       declare WATERMARK FOR it in CREATE TABLE";
            return Err(refuse(&window.time, why));
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

    fn windowed_filter(&mut self, filter: &Filter) -> Result<Windowed> {
        let mut windowed = self.windowed(&filter.input)?;
        let conjuncts = split_conjunction(&filter.predicate).into_iter().cloned();
        let (late, early): (Vec<Expr>, Vec<Expr>) = conjuncts.partition(|expr| windowed.columns.reads_window(expr));
        windowed.late.extend(late.into_iter().map(|expr| (expr, windowed.columns.clone())));
        if let Some(early) = conjunction(early) {
            windowed.node = self.add_filter(windowed.node, &windowed.columns, &early)?;
        }
        Ok(windowed)
    }

    /// A projection without the window columns, which no batch has yet, and with the time column at the end.
    fn windowed_projection(&mut self, projection: &Projection) -> Result<Windowed> {
        let below = self.windowed(&projection.input)?;
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
        let time = sources.iter().position(|source| *source == Some(below.time)).unwrap_or_else(|| {
            let field = self.nodes[below.node].schema.field(below.time).clone();
            expressions.output_input(below.time, field.data_type().clone());
            sources.push(Some(below.time));
            fields.push(field);
            fields.len() - 1
        });
        let spec = Spec::Project(ProjectSpec { program: expressions.finish() });
        let event_time = self.time_after(below.node, &sources);
        let node = self.add_above(below.node, spec, Arc::new(Schema::new(fields)), event_time);
        self.nodes[node].place = projection.expr.iter().find_map(place_of);
        let columns = Columns { schema: projection.schema.as_ref().clone(), slots };
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
