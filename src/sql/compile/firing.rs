//! `EMIT ...`, `ALLOW LATENESS` and `LATE DATA TO` as operators around the outermost aggregate.
//!
//! ```text
//! input ─▶ Delay ─▶ Divert ─▶ ... ─▶ Aggregate, telling every change ─▶ Firing ─▶ ...
//! ```
//! Windows take late rows for longer because their watermark is held back below; when results leave is decided above.

use arrow::datatypes::SchemaRef;

use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{
    DelaySpec, DivertSpec, EmitMode, FiringSpec, NodeId, Spec, WindowKind, ticks_per_second, time_unit,
};

impl Compiler {
    /// Whether the outermost aggregate, windowed or not, is held back above.
    pub(super) fn is_fired(&self, bounded: bool, windowed: bool) -> bool {
        let corrects = windowed && self.firing.lateness.is_some() && !bounded && self.emit != Some(EmitMode::Changes);
        self.firing.every.is_some() || self.firing.late_every.is_some() || corrects
    }

    /// Allowed lateness in ticks of a column.
    fn lateness_ticks(&self, data_type: &arrow::datatypes::DataType) -> Result<i64> {
        let Some(nanoseconds) = self.firing.lateness else { return Ok(0) };
        let unit = time_unit(data_type).ok_or_else(|| Error::bug("the time of a window is a timestamp"))?;
        let per_tick = i128::from(1_000_000_000 / ticks_per_second(unit));
        match (nanoseconds % per_tick, i64::try_from(nanoseconds / per_tick)) {
            (0, Ok(ticks)) => Ok(ticks),
            _ => Err(Error::user(format!(
                "the lateness that is allowed must be a whole number of the time column's ticks, which are {unit:?}s"
            ))
            .at(self.firing.lateness_place)),
        }
    }

    /// Puts what late rows need between a windowed aggregate and its input.
    pub(super) fn around_late_rows(
        &mut self,
        node: NodeId,
        kind: &WindowKind,
        column: Option<usize>,
    ) -> Result<NodeId> {
        // Windows of rows know no time: what finds nothing to act on is refused in the end.
        let Some(column) = column else { return Ok(node) };
        self.refuse_closed(node, column)?;
        let mut node = node;
        let schema = self.nodes[node].schema.clone();
        if self.firing.lateness.is_some() {
            let ticks = self.lateness_ticks(schema.field(column).data_type())?;
            self.lateness_ticks = ticks;
            let time = self.nodes[node].time.clone();
            node = self.add_above(node, Spec::Delay(DelaySpec { ticks }), schema.clone(), time);
        }
        if let Some(sink) = self.firing.late_sink.clone() {
            if kind.is_per_key() {
                let message = "LATE DATA TO goes with windows at fixed places: whether a row is late for its session is \
                               told only among the rows of its key; ALLOW LATENESS is for sessions as well";
                return Err(Error::user(message).at(self.firing.late_sink_place));
            }
            if let Some(columns) = &sink.schema {
                check_sink(&sink.name, columns, &schema).map_err(|e| e.at(self.firing.late_sink_place))?;
            }
            self.diverts = true;
            let time = self.nodes[node].time.clone();
            let spec = DivertSpec { kind: kind.clone(), column, sink: sink.name };
            node = self.add_above(node, Spec::Divert(spec), schema, time);
        }
        Ok(node)
    }

    /// Fails where late rows are asked for of windows that have closed.
    fn refuse_closed(&self, node: NodeId, time: usize) -> Result<()> {
        if self.closed.get(&node).is_none_or(|closed| closed.columns[time].is_none()) {
            return Ok(());
        }
        let (clause, place) = match (self.firing.lateness, &self.firing.late_sink) {
            (Some(_), _) => ("ALLOW LATENESS", self.firing.lateness_place),
            (None, Some(_)) => ("LATE DATA TO", self.firing.late_sink_place),
            (None, None) => return Ok(()),
        };
        let why = "goes with windows of a table's rows, and these are windows of rows that come out of windows that have \
                   closed: rows are late for those; let the WATERMARK wait longer";
        Err(Error::user(format!("{clause} {why}")).at(place))
    }

    /// Puts what decides when results leave above the outermost aggregate, whose first `key_count` columns tell its
    /// groups.
    pub(super) fn fire(
        &mut self,
        node: NodeId,
        key_count: usize,
        route_count: usize,
        window_end: Option<usize>,
    ) -> Result<NodeId> {
        if window_end.is_none() && self.firing.on_close {
            let message = "EMIT EARLY EVERY needs an aggregate over windows; use EMIT EVERY";
            return Err(Error::user(message).at(self.emit_place));
        }
        if window_end.is_none() && self.firing.late_every.is_some() {
            return Err(Error::user("THEN LATE EVERY needs an aggregate over windows").at(self.emit_place));
        }
        self.is_fired_already = true;
        let firing = &self.firing;
        let by_clock_alone = firing.every.is_some() && !firing.on_close;
        let spec = FiringSpec {
            key_count: Some(key_count),
            route_count,
            window_end: window_end.filter(|_| !by_clock_alone),
            lateness: self.lateness_ticks,
            every: firing.every,
            on_close: !by_clock_alone && window_end.is_some(),
            late_every: firing.late_every,
        };
        let (schema, time) = (self.nodes[node].schema.clone(), self.nodes[node].time.clone());
        Ok(self.add_above(node, Spec::Firing(spec), schema, time))
    }

    /// Holds the rows of a query without an aggregate back; fails where a clause has found nothing to act on.
    pub(super) fn finish_firing(&mut self, root: NodeId) -> Result<()> {
        let firing = &self.firing;
        if firing.lateness.is_some() && self.lateness_ticks == 0 {
            let message = "ALLOW LATENESS goes with an aggregate over the windows of a table, as the outermost one; for rows \
                           that are late elsewhere let the WATERMARK wait longer";
            return Err(Error::user(message).at(firing.lateness_place));
        }
        if firing.late_every.is_some() && firing.lateness.is_none() {
            let message = "THEN LATE EVERY needs ALLOW LATENESS: without it windows that have closed take no late rows";
            return Err(Error::user(message).at(self.emit_place));
        }
        if firing.late_sink.is_some() && !self.diverts {
            let message = "LATE DATA TO goes with an aggregate over the windows of a table, as the outermost one; rows that \
                           are late elsewhere are counted and left out";
            return Err(Error::user(message).at(firing.late_sink_place));
        }
        if self.is_fired_already {
            return Ok(());
        }
        let Some(every) = firing.every else {
            return match firing.late_every {
                Some(_) => Err(Error::user("THEN LATE EVERY needs an aggregate over windows").at(self.emit_place)),
                None => Ok(()),
            };
        };
        if firing.on_close {
            let message = "EMIT EARLY EVERY needs an aggregate over windows; use EMIT EVERY";
            return Err(Error::user(message).at(self.emit_place));
        }
        let spec = FiringSpec {
            key_count: None,
            route_count: 0,
            window_end: None,
            lateness: 0,
            every: Some(every),
            on_close: false,
            late_every: None,
        };
        let (schema, time) = (self.nodes[root].schema.clone(), self.nodes[root].time.clone());
        self.add_above(root, Spec::Firing(spec), schema, time);
        Ok(())
    }
}

/// Fails where the sink of late rows has other columns than they.
fn check_sink(name: &str, sink: &SchemaRef, rows: &SchemaRef) -> Result<()> {
    let sink = crate::batch::engine_schema(sink);
    let same = sink.fields().len() == rows.fields().len()
        && sink.fields().iter().zip(rows.fields()).all(|(a, b)| a.data_type() == b.data_type());
    if same {
        return Ok(());
    }
    let list = |schema: &SchemaRef| {
        let shown = schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type()));
        shown.collect::<Vec<_>>().join(", ")
    };
    Err(Error::user(format!(
        "the sink of late rows has other columns than they: {name}; it has {}; late rows have {}",
        list(&sink),
        list(rows)
    )))
}
