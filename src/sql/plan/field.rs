//! Fields of structs, found as columns are: by their exact name, else by the one that differs in case only.

use arrow::datatypes::{DataType, Field, Fields};
use datafusion_common::{Column, DFSchema, Result as PlanResult, ScalarValue, TableReference};
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion_expr::{Expr, ExprSchemable, GetFieldAccess, lit};
use datafusion_functions::core::get_field;

/// Plans `person.emailaddress` and `person['emailaddress']` where the field is called `emailAddress`.
#[derive(Debug)]
pub(super) struct FieldPlanner;

impl ExprPlanner for FieldPlanner {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> PlanResult<PlannerResult<Vec<Expr>>> {
        let mut expr = Expr::Column(Column::from((qualifier, field)));
        let mut data_type = Some(field.data_type());
        for wanted in nested_names {
            let found = data_type.and_then(|data_type| of_struct(data_type, wanted));
            let name = found.map_or(wanted, |field| field.name());
            expr = get_field().call(vec![expr, lit(name.clone())]);
            data_type = found.map(Field::data_type);
        }
        Ok(PlannerResult::Planned(expr))
    }

    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> PlanResult<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { expr, field_access } = raw;
        let field_access = match field_access {
            GetFieldAccess::NamedStructField { name } => {
                let data_type = expr.get_type(schema).ok();
                let wanted = name.try_as_str().flatten();
                let found = data_type.as_ref().zip(wanted).and_then(|(data_type, wanted)| of_struct(data_type, wanted));
                GetFieldAccess::NamedStructField {
                    name: found.map_or(name.clone(), |field| ScalarValue::from(field.name().as_str())),
                }
            }
            other => other,
        };
        Ok(PlannerResult::Original(RawFieldAccessExpr { expr, field_access }))
    }
}

/// The field of a struct that is meant.
fn of_struct<'a>(data_type: &'a DataType, wanted: &str) -> Option<&'a Field> {
    match data_type {
        DataType::Struct(fields) => meant(fields, wanted),
        _ => None,
    }
}

/// The field of this name, or the only one that differs from it in case only.
fn meant<'a>(fields: &'a Fields, wanted: &str) -> Option<&'a Field> {
    let exact = fields.iter().find(|field| field.name() == wanted);
    let lower = wanted.to_lowercase();
    let mut alike = fields.iter().filter(|field| field.name().to_lowercase() == lower);
    let only = alike.next().filter(|_| alike.next().is_none());
    exact.or(only).map(|field| field.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_in_another_case() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let fields = Fields::from(vec![field("emailAddress"), field("a"), field("A"), field("B"), field("b")]);
        let found = |wanted: &str| meant(&fields, wanted).map(|field| field.name().as_str());
        assert_eq!(found("emailaddress"), Some("emailAddress"));
        assert_eq!((found("a"), found("A"), found("b")), (Some("a"), Some("A"), Some("b")));
        assert_eq!((found("EMAIL"), found("c")), (None, None));
    }
}
