//! What names mean: tables, views, sinks and the users' own functions.
//!
//! Place       owned by the engine; statements that define change it, queries read it.
//! Owns        definitions. Tables are opened by the connectors at first use and then kept.
//! Invariants  names are as DataFusion normalises them: lower case unless they were quoted. A clone shares everything and
//!             costs next to nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::{Constraint, Constraints, Result as PlanResult};
use datafusion_expr::{Expr, TableProviderFilterPushDown, TableSource};

use super::error::closest;
use super::parse::{ComputedColumn, Parsed, WatermarkClause};
use super::plan::{SqlFunction, SqlFunctions, UserTypes, is_window_function};
use super::users::UserFunctions;
use crate::error::{Error, Result};
use crate::pipeline::{
    Changelog, Connectors, Scan, ScanRequest, SystemColumn, Table, TableDefinition, Tuning, WatermarkRules,
    WindowFunction,
};

/// All names that statements may use.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    relations: Arc<BTreeMap<String, Relation>>,
    functions: Arc<UserFunctions>,
    sql_functions: Arc<SqlFunctions>,
    types: Arc<UserTypes>,
    windows: Arc<BTreeMap<String, Arc<dyn WindowFunction>>>,
    /// Endings of the files of the users' formats, in lower case.
    endings: Arc<Vec<String>>,
    /// What `now()` says in the statement that is planned, in microseconds since 1970.
    statement_time: i64,
    /// How long groups are kept where nothing else says so, in microseconds.
    state_ttl: Option<i64>,
}

/// What a name in FROM can be.
#[derive(Debug, Clone)]
pub enum Relation {
    Table(Arc<TableEntry>),
    View(Arc<View>),
}

/// A named query, planned anew wherever it is read.
#[derive(Debug)]
pub struct View {
    pub name: String,
    pub(super) parsed: Parsed,
}

/// A table as it was defined and bound; opened at first use.
#[derive(Debug, Default)]
pub struct TableEntry {
    pub name: String,
    /// Declared columns; `None`: the source knows.
    pub schema: Option<SchemaRef>,
    /// The options of `WITH`, or those it was bound to.
    pub options: BTreeMap<String, String>,
    pub primary_key: Vec<String>,
    /// Whether CREATE TABLE named it; else a binding did, before any definition.
    pub is_declared: bool,
    /// Whether it is to be read as if it did not end.
    pub is_unbounded: bool,
    /// What it is to the engine.
    pub kind: TableKind,
    pub(super) watermark: Option<WatermarkClause>,
    /// What its options say about watermarks beyond that.
    pub(super) watermark_rules: WatermarkRules,
    /// What they say of how queries over it are run.
    pub(super) tuning: Tuning,
    /// Columns that its source does not have.
    pub(super) computed: Vec<ComputedColumn>,
    pub(super) table: Option<Arc<dyn Table>>,
    /// The table with all that will happen to it, for those who follow it.
    pub(super) followed: Option<Arc<dyn Table>>,
    pub(super) opened: OnceLock<Arc<dyn Table>>,
}

/// What a table is to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableKind {
    /// Read from outside, or written to it.
    #[default]
    Outside,
    /// Kept in memory; INSERT puts rows into it.
    Memory,
    /// Kept in memory by the query that defines it.
    MaterializedView,
}

/// A table or view that the engine is to keep in memory.
#[derive(Debug, Clone)]
pub struct Kept {
    pub name: String,
    pub kind: TableKind,
    pub primary_key: Vec<String>,
    /// Whether its rows stay: none is ever taken back.
    pub is_append: bool,
    pub(super) watermark: Option<WatermarkClause>,
    pub(super) watermark_rules: WatermarkRules,
    pub(super) computed: Vec<ComputedColumn>,
}

impl Kept {
    /// The same, with the event time in a column: its watermark is told along with the rows.
    pub fn with_event_time(self, column: &str) -> Kept {
        Kept { watermark: Some(WatermarkClause::told(column)), ..self }
    }
}

/// A table that a query reads: what DataFusion's plan holds as its source.
#[derive(Debug, Clone)]
pub struct CatalogTable {
    pub name: String,
    pub table: Arc<dyn Table>,
    pub watermark: Option<Watermark>,
    pub primary_key: Vec<String>,
    pub definition: TableDefinition,
    /// Columns that follow from those of `table`, in the order of the schema.
    pub computed: Vec<Computed>,
    pub tuning: Tuning,
    schema: SchemaRef,
    /// What the planner may take for granted: a key, where a row takes the place of another.
    constraints: Constraints,
}

/// How a computed column follows from its row.
#[derive(Debug, Clone)]
pub struct Computed {
    pub name: String,
    /// Over the columns of the source, unqualified.
    pub expr: Expr,
    /// As the user wrote it.
    pub text: String,
}

/// How a table's watermark follows from its rows.
#[derive(Debug, Clone)]
pub struct Watermark {
    /// The event time column.
    pub column: String,
    /// Over the table's columns, unqualified, of the event time's type: no row before it is expected.
    pub expr: Expr,
    /// As the user wrote it.
    pub text: String,
    pub rules: WatermarkRules,
}

impl Catalog {
    /// The relation of this name.
    pub fn get(&self, name: &str) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// Says what time it is in the statements that are planned from now on, in microseconds since 1970.
    pub fn set_statement_time(&mut self, micros: i64) {
        self.statement_time = micros;
    }

    /// Says how long groups without a window are kept where neither a hint nor a table does, in microseconds.
    pub fn set_state_ttl(&mut self, micros: Option<i64>) {
        self.state_ttl = micros;
    }

    pub(super) fn state_ttl(&self) -> Option<i64> {
        self.state_ttl
    }

    pub(super) fn statement_time(&self) -> i64 {
        self.statement_time
    }

    /// All relations, by name.
    pub fn relations(&self) -> impl Iterator<Item = (&str, &Relation)> {
        self.relations.iter().map(|(name, relation)| (name.as_str(), relation))
    }

    /// The one relation whose name is this one but for its case.
    pub(super) fn get_ignoring_case(&self, name: &str) -> Option<&Relation> {
        let mut same = self.relations.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (_, found) = same.next()?;
        same.next().is_none().then_some(found)
    }

    /// The name that was probably meant.
    pub(super) fn closest(&self, name: &str) -> Option<&str> {
        closest(name, self.relations.keys().map(String::as_str))
    }

    /// Makes a table known under a name, replacing what had it; a definition that waits for a source keeps its watermark.
    ///
    /// Failure: columns that were declared and that the table does not have.
    pub fn register(&mut self, name: &str, table: Arc<dyn Table>) -> Result<()> {
        let entry = match self.get(name) {
            Some(Relation::Table(entry)) if entry.is_declared && entry.options.is_empty() => entry.with_table(table)?,
            _ => TableEntry { name: name.to_string(), table: Some(table), ..TableEntry::default() },
        };
        self.insert(Relation::Table(Arc::new(entry)));
        Ok(())
    }

    /// Gives a table its source or sink by connector options, before or after CREATE TABLE says what its columns are.
    pub fn bind(&mut self, name: &str, options: BTreeMap<String, String>) {
        let entry = match self.get(name) {
            Some(Relation::Table(entry)) => entry.with_options(options),
            _ => TableEntry { name: name.to_string(), options, ..TableEntry::default() },
        };
        self.insert(Relation::Table(Arc::new(entry)));
    }

    /// Makes a definition known, as CREATE TABLE without a watermark would.
    pub fn declare(&mut self, definition: TableDefinition) {
        let TableDefinition { name, schema, options, primary_key } = definition;
        self.define(TableEntry { name, schema, options, primary_key, is_declared: true, ..TableEntry::default() });
    }

    /// Makes a table known that a statement made, rows and all, replacing what had its name.
    pub fn create(&mut self, name: &str, table: Arc<dyn Table>) {
        let entry =
            TableEntry { name: name.to_string(), table: Some(table), is_declared: true, ..TableEntry::default() };
        self.insert(Relation::Table(Arc::new(entry)));
    }

    /// Makes a table known that the engine keeps in memory: as it is, and as it goes on.
    pub fn keep(&mut self, kept: Kept, now: Arc<dyn Table>, followed: Arc<dyn Table>) {
        let Kept { name, kind, primary_key, is_append, watermark, watermark_rules, computed } = kept;
        let mut options = BTreeMap::new();
        if kind == TableKind::Memory {
            options.insert("connector".to_string(), "memory".to_string());
            if is_append {
                options.insert("changelog".to_string(), Changelog::Append.word().to_string());
            }
        }
        let entry = TableEntry {
            name,
            options,
            primary_key,
            is_declared: true,
            kind,
            watermark,
            watermark_rules,
            computed,
            table: Some(now),
            followed: Some(followed),
            ..TableEntry::default()
        };
        self.insert(Relation::Table(Arc::new(entry)));
    }

    /// Forgets a relation and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        Arc::make_mut(&mut self.relations).remove(name).is_some()
    }

    /// The users' own functions.
    pub fn functions(&self) -> &UserFunctions {
        &self.functions
    }

    /// Functions that are an expression of SQL.
    pub(super) fn sql_functions(&self) -> &SqlFunctions {
        &self.sql_functions
    }

    pub(super) fn define_function(&mut self, name: &str, function: SqlFunction) {
        Arc::make_mut(&mut self.sql_functions).insert(name.to_string(), Arc::new(function));
    }

    /// Forgets a function that is an expression; whether there was one.
    pub(super) fn remove_sql_function(&mut self, name: &str) -> bool {
        Arc::make_mut(&mut self.sql_functions).remove(name).is_some()
    }

    /// Types of the users'.
    pub(super) fn types(&self) -> &Arc<UserTypes> {
        &self.types
    }

    pub(super) fn define_type(&mut self, name: &str, data_type: DataType) {
        Arc::make_mut(&mut self.types).insert(name.to_string(), data_type);
    }

    /// Forgets a type; whether there was one.
    pub(super) fn remove_type(&mut self, name: &str) -> bool {
        Arc::make_mut(&mut self.types).remove(name).is_some()
    }

    /// The same, to be added to.
    pub fn functions_mut(&mut self) -> &mut UserFunctions {
        Arc::make_mut(&mut self.functions)
    }

    /// Makes a user's kind of window known under a name, in lower case.
    ///
    /// Failure: a name that a kind of window of the engine has.
    pub fn register_window(&mut self, name: &str, function: Arc<dyn WindowFunction>) -> Result<()> {
        let name = name.to_lowercase();
        if is_window_function(&name) {
            return Err(Error::user(format!("the engine has a kind of window of this name: {name}")));
        }
        Arc::make_mut(&mut self.windows).insert(name, function);
        Ok(())
    }

    /// Makes names with one of these endings paths.
    pub fn add_endings(&mut self, endings: &[String]) {
        Arc::make_mut(&mut self.endings).extend(endings.iter().map(|ending| ending.to_lowercase()));
    }

    /// Whether a name in FROM is a path rather than the name of a table.
    pub(super) fn is_path(&self, name: &str) -> bool {
        is_path(name, &self.endings)
    }

    pub(super) fn window_functions(&self) -> &BTreeMap<String, Arc<dyn WindowFunction>> {
        &self.windows
    }

    /// Takes a definition in. What an earlier binding gave stays where the definition says nothing.
    pub(super) fn define(&mut self, mut entry: TableEntry) {
        if let Some(Relation::Table(before)) = self.get(&entry.name)
            && !before.is_declared
            && entry.options.is_empty()
        {
            entry.options = before.options.clone();
            entry.table = before.table.clone();
        }
        self.insert(Relation::Table(Arc::new(entry)));
    }

    pub(super) fn insert(&mut self, relation: Relation) {
        let name = match &relation {
            Relation::Table(entry) => entry.name.clone(),
            Relation::View(view) => view.name.clone(),
        };
        Arc::make_mut(&mut self.relations).insert(name, relation);
    }
}

impl Relation {
    /// Whether CREATE may take the name over: nothing has defined it, it only waits.
    pub(super) fn is_only_bound(&self) -> bool {
        matches!(self, Relation::Table(entry) if !entry.is_declared)
    }
}

impl TableEntry {
    /// What connectors make a table or a sink from.
    pub fn definition(&self) -> TableDefinition {
        TableDefinition {
            name: self.name.clone(),
            schema: self.schema.clone(),
            options: self.options.clone(),
            primary_key: self.primary_key.clone(),
        }
    }

    /// The columns that rows put into it must have, where they are known.
    pub(super) fn sink_schema(&self) -> Option<SchemaRef> {
        self.schema.clone().or_else(|| self.table.as_ref().map(|table| table.schema()))
    }

    /// Whether it has neither a table nor a connector yet.
    pub fn is_unbound(&self) -> bool {
        self.table.is_none() && self.options.is_empty()
    }

    /// The table to read from, opened at first use. Without a source yet: one with the declared columns that cannot be read.
    pub(super) fn open(&self, connectors: &dyn Connectors) -> Result<Arc<dyn Table>> {
        if let Some(table) = self.table.as_ref().or(self.opened.get()) {
            return match &self.schema {
                Some(declared) if self.table.is_some() => check_columns(&self.name, declared, table),
                _ => Ok(table.clone()),
            };
        }
        if self.options.is_empty() {
            let schema = self
                .schema
                .clone()
                .ok_or_else(|| Error::user(format!("table has neither columns nor a source: {}", self.name)))?;
            return Ok(Arc::new(Unbound { name: self.name.clone(), schema }));
        }
        let table = connectors.table(&self.definition()).map_err(|e| e.context(format!("table {}", self.name)))?;
        let table = if self.is_unbounded { Arc::new(Endless(table)) } else { table };
        Ok(self.opened.get_or_init(|| table).clone())
    }

    fn with_table(&self, table: Arc<dyn Table>) -> Result<TableEntry> {
        if let Some(declared) = &self.schema {
            check_columns(&self.name, declared, &table)?;
        }
        Ok(TableEntry { table: Some(table), opened: OnceLock::new(), ..self.copy() })
    }

    fn with_options(&self, options: BTreeMap<String, String>) -> TableEntry {
        TableEntry { options, table: None, opened: OnceLock::new(), ..self.copy() }
    }

    fn copy(&self) -> TableEntry {
        TableEntry {
            name: self.name.clone(),
            schema: self.schema.clone(),
            options: self.options.clone(),
            primary_key: self.primary_key.clone(),
            is_declared: self.is_declared,
            is_unbounded: self.is_unbounded,
            kind: self.kind,
            watermark: self.watermark.clone(),
            watermark_rules: self.watermark_rules.clone(),
            tuning: self.tuning,
            computed: self.computed.clone(),
            table: self.table.clone(),
            followed: self.followed.clone(),
            opened: OnceLock::new(),
        }
    }
}

/// Refuses a table whose columns are not the declared ones.
fn check_columns(name: &str, declared: &SchemaRef, table: &Arc<dyn Table>) -> Result<Arc<dyn Table>> {
    let schema = table.schema();
    let as_text = |field: &Field| format!("{} {}", field.name(), field.data_type());
    let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && a.data_type() == b.data_type();
    if declared.fields().len() != schema.fields().len() || !declared.fields().iter().zip(schema.fields()).all(same) {
        let list = |schema: &Schema| schema.fields().iter().map(|field| as_text(field)).collect::<Vec<_>>().join(", ");
        let message = format!(
            "declared columns are not those of its source: {name}; declared: {}; source: {}",
            list(declared),
            list(&schema)
        );
        return Err(Error::user(message));
    }
    Ok(table.clone())
}

impl CatalogTable {
    pub(super) fn new(
        definition: TableDefinition,
        table: Arc<dyn Table>,
        watermark: Option<Watermark>,
        primary_key: Vec<String>,
    ) -> Self {
        let schema = with_views(&table.schema());
        let constraints = constraints(table.as_ref(), &schema, &primary_key);
        CatalogTable {
            name: definition.name.clone(),
            schema,
            constraints,
            table,
            watermark,
            primary_key,
            definition,
            computed: Vec::new(),
            tuning: Tuning::default(),
        }
    }

    /// The same table with columns that it computes; `schema` is that of all columns.
    pub(super) fn with_computed(self, schema: &SchemaRef, computed: Vec<Computed>) -> Self {
        let schema = with_views(schema);
        let constraints = constraints(self.table.as_ref(), &schema, &self.primary_key);
        CatalogTable { schema, computed, constraints, ..self }
    }

    /// The same table with system columns behind the others.
    pub(super) fn with_system(self, columns: &[SystemColumn]) -> Self {
        let fields = self.schema.fields().iter().cloned().chain(columns.iter().map(|column| column.field()));
        CatalogTable { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), ..self }
    }

    /// Whether it has an ordinary column of this name.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.schema.index_of(name).is_ok()
    }

    /// The columns of its source, the system columns behind the others.
    pub fn all_columns(&self) -> SchemaRef {
        let source = with_views(&self.table.schema());
        let has = |column: &&SystemColumn| source.index_of(column.name()).is_err();
        let system = self.table.system_columns().iter().filter(has).map(|column| column.field());
        Arc::new(Schema::new(source.fields().iter().cloned().chain(system).collect::<Vec<_>>()))
    }

    /// Where a column of the table stands among [`CatalogTable::all_columns`]; `None`: it is computed.
    pub fn source_column(&self, column: usize) -> Option<usize> {
        let is_computed =
            |at: usize| self.computed.iter().any(|computed| computed.name == *self.schema.field(at).name());
        if is_computed(column) {
            return None;
        }
        let own = (0..column).filter(|&before| !is_computed(before)).count();
        let is_own = own < self.table.schema().fields().len();
        if is_own { Some(own) } else { self.all_columns().index_of(self.schema.field(column).name()).ok() }
    }
}

/// The key of a table in which one row of a key is there at a time; of others it is a word of the user's.
fn constraints(table: &dyn Table, schema: &Schema, primary_key: &[String]) -> Constraints {
    let is_kept = table.changelog() == Changelog::Upsert || table.relation().is_some();
    let columns: Option<Vec<usize>> = primary_key.iter().map(|column| schema.index_of(column).ok()).collect();
    match columns {
        Some(columns) if is_kept && !columns.is_empty() => {
            Constraints::new_unverified(vec![Constraint::PrimaryKey(columns)])
        }
        _ => Constraints::default(),
    }
}

impl TableSource for CatalogTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    /// Sources may skip data by a filter but need not: it stays in the plan as well.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}

/// The schema as the engine sees it: strings and bytes as views.
pub fn with_views(schema: &SchemaRef) -> SchemaRef {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        DataType::Binary | DataType::LargeBinary => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView))
        }
        _ => field.clone(),
    };
    Arc::new(Schema::new_with_metadata(schema.fields().iter().map(view).collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Stands for a table that has been declared and waits for its source.
#[derive(Debug)]
struct Unbound {
    name: String,
    schema: SchemaRef,
}

impl Table for Unbound {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "no source yet".to_string()
    }

    fn open(&self, _: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let message = format!("table has no source yet: {}; declare one in WITH (...), or bind one", self.name);
        Err(Error::user(message))
    }
}

/// A table that was declared UNBOUNDED: its queries emit as those of a stream do, even if it ends one day.
#[derive(Debug)]
struct Endless(Arc<dyn Table>);

impl Table for Endless {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        format!("unbounded {}", self.0.describe())
    }

    fn changelog(&self) -> Changelog {
        self.0.changelog()
    }

    fn system_columns(&self) -> &[SystemColumn] {
        self.0.system_columns()
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        self.0.open(request)
    }
}

fn is_path(name: &str, more: &[String]) -> bool {
    const FORMATS: &[&str] =
        &["csv", "tsv", "ndjson", "jsonl", "json", "parquet", "arrow", "arrows", "ipc", "feather", "avro"];
    let stem = ["gz", "zst"].iter().find_map(|packed| name.strip_suffix(packed)?.strip_suffix('.')).unwrap_or(name);
    let extension = Path::new(stem).extension().map(|extension| extension.to_string_lossy().to_lowercase());
    name.contains('/')
        || extension.is_some_and(|extension| FORMATS.contains(&extension.as_str()) || more.contains(&extension))
}

/// The definition of a table that is a path.
pub(super) fn path_definition(path: &str, more: BTreeMap<String, String>) -> TableDefinition {
    let mut options =
        BTreeMap::from([("connector".to_string(), "file".to_string()), ("path".to_string(), path.to_string())]);
    options.extend(more);
    TableDefinition { name: path.to_string(), schema: None, options, primary_key: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_names() {
        for path in ["data/x", "x.csv", "x.csv.gz", "a.b.parquet", "X.JSONL.zst", "./x"] {
            assert!(is_path(path, &[]), "{path}");
        }
        for name in ["bids", "public.bids", "csv", "x.gz", "bids.price"] {
            assert!(!is_path(name, &[]), "{name}");
        }
    }
}
