//! Calls that kernels of our own run.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Between, BinaryExpr, Expr, Operator, lit};

use super::{Expressions, Value};
use crate::error::Result;
use crate::expression::Operand;
use crate::function::ScalarKernel;
use crate::function::scalar::{self, BinaryOp};
use crate::sql::bridge::function;

/// A kernel found for an expression, and what it is applied to.
pub struct NativeCall {
    /// Names the kernel with all its settings.
    pub key: String,
    pub kernel: Arc<dyn ScalarKernel>,
    pub args: Vec<Expr>,
}

impl Expressions<'_> {
    /// The kernel of our own that computes `expr` from its parts; `None`: DataFusion does.
    pub(super) fn native_call(&self, expr: &Expr) -> Result<Option<NativeCall>> {
        let call = match expr {
            Expr::BinaryExpr(binary) => self.binary_call(binary)?,
            Expr::Not(arg) => self.unary_call(arg, "not", |arg| (*arg == DataType::Boolean).then(scalar::not))?,
            Expr::IsNull(arg) => self.unary_call(arg, "is null", |_| Some(scalar::is_null()))?,
            Expr::IsNotNull(arg) => self.unary_call(arg, "is not null", |_| Some(scalar::is_not_null()))?,
            Expr::Negative(arg) => self.unary_call(arg, "negate", scalar::negate)?,
            Expr::Cast(cast) => {
                let to = cast.field.data_type();
                self.unary_call(&cast.expr, &format!("cast to {to}"), |from| scalar::cast(from, to))?
            }
            Expr::Between(between) => self.between_call(between)?,
            Expr::IsTrue(arg) => self.distinct_call(arg, BinaryOp::IsNotDistinctFrom, true)?,
            Expr::IsNotTrue(arg) => self.distinct_call(arg, BinaryOp::IsDistinctFrom, true)?,
            Expr::IsFalse(arg) => self.distinct_call(arg, BinaryOp::IsNotDistinctFrom, false)?,
            Expr::IsNotFalse(arg) => self.distinct_call(arg, BinaryOp::IsDistinctFrom, false)?,
            Expr::IsUnknown(arg) => self.unary_call(arg, "is null", |_| Some(scalar::is_null()))?,
            Expr::IsNotUnknown(arg) => self.unary_call(arg, "is not null", |_| Some(scalar::is_not_null()))?,
            Expr::ScalarFunction(call) => self.function_call(call)?,
            _ => None,
        };
        let Some(call) = call else { return Ok(None) };
        // The plan has the last word on types; a kernel that sees it otherwise is not the one meant.
        let fits = call.kernel.result_type() == self.engine_type_of(expr)?;
        Ok(fits.then_some(call))
    }

    /// Adds the steps of a call.
    pub(super) fn native(&mut self, call: NativeCall) -> Result<Value> {
        let args = call.args.iter().map(|arg| Ok(self.compile(arg)?.operand)).collect::<Result<Vec<Operand>>>()?;
        let data_type = call.kernel.result_type();
        let operand = self.builder.step(call.key, call.kernel, args);
        Ok(Value { operand, data_type })
    }

    fn binary_call(&self, binary: &BinaryExpr) -> Result<Option<NativeCall>> {
        let BinaryExpr { left, op, right } = binary;
        let Some(op) = binary_op(*op) else { return Ok(None) };
        if matches!(op, BinaryOp::And | BinaryOp::Or) && self.can_fail(right)? {
            return Ok(None); // the right side may be evaluated only where the left one does not decide
        }
        let kernel = scalar::binary(op, &self.engine_type_of(left)?, &self.engine_type_of(right)?);
        Ok(kernel.map(|kernel| NativeCall {
            key: op.symbol().to_string(),
            kernel,
            args: vec![left.as_ref().clone(), right.as_ref().clone()],
        }))
    }

    fn unary_call(
        &self,
        arg: &Expr,
        key: &str,
        kernel: impl FnOnce(&DataType) -> Option<Arc<dyn ScalarKernel>>,
    ) -> Result<Option<NativeCall>> {
        let kernel = kernel(&self.engine_type_of(arg)?);
        Ok(kernel.map(|kernel| NativeCall { key: key.to_string(), kernel, args: vec![arg.clone()] }))
    }

    /// `x BETWEEN low AND high`, as the two comparisons that it means.
    fn between_call(&self, between: &Between) -> Result<Option<NativeCall>> {
        let value = between.expr.as_ref();
        if value.is_volatile() || self.can_fail(&between.high)? {
            return Ok(None);
        }
        let low = value.clone().gt_eq(between.low.as_ref().clone());
        let high = value.clone().lt_eq(between.high.as_ref().clone());
        if between.negated {
            return self.unary_call(&low.and(high), "not", |_| Some(scalar::not()));
        }
        let both = BinaryExpr { left: Box::new(low), op: Operator::And, right: Box::new(high) };
        self.binary_call(&both)
    }

    /// `x IS [NOT] TRUE` and `x IS [NOT] FALSE`.
    fn distinct_call(&self, arg: &Expr, op: BinaryOp, value: bool) -> Result<Option<NativeCall>> {
        let kernel = scalar::binary(op, &self.engine_type_of(arg)?, &DataType::Boolean);
        Ok(kernel.map(|kernel| NativeCall {
            key: op.symbol().to_string(),
            kernel,
            args: vec![arg.clone(), lit(value)],
        }))
    }

    fn function_call(&self, call: &ScalarFunction) -> Result<Option<NativeCall>> {
        let types = call.args.iter().map(|arg| self.engine_type_of(arg)).collect::<Result<Vec<_>>>()?;
        let kernel = match function::scalar_kernel(&call.func, &types) {
            Some(kernel) => Some(kernel),
            None => builtin(call.func.name(), &types),
        };
        let key = format!("{}{types:?}", call.func.name());
        Ok(kernel.map(|kernel| NativeCall { key, kernel, args: call.args.clone() }))
    }
}

/// Functions of DataFusion's names that have a kernel of our own.
fn builtin(name: &str, types: &[DataType]) -> Option<Arc<dyn ScalarKernel>> {
    match (name, types) {
        ("abs", [arg]) => scalar::abs(arg),
        _ => None,
    }
}

fn binary_op(op: Operator) -> Option<BinaryOp> {
    Some(match op {
        Operator::Plus => BinaryOp::Add,
        Operator::Minus => BinaryOp::Sub,
        Operator::Multiply => BinaryOp::Mul,
        Operator::Divide => BinaryOp::Div,
        Operator::Modulo => BinaryOp::Rem,
        Operator::Eq => BinaryOp::Eq,
        Operator::NotEq => BinaryOp::NotEq,
        Operator::Lt => BinaryOp::Lt,
        Operator::LtEq => BinaryOp::LtEq,
        Operator::Gt => BinaryOp::Gt,
        Operator::GtEq => BinaryOp::GtEq,
        Operator::And => BinaryOp::And,
        Operator::Or => BinaryOp::Or,
        Operator::IsDistinctFrom => BinaryOp::IsDistinctFrom,
        Operator::IsNotDistinctFrom => BinaryOp::IsNotDistinctFrom,
        _ => return None,
    })
}
