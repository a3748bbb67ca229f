//! An engine whose input, clock and steps are its owner's.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;

use super::stage::{Event, ScriptConnector, Source, Stage};
use super::text;
use crate::batch::Change;
use crate::config::Config;
use crate::engine::{Clock, Engine, Metrics, Prepared, Snapshot, Statement, Stepped};
use crate::error::{Error, Result};
use crate::pipeline::{explain, time_unit};
use crate::stream::connect::DefaultConnectors;

/// The name of the connector that scripted tables and sinks go by.
const CONNECTOR: &str = "script";

/// Runs one query over scripted input, on the caller's thread, by a virtual clock.
pub struct Driver {
    engine: Engine,
    stage: Arc<Stage>,
    clock: Clock,
    query: Option<Stepped>,
    metrics: Metrics,
    updating: bool,
    /// What a fresh engine has to be told: bindings, definitions, and the query.
    bound: Vec<(String, Vec<(&'static str, String)>)>,
    defined: Vec<String>,
    asked: String,
}

impl Driver {
    /// An engine with settings; its clock stands at 1970-01-01.
    ///
    /// The number of workers is `config.partitions`; they take turns on the caller's thread.
    pub fn new(config: Config) -> Result<Driver> {
        let (stage, clock) = (Arc::new(Stage::default()), Clock::virtual_at(0));
        let engine = engine(config, &stage, &clock)?;
        Ok(Driver {
            engine,
            stage,
            clock,
            query: None,
            metrics: Metrics::default(),
            updating: false,
            bound: Vec::new(),
            defined: Vec::new(),
            asked: String::new(),
        })
    }

    /// The engine, to register functions and other tables with.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes a name a scripted table; a CREATE TABLE without a connector then says its columns.
    pub fn source(&mut self, name: &str, source: Source) {
        let options = vec![
            ("connector", CONNECTOR.to_string()),
            ("partitions", source.partitions.to_string()),
            ("bounded", source.bounded.to_string()),
            ("retracts", source.retracts.to_string()),
        ];
        self.bind(name, options);
    }

    fn bind(&mut self, name: &str, options: Vec<(&'static str, String)>) {
        // Binding cannot fail: the catalog takes any name.
        let _ = self.engine.register_with(name, options.clone());
        self.bound.push((name.to_string(), options));
    }

    /// Makes a name a sink whose rows are shown with the query's own, after its name.
    pub fn sink(&mut self, name: &str) {
        self.bind(name, vec![("connector", CONNECTOR.to_string())]);
    }

    /// Runs definitions.
    ///
    /// Failure: a statement that runs a query; use [`Driver::query`].
    pub fn execute(&mut self, sql: &str) -> Result<()> {
        for parsed in self.engine.parse(sql)? {
            match self.engine.prepare(&parsed).map_err(|e| e.in_text(sql))? {
                Statement::Done(_) | Statement::Text(_) | Statement::Rows(_) => {}
                Statement::Query(_) => {
                    return Err(Error::user("a definition was expected, this statement runs a query"));
                }
            }
        }
        self.defined.push(sql.to_string());
        Ok(())
    }

    fn prepare(&self, sql: &str) -> Result<Prepared> {
        let parsed = self.engine.parse(sql)?;
        let [parsed] = parsed.as_slice() else {
            return Err(Error::user(format!("one query is run at a time, found {} statements", parsed.len())));
        };
        match self.engine.prepare(parsed).map_err(|e| e.in_text(sql))? {
            Statement::Query(prepared) => Ok(prepared),
            _ => Err(Error::user("a query was expected, this statement runs none")),
        }
    }

    /// Starts the query to be driven. Nothing has moved before the first [`Driver::settle`].
    pub fn query(&mut self, sql: &str) -> Result<()> {
        let prepared = self.prepare(sql)?;
        self.asked = sql.to_string();
        self.updating = prepared.is_updating();
        let sink = match self.engine.open_sink(&prepared)? {
            Some(sink) => sink,
            None => self.stage.recorder(None),
        };
        self.query = Some(self.engine.step_into(&prepared, sink)?);
        Ok(())
    }

    /// Stops the query, and goes on with it in a fresh engine from a snapshot, perhaps with another number of workers.
    /// Functions and tables that were registered by hand are not there any more; counters begin anew.
    ///
    /// Failure: no query runs; a query of which no snapshot can be taken.
    pub fn restart(&mut self, partitions: Option<usize>) -> Result<()> {
        let query = self.query.as_mut().ok_or_else(|| Error::user("no query runs that could be restarted"))?;
        let bytes = query.snapshot()?.to_bytes()?;
        self.query = None;
        let config = self.engine.config().clone();
        let config = Config { partitions: partitions.unwrap_or(config.partitions), ..config };
        self.engine = engine(config, &self.stage, &self.clock)?;
        for (name, options) in std::mem::take(&mut self.bound) {
            self.bind(&name, options);
        }
        for sql in std::mem::take(&mut self.defined) {
            self.execute(&sql)?;
        }
        let prepared = self.prepare(&self.asked)?;
        let sink = match self.engine.open_sink(&prepared)? {
            Some(sink) => sink,
            None => self.stage.recorder(None),
        };
        self.query = Some(self.engine.resume_step_into(&prepared, sink, &Snapshot::from_bytes(&bytes)?)?);
        Ok(())
    }

    /// The pipeline of a query as text.
    pub fn explain(&self, sql: &str) -> Result<String> {
        Ok(explain(self.prepare(sql)?.pipeline()))
    }

    /// Lets rows arrive in a source partition, as one batch.
    pub fn push(&mut self, table: &str, partition: usize, rows: RecordBatch) -> Result<()> {
        self.stage.table(table)?.add(partition, Event::Rows(rows, None))
    }

    /// The same of a table with a PRIMARY KEY, with what each row does.
    ///
    /// Shapes: a change per row.
    /// Failure: also a table without a PRIMARY KEY, whose rows stay.
    pub fn push_changes(&mut self, table: &str, partition: usize, rows: RecordBatch, changes: &[Change]) -> Result<()> {
        if changes.len() != rows.num_rows() {
            return Err(Error::user(format!("{} rows with {} changes", rows.num_rows(), changes.len())));
        }
        self.stage.table(table)?.add(partition, Event::Rows(rows, Some(changes.to_vec())))
    }

    /// The same for rows as text: values between `|`, `NULL` for null, times of 1970-01-01 without their date. Rows of a table
    /// with a PRIMARY KEY may have `+I`, `-U`, `+U` or `-D` in front.
    pub fn push_lines(&mut self, table: &str, partition: usize, lines: &[&str]) -> Result<()> {
        let scripted = self.stage.table(table)?;
        let (changes, lines) = if scripted.changes() { text::changes(lines) } else { (None, lines.to_vec()) };
        let rows = text::rows(scripted.schema(), &lines)?;
        scripted.add(partition, Event::Rows(rows, changes))
    }

    /// Lets the source itself say that no row before a time will come in a partition.
    pub fn watermark(&mut self, table: &str, partition: usize, time: &str) -> Result<()> {
        let scripted = self.stage.table(table)?;
        let unit = scripted.schema().fields().iter().find_map(|field| time_unit(field.data_type()));
        let unit = unit.ok_or_else(|| Error::user(format!("the table has no TIMESTAMP column: {table}")))?;
        scripted.add(partition, Event::Watermark(text::ticks(time, unit)?))
    }

    /// Ends a source partition, or all of a table's.
    pub fn end(&mut self, table: &str, partition: Option<usize>) -> Result<()> {
        let scripted = self.stage.table(table)?;
        match partition {
            Some(partition) => scripted.add(partition, Event::End),
            None => (0..scripted.partitions()).try_for_each(|partition| scripted.add(partition, Event::End)),
        }
    }

    /// Moves the clock on.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
    }

    /// Stops the query: it takes no more input, and what was complete leaves.
    pub fn cancel(&mut self) {
        if let Some(query) = &self.query {
            query.cancel();
        }
    }

    /// Lets everything happen that can happen now; the rows that came out, a line per row.
    ///
    /// Where rows may be taken back, each begins with `+I`, `-U`, `+U` or `-D`.
    pub fn settle(&mut self) -> Result<Vec<String>> {
        if let Some(query) = &mut self.query {
            let ended = query.settle();
            self.metrics = query.metrics();
            if !matches!(ended, Ok(false)) {
                self.query = None;
            }
            ended?;
        }
        let mut lines = Vec::new();
        for emission in self.stage.take_emitted() {
            lines.extend(text::lines(&emission, self.updating)?);
        }
        Ok(lines)
    }

    /// Whether the query has come to its end.
    pub fn has_ended(&self) -> bool {
        self.query.is_none()
    }

    /// The query's counters, as of the last [`Driver::settle`].
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// An engine that reads what a stage is given, by a clock that is set.
fn engine(config: Config, stage: &Arc<Stage>, clock: &Clock) -> Result<Engine> {
    let mut connectors = DefaultConnectors::new();
    connectors.register(CONNECTOR, Arc::new(ScriptConnector(stage.clone())))?;
    Ok(Engine::with_clock(config, Arc::new(connectors), clock.clone()))
}
