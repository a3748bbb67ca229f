//! `CREATE FUNCTION`, `DROP FUNCTION`.

use std::path::PathBuf;

use arrow::datatypes::DataType;
use sqlparser::ast::{ColumnDef, Ident, ObjectName};

use super::context::Context;
use super::define::relation_name;
use super::functions::FUNCTIONS;
use crate::batch::engine_type;
use crate::error::{Error, Place, Result};
use crate::sql::catalog::Catalog;
use crate::sql::error::from_datafusion;
use crate::sql::parse::{CreateFunction, NamedFunction};

/// A function in a shared library, as SQL declares it: the engine loads it.
#[derive(Debug, Clone)]
pub struct FunctionDefinition {
    pub name: String,
    pub args: Vec<DataType>,
    pub returns: DataType,
    pub library: PathBuf,
    pub symbol: String,
    pub place: Option<Place>,
}

/// Resolves the names of types, and refuses a name that is taken.
pub(super) fn create(context: &Context<'_>, statement: &CreateFunction) -> Result<FunctionDefinition> {
    let name = relation_name(&statement.name)?;
    let users = context.catalog.functions();
    if !statement.or_replace && (users.scalars.contains_key(&name) || users.aggregates.contains_key(&name)) {
        let message = format!("function exists already: {name}; CREATE OR REPLACE FUNCTION takes its place");
        return Err(Error::user(message).at(statement.place));
    }
    let types = statement.args.iter().chain([&statement.returns]).map(|data_type| ColumnDef {
        name: Ident::new("argument"),
        data_type: data_type.clone(),
        options: Vec::new(),
    });
    let mut resolved = Vec::new();
    for column in types {
        let schema = context.planner().build_schema(vec![column]);
        resolved.push(engine_type(schema.map_err(|e| from_datafusion(e).at(statement.place))?.field(0).data_type()));
    }
    let returns = resolved.pop().ok_or_else(|| Error::bug("a function returns something"))?;
    Ok(FunctionDefinition {
        name,
        args: resolved,
        returns,
        library: PathBuf::from(&statement.library),
        symbol: statement.symbol.clone(),
        place: statement.place,
    })
}

/// Answers for a function that another engine would load by the name of its class: the engine's own of that name serves.
///
/// Failure: there is none.
pub(super) fn named(statement: &NamedFunction) -> Result<String> {
    let name = relation_name(&statement.name)?;
    if FUNCTIONS.scalars.contains_key(&name) || FUNCTIONS.aggregates.contains_key(&name) {
        return Ok(format!("function {name} is built in; '{}' is not loaded", statement.class));
    }
    let message = format!(
        "no function of this name is built in, and classes of other engines cannot be loaded: {name} AS '{}'; register \
         it from Rust, or write CREATE FUNCTION ... LANGUAGE NATIVE",
        statement.class
    );
    Err(Error::user(message).at(statement.place))
}

/// Forgets functions of the users'.
pub(super) fn drop(catalog: &mut Catalog, names: &[ObjectName], if_exists: bool) -> Result<String> {
    let mut dropped = Vec::new();
    for name in names {
        let name = relation_name(name)?;
        let there = catalog.remove_sql_function(&name) || catalog.functions_mut().remove(&name);
        if !there && !if_exists {
            return Err(Error::user(format!("no function of yours has this name: {name}")));
        }
        dropped.extend(there.then_some(name));
    }
    Ok(if dropped.is_empty() { "nothing to drop".to_string() } else { format!("{} dropped", dropped.join(", ")) })
}
