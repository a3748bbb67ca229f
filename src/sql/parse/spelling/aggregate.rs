//! Spellings of aggregates: those of a condition, of another value's extreme, and of an order.

use sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, OrderByExpr, OrderByOptions, Spanned,
};

use super::{rename, set_args};
use crate::error::{Error, Result};
use crate::sql::tree::{binary, call_of, cast_to, nested, number, plain_args, text, when};

/// The one order behind WITHIN GROUP.
fn order_within(call: &Function) -> Result<OrderByExpr> {
    match call.within_group.as_slice() {
        [order] => Ok(order.clone()),
        _ => Err(Error::user(format!("{} takes one order: WITHIN GROUP (ORDER BY x)", call.name))),
    }
}

/// All values of an ordered aggregate as a list in their order, without NULL.
fn values_in_order(call: &Function, order: &OrderByExpr) -> Function {
    let mut values = call.clone();
    values.within_group = Vec::new();
    let args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(order.expr.clone()))];
    let clauses = vec![FunctionArgumentClause::OrderBy(vec![order.clone()])];
    values.args = FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses });
    add_filter(&mut values, Expr::IsNotNull(Box::new(nested(order.expr.clone()))));
    rename(&mut values, "array_agg");
    values
}

/// `LISTAGG(x, separator) WITHIN GROUP (ORDER BY y)` is `string_agg(x, separator ORDER BY y)`.
pub(super) fn listagg(call: &mut Function) {
    let args = plain_args(call);
    if let [value] = args.as_slice() {
        set_args(call, vec![value.clone(), text(",")]);
    }
    let order = std::mem::take(&mut call.within_group);
    if let (FunctionArguments::List(list), false) = (&mut call.args, order.is_empty()) {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    rename(call, "string_agg");
}

/// Of several values that are there equally often the first in the order, which is ascending unless it is said.
pub(super) fn mode(call: &Function) -> Result<Expr> {
    let order = match (plain_args(call).as_slice(), call.within_group.is_empty()) {
        ([value], true) => OrderByExpr {
            expr: value.clone(),
            options: OrderByOptions { asc: None, nulls_first: None },
            with_fill: None,
        },
        ([], false) => order_within(call)?,
        _ => return Err(Error::user("mode takes one value, mode(x), or an order: mode() WITHIN GROUP (ORDER BY x)")),
    };
    let values = Expr::Function(values_in_order(call, &order));
    Ok(call_of("array_mode", vec![values], call.name.span()))
}

/// The first value in the order at or behind a share of all values.
pub(super) fn percentile_disc(call: &Function) -> Result<Expr> {
    let args = plain_args(call);
    let [share] = args.as_slice() else {
        return Err(Error::user("percentile_disc takes a share: percentile_disc(0.5) WITHIN GROUP (ORDER BY x)"));
    };
    let order = order_within(call)?;
    let span = call.name.span();
    let values = values_in_order(call, &order);
    let mut count = values.clone();
    if let FunctionArguments::List(list) = &mut count.args {
        list.clauses = Vec::new();
    }
    rename(&mut count, "count");
    let share = nested(share.clone());
    let double = cast_to(share.clone(), DataType::Double(ExactNumberInfo::None));
    let place = call_of("ceil", vec![binary(double, BinaryOperator::Multiply, Expr::Function(count))], span);
    let place = call_of("greatest", vec![cast_to(place, DataType::BigInt(None)), number(1)], span);
    let is_share =
        Expr::Between { expr: Box::new(share), negated: false, low: Box::new(number(0)), high: Box::new(number(1)) };
    // A share that is none has no place.
    Ok(call_of("array_element", vec![Expr::Function(values), when(is_share, place, None)], span))
}

/// From the greatest down, a share is the rest of all from the least up.
pub(super) fn percentile_cont(call: &mut Function) {
    if let ([share], [OrderByExpr { options, .. }]) = (plain_args(call).as_slice(), call.within_group.as_mut_slice())
        && options.asc == Some(false)
    {
        options.asc = Some(true);
        set_args(call, vec![binary(number(1), BinaryOperator::Minus, nested(share.clone()))]);
    }
}

/// Who says how exact it is to be gets it exactly: a sketch promises no error.
pub(super) fn approx_percentile(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let (percentile, name) = match args.as_slice() {
        [percentile] => (percentile, "approx_percentile_cont"),
        [percentile, _] => (percentile, "percentile_cont"),
        _ => {
            return Err(Error::user(
                "approx_percentile takes the percentile, its error if need be, and WITHIN GROUP (ORDER BY ...)",
            ));
        }
    };
    set_args(call, vec![percentile.clone()]);
    rename(call, name);
    Ok(())
}

pub(super) fn count_if(call: &mut Function) -> Result<()> {
    let args = plain_args(call);
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [condition] = args.as_slice() else {
        return Err(Error::user("count_if takes one condition"));
    };
    if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) {
        return Err(Error::user("count_if counts rows, so DISTINCT does not go with it"));
    }
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
    add_filter(call, condition.clone());
    rename(call, "count");
    Ok(())
}

/// The value where another one is greatest or least; of several such values the greatest or least, with NULL the least of
/// all, so that it makes no difference in which order rows come.
pub(super) fn extreme_by(call: &mut Function, is_min: bool) -> Result<()> {
    let args = plain_args(call);
    let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
    let [value, by] = args.as_slice() else {
        return Err(Error::user(format!("{} takes a value, and what it is chosen by", call.name)));
    };
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
    // A row that comes twice changes nothing.
    list.duplicate_treatment = None;
    let options = OrderByOptions { asc: Some(is_min), nulls_first: Some(is_min) };
    let order = [by, value].map(|expr| OrderByExpr { expr: expr.clone(), options, with_fill: None });
    list.clauses = vec![FunctionArgumentClause::OrderBy(order.to_vec())];
    add_filter(call, Expr::IsNotNull(Box::new(nested(by.clone()))));
    rename(call, "first_value");
    Ok(())
}

fn add_filter(call: &mut Function, condition: Expr) {
    let filter = match call.filter.take() {
        None => condition,
        Some(filter) => binary(nested(*filter), BinaryOperator::And, nested(condition)),
    };
    call.filter = Some(Box::new(filter));
}
