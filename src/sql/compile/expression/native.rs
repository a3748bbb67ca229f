//! Calls that kernels of our own run.

use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::concat;
use arrow::datatypes::{DataType, IntervalUnit};
use datafusion_expr::expr::{InList, ScalarFunction};
use datafusion_expr::{Between, BinaryExpr, Expr, Like, Operator, lit};

use super::{Expressions, Value, interval};
use crate::error::Result;
use crate::expression::Operand;
use crate::function::ScalarKernel;
use crate::function::scalar::{self, BinaryOp};
use crate::pipeline::show_duration;
use crate::sql::bridge::function;
use crate::sql::compile::columns::refuse;
use crate::sql::compile::types::engine_value;
use crate::sql::optimize::{compare_lengths, compares};

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
            Expr::TryCast(cast) => {
                let to = cast.field.data_type();
                let kernel = |from: &DataType| scalar::cast(from, to).filter(|kernel| !kernel.can_fail());
                self.unary_call(&cast.expr, &format!("cast to {to}"), kernel)?
            }
            Expr::Between(between) => self.between_call(between)?,
            Expr::Like(like) => self.like_call(like)?,
            Expr::Case(case) => self.case_call(expr, case)?,
            Expr::InList(list) => self.list_call(list)?,
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
        if let Some(call) = self.match_call(left, *op, right)? {
            return Ok(Some(call));
        }
        if compares(*op) && self.is_interval(left)? && self.is_interval(right)? {
            let lengths = compare_lengths(left.as_ref().clone(), *op, right.as_ref().clone());
            return self.binary_call(&lengths);
        }
        let Some(op) = binary_op(*op) else { return Ok(None) };
        let connects = matches!(op, BinaryOp::And | BinaryOp::Or);
        if connects && (self.can_fail(right)? || self.dearer_side(binary)?.is_some()) {
            return Ok(None); // one side is evaluated only where the other one does not decide
        }
        if let Some(call) = self.shift_call(left, op, right)? {
            return Ok(Some(call));
        }
        let kernel = scalar::binary(op, &self.engine_type_of(left)?, &self.engine_type_of(right)?);
        Ok(kernel.map(|kernel| NativeCall {
            key: op.symbol().to_string(),
            kernel,
            args: vec![left.as_ref().clone(), right.as_ref().clone()],
        }))
    }

    /// `x ~ 'pattern'` and its kin.
    fn match_call(&self, text_of: &Expr, op: Operator, pattern: &Expr) -> Result<Option<NativeCall>> {
        let (negated, flags) = match op {
            Operator::RegexMatch => (false, ""),
            Operator::RegexNotMatch => (true, ""),
            Operator::RegexIMatch => (false, "(?i)"),
            Operator::RegexNotIMatch => (true, "(?i)"),
            _ => return Ok(None),
        };
        let Some(pattern) = text(pattern).map(|pattern| format!("{flags}{pattern}")) else { return Ok(None) };
        let key = format!("{op} {pattern}");
        self.unary_call(text_of, &key, |data_type| scalar::regexp_like(data_type, &pattern, negated))
    }

    fn is_interval(&self, expr: &Expr) -> Result<bool> {
        Ok(self.engine_type_of(expr)? == DataType::Interval(IntervalUnit::MonthDayNano))
    }

    /// A timestamp plus or minus a constant interval.
    fn shift_call(&self, left: &Expr, op: BinaryOp, right: &Expr) -> Result<Option<NativeCall>> {
        let (time, interval) = match (op, left, right) {
            (BinaryOp::Add, Expr::Literal(..), time) => (time, left),
            (BinaryOp::Add | BinaryOp::Sub, time, Expr::Literal(..)) => (time, right),
            _ => return Ok(None),
        };
        let data_type = self.engine_type_of(time)?;
        let Some(unit) = interval::steady_unit(&data_type) else { return Ok(None) };
        let Some(ticks) = interval::ticks(interval, unit) else { return Ok(None) };
        let Some(ticks) = (if op == BinaryOp::Sub { ticks.checked_neg() } else { Some(ticks) }) else {
            return Ok(None);
        };
        let shown = show_duration(ticks.saturating_abs(), unit);
        let kernel = scalar::shift(ticks, &shown, &data_type);
        Ok(kernel.map(|kernel| NativeCall { key: format!("shift {ticks}"), kernel, args: vec![time.clone()] }))
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

    /// `x LIKE 'pattern'`, case and all.
    fn like_call(&self, like: &Like) -> Result<Option<NativeCall>> {
        let Some(pattern) = text(&like.pattern).filter(|_| !like.case_insensitive) else { return Ok(None) };
        let escape = like.escape_char.unwrap_or('\\');
        let key = format!("{}like {escape} {pattern}", if like.negated { "not " } else { "" });
        self.unary_call(&like.expr, &key, |data_type| scalar::like(data_type, pattern, escape, like.negated))
    }

    /// `x IN (values)`, where the values are given and of its type.
    fn list_call(&self, list: &InList) -> Result<Option<NativeCall>> {
        let mut values = Vec::with_capacity(list.list.len());
        for value in &list.list {
            let Expr::Literal(value, _) = value else { return Ok(None) };
            values.push(engine_value(value)?);
        }
        let arrays: Vec<&dyn Array> = values.iter().map(|value| value.as_ref()).collect();
        let data_type = self.engine_type_of(&list.expr)?;
        if arrays.is_empty() || arrays.iter().any(|array| *array.data_type() != data_type) {
            return Ok(None);
        }
        let values = concat(&arrays)?;
        let key = format!("{}in {:?}", if list.negated { "not " } else { "" }, list.list);
        self.unary_call(&list.expr, &key, |data_type| scalar::in_list(data_type, &values, list.negated))
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
        if let Some(kernel) = function::scalar_kernel(&call.func, &types) {
            if let Some(call) = for_constants(kernel.as_ref(), call)? {
                return Ok(Some(call));
            }
            return Ok(Some(NativeCall {
                key: format!("{}{types:?}", call.func.name()),
                kernel,
                args: call.args.clone(),
            }));
        }
        if call.func.name() == "proctime" && call.args.is_empty() {
            return Ok(Some(NativeCall { key: "proctime".to_string(), kernel: scalar::proctime(), args: Vec::new() }));
        }
        if call.func.name() == "current_watermark" {
            return Ok(Some(self.current_watermark(&call.args, &types)?));
        }
        let found = builtin(call.func.name(), &call.args, &types);
        Ok(found.map(|(arg, kernel)| {
            // Literals are settings of the kernel, not arguments.
            let settings: Vec<&Expr> = call.args.iter().filter(|arg| matches!(arg, Expr::Literal(..))).collect();
            NativeCall { key: format!("{} {settings:?}", call.func.name()), kernel, args: vec![arg.clone()] }
        }))
    }

    /// The watermark of the input, by the column that has it.
    fn current_watermark(&self, args: &[Expr], types: &[DataType]) -> Result<NativeCall> {
        let time = self.columns.time.filter(|time| self.columns.plain(&args[0]) == Some(*time));
        if time.is_none() {
            let why = "CURRENT_WATERMARK takes the column that has the watermark where it stands, in WHERE or the SELECT list; \
                       below an aggregate, a join or OVER put it into a subquery";
            return Err(refuse(&args[0], why));
        }
        let kernel = scalar::current_watermark(&types[0]);
        Ok(NativeCall { key: "current_watermark".to_string(), kernel, args: args.to_vec() })
    }
}

/// The kernel that a function has for the constants of a call.
fn for_constants(kernel: &dyn ScalarKernel, call: &ScalarFunction) -> Result<Option<NativeCall>> {
    let given = |arg: &Expr| match arg {
        Expr::Literal(value, _) => Ok(Some(engine_value(value)?)),
        _ => Ok(None),
    };
    let constants = call.args.iter().map(given).collect::<Result<Vec<_>>>()?;
    if constants.iter().all(Option::is_none) {
        return Ok(None);
    }
    Ok(kernel.for_constants(&constants).map(|kernel| NativeCall {
        key: format!("{} {:?}", call.func.name(), call.args),
        kernel,
        args: call.args.iter().filter(|arg| !matches!(arg, Expr::Literal(..))).cloned().collect(),
    }))
}

/// Functions of DataFusion's names that have a kernel of our own, and the one argument it takes.
fn builtin<'a>(name: &str, args: &'a [Expr], types: &[DataType]) -> Option<(&'a Expr, Arc<dyn ScalarKernel>)> {
    match (name, args, types) {
        ("abs", [arg], [data_type]) => Some((arg, scalar::abs(data_type)?)),
        ("lower", [arg], [data_type]) => Some((arg, scalar::lower(data_type)?)),
        ("upper", [arg], [data_type]) => Some((arg, scalar::upper(data_type)?)),
        ("regexp_like", [arg, settings @ ..], [data_type, ..]) => {
            let (flags, all) = regexp_flags(settings.get(1))?;
            let pattern = format!("{flags}{}", text(settings.first()?)?);
            Some((arg, scalar::regexp_like(data_type, &pattern, false).filter(|_| !all)?))
        }
        ("regexp_replace", [arg, pattern, replacement, rest @ ..], [data_type, ..]) => {
            let (flags, all) = regexp_flags(rest.first())?;
            let pattern = format!("{flags}{}", text(pattern)?);
            Some((arg, scalar::regexp_replace(data_type, &pattern, text(replacement)?, all)?))
        }
        ("date_part", [part, time], [_, data_type]) => Some((time, scalar::date_part(text(part)?, data_type)?)),
        ("date_trunc", [unit, time], [_, data_type]) => Some((time, scalar::date_trunc(text(unit)?, data_type)?)),
        ("date_bin", [size, time], [_, data_type]) => {
            let size = interval::ticks(size, interval::steady_unit(data_type)?)?;
            Some((time, scalar::date_bin(size, 0, data_type)?))
        }
        _ => None,
    }
}

/// The flags of a regular expression as its own text, and whether it is for all matches.
fn regexp_flags(flags: Option<&Expr>) -> Option<(String, bool)> {
    let Some(flags) = flags else { return Some((String::new(), false)) };
    let flags = text(flags)?;
    let own = flags.replace('g', "");
    Some((if flags == "g" { String::new() } else { format!("(?{own})") }, flags.contains('g')))
}

/// A literal text.
fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

pub(super) fn binary_op(op: Operator) -> Option<BinaryOp> {
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
