//! A table of groups on its way to twenty million: how long a batch takes at most.
//!
//! Question    does growing hold a batch up? Median, 99th percentile and greatest time of a batch of 8,192 new keys,
//!             with a count and a sum per group; without the time that the thread waited for a CPU that others had.
//! Data        keys that are all different: integers spread over 64 bits, text of 12 bytes (its own view) and of 24.
//! Sizes       `MILLSTREAM_BENCH_GROUPS` (default twenty million); 100,000 when run by `cargo test`.
//!
//! With `--json`, a line of JSON for each kind of key instead.

mod support;

use std::sync::Arc;

use millstream::arrow::array::{ArrayRef, Int64Array, StringViewArray};
use millstream::arrow::datatypes::DataType;
use millstream::batch::{Argument, Column};
use millstream::function::{KernelContext, Update, aggregate};
use millstream::state::GroupIndex;
use serde_json::json;
use support::own_nanoseconds;

const ROWS: usize = 8192;

fn main() {
    let tiny = !std::env::args().any(|argument| argument == "--bench");
    let wanted = std::env::var("MILLSTREAM_BENCH_GROUPS").ok().and_then(|groups| groups.parse().ok());
    let wanted: usize = wanted.unwrap_or(if tiny { 100_000 } else { 20_000_000 });
    let key = |row: usize| (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    grow("integer", wanted, DataType::Int64, |rows| {
        Arc::new(Int64Array::from_iter_values(rows.map(|row| key(row) as i64)))
    });
    let text = |rows: std::ops::Range<usize>, tail: &str| -> ArrayRef {
        // Different numbers below 2^48 stay different.
        let number = |row: usize| key(row) & 0xFFFF_FFFF_FFFF;
        Arc::new(StringViewArray::from_iter_values(rows.map(|row| format!("{:012x}{tail}", number(row)))))
    };
    grow("text, 12 bytes", wanted, DataType::Utf8View, |rows| text(rows, ""));
    grow("text, 24 bytes", wanted, DataType::Utf8View, |rows| text(rows, "@example.com"));
}

/// Takes in batches of new keys, and prints how long they took.
fn grow(name: &str, wanted: usize, key_type: DataType, keys: impl Fn(std::ops::Range<usize>) -> ArrayRef) {
    let context = KernelContext::default();
    let mut index = GroupIndex::new(vec![key_type], 1, context.level);
    let state = |name: &str| aggregate::resolve(name, &[DataType::Int64], &DataType::Int64).expect("a native one");
    let mut states = [state("count").states(), state("sum").states()];
    let mut groups = Vec::new();
    let mut times = Vec::new();
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let values = Column::Array(values);
    for batch in 0..wanted.div_ceil(ROWS) {
        let keys = Column::Array(keys(batch * ROWS..(batch + 1) * ROWS));
        let taken = own_nanoseconds(|| {
            index.lookup(&[Argument::new(&keys, None, ROWS)], ROWS, &mut groups).expect("groups");
            let args = [Argument::new(&values, None, ROWS)];
            let update = Update { groups: &groups, group_count: index.len(), args: &args, filter: None, changes: None };
            states.iter_mut().for_each(|states| states.update(&context, &update).expect("an update"));
        });
        times.push(taken / 1e6);
    }
    assert_eq!(index.len(), times.len() * ROWS, "every key is a group");
    let total: f64 = times.iter().sum();
    let longest = (0..times.len()).max_by(|a, b| times[*a].total_cmp(&times[*b])).unwrap_or(0) * ROWS;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    if std::env::args().any(|argument| argument == "--json") {
        let row = total * 1e6 / index.len() as f64;
        println!(
            "{}",
            json!({ "keys": name, "groups": index.len(), "row": row, "half": at(0.5), "p99": at(0.99), "p999": at(0.999), "most": at(1.0) })
        );
        return;
    }
    println!(
        "{name}: {} groups, {}: {:.1} ns a row; a batch takes {:.2} ms, one in a hundred {:.2}, one in a thousand {:.2}, at most {:.2} (at {longest} groups)",
        index.len(),
        index.describe(),
        total * 1e6 / index.len() as f64,
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    );
}
