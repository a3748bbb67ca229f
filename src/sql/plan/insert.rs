//! INSERT INTO: the query's columns brought into the order and the types of the sink's.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit, when};
use sqlparser::ast::{Ident, ObjectName, Spanned};

use super::context::Context;
use super::define::{normalize, relation_name};
use super::functions::FUNCTIONS;
use crate::error::{Error, Result};
use crate::pipeline::TableDefinition;
use crate::sql::catalog::{Relation, TableKind, path_definition};
use crate::sql::error::{closest, from_datafusion};
use crate::sql::parse::place;

/// Where an INSERT goes: a table of the catalog, or a path.
pub(super) fn sink(context: &Context<'_>, name: &ObjectName) -> Result<TableDefinition> {
    let at = place(name.span());
    let plain = match relation_name(name) {
        Ok(plain) => plain,
        Err(_) if context.catalog.is_path(&name.to_string()) => name.to_string(),
        Err(error) => return Err(error),
    };
    match context.catalog.get(&plain) {
        Some(Relation::Table(entry)) if entry.kind == TableKind::MaterializedView => {
            Err(Error::user(format!("rows cannot be put into a view: {plain}")).at(at))
        }
        Some(Relation::Table(entry)) => {
            let mut definition = entry.definition();
            definition.schema = entry.sink_schema();
            Ok(definition)
        }
        Some(Relation::View(_)) => Err(Error::user(format!("rows cannot be put into a view: {plain}")).at(at)),
        None if context.catalog.is_path(&plain) => Ok(path_definition(&plain, Default::default())),
        None => Err(context.not_found(&plain).at(at)),
    }
}

/// Casts and reorders the query's columns to the sink's; columns not named become null.
pub(super) fn fit(plan: LogicalPlan, sink: &TableDefinition, columns: &[Ident]) -> Result<LogicalPlan> {
    let Some(schema) = &sink.schema else {
        return match columns.first() {
            Some(column) => {
                Err(Error::user(format!("the columns of the sink are not known: {}; leave the list out", sink.name))
                    .at(place(column.span)))
            }
            None => Ok(plan),
        };
    };
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut targets: Vec<usize> = Vec::new();
    for ident in columns {
        let name = normalize(ident);
        let at = names
            .iter()
            .position(|known| *known == name)
            .or_else(|| names.iter().position(|known| known.eq_ignore_ascii_case(&name)));
        let target = at.ok_or_else(|| {
            let hint = closest(&name, names.iter().copied())
                .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
            Error::user(format!("column not found in {}: {name}{hint}", sink.name)).at(place(ident.span))
        })?;
        if targets.contains(&target) {
            return Err(Error::user(format!("column appears twice: {name}")).at(place(ident.span)));
        }
        targets.push(target);
    }
    if columns.is_empty() {
        targets = (0..names.len()).collect();
    }
    let given: DFSchemaRef = plan.schema().clone();
    if given.fields().len() != targets.len() {
        let message = format!(
            "the query's columns do not fit {}: given {}, wanted {}: {}",
            sink.name,
            given.fields().len(),
            targets.len(),
            targets.iter().map(|&target| names[target]).collect::<Vec<_>>().join(", ")
        );
        return Err(Error::user(message));
    }
    let mut exprs = Vec::with_capacity(names.len());
    for (index, field) in schema.fields().iter().enumerate() {
        let expr = match targets.iter().position(|&target| target == index) {
            Some(source) => {
                let column = by_place(Expr::Column(given.qualified_field(source).into()), field.data_type(), &given)?;
                column.cast_to(field.data_type(), &given).map_err(from_datafusion)?
            }
            None if field.is_nullable() => {
                Expr::Literal(ScalarValue::try_from(field.data_type()).map_err(from_datafusion)?, None)
            }
            None => return Err(Error::user(format!("column needs a value, for it is NOT NULL: {}", field.name()))),
        };
        exprs.push(expr.alias(field.name()));
    }
    LogicalPlanBuilder::from(plan).project(exprs).and_then(|builder| builder.build()).map_err(from_datafusion)
}

/// A row without names as the struct that it is put into: its fields by their places.
fn by_place(row: Expr, wanted: &DataType, schema: &DFSchema) -> Result<Expr> {
    let given = row.get_type(schema).map_err(from_datafusion)?;
    let (DataType::Struct(from), DataType::Struct(to)) = (&given, wanted) else { return Ok(row) };
    let is_nameless = from.iter().enumerate().all(|(at, field)| *field.name() == format!("c{at}"));
    if !is_nameless || from.len() != to.len() || from.iter().zip(to).all(|(from, to)| from.name() == to.name()) {
        return Ok(row);
    }
    let scalars = &FUNCTIONS.scalars;
    let mut args = Vec::new();
    for (from, to) in from.iter().zip(to) {
        let field = scalars["get_field"].call(vec![row.clone(), lit(from.name().as_str())]);
        args.extend([lit(to.name().as_str()), by_place(field, to.data_type(), schema)?]);
    }
    let made = scalars["named_struct"].call(args);
    let is_null = row.is_null();
    let nothing = Expr::Literal(
        ScalarValue::try_from(made.get_type(schema).map_err(from_datafusion)?).map_err(from_datafusion)?,
        None,
    );
    when(is_null, nothing).otherwise(made).map_err(from_datafusion)
}
