//! A DataFusion aggregate function as one of ours.
//!
//! Place       `sql/compile/aggregate` makes one where no function of our own answers.
//! Invariants  results are asked for without disturbing the states, as often as one likes; states merge and save by the
//!             state arrays that DataFusion's own two-phase aggregation uses.

mod grouped; // all groups in one accumulator: for results that leave once
mod ordered; // rows kept until they are sorted: for ORDER BY inside the call
mod single; //  an accumulator per group: for results after each batch, and for rows taken back

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::ScalarValue;
use datafusion_expr::{Accumulator, AggregateUDF, GroupsAccumulator};
use datafusion_physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion_physical_expr::expressions::{Column, Literal};
use datafusion_physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::foreign;
use super::scalar::to_type;
use crate::batch::Argument;
use crate::error::{Error, Result};
use crate::function::{AggregateFunction, AggregateStates, Update};

/// What a foreign aggregate is made from.
pub struct ForeignAggregateCall {
    pub function: Arc<AggregateUDF>,
    /// A field per argument, of the types the plan says; the function's own ones first, then those to order by.
    pub schema: Arc<Schema>,
    /// The function's own arguments that are literals, by number.
    pub literals: Vec<(usize, ScalarValue)>,
    /// How many of the fields are the function's own arguments.
    pub arg_count: usize,
    /// How the rows are ordered inside the call: field number and direction.
    pub order_by: Vec<(usize, SortOptions)>,
    pub ignore_nulls: bool,
    /// The type of the result inside the engine.
    pub result: DataType,
    /// Whether results are asked for after each batch, or rows may be taken back.
    pub incremental: bool,
    /// Whether rows may be taken back.
    pub retracts: bool,
}

/// An aggregate function run by DataFusion's accumulators.
#[derive(Clone)]
pub struct ForeignAggregate(Arc<Inner>);

struct Inner {
    name: String,
    call: AggregateFunctionExpr,
    /// The types the accumulators take, which the arguments are cast to.
    arg_types: Vec<DataType>,
    state_types: Vec<DataType>,
    result: DataType,
    mode: Mode,
    retracts: bool,
    order_sensitive: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Mode {
    Grouped,
    Single,
    /// How many of the columns go to the function, and how rows are sorted before they do.
    Ordered {
        arg_count: usize,
        order_by: Vec<(usize, SortOptions)>,
    },
}

/// Functions whose result depends on the order of the rows when the call itself says nothing of it.
const ORDER_SENSITIVE: &[&str] = &["array_agg", "first_value", "last_value", "nth_value", "string_agg"];

/// Whether a function's result depends on the order of the rows.
pub fn is_order_sensitive(function: &AggregateUDF) -> bool {
    ORDER_SENSITIVE.contains(&function.name())
}

impl ForeignAggregate {
    /// Binds the function. Failure: arguments it does not take; rows taken back from a function that cannot.
    pub fn new(call: ForeignAggregateCall) -> Result<Self> {
        let name = call.function.name().to_string();
        let keeps_own_order = matches!(name.as_str(), "first_value" | "last_value");
        let sorts = !call.order_by.is_empty() && is_order_sensitive(&call.function) && !keeps_own_order;
        let order_sensitive = call.order_by.is_empty() && is_order_sensitive(&call.function);
        let expression = call.expression(!sorts).map_err(foreign)?;
        let arg_types: Vec<DataType> = call.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let mode = if sorts {
            Mode::Ordered { arg_count: call.arg_count, order_by: call.order_by.clone() }
        } else if call.incremental || !expression.groups_accumulator_supported() {
            Mode::Single
        } else {
            Mode::Grouped
        };
        let mut inner = Inner {
            name,
            call: expression,
            arg_types,
            state_types: Vec::new(),
            result: call.result,
            mode,
            retracts: call.retracts,
            order_sensitive,
        };
        inner.state_types = inner.state_types()?;
        if inner.retracts && (inner.mode != Mode::Single || !inner.accumulator()?.supports_retract_batch()) {
            return Err(Error::user(format!(
                "this aggregate cannot take rows back, and its input takes some back: {}",
                inner.name
            )));
        }
        Ok(ForeignAggregate(Arc::new(inner)))
    }
}

impl ForeignAggregateCall {
    /// DataFusion's form of the call, over columns that are the arguments.
    fn expression(&self, with_order: bool) -> datafusion_common::Result<AggregateFunctionExpr> {
        let column = |index: usize| -> Arc<dyn PhysicalExpr> {
            match self.literals.iter().find(|(literal, _)| *literal == index) {
                Some((_, value)) => Arc::new(Literal::new(value.clone())),
                None => Arc::new(Column::new(self.schema.field(index).name(), index)),
            }
        };
        let order =
            |(index, options): &(usize, SortOptions)| PhysicalSortExpr { expr: column(*index), options: *options };
        let order_by = if with_order { self.order_by.iter().map(order).collect() } else { Vec::new() };
        AggregateExprBuilder::new(self.function.clone(), (0..self.arg_count).map(column).collect())
            .schema(self.schema.clone())
            .alias(self.function.name())
            .order_by(order_by)
            .with_ignore_nulls(self.ignore_nulls)
            .build()
    }
}

impl Inner {
    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        let made = if self.retracts { self.call.create_sliding_accumulator() } else { self.call.create_accumulator() };
        made.map_err(foreign)
    }

    fn groups_accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        self.call.create_groups_accumulator().map_err(foreign)
    }

    fn state_types(&self) -> Result<Vec<DataType>> {
        match &self.mode {
            Mode::Ordered { .. } => Ok(ordered::state_types(&self.arg_types)),
            // What a sliding accumulator saves is its own affair: ask an empty one.
            Mode::Single if self.retracts => {
                let state = self.accumulator()?.state().map_err(foreign)?;
                Ok(state.iter().map(ScalarValue::data_type).collect())
            }
            _ => {
                let fields = self.call.state_fields().map_err(foreign)?;
                Ok(fields.iter().map(|field| field.data_type().clone()).collect())
            }
        }
    }

    /// The arguments as arrays of the types that the accumulators take.
    fn arrays(&self, args: &[Argument<'_>]) -> Result<Vec<ArrayRef>> {
        args.iter().zip(&self.arg_types).map(|(arg, data_type)| to_type(&arg.to_array(data_type)?, data_type)).collect()
    }
}

impl AggregateFunction for ForeignAggregate {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn result_type(&self) -> DataType {
        self.0.result.clone()
    }

    fn state_types(&self) -> Vec<DataType> {
        self.0.state_types.clone()
    }

    fn states(&self) -> Box<dyn AggregateStates> {
        match self.0.mode {
            Mode::Grouped => Box::new(grouped::GroupedStates::new(self.0.clone())),
            Mode::Single => Box::new(single::SingleStates::new(self.0.clone())),
            Mode::Ordered { .. } => Box::new(ordered::OrderedStates::new(self.0.clone())),
        }
    }

    fn can_retract(&self) -> bool {
        self.0.retracts
    }

    fn is_order_sensitive(&self) -> bool {
        self.0.order_sensitive
    }

    fn is_native(&self) -> bool {
        false
    }
}

impl fmt::Debug for ForeignAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignAggregate({}, {:?})", self.0.name, self.0.mode)
    }
}

/// The rows that count, as DataFusion wants them.
fn filter_array(words: &[u64], rows: usize) -> BooleanArray {
    BooleanArray::new(BooleanBuffer::new(Buffer::from_slice_ref(words), 0, rows), None)
}

/// Refuses rows that are taken back, which the planner should have kept away.
fn refuse_retractions(name: &str, update: &Update<'_>) -> Result<()> {
    match update.changes.is_some_and(|changes| changes.iter().any(|change| change.is_retraction())) {
        true => Err(Error::bug(format!("{name} was given a row to take back"))),
        false => Ok(()),
    }
}

/// The states of another table, which must be of the same function.
fn same<T: 'static>(other: &mut dyn AggregateStates) -> Result<&mut T> {
    other.as_any_mut().downcast_mut().ok_or_else(|| Error::bug("states of two functions were merged"))
}
