//! Aggregates over aggregates: what the inner one takes back, the outer one must forget.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::cell::{Cell, Line, difference, float};
use super::spec::{Aggregate, Function, Key, Spec};
use super::world::World;
use super::{cases, naive, run};

/// The outer aggregates over the inner results.
const OUTER: &str = "count(*), count(n), sum(n), min(n), max(n), avg(n), count(DISTINCT n)";

fn outer(values: &[&Cell]) -> Line {
    let mut numbers: Vec<i64> =
        values.iter().filter_map(|cell| if let Cell::Int(n) = cell { Some(*n) } else { None }).collect();
    numbers.sort_unstable();
    let of_some = |cell: &dyn Fn() -> Cell| if numbers.is_empty() { Cell::Null } else { cell() };
    let sum: i64 = numbers.iter().sum();
    let mut distinct = numbers.clone();
    distinct.dedup();
    vec![
        Cell::Int(values.len() as i64),
        Cell::Int(numbers.len() as i64),
        of_some(&|| Cell::Int(sum)),
        of_some(&|| Cell::Int(numbers[0])),
        of_some(&|| Cell::Int(numbers[numbers.len() - 1])),
        of_some(&|| float(sum as f64 / numbers.len() as f64)),
        Cell::Int(distinct.len() as i64),
    ]
}

#[test]
fn aggregates_over_aggregates_are_as_defined() {
    cases(40, 0xa9, |seed, settings| {
        let (world, mut random) = (World::random(seed), StdRng::seed_from_u64(!seed));
        let windowed = random.random_bool(0.4);
        let function = *[Function::CountAll, Function::SumV, Function::MaxV, Function::CountDistinctS]
            .choose(&mut random)
            .unwrap();
        let inner = Spec {
            keys: vec![Key::K, Key::S],
            aggregates: vec![Aggregate { function, filter: None }],
            ..Spec::random(&mut random, windowed, false)
        };
        let changes = inner.changes;
        let inner = Spec { changes: false, ..inner };
        let result = inner.group_columns();
        // Outer keys: by the second key, by the window, by the result itself (a group then moves), or none.
        let by = match random.random_range(0..4) {
            0 => Some(1),
            1 if windowed => Some(3),
            2 => Some(result),
            _ => None,
        };
        let rows = naive::answer(&[&world], &inner, false).lines;
        let mut groups: BTreeMap<Option<&Cell>, Vec<&Cell>> = BTreeMap::new();
        rows.iter().for_each(|line| groups.entry(by.map(|column| &line[column])).or_default().push(&line[result]));
        if by.is_none() {
            groups.entry(None).or_default();
        }
        let line = |(key, values): (&Option<&Cell>, &Vec<&Cell>)| {
            key.iter().map(|&key| key.clone()).chain(outer(values)).collect()
        };
        let mut expected: Vec<Line> = groups.iter().map(line).collect();
        expected.sort();

        let sql = inner.sql();
        let sql = sql.trim_end_matches(" EMIT FINAL").replace(&format!("AS c{result}"), "AS n");
        let sql = match by {
            None => format!("SELECT {OUTER} FROM ({sql}) AS i"),
            Some(column) if column == result => format!("SELECT n AS g, {OUTER} FROM ({sql}) AS i GROUP BY n"),
            Some(column) => format!("SELECT c{column}, {OUTER} FROM ({sql}) AS i GROUP BY c{column}"),
        };
        let sql = sql + if changes { " EMIT CHANGES" } else { " EMIT FINAL" };
        for setting in settings {
            let compared = run::run(&run::engine(&world, setting), &sql, by.is_some() as usize)
                .and_then(|given| difference(&given.lines, &expected).map_or(Ok(()), Err));
            compared.map_err(|failure| format!("{}, delay {}\n{sql}\n{failure}", setting.show(), world.delay))?;
        }
        Ok(())
    });
}
