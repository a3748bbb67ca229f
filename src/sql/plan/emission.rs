//! `EMIT`, `ALLOW LATENESS` and `LATE DATA TO`: durations and the sink they name.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::{Extension, LogicalPlan};
use datafusion_sql::planner::PlannerContext;
use sqlparser::ast::Expr;
use std::sync::Arc;

use super::context::Context;
use super::{duration, insert};
use crate::error::{Error, Place, Result};
use crate::pipeline::{EmitMode, TableDefinition};
use crate::sql::error::from_datafusion;
use crate::sql::parse::Emit;
use crate::sql::plan::WindowNode;

/// When results leave, beyond the mode: by the clock, and what becomes of late rows.
#[derive(Debug, Clone, Default)]
pub struct Firing {
    /// Microseconds between two looks at what has changed.
    pub every: Option<i64>,
    /// With `every`: results leave when the window closes, too.
    pub on_close: bool,
    /// Microseconds between two looks at the corrections of closed windows; else they leave at once.
    pub late_every: Option<i64>,
    /// Nanoseconds that a closed window still takes late rows.
    pub lateness: Option<i128>,
    pub lateness_place: Option<Place>,
    /// Where rows go that are late for all their windows.
    pub late_sink: Option<TableDefinition>,
    pub late_sink_place: Option<Place>,
}

impl Firing {
    /// Failure: a duration that is none, or not longer than nothing; a sink that is not there.
    pub(super) fn plan(context: &Context<'_>, emit: Option<&Emit>) -> Result<Firing> {
        let Some(emit) = emit else { return Ok(Firing::default()) };
        let micros = |expr: &Expr| -> Result<i64> {
            let nanoseconds = length(context, expr).map_err(|e| e.at(emit.place))?;
            match i64::try_from(nanoseconds / 1_000) {
                Ok(micros) if micros > 0 => Ok(micros),
                _ => Err(Error::user(format!("results cannot leave this often: {expr}")).at(emit.place)),
            }
        };
        let lateness = emit.lateness.as_ref().map(|(expr, place)| {
            let nanoseconds = length(context, expr).map_err(|e| e.at(*place))?;
            match nanoseconds {
                0.. => Ok(nanoseconds),
                _ => Err(Error::user(format!("the lateness that is allowed cannot be negative: {expr}")).at(*place)),
            }
        });
        let late_sink =
            emit.late_sink.as_ref().map(|(name, place)| insert::sink(context, name).map_err(|e| e.at(*place)));
        Ok(Firing {
            every: emit.every.as_ref().map(micros).transpose()?,
            on_close: emit.on_close,
            late_every: emit.late_every.as_ref().map(micros).transpose()?,
            lateness: lateness.transpose()?.filter(|lateness| *lateness > 0),
            lateness_place: emit.lateness.as_ref().and_then(|(_, place)| *place),
            late_sink: late_sink.transpose()?,
            late_sink_place: emit.late_sink.as_ref().and_then(|(_, place)| *place),
        })
    }
}

/// Nanoseconds of a constant interval.
fn length(context: &Context<'_>, expr: &Expr) -> Result<i128> {
    let schema = datafusion_common::DFSchema::empty();
    let planned = context.planner().sql_to_expr(expr.clone(), &schema, &mut PlannerContext::new());
    duration::length(&planned.map_err(from_datafusion)?, "duration")?.fixed()
}

/// The plan with windows that ask for all columns of their input, for whole rows go to the sink of late ones.
pub(super) fn keep_all_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    let kept = plan.transform_up(|plan| match &plan {
        LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<WindowNode>() {
            Some(window) => {
                let node = Arc::new(WindowNode { keeps_all: true, ..window.clone() });
                Ok(Transformed::yes(LogicalPlan::Extension(Extension { node })))
            }
            None => Ok(Transformed::no(plan)),
        },
        _ => Ok(Transformed::no(plan)),
    });
    Ok(kept.map_err(from_datafusion)?.data)
}

/// The clauses as they are written in our first spelling, each on a line.
pub(super) fn shown(emit: Option<&Emit>) -> String {
    let Some(emit) = emit else { return String::new() };
    let mut text = match (&emit.every, emit.on_close, emit.mode) {
        (Some(every), true, _) => format!("\nEMIT EARLY EVERY {every} THEN FINAL"),
        (Some(every), false, _) => format!("\nEMIT EVERY {every}"),
        (None, _, Some(EmitMode::Final)) => "\nEMIT FINAL".to_string(),
        (None, _, Some(EmitMode::Changes)) => "\nEMIT CHANGES".to_string(),
        (None, _, None) => String::new(),
    };
    if let Some(every) = &emit.late_every {
        text += &format!(" THEN LATE EVERY {every}");
    }
    if let Some((lateness, _)) = &emit.lateness {
        text += &format!("\nALLOW LATENESS {lateness}");
    }
    if let Some((sink, _)) = &emit.late_sink {
        text += &format!("\nLATE DATA TO {sink}");
    }
    text
}
