//! Statements that define: CREATE TABLE, CREATE VIEW, DROP.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use sqlparser::ast::{ColumnDef, ColumnOption, Ident, ObjectName, ObjectNamePart, Spanned};

use super::context::Context;
use super::{Planned, computed, system, view, watermark};
use crate::error::{Error, Result};
use crate::pipeline::{Changelog, SystemColumn, Tuning};
use crate::sql::catalog::{Catalog, Kept, Relation, TableEntry, TableKind, View};
use crate::sql::error::from_datafusion;
use crate::sql::parse::{CreateTable, CreateView, Drop, Dropped, Parsed, place};

/// The schema that PostgreSQL has everything in unless it is told.
pub(super) const PUBLIC: &str = "public";

/// A name as the catalog holds it.
pub(super) fn relation_name(name: &ObjectName) -> Result<String> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Ok(normalize(ident)),
        // The one schema there is.
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(ident)] if normalize(schema) == PUBLIC => {
            Ok(normalize(ident))
        }
        _ => Err(Error::user(format!("a name has one part here, there are no schemas: {name}")).at(place(name.span()))),
    }
}

/// Lower case unless quoted.
pub(super) fn normalize(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Whether CREATE may go on; `Some` is the answer when the name is taken and that is all right.
pub(super) fn check_free(
    catalog: &Catalog,
    name: &str,
    or_replace: bool,
    if_not_exists: bool,
) -> Result<Option<String>> {
    match catalog.get(name) {
        Some(relation) if relation.is_only_bound() => Ok(None),
        _ => check_unused(catalog, name, or_replace, if_not_exists),
    }
}

/// As [`check_free`], for a statement that brings rows of its own: a binding that waits for a definition is in its way, too.
pub(super) fn check_unused(
    catalog: &Catalog,
    name: &str,
    or_replace: bool,
    if_not_exists: bool,
) -> Result<Option<String>> {
    let (what, hint) = match catalog.get(name) {
        None => return Ok(None),
        Some(_) if or_replace => return Ok(None),
        Some(Relation::Table(entry)) if entry.kind == TableKind::MaterializedView => {
            ("materialized view", "use CREATE OR REPLACE MATERIALIZED VIEW, or DROP MATERIALIZED VIEW first")
        }
        Some(Relation::Table(_)) => ("table", "use CREATE OR REPLACE TABLE, or DROP TABLE first"),
        Some(Relation::View(_)) => ("view", "use CREATE OR REPLACE VIEW, or DROP VIEW first"),
    };
    if if_not_exists {
        Ok(Some(format!("{what} {name} exists already")))
    } else {
        Err(Error::user(format!("{what} exists already: {name}; {hint}")))
    }
}

pub(super) fn create_table(context: &Context<'_>, statement: &CreateTable) -> Result<TableEntry> {
    let name = relation_name(&statement.name)?;
    let at = place(statement.name.span());
    let schema = match statement.columns.as_slice() {
        [] => None,
        columns => Some(schema(context, columns)?),
    };
    if schema.is_none() && statement.options.is_empty() && context.catalog.get(&name).is_none() {
        return Err(
            Error::user(format!("a table needs columns or a connector: {name}; say WITH ('connector' = ...)")).at(at)
        );
    }
    let primary_key: Vec<String> = statement.primary_key.iter().map(normalize).collect();
    if let Some(schema) = &schema {
        for (column, ident) in primary_key.iter().zip(&statement.primary_key) {
            if schema.field_with_name(column).is_err() {
                return Err(Error::user(format!("the primary key's column is not in the table: {column}"))
                    .at(place(ident.span)));
            }
        }
        let (schema, _) = computed::plan(context, &statement.computed, schema, &system::with_all(schema))?;
        if let Some(clause) = &statement.watermark {
            let is_system = SystemColumn::from_name(&normalize(&clause.column)).is_some();
            let schema = if is_system { system::with_all(&schema) } else { schema };
            watermark::plan(context, clause, &schema)?;
        }
    }
    let mut options = statement.options.clone();
    let watermark_rules = super::rules::take(&mut options).map_err(|e| e.at(at))?;
    let tuning = super::rules::tuning(&mut options).map_err(|e| e.at(at))?;
    if statement.watermark.is_none() && watermark_rules != Default::default() {
        let message =
            format!("options about watermarks need a watermark; declare WATERMARK FOR in the columns of {name}");
        return Err(Error::user(message).at(at));
    }
    Ok(TableEntry {
        name,
        schema,
        options,
        watermark_rules,
        tuning,
        primary_key,
        is_declared: true,
        is_unbounded: statement.is_unbounded,
        watermark: statement.watermark.clone(),
        computed: statement.computed.clone(),
        ..TableEntry::default()
    })
}

/// A table that is kept in memory, and its columns.
pub(super) fn memory(entry: TableEntry) -> Result<(Kept, SchemaRef)> {
    let TableEntry { name, schema, mut options, primary_key, watermark, watermark_rules, computed, tuning, .. } = entry;
    if tuning != Tuning::default() {
        let message = "options 'state.ttl' and 'linger' do not go with a table in memory";
        return Err(Error::user(format!("{message}: {name}")));
    }
    let is_append = takes_rows_only(&name, &mut options, !primary_key.is_empty())?;
    if let Some(option) = options.keys().find(|option| *option != "connector") {
        return Err(Error::user(format!("option '{option}' does not go with a table in memory: {name}")));
    }
    let schema = schema.ok_or_else(|| Error::user(format!("a table in memory needs its columns: {name}")))?;
    let kind = TableKind::Memory;
    Ok((Kept { name, kind, primary_key, is_append, watermark, watermark_rules, computed }, schema))
}

/// Whether the rows of a table in memory stay, as its option 'changelog' says: else the last of each key counts, or rows
/// come and go.
fn takes_rows_only(name: &str, options: &mut BTreeMap<String, String>, has_key: bool) -> Result<bool> {
    let said: Vec<String> = ["changelog", "mode"].iter().filter_map(|key| options.remove(*key)).collect();
    let Some(word) = said.first() else { return Ok(false) };
    match (Changelog::from_word(word), has_key) {
        (Some(Changelog::Append), false) => Ok(true),
        (Some(Changelog::Retract), false) | (Some(Changelog::Upsert), true) => Ok(false),
        (Some(Changelog::Upsert), false) => {
            Err(Error::user(format!("an upsert table needs its key; declare PRIMARY KEY (...): {name}")))
        }
        (Some(_), true) => {
            let message = "the last row of each key counts where a table in memory has a PRIMARY KEY";
            Err(Error::user(format!("{message}: leave the key out, or 'changelog' = '{word}': {name}")))
        }
        (None, _) => Err(Error::user(format!("option 'changelog' must be append, retract or upsert, not '{word}'"))),
    }
}

fn schema(context: &Context<'_>, columns: &[ColumnDef]) -> Result<SchemaRef> {
    let mut seen = HashSet::new();
    for column in columns {
        let at = place(column.name.span);
        if !seen.insert(normalize(&column.name)) {
            return Err(Error::user(format!("column appears twice: {}", column.name.value)).at(at));
        }
        let known = |option: &ColumnOption| {
            matches!(
                option,
                ColumnOption::Null | ColumnOption::NotNull | ColumnOption::PrimaryKey(_) | ColumnOption::Comment(_)
            )
        };
        if let Some(option) = column.options.iter().find(|option| !known(&option.option)) {
            return Err(Error::user(format!("column option not supported: {}", option.option)).at(at));
        }
        context.planner().build_schema(vec![column.clone()]).map_err(|e| from_datafusion(e).at(at))?;
    }
    context.planner().build_schema(columns.to_vec()).map(Arc::new).map_err(from_datafusion)
}

pub(super) fn create_view(context: &Context<'_>, statement: &CreateView, parsed: &Parsed) -> Result<View> {
    let name = relation_name(&statement.name)?;
    view::plan_statement(context, statement)?;
    Ok(View { name, parsed: parsed.clone() })
}

/// Forgets tables or views; those that the engine keeps in memory are its to drop.
pub(super) fn drop_relations(catalog: &mut Catalog, statement: &Drop) -> Result<Planned> {
    let what = match statement.what {
        Dropped::Table => "table",
        Dropped::View => "view",
        Dropped::MaterializedView => "materialized view",
    };
    let (mut dropped, mut kept) = (Vec::new(), Vec::new());
    for object in &statement.names {
        let name = relation_name(object)?;
        let at = place(object.span());
        let is = match catalog.get(&name) {
            None if statement.if_exists => continue,
            None => return Err(Error::user(format!("{what} not found: {name}")).at(at)),
            Some(Relation::View(_)) => Dropped::View,
            Some(Relation::Table(entry)) if entry.kind == TableKind::MaterializedView => Dropped::MaterializedView,
            Some(Relation::Table(entry)) => {
                if entry.kind == TableKind::Memory && statement.what == Dropped::Table {
                    kept.push(name.clone());
                }
                Dropped::Table
            }
        };
        if is != statement.what {
            let (found, instead) = match is {
                Dropped::Table => ("a table", "DROP TABLE"),
                Dropped::View => ("a view", "DROP VIEW"),
                Dropped::MaterializedView => ("a materialized view", "DROP MATERIALIZED VIEW"),
            };
            return Err(Error::user(format!("not a {what} but {found}: {name}; use {instead}")).at(at));
        }
        if is == Dropped::MaterializedView {
            kept.push(name.clone());
        }
        dropped.push(name);
    }
    for name in dropped.iter().filter(|name| !kept.contains(name)) {
        catalog.remove(name);
    }
    let message = match dropped.is_empty() {
        true => "nothing to drop".to_string(),
        false => format!("{what} {} dropped", dropped.join(", ")),
    };
    Ok(if kept.is_empty() {
        Planned::Done(message)
    } else {
        Planned::DropKept { names: kept, cascade: statement.cascade, message }
    })
}
