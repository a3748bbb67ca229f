//! The compiled query as plain data: what the query's way makes and the data's way runs.
//!
//! Place       made by `sql/compile` or by hand in a test; printed by EXPLAIN PIPELINE; run by `runtime`.
//! Invariants  no thread, no I/O, no state here. Nodes stand in order: inputs come before the node that reads them.

mod custom; //   table functions and operators of the users' own
mod explain; //  the pipeline as text
mod first; //    how far the first rows reach, for the scans below an ORDER BY
mod format; //   the trait of file formats
mod growth; //   state without a bound
mod keys; //     which keys a join's table has, for the scans of the other side
mod as_of; //    joins by the nearest
pub mod options; // options of a definition
mod lookup; //   tables that are asked by key
mod over; //     what OVER asks for
pub mod parting; // which columns decide the worker of a row
mod spec; //     what each node does, a spec per operator
mod symmetric; // joins that keep both sides
mod system; //   what sources know beside their columns
mod table; //    the traits of sources and sinks, as the pipeline names them
mod window; //   the kinds of windows

pub use as_of::{AsOfSpec, Nearest};
pub use custom::*;
pub use explain::{explain, explain_with, show_duration};
pub use first::{Cutoff, FirstRoute, LeastKeys, Reach, first_routes};
pub use format::{Compression, Encoder, FileFormat, Files, Format, Opening};
pub use growth::Growth;
pub use keys::{KeyFilter, KeyRoute, Keys, has_keys, key_routes};
pub use lookup::{Lookup, LookupOptions, LookupRelation, LookupSpec, LookupTable};
pub use over::*;
pub use spec::*;
pub use symmetric::{SymmetricSpec, TimeBound, TimeColumn};
pub use system::{RowPlace, SystemColumn};
pub use table::*;
pub use window::*;

pub use crate::time::{Bounds, CalendarUnit, WindowAssigner, ticks_per_second};

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};

use crate::error::Place;

/// The number of a node in its pipeline.
pub type NodeId = usize;

/// A compiled query.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Nodes, inputs first; the last one is the output.
    pub nodes: Vec<Node>,
    /// Whether its rows depend on the order of the input without saying so (`LIMIT` without `ORDER BY`,
    /// `FIRST_VALUE` without one): then it runs on one partition.
    pub needs_input_order: bool,
}

/// One operator of a pipeline.
#[derive(Debug, Clone)]
pub struct Node {
    pub spec: Spec,
    pub inputs: Vec<NodeId>,
    pub schema: SchemaRef,
    /// What its rows may be.
    pub changes: ChangeMode,
    /// Its event time, if it still has one: windows close and lateness is decided by it.
    pub time: Option<EventTime>,
    /// Whether its input ends.
    pub bounded: bool,
    /// Where the SQL asks for it.
    pub place: Option<Place>,
}

/// What the rows of a stream may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeMode {
    /// Rows only: nothing is ever taken back.
    Append,
    /// Rows may be taken back.
    Updating,
}

/// The column that carries event time, and its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTime {
    pub column: usize,
    pub unit: TimeUnit,
}

impl Pipeline {
    /// The node whose rows are the answer.
    pub fn output(&self) -> &Node {
        self.nodes.last().expect("a pipeline has an output")
    }

    /// The same without the nodes that lead to nothing: one above them reads what they read.
    #[must_use]
    pub fn without_unread(self) -> Pipeline {
        let mut is_read = vec![false; self.nodes.len()];
        let mut open: Vec<NodeId> = self.nodes.len().checked_sub(1).into_iter().collect();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut is_read[id], true) {
                open.extend(&self.nodes[id].inputs);
            }
        }
        let mut places = vec![0; self.nodes.len()];
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (id, mut node) in self.nodes.into_iter().enumerate().filter(|(id, _)| is_read[*id]) {
            places[id] = nodes.len();
            node.inputs.iter_mut().for_each(|input| *input = places[*input]);
            nodes.push(node);
        }
        Pipeline { nodes, needs_input_order: self.needs_input_order }
    }

    /// How many inputs of nodes a node's rows go to.
    pub fn readers(&self, id: NodeId) -> usize {
        self.nodes.iter().flat_map(|node| &node.inputs).filter(|input| **input == id).count()
    }

    /// Column names and types of the answer.
    pub fn schema(&self) -> &SchemaRef {
        &self.output().schema
    }

    /// The columns of rows that are late for all their windows, where these go to a sink of their own.
    pub fn late_schema(&self) -> Option<SchemaRef> {
        let divert = self.nodes.iter().find(|node| matches!(node.spec, Spec::Divert(_)))?;
        Some(divert.schema.clone())
    }

    /// The tables it reads, each once, in node order.
    pub fn tables(&self) -> Vec<Arc<dyn Table>> {
        let scans =
            self.nodes.iter().filter_map(|node| if let Spec::Scan(scan) = &node.spec { Some(scan) } else { None });
        scans.map(|scan| scan.table.clone()).collect()
    }
}

/// The unit of a type that can be an event time; `None` for other types.
pub fn time_unit(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Some(*unit),
        _ => None,
    }
}
