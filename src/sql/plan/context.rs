//! What DataFusion's planner asks about names: tables, views, paths, functions, types.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, Result as PlanResult, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF};
use datafusion_sql::planner::SqlToRel;

use super::define::{PUBLIC, normalize};
use super::functions::FUNCTIONS;
use super::{computed, constant, relation, same_cast, system, types, view, watermark};
use crate::error::{Error, Result};
use crate::pipeline::{Connectors, SystemColumn, TableDefinition, TableFunction};
use crate::sql::catalog::{Catalog, CatalogTable, Relation, TableEntry, Watermark, path_definition};
use crate::sql::error::{from_datafusion, to_datafusion, without_place};

/// How deep views may stand in views; deeper is a circle.
const VIEW_DEPTH_MAX: usize = 32;

/// The rows that a recursive query has just made, as its recursive term reads them.
#[derive(Debug)]
pub struct WorkTable {
    schema: SchemaRef,
}

impl TableSource for WorkTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// One statement's view of the catalog.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    connectors: &'a dyn Connectors,
    options: Arc<ConfigOptions>,
    relation_planners: Vec<Arc<dyn RelationPlanner>>,
    type_planner: Arc<dyn TypePlanner>,
    /// Tables of this statement that the catalog does not hold: paths, and `read_csv` and its kin.
    opened: RefCell<BTreeMap<String, Arc<CatalogTable>>>,
    view_depth: Cell<usize>,
    /// Whether the statement follows what it reads, as a materialized view does.
    follows: Cell<bool>,
}

impl<'a> Context<'a> {
    pub(super) fn new(catalog: &'a Catalog, connectors: &'a dyn Connectors, options: Arc<ConfigOptions>) -> Self {
        Context {
            catalog,
            connectors,
            options,
            relation_planners: vec![Arc::new(relation::Relations {
                windows: catalog.window_functions().clone(),
                operators: catalog.functions().operators.clone(),
            })],
            type_planner: Arc::new(types::Types::new(catalog.types().clone())),
            opened: RefCell::default(),
            view_depth: Cell::new(0),
            follows: Cell::new(false),
        }
    }

    /// From now on tables are followed: they stand in the plan with all that will happen to them.
    pub(super) fn follow(&self) {
        self.follows.set(true);
    }

    /// Whether they are.
    pub(super) fn follows(&self) -> bool {
        self.follows.get()
    }

    pub(super) fn planner(&self) -> SqlToRel<'_, Self> {
        SqlToRel::new(self)
    }

    pub(super) fn config(&self) -> &Arc<ConfigOptions> {
        &self.options
    }

    /// The table of an entry, ready to be planned over.
    pub(super) fn open_entry(&self, entry: &TableEntry) -> Result<Arc<CatalogTable>> {
        let table = match &entry.followed {
            Some(followed) if self.follows() => followed.clone(),
            _ if self.follows() => self.connectors.shared(&entry.name, entry.open(self.connectors)?)?,
            _ => entry.open(self.connectors)?,
        };
        let mut opened = CatalogTable::new(entry.definition(), table, None, entry.primary_key.clone());
        opened.tuning = entry.tuning;
        let of_table = |e: Error| e.context(format!("table {}", entry.name));
        // A system column with the watermark is a column like others.
        let timed = entry.watermark.as_ref().and_then(|clause| SystemColumn::from_name(&normalize(&clause.column)));
        let is_system = |column: &SystemColumn| opened.table.system_columns().contains(column);
        let timed = timed.filter(|column| is_system(column) && !opened.has_column(column.name()));
        if !entry.computed.is_empty() {
            let (schema, computed) =
                computed::plan(self, &entry.computed, &opened.schema(), &opened.all_columns()).map_err(of_table)?;
            opened = opened.with_computed(&schema, computed);
        }
        if let Some(column) = timed {
            opened = opened.with_system(&[column]);
        }
        if let Some(clause) = &entry.watermark {
            let watermark = watermark::plan(self, clause, &opened.schema()).map_err(of_table)?;
            opened.watermark = Some(Watermark { rules: entry.watermark_rules.clone(), ..watermark });
        }
        Ok(Arc::new(opened))
    }

    /// A table that is a path.
    pub(super) fn open_definition(&self, definition: TableDefinition) -> Result<Arc<CatalogTable>> {
        let key = format!("{:?}", definition.options);
        if let Some(known) = self.opened.borrow().get(&key) {
            return Ok(known.clone());
        }
        let table = self.connectors.table(&definition)?;
        let opened = Arc::new(CatalogTable::new(definition, table, None, Vec::new()));
        self.opened.borrow_mut().insert(key, opened.clone());
        Ok(opened)
    }

    /// The table that a call of a user's table function stands for.
    fn table_function(&self, name: &str, function: &dyn TableFunction, args: &[Expr]) -> Result<Arc<CatalogTable>> {
        let mut values = Vec::new();
        for arg in args {
            let value = constant(arg, &DFSchema::empty())?;
            let value = value.ok_or_else(|| Error::user(format!("{name} takes constants: {arg}")))?;
            values.push(value.to_array().map_err(from_datafusion)?);
        }
        let table = function.table(&values).map_err(|e| e.context(format!("function {name}")))?;
        let definition =
            TableDefinition { name: name.to_string(), schema: None, options: BTreeMap::new(), primary_key: Vec::new() };
        Ok(Arc::new(CatalogTable::new(definition, table, None, Vec::new())))
    }

    fn source(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        let plain = match name {
            TableReference::Bare { table } => table.to_string(),
            qualified => qualified.to_string(),
        };
        if let Some((name, columns)) = system::split(&plain)
            && let Some(table) = self.table(name)?
        {
            return Ok(Arc::new(CatalogTable::clone(&table).with_system(&columns)));
        }
        if let Some(table) = self.table(&plain)? {
            return Ok(table);
        }
        match self.relation(&plain) {
            Some(Relation::View(view)) => self.open_view(view),
            _ => match name {
                // The one schema there is.
                TableReference::Partial { schema, table } if schema.as_ref() == PUBLIC => {
                    self.source(&TableReference::bare(table.clone()))
                }
                _ => Err(self.not_found(&plain)),
            },
        }
    }

    fn relation(&self, name: &str) -> Option<&Relation> {
        let is_path = |name: &str| self.catalog.is_path(name);
        self.catalog.get(name).or_else(|| self.catalog.get_ignoring_case(name).filter(|_| !is_path(name)))
    }

    /// The table of this name, or that is this path; `None`: it is a view, or not there.
    pub(super) fn table(&self, name: &str) -> Result<Option<Arc<CatalogTable>>> {
        match self.relation(name) {
            Some(Relation::Table(entry)) => self.open_entry(entry).map(Some),
            None if self.catalog.is_path(name) => {
                self.open_definition(path_definition(name, BTreeMap::new())).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The error for a name that nothing has.
    pub(super) fn not_found(&self, name: &str) -> Error {
        let known: Vec<&str> = self.catalog.relations().map(|(name, _)| name).collect();
        Error::user(match self.catalog.closest(name) {
            Some(meant) => format!("table not found: {name}; did you mean `{meant}`?"),
            None if known.is_empty() => format!("table not found: {name}; no table is defined yet"),
            None if known.len() <= 12 => format!("table not found: {name}; there are: {}", known.join(", ")),
            None => format!("table not found: {name}"),
        })
    }

    fn open_view(&self, view: &crate::sql::catalog::View) -> Result<Arc<dyn TableSource>> {
        if self.view_depth.get() == VIEW_DEPTH_MAX {
            return Err(Error::user(format!("views refer to one another in a circle: {}", view.name)));
        }
        self.view_depth.set(self.view_depth.get() + 1);
        let plan = view::plan(self, view);
        self.view_depth.set(self.view_depth.get() - 1);
        let plan = plan.map_err(|e| without_place(e).context(format!("view {}", view.name)))?;
        Ok(Arc::new(ViewSource { schema: Arc::new(plan.schema().as_arrow().clone()), plan }))
    }
}

impl ContextProvider for Context<'_> {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        self.source(&name).map_err(to_datafusion)
    }

    fn create_cte_work_table(&self, _name: &str, schema: SchemaRef) -> PlanResult<Arc<dyn TableSource>> {
        Ok(Arc::new(WorkTable { schema: crate::batch::engine_schema(&schema) }))
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> PlanResult<Arc<dyn TableSource>> {
        if let Some(function) = self.catalog.functions().tables.get(name) {
            return Ok(self.table_function(name, function.as_ref(), &args).map_err(to_datafusion)?);
        }
        let definition = relation::reader_definition(name, &args).map_err(to_datafusion)?;
        Ok(self.open_definition(definition).map_err(to_datafusion)?)
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &FUNCTIONS.planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(self.type_planner.clone())
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if name == same_cast::NAME {
            return Some(same_cast::FUNCTION.clone());
        }
        self.catalog.functions().scalars.get(name).or_else(|| FUNCTIONS.scalars.get(name)).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        FUNCTIONS.higher.get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.catalog.functions().aggregates.get(name).or_else(|| FUNCTIONS.aggregates.get(name)).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.catalog.functions().windows.get(name).or_else(|| FUNCTIONS.windows.get(name)).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.catalog.functions().scalars.keys().chain(FUNCTIONS.scalars.keys()).cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        FUNCTIONS.higher.keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.catalog.functions().aggregates.keys().chain(FUNCTIONS.aggregates.keys()).cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.catalog.functions().windows.keys().chain(FUNCTIONS.windows.keys()).cloned().collect()
    }
}

/// A view on its way into the plan, where DataFusion puts its query in its place.
struct ViewSource {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for ViewSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn get_logical_plan(&'_ self) -> Option<std::borrow::Cow<'_, LogicalPlan>> {
        Some(std::borrow::Cow::Borrowed(&self.plan))
    }
}
