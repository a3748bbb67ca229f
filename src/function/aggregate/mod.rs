//! Aggregate functions: their states are columns indexed by group, a family of functions per file.
//!
//! Place       `sql/compile` asks [`resolve`] first; what answers `None` goes to the function library.
//! Owns        per table of groups, a state for each: plain values in a vector, the bytes of strings one behind the
//!             other in a vector of the table; vectors grow by doubling and keep their memory when they are cleared.
//! Invariants  rows under nulls and filtered rows touch no state (but where nulls are values: `first_value`); a result
//!             depends on the rows, not on how they were cut into batches; after warm-up an update allocates nothing
//!             unless there are new groups.

pub(in crate::function) mod table; // what all share: which rows count, growing, merging, saving
mod value; //   arguments as slices, results as columns
mod store; //   one value of any type per group
mod compensated; // sums of floats with their rounding errors
mod count; //   count
mod integer; // sum and avg of integers
mod float; //   sum and avg of floats
pub(crate) mod decimal; // sum and avg of decimals
mod extreme; // min and max of fixed-width values
mod text; //    min and max of strings
mod boolean; // bool_and, bool_or, and min and max of booleans
mod moments; // variance and standard deviation
mod correlation; // corr
mod position; // first_value, last_value
mod bits; //    bit_and, bit_or, bit_xor
mod quantile; // median, percentile_cont

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::AggregateFunction;

/// The native aggregate called `name` over arguments of these types, `None` where there is none.
///
/// Shapes: names in lower case, aliases included; `args` are the types after coercion, `result` the planner's type.
pub fn resolve(name: &str, args: &[DataType], result: &DataType) -> Option<Arc<dyn AggregateFunction>> {
    if name == "count" {
        return (*result == DataType::Int64).then(count::function);
    }
    if let ("percentile_cont", [arg, share]) = (name, args) {
        return quantile::percentile(arg, share, result);
    }
    if let ("corr", [x, y]) = (name, args) {
        return correlation::function(x, y, result);
    }
    let [arg] = args else { return None };
    match name {
        "sum" | "avg" | "mean" => integer::function(name, arg, result)
            .or_else(|| float::function(name, arg, result))
            .or_else(|| decimal::function(name, arg, result)),
        _ if arg == result && matches!(name, "min" | "max") => {
            extreme::function(name, arg).or_else(|| text::function(name, arg)).or_else(|| boolean::function(name, arg))
        }
        "bool_and" | "bool_or" | "every" if arg == result => boolean::function(name, arg),
        "first_value" | "last_value" if arg == result => position::function(name, arg),
        "bit_and" | "bit_or" | "bit_xor" if arg == result => bits::function(name, arg),
        "median" if arg == result => quantile::median(arg),
        _ => moments::function(name, arg, result),
    }
}

#[cfg(test)]
mod tests;
