//! Aggregates whose results the states of others tell: of `SUM(x), AVG(x), COUNT(x)` one is computed.
//!
//! They must see the same rows: equal arguments, equal filters, no DISTINCT. `COUNT(*)` sees those of any aggregate whose
//! arguments are never null.

use crate::expression::{Operand, Program};
use crate::pipeline::AggregateCall;

/// What a call sees, and whether its arguments may be null.
struct Seen {
    args: Vec<Operand>,
    filter: Option<Operand>,
    nullable: bool,
}

/// Lets calls be read from the states of others and takes what only they needed out of `program`, whose outputs are the
/// keys, then the arguments and the filter of each call; `nullable`: whether a call has an argument that may be null.
pub(super) fn share(program: &mut Program, key_count: usize, calls: &mut [AggregateCall], nullable: &[bool]) {
    let seen = seen(program, key_count, calls, nullable);
    let reads = |call: usize, other: usize| {
        let same_rows = match seen[call].args.is_empty() {
            true => !seen[other].args.is_empty() && !seen[other].nullable,
            false => seen[call].args == seen[other].args,
        };
        call != other
            && same_rows
            && seen[call].filter == seen[other].filter
            && !calls[call].distinct
            && !calls[other].distinct
            && calls[other].function.covers(calls[call].function.as_ref())
    };
    // Of two that tell each other's results the first one has the states.
    let is_below = |call: usize, other: usize| reads(call, other) && (other < call || !reads(other, call));
    let all = 0..calls.len();
    let own: Vec<bool> = all.clone().map(|call| !all.clone().any(|other| is_below(call, other))).collect();
    let of: Vec<Option<usize>> = all
        .clone()
        .map(|call| if own[call] { None } else { all.clone().find(|&other| own[other] && reads(call, other)) })
        .collect();
    let mut at = key_count;
    for (call, of) in calls.iter_mut().zip(of) {
        let count = call.arg_count + usize::from(call.filtered);
        if of.is_none() {
            at += count;
            continue;
        }
        program.outputs.drain(at..at + count);
        program.output_types.drain(at..at + count);
        (call.of, call.arg_count, call.filtered) = (of, 0, false);
    }
}

fn seen(program: &Program, key_count: usize, calls: &[AggregateCall], nullable: &[bool]) -> Vec<Seen> {
    let mut at = key_count;
    let seen = calls.iter().zip(nullable).map(|(call, &nullable)| {
        let args = program.outputs[at..at + call.arg_count].to_vec();
        at += call.arg_count;
        let filter = call.filtered.then(|| program.outputs[at]);
        at += usize::from(call.filtered);
        Seen { args, filter, nullable }
    });
    seen.collect()
}
