//! Constants folded exactly: `9223372036854775807 + 1` fails as it does over columns.
//!
//! DataFusion folds constants with arithmetic that wraps. So while it simplifies, `+`, `-` and `*` of integers that may turn
//! out to be constant stand as calls of a function that fails instead; what fails is left as it is, for the kernels to report.
//!
//! It also takes the minus before `&`, `|` and `^` for a bitwise complement. So these stand as calls as well.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::kernels::bitwise::{bitwise_and, bitwise_or, bitwise_xor};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    DataType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion_optimizer::simplify_expressions::SimplifyExpressions;
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// DataFusion's rule, with arithmetic that does not wrap.
#[derive(Debug, Default)]
pub struct SimplifyExactly {
    inner: SimplifyExpressions,
}

impl OptimizerRule for SimplifyExactly {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.inner.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let schema = match &plan {
            LogicalPlan::TableScan(scan) => {
                DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?
            }
            _ => merge_schema(&plan.inputs()),
        };
        // An expression may be called after all of its text, as functions with OVER are.
        let names = NamePreserver::new(&plan);
        let guarded = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(guard(expr, &schema)?.update_data(|expr| name.restore(expr)))
        })?;
        let simplified = self.inner.rewrite(guarded.data, config)?;
        if !guarded.transformed {
            return Ok(simplified);
        }
        // The rule may have put a node on top of this one.
        let released = simplified.data.transform_down(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(release(expr)?.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(Transformed::new_transformed(released.data, simplified.transformed))
    }
}

/// Simplifies an expression by `simplify` without letting it wrap.
pub fn exactly(expr: Expr, schema: &DFSchema, simplify: impl FnOnce(Expr) -> Result<Expr>) -> Result<Expr> {
    let guarded = guard(expr, schema)?.data;
    Ok(release(simplify(guarded)?)?.data)
}

/// Replaces arithmetic that could be folded by calls that do not wrap.
fn guard(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|node| match node {
        Expr::BinaryExpr(binary) => match guard_of(&binary, schema) {
            Some(function) => {
                let args = vec![*binary.left, *binary.right];
                Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, args))))
            }
            None => Ok(Transformed::no(Expr::BinaryExpr(binary))),
        },
        other => Ok(Transformed::no(other)),
    })
}

/// Puts the operators back.
fn release(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|node| match node {
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Checked>() {
            Some(checked) => Ok(Transformed::yes(checked.operator(call.args)?)),
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        other => Ok(Transformed::no(other)),
    })
}

/// What stands in for an operator; `None` for one that the library simplifies rightly, or that will never be constant.
fn guard_of(binary: &BinaryExpr, schema: &DFSchema) -> Option<Arc<ScalarUDF>> {
    let function = GUARDS.iter().find(|(op, _)| *op == binary.op).map(|(_, function)| function)?;
    let is_integer = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_integer());
    let may_fold = is_bitwise(binary.op) || !reads_column(binary.op, &binary.left, &binary.right);
    (may_fold && is_integer(&binary.left) && is_integer(&binary.right)).then(|| function.clone())
}

fn is_bitwise(op: Operator) -> bool {
    matches!(op, Operator::BitwiseAnd | Operator::BitwiseOr | Operator::BitwiseXor)
}

/// Whether a column decides the value whatever is simplified; `a * 0` does not depend on `a`.
fn reads_column(op: Operator, left: &Expr, right: &Expr) -> bool {
    match op {
        Operator::Multiply => is_firm(left) && is_firm(right),
        _ => is_firm(left) || is_firm(right),
    }
}

fn is_firm(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::Cast(Cast { expr, .. }) => is_firm(expr),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Plus | Operator::Minus | Operator::Multiply),
            right,
        }) => reads_column(*op, left, right),
        _ => false,
    }
}

/// The function that stands in for each operator that can wrap, and for those that it takes a minus into.
static GUARDS: LazyLock<[(Operator, Arc<ScalarUDF>); 6]> = LazyLock::new(|| {
    use Operator::{BitwiseAnd, BitwiseOr, BitwiseXor, Minus, Multiply, Plus};
    [Plus, Minus, Multiply, BitwiseAnd, BitwiseOr, BitwiseXor].map(|op| {
        let signature = Signature::any(2, Volatility::Immutable);
        (op, Arc::new(ScalarUDF::new_from_impl(Checked { op, signature })))
    })
});

/// An operator on integers, as a function that fails where it overflows, and that nothing sees into. It never outlives the rule that made it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    signature: Signature,
}

impl Checked {
    fn operator(&self, args: Vec<Expr>) -> Result<Expr> {
        match <[Expr; 2]>::try_from(args) {
            Ok([left, right]) => Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), self.op, Box::new(right)))),
            Err(args) => internal_err!("{} takes two arguments, given: {}", self.op, args.len()),
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.op {
            Operator::Plus => "checked_add",
            Operator::Minus => "checked_sub",
            Operator::BitwiseAnd => "bitwise_and",
            Operator::BitwiseOr => "bitwise_or",
            Operator::BitwiseXor => "bitwise_xor",
            _ => "checked_mul",
        }
    }

    /// Columns keep the name that the operator gave them.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.operator(args.to_vec())?.schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [left, right] if left == right => Ok(left.clone()),
            _ => internal_err!("operands of {} have other types: {types:?}", self.op),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operands = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = operands.as_slice() else {
            return internal_err!("{} takes two arguments, given: {}", self.op, operands.len());
        };
        Ok(ColumnarValue::Array(match self.op {
            Operator::Plus => numeric::add(left, right)?,
            Operator::Minus => numeric::sub(left, right)?,
            op if is_bitwise(op) => bitwise(op, left, right)?,
            _ => numeric::mul(left, right)?,
        }))
    }
}

/// `&`, `|` or `^` of two columns of one type.
fn bitwise(op: Operator, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    macro_rules! of {
        ($($data_type:ident => $arrow_type:ty),*) => {
            match left.data_type() {
                $(DataType::$data_type => {
                    let (left, right) = (left.as_primitive::<$arrow_type>(), right.as_primitive::<$arrow_type>());
                    let joined = match op {
                        Operator::BitwiseAnd => bitwise_and(left, right)?,
                        Operator::BitwiseOr => bitwise_or(left, right)?,
                        _ => bitwise_xor(left, right)?,
                    };
                    Ok(Arc::new(joined) as ArrayRef)
                })*
                other => internal_err!("{op} takes integers, given: {other}"),
            }
        };
    }
    of!(
        Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
        UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
    )
}
