//! DataFusion's rules for the keys of joins, but where NULL equals NULL.
//!
//! A join has one answer for all of its keys to whether NULL equals NULL. Two of the rules forget that: one takes inner
//! joins apart and puts them together again with the answer of one of them, the other adds `a = b` to the keys of a join
//! by `IS NOT DISTINCT FROM`. A query would lose rows, or get some.

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{JoinType, NullEquality, Result};
use datafusion_expr::{Join, LogicalPlan};
use datafusion_optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion_optimizer::extract_equijoin_predicate::ExtractEquijoinPredicate;
use datafusion_optimizer::optimizer::ApplyOrder;
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};

/// Cross products with conditions as joins. Queries with `IS NOT DISTINCT FROM` between tables are left as they are: the
/// order of joins finds their keys later.
#[derive(Debug, Default)]
pub(super) struct JoinCrossProducts(EliminateCrossJoin);

/// Equalities among the conditions of a join as its keys; of a join that has keys by which NULL equals NULL they stay
/// conditions.
#[derive(Debug, Default)]
pub(super) struct FindKeys(ExtractEquijoinPredicate);

impl OptimizerRule for JoinCrossProducts {
    fn name(&self) -> &str {
        "join_cross_products"
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let is_one = |plan: &LogicalPlan| {
            Ok(matches!(plan, LogicalPlan::Join(join) if join.join_type == JoinType::Inner && null_equals_null(join)))
        };
        if plan.exists(is_one)? { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

impl OptimizerRule for FindKeys {
    fn name(&self) -> &str {
        "find_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match &plan {
            LogicalPlan::Join(join) if null_equals_null(join) && !join.on.is_empty() => Ok(Transformed::no(plan)),
            _ => self.0.rewrite(plan, config),
        }
    }
}

fn null_equals_null(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull
}
