//! Queries of other shapes: DISTINCT, UNION ALL, ORDER BY with LIMIT, GROUPING SETS, nothing at all.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::cell::{Cell, Line, difference, optional};
use super::run::{self, Setting};
use super::spec::{Condition, Key, Spec};
use super::world::{Event, World};
use super::{cases, naive};

/// Runs `sql` under each setting; `sorted`: the order of rows does not count.
fn check(world: &World, sql: &str, expected: &[Line], sorted: bool, settings: &[Setting]) -> Result<(), String> {
    for setting in settings {
        let compared = run::run(&run::engine(world, setting), sql, 0).and_then(|given| {
            let lines = if sorted { given.lines } else { given.emitted.into_iter().map(|(_, _, line)| line).collect() };
            difference(&lines, expected).map_or(Ok(()), Err)
        });
        compared.map_err(|failure| format!("{}\n{sql}\n{failure}", setting.show()))?;
    }
    Ok(())
}

fn passing(world: &World, condition: Condition) -> impl Iterator<Item = &Event> {
    world.partitions.iter().flatten().filter(move |event| condition.of(event) == Some(true))
}

fn int(value: Option<i64>) -> Cell {
    optional(value, Cell::Int)
}

fn text(value: Option<&str>) -> Cell {
    optional(value, |text| Cell::Text(text.to_string()))
}

#[test]
fn distinct_rows_are_there_once() {
    cases(10, 0xd1, |seed, settings| {
        let (world, mut random) = (World::random(seed), StdRng::seed_from_u64(!seed));
        let condition = Condition::random(&mut random);
        let line = |event: &Event| vec![int(event.k.map(|k| k % 3)), text(event.s)];
        let mut expected: Vec<Line> = passing(&world, condition).map(line).collect();
        expected.sort();
        expected.dedup();
        let emit = ["FINAL", "CHANGES"].choose(&mut random).unwrap();
        let sql = format!("SELECT DISTINCT k % 3 AS r, s FROM t WHERE {} EMIT {emit}", condition.sql());
        check(&world, &sql, &expected, true, settings)
    });
}

#[test]
fn a_union_has_the_rows_of_both() {
    cases(10, 0x11, |seed, settings| {
        let (world, mut random) = (World::random(seed), StdRng::seed_from_u64(!seed));
        let (first, second) = (Condition::random(&mut random), Condition::random(&mut random));
        let sides = [(first, "k, s, v", 0), (second, "k + 1, s, v", 1)];
        let select = |(condition, columns, _): &(Condition, &str, i64)| {
            format!("SELECT {columns} FROM t WHERE {}", condition.sql())
        };
        let mut expected: Vec<Line> = Vec::new();
        for (condition, _, plus) in &sides {
            let line = |event: &Event| vec![int(event.k.map(|k| k + plus)), text(event.s), int(event.v)];
            expected.extend(passing(&world, *condition).map(line));
        }
        expected.sort();
        let union = sides.each_ref().map(select).join(" UNION ALL ");
        check(&world, &union, &expected, true, settings)?;
        let grouped = format!("SELECT c0, count(*), sum(c2) FROM ({union}) AS u(c0, c1, c2) GROUP BY c0");
        let mut groups: std::collections::BTreeMap<Cell, Vec<&Line>> = Default::default();
        expected.iter().for_each(|line| groups.entry(line[0].clone()).or_default().push(line));
        let sum = |lines: &[&Line]| {
            let values = lines.iter().filter_map(|line| if let Cell::Int(v) = line[2] { Some(v) } else { None });
            values.reduce(|a, b| a + b)
        };
        let mut expected: Vec<Line> = groups
            .iter()
            .map(|(key, lines)| vec![key.clone(), Cell::Int(lines.len() as i64), int(sum(lines))])
            .collect();
        expected.sort();
        check(&world, &grouped, &expected, true, settings)
    });
}

/// Windows over two tables, each row late or not by the watermark of its own source partition.
#[test]
fn windows_over_a_union_are_as_defined() {
    cases(15, 0x5e, |seed, settings| {
        let (world, other) = (World::random(seed), World::random(seed ^ 0xff));
        let spec = Spec::random(&mut StdRng::seed_from_u64(!seed), true, false);
        let sql = spec.sql_over("(SELECT k, s, v, x, d, ts FROM t UNION ALL SELECT k, s, v, x, d, ts FROM u)");
        for setting in settings {
            let setting = Setting { keep_open: seed % 3 == 0, ..*setting };
            let expected = naive::answer(&[&world, &other], &spec, setting.keep_open);
            let engine = run::engine(&world, &setting);
            run::register(&engine, "u", &other);
            let given = run::run(&engine, &sql, spec.group_columns())
                .and_then(|given| match difference(&given.lines, &expected.lines) {
                    Some(difference) => Err(difference),
                    None => Ok(given),
                })
                .map_err(|failure| format!("{}\n{sql}\n{failure}", setting.show()))?;
            if given.metrics.late_rows != expected.late {
                return Err(format!(
                    "{}\n{sql}\n{} late, expected {}",
                    setting.show(),
                    given.metrics.late_rows,
                    expected.late
                ));
            }
        }
        Ok(())
    });
}

#[test]
fn order_and_limit_cut_where_they_should() {
    cases(12, 0x0b, |seed, settings| {
        let (world, mut random) = (World::random(seed), StdRng::seed_from_u64(!seed));
        let mut expected: Vec<Line> =
            world.partitions.iter().flatten().map(|event| vec![int(event.v), text(event.s), int(event.k)]).collect();
        // v descending, nulls last; then s, nulls first; then k, nulls last.
        let rank = |cell: &Cell, nulls_first: bool| if *cell == Cell::Null { !nulls_first as u8 * 2 } else { 1 };
        expected.sort_by(|a, b| {
            let v = rank(&a[0], false).cmp(&rank(&b[0], false)).then_with(|| b[0].cmp(&a[0]));
            let s = rank(&a[1], true).cmp(&rank(&b[1], true)).then_with(|| a[1].cmp(&b[1]));
            let k = rank(&a[2], false).cmp(&rank(&b[2], false)).then_with(|| a[2].cmp(&b[2]));
            v.then(s).then(k)
        });
        let order = "ORDER BY v DESC NULLS LAST, s ASC NULLS FIRST, k ASC NULLS LAST";
        check(&world, &format!("SELECT v, s, k FROM t {order}"), &expected, false, settings)?;
        let (skip, fetch) = (*[0, 1, 50].choose(&mut random).unwrap(), random.random_range(0..100));
        let cut: Vec<Line> = expected.into_iter().skip(skip).take(fetch).collect();
        check(&world, &format!("SELECT v, s, k FROM t {order} LIMIT {fetch} OFFSET {skip}"), &cut, false, settings)
    });
}

#[test]
fn a_limit_takes_the_first_rows() {
    cases(10, 0x1f, |seed, settings| {
        let mut world = World::random(seed);
        world.partitions.truncate(1);
        let (skip, fetch) = (seed as usize % 5 * 20, seed as usize % 7 * 11);
        let events = world.partitions[0].iter().filter(|event| event.v.is_some_and(|v| v > 0));
        let expected: Vec<Line> = events.skip(skip).take(fetch).map(|event| vec![int(event.k), int(event.v)]).collect();
        let sql = format!("SELECT k, v FROM t WHERE v > 0 LIMIT {fetch} OFFSET {skip}");
        check(&world, &sql, &expected, false, settings)
    });
}

#[test]
fn grouping_sets_are_several_queries_in_one() {
    cases(15, 0x65, |seed, settings| {
        let (world, mut random) = (World::random(seed), StdRng::seed_from_u64(!seed));
        let spec = Spec {
            keys: Vec::new(),
            window: None,
            having: None,
            changes: false,
            ..Spec::random(&mut random, false, false)
        };
        let shapes: [(&str, &[&[Key]]); 4] = [
            ("GROUPING SETS ((k, s), (k), (s), ())", &[&[Key::K, Key::S], &[Key::K], &[Key::S], &[]]),
            ("ROLLUP (k, s)", &[&[Key::K, Key::S], &[Key::K], &[]]),
            ("CUBE (k, s)", &[&[Key::K, Key::S], &[Key::K], &[Key::S], &[]]),
            ("GROUPING SETS ((s), (k))", &[&[Key::S], &[Key::K]]),
        ];
        let (clause, sets) = shapes.choose(&mut random).unwrap();
        let mut expected = Vec::new();
        for set in *sets {
            let part = naive::answer(&[&world], &Spec { keys: set.to_vec(), ..spec.clone() }, false);
            expected.extend(part.lines.into_iter().map(|line| {
                let key =
                    |key: Key| set.iter().position(|known| *known == key).map_or(Cell::Null, |at| line[at].clone());
                [key(Key::K), key(Key::S)].into_iter().chain(line[set.len()..].iter().cloned()).collect::<Line>()
            }));
        }
        expected.sort();
        let plain = spec.sql();
        let aggregates = plain.trim_start_matches("SELECT ").trim_end_matches(" EMIT FINAL");
        let emit = ["FINAL", "CHANGES"].choose(&mut random).unwrap();
        check(&world, &format!("SELECT k, s, {aggregates} GROUP BY {clause} EMIT {emit}"), &expected, true, settings)
    });
}

#[test]
fn nothing_gives_one_row_without_keys_and_none_with() {
    let empty = World::empty();
    let settings = run::grid();
    let zero = vec![Cell::Int(0), Cell::Null, Cell::Null, Cell::Null];
    for emit in ["FINAL", "CHANGES"] {
        let select = "SELECT count(*), sum(v), min(s), avg(x) FROM t";
        let checks = [
            (format!("{select} EMIT {emit}"), vec![zero.clone()]),
            (format!("{select} WHERE v > 0 HAVING count(*) > 0 EMIT {emit}"), vec![]),
            (format!("{select} GROUP BY k EMIT {emit}"), vec![]),
            (format!("{select} GROUP BY GROUPING SETS ((k), ()) EMIT {emit}"), vec![zero.clone()]),
        ];
        for (sql, expected) in checks {
            check(&empty, &sql, &expected, true, &settings[..6]).unwrap();
        }
    }
}
