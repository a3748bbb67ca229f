//! Groups rows and aggregates each group: at the end, on every change, or per window.
//!
//! Place       after exchange (a key lives in one partition).
//! Owns        a table of groups, or one per open pane.

mod changes; //  old and new results of the groups that a batch touched
mod distinct; // each value once per group
mod local; //    groups made before an exchange
mod plain; //    one table for all rows
mod row_count; // windows of so many rows, per key
mod session; //  sessions, per key
mod sets; //     several sets of keys
mod states; //   the states of all aggregates, side by side
mod table; //    groups and the states of their aggregates
mod windowed; // a table per pane, merged and emitted as windows close

pub use local::{counts_distinct_alone, different_rows, may_be_local};
pub use plain::Aggregate;
pub use row_count::RowCountAggregate;
pub use session::SessionAggregate;
pub(super) use session::{Sessions, moved};
pub use sets::GroupingSets;
pub use windowed::WindowedAggregate;

use millstream_kernels::level::Level;
use std::sync::Arc;

use arrow::datatypes::DataType;

use crate::expression::Operand;
use crate::function::{AggregateStates, KernelContext};
use crate::pipeline::{AggregateCall, AggregateSpec};

/// What every table of one aggregate operator is made from.
#[derive(Debug, Clone)]
pub struct TableShape {
    pub key_types: Vec<DataType>,
    /// Where the arguments of the calls begin among the program's outputs.
    first_argument: usize,
    pub calls: Arc<Vec<crate::pipeline::AggregateCall>>,
    /// For a DISTINCT call, the earlier one without a filter that has the same arguments; both counted among the calls that have
    /// states of their own.
    owners: Arc<Vec<Option<usize>>>,
    pub seed: u64,
    pub context: KernelContext,
    /// Whether tables that were merged into others will be taken out again.
    pub unmerges: bool,
    /// Whether group 0 is all that a table can have.
    pub one_group: bool,
}

impl TableShape {
    /// The shape that `spec` asks for.
    pub fn new(spec: &AggregateSpec, seed: u64, context: KernelContext) -> Self {
        let key_types = spec.program.output_types[..spec.key_count].to_vec();
        let (calls, one_group) = (Arc::new(spec.aggregates.clone()), key_types.is_empty());
        let owners = Arc::new(owners(spec));
        let first_argument = spec.key_count;
        TableShape { key_types, first_argument, calls, owners, seed, context, unmerges: false, one_group }
    }

    /// The same for some of the keys alone.
    fn of_keys(&self, keys: &[usize]) -> Self {
        let key_types: Vec<DataType> = keys.iter().map(|&key| self.key_types[key].clone()).collect();
        TableShape { one_group: key_types.is_empty(), key_types, ..self.clone() }
    }

    /// The types of keys, then `between`, then results.
    fn output_types(&self, between: &[DataType]) -> Vec<DataType> {
        let results = self.calls.iter().map(|call| call.function.result_type());
        self.key_types.iter().cloned().chain(between.iter().cloned()).chain(results).collect()
    }

    /// The calls that have states.
    fn own_calls(&self) -> impl Iterator<Item = &AggregateCall> {
        self.calls.iter().filter(|call| call.of.is_none())
    }

    /// The call whose pairs a call with states of its own sees.
    fn owner(&self, number: usize) -> Option<usize> {
        self.owners.get(number).copied().flatten()
    }

    /// How many columns the states of all aggregates are when they are saved.
    fn state_columns(&self) -> usize {
        self.own_calls().map(|call| if call.distinct { 1 } else { call.function.state_types().len() }).sum()
    }

    fn level(&self) -> Level {
        self.context.level
    }
}

/// For each call with states of its own, the earlier one that sees all its pairs of group and arguments.
fn owners(spec: &AggregateSpec) -> Vec<Option<usize>> {
    let calls: Vec<&AggregateCall> = spec.aggregates.iter().filter(|call| call.of.is_none()).collect();
    let mut output = spec.key_count;
    let args = calls.iter().map(|call| {
        let args = &spec.program.outputs[output..output + call.arg_count];
        output += call.arg_count + usize::from(call.filtered);
        args
    });
    let args: Vec<&[Operand]> = args.collect();
    let shares = |call: usize, owner: usize| {
        let (one, other) = (calls[call], calls[owner]);
        let alike = other.distinct && !other.filtered && one.function.skips_nulls() == other.function.skips_nulls();
        alike && args[call] == args[owner]
    };
    let owner = |call: usize| (0..call).find(|&owner| shares(call, owner));
    (0..calls.len()).map(|call| calls[call].distinct.then(|| owner(call)).flatten()).collect()
}

/// Empty states of a call, each value once where it says DISTINCT.
pub(super) fn call_states(call: &AggregateCall, seed: u64, context: KernelContext) -> Box<dyn AggregateStates> {
    let states = call.function.states();
    match call.distinct {
        true => {
            // Without a key there would be one group, and values would be told apart without it.
            let shape = TableShape {
                key_types: vec![DataType::UInt32],
                first_argument: 0,
                calls: Arc::default(),
                owners: Arc::default(),
                seed,
                context,
                unmerges: false,
                one_group: false,
            };
            Box::new(distinct::Distinct::new(&shape, call, states, false))
        }
        false => states,
    }
}
