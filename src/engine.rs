//! The front door: register tables, submit SQL, hold running queries.
//!
//! Place       the only room that sees both ways: it hands text to `sql`, and what comes back to `runtime`.
//! Owns        the catalog, the connectors, the memory budget. Queries own themselves and outlive nothing here.
//! Invariants  no global state: two engines in one process share nothing; no runtime is forced on the caller.

mod view; // tables in memory, materialized views
mod functions; // the users' own functions

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::batch::Change;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::pipeline::{
    ByKeySpec, ChangeMode, Changelog, Connectors, Lookup, LookupRelation, Node, Pipeline, Sink, Spec, SystemColumn,
    Table, TableDefinition, WindowFunction, explain,
};
pub use crate::pipeline::{LookupOptions, LookupTable};
use crate::query::{BATCHES_WAITING, Query};
use crate::runtime::{self, Options};
pub use crate::runtime::{Clock, Control, Metrics, OperatorMetrics, Running, Snapshot, SourceMetrics, Stepped};
use crate::sql::{self, Catalog, LogicalQuery, Planned, Setting};
pub use crate::sql::{ExplainKind, FunctionInfo, Parsed, with_deep_stack};
use crate::stream::connect::DefaultConnectors;
use crate::stream::operator::Budget;
use crate::stream::sink::blackhole::Blackhole;
use crate::stream::sink::channel::channel;
use crate::stream::sink::fold::Fold;
use crate::stream::sink::form::Form;
use crate::stream::sink::memory::{Collected, MemorySink};
use crate::stream::sink::side::SideSink;
use crate::stream::source::memory::MemoryTable;
use crate::stream::source::push::{self, PushHandle};
pub use view::TableWriter;
use view::{Lives, Sharing};

/// An SQL engine for streams and tables. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Mutex<Catalog>,
    connectors: Arc<dyn Connectors>,
    config: Config,
    clock: Clock,
    budget: Arc<Budget>,
    lives: Mutex<Lives>,
    settings: Mutex<Settings>,
}

/// What SET may change, for the statements that follow.
#[derive(Debug, Clone, Copy)]
struct Settings {
    strict: bool,
    state_ttl: Option<Duration>,
    linger: Duration,
}

impl Settings {
    fn of(config: &Config) -> Self {
        Settings { strict: config.strict, state_ttl: config.state_ttl, linger: config.linger }
    }
}

/// What a statement has come to.
pub enum Outcome {
    /// The catalog has changed, or an insert has ended: a sentence about it.
    Done(String),
    /// A step of a query's way, or what its operators did.
    Text(String),
    /// A query at work; its rows are pulled from it.
    Query(Query),
}

/// A query that is compiled and has not been started.
pub struct Prepared {
    pipeline: Pipeline,
    /// Where rows go that are late for all their windows.
    late: Option<TableDefinition>,
    /// Where its rows go, unless the caller says otherwise.
    target: Target,
    timed: bool,
}

enum Target {
    Caller,
    Sink(TableDefinition),
    Memory(String),
}

/// A statement on its way: what there is to do with it.
pub enum Statement {
    /// Nothing more.
    Done(String),
    Text(String),
    Rows(RecordBatch),
    /// To be started, with [`Engine::start`] or [`Engine::run`].
    Query(Prepared),
}

/// The duration that a text such as `5s`, `250ms` or `1m30s` stands for, as SQL reads it.
pub fn duration(text: &str) -> Option<Duration> {
    let nanoseconds = sql::nanoseconds(text)?;
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new(Config::default())
    }
}

impl Engine {
    /// An engine with the connectors that come with it.
    pub fn new(config: Config) -> Self {
        Self::with_connectors(config, Arc::new(DefaultConnectors::default()))
    }

    /// An engine with connectors of the caller's.
    pub fn with_connectors(config: Config, connectors: Arc<dyn Connectors>) -> Self {
        Self::with_clock(config, connectors, Clock::System)
    }

    /// An engine whose queries have their processing time from `clock`.
    pub fn with_clock(config: Config, connectors: Arc<dyn Connectors>, clock: Clock) -> Self {
        let budget = Arc::new(Budget::new(config.memory_bytes));
        let (catalog, lives) = (Mutex::default(), Mutex::default());
        let settings = Mutex::new(Settings::of(&config));
        Engine { inner: Arc::new(Inner { catalog, connectors, config, clock, budget, lives, settings }) }
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.inner.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's configuration with what SET has changed.
    fn current_config(&self) -> Config {
        let Settings { strict, state_ttl, linger } = *self.settings();
        Config { strict, state_ttl, linger, ..self.inner.config.clone() }
    }

    /// Changes a setting; what it says now.
    fn set(&self, setting: Setting) -> String {
        let mut settings = self.settings();
        let default = Settings::of(&self.inner.config);
        let micros = |micros: i64| Duration::from_micros(micros.unsigned_abs());
        let now = match setting {
            Setting::Strict(strict) => {
                settings.strict = strict.unwrap_or(default.strict);
                settings.strict.to_string()
            }
            Setting::StateTtl(ttl) => {
                settings.state_ttl = ttl.map_or(default.state_ttl, |ttl| (ttl > 0).then(|| micros(ttl)));
                settings.state_ttl.map_or_else(|| "none".to_string(), |ttl| format!("{ttl:?}"))
            }
            Setting::Linger(linger) => {
                settings.linger = linger.map_or(default.linger, micros);
                format!("{:?}", settings.linger)
            }
        };
        format!("{} is {now}", setting.name())
    }

    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.inner.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a table known by name, replacing what had that name.
    ///
    /// A `CREATE TABLE` without `WITH` before it declares its columns and watermark.
    pub fn register_table(&self, name: &str, table: Arc<dyn Table>) -> Result<()> {
        self.catalog().register(name, table)
    }

    /// Makes a table known that is asked by key, such as a service or a database: it stands in joins, by equality of its
    /// keys or as `FOR SYSTEM_TIME AS OF PROCTIME()`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use millstream::arrow::array::{AsArray, RecordBatch, StringArray};
    /// use millstream::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    /// # use millstream::engine::{Engine, LookupOptions};
    /// # let engine = Engine::default();
    /// let schema = Arc::new(Schema::new(vec![
    ///     Field::new("id", DataType::Int64, false),
    ///     Field::new("name", DataType::Utf8, true),
    /// ]));
    /// let columns = schema.clone();
    /// engine.lookup_table("customers", schema, &["id"], LookupOptions::default(), move |keys: &RecordBatch| {
    ///     let ids = keys.column(0).as_primitive::<Int64Type>();
    ///     let names: StringArray = ids.values().iter().map(|id| Some(format!("customer {id}"))).collect();
    ///     Ok(RecordBatch::try_new(columns.clone(), vec![Arc::new(ids.clone()), Arc::new(names)])?)
    /// })?;
    /// # Ok::<(), millstream::Error>(())
    /// ```
    ///
    /// Failure: a key that is no column of `schema`.
    pub fn lookup_table(
        &self,
        name: &str,
        schema: SchemaRef,
        keys: &[&str],
        options: LookupOptions,
        table: impl LookupTable + 'static,
    ) -> Result<()> {
        let lookup = Arc::new(Lookup::try_new(schema, keys, options, Arc::new(table))?);
        self.register_table(name, Arc::new(LookupRelation { lookup }))
    }

    /// A bounded table of record batches. Shapes: all have one schema, and there is at least one.
    pub fn register_batches(&self, name: &str, batches: Vec<RecordBatch>) -> Result<()> {
        let schema = batches.first().map(RecordBatch::schema);
        let schema = schema.ok_or_else(|| Error::user(format!("no batch was given for table {name}")))?;
        self.register_table(name, Arc::new(MemoryTable::new(schema, batches)?))
    }

    /// Binds a name to a file, glob or directory; the format follows from the extension.
    pub fn register_file(&self, name: &str, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref().to_string_lossy().into_owned();
        let options = [("connector", "file".to_string()), ("path", path)];
        self.register_with(name, options)
    }

    /// Binds a name to Parquet files.
    pub fn register_parquet(&self, name: &str, path: impl AsRef<Path>) -> Result<()> {
        self.register_format(name, path, "parquet")
    }

    /// Binds a name to CSV files with a header.
    pub fn register_csv(&self, name: &str, path: impl AsRef<Path>) -> Result<()> {
        self.register_format(name, path, "csv")
    }

    /// Binds a name to files of JSON lines.
    pub fn register_json(&self, name: &str, path: impl AsRef<Path>) -> Result<()> {
        self.register_format(name, path, "json")
    }

    fn register_format(&self, name: &str, path: impl AsRef<Path>, format: &str) -> Result<()> {
        let path = path.as_ref().to_string_lossy().into_owned();
        self.register_with(name, [("connector", "file".into()), ("path", path), ("format", format.into())])
    }

    /// Binds a name to a source or sink by the options that `WITH` takes.
    pub fn register_with<'a>(&self, name: &str, options: impl IntoIterator<Item = (&'a str, String)>) -> Result<()> {
        let options: BTreeMap<String, String> = options.into_iter().map(|(key, value)| (key.into(), value)).collect();
        self.catalog().bind(name, options);
        Ok(())
    }

    /// Makes a kind of window of your own known by a name, in whatever case: `name(TABLE t, DESCRIPTOR(ts), ...)` in FROM,
    /// `name(ts, ...)` in GROUP BY.
    ///
    /// Failure: a name that a kind of window of the engine has.
    pub fn register_window(&self, name: &str, function: Arc<dyn WindowFunction>) -> Result<()> {
        self.catalog().register_window(name, function)
    }

    /// An unbounded table that this program pushes batches of `schema` into.
    pub fn register_push(&self, name: &str, schema: SchemaRef) -> Result<PushHandle> {
        let (handle, table) = push::channel(schema, push::Capacity::default());
        self.register_table(name, Arc::new(table))?;
        Ok(handle)
    }

    /// The same, where more is known of each row than its columns say, as a broker knows its key: what is pushed has,
    /// behind the table's columns, one for each of `system` in this order. In SQL they are `_timestamp`, `_key` and
    /// `_headers`; a time that is pushed can carry the watermark.
    pub fn register_push_with(&self, name: &str, schema: SchemaRef, system: &[SystemColumn]) -> Result<PushHandle> {
        let capacity = push::Capacity::default();
        let (mut handles, table) = push::with_system(schema, system, 1, capacity, Changelog::Append);
        self.register_table(name, Arc::new(table))?;
        Ok(handles.remove(0))
    }

    /// An unbounded table whose rows come and go, pushed with their changes. An upsert table wants a `CREATE TABLE`
    /// without `WITH` before it, which says its PRIMARY KEY.
    pub fn register_push_changes(&self, name: &str, schema: SchemaRef, changelog: Changelog) -> Result<PushHandle> {
        let (mut handles, table) = push::changing(schema, 1, push::Capacity::default(), changelog);
        self.register_table(name, Arc::new(table))?;
        Ok(handles.remove(0))
    }

    /// Runs a text of one or more statements; the last one's outcome. Queries before it run to their end.
    pub fn execute(&self, text: &str) -> Result<Outcome> {
        let mut last = Outcome::Done(String::new());
        for parsed in sql::parse(text).map_err(|e| e.in_text(text))? {
            if let Outcome::Query(query) = last {
                query.drain()?;
            }
            last = self.execute_parsed(&parsed).map_err(|e| e.in_text(text))?;
        }
        Ok(last)
    }

    /// Runs a text whose last statement gives rows.
    ///
    /// Failure: the last statement gives none.
    pub fn sql(&self, text: &str) -> Result<Query> {
        match self.execute(text)? {
            Outcome::Query(query) => Ok(query),
            Outcome::Text(_) | Outcome::Done(_) => {
                Err(Error::user("the last statement gives no rows; run it with execute"))
            }
        }
    }

    /// Cuts a text into its statements.
    pub fn parse(&self, text: &str) -> Result<Vec<Parsed>> {
        sql::parse(text).map_err(|e| e.in_text(text))
    }

    /// Plans a statement. Definitions take effect; queries are compiled and wait to be started.
    pub fn prepare(&self, parsed: &Parsed) -> Result<Statement> {
        // A planner that panics takes this statement with it, not the program around the engine.
        let prepared = catch_unwind(AssertUnwindSafe(|| self.prepare_or_panic(parsed)));
        prepared.unwrap_or_else(|panic| Err(Error::panicked("the planner", &*panic)))
    }

    fn prepare_or_panic(&self, parsed: &Parsed) -> Result<Statement> {
        let planned = {
            let mut catalog = self.catalog();
            catalog.set_statement_time(self.inner.clock.now());
            catalog.set_state_ttl(self.settings().state_ttl.map(|ttl| ttl.as_micros() as i64));
            sql::plan(&mut catalog, &Sharing(self), parsed)?
        };
        Ok(match planned {
            Planned::Done(message) => Statement::Done(message),
            Planned::Set(setting) => Statement::Done(self.set(setting)),
            Planned::CreateMemory { kept, schema } => {
                let message = format!("table {} created", kept.name);
                self.create_memory(*kept, schema)?;
                Statement::Done(message)
            }
            Planned::CreateMaterialized { kept, query } => {
                let mut message = format!("materialized view {} created", kept.name);
                for warning in self.create_view(*kept, &query)? {
                    message += &format!("\nwarning: {}", warning.message());
                }
                Statement::Done(message)
            }
            Planned::DropKept { names, cascade, message } => {
                let dropped = self.drop_kept(&names, cascade)?;
                let over: Vec<String> = dropped.into_iter().filter(|name| !names.contains(name)).collect();
                Statement::Done(if over.is_empty() { message } else { format!("{message}, with {}", over.join(", ")) })
            }
            Planned::CreateFunction(definition) => Statement::Done(self.create_function(definition)?),
            Planned::Rows(rows) => Statement::Rows(rows),
            Planned::Explain(explained) => Statement::Text(match explained.kind {
                ExplainKind::Syntax => explained.syntax,
                ExplainKind::Logical => explained.logical,
                ExplainKind::Optimized => explained.optimized,
                ExplainKind::Pipeline => explain(&compile(&explained.query)?),
            }),
            Planned::Analyze(query) => Statement::Text(self.analyze(&query)?),
            Planned::Query(query) => Statement::Query(self.checked(&query, Target::Caller)?),
            Planned::Insert { sink, query } => Statement::Query(self.checked(&query, Target::Sink(sink))?),
            Planned::CreateTableAs { sink: Some(sink), query, .. } => {
                let prepared = self.checked(&query, Target::Sink(sink.clone()))?;
                self.catalog().declare(sink);
                Statement::Query(prepared)
            }
            Planned::CreateTableAs { name, sink: None, query } => {
                Statement::Query(self.checked(&query, Target::Memory(name))?)
            }
        })
    }

    /// A compiled query, refused under `strict` where its state would grow without a bound.
    fn checked(&self, query: &LogicalQuery, target: Target) -> Result<Prepared> {
        let prepared = Prepared::new(query, target)?;
        match prepared.warnings().into_iter().next() {
            Some(warning) if self.settings().strict => Err(warning),
            _ => Ok(prepared),
        }
    }

    /// A step of a statement's way as text; definitions take effect as with [`Engine::prepare`].
    pub fn explain(&self, mut parsed: Parsed, kind: ExplainKind) -> Result<Statement> {
        use sql::parse::Statement as Syntax;
        if matches!(parsed.statement, Syntax::Query(_) | Syntax::Insert(_) | Syntax::CreateTableAs(_)) {
            parsed.statement = Syntax::Explain(kind, Box::new(parsed.statement));
        }
        self.prepare(&parsed)
    }

    fn execute_parsed(&self, parsed: &Parsed) -> Result<Outcome> {
        match self.prepare(parsed)? {
            Statement::Done(message) => Ok(Outcome::Done(message)),
            Statement::Text(text) => Ok(Outcome::Text(text)),
            Statement::Rows(rows) => Ok(Outcome::Query(Query::of_rows(rows))),
            Statement::Query(prepared) => match prepared.target {
                Target::Caller => Ok(Outcome::Query(self.start(prepared)?)),
                Target::Sink(_) | Target::Memory(_) => {
                    let metrics = self.run(prepared)?.wait()?;
                    Ok(Outcome::Done(format!("{} rows written", metrics.rows_out)))
                }
            },
        }
    }

    /// Starts a query whose rows the caller pulls.
    pub fn start(&self, prepared: Prepared) -> Result<Query> {
        let schema = prepared.pipeline.schema().clone();
        let updating = prepared.is_updating();
        let (sink, rows) = channel(BATCHES_WAITING);
        let running = self.start_into(&prepared, Box::new(sink))?;
        Ok(Query::new(schema, updating, rows, running))
    }

    /// Starts a query into a sink of the caller's.
    pub fn start_into(&self, prepared: &Prepared, sink: Box<dyn Sink>) -> Result<Running> {
        let options = self.options(prepared)?;
        let _held = self.hold_tables(prepared)?;
        runtime::start(&prepared.pipeline, sink, &self.current_config(), self.inner.budget.clone(), &options, None)
    }

    /// Goes on with the query of a text where a snapshot of it stood, perhaps with another number of partitions: the rows
    /// that come are those that did not leave before. Statements before the query define its tables.
    ///
    /// Failure: a text whose last statement is no query; a snapshot of another query; a source that cannot go on.
    pub fn resume(&self, text: &str, snapshot: &Snapshot) -> Result<Query> {
        let mut parsed = self.parse(text)?;
        let last = parsed.pop().ok_or_else(|| Error::user("there is no statement to go on with"))?;
        for statement in &parsed {
            if let Outcome::Query(query) = self.execute_parsed(statement).map_err(|e| e.in_text(text))? {
                query.drain()?;
            }
        }
        match self.prepare(&last).map_err(|e| e.in_text(text))? {
            Statement::Query(prepared) if !prepared.has_sink() => {
                let (sink, rows) = channel(BATCHES_WAITING);
                let (schema, updating) = (prepared.schema(), prepared.is_updating());
                Ok(Query::new(schema, updating, rows, self.resume_into(&prepared, Box::new(sink), snapshot)?))
            }
            _ => Err(Error::user(
                "the last statement gives no rows; a snapshot is gone on from by the query it was taken of",
            )),
        }
    }

    /// Goes on with a query where a snapshot of it stood, into a sink of the caller's.
    pub fn resume_into(&self, prepared: &Prepared, sink: Box<dyn Sink>, snapshot: &Snapshot) -> Result<Running> {
        let options = self.options(prepared)?;
        let (config, budget) = (&self.current_config(), self.inner.budget.clone());
        runtime::start(&prepared.pipeline, sink, config, budget, &options, Some(snapshot))
    }

    /// Makes a query that works only when it is told to, on the caller's thread.
    pub fn step_into(&self, prepared: &Prepared, sink: Box<dyn Sink>) -> Result<Stepped> {
        let options = self.options(prepared)?;
        let _held = self.hold_tables(prepared)?;
        runtime::stepped(&prepared.pipeline, sink, &self.current_config(), self.inner.budget.clone(), &options, None)
    }

    /// Makes a query that works only when it is told to, going on where a snapshot of it stood.
    pub fn resume_step_into(&self, prepared: &Prepared, sink: Box<dyn Sink>, snapshot: &Snapshot) -> Result<Stepped> {
        let options = self.options(prepared)?;
        let (config, budget) = (&self.current_config(), self.inner.budget.clone());
        runtime::stepped(&prepared.pipeline, sink, config, budget, &options, Some(snapshot))
    }

    /// What is kept in memory is looked at when its scan opens: all of it at one point.
    fn hold_tables(&self, prepared: &Prepared) -> Result<Option<view::Held<'_>>> {
        let tables: Vec<_> = prepared.pipeline.tables().into_iter().filter(|table| table.is_bounded()).collect();
        self.hold(&tables)
    }

    fn options(&self, prepared: &Prepared) -> Result<Options> {
        let late = prepared.late.as_ref().filter(|_| !prepared.timed).map(|definition| {
            let schema = prepared.pipeline.late_schema().ok_or_else(|| Error::bug("late rows have no way out"))?;
            self.inner.connectors.sink(definition, schema, false).map(SideSink::new)
        });
        let (timed, level, clock) = (prepared.timed, self.inner.config.level, self.inner.clock.clone());
        Ok(Options { timed, level, portable: false, clock, late: late.transpose()? })
    }

    /// The sink that a statement names; `None` where its rows are the caller's.
    ///
    /// Failure: it cannot be opened, or does not take what the query gives.
    pub fn open_sink(&self, prepared: &Prepared) -> Result<Option<Box<dyn Sink>>> {
        let schema = prepared.pipeline.schema().clone();
        match &prepared.target {
            Target::Caller => Ok(None),
            Target::Sink(definition) => match self.memory_sink(definition) {
                Some(sink) => sink.map(Some),
                None => self.inner.connectors.sink(definition, schema, prepared.is_updating()).map(Some),
            },
            Target::Memory(name) => {
                let mut sink: Box<dyn Sink> = Box::new(TableSink::new(self.clone(), name.clone(), schema.clone()));
                if prepared.is_updating() {
                    sink = Box::new(Fold::new(sink, schema)?);
                }
                Ok(Some(sink))
            }
        }
    }

    /// Starts a query into the sink that its statement names.
    ///
    /// Failure: it names none; the sink cannot be opened, or does not take what the query gives.
    pub fn run(&self, prepared: Prepared) -> Result<Running> {
        let sink = self.open_sink(&prepared)?.ok_or_else(|| Error::user("the statement names no sink"))?;
        self.start_into(&prepared, sink)
    }

    fn analyze(&self, query: &LogicalQuery) -> Result<String> {
        let mut prepared = Prepared::new(query, Target::Caller)?;
        prepared.timed = true;
        let started = std::time::Instant::now();
        let metrics = self.start_into(&prepared, Box::new(Blackhole::default()))?.wait()?;
        Ok(crate::runtime::analyzed(&prepared.pipeline, &metrics, started.elapsed()))
    }
}

fn compile(query: &LogicalQuery) -> Result<Pipeline> {
    sql::compile(query)
}

/// Makes the rows of a query those of a table with one row per key, where its sink writes by key.
fn by_key(pipeline: &mut Pipeline, definition: &TableDefinition) -> Result<()> {
    let output = pipeline.output().clone();
    let (form, _) = Form::of(definition, output.changes == ChangeMode::Updating)?;
    if !form.is_by_key(definition) {
        return Ok(());
    }
    let position = |column: &String| {
        let missing = || Error::user(format!("the key of the sink is not among the columns of the query: {column}"));
        output.schema.index_of(column).map_err(|_| missing())
    };
    let key = definition.primary_key.iter().map(position).collect::<Result<Vec<_>>>()?;
    let inputs = vec![pipeline.nodes.len() - 1];
    let spec = Spec::ByKey(ByKeySpec { key });
    pipeline.nodes.push(Node { spec, inputs, changes: ChangeMode::Updating, time: None, ..output });
    Ok(())
}

impl Prepared {
    fn new(query: &LogicalQuery, target: Target) -> Result<Self> {
        let mut pipeline = compile(query)?;
        if let Target::Sink(definition) = &target {
            by_key(&mut pipeline, definition)?;
        }
        Ok(Prepared { pipeline, late: query.firing.late_sink.clone(), target, timed: false })
    }

    /// What is to be said before it runs: state that will grow for as long as rows come.
    pub fn warnings(&self) -> Vec<Error> {
        let growing = self.pipeline.growing().into_iter();
        growing.map(|growth| Error::user(growth.why).at(growth.place)).collect()
    }

    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Columns of its rows.
    pub fn schema(&self) -> SchemaRef {
        self.pipeline.schema().clone()
    }

    /// Whether its rows may be taken back.
    pub fn is_updating(&self) -> bool {
        self.pipeline.output().changes == ChangeMode::Updating
    }

    /// Whether its input ends.
    pub fn is_bounded(&self) -> bool {
        self.pipeline.output().bounded
    }

    /// Whether its statement names where the rows go.
    pub fn has_sink(&self) -> bool {
        !matches!(self.target, Target::Caller)
    }
}

/// Gathers rows in memory and makes a table of them when they are complete.
struct TableSink {
    engine: Engine,
    name: String,
    schema: SchemaRef,
    rows: MemorySink,
    collected: Collected,
}

impl TableSink {
    fn new(engine: Engine, name: String, schema: SchemaRef) -> Self {
        let (rows, collected) = MemorySink::new();
        TableSink { engine, name, schema, rows, collected }
    }
}

impl Sink for TableSink {
    fn write(&mut self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        self.rows.write(rows, changes)
    }

    fn flush(&mut self) -> Result<()> {
        self.rows.flush()
    }

    fn finish(&mut self) -> Result<()> {
        self.rows.finish()?;
        let table = MemoryTable::new(self.schema.clone(), self.collected.take_batches())?;
        self.engine.catalog().create(&self.name, Arc::new(table));
        Ok(())
    }
}
