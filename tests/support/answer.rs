//! Answers as text, changes folded up.

use std::collections::BTreeMap;

use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};
use millstream::query::Rows;

/// Rows as text, each with how often it is there.
pub type Answer = BTreeMap<String, i64>;

/// Adds rows, or takes them back as their changes say.
pub fn fold(answer: &mut Answer, rows: &Rows) {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        rows.batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    for row in 0..rows.batch.num_rows() {
        let text: Vec<_> = columns.iter().map(|column| column.value(row).to_string()).collect();
        let weight = rows.changes.as_ref().map_or(1, |changes| changes[row].weight());
        let count = answer.entry(text.join(" ")).or_default();
        *count += weight;
        if *count == 0 {
            answer.remove(&text.join(" "));
        }
    }
}
