//! A table that changes as queries read it: as it is when they start, or with all that happens to it from then on.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::Live;
use super::follow::Following;
use crate::error::Result;
use crate::pipeline::{Changelog, Scan, ScanRequest, SystemColumn, Table};
use crate::stream::source::memory::MemoryTable;

/// What was there when a query started.
#[derive(Debug)]
pub(super) struct AsItIs(pub(super) Arc<Live>);

impl Table for AsItIs {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        "memory".to_string()
    }

    fn relation(&self) -> Option<&str> {
        Some(&self.0.name)
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        MemoryTable::new(self.0.schema(), self.0.rows()?)?.open(request)
    }
}

/// What was there when a query started, and all that happened since.
#[derive(Debug)]
pub(super) struct AsItGoes(pub(super) Arc<Live>);

impl Table for AsItGoes {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn is_bounded(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        "memory, followed".to_string()
    }

    fn system_columns(&self) -> &[SystemColumn] {
        self.0.system()
    }

    fn changelog(&self) -> Changelog {
        self.0.changelog
    }

    fn relation(&self) -> Option<&str> {
        Some(&self.0.name)
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Ok(Arc::new(Following::new(&self.0, request)?))
    }
}
