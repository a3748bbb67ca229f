//! Windows that have closed: aggregates over the results of windowed aggregates close with these.
//!
//! Rows that come out of a windowed aggregate tell their window in their columns. An aggregate that groups by one of
//! them again has complete groups as soon as the watermark has passed the window's end, for no row of it comes later.
//! So it runs in panes of the slide, by a time column that is the last tick of the row's window:
//!
//! ```text
//! hop(20s every 10s) closes at 30 ─▶ rows with window_time 29.999 ─▶ pane [20, 30) ─▶ closes at 30 as well
//! ```

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::Expr;

use super::columns::{Columns, Slot};
use super::window::Windowed;
use super::{Compiler, Result};
use crate::error::Error;
use crate::expression::{Builder, Operand};
use crate::function::scalar;
use crate::pipeline::{EventTime, NodeId, ProjectSpec, Spec, WindowColumn, WindowKind, show_duration, time_unit};

/// How far from a window's column its last tick lies, or another one that closes with it, and the windows that these
/// ticks are put into; `None` where the column does not tell when the window closes.
pub(super) fn closing(kind: &WindowKind, column: WindowColumn) -> Option<(i64, WindowKind)> {
    let apart = |size: i64, offset: i64| WindowKind::Tumble { size, offset: offset.rem_euclid(size) };
    let to_last_tick = |size: Option<i64>| match column {
        WindowColumn::Start => size.map(|size| size - 1),
        WindowColumn::End => Some(-1),
        WindowColumn::Time => Some(0),
    };
    match kind {
        WindowKind::Tumble { size, offset } => Some((to_last_tick(Some(*size))?, apart(*size, *offset))),
        // Panes end where windows do.
        WindowKind::Hop { size, slide, offset } => Some((to_last_tick(Some(*size))?, apart(*slide, *offset + *size))),
        // Windows that begin together have all closed when the longest has.
        WindowKind::Cumulate { size, offset, .. } if column == WindowColumn::Start => {
            Some((size - 1, apart(*size, *offset)))
        }
        WindowKind::Cumulate { step, offset, .. } => Some((to_last_tick(None)?, apart(*step, *offset))),
        WindowKind::Calendar(window) if window.size == window.slide => match column {
            WindowColumn::Start => Some((0, kind.clone())),
            _ => Some((to_last_tick(None)?, kind.clone())),
        },
        WindowKind::Calendar(_) | WindowKind::Custom(_) => Some((to_last_tick(None)?, apart(1, 0))),
        // A session closes a tick after its end.
        WindowKind::Session { .. } => Some((to_last_tick(None)?, apart(1, 0))),
        WindowKind::Rows { .. } => None,
    }
}

/// What a node's columns tell of windows that have closed.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub kind: WindowKind,
    pub data_type: DataType,
    /// For each column of the node, which of the window's it is.
    pub columns: Vec<Option<WindowColumn>>,
}

impl Closed {
    /// How far from a column the window ends, where that is as far in every row.
    pub(super) fn to_end(&self, column: usize) -> Option<i64> {
        let column = self.columns[column]?;
        match closing(&self.kind, column)? {
            (to_last_tick, WindowKind::Tumble { .. }) => Some(to_last_tick + 1),
            // Days and months are of many lengths.
            (to_last_tick, _) if column != WindowColumn::Start => Some(to_last_tick + 1),
            _ => None,
        }
    }
}

impl Compiler {
    /// The same windows behind a node whose columns are these of its input, or computed ones.
    pub(super) fn closed_after(&mut self, input: NodeId, node: NodeId, sources: &[Option<usize>]) {
        if let Some(closed) = self.closed.get(&input) {
            let column = |source: &Option<usize>| source.and_then(|source| closed.columns[source]);
            let columns = sources.iter().map(column).collect();
            self.closed.insert(node, Closed { columns, ..closed.clone() });
        }
        self.truncated_after(input, node, sources);
        if let Some(others) = self.other_times.get(&input) {
            let own = self.nodes[node].time.as_ref().map(|time| time.column);
            let moved = others.iter().filter_map(|other| sources.iter().position(|source| *source == Some(*other)));
            let times = own.into_iter().chain(moved).collect();
            self.set_times(node, times);
        }
    }

    /// The rows of `node` in panes that close with the windows they tell of, when a key is one of the window's columns.
    pub(super) fn in_closed_windows(
        &mut self,
        node: NodeId,
        columns: &Columns,
        keys: &[&Expr],
    ) -> Result<Option<Windowed>> {
        let Some(closed) = self.closed.get(&node).cloned() else { return Ok(None) };
        let window_column = |key: &&Expr| {
            let column = columns.plain(key)?;
            Some((column, closing(&closed.kind, closed.columns[column]?)?))
        };
        let Some((column, (ticks, kind))) = keys.iter().find_map(window_column) else { return Ok(None) };
        let (node, time) = match ticks {
            0 => (node, column),
            ticks => self.with_window_time(node, column, ticks)?,
        };
        let columns = columns.clone();
        debug_assert!(columns.slots.iter().all(|slot| matches!(slot, Slot::Input { .. })), "the window has closed");
        Ok(Some(Windowed {
            node,
            columns,
            kind,
            time: Some(time),
            data_type: closed.data_type.clone(),
            late: Vec::new(),
            closed: Some(closed),
        }))
    }

    /// `node` with one more column: the last tick of each row's window, `ticks` from the column given.
    fn with_window_time(&mut self, node: NodeId, column: usize, ticks: i64) -> Result<(NodeId, usize)> {
        let schema = self.nodes[node].schema.clone();
        let data_type = schema.field(column).data_type().clone();
        let unit = time_unit(&data_type).ok_or_else(|| Error::bug("a window column is a timestamp"))?;
        let kernel = scalar::shift(ticks, &show_duration(ticks.abs(), unit), &data_type);
        let kernel = kernel.ok_or_else(|| Error::bug("a timestamp can be moved"))?;
        let mut builder = Builder::default();
        for (index, field) in schema.fields().iter().enumerate() {
            builder.output(Operand::Input(index), field.data_type().clone());
        }
        let time = builder.step(format!("shift {ticks}"), kernel, vec![Operand::Input(column)]);
        builder.output(time, data_type.clone());
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        let index = fields.len();
        fields.push(Arc::new(Field::new("window_time", data_type, true)));
        let spec = Spec::Project(ProjectSpec { program: Arc::new(builder.finish()) });
        let event_time = Some(EventTime { column: index, unit });
        let above = self.add_above(node, spec, Arc::new(Schema::new(fields)), event_time);
        Ok((above, index))
    }
}
