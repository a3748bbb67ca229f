//! Stands in until the real module is merged.
use crate::pipeline::{Table, TableDefinition};
use arrow::datatypes::SchemaRef;
use datafusion_common::Result as PlanResult;
use datafusion_expr::{Expr, TableProviderFilterPushDown, TableSource};
use std::sync::Arc;

#[derive(Debug)]
pub struct CatalogTable {
    pub name: String,
    pub table: Arc<dyn Table>,
    pub watermark: Option<Watermark>,
    pub primary_key: Vec<String>,
    pub definition: TableDefinition,
    schema: SchemaRef,
}

#[derive(Debug, Clone)]
pub struct Watermark {
    pub column: String,
    pub expr: Expr,
}

impl CatalogTable {
    pub(super) fn new(
        definition: TableDefinition,
        table: Arc<dyn Table>,
        watermark: Option<Watermark>,
        primary_key: Vec<String>,
    ) -> Self {
        CatalogTable {
            name: definition.name.clone(),
            schema: table.schema(),
            table,
            watermark,
            primary_key,
            definition,
        }
    }
}

impl TableSource for CatalogTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
