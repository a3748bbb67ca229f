//! Where the rows of queries go: stdout, or a file for the last query's.

use std::path::PathBuf;

use millstream::arrow::datatypes::SchemaRef;
use millstream::error::Result;
use millstream::pipeline::{Connectors, Sink, TableDefinition};
use millstream::stream::connect::DefaultConnectors;
use millstream::stream::sink::fold::Fold;

use super::arguments::FormatWord;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Output {
    pub format: Option<FormatWord>,
    /// Where the last query's rows go instead of stdout.
    pub file: Option<PathBuf>,
    /// Whether the final answer is wanted, not the changes that lead to it.
    pub fold: bool,
}

impl Output {
    /// Opens the sink for a query's rows. `is_last`: no query follows.
    pub fn open(&self, schema: SchemaRef, is_updating: bool, is_last: bool) -> Result<Box<dyn Sink>> {
        let fold = self.fold && is_updating;
        let sink =
            DefaultConnectors::default().sink(&self.definition(is_last), schema.clone(), is_updating && !fold)?;
        Ok(if fold { Box::new(Fold::new(sink, schema)?) } else { sink })
    }

    /// Whether rows are shown as a table, which says itself how many there were.
    pub fn is_table(&self, is_last: bool) -> bool {
        let to_file = is_last && self.file.is_some();
        !to_file && matches!(self.format, None | Some(FormatWord::Table))
    }

    fn definition(&self, is_last: bool) -> TableDefinition {
        let mut options = vec![];
        match self.file.as_ref().filter(|path| is_last && path.as_os_str() != "-") {
            Some(path) => {
                options.extend([("connector", "file".to_string()), ("path", path.to_string_lossy().into_owned())]);
                options.extend(self.format.map(|format| ("format", format.option().to_string())));
            }
            None => {
                let format = self.format.unwrap_or(FormatWord::Table).option();
                options.extend([("connector", "stdout".to_string()), ("format", format.to_string())]);
            }
        }
        let options = options.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        TableDefinition { name: "result".to_string(), schema: None, options, primary_key: Vec::new() }
    }
}
