//! The logical node of windows: all spellings of TUMBLE and HOP become it.
//!
//! Invariants  the input's columns come first, unchanged and with their qualifiers; behind them, unqualified,
//!             `window_start`, `window_end`, `window_time` of the time column's type. Time is a column of the input, held
//!             as an expression so that column pruning keeps it.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::{DFSchema, DFSchemaRef, Result as PlanResult, internal_err};
use datafusion_expr::{Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

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
    /// A column of the input.
    pub time: Expr,
    /// The input's columns and the three of the window.
    pub schema: DFSchemaRef,
    /// Whether all columns of the input are needed, whatever is read above: late rows go elsewhere as they are.
    pub keeps_all: bool,
}

impl WindowNode {
    /// Failure: a time that is not a TIMESTAMP column, an input that has window columns already.
    pub fn try_new(input: LogicalPlan, kind: WindowKind, time: Expr) -> Result<WindowNode> {
        let Expr::Column(column) = &time else {
            return Err(Error::user(format!(
                "the time of a window must be a column: {time}; compute it in a subquery"
            )));
        };
        let data_type = time.get_type(input.schema()).map_err(from_datafusion)?;
        if time_unit(&data_type).is_none() {
            let message = format!(
                "the time of a window must be a TIMESTAMP column: {} is {data_type}; cast it in a subquery",
                column.name
            );
            return Err(Error::user(message));
        }
        let nullable = time.nullable(input.schema()).map_err(from_datafusion)?;
        let mut fields: Vec<_> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.clone())).collect();
        for name in WINDOW_COLUMNS {
            if input.schema().fields().iter().any(|field| field.name() == name) {
                let message = format!(
                    "the input of a window has such a column already: {name}; give it another name in a subquery"
                );
                return Err(Error::user(message));
            }
            fields.push((None, Arc::new(Field::new(name, data_type.clone(), nullable))));
        }
        let schema = DFSchema::new_with_metadata(fields, input.schema().metadata().clone()).map_err(from_datafusion)?;
        Ok(WindowNode { input: Arc::new(input), kind, time, schema: Arc::new(schema), keeps_all: false })
    }

    /// As a node of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The type of the time column and of the window columns.
    pub fn time_type(&self) -> &DataType {
        self.schema.field(self.schema.fields().len() - 1).data_type()
    }

    fn sizes(&self) -> (i64, i64, i64) {
        (self.kind.size(), self.kind.slide(), self.kind.offset())
    }
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
        vec![self.time.clone()]
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        WINDOW_COLUMNS.iter().map(|name| name.to_string()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let unit = time_unit(self.time_type()).unwrap_or(TimeUnit::Microsecond);
        let show = |ticks: i64| show_ticks(ticks, unit);
        match self.kind {
            WindowKind::Tumble { size, .. } => write!(f, "Window: tumble({}, size {}", self.time, show(size))?,
            WindowKind::Hop { size, slide, .. } => {
                write!(f, "Window: hop({}, size {}, slide {}", self.time, show(size), show(slide))?
            }
        }
        match self.kind.offset() {
            0 => f.write_str(")"),
            offset => write!(f, ", offset {})", show(offset)),
        }
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        match (exprs.pop(), inputs.pop()) {
            (Some(time), Some(input)) if exprs.is_empty() && inputs.is_empty() => {
                let node = WindowNode::try_new(input, self.kind, time).map_err(to_datafusion)?;
                Ok(WindowNode { keeps_all: self.keeps_all, ..node })
            }
            _ => internal_err!("a window has one input and one expression"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        if self.keeps_all {
            return Some(vec![(0..inputs).collect()]);
        }
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
        (self.sizes(), &self.time, &self.input).hash(state);
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let order = self.sizes().cmp(&other.sizes());
        let order = if order.is_eq() { self.time.partial_cmp(&other.time)? } else { order };
        let order = if order.is_eq() { self.input.partial_cmp(&other.input)? } else { order };
        // Equal in what is compared, yet not equal: a tumble and a hop of the same sizes.
        (order != Ordering::Equal || self == other).then_some(order)
    }
}
