//! An aggregate of a shared library: its states are bytes of ours.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder};
use arrow::datatypes::DataType;
use millstream_kernels::bitmap;
use millstream_native::{Arg, Kernel, Output, States, Text, Word, abi};
use smallvec::SmallVec;

use super::column::{self, Ready, Run};
use crate::batch::Column;
use crate::error::{Error, Result};
use crate::function::scalar::write::and_validity;
use crate::function::{AggregateFunction, AggregateStates, KernelContext, Update};

/// An aggregate with the types that it says it has.
pub(super) struct NativeAggregate {
    kernel: Arc<Kernel>,
    args: Vec<DataType>,
    result: DataType,
}

impl NativeAggregate {
    pub(super) fn new(kernel: Kernel, args: Vec<DataType>, result: DataType) -> Self {
        NativeAggregate { kernel: Arc::new(kernel), args, result }
    }
}

impl fmt::Debug for NativeAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeAggregate({}{})", self.kernel.name, self.kernel.signature)
    }
}

impl AggregateFunction for NativeAggregate {
    fn name(&self) -> &str {
        &self.kernel.name
    }

    fn result_type(&self) -> DataType {
        self.result.clone()
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BinaryView]
    }

    fn states(&self) -> Box<dyn AggregateStates> {
        Box::new(NativeStates {
            kernel: self.kernel.clone(),
            args: self.args.clone(),
            result: self.result.clone(),
            states: States::default(),
            mask: Vec::new(),
        })
    }

    fn can_retract(&self) -> bool {
        self.kernel.can_retract()
    }

    fn is_order_sensitive(&self) -> bool {
        self.kernel.has(abi::ORDER_SENSITIVE)
    }

    fn skips_nulls(&self) -> bool {
        !self.kernel.has(abi::TAKES_NULLS)
    }
}

struct NativeStates {
    kernel: Arc<Kernel>,
    args: Vec<DataType>,
    result: DataType,
    states: States,
    mask: Vec<u64>,
}

impl NativeStates {
    fn failed(&self, why: &str) -> Error {
        Error::user(format!("the function {} failed: {why}", self.kernel.name))
    }

    /// The rows that count: those of the filter without nulls where these are skipped; `false`: all do.
    fn mask_rows(&mut self, context: &KernelContext, update: &Update<'_>) -> bool {
        let rows = update.groups.len();
        let skips = !self.kernel.has(abi::TAKES_NULLS);
        let masked = skips && and_validity(context.level, update.args.iter(), rows, &mut self.mask);
        let Some(filter) = update.filter else { return masked };
        let filter = &filter[..bitmap::words(rows)];
        if masked {
            bitmap::and_with(context.level, &mut self.mask, filter);
        } else {
            self.mask.clear();
            self.mask.extend_from_slice(filter);
        }
        true
    }
}

struct Finish<'c> {
    kernel: &'c Kernel,
    states: &'c States,
    groups: &'c [u32],
}

impl Run for Finish<'_> {
    fn fixed<T: Word>(&self, is_bits: bool, out: Output<'_, T>) -> std::result::Result<(), String> {
        self.kernel.finish(self.states, self.groups, is_bits, out)
    }

    fn text(&self, out: &Text) -> std::result::Result<ArrayRef, String> {
        self.kernel.finish_text(self.states, self.groups, out)
    }
}

impl AggregateStates for NativeStates {
    fn update(&mut self, context: &KernelContext, update: &Update<'_>) -> Result<()> {
        self.kernel.grow(&mut self.states, update.group_count);
        let rows = update.groups.len();
        if rows == 0 {
            return Ok(());
        }
        let masked = self.mask_rows(context, update);
        let ready = update.args.iter().zip(&self.args).map(|(arg, data_type)| Ready::new(arg, data_type, rows));
        let ready = ready.collect::<Result<SmallVec<[Ready<'_>; 4]>>>()?;
        let lent: SmallVec<[Arg<'_>; 4]> = ready.iter().map(Ready::arg).collect();
        let kernel = self.kernel.clone();
        let mut run =
            |mask: Option<&[u64]>, retract: bool| kernel.update(&mut self.states, update.groups, mask, &lent, retract);
        let mask = masked.then_some(&self.mask[..]);
        let retracted = update.changes.filter(|changes| changes.iter().any(|change| change.is_retraction()));
        let ran = match retracted {
            None => run(mask, false),
            Some(changes) => {
                let side = |retracts: bool| {
                    let mut words = vec![0u64; bitmap::words(rows)];
                    for (row, change) in changes.iter().enumerate() {
                        if change.is_retraction() == retracts && mask.is_none_or(|mask| bitmap::get(mask, row)) {
                            bitmap::set(&mut words, row);
                        }
                    }
                    words
                };
                let (put_in, taken_out) = (side(false), side(true));
                run(Some(&put_in), false).and_then(|()| run(Some(&taken_out), true))
            }
        };
        ran.map_err(|why| self.failed(&why))
    }

    fn merge(&mut self, groups: &[u32], group_count: usize, other: &mut dyn AggregateStates) -> Result<()> {
        let other = other.as_any_mut().downcast_mut::<Self>();
        let other = other.ok_or_else(|| Error::bug("states of different aggregates cannot be merged"))?;
        self.kernel.grow(&mut other.states, groups.len());
        self.kernel.grow(&mut self.states, group_count);
        for (from, &to) in groups.iter().enumerate() {
            let merged = self.kernel.merge(&mut self.states, to as usize, &other.states, from);
            merged.map_err(|why| self.failed(&why))?;
        }
        Ok(())
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        self.kernel.grow(&mut self.states, groups.iter().max().map_or(0, |&group| group as usize + 1));
        let finish = Finish { kernel: &self.kernel, states: &self.states, groups };
        column::result(&finish, &self.result, groups.len(), None, out).map_err(|why| self.failed(&why))
    }

    fn save(&mut self, group_count: usize) -> Result<Vec<ArrayRef>> {
        self.kernel.grow(&mut self.states, group_count);
        let mut column = BinaryViewBuilder::with_capacity(group_count);
        for group in 0..group_count {
            column.append_value(self.states.bytes(group, self.kernel.state_size()));
        }
        Ok(vec![Arc::new(column.finish())])
    }

    fn merge_saved(&mut self, groups: &[u32], group_count: usize, columns: &[ArrayRef]) -> Result<()> {
        let wrong = || Error::bug("saved states are of another aggregate");
        let column = columns[0].as_binary_view_opt().ok_or_else(wrong)?;
        let mut saved = States::default();
        for row in 0..column.len() {
            if !saved.push_bytes(column.value(row), self.kernel.state_size()) {
                return Err(wrong());
            }
        }
        self.kernel.grow(&mut self.states, group_count);
        for (from, &to) in groups.iter().enumerate() {
            let merged = self.kernel.merge(&mut self.states, to as usize, &saved, from);
            merged.map_err(|why| self.failed(&why))?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
    }

    fn size_bytes(&self) -> usize {
        self.states.size_bytes() + self.mask.capacity() * 8
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
