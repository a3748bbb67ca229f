//! The four small scenarios of streaming benchmarks gone by, as tables in memory.
//!
//! Place       makes input for tests and benches; not a source itself.
//! Invariants  row `i` is a pure function of `i`. Strings are views of at most 12 bytes.
//!
//! What these data do, for those who check answers: every order passes `total_amount > 100`; in `market_data` with
//! 200 symbols a symbol's price never changes, so minimum, mean and maximum are one; the trades come one a second in
//! 100 pairs of trader and symbol, so a minute's window holds each of its 60 pairs once.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};

use crate::error::Result;

/// Time of the first trade, in milliseconds since 1970.
pub const TRADE_TIME_START_MS: i64 = 1_000_000;
/// Time from one trade to the next.
pub const TRADE_TIME_STEP_MS: i64 = 1_000;

/// Orders, for a plain filter: `order_id`, `customer_id`, `order_date`, `total_amount`.
pub fn orders(rows: usize) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("order_id", integers(rows, |i| i)),
        ("customer_id", integers(rows, |i| i % 1000)),
        ("order_date", texts(rows, |_| "2024-01-15".to_string())),
        ("total_amount", floats(rows, |i| 150 + i % 100)),
    ])?)
}

/// Market data, for aggregates per key: `symbol` (one of 200), `price`, `quantity`.
pub fn market_data(rows: usize) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("symbol", texts(rows, |i| format!("SYM{}", i % 200))),
        ("price", floats(rows, |i| 100 + i % 100)),
        ("quantity", integers(rows, |i| i % 1000)),
    ])?)
}

/// Trades, for windows of a minute: `trader_id`, `symbol`, `price`, `quantity`, `trade_time`.
pub fn trades(rows: usize) -> Result<RecordBatch> {
    let time = |i| TRADE_TIME_START_MS + i * TRADE_TIME_STEP_MS;
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_iter_values(numbers(rows).map(time)));
    Ok(RecordBatch::try_from_iter([
        ("trader_id", texts(rows, |i| format!("T{}", i % 50))),
        ("symbol", texts(rows, |i| format!("SYM{}", i % 100))),
        ("price", floats(rows, |i| 100 + i % 50)),
        ("quantity", integers(rows, |i| i % 1000)),
        ("trade_time", times),
    ])?)
}

fn numbers(rows: usize) -> impl Iterator<Item = i64> {
    0..rows as i64
}

fn integers(rows: usize, value: impl Fn(i64) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(numbers(rows).map(value)))
}

fn floats(rows: usize, value: impl Fn(i64) -> i64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(numbers(rows).map(|i| value(i) as f64)))
}

fn texts(rows: usize, value: impl Fn(i64) -> String) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(numbers(rows).map(value)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type, TimestampMillisecondType};

    use super::*;

    #[test]
    fn every_order_passes() {
        let orders = orders(1000).unwrap();
        let amounts = orders.column(3).as_primitive::<Float64Type>();
        assert!(amounts.values().iter().all(|amount| (150.0..=249.0).contains(amount)));
        assert_eq!(orders.column(0).as_primitive::<Int64Type>().value(999), 999);
    }

    #[test]
    fn a_symbol_has_one_price_and_a_known_sum() {
        let data = market_data(100_000).unwrap();
        let (symbols, prices) = (data.column(0).as_string_view(), data.column(1).as_primitive::<Float64Type>());
        let quantities = data.column(2).as_primitive::<Int64Type>();
        let mut groups: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for row in 0..data.num_rows() {
            let symbol = symbols.value(row);
            let number: i64 = symbol[3..].parse().unwrap();
            assert_eq!(prices.value(row), (100 + number % 100) as f64);
            let group = groups.entry(symbol).or_default();
            *group = (group.0 + 1, group.1 + quantities.value(row));
        }
        assert_eq!(groups.len(), 200);
        for (symbol, (count, sum)) in groups {
            let number: i64 = symbol[3..].parse().unwrap();
            assert_eq!((count, sum), (500, 500 * number + 200_000), "{symbol}");
        }
    }

    #[test]
    fn a_window_holds_each_pair_once() {
        let trades = trades(1000).unwrap();
        let (traders, symbols) = (trades.column(0).as_string_view(), trades.column(1).as_string_view());
        let times = trades.column(4).as_primitive::<TimestampMillisecondType>();
        let mut windows: BTreeMap<i64, HashSet<(&str, &str)>> = BTreeMap::new();
        for row in 0..trades.num_rows() {
            let window = times.value(row) / 60_000 * 60_000;
            let is_new = windows.entry(window).or_default().insert((traders.value(row), symbols.value(row)));
            assert!(is_new, "row {row} repeats a pair of its window");
        }
        let sizes: Vec<usize> = windows.values().map(HashSet::len).collect();
        assert_eq!((windows.keys().next(), sizes[0], sizes[1], *sizes.last().unwrap()), (Some(&960_000), 20, 60, 20));
        assert_eq!(symbols.data_buffers().len(), 0);
    }
}
