//! How a sink writes rows that come and go: not at all, with `_op`, by key, or in envelopes.
//!
//! Place       asked by the engine before a query is compiled into a sink, and by the sinks of files.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::pipeline::{Changelog, TableDefinition};
use crate::stream::source::changelog::OPTIONS;

/// The form of the rows a sink writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Rows as they are; none may be taken back.
    Rows,
    /// `_op`, or another name of the user's, in front: `+I -U +U -D`.
    Changes,
    /// `_op` in front, the last row of each key: `+I +U`, and `-D` for a key that is gone.
    Upserts,
    /// The row before, the row after, and `op`, as Debezium writes them.
    Envelopes,
}

impl Form {
    /// The form a definition asks for, of a query whose rows may be taken back or not; and what is left of its options.
    ///
    /// Failure: a sink that takes rows only, of a query that takes rows back; an upsert without a key.
    pub fn of(definition: &TableDefinition, updating: bool) -> Result<(Self, BTreeMap<String, String>)> {
        let mut options = definition.options.clone();
        let said: Vec<String> = OPTIONS
            .iter()
            .filter_map(|key| Some((*key, options.remove(*key)?)))
            .filter_map(|(key, value)| matches!(key, "changelog" | "mode").then_some(value))
            .collect();
        let said = match said.first() {
            None => None,
            Some(word) => Some(Changelog::from_word(word).ok_or_else(|| {
                Error::user(format!("option 'changelog' must be append, retract or upsert, not '{word}'"))
            })?),
        };
        let word = options.get("format").map(|word| word.to_ascii_lowercase().replace('_', "-"));
        let envelope = word.as_deref().and_then(|word| word.strip_prefix("debezium-")).map(str::to_string);
        if let Some(inside) = &envelope {
            if !matches!(inside.as_str(), "json" | "ndjson" | "avro") {
                let message = "envelopes of Debezium are written as debezium-json or debezium-avro";
                return Err(Error::user(format!("{message}, not debezium-{inside}")));
            }
            options.insert("format".to_string(), inside.clone());
        }
        let has_key = !definition.primary_key.is_empty();
        let form = match (said, envelope.is_some()) {
            (Some(Changelog::Append), true) => {
                return Err(Error::user("envelopes of Debezium hold changes; leave 'changelog' = 'append' out"));
            }
            (_, true) => Form::Envelopes,
            (Some(Changelog::Retract), _) => Form::Changes,
            (Some(Changelog::Upsert), _) => Form::Upserts,
            (Some(Changelog::Append), _) => Form::Rows,
            (None, _) if updating && has_key => Form::Upserts,
            (None, _) if updating => Form::Changes,
            (None, _) => Form::Rows,
        };
        let name = &definition.name;
        if form == Form::Rows && updating {
            let hint = "use EMIT FINAL, or 'changelog' = 'retract'";
            return Err(Error::user(format!(
                "the sink takes rows only, and the query takes rows back: {name}; {hint}"
            )));
        }
        if form == Form::Upserts && !has_key {
            return Err(Error::user(format!("an upsert sink writes by key; declare PRIMARY KEY (...): {name}")));
        }
        Ok((form, options))
    }

    /// Whether the rows written are those of a table with one row per key.
    pub fn is_by_key(self, definition: &TableDefinition) -> bool {
        self == Form::Upserts || (self == Form::Envelopes && !definition.primary_key.is_empty())
    }
}
