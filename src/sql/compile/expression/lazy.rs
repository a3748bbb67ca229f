//! What may be evaluated though a branch is not taken: expressions that cannot fail.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::InList;
use datafusion_expr::{BinaryExpr, Expr, Operator};

use super::Expressions;
use crate::error::Result;

/// From this many nanoseconds a row on, rows are picked out before a condition is looked at.
const DEAR: f64 = 20.0;
/// What a call that DataFusion runs is taken to cost a row, in nanoseconds.
const FOREIGN_COST: f64 = 10.0;

/// A side of AND or OR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Expressions<'_> {
    /// Whether some values of the columns make `expr` fail.
    pub fn can_fail(&self, expr: &Expr) -> Result<bool> {
        match expr {
            Expr::Column(_) | Expr::Literal(..) => return Ok(false),
            Expr::Alias(alias) => return self.can_fail(&alias.expr),
            _ => (),
        }
        // Their kernels never fail, and looking for one asks the same question of the parts again.
        let connects = |op: &Operator| matches!(op, Operator::And | Operator::Or);
        if matches!(expr, Expr::Between(_) | Expr::Case(_))
            || matches!(expr, Expr::BinaryExpr(binary) if connects(&binary.op))
        {
            return self.any_child(expr, |child| self.can_fail(child));
        }
        match self.native_call(expr)? {
            Some(call) if call.kernel.can_fail() => Ok(true),
            Some(call) => any(&call.args, |arg| self.can_fail(arg)),
            None => Ok(!is_total(expr) || self.any_child(expr, |child| self.can_fail(child))?),
        }
    }

    /// Whether `expr` is all native kernels that cannot fail: cheap, and safe to evaluate on any row.
    pub fn is_cheap_and_safe(&self, expr: &Expr) -> Result<bool> {
        match expr {
            Expr::Column(_) | Expr::Literal(..) => return Ok(true),
            Expr::Alias(alias) => return self.is_cheap_and_safe(&alias.expr),
            // Looking for its kernel asks the same question of its parts.
            Expr::Case(_) if self.any_child(expr, |child| Ok(!self.is_cheap_and_safe(child)?))? => return Ok(false),
            Expr::Case(_) => return Ok(self.native_call(expr)?.is_some()),
            _ => (),
        }
        let safe =
            self.native_call(expr)?.is_some_and(|call| !call.kernel.can_fail() && call.kernel.is_deterministic());
        Ok(safe && !self.any_child(expr, |child| Ok(!self.is_cheap_and_safe(child)?))?)
    }

    /// Whether parts of `expr` must not be evaluated for rows that another part decides.
    pub(super) fn is_lazy(&self, expr: &Expr) -> Result<bool> {
        Ok(match expr {
            Expr::Case(_) | Expr::HigherOrderFunction(_) => true,
            Expr::ScalarFunction(call) => call.func.short_circuits(),
            Expr::BinaryExpr(binary @ BinaryExpr { op: Operator::And | Operator::Or, right, .. }) => {
                self.can_fail(right)? || self.dearer_side(binary)?.is_some()
            }
            _ => false,
        })
    }

    /// Which side of AND or OR is better looked at only where the other one does not decide; `None`: both are cheap, or
    /// one of them must be looked at.
    pub(super) fn dearer_side(&self, binary: &BinaryExpr) -> Result<Option<Side>> {
        // Asked at every step of a long chain: what is dear is looked for before kernels are.
        if !may_be_dear(&binary.left) && !may_be_dear(&binary.right) {
            return Ok(None);
        }
        let (left, right) = (self.cost(&binary.left)?, self.cost(&binary.right)?);
        let (dearer, side) = if left > right { (left, Side::Left) } else { (right, Side::Right) };
        let is_volatile = || binary.left.is_volatile() || binary.right.is_volatile();
        if dearer < DEAR || is_volatile() || self.can_fail(&binary.left)? || self.can_fail(&binary.right)? {
            return Ok(None);
        }
        Ok(Some(side))
    }

    /// About how many nanoseconds a row of `expr` takes beyond what kernels over whole columns do.
    fn cost(&self, expr: &Expr) -> Result<f64> {
        let connects = |op: &Operator| matches!(op, Operator::And | Operator::Or);
        match expr {
            Expr::Column(_) | Expr::Literal(..) => return Ok(0.0),
            Expr::Alias(alias) => return self.cost(&alias.expr),
            // Their own kernels are cheap, and looking for one asks the same question of the parts again.
            Expr::Between(_) | Expr::Case(_) => return self.children_cost(expr),
            Expr::BinaryExpr(binary) if connects(&binary.op) => return self.children_cost(expr),
            _ => (),
        }
        let own = self.native_call(expr)?.map_or(FOREIGN_COST, |call| call.kernel.cost());
        Ok(own + self.children_cost(expr)?)
    }

    fn children_cost(&self, expr: &Expr) -> Result<f64> {
        let (mut sum, mut failed) = (0.0, None);
        let walked = expr.apply_children(|child| {
            match self.cost(child) {
                Ok(cost) => sum += cost,
                Err(error) => failed = Some(error),
            }
            Ok(if failed.is_none() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        });
        debug_assert!(walked.is_ok(), "looking at an expression does not fail");
        failed.map_or(Ok(sum), Err)
    }

    pub(super) fn any_child(&self, expr: &Expr, test: impl Fn(&Expr) -> Result<bool>) -> Result<bool> {
        let mut found = Ok(false);
        let walked = expr.apply_children(|child| {
            found = test(child);
            Ok(if matches!(found, Ok(false)) { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        });
        debug_assert!(walked.is_ok(), "looking at an expression does not fail");
        found
    }
}

/// Whether a function or a regular expression is somewhere in `expr`; all else is cheap.
fn may_be_dear(expr: &Expr) -> bool {
    use Operator::{RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch};
    let is_dear = |expr: &Expr| match expr {
        Expr::ScalarFunction(_) => true,
        Expr::BinaryExpr(binary) => {
            matches!(binary.op, RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch)
        }
        _ => false,
    };
    expr.exists(|expr| Ok(is_dear(expr))).unwrap_or(true)
}

fn any(exprs: &[Expr], test: impl Fn(&Expr) -> Result<bool>) -> Result<bool> {
    for expr in exprs {
        if test(expr)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a call that DataFusion runs has a value for all arguments of its types.
fn is_total(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            use Operator::*;
            matches!(
                op,
                Eq | NotEq | Lt | LtEq | Gt | GtEq | And | Or | IsDistinctFrom | IsNotDistinctFrom | StringConcat
            )
        }
        Expr::Like(like) => matches!(like.pattern.as_ref(), Expr::Literal(..)),
        Expr::InList(InList { list, .. }) => list.iter().all(|value| matches!(value, Expr::Literal(..))),
        Expr::Not(_) | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsNotTrue(_) => true,
        Expr::IsFalse(_) | Expr::IsNotFalse(_) | Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => true,
        Expr::Between(_) | Expr::Case(_) | Expr::TryCast(_) => true,
        Expr::ScalarFunction(call) => TOTAL_FUNCTIONS.contains(&call.func.name()),
        _ => false,
    }
}

/// Functions of DataFusion that never fail on values of their types.
const TOTAL_FUNCTIONS: &[&str] = &[
    "btrim",
    "character_length",
    "coalesce",
    "ends_with",
    "greatest",
    "isnan",
    "iszero",
    "least",
    "length",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "reverse",
    "rtrim",
    "starts_with",
    "strpos",
    "substr",
    "upper",
];
