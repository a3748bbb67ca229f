//! The engine against a naive model: random tables, random queries, every batch size, partition count and SIMD level.
//!
//! `MODEL_SEED=n` begins at another seed, `MODEL_CASES=n` runs more of them; a failure prints the seed of its case.
#![allow(clippy::unwrap_used, clippy::err_expect, reason = "a failed unwrap in a test is a failed test")]

#[path = "support/answer.rs"]
mod answer; // rows as text, folded up
#[path = "model/cell.rs"]
mod cell; //  values and rows
#[path = "model/fixed.rs"]
mod fixed; // known answers
#[path = "model/edges.rs"]
mod edges; // known answers at the edges of types
#[path = "model/fed.rs"]
mod fed; //   rows pushed from several threads
#[path = "model/files.rs"]
mod files; // the same rows in files
#[path = "model/nested.rs"]
mod nested; // aggregates over aggregates
#[path = "model/naive.rs"]
mod naive; // what a query means
#[path = "model/run.rs"]
mod run; //   the engine under one setting
#[path = "model/shapes.rs"]
mod shapes; // DISTINCT, UNION ALL, ORDER BY, GROUPING SETS
#[path = "model/shake.rs"]
mod shake; // all of it for as long as wanted
#[path = "model/spec.rs"]
mod spec; //  random queries
#[path = "model/world.rs"]
mod world; // random tables

use rand::SeedableRng;
use rand::rngs::StdRng;

use cell::difference;
use naive::Expected;
use run::{Given, Setting};
use spec::Spec;
use world::World;

/// Points of the grid that each case visits.
const POINTS_PER_CASE: usize = 3;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs cases on two threads; prints the seed and all that went wrong of each that failed, at most five of them.
fn cases(default_count: u64, salt: u64, case: impl Fn(u64, &[Setting]) -> Result<(), String> + Sync) {
    let (first, count) = (number("MODEL_SEED", 1), number("MODEL_CASES", default_count));
    let grid = run::grid();
    let next = std::sync::atomic::AtomicU64::new(0);
    let failures = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= count || failures.lock().unwrap().len() >= 5 {
                        return;
                    }
                    let seed = first + number;
                    let settings =
                        (0..POINTS_PER_CASE).map(|at| grid[(number as usize * POINTS_PER_CASE + at) % grid.len()]);
                    if let Err(failure) = case(seed.wrapping_mul(1_000_003) ^ salt, &settings.collect::<Vec<_>>()) {
                        failures.lock().unwrap().push(format!("MODEL_SEED={seed} MODEL_CASES=1: {failure}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
}

/// Runs a query under each setting and compares; with windows also what was late.
fn check(world: &World, spec: &Spec, settings: &[Setting]) -> Result<(), String> {
    let sql = spec.sql();
    for setting in settings {
        let expected = naive::answer(&[world], spec, setting.keep_open);
        assert_eq!(
            expected.late + expected.on_time + expected.filtered + expected.nowhere,
            world.rows() as u64,
            "the model counts every row once"
        );
        let compared = run::run(&run::engine(world, setting), &sql, spec.group_columns()).and_then(|given| {
            compare(&given, &expected, world)?;
            in_order(&given, spec, setting, world)
        });
        compared.map_err(|failure| {
            format!(
                "{}, delay {}, {} source partitions\n{sql}\n{failure}",
                setting.show(),
                world.delay,
                world.partitions.len()
            )
        })?;
    }
    Ok(())
}

fn compare(given: &Given, expected: &Expected, world: &World) -> Result<(), String> {
    if let Some(difference) = difference(&given.lines, &expected.lines) {
        return Err(difference);
    }
    let metrics = &given.metrics;
    let counts = [metrics.rows_in, metrics.late_rows, metrics.filtered_rows, metrics.unplaced_rows, metrics.rows_out];
    let wanted = [world.rows() as u64, expected.late, expected.filtered, expected.nowhere, given.emitted.len() as u64];
    match counts == wanted {
        true => Ok(()),
        false => Err(format!("rows in, late, filtered, in no window, out: {counts:?}, expected {wanted:?}")),
    }
}

/// On one partition windows leave in the order of their ends.
fn in_order(given: &Given, spec: &Spec, setting: &Setting, world: &World) -> Result<(), String> {
    let one = setting.partitions == 1 && world.partitions.len() == 1;
    match one && spec.window.is_some() && !spec.changes && !run::is_rising(&given.emitted, spec.group_columns() - 1) {
        true => Err("windows leave out of order".to_string()),
        false => Ok(()),
    }
}

#[test]
fn windows_are_as_defined() {
    let (with_late, count) = (std::sync::atomic::AtomicU64::new(0), std::sync::atomic::AtomicU64::new(0));
    cases(60, 0x17, |seed, settings| {
        let world = World::random(seed);
        let spec = Spec::random(&mut StdRng::seed_from_u64(!seed), true, world.partitions.len() == 1);
        let is_late = naive::answer(&[&world], &spec, false).late > 0;
        with_late.fetch_add(is_late as u64, std::sync::atomic::Ordering::Relaxed);
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        check(&world, &spec, settings)
    });
    let (with_late, count) = (with_late.into_inner(), count.into_inner());
    assert!(count < 50 || with_late > count / 10, "hardly a case has late rows: {with_late} of {count}");
}

#[test]
fn open_windows_stay_open_when_asked() {
    cases(20, 0x0e, |seed, settings| {
        let world = World::random(seed);
        let spec = Spec::random(&mut StdRng::seed_from_u64(!seed), true, world.partitions.len() == 1);
        // Changes leave before windows close: then nothing would be seen.
        let spec = Spec { changes: spec.changes && seed % 4 == 0, ..spec };
        let settings: Vec<_> = settings.iter().map(|setting| Setting { keep_open: true, ..*setting }).collect();
        check(&world, &spec, &settings)
    });
}

#[test]
fn groups_are_as_defined() {
    cases(40, 0x9b, |seed, settings| {
        let world = World::random(seed);
        let spec = Spec::random(&mut StdRng::seed_from_u64(!seed), false, world.partitions.len() == 1);
        check(&world, &spec, settings)
    });
}
