//! Tables that are kept in memory and change: memory tables, materialized views, and the scans that views share.
//!
//! ```text
//! pushed table ──▶ shared scan ──▶ query of view a ──▶ a ──▶ query of view b ──▶ b
//!                        └───────▶ query of view c ──▶ c
//! ```
//! Invariants  whoever reads several of them reads all at one point: sources stop, what is on its way arrives, upstream
//!             first, and only then rows are looked at. Input that ends is waited for until it has been read. A view whose
//!             query has failed says so whenever it is read.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::{Engine, Prepared, Target};
use crate::batch::Change;
use crate::error::{Error, Result};
use crate::pipeline::{
    ChangeMode, Changelog, Connectors, Node, Pipeline, ScanSpec, Sink, Spec, Table, TableDefinition, Tuning,
};
use crate::runtime::Running;
use crate::sql::{Kept, LogicalQuery};
use crate::stream::sink::callback::{Callback, CallbackSink};
use crate::stream::source::live::{Live, LiveSink};

/// What the engine keeps in memory, by name.
#[derive(Default)]
pub(super) struct Lives {
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    live: Arc<Live>,
    /// The query that fills it; none fills a memory table.
    query: Option<Running>,
    /// What the query follows.
    follows: Vec<String>,
    is_view: bool,
    /// Whether its rows come from outside, without an end.
    is_endless: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Its query may be waiting for someone to take what it has: then it could not end.
        self.live.expect_no_follower();
    }
}

/// The name of the scan that the views over a table share.
fn shared_name(table: &str) -> String {
    format!("scan of {table}")
}

impl Engine {
    fn lives(&self) -> MutexGuard<'_, Lives> {
        self.inner.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a table in memory, empty at first.
    pub(super) fn create_memory(&self, kept: Kept, schema: SchemaRef) -> Result<()> {
        let live = match kept.primary_key.as_slice() {
            [] => Live::bag(&kept.name, &schema, !kept.is_append)?,
            key => Live::keyed(&kept.name, &schema, key)?,
        };
        let (now, followed) = (live.as_it_is(), live.as_it_goes());
        let name = kept.name.clone();
        let entry = Entry { live, query: None, follows: Vec::new(), is_view: false, is_endless: false };
        self.lives().replace(&name, entry)?;
        self.catalog().keep(kept, now, followed);
        Ok(())
    }

    /// Makes a materialized view and starts the query that keeps it; what is to be said of the state that will grow.
    ///
    /// Failure: such state, under `strict`.
    pub(super) fn create_view(&self, kept: Kept, query: &LogicalQuery) -> Result<Vec<Error>> {
        let prepared = Prepared::new(query, Target::Caller)?;
        let is_endless = self.lives().are_endless(&prepared.pipeline.tables());
        let mut warnings = if is_endless { prepared.warnings() } else { Vec::new() };
        if self.settings().strict && !warnings.is_empty() {
            return Err(warnings.swap_remove(0));
        }
        let live = Live::bag(&kept.name, &prepared.schema(), prepared.is_updating())?;
        let time = prepared.pipeline.output().time.as_ref();
        let kept = match time {
            Some(time) => kept.with_event_time(prepared.schema().field(time.column).name()),
            None => kept,
        };
        let tables = prepared.pipeline.tables();
        let mut follows: Vec<String> = tables.iter().filter_map(|table| table.relation().map(str::to_string)).collect();
        follows.sort();
        follows.dedup();
        self.lives().check_replaced(&kept.name)?;
        let sink = LiveSink::new(live.clone(), true).telling_time(time.is_some());
        let running = self.start_into(&prepared, Box::new(sink))?;
        let (now, followed) = (live.as_it_is(), live.as_it_goes());
        let name = kept.name.clone();
        self.lives().replace(&name, Entry { live, query: Some(running), follows, is_view: true, is_endless })?;
        self.catalog().keep(kept, now, followed);
        Ok(warnings)
    }

    /// Forgets tables and views kept in memory; with `cascade` also the views over them.
    pub(super) fn drop_kept(&self, names: &[String], cascade: bool) -> Result<Vec<String>> {
        let mut lives = self.lives();
        let mut dropped = Vec::new();
        let mut left: Vec<String> = names.to_vec();
        while let Some(name) = left.pop() {
            let over: Vec<String> = lives.views_over(&name).filter(|view| !names.contains(view)).cloned().collect();
            if !over.is_empty() && !cascade {
                let message = "others depend on it; drop them first, or say CASCADE";
                return Err(Error::user(format!("{name} cannot be dropped: {message}: {}", over.join(", "))));
            }
            left.extend(over);
            if !dropped.contains(&name) {
                dropped.push(name);
            }
        }
        // Views over others first, so that nobody follows what is gone.
        let mut gone: Vec<Entry> = dropped.iter().rev().filter_map(|name| lives.entries.remove(name)).collect();
        gone.extend(lives.unused_scans());
        drop(lives);
        for name in &dropped {
            self.catalog().remove(name);
        }
        drop(gone);
        Ok(dropped)
    }

    /// Writes into a memory table from the program around the engine.
    ///
    /// Failure: no memory table of this name.
    pub fn writer(&self, name: &str) -> Result<TableWriter> {
        let lives = self.lives();
        match lives.entries.get(name) {
            Some(entry) if !entry.is_view => Ok(TableWriter { live: entry.live.clone() }),
            Some(_) => Err(Error::user(format!("rows cannot be put into a view: {name}"))),
            None => Err(Error::user(format!("there is no table in memory of this name: {name}"))),
        }
    }

    /// Hands what is in a table or view, and then every change, to a function, on the thread of a query of its own that
    /// ends when what this gives is dropped.
    ///
    /// Failure: no table, memory table or view of this name.
    pub fn subscribe(&self, name: &str, callback: Callback) -> Result<Running> {
        let text = format!("SUBSCRIBE \"{}\"", name.replace('"', "\"\""));
        let parsed = self.parse(&text)?;
        match self.prepare(&parsed[0])? {
            super::Statement::Query(prepared) => self.start_into(&prepared, Box::new(CallbackSink::new(callback))),
            _ => Err(Error::bug("SUBSCRIBE is a query")),
        }
    }

    /// The sink of an INSERT into a memory table, `None` where the definition is of another table.
    pub(super) fn memory_sink(&self, definition: &TableDefinition) -> Option<Result<Box<dyn Sink>>> {
        let is_memory = definition.options.get("connector").is_some_and(|name| name.eq_ignore_ascii_case("memory"));
        is_memory.then(|| {
            let writer = self.writer(&definition.name)?;
            Ok(Box::new(LiveSink::new(writer.live, false)) as Box<dyn Sink>)
        })
    }

    /// Holds what these tables show at one point, all that was given to their sources before taken in; until the guard
    /// is dropped.
    ///
    /// Failure: a view whose query has failed.
    pub(super) fn hold(&self, tables: &[Arc<dyn Table>]) -> Result<Option<Held<'_>>> {
        let names: Vec<String> = tables.iter().filter_map(|table| table.relation().map(str::to_string)).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let mut held = Held { lives: self.lives(), held: Vec::new() };
        for name in held.lives.upstream_first(&names) {
            held.add(name)?;
        }
        Ok(Some(held))
    }

    /// The table for a view to follow: a table that is read by one query at a time is read by one that all views share.
    fn shared(&self, name: &str, table: Arc<dyn Table>) -> Result<Arc<dyn Table>> {
        if !table.is_read_once() {
            return Ok(table);
        }
        let scan = shared_name(name);
        if let Some(entry) = self.lives().entries.get(&scan) {
            return Ok(entry.live.as_it_goes());
        }
        let changelog = table.changelog();
        let live = Live::passing(&scan, table.clone());
        // Of a tombstone nothing but the key is there.
        let free = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        let own = table.schema();
        let system = table.system_columns().to_vec();
        let beside = system.iter().map(|column| column.field().as_ref().clone());
        let schema = Arc::new(Schema::new(own.fields().iter().map(free).chain(beside).collect::<Vec<_>>()));
        let changes = if changelog == Changelog::Append { ChangeMode::Append } else { ChangeMode::Updating };
        let projection = (0..own.fields().len()).collect();
        let (predicates, watermark, tuning, fetch) = (Vec::new(), None, Tuning::default(), None);
        let name = name.to_string();
        let scan_spec =
            ScanSpec { name, table, projection, system, compute: None, predicates, watermark, tuning, fetch };
        let (spec, inputs) = (Spec::Scan(scan_spec), Vec::new());
        let node = Node { spec, inputs, schema, changes, time: None, bounded: false, place: None };
        let pipeline = Pipeline { nodes: vec![node], needs_input_order: true };
        let prepared = Prepared { pipeline, late: None, target: Target::Caller, timed: false };
        let running = self.start_into(&prepared, Box::new(LiveSink::new(live.clone(), true)))?;
        let followed = live.as_it_goes();
        let entry = Entry { live, query: Some(running), follows: Vec::new(), is_view: false, is_endless: true };
        self.lives().entries.insert(scan, entry);
        Ok(followed)
    }
}

impl Lives {
    /// Whether rows come from outside for as long as the engine runs: not from tables in memory alone, which hold them all.
    fn are_endless(&self, tables: &[Arc<dyn Table>]) -> bool {
        tables.iter().any(|table| match table.relation() {
            Some(name) => self.entries.get(name).is_some_and(|entry| entry.is_endless),
            None => !table.is_bounded(),
        })
    }

    fn views_over<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a String> {
        let follows = move |entry: &Entry| entry.follows.iter().any(|followed| followed == name);
        self.entries.iter().filter(move |(_, entry)| follows(entry)).map(|(name, _)| name)
    }

    fn check_replaced(&self, name: &str) -> Result<()> {
        let over: Vec<&str> = self.views_over(name).map(String::as_str).collect();
        match over.is_empty() {
            true => Ok(()),
            false => Err(Error::user(format!(
                "{name} cannot be replaced: others depend on it; drop them first: {}",
                over.join(", ")
            ))),
        }
    }

    fn replace(&mut self, name: &str, entry: Entry) -> Result<()> {
        self.check_replaced(name)?;
        self.entries.insert(name.to_string(), entry);
        Ok(())
    }

    /// Takes out the shared scans that no view follows any more.
    fn unused_scans(&mut self) -> Vec<Entry> {
        let is_scan = |entry: &Entry| !entry.is_view && entry.query.is_some();
        let scans =
            self.entries.iter().filter(|(name, entry)| is_scan(entry) && self.views_over(name).next().is_none());
        let names: Vec<String> = scans.map(|(name, _)| name.clone()).collect();
        names.iter().filter_map(|name| self.entries.remove(name)).collect()
    }

    /// These tables and all that their queries follow, those first that follow nothing.
    fn upstream_first(&self, names: &[String]) -> Vec<String> {
        fn visit(lives: &Lives, name: &str, order: &mut Vec<String>) {
            if order.iter().any(|known| known == name) {
                return;
            }
            let Some(entry) = lives.entries.get(name) else { return };
            entry.follows.iter().for_each(|followed| visit(lives, followed, order));
            order.push(name.to_string());
        }
        let mut order = Vec::new();
        names.iter().for_each(|name| visit(self, name, &mut order));
        order
    }
}

/// Tables held at one point.
pub(super) struct Held<'a> {
    lives: MutexGuard<'a, Lives>,
    held: Vec<String>,
}

impl Held<'_> {
    fn add(&mut self, name: String) -> Result<()> {
        let entry = self.lives.entries.get_mut(&name).expect("listed from the entries");
        self.held.push(name.clone());
        if let Some(query) = &mut entry.query {
            // One that has come to its end, or is about to, says then how it went.
            if !comes_to_rest(query)
                && let Err(error) = query.wait()
            {
                entry.live.fail(error);
            }
        }
        entry.live.freeze();
        entry.live.is_complete().map_err(|e| e.context(format!("{name}: its query has failed")))?;
        Ok(())
    }
}

/// Has a query take in all that was given to its sources and all input that ends, and rest; false: it comes to its end.
fn comes_to_rest(query: &Running) -> bool {
    query.await_offered();
    query.begin_cut(false);
    loop {
        match query.is_at_rest(Duration::from_millis(20)) {
            Ok(false) => {}
            Ok(true) => return true,
            Err(_) => return false,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for name in &self.held {
            if let Some(entry) = self.lives.entries.get(name) {
                entry.live.thaw();
                if let Some(query) = &entry.query {
                    query.end_cut();
                }
            }
        }
    }
}

/// Writes rows and changes into a memory table.
#[derive(Debug, Clone)]
pub struct TableWriter {
    live: Arc<Live>,
}

impl TableWriter {
    /// Takes rows in; each is given, or what its change says. Without a primary key a row taken back must be there.
    ///
    /// Failure: other columns than the table's; a row that is not there.
    pub fn write(&self, rows: &RecordBatch, changes: Option<&[Change]>) -> Result<()> {
        self.live.write(rows, changes)
    }
}

/// The engine's connectors, as the planner of a view sees them: tables read once are shared.
pub(super) struct Sharing<'a>(pub(super) &'a Engine);

impl Connectors for Sharing<'_> {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        self.0.inner.connectors.table(definition)
    }

    fn sink(&self, definition: &TableDefinition, schema: SchemaRef, updating: bool) -> Result<Box<dyn Sink>> {
        self.0.inner.connectors.sink(definition, schema, updating)
    }

    fn shared(&self, name: &str, table: Arc<dyn Table>) -> Result<Arc<dyn Table>> {
        self.0.shared(name, table)
    }
}
