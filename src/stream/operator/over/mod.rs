//! Functions of the rows around each row: OVER.
//!
//! ```text
//! rows, wide ─▶ held ─▶ by partition ─▶ sorted ─▶ frames ─▶ a column per function, behind the rows' own
//! ```
//! Place       behind an exchange by the keys of PARTITION BY. Its input is wide: keys, ORDER BY keys, arguments and
//!             filters, then the columns that the rows go on with.
//! Invariants  a function sees its whole frame or nothing leaves; ties in ORDER BY are broken by all columns, so that
//!             results do not depend on batches or partitions.

mod aggregate; // aggregates over frames
mod evaluate; //  all functions over all rows at hand
mod extreme; //   min and max by a queue
mod foreign; //   functions of other libraries
mod frame; //     the frame of each row
mod gather; //    when the input, or a window, ends
mod prefix; //    sums as differences of running totals
mod rank; //      functions of a row's place
mod reach; //     how far back frames reach
mod rows; //      rows kept by reference
mod running; //   functions kept up row by row
mod snapshot; //  state as columns
mod sorted; //    partitions and peers
mod stream; //    when the watermark has passed a frame, or row by row
mod updating; //  partitions that change
mod value; //     functions that give another row's value
mod windows; //   the windows that partitions belong to

pub(super) use evaluate::look_up;
pub use gather::Over;
pub use stream::StreamOver;
pub use updating::UpdatingOver;
pub(super) use windows::WindowEnds;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};

use crate::expression::{Operand, Program};
use crate::function::KernelContext;
use crate::pipeline::OverSpec;

/// What all forms of the operator are made from.
#[derive(Clone)]
pub struct OverShape {
    pub spec: Arc<OverSpec>,
    /// The types of the wide columns.
    pub types: Vec<DataType>,
    /// The node's columns: those of the rows, then one per call.
    pub output: SchemaRef,
    pub seed: u64,
    pub context: KernelContext,
    pub batch_rows: usize,
}

impl OverShape {
    /// How many wide columns stand before the rows' own.
    fn computed(&self) -> usize {
        self.spec.program.outputs.len()
    }

    /// The wide columns of ORDER BY keys.
    fn order(&self) -> std::ops::Range<usize> {
        self.spec.key_count..self.spec.key_count + self.spec.order.len()
    }

    /// The rows' own columns of wide ones.
    fn own<'a>(&self, wide: &'a [ArrayRef]) -> &'a [ArrayRef] {
        &wide[self.computed()..]
    }
}

/// The program that makes wide rows: its outputs, then all columns of the input.
pub fn wide(program: &Program, input: &SchemaRef) -> Arc<Program> {
    let mut program = program.clone();
    for (column, field) in input.fields().iter().enumerate() {
        program.outputs.push(Operand::Input(column));
        program.output_types.push(field.data_type().clone());
    }
    Arc::new(program)
}

#[cfg(test)]
mod tests;
