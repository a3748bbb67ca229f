//! What may be evaluated though a branch is not taken: expressions that cannot fail.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::InList;
use datafusion_expr::{BinaryExpr, Expr, Operator};

use super::Expressions;
use crate::error::Result;

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
            Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, right, .. }) => self.can_fail(right)?,
            _ => false,
        })
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
