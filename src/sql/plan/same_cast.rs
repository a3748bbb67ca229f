//! Casts of one thing, as keys of GROUP BY or within aggregates and functions with OVER. DataFusion calls a cast like what
//! it casts, and wants the names of keys, of aggregates, and of functions with OVER to differ.
//!
//! `SELECT ts, CAST(ts AS DATE) .. GROUP BY ts, CAST(ts AS DATE)` is read with `__cast(CAST(ts AS DATE), 'DATE')` in place of
//! the cast, wherever it stands in the block, and so is `SELECT count(DISTINCT ts), count(DISTINCT CAST(ts AS DATE))`. The
//! function gives what it is given, and is taken away again by the optimizer.
//!
//! Invariants  goes behind `outputs`, so that no column of the answer is called otherwise.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion_expr::{
    ColumnarValue, Expr as Planned, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use sqlparser::ast::{
    CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderBy,
    Query, Select, SelectItem, SetExpr, Visit, VisitMut, Visitor, VisitorMut,
};

use super::context::Context;
use super::group::{each_expr, referred};
use crate::sql::tree::{function, text};

/// What the function is called; nobody can write it without quotes.
pub(super) const NAME: &str = "__cast";

/// Tells casts apart that stand beside one another.
pub(super) fn tell_apart(context: &Context<'_>, query: &mut Query) {
    let _ = query.visit(&mut Apart { is_aggregate: &|name| context.get_aggregate_meta(name).is_some() });
}

struct Apart<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Apart<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.body(&mut query.body, query.order_by.as_mut());
        ControlFlow::Continue(())
    }
}

impl Apart<'_> {
    fn body(&self, body: &mut SetExpr, order_by: Option<&mut OrderBy>) {
        match body {
            SetExpr::Select(select) => self.block(select, order_by),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, None);
                self.body(right, None);
            }
            _ => {}
        }
    }

    fn block(&self, select: &mut Select, mut order_by: Option<&mut OrderBy>) {
        let mut seen = match &select.group_by {
            GroupByExpr::Expressions(keys, _) => of_keys(&all_keys(keys), &select.projection),
            GroupByExpr::All(_) => Vec::new(),
        };
        let mut same = cast_beside_others(&seen);
        seen = self.of_calls(select, &mut order_by);
        same.extend(cast_beside_others(&seen));
        if same.is_empty() {
            return;
        }
        each_expr(select, &mut order_by, &mut |expr| {
            let to = outer_type(expr);
            if matches!(expr, Expr::Cast { .. }) && same.contains(&base(expr)) {
                *expr = named(expr.clone(), to.trim_end());
            }
        });
    }

    /// What stands within aggregates and functions with OVER, where a cast is among it.
    fn of_calls(&self, select: &mut Select, order_by: &mut Option<&mut OrderBy>) -> Vec<Known> {
        let mut within = Within::default();
        let _ = select.named_window.visit(&mut within);
        each_expr(select, order_by, &mut |expr| {
            if let Expr::Function(call) = &*expr
                && (call.over.is_some() || (self.is_aggregate)(&call.name.to_string().to_lowercase()))
            {
                let _ = call.visit(&mut within);
            }
        });
        if within.has_cast { within.seen } else { Vec::new() }
    }
}

/// What an expression casts, and what to; nothing where it is no cast.
type Known = (String, String);

/// Every expression that is visited, but what stands in a cast.
#[derive(Default)]
struct Within {
    seen: Vec<Known>,
    has_cast: bool,
    is_in_cast: bool,
}

impl Visitor for Within {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_cast = matches!(expr, Expr::Cast { .. });
        let is_cast_already = self.is_in_cast;
        self.is_in_cast = is_cast || is_cast_already && matches!(expr, Expr::Nested(_));
        if !is_cast_already {
            self.has_cast |= is_cast;
            let known = (base(expr), outer_type(expr));
            if !self.seen.contains(&known) {
                self.seen.push(known);
            }
        }
        ControlFlow::Continue(())
    }
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

/// What stands in the keys. A key that may be the alias of a cast counts as one.
fn of_keys(keys: &[&Expr], projection: &[SelectItem]) -> Vec<Known> {
    let mut seen: Vec<Known> = Vec::new();
    for key in keys {
        for expr in [Some(*key), referred(key, projection)].into_iter().flatten() {
            let known = (base(expr), outer_type(expr));
            if !seen.contains(&known) {
                seen.push(known);
            }
        }
    }
    seen
}

/// What stands there several times, in a cast one of them at least.
fn cast_beside_others(seen: &[Known]) -> HashSet<String> {
    let is_beside =
        |(base, to): &&Known| !to.is_empty() && seen.iter().any(|(other, other_to)| other == base && other_to != to);
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
        Expr::Cast { kind: CastKind::TryCast | CastKind::SafeCast, data_type, expr, .. } => {
            format!("try {data_type} {}", outer_type(expr))
        }
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
