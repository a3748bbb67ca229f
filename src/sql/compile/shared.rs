//! Groups that a query asks for more than once, as a CTE that is read twice: computed once, their rows given to all.
//!
//! Two places ask for the same groups when their plans are equal but for `key IS NOT NULL`, which joins put below the one
//! and not the other: that is asked of the groups' keys instead, above.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result as PlanResult};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Aggregate, Expr, Filter, LogicalPlan, Projection, TableScan};

use super::{Compiler, Result};
use crate::pipeline::{ChangeMode, NodeId};
use crate::sql::optimize::is_repeatable;

/// The aggregates of a plan that stand in it more than once, and the node of each once there is one.
pub(super) type Repeated = HashMap<LogicalPlan, Option<NodeId>>;

/// Finds them.
pub(super) fn repeated(plan: &LogicalPlan) -> PlanResult<Repeated> {
    let mut counts: HashMap<LogicalPlan, usize> = HashMap::new();
    plan.apply(|plan| {
        if let Some((same, _)) = without_null_checks(plan)
            && is_repeatable(&same)?
        {
            *counts.entry(same).or_default() += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(counts.into_iter().filter(|(_, count)| *count > 1).map(|(plan, _)| (plan, None)).collect())
}

impl Compiler {
    /// An aggregate; one that stands in the query again is computed for all of its places.
    pub(super) fn aggregate_once(&mut self, plan: &LogicalPlan, aggregate: &Aggregate) -> Result<NodeId> {
        let same = if self.repeated.is_empty() { None } else { without_null_checks(plan) };
        let Some((same, checks)) = same.filter(|(same, _)| self.repeated.contains_key(same)) else {
            return self.aggregate(aggregate);
        };
        let node = match (self.repeated.get(&same).copied().flatten(), &same) {
            (Some(known), _) => known,
            (None, LogicalPlan::Aggregate(aggregate)) => {
                let node = self.aggregate(aggregate)?;
                if self.nodes[node].changes == ChangeMode::Append {
                    self.repeated.insert(same.clone(), Some(node));
                }
                node
            }
            (None, _) => return self.aggregate(aggregate),
        };
        match conjunction(checks) {
            None => Ok(node),
            Some(checks) => {
                let columns = self.columns(node, &same);
                self.add_filter(node, &columns, &checks)
            }
        }
    }
}

/// An aggregate by columns, without the conditions on its input that a key is not null; and these, as they hold of groups.
fn without_null_checks(plan: &LogicalPlan) -> Option<(LogicalPlan, Vec<Expr>)> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return None };
    let keys: Vec<&Column> = aggregate
        .group_expr
        .iter()
        .filter_map(|key| if let Expr::Column(key) = key { Some(key) } else { None })
        .collect();
    let mut checks = Vec::new();
    let input = without_checks_of(&aggregate.input, &keys, &mut checks);
    let Aggregate { group_expr, aggr_expr, .. } = aggregate.clone();
    let same = Aggregate::try_new_with_schema(Arc::new(input), group_expr, aggr_expr, aggregate.schema.clone()).ok()?;
    Some((LogicalPlan::Aggregate(same), checks))
}

/// The plan without checks of `keys`, as far as their columns go through it under their own names.
fn without_checks_of(plan: &LogicalPlan, keys: &[&Column], checks: &mut Vec<Expr>) -> LogicalPlan {
    let is_check = |expr: &Expr| matches!(expr, Expr::IsNotNull(inner) if matches!(inner.as_ref(), Expr::Column(column) if keys.contains(&column)));
    match plan {
        LogicalPlan::Projection(projection) if leaves_names(projection) => {
            let input = without_checks_of(&projection.input, keys, checks);
            let (exprs, schema) = (projection.expr.clone(), projection.schema.clone());
            match Projection::try_new_with_schema(exprs, Arc::new(input), schema) {
                Ok(projection) => LogicalPlan::Projection(projection),
                Err(_) => plan.clone(),
            }
        }
        LogicalPlan::Filter(filter) => {
            let input = without_checks_of(&filter.input, keys, checks);
            let (own, others): (Vec<&Expr>, Vec<&Expr>) =
                split_conjunction(&filter.predicate).into_iter().partition(|conjunct| is_check(conjunct));
            for check in own {
                if !checks.contains(check) {
                    checks.push(check.clone());
                }
            }
            match conjunction(others.into_iter().cloned()) {
                None => input,
                Some(rest) => Filter::try_new(rest, Arc::new(input)).map_or_else(|_| plan.clone(), LogicalPlan::Filter),
            }
        }
        LogicalPlan::TableScan(scan) => {
            // The filter stands behind: here they only help to read less.
            let filters = scan.filters.iter().filter(|filter| !is_check(filter)).cloned().collect();
            LogicalPlan::TableScan(TableScan { filters, ..scan.clone() })
        }
        other => other.clone(),
    }
}

/// Whether a projection only leaves columns out or moves them, each under its name.
fn leaves_names(projection: &Projection) -> bool {
    let fields = projection.schema.columns();
    projection.expr.iter().zip(fields).all(|(expr, field)| matches!(expr, Expr::Column(column) if *column == field))
}
