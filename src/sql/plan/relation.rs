//! Table functions: `TUMBLE(TABLE t, DESCRIPTOR(ts), size)` and its kin, `read_csv('...')` and its kin.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchema, Result as PlanResult, TableReference};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Spanned, TableAlias,
    TableFactor, Value,
};

use super::define::normalize;
use super::operator::OperatorNode;
use super::pivot::{self, Pivot};
use super::shape::{Shape, WindowFunctions};
use super::window::{WindowKeys, WindowNode};
use super::{as_of, constant, event_time, group, spread, system, unnest, using};
use crate::error::{Error, Result};
use crate::pipeline::{OperatorFunction, TableDefinition, time_unit};
use crate::sql::catalog::path_definition;
use crate::sql::error::{from_datafusion, to_datafusion};
use crate::sql::parse::{ARRAY_ROWS, PARTITION_ARGUMENT, place, row_function};
use crate::sql::tree;

/// Functions that read a file, and the format each reads; `None`: as the file's name says.
const READERS: &[(&str, Option<&str>)] = &[
    ("read_csv", Some("csv")),
    ("read_tsv", Some("tsv")),
    ("read_json", Some("json")),
    ("read_ndjson", Some("json")),
    ("read_parquet", Some("parquet")),
    ("read_arrow", Some("arrow")),
    ("read_avro", Some("avro")),
    ("read_file", None),
];

/// Plans our table functions and the windows that `group` has put into FROM.
#[derive(Debug)]
pub(super) struct Relations {
    /// The users' operators, by name.
    pub(super) operators: BTreeMap<String, Arc<dyn OperatorFunction>>,
    /// The users' kinds of windows.
    pub(super) windows: WindowFunctions,
}

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlanResult<RelationPlanning> {
        let planned = match relation {
            TableFactor::Unpivot { table, value, columns, name, .. } if group::is_marker(&name, &columns) => {
                let call = group::call(&value, &self.windows)
                    .ok_or_else(|| to_datafusion(Error::bug("a marker holds its window")))?;
                let (input, at) = (context.plan(*table)?, place(call.span));
                (plan_group_window(input, call, context).map_err(|e| e.at(at)), None)
            }
            TableFactor::Unpivot { table, columns, name, .. } if as_of::is_marker(&name, &columns) => {
                (as_of::plan(*table, context), None)
            }
            TableFactor::Unpivot { table, value, columns, name, .. } if using::is_marker(&name, &columns) => {
                (using::plan(*table, &value, context), None)
            }
            TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None }
                if alias.name.value == ARRAY_ROWS =>
            {
                (plan_array(subquery, alias.columns.len(), context), Some(alias))
            }
            TableFactor::Unpivot { table, columns, name, alias, .. } if spread::is_marker(&name, &columns) => {
                (spread::plan(*table, context), alias)
            }
            TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } => {
                let pivot = Pivot {
                    aggregates: aggregate_functions,
                    keys: value_column,
                    values: value_source,
                    default: default_on_null,
                };
                (pivot::plan(*table, pivot, context), alias)
            }
            TableFactor::Unpivot { table, value, columns, null_inclusion, alias, .. } if !columns.is_empty() => {
                (pivot::plan_unpivot(*table, &value, &columns, null_inclusion.as_ref(), context), alias)
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
                (unnest::plan(array_exprs, with_ordinality, "unnest", alias.as_ref(), context), alias)
            }
            TableFactor::UNNEST { .. } => {
                let message = "UNNEST ... WITH OFFSET is not supported; WITH ORDINALITY counts from 1";
                return Err(to_datafusion(Error::user(message)));
            }
            TableFactor::Function { ref name, ref args, ref alias, .. } => {
                match plan_list(name, args, alias.as_ref(), false, context) {
                    Some(plan) => (plan, alias.clone()),
                    None => return Ok(RelationPlanning::Original(Box::new(relation))),
                }
            }
            TableFactor::Table { ref name, args: Some(ref args), ref alias, with_ordinality, .. }
                if list_function(name).is_some() =>
            {
                let plan = plan_list(name, &args.args, alias.as_ref(), with_ordinality, context);
                (plan.expect("it is such a function"), alias.clone())
            }
            TableFactor::Table { ref name, args: Some(ref args), ref alias, .. } => {
                match self.plan_function(name, &args.args, context) {
                    Some(plan) => (plan, alias.clone()),
                    None => return Ok(RelationPlanning::Original(Box::new(relation))),
                }
            }
            TableFactor::TableFunction { expr: ast::Expr::Function(ref function), ref alias } => {
                let args: &[FunctionArg] = match &function.args {
                    FunctionArguments::List(list) => &list.args,
                    _ => &[],
                };
                match self.plan_function(&function.name, args, context) {
                    Some(plan) => (plan, alias.clone()),
                    None => return Ok(RelationPlanning::Original(Box::new(relation))),
                }
            }
            other => return Ok(RelationPlanning::Original(Box::new(other))),
        };
        let (plan, alias): (Result<LogicalPlan>, Option<TableAlias>) = planned;
        let plan = plan.map_err(to_datafusion)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

/// The query of `ARRAY(query)`, whose columns are the list's one and those that it is ordered by: so many.
fn plan_array(
    subquery: Box<ast::Query>,
    expected: usize,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let at = place(subquery.span());
    let factor = TableFactor::Derived { lateral: false, subquery, alias: None, sample: None };
    let plan = context.plan(factor).map_err(from_datafusion)?;
    match plan.schema().fields().len() {
        count if count == expected => Ok(plan),
        count => {
            let count = count + 1 - expected;
            Err(Error::user(format!("ARRAY takes a query of one column, not of {count}")).at(at))
        }
    }
}

impl Relations {
    /// `None`: neither a user's operator nor one of ours.
    fn plan_function(
        &self,
        name: &ObjectName,
        args: &[FunctionArg],
        context: &mut dyn RelationPlannerContext,
    ) -> Option<Result<LogicalPlan>> {
        if let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && let Some(function) = self.operators.get(&ident.value.to_lowercase())
        {
            let plan = plan_operator(&ident.value.to_lowercase(), function.clone(), args, context);
            return Some(plan.map_err(|e| e.at(place(ident.span))));
        }
        plan_function(name, args, &self.windows, context)
    }
}

/// `f(TABLE t, constants...)`.
fn plan_operator(
    name: &str,
    function: Arc<dyn OperatorFunction>,
    args: &[FunctionArg],
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(table)), rest @ ..] = args else {
        return Err(Error::user(format!("{name} takes a table first: {name}(TABLE t, ...)")));
    };
    let input = context.plan(as_table(table.clone())?).map_err(from_datafusion)?;
    let mut values = Vec::new();
    for arg in rest {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
            return Err(Error::user(format!("{name} takes its arguments by place, not by name")));
        };
        let planned = context.sql_to_expr(descriptor(expr.clone())?, &DFSchema::empty());
        let planned = match (planned, expr) {
            (Ok(planned), _) => planned,
            // A column is given by its name.
            (Err(_), ast::Expr::Identifier(ident)) => lit(normalize(ident)),
            (Err(_), ast::Expr::Function(_)) => lit(descriptor(expr.clone())?.to_string()),
            (Err(error), _) => return Err(from_datafusion(error)),
        };
        match constant(&planned, &DFSchema::empty())? {
            Some(value) => values.push(value),
            None => return Err(Error::user(format!("{name} takes constants behind its table: {expr}"))),
        }
    }
    Ok(OperatorNode::try_new(name, function, input, values)?.into_plan())
}

/// The name of a function that makes a list, or takes one apart, in lower case.
fn list_function(name: &ObjectName) -> Option<String> {
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let name = ident.value.to_lowercase();
    let is_list = name == "unnest" || unnest::SERIES.contains(&name.as_str()) || row_function(&name).is_some();
    is_list.then_some(name)
}

/// `generate_series(1, 3)` in FROM, and `unnest(list)` where it stands as a function; `None`: another function.
fn plan_list(
    name: &ObjectName,
    args: &[FunctionArg],
    alias: Option<&TableAlias>,
    with_ordinality: bool,
    context: &mut dyn RelationPlannerContext,
) -> Option<Result<LogicalPlan>> {
    let function = list_function(name)?;
    let mut exprs = Vec::new();
    for arg in args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
            return Some(Err(Error::user(format!("{function} takes its arguments by place")).at(place(name.span()))));
        };
        exprs.push(expr.clone());
    }
    if let Some(list) = row_function(&function) {
        exprs = vec![tree::call_of(list, exprs, name.span())];
    } else if function != "unnest" {
        exprs = vec![ast::Expr::Function(tree::function(name.clone(), exprs))];
    }
    Some(unnest::plan(exprs, with_ordinality, &function, alias, context).map_err(|e| e.at(place(name.span()))))
}

/// `None`: not one of ours.
fn plan_function(
    name: &ObjectName,
    args: &[FunctionArg],
    windows: &WindowFunctions,
    context: &mut dyn RelationPlannerContext,
) -> Option<Result<LogicalPlan>> {
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let at = place(ident.span);
    let name = ident.value.to_lowercase();
    let plan = match Shape::named(&name, windows) {
        Some(shape) => plan_table_window(&shape, args, context),
        None if READERS.iter().any(|(reader, _)| *reader == name) => plan_reader(&name, args, context),
        None => return None,
    };
    Some(plan.map_err(|e| e.at(at)))
}

/// `TUMBLE(t, DESCRIPTOR(ts), size [, offset])` and its kin, arguments named or not.
fn plan_table_window(
    shape: &Shape,
    args: &[FunctionArg],
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let (needed, more) = shape.args();
    let usage = || shape.table_usage();
    let mut names = vec!["data"];
    if shape.has_time() {
        names.push("timecol");
    }
    let first = names.len();
    let mut args = args.to_vec();
    let mut keys = None;
    if shape.is_per_key()
        && let Some(at) = args.iter().position(|arg| is_keys(arg, first, &args))
    {
        keys = Some(columns_of(&args.remove(at))?);
    }
    names.extend(needed.iter().chain(more));
    let custom: Vec<String> = (first..args.len()).map(|number| format!("argument {number}")).collect();
    if matches!(shape, Shape::Custom(..)) {
        names.extend(custom.iter().map(String::as_str));
    }
    let mut given = named_args(&args, &names)?;
    let table = given.remove("data").ok_or_else(usage)?;
    let time = if shape.has_time() { Some(given.remove("timecol").ok_or_else(usage)?) } else { None };
    let input = context.plan(as_table(table)?).map_err(from_datafusion)?;
    let time = time.map(|time| plan_time(descriptor(time)?, &input, context)).transpose()?;
    let keys = keys.unwrap_or_default().into_iter().map(|key| plan_time(key, &input, context));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let mut sizes = Vec::new();
    for name in &names[first..] {
        match given.remove(*name) {
            Some(expr) => sizes.push(context.sql_to_expr(expr, &DFSchema::empty()).map_err(from_datafusion)?),
            None if needed.contains(name) => return Err(usage()),
            None => {}
        }
    }
    let kind = shape.kind(&time_type(time.as_ref(), &input)?, &sizes)?;
    WindowNode::over(input, kind, time, WindowKeys::Columns(keys))
}

/// Whether an argument says the keys of a window: by its name, or as a second DESCRIPTOR.
fn is_keys(arg: &FunctionArg, first: usize, args: &[FunctionArg]) -> bool {
    match arg {
        FunctionArg::Named { name, .. } | FunctionArg::ExprNamed { name: ast::Expr::Identifier(name), .. } => {
            name.value.eq_ignore_ascii_case(PARTITION_ARGUMENT)
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Function(function))) => {
            let is_descriptor = function.name.to_string().eq_ignore_ascii_case("descriptor");
            is_descriptor && args.iter().skip(first).any(|other| std::ptr::eq(other, arg))
        }
        _ => false,
    }
}

/// The columns in `DESCRIPTOR(k, l)`.
fn columns_of(arg: &FunctionArg) -> Result<Vec<ast::Expr>> {
    let expr = match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. }
        | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expr), .. } => expr,
        other => return Err(Error::user(format!("argument not understood: {other}"))),
    };
    let ast::Expr::Function(ast::Function { args: FunctionArguments::List(list), .. }) = expr else {
        return Ok(vec![expr.clone()]);
    };
    let column = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(column)) => Ok(column.clone()),
        other => Err(Error::user(format!("a key of a window must be a column: {other}"))),
    };
    list.args.iter().map(column).collect()
}

/// The window that `group` found in a query: `tumble([ts,] size [, offset])` and its kin.
fn plan_group_window(
    input: LogicalPlan,
    call: group::Call,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let time = match call.time {
        Some(time) => Some(plan_time(time, &input, context)?),
        None if call.shape.has_time() => Some(Expr::Column(event_time::of(&input)?)),
        None => None,
    };
    let mut args = Vec::new();
    for expr in call.args {
        args.push(context.sql_to_expr(expr, &DFSchema::empty()).map_err(from_datafusion)?);
    }
    let kind = call.shape.kind(&time_type(time.as_ref(), &input)?, &args)?;
    WindowNode::over(input, kind, time, WindowKeys::OfGroups)
}

/// The type that sizes are measured in.
fn time_type(time: Option<&Expr>, input: &LogicalPlan) -> Result<DataType> {
    let Some(time) = time else { return Ok(DataType::Int64) };
    let data_type = time.get_type(input.schema()).map_err(from_datafusion)?;
    if time_unit(&data_type).is_none() {
        let message =
            format!("the time of a window must be a TIMESTAMP column: {time} is {data_type}; cast it in a subquery");
        return Err(Error::user(message));
    }
    Ok(data_type)
}

/// A time column, qualified as the input has it.
fn plan_time(time: ast::Expr, input: &LogicalPlan, context: &mut dyn RelationPlannerContext) -> Result<Expr> {
    let planned = context.sql_to_expr(time, input.schema()).map_err(from_datafusion)?;
    let Expr::Column(column) = &planned else { return Ok(planned) };
    let (qualifier, field) = input.schema().qualified_field_from_column(column).map_err(from_datafusion)?;
    Ok(Expr::Column(Column::new(qualifier.cloned(), field.name())))
}

/// `DESCRIPTOR(ts)`, or `ts` itself.
fn descriptor(expr: ast::Expr) -> Result<ast::Expr> {
    let ast::Expr::Function(function) = &expr else { return Ok(expr) };
    match &function.args {
        FunctionArguments::List(list) if function.name.to_string().eq_ignore_ascii_case("descriptor") => {
            match list.args.as_slice() {
                [FunctionArg::Unnamed(FunctionArgExpr::Expr(column))] => Ok(column.clone()),
                _ => Err(Error::user("DESCRIPTOR takes one column")),
            }
        }
        _ => Ok(expr),
    }
}

fn named_args(args: &[FunctionArg], names: &[&str]) -> Result<BTreeMap<String, ast::Expr>> {
    let mut given = BTreeMap::new();
    for (index, arg) in args.iter().enumerate() {
        let (name, expr) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (names.get(index).map(|name| name.to_string()), expr),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                (Some(name.value.to_lowercase()), expr)
            }
            FunctionArg::ExprNamed { name: ast::Expr::Identifier(name), arg: FunctionArgExpr::Expr(expr), .. } => {
                (Some(name.value.to_lowercase()), expr)
            }
            other => return Err(Error::user(format!("argument not understood: {other}"))),
        };
        let name = name.ok_or_else(|| {
            Error::user(format!("too many arguments: {}; there are {} at most", args.len(), names.len()))
        })?;
        if !names.is_empty() && !names.contains(&name.as_str()) {
            return Err(Error::user(format!("no such argument: {name}; there are: {}", names.join(", "))));
        }
        if given.insert(name.clone(), expr.clone()).is_some() {
            return Err(Error::user(format!("argument given twice: {name}")));
        }
    }
    Ok(given)
}

/// The table that an expression stands for where a table is wanted.
fn as_table(expr: ast::Expr) -> Result<TableFactor> {
    match expr {
        ast::Expr::Identifier(ident) => {
            let name = ident.value.clone();
            let mut factor = table_factor(ObjectName::from(vec![ident]), None);
            // With system columns it goes by the name of the table alone.
            if let (TableFactor::Table { alias, .. }, Some((plain, _))) = (&mut factor, system::split(&name)) {
                let name = Ident::with_quote('"', plain);
                *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
            }
            Ok(factor)
        }
        ast::Expr::CompoundIdentifier(idents) => Ok(table_factor(ObjectName::from(idents), None)),
        ast::Expr::Nested(inner) => as_table(*inner),
        ast::Expr::Subquery(subquery) => {
            Ok(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None })
        }
        ast::Expr::Value(ast::ValueWithSpan { value: Value::SingleQuotedString(path), span }) => {
            Ok(table_factor(ObjectName::from(vec![Ident { value: path, quote_style: Some('"'), span }]), None))
        }
        ast::Expr::Function(ast::Function { name, args: FunctionArguments::List(list), .. }) => {
            Ok(table_factor(name, Some(list.args)))
        }
        other => Err(Error::user(format!("expected a table or a query in parentheses, found: {other}"))),
    }
}

fn table_factor(name: ObjectName, args: Option<Vec<FunctionArg>>) -> TableFactor {
    TableFactor::Table {
        name,
        alias: None,
        args: args.map(|args| ast::TableFunctionArgs { args, settings: None }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

/// `read_csv('path', option => value, ...)`.
fn plan_reader(name: &str, args: &[FunctionArg], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(path)), options @ ..] = args else {
        return Err(Error::user(format!("{name} takes a path: {name}('data/x.csv')")));
    };
    let mut literals = vec![lit(text(path)?)];
    for (option, value) in named_args(options, &[])? {
        literals.push(lit(option));
        literals.push(lit(text(&value)?));
    }
    let source = context.context_provider().get_table_function_source(name, literals).map_err(from_datafusion)?;
    let plan = LogicalPlanBuilder::scan(TableReference::bare(name), source, None).and_then(|builder| builder.build());
    plan.map_err(from_datafusion)
}

fn text(expr: &ast::Expr) -> Result<String> {
    match expr {
        ast::Expr::Value(value) => Ok(value.value.clone().into_string().unwrap_or_else(|| value.value.to_string())),
        ast::Expr::UnaryOp { .. } => Ok(expr.to_string()),
        ast::Expr::Identifier(ident) => Ok(ident.value.clone()),
        other => Err(Error::user(format!("expected a constant, found: {other}"))),
    }
}

/// The definition behind `read_csv` and its kin: `args` are a path, then options and their values in turn.
pub(super) fn reader_definition(name: &str, args: &[Expr]) -> Result<TableDefinition> {
    let Some((_, format)) = READERS.iter().find(|(reader, _)| *reader == name) else {
        return Err(Error::user(format!(
            "table function not found: {name}; there are: tumble, hop, cumulate, session, tumble_rows, hop_rows, generate_series, \
             range, read_csv, read_json, read_parquet"
        )));
    };
    let mut texts = args.iter().map(|arg| match arg {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_string),
        _ => None,
    });
    let path =
        texts.next().flatten().ok_or_else(|| Error::user(format!("{name} takes a path: {name}('data/x.csv')")))?;
    let mut options = BTreeMap::new();
    if let Some(format) = format {
        options.insert("format".to_string(), format.to_string());
    }
    while let (Some(Some(key)), Some(Some(value))) = (texts.next(), texts.next()) {
        options.insert(key, value);
    }
    Ok(path_definition(&path, options))
}
