//! The logical node of users' operators: `FROM f(TABLE t, constants...)`.
//!
//! Invariants  the operator sees all columns of its input, whatever the query reads of it, and no condition moves below it.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use datafusion_common::{DFSchema, DFSchemaRef, Result as PlanResult, ScalarValue, internal_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::batch::engine_schema;
use crate::error::Result;
use crate::pipeline::{BoundOperator, OperatorFunction};
use crate::sql::error::from_datafusion;

/// A call of an operator function.
#[derive(Clone)]
pub struct OperatorNode {
    pub name: String,
    args: Vec<ScalarValue>,
    pub input: Arc<LogicalPlan>,
    pub operator: BoundOperator,
    function: Arc<dyn OperatorFunction>,
    pub schema: DFSchemaRef,
}

impl OperatorNode {
    /// Binds the function to its input and arguments.
    pub fn try_new(
        name: &str,
        function: Arc<dyn OperatorFunction>,
        input: LogicalPlan,
        args: Vec<ScalarValue>,
    ) -> Result<OperatorNode> {
        let values = args.iter().map(ScalarValue::to_array).collect::<PlanResult<Vec<ArrayRef>>>();
        let columns = engine_schema(input.schema().as_arrow());
        let operator = function.bind(&columns, &values.map_err(from_datafusion)?);
        let operator = operator.map_err(|e| e.context(format!("function {name}")))?;
        let schema = DFSchema::try_from(Schema::clone(&operator.schema)).map_err(from_datafusion)?;
        let (name, input, schema) = (name.to_string(), Arc::new(input), Arc::new(schema));
        Ok(OperatorNode { name, args, input, operator, function, schema })
    }

    /// As a node of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }
}

impl UserDefinedLogicalNodeCore for OperatorNode {
    fn name(&self) -> &str {
        "Operator"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let args: Vec<String> = self.args.iter().map(ToString::to_string).collect();
        write!(f, "Operator: {}({})", self.name, args.join(", "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        match inputs.pop() {
            Some(input) if inputs.is_empty() => Ok(OperatorNode { input: Arc::new(input), ..self.clone() }),
            _ => internal_err!("an operator has one input"),
        }
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}

impl fmt::Debug for OperatorNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorNode({} {:?})", self.name, self.args)
    }
}

impl PartialEq for OperatorNode {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.args == other.args
            && self.input == other.input
            && Arc::ptr_eq(&self.function, &other.function)
    }
}

impl Eq for OperatorNode {}

impl Hash for OperatorNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.name, &self.args, &self.input).hash(state);
    }
}

impl PartialOrd for OperatorNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let order = self.name.cmp(&other.name);
        let order = if order.is_eq() { self.args.partial_cmp(&other.args)? } else { order };
        let order = if order.is_eq() { self.input.partial_cmp(&other.input)? } else { order };
        (order != Ordering::Equal || self == other).then_some(order)
    }
}
