//! Keys of GROUP BY that are casts of one thing. DataFusion calls a cast like what it casts, and wants the names of keys
//! to differ.
//!
//! `SELECT ts, CAST(ts AS DATE) .. GROUP BY ts, CAST(ts AS DATE)` is read with `__cast(CAST(ts AS DATE), 'DATE')` in place of
//! the cast, wherever it stands in the block. The function gives what it is given, and is taken away again by the optimizer.
//!
//! Invariants  goes behind `outputs`, so that no column of the answer is called otherwise.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Expr as Planned, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderBy, Query,
    Select, SelectItem, SetExpr, VisitMut, VisitorMut,
};

use super::group::{each_expr, referred};
use crate::sql::tree::{function, text};

/// What the function is called; nobody can write it without quotes.
pub(super) const NAME: &str = "__cast";

/// Tells casts apart that stand beside one another in GROUP BY.
pub(super) fn tell_apart(query: &mut Query) {
    let _ = query.visit(&mut Apart);
}

struct Apart;

impl VisitorMut for Apart {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        body(&mut query.body, query.order_by.as_mut());
        ControlFlow::Continue(())
    }
}

fn body(body: &mut SetExpr, order_by: Option<&mut OrderBy>) {
    match body {
        SetExpr::Select(select) => block(select, order_by),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left, None);
            self::body(right, None);
        }
        _ => {}
    }
}

fn block(select: &mut Select, mut order_by: Option<&mut OrderBy>) {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else { return };
    let same = cast_beside_others(&all_keys(keys), &select.projection);
    if same.is_empty() {
        return;
    }
    each_expr(select, &mut order_by, &mut |expr| {
        let Expr::Cast { data_type, .. } = &*expr else { return };
        if same.contains(&base(expr)) {
            let to = data_type.to_string();
            *expr = named(expr.clone(), &to);
        }
    });
}

/// The keys, those within ROLLUP and its kin among them.
fn all_keys(keys: &[Expr]) -> Vec<&Expr> {
    let mut all = Vec::new();
    for key in keys {
        match key {
            Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => all.extend(sets.iter().flatten()),
            key => all.push(key),
        }
    }
    all
}

/// What stands in several keys, in a cast in one of them at least. A key that may be the alias of a cast counts as one.
fn cast_beside_others(keys: &[&Expr], projection: &[SelectItem]) -> HashSet<String> {
    let mut seen: Vec<(String, String)> = Vec::new();
    for key in keys {
        for expr in [Some(*key), referred(key, projection)].into_iter().flatten() {
            let known = (base(expr), outer_type(expr));
            if !seen.contains(&known) {
                seen.push(known);
            }
        }
    }
    let is_beside = |(base, to): &&(String, String)| {
        !to.is_empty() && seen.iter().any(|(other, other_to)| other == base && other_to != to)
    };
    seen.iter().filter(is_beside).map(|(base, _)| base.clone()).collect()
}

/// What an expression casts, without the table of a column, in lower case; itself where it is no cast.
fn base(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => base(inner),
        Expr::CompoundIdentifier(path) => path.last().map_or_else(String::new, |ident| ident.value.to_lowercase()),
        Expr::Identifier(ident) => ident.value.to_lowercase(),
        Expr::Function(function) => match first_argument(function) {
            Some(inner) => base(inner),
            None => expr.to_string().to_lowercase(),
        },
        other => other.to_string().to_lowercase(),
    }
}

/// The types that an expression casts to, nothing where it is no cast.
fn outer_type(expr: &Expr) -> String {
    match expr {
        Expr::Nested(inner) => outer_type(inner),
        Expr::Cast { data_type, expr, .. } => format!("{data_type} {}", outer_type(expr)),
        _ => String::new(),
    }
}

/// What our own function is given.
fn first_argument(function: &Function) -> Option<&Expr> {
    let ([name], FunctionArguments::List(list)) = (&function.name.0[..], &function.args) else { return None };
    match list.args.first() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) if name.as_ident()?.value == NAME => Some(inner),
        _ => None,
    }
}

fn named(cast: Expr, to: &str) -> Expr {
    Expr::Function(function(ObjectName::from(vec![Ident::with_quote('"', NAME)]), vec![cast, text(to)]))
}

/// The function.
pub(super) static FUNCTION: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Same { signature: Signature::any(2, Volatility::Immutable) })));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    signature: Signature,
}

impl ScalarUDFImpl for Same {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn simplify(&self, mut args: Vec<Planned>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(args.swap_remove(0)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args[0].clone())
    }
}
