//! When the rows around a row are known: at the end of input, or before it where there is none.

use datafusion_expr::Expr;
use datafusion_expr::expr::Sort;

use super::{Group, function};
use crate::error::{Error, Result};
use crate::pipeline::{
    ChangeMode, Completion, EmitMode, Frame, FrameBound, FrameUnits, NodeId, OverCall, OverFunction, WindowKind,
};
use crate::sql::compile::Compiler;
use crate::sql::compile::columns::Columns;

use arrow::datatypes::DataType;

impl Compiler {
    /// When the results of a group of calls can leave. Failure: never, on input that does not end.
    pub(in crate::sql::compile) fn completion(
        &self,
        input: NodeId,
        columns: &Columns,
        group: &Group<'_>,
    ) -> Result<Completion> {
        let node = &self.nodes[input];
        if node.changes == ChangeMode::Updating {
            return Ok(Completion::Changes);
        }
        if node.bounded {
            return Ok(Completion::End);
        }
        if let Some(closed) = self.closed.get(&input) {
            let key = group.partition_by.iter().find_map(|key| {
                let column = columns.plain(key)?;
                closed.to_end(column).map(|to_end| (column, to_end))
            });
            if let Some((column, to_end)) = key {
                // Rows of a session come a tick after its end.
                let to_end = to_end + i64::from(matches!(closed.kind, WindowKind::Session { .. }));
                return Ok(Completion::Window { column, to_end });
            }
        }
        let first = group.order_by.first();
        let is_event_time = |key: &Sort| {
            let time = node.time.as_ref().map(|time| time.column);
            key.asc && time.is_some() && columns.plain(&key.expr) == time
        };
        match first {
            Some(key) if is_event_time(key) => {
                let column = columns.plain(&key.expr).unwrap_or_default();
                Ok(Completion::Time { column })
            }
            Some(key) if group.order_by.len() == 1 && key.asc && is_processing_time(&key.expr) => {
                Ok(Completion::Arrival)
            }
            None if group.calls.iter().all(|(_, _, call)| is_row_by_row(&call.params.window_frame)) => {
                Ok(Completion::Arrival)
            }
            _ if self.emit == Some(EmitMode::Changes) => Ok(Completion::Changes),
            _ => Err(Error::user(
                "OVER on input that does not end must be ordered by the column with the watermark, ascending, or be \
                 partitioned by a window's columns; or take the first rows of it (ROW_NUMBER() ... <= n), or say EMIT CHANGES",
            )),
        }
    }
}

/// Whether an ORDER BY key is the time at which rows come.
fn is_processing_time(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_processing_time(&alias.expr),
        Expr::Column(column) => matches!(column.name.to_lowercase().as_str(), "proctime" | "proctime()"),
        Expr::ScalarFunction(call) => call.func.name() == "proctime",
        _ => false,
    }
}

/// Whether a frame without ORDER BY ends at the row: then rows are in the order they come in.
fn is_row_by_row(frame: &datafusion_expr::WindowFrame) -> bool {
    use datafusion_expr::{WindowFrameBound, WindowFrameUnits};
    frame.units == WindowFrameUnits::Rows
        && match &frame.end_bound {
            WindowFrameBound::CurrentRow => true,
            WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
        }
}

/// A frame over rows as they come: each row is its only peer.
pub(super) fn by_arrival(frame: Frame, is_ordered: bool) -> Result<Frame> {
    match frame.units {
        FrameUnits::Rows => Ok(frame),
        FrameUnits::Range if function::is_running(&frame) && is_ordered => {
            Ok(Frame { units: FrameUnits::Rows, ..frame })
        }
        _ => Err(Error::user("a frame over rows in the order they come must be ROWS")),
    }
}

/// A call whose partition never ends, changed so that it can be answered. Failure: when it cannot.
pub(super) fn on_stream(mut call: OverCall, data_type: &DataType, when: Completion) -> Result<OverCall> {
    let needs_all = |what: &str| {
        Error::user(format!("{what} needs whole partitions, and on this input they do not end: {}", call.text))
    };
    let is_unbounded = |bound| bound == FrameBound::Unbounded;
    match &call.function {
        OverFunction::PercentRank => Err(needs_all("percent_rank")),
        OverFunction::CumeDist => Err(needs_all("cume_dist")),
        OverFunction::Ntile(_) => Err(needs_all("ntile")),
        OverFunction::Foreign(function) => Err(needs_all(&format!("{}, written for DataFusion,", function.name()))),
        OverFunction::Rank | OverFunction::DenseRank if when == Completion::Arrival => {
            call.function = OverFunction::RowNumber;
            Ok(call)
        }
        OverFunction::Lag { ignores_nulls: true, .. } => Err(needs_all("IGNORE NULLS")),
        OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank | OverFunction::Lag { .. } => Ok(call),
        OverFunction::Nth { .. } | OverFunction::Aggregate(_) if is_unbounded(call.frame.end) => {
            Err(needs_all("UNBOUNDED FOLLOWING"))
        }
        OverFunction::Nth { ignores_nulls: true, .. } if is_unbounded(call.frame.start) => {
            Err(needs_all("IGNORE NULLS with UNBOUNDED PRECEDING"))
        }
        OverFunction::Nth { n: 1, .. } if is_unbounded(call.frame.start) => {
            match function::first_value(data_type, &call.text) {
                Some(first) => call.function = OverFunction::Aggregate(first),
                None => return Err(needs_all("first_value of this type")),
            }
            Ok(call)
        }
        OverFunction::Nth { n: 2.., .. } if is_unbounded(call.frame.start) => {
            Err(needs_all("nth_value with UNBOUNDED PRECEDING"))
        }
        OverFunction::Nth { .. } | OverFunction::Aggregate(_) => Ok(call),
    }
}
