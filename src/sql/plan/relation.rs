//! Table functions: `TUMBLE(TABLE t, DESCRIPTOR(ts), size)`, `HOP(...)`, `read_csv('...')` and its kin.

use std::collections::BTreeMap;

use datafusion_common::{Column, DFSchema, Result as PlanResult, TableReference};
use datafusion_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor,
    Value,
};

use super::group::{self, Shape};
use super::window::WindowNode;
use super::{as_of, duration, event_time};
use crate::error::{Error, Result};
use crate::pipeline::{TableDefinition, WindowKind, time_unit};
use crate::sql::catalog::path_definition;
use crate::sql::error::{from_datafusion, to_datafusion};
use crate::sql::parse::place;

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
pub(super) struct Relations;

impl RelationPlanner for Relations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlanResult<RelationPlanning> {
        let planned = match relation {
            TableFactor::Unpivot { table, value, columns, name, .. } if group::is_marker(&name, &columns) => {
                let call = group::call(&value).ok_or_else(|| to_datafusion(Error::bug("a marker holds its window")))?;
                let (input, at) = (context.plan(*table)?, place(call.span));
                (plan_group_window(input, call, context).map_err(|e| e.at(at)), None)
            }
            TableFactor::Unpivot { table, columns, name, .. } if as_of::is_marker(&name, &columns) => {
                (as_of::plan(*table, context), None)
            }
            TableFactor::Table { ref name, args: Some(ref args), ref alias, .. } => {
                match plan_function(name, &args.args, context) {
                    Some(plan) => (plan, alias.clone()),
                    None => return Ok(RelationPlanning::Original(Box::new(relation))),
                }
            }
            TableFactor::TableFunction { expr: ast::Expr::Function(ref function), ref alias } => {
                let args: &[FunctionArg] = match &function.args {
                    FunctionArguments::List(list) => &list.args,
                    _ => &[],
                };
                match plan_function(&function.name, args, context) {
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

/// `None`: not one of ours.
fn plan_function(
    name: &ObjectName,
    args: &[FunctionArg],
    context: &mut dyn RelationPlannerContext,
) -> Option<Result<LogicalPlan>> {
    let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return None };
    let at = place(ident.span);
    let name = ident.value.to_lowercase();
    let plan = match name.as_str() {
        "tumble" => plan_table_window(Shape::Tumble, args, context),
        "hop" => plan_table_window(Shape::Hop, args, context),
        "session" | "cumulate" => {
            Err(Error::user(format!("{} windows are not supported yet; use TUMBLE or HOP", name.to_uppercase())))
        }
        _ if READERS.iter().any(|(reader, _)| *reader == name) => plan_reader(&name, args, context),
        _ => return None,
    };
    Some(plan.map_err(|e| e.at(at)))
}

/// `TUMBLE(t, DESCRIPTOR(ts), size [, offset])`, `HOP(t, DESCRIPTOR(ts), slide, size [, offset])`, arguments named or not.
fn plan_table_window(
    shape: Shape,
    args: &[FunctionArg],
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let names: &[&str] = match shape {
        Shape::Tumble => &["data", "timecol", "size", "offset"],
        Shape::Hop => &["data", "timecol", "slide", "size", "offset"],
    };
    let mut given = named_args(args, names)?;
    let usage = || match shape {
        Shape::Tumble => Error::user("TUMBLE takes (TABLE t, DESCRIPTOR(ts), size [, offset])"),
        Shape::Hop => Error::user("HOP takes (TABLE t, DESCRIPTOR(ts), slide, size [, offset])"),
    };
    let table = given.remove("data").ok_or_else(usage)?;
    let time = given.remove("timecol").ok_or_else(usage)?;
    let input = context.plan(as_table(table)?).map_err(from_datafusion)?;
    let time = plan_time(descriptor(time)?, &input, context)?;
    let mut interval = |name: &str| -> Result<Option<Expr>> {
        let Some(expr) = given.remove(name) else { return Ok(None) };
        context.sql_to_expr(expr, &DFSchema::empty()).map(Some).map_err(from_datafusion)
    };
    let size = interval("size")?.ok_or_else(usage)?;
    let slide = interval("slide")?;
    let offset = interval("offset")?;
    let kind = kind(shape, &input, &time, &size, slide.as_ref(), offset.as_ref())?;
    Ok(WindowNode::try_new(input, kind, time)?.into_plan())
}

/// The window that `group` found in a query: `tumble([ts,] size [, offset])`, `hop([ts,] slide, size [, offset])`.
fn plan_group_window(
    input: LogicalPlan,
    call: group::Call,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let time = match call.time {
        Some(time) => plan_time(time, &input, context)?,
        None => Expr::Column(event_time::of(&input)?),
    };
    let mut intervals = Vec::new();
    for expr in call.intervals {
        intervals.push(context.sql_to_expr(expr, &DFSchema::empty()).map_err(from_datafusion)?);
    }
    let (slide, size, offset) = match (call.shape, intervals.as_slice()) {
        (Shape::Tumble, [size]) => (None, size, None),
        (Shape::Tumble, [size, offset]) => (None, size, Some(offset)),
        (Shape::Hop, [slide, size]) => (Some(slide), size, None),
        (Shape::Hop, [slide, size, offset]) => (Some(slide), size, Some(offset)),
        _ => return Err(call.shape.usage()),
    };
    let kind = kind(call.shape, &input, &time, size, slide, offset)?;
    Ok(WindowNode::try_new(input, kind, time)?.into_plan())
}

/// Sizes in ticks of the time column.
fn kind(
    shape: Shape,
    input: &LogicalPlan,
    time: &Expr,
    size: &Expr,
    slide: Option<&Expr>,
    offset: Option<&Expr>,
) -> Result<WindowKind> {
    let data_type = time.get_type(input.schema()).map_err(from_datafusion)?;
    let Some(unit) = time_unit(&data_type) else {
        let message =
            format!("the time of a window must be a TIMESTAMP column: {time} is {data_type}; cast it in a subquery");
        return Err(Error::user(message));
    };
    let offset = offset.map_or(Ok(0), |offset| duration::ticks(offset, unit, "offset"))?;
    let size = duration::ticks(size, unit, "size")?;
    match (shape, slide) {
        (Shape::Tumble, None) => duration::tumble(size, offset),
        (Shape::Hop, Some(slide)) => duration::hop(size, duration::ticks(slide, unit, "slide")?, offset),
        _ => Err(shape.usage()),
    }
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
        ast::Expr::Identifier(ident) => Ok(table_factor(ObjectName::from(vec![ident]), None)),
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
            "table function not found: {name}; there are: tumble, hop, read_csv, read_json, read_parquet"
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
