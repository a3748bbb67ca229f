//! A DataFusion aggregate function as one of ours.
//!
//! Place       `sql/compile/aggregate` makes one where no function of our own answers.
//! Invariants  results are asked for without disturbing the states, as often as one likes; states merge and save by the
//!             state arrays that DataFusion's own two-phase aggregation uses.

mod counted; // rows kept with how often each is there: for rows that may be taken back
mod grouped; // all groups in one accumulator: for results that leave once
mod ordered; // rows kept until they are sorted: for ORDER BY inside the call
mod single; //  an accumulator per group: for results after each batch

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_empty_array};
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
    /// Whether results are asked for after each batch.
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
    /// Whether the accumulators take the order keys behind the arguments.
    takes_order: bool,
    order_sensitive: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Mode {
    Grouped,
    Single,
    Ordered(Kept),
    Counted(Kept),
}

/// Which columns a state keeps of its rows, in what order.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    /// How many of the columns go to the function.
    arg_count: usize,
    /// Columns and directions that rows are ordered by.
    order_by: Vec<(usize, SortOptions)>,
}

impl Kept {
    /// The order keys, then the arguments: rows that ORDER BY leaves equal are ordered by the arguments themselves, so
    /// that the answer does not depend on how rows were spread over partitions.
    fn columns(&self) -> impl Iterator<Item = (usize, SortOptions)> + '_ {
        let ties = (0..self.arg_count).map(|column| (column, SortOptions { descending: false, nulls_first: false }));
        self.order_by.iter().copied().chain(ties)
    }
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
        // Rows that come and go have no order of their own: without ORDER BY theirs is that of the values.
        let order_sensitive = call.order_by.is_empty() && !call.retracts && is_order_sensitive(&call.function);
        let expression = call.expression(!sorts).map_err(foreign)?;
        let arg_types: Vec<DataType> = call.schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let kept = || Kept { arg_count: call.arg_count, order_by: call.order_by.clone() };
        let mode = match () {
            () if call.retracts => Mode::Counted(kept()),
            () if sorts => Mode::Ordered(kept()),
            () if call.incremental || !expression.groups_accumulator_supported() => Mode::Single,
            () => Mode::Grouped,
        };
        let mut inner = Inner {
            name,
            call: expression,
            arg_types,
            state_types: Vec::new(),
            result: call.result,
            mode,
            takes_order: !sorts && keeps_own_order,
            order_sensitive,
        };
        inner.state_types = inner.state_types()?;
        if let Mode::Counted(kept) = &inner.mode {
            counted::check(kept, &inner.arg_types)?;
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
        self.call.create_accumulator().map_err(foreign)
    }

    /// Whether the function is the first of its values in order, or the last; `None` for other functions.
    fn extreme(&self) -> Option<bool> {
        match self.name.as_str() {
            "min" => Some(true),
            "max" => Some(false),
            _ => None,
        }
    }

    fn groups_accumulator(&self) -> Result<Box<dyn GroupsAccumulator>> {
        let mut accumulator = self.call.create_groups_accumulator().map_err(foreign)?;
        // Without ever having met a filter, it takes every group for one that has had rows; ours may have had none.
        self.grow(accumulator.as_mut(), 0)?;
        Ok(accumulator)
    }

    /// Makes an accumulator know groups that no row of it has.
    fn grow(&self, accumulator: &mut dyn GroupsAccumulator, group_count: usize) -> Result<()> {
        let nothing: Vec<ArrayRef> = self.arg_types.iter().map(new_empty_array).collect();
        let filter = BooleanArray::from(Vec::<bool>::new());
        accumulator.update_batch(&nothing, &[], Some(&filter), group_count).map_err(foreign)
    }

    fn state_types(&self) -> Result<Vec<DataType>> {
        match &self.mode {
            Mode::Ordered(_) => Ok(ordered::state_types(&self.arg_types)),
            Mode::Counted(kept) => Ok(counted::state_types(kept, &self.arg_types)),
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
        match &self.0.mode {
            Mode::Grouped => Box::new(grouped::GroupedStates::new(self.0.clone())),
            Mode::Single => Box::new(single::SingleStates::new(self.0.clone())),
            Mode::Ordered(kept) => Box::new(ordered::OrderedStates::new(self.0.clone(), kept.clone())),
            Mode::Counted(kept) => Box::new(counted::CountedStates::new(self.0.clone(), kept.clone())),
        }
    }

    fn can_retract(&self) -> bool {
        matches!(self.0.mode, Mode::Counted(_))
    }

    fn is_order_sensitive(&self) -> bool {
        self.0.order_sensitive
    }

    /// Its accumulators decide what a null is: `array_agg` keeps them, others leave them out.
    fn skips_nulls(&self) -> bool {
        false
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
