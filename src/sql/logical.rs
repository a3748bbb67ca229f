//! Small looks at logical plans: the subquery that an expression is, grouping sets one by one.

use datafusion_common::Result;
use datafusion_expr::utils::powerset;
use datafusion_expr::{Expr, GroupingSet, Subquery};

/// The subquery that an expression is.
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(within) => Some(&within.subquery),
        Expr::SetComparison(comparison) => Some(&comparison.subquery),
        Expr::ScalarSubquery(subquery) => Some(subquery),
        _ => None,
    }
}

/// Grouping sets as the keys of each.
///
/// Failure: CUBE of more keys than there can be sets of.
pub(super) fn expanded(sets: &GroupingSet) -> Result<Vec<Vec<&Expr>>> {
    Ok(match sets {
        GroupingSet::Rollup(keys) => (0..=keys.len()).rev().map(|count| keys[..count].iter().collect()).collect(),
        GroupingSet::Cube(keys) => powerset(keys)?,
        GroupingSet::GroupingSets(sets) => sets.iter().map(|set| set.iter().collect()).collect(),
    })
}
