//! Functions of the plan as functions of the pipeline.

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::{AggregateFunction, NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion_expr::{AggregateUDF, Expr, ExprSchemable, WindowFunctionDefinition, WindowUDF};
use std::sync::Arc;

use super::frame::frame;
use super::when;
use crate::error::{Error, Result};
use crate::function::aggregate;
use crate::pipeline::{AggregateCall, Completion, Frame, FrameBound, FrameUnits, OverCall, OverFunction};
use crate::sql::bridge::foreign;
use crate::sql::bridge::window::{ForeignWindow, ForeignWindowCall};
use crate::sql::compile::call::{Call, literal as literal_of, shown};
use crate::sql::compile::columns::refuse;
use crate::sql::compile::expression::Expressions;
use crate::sql::compile::types::engine_value;

/// Compiles a call: adds its arguments and its filter to the outputs.
///
/// `unordered`: no ORDER BY key is left, so all rows of a partition would be peers.
pub(super) fn call(
    expressions: &mut Expressions<'_>,
    function: &WindowFunction,
    field: &Field,
    when: Completion,
    unordered: bool,
) -> Result<OverCall> {
    let params = &function.params;
    let key = params.order_by.first().filter(|_| !unordered);
    let key = key.map(|key| expressions.type_of(&key.expr)).transpose()?;
    let mut frame = frame(&params.window_frame, key.as_ref())?;
    if when == Completion::Arrival {
        frame = when::by_arrival(frame, !params.order_by.is_empty())?;
    }
    let text = shown(&Expr::WindowFunction(Box::new(function.clone())));
    let mut call = match &function.fun {
        WindowFunctionDefinition::AggregateUDF(udf) => {
            aggregated(expressions, udf, params, frame, field.data_type(), when, text)?
        }
        WindowFunctionDefinition::WindowUDF(udf) => {
            if params.distinct || params.filter.is_some() {
                return Err(Error::user(format!("DISTINCT and FILTER are for aggregates, not for {}", udf.name())));
            }
            let (function, arg_count) = if is_built_in(udf) {
                let function = ranking(udf.name(), &params.args, params.null_treatment)?;
                let reads = function_reads(&function);
                if reads {
                    let arg = params.args.first();
                    let arg = arg.ok_or_else(|| Error::user(format!("{} needs an argument", udf.name())))?;
                    expressions.output_as(arg, field.data_type())?;
                }
                (function, usize::from(reads))
            } else {
                params.args.iter().try_for_each(|arg| expressions.output(arg).map(|_| ()))?;
                (foreign_window(expressions, udf, params, field.data_type())?, params.args.len())
            };
            OverCall { function, frame, arg_count, filtered: false, text }
        }
    };
    if let OverFunction::Lag { default: Some(default), .. } = &mut call.function
        && default.data_type() != field.data_type()
    {
        *default = cast(default, field.data_type())?;
    }
    if matches!(when, Completion::Time { .. } | Completion::Arrival) {
        call = when::on_stream(call, field.data_type(), when)?;
    }
    Ok(call)
}

/// Whether it is a function of the window library, and none of the user's that has the name of one.
pub(in crate::sql::compile) fn is_built_in(function: &WindowUDF) -> bool {
    datafusion_functions_window::all_default_window_functions().iter().any(|known| known.as_ref() == function)
}

/// A window function written for DataFusion.
fn foreign_window(
    expressions: &Expressions<'_>,
    udf: &Arc<WindowUDF>,
    params: &WindowFunctionParams,
    result: &DataType,
) -> Result<OverFunction> {
    let (mut fields, mut literals) = (Vec::new(), Vec::new());
    for (index, arg) in params.args.iter().enumerate() {
        let field = arg.to_field(expressions.schema()).map_err(foreign)?.1;
        fields.push(Arc::new(field.as_ref().clone().with_name(format!("{{{index}}}")).with_nullable(true)));
        literals.extend(literal_of(arg).map(|value| (index, value)));
    }
    let keys = params.order_by.iter().filter(|key| !matches!(key.expr, Expr::Literal(..)));
    let order_types = keys.map(|key| key.expr.get_type(expressions.schema()).map_err(foreign));
    let call = ForeignWindowCall {
        function: udf.clone(),
        fields,
        literals,
        ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
        order_types: order_types.collect::<Result<_>>()?,
        result: result.clone(),
    };
    Ok(OverFunction::Foreign(Arc::new(ForeignWindow::new(call)?)))
}

fn function_reads(function: &OverFunction) -> bool {
    matches!(function, OverFunction::Lag { .. } | OverFunction::Nth { .. })
}

/// A function of the window library.
fn ranking(name: &str, args: &[Expr], nulls: Option<NullTreatment>) -> Result<OverFunction> {
    let ignores_nulls = nulls == Some(NullTreatment::IgnoreNulls);
    let whole = |at: usize, otherwise: i64| match args.get(at) {
        None => Ok(otherwise),
        Some(expr) => whole_number(expr, name),
    };
    Ok(match name {
        "row_number" => OverFunction::RowNumber,
        "rank" => OverFunction::Rank,
        "dense_rank" => OverFunction::DenseRank,
        "percent_rank" => OverFunction::PercentRank,
        "cume_dist" => OverFunction::CumeDist,
        "ntile" => match u64::try_from(whole(0, 0)?) {
            Ok(buckets) if buckets > 0 => OverFunction::Ntile(buckets),
            _ => return Err(Error::user("ntile needs a number of buckets greater than 0")),
        },
        "lag" | "lead" => {
            let offset = whole(1, 1)?;
            let offset = if name == "lag" { Some(offset) } else { offset.checked_neg() };
            let offset = offset.ok_or_else(|| Error::user(format!("the offset of {name} is too great")))?;
            OverFunction::Lag {
                offset,
                default: args.get(2).map(|arg| constant(arg, name)).transpose()?,
                ignores_nulls,
            }
        }
        "first_value" => OverFunction::Nth { n: 1, ignores_nulls },
        "last_value" => OverFunction::Nth { n: -1, ignores_nulls },
        "nth_value" => match whole(1, 0)? {
            0 => return Err(Error::user("nth_value counts from 1, or from -1 at the frame's end; it cannot take 0")),
            n => OverFunction::Nth { n, ignores_nulls },
        },
        other => return Err(Error::user(format!("this function with OVER is not supported: {other}"))),
    })
}

fn literal(expr: &Expr, name: &str) -> Result<ScalarValue> {
    match expr {
        Expr::Alias(alias) => literal(&alias.expr, name),
        Expr::Literal(value, _) => Ok(value.clone()),
        Expr::Cast(inner) => literal(&inner.expr, name)?.cast_to(inner.field.data_type()).map_err(foreign),
        Expr::Negative(inner) => literal(inner, name)?.arithmetic_negate().map_err(foreign),
        other => Err(refuse(other, &format!("{name} needs a constant here; write the value into the query"))),
    }
}

fn constant(expr: &Expr, name: &str) -> Result<ArrayRef> {
    engine_value(&literal(expr, name)?)
}

fn whole_number(expr: &Expr, name: &str) -> Result<i64> {
    match literal(expr, name)?.cast_to(&DataType::Int64).map_err(foreign)? {
        ScalarValue::Int64(Some(number)) => Ok(number),
        _ => Err(refuse(expr, &format!("{name} needs a whole number here"))),
    }
}

/// An aggregate over frames.
fn aggregated(
    expressions: &mut Expressions<'_>,
    udf: &Arc<AggregateUDF>,
    params: &WindowFunctionParams,
    frame: Frame,
    result: &DataType,
    when: Completion,
    text: String,
) -> Result<OverCall> {
    let planned = Expr::AggregateFunction(AggregateFunction::new_udf(
        udf.clone(),
        params.args.clone(),
        params.distinct,
        params.filter.clone(),
        Vec::new(),
        params.null_treatment,
    ));
    let on_stream = matches!(when, Completion::Time { .. } | Completion::Arrival);
    // Frames that grow are asked for their result again and again.
    let grows = frame.start == FrameBound::Unbounded && frame.end != FrameBound::Unbounded;
    let call: AggregateCall = Call::new(&planned, result)?.bind(expressions, grows || on_stream, false)?;
    Ok(OverCall {
        arg_count: call.arg_count,
        filtered: call.filtered,
        function: OverFunction::Aggregate(call),
        frame,
        text,
    })
}

/// `first_value` as an aggregate, whose state can be kept where rows cannot.
pub(super) fn first_value(data_type: &DataType, text: &str) -> Option<AggregateCall> {
    let types = vec![data_type.clone()];
    let function = aggregate::resolve("first_value", &types, data_type)?;
    let text = text.to_string();
    Some(AggregateCall { function, arg_count: 1, arg_types: types, distinct: false, filtered: false, of: None, text })
}

/// Whether a frame is the default one of a function with ORDER BY.
pub(super) fn is_running(frame: &Frame) -> bool {
    frame.units != FrameUnits::Groups && frame.start == FrameBound::Unbounded && frame.end == FrameBound::CurrentRow
}
