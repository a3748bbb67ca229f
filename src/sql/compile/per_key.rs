//! Sessions and windows of rows, which each key has of its own: an aggregate takes them over when it groups by their keys.
//!
//! ```text
//! SESSION(TABLE t PARTITION BY k, ..) GROUP BY k, window_start, window_end     one operator: k finds sessions and groups
//!                                     GROUP BY window_end                      sessions of k as rows, then groups of them
//! ```

use std::collections::BTreeSet;

use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, LogicalPlan};

use super::window::{plain_index, reads};
use crate::sql::plan::{WindowKeys, WindowNode};

/// Whether the windows below `input`, a plan that `window_columns` knows, are those of an aggregate by `keys`; windows
/// that lie at fixed places always are.
pub(super) fn are_of_groups(input: &LogicalPlan, keys: &[&Expr], in_sets: bool) -> bool {
    let Some(window) = window_node(input) else { return false };
    let WindowKeys::Columns(own) = &window.keys else { return true };
    if !window.kind.is_per_key() {
        return true;
    }
    let below = window.input.schema();
    let own: Option<BTreeSet<usize>> = own.iter().map(|key| plain_index(key, &window.input)).collect();
    let first = below.fields().len();
    let traced = keys.iter().map(|key| traced(plain_index(key, input)?, input));
    let traced: Option<BTreeSet<usize>> = traced.collect();
    let (Some(own), Some(traced)) = (own, traced) else { return false };
    let grouped: BTreeSet<usize> = traced.into_iter().filter(|column| *column < first).collect();
    !in_sets && own == grouped && !takes_rows_away(input)
}

/// Whether a condition stands above the window that looks at more than the window: it speaks of rows in windows, and may
/// not take them away before.
fn takes_rows_away(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => {
            let Some(window) = super::window::window_columns(&filter.input) else { return true };
            let of_rows = |expr: &&Expr| reads(expr, &filter.input, &window, false);
            split_conjunction(&filter.predicate).iter().any(of_rows) || takes_rows_away(&filter.input)
        }
        LogicalPlan::SubqueryAlias(alias) => takes_rows_away(&alias.input),
        LogicalPlan::Projection(projection) => takes_rows_away(&projection.input),
        _ => false,
    }
}

fn window_node(plan: &LogicalPlan) -> Option<&WindowNode> {
    match plan {
        LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
        LogicalPlan::SubqueryAlias(alias) => window_node(&alias.input),
        LogicalPlan::Filter(filter) => window_node(&filter.input),
        LogicalPlan::Projection(projection) => window_node(&projection.input),
        _ => None,
    }
}

/// The column of the window node that comes out as `column` of the plan, unchanged.
fn traced(column: usize, plan: &LogicalPlan) -> Option<usize> {
    match plan {
        LogicalPlan::Extension(_) => Some(column),
        LogicalPlan::SubqueryAlias(alias) => traced(column, &alias.input),
        LogicalPlan::Filter(filter) => traced(column, &filter.input),
        LogicalPlan::Projection(projection) => {
            traced(plain_index(projection.expr.get(column)?, &projection.input)?, &projection.input)
        }
        _ => None,
    }
}
