//! Logical plan to better logical plan: types made to agree, then an ordered list of rules.
//!
//! The rules are DataFusion's, in DataFusion's order, without those that do not suit us:
//! - `single_distinct_to_groupby`: our aggregates count distinct values themselves, in one pass;
//! - `common_subexpr_eliminate`: a program shares its steps anyway, and the projections it adds cost;
//! - `extract_leaf_expressions`, `push_down_leaf_projections`: projections below filters, made for columnar files of structs;
//! - `unions_to_filter`: trades branches of a union for one scan, off in DataFusion as well.

mod agree; //           comparisons of values of two types
mod dependent; //       subqueries that depend on their surroundings, LATERAL
mod exact; //           simplification without arithmetic that wraps
mod in_subquery; //     IN over queries where NULL counts
mod null_equality; //   keys of joins where NULL equals NULL
mod scalar_subquery; // scalar subqueries as joins
mod join_order; //      which inner joins come first
mod eager; //           aggregates below joins
mod alike; //           groups asked for under several conditions on their keys
mod same; //            plans that give the same again, values that are equal
mod interval; //        intervals compared by their length
mod statistics; //      how many rows a plan gives

pub(super) use exact::exactly;
pub(super) use interval::{compare_lengths, compares};
pub(super) use same::is_repeatable;
pub(super) use statistics::Statistics;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion_common::Result as PlanResult;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::{InvariantLevel, LogicalPlan};
use datafusion_optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion_optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion_optimizer::eliminate_duplicated_expr::EliminateDuplicatedExpr;
use datafusion_optimizer::eliminate_filter::EliminateFilter;
use datafusion_optimizer::eliminate_group_by_constant::EliminateGroupByConstant;
use datafusion_optimizer::eliminate_join::EliminateJoin;
use datafusion_optimizer::eliminate_limit::EliminateLimit;
use datafusion_optimizer::eliminate_outer_join::EliminateOuterJoin;
use datafusion_optimizer::filter_null_join_keys::FilterNullJoinKeys;
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::optimize_unions::OptimizeUnions;
use datafusion_optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::push_down_limit::PushDownLimit;
use datafusion_optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion_optimizer::rewrite_set_comparison::RewriteSetComparison;
use datafusion_optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext, OptimizerRule};

use dependent::JoinDependent;
use exact::SimplifyExactly;
use in_subquery::SpellOutIn;
use null_equality::{FindKeys, JoinCrossProducts};
use scalar_subquery::JoinSingleRows;

use super::catalog::CatalogTable;
use super::plan::keep_counts;

/// Makes the types of a plan agree, rewrites it, then orders its joins. `started` is what `now()` says; `shares_groups`: groups
/// that stand in the plan several times are computed once.
pub(super) fn optimize(
    plan: LogicalPlan,
    options: &Arc<ConfigOptions>,
    started: Option<DateTime<Utc>>,
    shares_groups: bool,
) -> PlanResult<LogicalPlan> {
    let plan = agreed(agree::agree(plan)?, options)?;
    let plan = interval::measure(keep_counts(plan)?)?;
    let mut context = OptimizerContext::new_with_config_options(options.clone());
    if let Some(started) = started {
        context = context.with_query_execution_start_time(started);
    }
    let plan = RewriteSetComparison::new().rewrite(plan, &context)?.data;
    let plan = JoinDependent::first().rewrite(plan, &context)?.data;
    let plan = Optimizer::with_rules(rules()).optimize(plan, &context, |_, _| {})?;
    if !has_join(&plan)? || !ends(&plan)? {
        return Ok(plan);
    }
    let plan = join_order::order_joins(plan)?;
    let again: Vec<Arc<dyn OptimizerRule + Send + Sync>> =
        vec![Arc::new(PushDownFilter::new()), Arc::new(OptimizeProjections::new())];
    let plan = Optimizer::with_rules(again).optimize(plan, &context, |_, _| {})?;
    let plan = if shares_groups { alike::ask_once(plan)? } else { plan };
    let plan = eager::aggregate_below_joins(plan)?;
    Optimizer::with_rules(vec![Arc::new(OptimizeProjections::new())]).optimize(plan, &context, |_, _| {})
}

/// Makes the types agree. What the planner's library checks of subqueries beyond that is what its own rules cannot do.
fn agreed(plan: LogicalPlan, options: &ConfigOptions) -> PlanResult<LogicalPlan> {
    plan.check_invariants(InvariantLevel::Always)?;
    let rules = Analyzer::new().rules;
    let plan = rules.iter().try_fold(plan, |plan, rule| rule.analyze(plan, options))?;
    plan.check_invariants(InvariantLevel::Always)?;
    Ok(plan)
}

fn has_join(plan: &LogicalPlan) -> PlanResult<bool> {
    plan.exists(|plan| Ok(matches!(plan, LogicalPlan::Join(_))))
}

/// Whether all tables end and can be read: joins of streams and of what is asked by key stand in the order they are written in.
fn ends(plan: &LogicalPlan) -> PlanResult<bool> {
    let goes_on = plan.exists(|plan| {
        let LogicalPlan::TableScan(scan) = plan else { return Ok(false) };
        Ok(scan
            .source
            .downcast_ref::<CatalogTable>()
            .is_none_or(|table| !table.table.is_bounded() || table.table.lookup().is_some()))
    })?;
    Ok(!goes_on)
}

fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExactly::default()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(EliminateJoin::new()),
        Arc::new(SpellOutIn),
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
        Arc::new(JoinSingleRows),
        Arc::new(DecorrelateLateralJoin::new()),
        Arc::new(JoinDependent::last()),
        Arc::new(FindKeys::default()),
        Arc::new(EliminateDuplicatedExpr::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(JoinCrossProducts::default()),
        Arc::new(EliminateLimit::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(FilterNullJoinKeys::default()),
        Arc::new(EliminateOuterJoin::new()),
        Arc::new(PushDownLimit::new()), // before filters, which cannot pass a limit
        Arc::new(PushDownFilter::new()),
        Arc::new(EliminateGroupByConstant::new()),
        Arc::new(OptimizeProjections::new()), // last: what the others no longer need goes
    ]
}
