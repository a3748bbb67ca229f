//! Calls that DataFusion runs: over columns of their own, which the program computes before.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, DataFusionError};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast, lit, when};

use super::{Expressions, Value};
use crate::error::{Error, Result};
use crate::expression::Operand;
use crate::function::ScalarKernel;
use crate::sql::bridge;
use crate::sql::bridge::scalar::{ForeignCall, ForeignKernel};
use crate::sql::compile::columns::refuse;
use crate::sql::compile::place::place_of;
use crate::sql::compile::types::engine_type;

/// The columns a foreign call reads, as they turn up while its expression is rewritten.
#[derive(Default)]
struct Arguments {
    operands: Vec<Operand>,
    fields: Vec<Arc<Field>>,
}

impl Expressions<'_> {
    /// Adds a call that DataFusion runs, after the steps for what it is applied to.
    ///
    /// Literals stay inside the call, where functions look for them. A lazy call keeps all that may fail inside, too.
    pub(super) fn foreign(&mut self, expr: &Expr) -> Result<Value> {
        let mut arguments = Arguments::default();
        let fitted = self.fit_keys(expr)?;
        let rewritten = if self.is_lazy(expr)? {
            self.inline(fitted, &mut arguments)?
        } else {
            self.split(fitted, &mut arguments)?
        };
        let result = engine_type(&self.plan_type_of(expr)?);
        let fields = arguments.fields.iter().map(|field| (None, field.clone())).collect();
        let schema = DFSchema::new_with_metadata(fields, HashMap::new()).map_err(bridge::foreign)?;
        let key = format!("foreign {rewritten:?} {:?}", arguments.fields);
        let kernel = ForeignKernel::new(ForeignCall {
            name: name_of(expr),
            template: template(&rewritten),
            expression: &rewritten,
            schema: &schema,
            result: result.clone(),
            can_fail: self.can_fail(expr)?,
        });
        let kernel: Arc<dyn ScalarKernel> = Arc::new(kernel.map_err(|e| e.at(place_of(expr)))?);
        let operand = self.builder.step(key, kernel, arguments.operands);
        Ok(Value { operand, data_type: result })
    }

    /// A call with the key that it looks up in a map as the map has its keys: they are compared as they are.
    fn fit_keys(&self, expr: &Expr) -> Result<Expr> {
        let Expr::ScalarFunction(call) = expr else { return Ok(expr.clone()) };
        let (true, [map, key]) = (call.func.name() == "get_field", call.args.as_slice()) else {
            return Ok(expr.clone());
        };
        let (DataType::Map(entries, _), Expr::Literal(value, metadata)) = (self.plan_type_of(map)?, key) else {
            return Ok(expr.clone());
        };
        let DataType::Struct(fields) = entries.data_type() else { return Ok(expr.clone()) };
        let value = value.cast_to(fields[0].data_type()).map_err(|e| bridge::foreign(e).at(place_of(expr)))?;
        let args = vec![map.clone(), Expr::Literal(value, metadata.clone())];
        Ok(Expr::ScalarFunction(ScalarFunction { func: call.func.clone(), args }))
    }

    /// Casts a compiled value where it has another type.
    pub(super) fn convert(&mut self, value: Value, to: &DataType) -> Result<Value> {
        if value.data_type == *to {
            return Ok(value);
        }
        let field = Arc::new(Field::new(placeholder(0), value.data_type, true));
        let schema = DFSchema::new_with_metadata(vec![(None, field)], HashMap::new());
        let expression = cast(Expr::Column(Column::new_unqualified(placeholder(0))), to.clone());
        let kernel = ForeignKernel::new(ForeignCall {
            name: "cast".to_string(),
            template: format!("CAST({{0}} AS {to})"),
            expression: &expression,
            schema: &schema.map_err(bridge::foreign)?,
            result: to.clone(),
            can_fail: true,
        })?;
        let operand = self.builder.step(format!("foreign cast to {to}"), Arc::new(kernel), vec![value.operand]);
        Ok(Value { operand, data_type: to.clone() })
    }

    /// Replaces the direct parts of a call by columns and compiles them.
    fn split(&mut self, expr: Expr, arguments: &mut Arguments) -> Result<Expr> {
        let mut failure = None;
        let rewritten = expr.map_children(|child| {
            if is_literal(&child) {
                return Ok(Transformed::no(child));
            }
            self.argument(&child, arguments).map(Transformed::yes).map_err(|e| hold(&mut failure, e))
        });
        released(rewritten, failure)
    }

    /// Replaces what is safe to evaluate on every row by columns, and keeps the rest of the tree inside the call.
    fn inline(&mut self, expr: Expr, arguments: &mut Arguments) -> Result<Expr> {
        let mut failure = None;
        let rewritten = expr.transform_down(|node| match self.inline_node(node, arguments) {
            Ok(step) => Ok(step),
            Err(error) => Err(hold(&mut failure, error)),
        });
        released(rewritten, failure)
    }

    fn inline_node(&mut self, node: Expr, arguments: &mut Arguments) -> Result<Transformed<Expr>> {
        let jump = |node| Transformed::new(node, true, TreeNodeRecursion::Jump);
        match node {
            Expr::Literal(..) | Expr::LambdaVariable(_) => Ok(Transformed::no(node)),
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => Err(refuse(
                &node,
                "a subquery that depends on its surroundings in this way cannot be joined to them; join the tables instead",
            )),
            _ if reads_lambda(&node) => Ok(Transformed::no(node)),
            _ if self.is_cheap_and_safe(&node)? => Ok(jump(self.argument(&node, arguments)?)),
            Expr::BinaryExpr(ref binary) if self.is_lazy(&node)? && !binary.left.is_volatile() => {
                Ok(jump(self.guarded(binary, arguments)?))
            }
            _ => Ok(Transformed::no(node)),
        }
    }

    /// `a AND b` and `a OR b` so that `b` is evaluated only where `a` does not decide: as a CASE.
    fn guarded(&mut self, binary: &BinaryExpr, arguments: &mut Arguments) -> Result<Expr> {
        let left = self.inline(binary.left.as_ref().clone(), arguments)?;
        let right = self.inline(binary.right.as_ref().clone(), arguments)?;
        let (decided, value) = match binary.op {
            Operator::And => (!left.clone(), lit(false)),
            _ => (left.clone(), lit(true)),
        };
        let both = BinaryExpr { left: Box::new(left), op: binary.op, right: Box::new(right) };
        when(decided, value).otherwise(Expr::BinaryExpr(both)).map_err(bridge::foreign)
    }

    /// Compiles a part of a call and gives the expression that stands for it inside.
    fn argument(&mut self, expr: &Expr, arguments: &mut Arguments) -> Result<Expr> {
        let value = self.compile(expr)?;
        let planned = expr.to_field(self.schema()).map_err(bridge::foreign)?.1;
        let known = arguments.operands.iter().position(|known| *known == value.operand);
        let index = known.unwrap_or_else(|| {
            let field = planned.as_ref().clone().with_name(placeholder(arguments.operands.len()));
            arguments.operands.push(value.operand);
            arguments.fields.push(Arc::new(field.with_data_type(value.data_type.clone())));
            arguments.operands.len() - 1
        });
        let column = Expr::Column(Column::new_unqualified(placeholder(index)));
        // Functions were chosen for the plan's type: a string that travels as a view is given to them as planned.
        let same = *planned.data_type() == value.data_type;
        Ok(if same { column } else { cast(column, planned.data_type().clone()) })
    }
}

/// The name of argument `index`, which the kernel's text replaces by what the argument is.
fn placeholder(index: usize) -> String {
    format!("{{{index}}}")
}

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_literal(&alias.expr),
        Expr::Literal(..) => true,
        _ => false,
    }
}

fn reads_lambda(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::Lambda(_) | Expr::LambdaVariable(_)))).unwrap_or(true)
}

/// Keeps our error while DataFusion's walk over the tree ends with one of its own.
fn hold(failure: &mut Option<Error>, error: Error) -> DataFusionError {
    *failure = Some(error);
    DataFusionError::Plan("see the error held beside".to_string())
}

fn released(rewritten: datafusion_common::Result<Transformed<Expr>>, failure: Option<Error>) -> Result<Expr> {
    match (rewritten, failure) {
        (_, Some(error)) => Err(error),
        (Ok(rewritten), None) => Ok(rewritten.data),
        (Err(error), None) => Err(bridge::foreign(error)),
    }
}

/// The call as text, with its arguments' places in it.
fn template(expr: &Expr) -> String {
    let shown = crate::sql::shown::shown(expr);
    match expr {
        Expr::BinaryExpr(_) | Expr::InList(_) | Expr::Like(_) => format!("({shown})"),
        Expr::Cast(cast) => format!("CAST({shown} AS {})", cast.field.data_type()),
        Expr::TryCast(cast) => format!("TRY_CAST({shown} AS {})", cast.field.data_type()),
        _ => shown,
    }
}

/// A call's name, as EXPLAIN lists it.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::ScalarFunction(call) => call.func.name().to_string(),
        Expr::HigherOrderFunction(call) => call.func.name().to_string(),
        Expr::BinaryExpr(binary) => binary.op.to_string(),
        Expr::Like(like) if like.case_insensitive => "ILIKE".to_string(),
        Expr::Cast(_) => "cast".to_string(),
        Expr::TryCast(_) => "try_cast".to_string(),
        Expr::InList(_) => "IN".to_string(),
        other => other.variant_name().to_string(),
    }
}
