//! The logical node of `INTERSECT ALL` and `EXCEPT ALL`, which count how often a row is there.
//!
//! The planner makes semi and anti joins of them, as if a row on the right answered for all equal ones on the left. As a
//! node of their own they keep their count: each row on the right answers for one on the left.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{DFSchemaRef, JoinType, NullEquality, Result as PlanResult, internal_err};
use datafusion_expr::{Distinct, Expr, Extension, LogicalPlan, Projection, UserDefinedLogicalNodeCore};

/// Rows of the left input that have, or have not, one of their own on the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOperationNode {
    pub left: Arc<LogicalPlan>,
    pub right: Arc<LogicalPlan>,
    /// `EXCEPT ALL`; else `INTERSECT ALL`.
    pub except: bool,
}

/// Puts the node in the place of what the planner makes of `INTERSECT ALL` and `EXCEPT ALL`.
pub fn keep_counts(plan: LogicalPlan) -> PlanResult<LogicalPlan> {
    let kept = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
                && join.null_equality == NullEquality::NullEqualsNull
                && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_))) =>
        {
            let except = join.join_type == JoinType::LeftAnti;
            let node = SetOperationNode { left: join.left, right: join.right, except };
            let node = node.into_plan();
            // The planner asks a query behind IN for its one expression, which only a projection has.
            let columns = node.schema().columns().into_iter().map(Expr::Column).collect();
            Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(node))?)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(kept.data)
}

impl SetOperationNode {
    /// As a node of a plan.
    pub fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }
}

impl UserDefinedLogicalNodeCore for SetOperationNode {
    fn name(&self) -> &str {
        if self.except { "ExceptAll" } else { "IntersectAll" }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.left.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> PlanResult<Self> {
        match <[LogicalPlan; 2]>::try_from(inputs) {
            Ok([left, right]) => {
                Ok(SetOperationNode { left: Arc::new(left), right: Arc::new(right), except: self.except })
            }
            Err(_) => internal_err!("a set operation has two inputs"),
        }
    }
}

impl Hash for SetOperationNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.left, &self.right, self.except).hash(state);
    }
}

impl PartialOrd for SetOperationNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let of = |node: &Self| (node.left.clone(), node.right.clone(), node.except);
        of(self).partial_cmp(&of(other))
    }
}
