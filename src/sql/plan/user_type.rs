//! `CREATE TYPE`, `DROP TYPE`: names for structs and for other types.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use sqlparser::ast::{
    ColumnDef, DataType as SqlType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Value, VisitMut, visit_expressions_mut,
};

use super::context::Context;
use super::define::{normalize, relation_name};
use crate::error::{Error, Result};
use crate::sql::catalog::Catalog;
use crate::sql::error::from_datafusion;
use crate::sql::parse::{CreateType, TypeIs};

/// The users' types, by name.
pub(in crate::sql) type UserTypes = BTreeMap<String, DataType>;

/// Resolves a definition; its name, and what it is.
///
/// Failure: a name that is taken, a type that is not there.
pub(super) fn create(context: &Context<'_>, statement: &CreateType) -> Result<(String, DataType)> {
    let name = relation_name(&statement.name)?;
    if !statement.or_replace && context.catalog.types().contains_key(&name) {
        let message = format!("type exists already: {name}; CREATE OR REPLACE TYPE takes its place");
        return Err(Error::user(message).at(statement.place));
    }
    let resolve = |data_type: &SqlType| -> Result<DataType> {
        let column = ColumnDef { name: Ident::new("field"), data_type: data_type.clone(), options: Vec::new() };
        let schema = context.planner().build_schema(vec![column]);
        Ok(schema.map_err(|e| from_datafusion(e).at(statement.place))?.field(0).data_type().clone())
    };
    let data_type = match &statement.is {
        TypeIs::Alias(data_type) => resolve(data_type)?,
        TypeIs::Fields(fields) => {
            let field = |(name, data_type): &(Ident, SqlType)| {
                Ok(Arc::new(Field::new(normalize(name), resolve(data_type)?, true)))
            };
            DataType::Struct(fields.iter().map(field).collect::<Result<Fields>>()?)
        }
    };
    Ok((name, data_type))
}

/// Makes structs of the calls of types: `point(1, 2)`.
pub(super) fn construct<N: VisitMut>(context: &Context<'_>, node: &mut N) {
    let types = context.catalog.types();
    if types.is_empty() {
        return;
    }
    let _ = visit_expressions_mut(node, |expr| {
        if let Expr::Function(call) = expr
            && let [ObjectNamePart::Identifier(ident)] = call.name.0.as_slice()
            && let Some(DataType::Struct(fields)) = types.get(&normalize(ident))
            && let FunctionArguments::List(list) = &mut call.args
            && list.args.len() == fields.len()
        {
            let name = |field: &Arc<Field>| {
                let name = Value::SingleQuotedString(field.name().clone());
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::value(name)))
            };
            let args = std::mem::take(&mut list.args);
            list.args = fields.iter().zip(args).flat_map(|(field, arg)| [name(field), arg]).collect();
            call.name = ObjectName::from(vec![Ident {
                value: "named_struct".to_string(),
                quote_style: None,
                span: ident.span,
            }]);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Forgets types. Tables that have columns of them keep these.
pub(super) fn drop(catalog: &mut Catalog, names: &[ObjectName], if_exists: bool) -> Result<String> {
    let mut dropped = Vec::new();
    for name in names {
        let name = relation_name(name)?;
        let there = catalog.remove_type(&name);
        if !there && !if_exists {
            return Err(Error::user(format!("no type of yours has this name: {name}")));
        }
        dropped.extend(there.then_some(name));
    }
    Ok(if dropped.is_empty() { "nothing to drop".to_string() } else { format!("type {} dropped", dropped.join(", ")) })
}
