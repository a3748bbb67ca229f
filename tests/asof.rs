//! Joins by the nearest over rows that come and go: what has come out, folded up, is what a naive join of the rows that are
//! there would give, after every step and over restarts with other numbers of workers.
#![allow(clippy::unwrap_used, reason = "a failed unwrap in a test is a failed test")]

use std::collections::BTreeMap;

use millstream::config::Config;
use millstream::testing::{Driver, Source};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Key and order, either of which may be NULL, by the number of the row.
type Table = BTreeMap<i64, (Option<i64>, Option<i64>)>;
/// Lines, and how often each is there.
type Answer = BTreeMap<String, i64>;

fn show(value: Option<i64>) -> String {
    value.map_or("NULL".to_string(), |value| value.to_string())
}

/// A line that gives a row, or takes one away, of which the table is told.
fn change(random: &mut StdRng, table: &mut Table) -> String {
    let id = random.random_range(0..12);
    if random.random_bool(0.2) {
        table.remove(&id);
        return format!("-D {id}");
    }
    let mut value = |most: i64| random.random_bool(0.95).then(|| random.random_range(0..most));
    let row = (value(3), value(8));
    table.insert(id, row);
    format!("+I {id} | {} | {}", show(row.0), show(row.1))
}

/// All pairs as lines. Of right rows with one order the one with the least number, the primary key, is met.
fn expected(left: &Table, right: &Table, sign: &str, outer: bool) -> Answer {
    let mut answer = Answer::new();
    for (id, (key, order)) in left {
        let fits = |(_, (other_key, other)): &(&i64, &(Option<i64>, Option<i64>))| {
            let (Some(key), Some(order), Some(other_key), Some(other)) = (key, order, other_key, other) else {
                return false;
            };
            key == other_key
                && match sign {
                    ">=" => order >= other,
                    ">" => order > other,
                    "<=" => order <= other,
                    _ => order < other,
                }
        };
        let met = right.iter().filter(fits).filter_map(|(id, (_, other))| Some(((*other)?, *id)));
        let nearest = if sign.starts_with('>') {
            met.max_by_key(|(order, id)| (*order, std::cmp::Reverse(*id)))
        } else {
            met.min()
        };
        if nearest.is_some() || outer {
            let (other, number) = (nearest.map(|(order, _)| order), nearest.map(|(_, id)| id));
            let line = format!("{id} | {} | {} | {} | {}", show(*key), show(*order), show(other), show(number));
            *answer.entry(line).or_insert(0) += 1;
        }
    }
    answer
}

#[test]
fn folded_changes_are_the_join_of_what_is_there() {
    for seed in 0..24 {
        let mut random = StdRng::seed_from_u64(seed);
        let sign = [">=", ">", "<=", "<"][seed as usize % 4];
        let outer = random.random_bool(0.5);
        let mut workers = random.random_range(1..4);
        let mut driver = Driver::new(Config { partitions: workers, ..Config::default() }).unwrap();
        for table in ["a", "b"] {
            driver.source(table, Source::default());
            driver.execute(&format!("CREATE TABLE {table} (id BIGINT, k BIGINT, n BIGINT, PRIMARY KEY (id))")).unwrap();
        }
        let kind = if outer { "ASOF LEFT JOIN" } else { "ASOF JOIN" };
        let sql = format!("SELECT a.id, a.k, a.n, b.n AS m, b.id AS j FROM a {kind} b ON a.k = b.k AND a.n {sign} b.n");
        driver.query(&sql).unwrap();
        let (mut left, mut right, mut answer) = (Table::new(), Table::new(), Answer::new());
        for step in 0..40 {
            if random.random_bool(0.1) {
                workers = random.random_range(1..4);
                driver.restart(Some(workers)).unwrap();
            }
            let is_left = random.random_bool(0.5);
            let table = if is_left { &mut left } else { &mut right };
            let lines: Vec<String> = (0..random.random_range(1..6)).map(|_| change(&mut random, table)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            driver.push_lines(if is_left { "a" } else { "b" }, 0, &lines).unwrap();
            let came = driver.settle().unwrap();
            for line in &came {
                let (change, row) = line.split_once(' ').unwrap();
                *answer.entry(row.to_string()).or_insert(0) += if change.starts_with('+') { 1 } else { -1 };
            }
            // What was pushed at once comes in one batch, unless several workers pass it on.
            for line in came.iter().filter(|_| workers == 1) {
                let (change, row) = line.split_once(' ').unwrap();
                let twin = format!("{} {row}", if change == "+I" { "-D" } else { "+I" });
                assert!(!came.contains(&twin), "seed {seed}, step {step}: {line} and its own removal: {came:?}");
            }
            answer.retain(|_, count| *count != 0);
            assert_eq!(answer, expected(&left, &right, sign, outer), "seed {seed}, step {step}: {sql}");
        }
    }
}

/// Of right rows with one order it is the same one, whatever the order of arrival and the way of joining.
#[test]
fn ties_are_decided_as_over_rows_that_stay() {
    let rows = ["1 | 5 | x", "1 | 5 | y", "1 | 5 | z", "1 | 4 | w"];
    let mut answers = Vec::new();
    for (turn, left) in [(0, "(n BIGINT, at BIGINT)"), (2, "(n BIGINT, at BIGINT, PRIMARY KEY (n))")] {
        for sign in [">=", "<="] {
            let mut driver = Driver::new(Config { partitions: 1, ..Config::default() }).unwrap();
            driver.source("a", Source { bounded: true, ..Source::default() });
            driver.source("b", Source { bounded: true, ..Source::default() });
            driver.execute(&format!("CREATE TABLE a {left}; CREATE TABLE b (n BIGINT, at BIGINT, s TEXT)")).unwrap();
            driver.query(&format!("SELECT s FROM a ASOF JOIN b ON a.n = b.n AND a.at {sign} b.at")).unwrap();
            let mut rows = rows;
            rows.rotate_left(turn);
            driver.push_lines("b", 0, &rows).unwrap();
            driver.push_lines("a", 0, &["1 | 5"]).unwrap();
            driver.end("b", None).unwrap();
            driver.end("a", None).unwrap();
            let came = driver.settle().unwrap();
            assert_eq!(came.len(), 1, "{came:?}");
            answers.push(came[0].trim_start_matches("+I ").to_string());
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

/// A row and what it had met of a table go together, whatever the table holds by then, over restarts with other numbers of
/// workers.
#[test]
fn what_was_met_of_a_table_goes_with_its_row() {
    for seed in 0..24 {
        let mut random = StdRng::seed_from_u64(seed);
        let outer = random.random_bool(0.5);
        let mut workers = random.random_range(1..4);
        let mut driver = Driver::new(Config { partitions: workers, ..Config::default() }).unwrap();
        for table in ["a", "b"] {
            driver.source(table, Source::default());
            driver.execute(&format!("CREATE TABLE {table} (id BIGINT, k BIGINT, n BIGINT, PRIMARY KEY (id))")).unwrap();
        }
        let kind = if outer { "LEFT JOIN" } else { "JOIN" };
        let on = "a.k = b.k AND a.n < b.n + 4";
        let sql = format!("SELECT a.id, a.k, a.n, b.id AS j FROM a {kind} b FOR SYSTEM_TIME AS OF PROCTIME() ON {on}");
        driver.query(&sql).unwrap();
        let (mut left, mut right, mut answer) = (Table::new(), Table::new(), Answer::new());
        let mut met: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for step in 0..40 {
            if random.random_bool(0.1) {
                workers = random.random_range(1..4);
                driver.restart(Some(workers)).unwrap();
            }
            let is_left = random.random_bool(0.6);
            let table = if is_left { &mut left } else { &mut right };
            let before = table.clone();
            let lines: Vec<String> = (0..random.random_range(1..6)).map(|_| change(&mut random, table)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            driver.push_lines(if is_left { "a" } else { "b" }, 0, &lines).unwrap();
            for line in driver.settle().unwrap() {
                let (change, row) = line.split_once(' ').unwrap();
                *answer.entry(row.to_string()).or_insert(0) += if change.starts_with('+') { 1 } else { -1 };
            }
            answer.retain(|_, count| *count != 0);
            if is_left {
                met.retain(|id, _| left.get(id) == before.get(id));
                for (id, row) in left.iter().filter(|(id, row)| before.get(id) != Some(row)) {
                    met.insert(*id, pairs(*id, *row, &right, outer));
                }
            }
            let mut expected = Answer::new();
            met.values().flatten().for_each(|line| *expected.entry(line.clone()).or_insert(0) += 1);
            assert_eq!(answer, expected, "seed {seed}, step {step}: {sql}");
        }
    }
}

/// A left row beside each right row that it meets now.
fn pairs(id: i64, (key, n): (Option<i64>, Option<i64>), right: &Table, outer: bool) -> Vec<String> {
    let fits = |(_, (other, m)): &(&i64, &(Option<i64>, Option<i64>))| {
        key.is_some() && key == *other && n.zip(*m).is_some_and(|(n, m)| n < m + 4)
    };
    let line = |other: Option<i64>| format!("{id} | {} | {} | {}", show(key), show(n), show(other));
    let mut lines: Vec<String> = right.iter().filter(fits).map(|(other, _)| line(Some(*other))).collect();
    if lines.is_empty() && outer {
        lines.push(line(None));
    }
    lines
}
