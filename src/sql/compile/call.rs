//! One aggregate call: its function, arguments, order and filter.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, ScalarValue};
use datafusion_expr::expr::{AggregateFunction as Planned, NullTreatment, Sort};
use datafusion_expr::{AggregateUDF, Expr, ExprSchemable};

use super::Result;
use super::expression::Expressions;
use super::place::place_of;
use crate::error::Error;
use crate::function::{AggregateFunction, aggregate};
use crate::pipeline::AggregateCall;
use crate::sql::bridge;
use crate::sql::bridge::aggregate::{ForeignAggregate, ForeignAggregateCall, is_order_sensitive};

/// An aggregate call of the plan.
pub struct Call<'a> {
    /// The whole expression, alias and all.
    expr: &'a Expr,
    function: &'a Arc<AggregateUDF>,
    args: Vec<Expr>,
    order_by: Vec<Sort>,
    distinct: bool,
    filter: Option<&'a Expr>,
    ignore_nulls: bool,
    /// The type of the result inside the engine.
    result: &'a DataType,
}

impl<'a> Call<'a> {
    pub fn new(expr: &'a Expr, result: &'a DataType) -> Result<Self> {
        let mut inner = expr;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        let Expr::AggregateFunction(Planned { func, params }) = inner else {
            return Err(Error::bug(format!("an aggregate function is expected: {expr}")));
        };
        let mut args = params.args.clone();
        let counts_literal = matches!(args.as_slice(), [Expr::Literal(value, _)] if !value.is_null());
        if func.name() == "count" && counts_literal && !params.distinct {
            args.clear(); // COUNT(*) and its like: rows, whatever they hold
        }
        let ordered = is_order_sensitive(func) || func.supports_within_group_clause();
        if params.distinct && is_order_sensitive(func) {
            check_distinct_order(&args, &params.order_by).map_err(|e| e.at(place_of(inner)))?;
        }
        Ok(Call {
            expr: inner,
            function: func,
            args,
            order_by: if ordered { params.order_by.clone() } else { Vec::new() },
            distinct: params.distinct,
            filter: params.filter.as_deref(),
            ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
            result,
        })
    }

    /// Whether an argument may be null.
    pub fn takes_nulls(&self, expressions: &Expressions<'_>) -> Result<bool> {
        let mut nullable = self.args.iter().map(|arg| arg.nullable(expressions.schema()).map_err(bridge::foreign));
        nullable.try_fold(false, |any, nullable| Ok(any || nullable?))
    }

    /// Adds the call's arguments, then its filter, to the outputs, and finds the function.
    ///
    /// `incremental`: results leave after each batch. `retracts`: rows may be taken back.
    pub fn bind(
        mut self,
        expressions: &mut Expressions<'_>,
        incremental: bool,
        retracts: bool,
    ) -> Result<AggregateCall> {
        self.leave_widening_out(expressions)?;
        self.give_null_a_type(expressions)?;
        let native = self.native(expressions, retracts)?;
        let function = match native {
            Some(function) => function,
            None => self.foreign(expressions, incremental, retracts)?,
        };
        let keys = self.order_keys().to_vec();
        let mut arg_types = Vec::new();
        for arg in self.args.iter().chain(keys.iter().map(|key| &key.expr)) {
            arg_types.push(expressions.output(arg)?);
        }
        if let Some(filter) = self.filter {
            expressions.output(filter)?;
        }
        let (distinct, filtered) = (self.distinct && !self.args.is_empty(), self.filter.is_some());
        let text = shown(self.expr);
        Ok(AggregateCall { function, arg_count: arg_types.len(), arg_types, distinct, filtered, of: None, text })
    }

    /// Takes a cast away that only widens numbers for a function of ours that does so itself: then `AVG(i)` sees what
    /// `SUM(i)` and `COUNT(i)` see, and is exact.
    fn leave_widening_out(&mut self, expressions: &Expressions<'_>) -> Result<()> {
        let [Expr::Cast(cast)] = self.args.as_slice() else { return Ok(()) };
        let is_widest = matches!(cast.field.data_type(), DataType::Int64 | DataType::UInt64 | DataType::Float64);
        if !is_widest || bridge::function::aggregate_overloads(self.function).is_some() {
            return Ok(());
        }
        let from = expressions.engine_type_of(&cast.expr)?;
        let adds_up =
            !matches!(self.function.name(), "min" | "max" | "first_value" | "last_value" | "median" | "count");
        let found = aggregate::resolve(self.function.name(), &[from], self.result).filter(|_| adds_up);
        if found.is_some_and(|function| function.result_type() == *self.result) {
            self.args = vec![cast.expr.as_ref().clone()];
        }
        Ok(())
    }

    /// NULL alone has no values to tell nulls from: COUNT sees a type that has.
    fn give_null_a_type(&mut self, expressions: &Expressions<'_>) -> Result<()> {
        if self.function.name() == "count" {
            for arg in &mut self.args {
                if expressions.engine_type_of(arg)? == DataType::Null {
                    *arg = Expr::Literal(ScalarValue::Boolean(None), None);
                }
            }
        }
        Ok(())
    }

    /// The sort keys that are arguments of the call: a WITHIN GROUP key is the first argument anyway.
    fn order_keys(&self) -> &[Sort] {
        if self.function.supports_within_group_clause() { &[] } else { &self.order_by }
    }

    /// A function of our own, where there is one that does what the call says.
    fn native(&self, expressions: &Expressions<'_>, retracts: bool) -> Result<Option<Arc<dyn AggregateFunction>>> {
        let plain_order = match self.function.supports_within_group_clause() {
            true => self.order_by.iter().all(|key| key.asc),
            false => self.order_by.is_empty(),
        };
        let is_plain = plain_order && !self.ignore_nulls;
        if bridge::function::aggregate_overloads(self.function).is_some() {
            return self.users(expressions, is_plain, retracts).map(Some);
        }
        if !is_plain {
            return Ok(None);
        }
        let types = self.args.iter().map(|arg| expressions.engine_type_of(arg)).collect::<Result<Vec<_>>>()?;
        let found = aggregate::resolve(self.function.name(), &types, self.result);
        let Some(function) = found.filter(|function| function.result_type() == *self.result) else { return Ok(None) };
        Ok((!retracts || function.can_retract()).then_some(function))
    }

    /// A function that a user has registered.
    fn users(
        &self,
        expressions: &Expressions<'_>,
        is_plain: bool,
        retracts: bool,
    ) -> Result<Arc<dyn AggregateFunction>> {
        let name = self.function.name();
        let refuse = |why: &str| Err(Error::user(format!("{name} {why}")).at(place_of(self.expr)));
        if !is_plain {
            return refuse("takes neither ORDER BY nor IGNORE NULLS; order the rows of its input instead");
        }
        let types = self.args.iter().map(|arg| expressions.engine_type_of(arg)).collect::<Result<Vec<_>>>()?;
        match bridge::function::aggregate_function(self.function, &types) {
            Some(function) if retracts && !function.can_retract() => {
                refuse("cannot take rows back, and those of its input may be; give it a retract")
            }
            Some(function) => Ok(function),
            None => Err(Error::bug(format!("{name} was planned for other types: {types:?}"))),
        }
    }

    fn foreign(
        &mut self,
        expressions: &Expressions<'_>,
        incremental: bool,
        retracts: bool,
    ) -> Result<Arc<dyn AggregateFunction>> {
        if self.args.is_empty() {
            self.args.push(datafusion_expr::lit(1_i64)); // DataFusion's accumulators count an argument
        }
        self.break_ties();
        let mut fields = Vec::new();
        for arg in self.args.iter().chain(self.order_keys().iter().map(|key| &key.expr)) {
            let field = arg.to_field(expressions.schema()).map_err(bridge::foreign)?.1;
            fields.push(field.as_ref().clone().with_name(format!("{{{}}}", fields.len())));
        }
        let literal = |(index, arg): (usize, &Expr)| literal(arg).map(|value| (index, value));
        let first_key = if self.function.supports_within_group_clause() { 0 } else { self.args.len() };
        let key = |(index, key): (usize, &Sort)| {
            (first_key + index, SortOptions { descending: !key.asc, nulls_first: key.nulls_first })
        };
        let call = ForeignAggregateCall {
            function: self.function.clone(),
            schema: Arc::new(Schema::new(fields.into_iter().collect::<Vec<Field>>())),
            literals: self.args.iter().enumerate().filter_map(literal).collect(),
            arg_count: self.args.len(),
            order_by: self.order_by.iter().enumerate().map(key).collect(),
            ignore_nulls: self.ignore_nulls,
            result: self.result.clone(),
            incremental,
            retracts,
        };
        let function = ForeignAggregate::new(call).map_err(|e| e.at(place_of(self.expr)))?;
        Ok(Arc::new(function))
    }

    /// Rows that ORDER BY leaves equal are ordered by the value itself: FIRST_VALUE keeps one whatever the partitions.
    fn break_ties(&mut self) {
        if matches!(self.function.name(), "first_value" | "last_value")
            && let (false, Some(value)) = (self.order_by.is_empty(), self.args.first())
        {
            self.order_by.push(Sort { expr: value.clone(), asc: true, nulls_first: false });
        }
    }
}

/// The call as EXPLAIN shows it: columns by their bare names.
pub(super) fn shown(expr: &Expr) -> String {
    let bare = expr.clone().transform(|node| {
        Ok(match node {
            Expr::Column(column) => Transformed::yes(Expr::Column(Column::new_unqualified(column.name))),
            other => Transformed::no(other),
        })
    });
    let text = bare.map_or_else(|_| crate::sql::shown::shown(expr), |bare| crate::sql::shown::shown(&bare.data));
    text.replace("count(1)", "count(*)")
}

/// The value of an argument that is written into the query.
pub(super) fn literal(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Alias(alias) => literal(&alias.expr),
        Expr::Literal(value, _) => Some(value.clone()),
        _ => None,
    }
}

/// A value that comes several times has several places in an order by something else.
fn check_distinct_order(args: &[Expr], order_by: &[Sort]) -> Result<()> {
    let plain = |expr: &Expr| -> Expr {
        let mut inner = expr;
        while let Expr::Cast(cast) = inner {
            inner = &cast.expr;
        }
        inner.clone()
    };
    let args: Vec<Expr> = args.iter().map(plain).collect();
    match order_by.iter().find(|key| !args.contains(&plain(&key.expr))) {
        None => Ok(()),
        Some(key) => Err(Error::user(format!(
            "an aggregate of DISTINCT values may be ordered by its arguments alone, not by {}; leave DISTINCT away, or \
             order by the value",
            key.expr
        ))),
    }
}
