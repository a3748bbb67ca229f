//! Definitions become tables and sinks: the list of connectors.
//!
//! Place       implements `pipeline::Connectors` for the engine. Built-in connectors are the arms of two matches;
//!             users' own are registered by name and go by the same trait.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::format::Formats;
use super::sink::blackhole::Blackhole;
use super::{sink, source};
use crate::error::{Error, Result};
use crate::pipeline::options::Options;
use crate::pipeline::{Connectors, FileFormat, Sink, Table, TableDefinition};

/// Names of built-in connectors.
const BUILT_IN: [&str; 9] = ["blackhole", "datagen", "file", "memory", "nexmark", "print", "stdin", "stdout", "tpch"];

/// The connectors there are: the built-in ones, and those that were registered.
#[derive(Default, Clone)]
pub struct DefaultConnectors {
    registered: BTreeMap<String, Arc<dyn Connectors>>,
    formats: Formats,
}

impl DefaultConnectors {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a connector of the user's own: it opens the tables and sinks whose option 'connector' is `name`.
    ///
    /// Failure: a name that is taken.
    pub fn register(&mut self, name: &str, connector: Arc<dyn Connectors>) -> Result<()> {
        let name = name.to_lowercase();
        if BUILT_IN.contains(&name.as_str()) || self.registered.contains_key(&name) {
            return Err(Error::user(format!("connector exists already: '{name}'; choose another name")));
        }
        self.registered.insert(name, connector);
        Ok(())
    }

    fn file(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        let open = |definition: &TableDefinition| source::file::open(definition, &self.formats);
        source::changelog::open(definition, &open, &self.formats)
    }

    fn unknown(&self, name: &str) -> Error {
        let mut known: Vec<_> = BUILT_IN.iter().copied().chain(self.registered.keys().map(String::as_str)).collect();
        known.sort_unstable();
        Error::user(format!("unknown connector: '{name}'; known are {}", known.join(", ")))
    }
}

impl fmt::Debug for DefaultConnectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultConnectors").field("registered", &self.registered.keys()).finish()
    }
}

impl Connectors for DefaultConnectors {
    fn table(&self, definition: &TableDefinition) -> Result<Arc<dyn Table>> {
        let connector = connector(definition)?;
        if let Some(registered) = self.registered.get(&connector) {
            return registered.table(definition);
        }
        match connector.as_str() {
            "file" => self.file(definition),
            "stdin" => self.file(&with_path(definition, "-")?),
            "nexmark" => source::nexmark::table(definition),
            "datagen" => source::datagen::table(definition),
            "tpch" => source::tpch::table(definition),
            "memory" => Err(Error::user("a table in memory is made by CREATE TABLE with its columns")),
            "blackhole" | "print" | "stdout" => {
                Err(Error::user(format!("connector can only be written to: '{connector}'")))
            }
            _ => Err(self.unknown(&connector)),
        }
    }

    fn sink(&self, definition: &TableDefinition, schema: SchemaRef, updating: bool) -> Result<Box<dyn Sink>> {
        let connector = connector(definition)?;
        if let Some(registered) = self.registered.get(&connector) {
            return registered.sink(definition, schema, updating);
        }
        match connector.as_str() {
            "file" => sink::file::open(definition, schema, updating, &self.formats),
            "stdout" => sink::file::stdout(definition, schema, updating, &self.formats, "csv"),
            "print" => sink::file::stdout(definition, schema, updating, &self.formats, "table"),
            "blackhole" => {
                let (_, options) = sink::form::Form::of(definition, updating)?;
                blackhole(&TableDefinition { options, ..definition.clone() })
            }
            "memory" => Err(Error::user("a table in memory takes rows once CREATE TABLE has made it")),
            "datagen" | "nexmark" | "stdin" | "tpch" => {
                Err(Error::user(format!("connector can only be read: '{connector}'")))
            }
            _ => Err(self.unknown(&connector)),
        }
    }

    fn register_format(&self, name: &str, format: Arc<dyn FileFormat>) -> Result<()> {
        self.formats.register(name, format)
    }
}

/// The connector a definition asks for: 'file' where only a path is given.
fn connector(definition: &TableDefinition) -> Result<String> {
    match (definition.options.get("connector"), definition.options.contains_key("path")) {
        (Some(connector), _) => Ok(connector.to_lowercase()),
        (None, true) => Ok("file".to_string()),
        (None, false) => {
            let name = &definition.name;
            Err(Error::user(format!(
                "table '{name}' says neither where it is nor what makes it; add 'path' or 'connector'"
            )))
        }
    }
}

/// The definition of a file table whose path the connector's name says already.
fn with_path(definition: &TableDefinition, path: &str) -> Result<TableDefinition> {
    let mut definition = definition.clone();
    if definition.options.insert("path".to_string(), path.to_string()).is_some() {
        return Err(Error::user("option 'path' does not go with this connector; leave it out"));
    }
    Ok(definition)
}

fn blackhole(definition: &TableDefinition) -> Result<Box<dyn Sink>> {
    let mut options = Options::new(&definition.options);
    options.take("connector");
    options.finish()?;
    Ok(Box::new(Blackhole::default()))
}
