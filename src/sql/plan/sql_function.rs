//! Functions that are an expression of SQL: a call is replaced by the expression, its arguments in their places.
//!
//! Invariants  an expression is checked when it is defined, with the types that are declared; calls of other such functions in
//!             it are replaced then, so none can call itself. Arguments and the result are cast to their types.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{
    CastKind, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectNamePart, Select, SelectItem, Spanned, Value, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Span;

use super::context::Context;
use super::define::{normalize, relation_name};
use super::{cast, query};
use crate::error::{Error, Result};
use crate::sql::parse::{self, CreateSqlFunction, Statement, place};

/// A function of SQL, as calls are replaced by it.
#[derive(Debug, Clone)]
pub(in crate::sql) struct SqlFunction {
    /// Names and types.
    args: Vec<(String, SqlType)>,
    returns: SqlType,
    body: Expr,
}

/// All of them, by name.
pub(in crate::sql) type SqlFunctions = BTreeMap<String, Arc<SqlFunction>>;

impl SqlFunction {
    /// How it is called.
    pub(in crate::sql) fn signature(&self, name: &str) -> String {
        let args: Vec<String> = self.args.iter().map(|(_, data_type)| data_type.to_string()).collect();
        format!("{name}({}) -> {}", args.join(", "), self.returns)
    }

    /// What it computes.
    pub(in crate::sql) fn body(&self) -> String {
        self.body.to_string()
    }
}

/// Reads a definition; its name, and what it is.
///
/// Failure: a name that is taken; an expression that does not go with the types.
pub(super) fn create(context: &Context<'_>, statement: &CreateSqlFunction) -> Result<(String, SqlFunction)> {
    let name = relation_name(&statement.name)?;
    let users = context.catalog.functions();
    let taken = users.scalars.contains_key(&name)
        || users.aggregates.contains_key(&name)
        || context.catalog.sql_functions().contains_key(&name);
    if !statement.or_replace && taken {
        let message = format!("function exists already: {name}; CREATE OR REPLACE FUNCTION takes its place");
        return Err(Error::user(message).at(statement.place));
    }
    let mut args: Vec<(String, SqlType)> = Vec::new();
    for (at, (ident, data_type)) in statement.args.iter().enumerate() {
        let arg = ident.as_ref().map_or_else(|| format!("${}", at + 1), normalize);
        if args.iter().any(|(known, _)| *known == arg) {
            return Err(Error::user(format!("two arguments have one name: {arg}")).at(statement.place));
        }
        args.push((arg, cast::without_length(data_type)));
    }
    let mut body = statement.body.clone();
    expand(context, &mut body)?;
    let _ = body.visit(&mut Placeholders(&args));
    let function = SqlFunction { args, returns: cast::without_length(&statement.returns), body };
    check(context, &function).map_err(|e| e.context(format!("in function {name}")).at(statement.place))?;
    Ok((name, function))
}

/// Plans the expression over arguments of the declared types.
fn check(context: &Context<'_>, function: &SqlFunction) -> Result<()> {
    let SqlFunction { args, returns, body } = function;
    let quoted = |name: &str| Ident::with_quote('"', name).to_string();
    let columns: Vec<String> =
        args.iter().map(|(name, data_type)| format!("CAST(NULL AS {data_type}) AS {}", quoted(name))).collect();
    let from =
        if columns.is_empty() { String::new() } else { format!(" FROM (SELECT {}) AS arguments", columns.join(", ")) };
    let text = format!("SELECT CAST({body} AS {returns}) AS result{from}");
    match parse::parse(&text)?.pop().map(|parsed| parsed.statement) {
        Some(Statement::Query(statement)) => query::plan(context, &statement.query).map(drop),
        _ => Err(Error::bug(format!("a query was written: {text}"))),
    }
}

/// Replaces the calls of functions of SQL.
///
/// Failure: a call with other arguments than the function has.
pub(super) fn expand<N: VisitMut>(context: &Context<'_>, node: &mut N) -> Result<()> {
    let functions = context.catalog.sql_functions();
    if functions.is_empty() {
        return Ok(());
    }
    match node.visit(&mut Expander(functions)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Expander<'a>(&'a SqlFunctions);

impl VisitorMut for Expander<'_> {
    type Break = Error;

    /// A column that is a call is called like the call.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr @ Expr::Function(call)) = &*item else { continue };
            if self.function(call).is_some() {
                let alias = Ident { value: expr.to_string(), quote_style: Some('"'), span: expr.span() };
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(call) = &*expr else { return ControlFlow::Continue(()) };
        let Some((name, function)) = self.function(call) else { return ControlFlow::Continue(()) };
        match replaced(&name, function, call) {
            Ok(put) => *expr = put,
            Err(error) => return ControlFlow::Break(error.at(place(call.name.span()))),
        }
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    fn function(&self, call: &Function) -> Option<(String, &SqlFunction)> {
        let [ObjectNamePart::Identifier(ident)] = call.name.0.as_slice() else { return None };
        let name = normalize(ident);
        let function = self.0.get(&name)?;
        Some((name, function))
    }
}

/// What a call stands for.
fn replaced(name: &str, function: &SqlFunction, call: &Function) -> Result<Expr> {
    if call.over.is_some() || call.filter.is_some() || call.null_treatment.is_some() || !call.within_group.is_empty() {
        return Err(Error::user(format!("a function of SQL takes arguments alone: {name}")));
    }
    let given: Vec<&Expr> = match &call.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            let one = |arg| match arg {
                &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Ok(expr),
                other => Err(Error::user(format!("a function of SQL takes its arguments by their places: {other}"))),
            };
            list.args.iter().map(one).collect::<Result<_>>()?
        }
        _ => return Err(Error::user(format!("a function of SQL takes arguments alone: {name}"))),
    };
    if given.len() != function.args.len() {
        let wanted = function.signature(name);
        return Err(Error::user(format!("wrong number of arguments: {} for {wanted}", given.len())));
    }
    let mut body = function.body.clone();
    let puts = function
        .args
        .iter()
        .zip(given)
        .map(|((arg, data_type), given)| (arg.as_str(), cast_to(given.clone(), data_type)));
    let _ = body.visit(&mut Substitute { puts: puts.collect(), span: call.name.span() });
    Ok(Expr::Nested(Box::new(cast_to(body, &function.returns))))
}

fn cast_to(expr: Expr, data_type: &SqlType) -> Expr {
    let expr = Box::new(Expr::Nested(Box::new(expr)));
    Expr::Cast { kind: CastKind::Cast, expr, data_type: data_type.clone(), array: false, format: None }
}

/// Puts arguments in the places of their names, and gives all the rest the place of the call.
struct Substitute<'a> {
    puts: BTreeMap<&'a str, Expr>,
    span: Span,
}

impl VisitorMut for Substitute<'_> {
    type Break = ();

    // Afterwards, so that names in arguments are left alone.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => match self.puts.get(normalize(ident).as_str()) {
                Some(put) => *expr = put.clone(),
                None => ident.span = self.span,
            },
            Expr::CompoundIdentifier(idents) => idents.iter_mut().for_each(|ident| ident.span = self.span),
            Expr::Value(value) => value.span = self.span,
            Expr::Function(call) => call.name.0.iter_mut().for_each(|part| {
                if let ObjectNamePart::Identifier(ident) = part {
                    ident.span = self.span;
                }
            }),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Writes `$1` as the name that the first argument has.
struct Placeholders<'a>(&'a [(String, SqlType)]);

impl VisitorMut for Placeholders<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = &*expr
            && let Value::Placeholder(number) = &value.value
            && let Some(at) = number.strip_prefix('$').and_then(|number| number.parse::<usize>().ok())
            && let Some((name, _)) = at.checked_sub(1).and_then(|at| self.0.get(at))
        {
            *expr = Expr::Identifier(Ident { value: name.clone(), quote_style: Some('"'), span: value.span });
        }
        ControlFlow::Continue(())
    }
}
