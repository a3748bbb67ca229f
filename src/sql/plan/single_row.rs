//! The logical node of a scalar subquery: its input must have at most one row; where it has none, there is one of NULLs.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_common::{DFSchema, DFSchemaRef, Result as PlanResult, internal_err};
use datafusion_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};

/// Exactly one row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SingleRowNode {
    pub input: Arc<LogicalPlan>,
    /// The input's columns, each of which may be NULL.
    schema: DFSchemaRef,
}

impl SingleRowNode {
    pub fn new(input: LogicalPlan) -> SingleRowNode {
        let schema = input.schema();
        let fields = schema.iter().map(|(qualifier, field)| {
            let field = Field::clone(field).with_nullable(true);
            (qualifier.cloned(), Arc::new(field))
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), schema.metadata().clone());
        let schema = Arc::new(schema.expect("the names were unique in the input"));
        SingleRowNode { input: Arc::new(input), schema }
    }

    /// As a node of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }
}

impl UserDefinedLogicalNodeCore for SingleRowNode {
    fn name(&self) -> &str {
        "SingleRow"
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

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("SingleRow")
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        match (inputs.pop(), inputs.is_empty()) {
            (Some(input), true) => Ok(SingleRowNode::new(input)),
            _ => internal_err!("a single row has one input"),
        }
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

impl PartialOrd for SingleRowNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.input.partial_cmp(&other.input)
    }
}
