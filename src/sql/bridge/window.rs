//! A DataFusion window function as one of ours.
//!
//! Place       `sql/compile/over` makes one for a window function that is not the engine's own.
//! Invariants  a partition has an evaluator of its own, which is asked in the order of its own wishes, as DataFusion's
//!             operator asks: by frame, by peers, or for all rows at once. What it makes has a value per row.

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use datafusion_common::ScalarValue;
use datafusion_expr::function::{ExpressionArgs, PartitionEvaluatorArgs};
use datafusion_expr::{PartitionEvaluator, WindowUDF};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, Literal};

use super::foreign;
use super::scalar::to_type;
use crate::error::{Error, Result};
use crate::function::{Partition, PartitionFunction};

/// What a foreign window function is made from.
pub struct ForeignWindowCall {
    pub function: Arc<WindowUDF>,
    /// A field per argument, of the types the plan says.
    pub fields: Vec<FieldRef>,
    /// The arguments that are literals, by number.
    pub literals: Vec<(usize, ScalarValue)>,
    pub ignore_nulls: bool,
    /// The types of the ORDER BY keys that the plan says.
    pub order_types: Vec<DataType>,
    /// The type of the result inside the engine.
    pub result: DataType,
}

/// A window function run by DataFusion's evaluators.
pub struct ForeignWindow {
    call: ForeignWindowCall,
    /// The columns that arguments are.
    schema: SchemaRef,
    args: Vec<Arc<dyn PhysicalExpr>>,
    /// What the function wants to see of them.
    values: Vec<Arc<dyn PhysicalExpr>>,
    has_frame: bool,
}

impl ForeignWindow {
    /// Binds the function. Failure: arguments it does not take.
    pub fn new(call: ForeignWindowCall) -> Result<Self> {
        let arg = |(index, field): (usize, &FieldRef)| -> Arc<dyn PhysicalExpr> {
            match call.literals.iter().find(|(literal, _)| *literal == index) {
                Some((_, value)) => Arc::new(Literal::new(value.clone())),
                None => Arc::new(Column::new(field.name(), index)),
            }
        };
        let args: Vec<_> = call.fields.iter().enumerate().map(arg).collect();
        let values = call.function.expressions(ExpressionArgs::new(&args, &call.fields));
        let schema = Arc::new(Schema::new(call.fields.clone()));
        let mut window = ForeignWindow { call, schema, args, values, has_frame: false };
        window.has_frame = window.guarded(|| Ok(window.evaluator()?.uses_window_frame()))?;
        Ok(window)
    }

    fn evaluator(&self) -> Result<Box<dyn PartitionEvaluator>> {
        let ForeignWindowCall { function, fields, ignore_nulls, .. } = &self.call;
        let args = PartitionEvaluatorArgs::new(&self.args, fields, false, *ignore_nulls);
        function.partition_evaluator_factory(args).map_err(foreign)
    }

    /// Runs what calls the function: its panics and its errors bear its name.
    fn guarded<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result.map_err(|e| e.context(format!("function {}", self.name()))),
            Err(panic) => Err(Error::kernel_panicked(self.name(), &*panic)),
        }
    }

    /// The columns that the evaluator is given.
    fn values(&self, partition: &Partition<'_>) -> Result<Vec<ArrayRef>> {
        let fields = self.schema.fields().iter();
        let columns = partition.args.iter().zip(fields).map(|(arg, field)| to_type(arg, field.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(partition.rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns.collect::<Result<_>>()?, &options)
            .map_err(|e| Error::bug(format!("arguments do not fit {}: {e}", self.name())))?;
        let value = |value: &Arc<dyn PhysicalExpr>| value.evaluate(&batch)?.into_array(partition.rows);
        self.values.iter().map(|expr| value(expr).map_err(foreign)).collect()
    }

    /// A value per row, each of its frame; behind the arguments the evaluator is given the columns of ORDER BY.
    fn by_frame(&self, evaluator: &mut dyn PartitionEvaluator, partition: &Partition<'_>) -> Result<ArrayRef> {
        let mut values = self.values(partition)?;
        for (column, data_type) in partition.order.iter().zip(&self.call.order_types) {
            values.push(to_type(column, data_type)?);
        }
        let row = |&(start, end): &(usize, usize)| evaluator.evaluate(&values, &(start..end)).map_err(foreign);
        let rows = partition.frames.iter().map(row).collect::<Result<Vec<ScalarValue>>>()?;
        ScalarValue::iter_to_array(rows).map_err(foreign)
    }

    fn column(&self, partition: &Partition<'_>) -> Result<ArrayRef> {
        let mut evaluator = self.evaluator()?;
        let made = if self.has_frame {
            self.by_frame(evaluator.as_mut(), partition)?
        } else if evaluator.include_rank() {
            let peers: Vec<Range<usize>> = partition.peers.windows(2).map(|bounds| bounds[0]..bounds[1]).collect();
            evaluator.evaluate_all_with_rank(partition.rows, &peers).map_err(foreign)?
        } else {
            evaluator.evaluate_all(&self.values(partition)?, partition.rows).map_err(foreign)?
        };
        if made.len() != partition.rows {
            return Err(Error::user(format!(
                "the function {} made {} rows of {}",
                self.name(),
                made.len(),
                partition.rows
            )));
        }
        to_type(&made, &self.call.result)
    }
}

impl PartitionFunction for ForeignWindow {
    fn name(&self) -> &str {
        self.call.function.name()
    }

    fn result_type(&self) -> DataType {
        self.call.result.clone()
    }

    fn has_frame(&self) -> bool {
        self.has_frame
    }

    fn evaluate(&self, partition: &Partition<'_>) -> Result<ArrayRef> {
        self.guarded(|| self.column(partition))
    }
}

impl fmt::Debug for ForeignWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignWindow({})", self.name())
    }
}
