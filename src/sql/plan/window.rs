//! The logical node of windows: all kinds and spellings of them become it.
//!
//! Invariants  the input's columns come first, unchanged and with their qualifiers; behind them, unqualified,
//!             `window_start`, `window_end`, `window_time` of the time column's type. Time and keys are columns of the
//!             input, held as expressions so that column pruning keeps them.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::{Column, DFSchema, DFSchemaRef, Result as PlanResult, internal_err};
use datafusion_expr::{Expr, ExprSchemable, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNodeCore};

use crate::error::{Error, Result};
use crate::pipeline::{WindowKind, ticks_per_second, time_unit};
use crate::sql::error::{from_datafusion, to_datafusion};

/// The columns that tell a row's window.
pub const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// Puts each row into its windows: once per window that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowNode {
    pub input: Arc<LogicalPlan>,
    /// Sizes in ticks of the time column's unit.
    pub kind: WindowKind,
    /// A column of the input; `None` for windows of rows.
    pub time: Option<Expr>,
    /// Whose rows share windows, where each key has its own.
    pub keys: WindowKeys,
    /// The input's columns and those of the window.
    pub schema: DFSchemaRef,
}

/// What sessions and windows of rows are kept apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub enum WindowKeys {
    /// These columns of the input; none: all rows together.
    Columns(Vec<Expr>),
    /// The other keys of the aggregate above: for windows in GROUP BY.
    OfGroups,
}

impl WindowNode {
    /// Failure: a time that is not a TIMESTAMP column, keys that are no columns, an input that has window columns
    /// already.
    pub fn try_new(input: LogicalPlan, kind: WindowKind, time: Option<Expr>, keys: WindowKeys) -> Result<WindowNode> {
        let (data_type, nullable) = match &time {
            None => (DataType::Int64, false),
            Some(time) => time_type(time, &input)?,
        };
        if let WindowKeys::Columns(keys) = &keys
            && let Some(computed) = keys.iter().find(|key| !matches!(key, Expr::Column(_)))
        {
            return Err(Error::user(format!(
                "the keys of a window must be columns: {computed}; compute it in a subquery"
            )));
        }
        let mut fields: Vec<_> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.clone())).collect();
        for name in columns_of(&kind) {
            if input.schema().fields().iter().any(|field| field.name() == name) {
                let message = format!(
                    "the input of a window has such a column already: {name}; give it another name in a subquery"
                );
                return Err(Error::user(message));
            }
            fields.push((None, Arc::new(Field::new(*name, data_type.clone(), nullable))));
        }
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone()).map_err(from_datafusion)?;
        Ok(WindowNode { input: Arc::new(input), kind, time, keys, schema: Arc::new(schema) })
    }

    /// The window over an input that may tell windows itself: its columns of these names are hidden by the new ones.
    ///
    /// Failure: as [`WindowNode::try_new`].
    pub fn over(input: LogicalPlan, kind: WindowKind, time: Option<Expr>, keys: WindowKeys) -> Result<LogicalPlan> {
        let hidden = |name: &str| columns_of(&kind).contains(&name);
        if !input.schema().fields().iter().any(|field| hidden(field.name())) {
            return Ok(WindowNode::try_new(input, kind, time, keys)?.into_plan());
        }
        if let WindowKeys::Columns(keys) = &keys
            && let Some(key) = keys.iter().flat_map(|key| key.column_refs()).find(|column| hidden(&column.name))
        {
            return Err(Error::user(format!(
                "a key of a window is hidden by its own columns: {}; give it another name in a subquery",
                key.name
            )));
        }
        let columns = input.schema().columns();
        let mut kept: Vec<Expr> =
            columns.iter().filter(|column| !hidden(&column.name)).cloned().map(Expr::Column).collect();
        let shown = kept.clone();
        let time = match time {
            Some(Expr::Column(column)) if hidden(&column.name) => {
                kept.push(Expr::Column(column).alias(HIDDEN_TIME));
                Some(Expr::Column(Column::new_unqualified(HIDDEN_TIME)))
            }
            time => time,
        };
        let names = columns_of(&kind);
        let input = LogicalPlanBuilder::from(input).project(kept).and_then(|builder| builder.build());
        let window = WindowNode::try_new(input.map_err(from_datafusion)?, kind, time, keys)?.into_plan();
        let own = names.iter().map(|name| Expr::Column(Column::new_unqualified(*name)));
        let shown = LogicalPlanBuilder::from(window).project(shown.into_iter().chain(own));
        shown.and_then(|builder| builder.build()).map_err(from_datafusion)
    }

    /// As a node of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The type of the window columns: that of the time column, or a number of rows.
    pub fn time_type(&self) -> &DataType {
        self.schema.field(self.schema.fields().len() - 1).data_type()
    }

    /// The names of the columns it adds.
    pub fn columns(&self) -> &'static [&'static str] {
        columns_of(&self.kind)
    }

    fn compared(&self) -> (&WindowKind, &Option<Expr>, &WindowKeys, &LogicalPlan) {
        (&self.kind, &self.time, &self.keys, &self.input)
    }
}

/// The time of a window over an input whose own `window_time` is hidden.
const HIDDEN_TIME: &str = "__window_time";

/// The columns that tell a row's window; windows of rows have no time.
fn columns_of(kind: &WindowKind) -> &'static [&'static str] {
    if kind.has_time() { &WINDOW_COLUMNS } else { &WINDOW_COLUMNS[..2] }
}

fn time_type(time: &Expr, input: &LogicalPlan) -> Result<(DataType, bool)> {
    let Expr::Column(column) = time else {
        return Err(Error::user(format!("the time of a window must be a column: {time}; compute it in a subquery")));
    };
    let data_type = time.get_type(input.schema()).map_err(from_datafusion)?;
    if time_unit(&data_type).is_none() {
        let message = format!(
            "the time of a window must be a TIMESTAMP column: {} is {data_type}; cast it in a subquery",
            column.name
        );
        return Err(Error::user(message));
    }
    Ok((data_type, time.nullable(input.schema()).map_err(from_datafusion)?))
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "Window"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let keys = if let WindowKeys::Columns(keys) = &self.keys { keys.as_slice() } else { &[] };
        self.time.iter().chain(keys).cloned().collect()
    }

    /// Which rows there are says where the windows of a key lie: only conditions on keys may take rows away below.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let is_key = |name: &str| match &self.keys {
            WindowKeys::Columns(keys) if self.kind.is_per_key() => {
                keys.iter().any(|key| key.column_refs().iter().any(|column| column.name == name))
            }
            _ => true,
        };
        let below = self.input.schema().fields().iter().map(|field| field.name().clone()).filter(|name| !is_key(name));
        self.columns().iter().map(|name| name.to_string()).chain(below).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let unit = time_unit(self.time_type()).unwrap_or(TimeUnit::Microsecond);
        let show = |ticks: i64| show_ticks(ticks, unit);
        let time = self.time.as_ref().map_or(String::new(), |time| time.to_string());
        match &self.kind {
            WindowKind::Tumble { size, .. } => write!(f, "Window: tumble({time}, size {}", show(*size))?,
            WindowKind::Hop { size, slide, .. } => {
                write!(f, "Window: hop({time}, size {}, slide {}", show(*size), show(*slide))?
            }
            other => {
                write!(f, "Window: {}", other.show(&time, unit))?;
                return match &self.keys {
                    WindowKeys::Columns(keys) if !keys.is_empty() => {
                        let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
                        write!(f, " by {}", keys.join(", "))
                    }
                    WindowKeys::OfGroups if other.is_per_key() => f.write_str(" by the groups above"),
                    _ => Ok(()),
                };
            }
        }
        match &self.kind {
            WindowKind::Tumble { offset, .. } | WindowKind::Hop { offset, .. } if *offset != 0 => {
                write!(f, ", offset {})", show(*offset))
            }
            _ => f.write_str(")"),
        }
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        let mut exprs = exprs.into_iter();
        let time = self.time.as_ref().and_then(|_| exprs.next());
        let keys = match &self.keys {
            WindowKeys::Columns(_) => WindowKeys::Columns(exprs.collect()),
            WindowKeys::OfGroups => WindowKeys::OfGroups,
        };
        match inputs.pop() {
            Some(input) if inputs.is_empty() => {
                WindowNode::try_new(input, self.kind.clone(), time, keys).map_err(to_datafusion)
            }
            _ => internal_err!("a window has one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|&column| column < inputs).collect()])
    }
}

/// Ticks in the largest unit that divides them.
fn show_ticks(ticks: i64, unit: TimeUnit) -> String {
    let per_second = ticks_per_second(unit);
    let units = [("d", 86_400 * per_second), ("h", 3_600 * per_second), ("m", 60 * per_second), ("s", per_second)];
    match units.iter().find(|(_, size)| ticks % size == 0) {
        Some((name, size)) => format!("{}{name}", ticks / size),
        None => {
            let name = match unit {
                TimeUnit::Second => "s",
                TimeUnit::Millisecond => "ms",
                TimeUnit::Microsecond => "us",
                TimeUnit::Nanosecond => "ns",
            };
            format!("{ticks}{name}")
        }
    }
}

impl Hash for WindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.compared().hash(state);
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let order = self.compared().partial_cmp(&other.compared())?;
        (order != Ordering::Equal || self == other).then_some(order)
    }
}

/// The unit of a window's time; rows have none.
pub(super) fn unit_of(time_type: &DataType) -> TimeUnit {
    time_unit(time_type).unwrap_or(TimeUnit::Second)
}
