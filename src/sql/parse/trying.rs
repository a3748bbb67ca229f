//! `TRY(f(x))`: the call of a function that gives NULL where it fails, as `try_f(x)`.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Spanned,
    Statement,
};

use super::tokens::place;
use super::written;
use crate::error::{Error, Result};

/// Rewrites each `TRY(call)`.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    written::rewrite(statement, |expr| {
        if let Some(call) = tried(expr) {
            *expr = call?;
        }
        Ok(())
    })
}

fn tried(expr: &Expr) -> Option<Result<Expr>> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else { return None };
    if !name.to_string().eq_ignore_ascii_case("try") {
        return None;
    }
    let refuse = || {
        let message = "TRY takes one call of a function of yours that can fail; for casts there is TRY_CAST";
        Err(Error::user(message).at(place(expr.span())))
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(call)))] = list.args.as_slice() else {
        return Some(refuse());
    };
    let [ObjectNamePart::Identifier(ident)] = call.name.0.as_slice() else { return Some(refuse()) };
    let ident = Ident { value: format!("try_{}", ident.value), ..ident.clone() };
    Some(Ok(Expr::Function(Function { name: ObjectName::from(vec![ident]), ..call.clone() })))
}
