//! A DataFusion expression as one of our kernels.
//!
//! Place       `sql/compile/expression` makes one for every call it has no native kernel for.
//! Invariants  the expression reads the columns of `schema`, which are the kernel's arguments in order.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::DFSchema;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{ColumnarValue, Expr};
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};

use super::exact::make_exact;
use super::foreign;
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// An expression over a small schema, run by DataFusion.
pub struct ForeignKernel {
    name: String,
    /// SQL text with `{0}`, `{1}`, … where the arguments go.
    template: String,
    expression: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    result: DataType,
    deterministic: bool,
    can_fail: bool,
}

/// What a [`ForeignKernel`] is made from.
pub struct ForeignCall<'a> {
    /// The function or operator, as EXPLAIN names it.
    pub name: String,
    pub template: String,
    /// Reads the columns of `schema` by name.
    pub expression: &'a Expr,
    pub schema: &'a DFSchema,
    /// The type of the column to make; what the expression gives is cast to it.
    pub result: DataType,
    pub can_fail: bool,
}

impl ForeignKernel {
    /// Plans the expression. Failure: one that DataFusion has no physical form for.
    pub fn new(call: ForeignCall<'_>) -> Result<Self> {
        let expression = physical(call.expression, call.schema)?;
        Ok(ForeignKernel {
            name: call.name,
            template: call.template,
            schema: nullable(call.schema.as_arrow()),
            expression,
            result: call.result,
            deterministic: !call.expression.is_volatile(),
            can_fail: call.can_fail,
        })
    }
}

/// The same columns, any of them nullable: what a plan calls never null may be so under rows that nobody looks at.
fn nullable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// The physical form of an expression over `schema`, with exact arithmetic.
pub fn physical(expression: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let context = PhysicalPlanningContext::default();
    create_physical_expr(expression, schema, &ExecutionProps::new(), &context)
        .and_then(|expression| make_exact(expression, schema.as_arrow()))
        .map_err(foreign)
}

impl ScalarKernel for ForeignKernel {
    fn name(&self) -> &str {
        &self.name
    }

    fn result_type(&self) -> DataType {
        self.result.clone()
    }

    fn evaluate(&self, _: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let columns = args
            .iter()
            .zip(self.schema.fields())
            .map(|(arg, field)| arg.to_array(field.data_type()))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| Error::bug(format!("arguments do not fit {}: {e}", self.name)))?;
        *out = match self.expression.evaluate(&batch).map_err(foreign)? {
            ColumnarValue::Array(array) if array.len() == rows => Column::Array(to_type(&array, &self.result)?),
            ColumnarValue::Array(array) => {
                return Err(Error::bug(format!("{} made {} rows of {rows}", self.name, array.len())));
            }
            ColumnarValue::Scalar(value) => {
                Column::Constant(to_type(&value.to_array().map_err(foreign)?, &self.result)?)
            }
        };
        Ok(())
    }

    fn is_deterministic(&self) -> bool {
        self.deterministic
    }

    fn can_fail(&self) -> bool {
        self.can_fail
    }

    fn is_native(&self) -> bool {
        false
    }

    fn show(&self, args: &[String]) -> String {
        fill(&self.template, args)
    }
}

impl fmt::Debug for ForeignKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ForeignKernel({}: {})", self.template, self.result)
    }
}

/// Casts an array where its type differs; a value that does not fit is an error, not a null.
pub fn to_type(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(array.clone());
    }
    Ok(cast_with_options(array, data_type, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// Puts the arguments' texts where the template's `{0}`, `{1}`, … stand.
fn fill(template: &str, args: &[String]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        text.push_str(before);
        let close = after.find('}');
        let arg = close.and_then(|close| after[1..close].parse::<usize>().ok()).and_then(|index| args.get(index));
        match (arg, close) {
            (Some(arg), Some(close)) => {
                text.push_str(arg);
                rest = &after[close + 1..];
            }
            _ => {
                text.push('{');
                rest = &after[1..];
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn fills_a_template() {
        let args = ["a".to_string(), "b{0}".to_string()];
        assert_eq!(fill("f({1}, {0}, '{}', {7})", &args), "f(b{0}, a, '{}', {7})");
    }
}
