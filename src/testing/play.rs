//! Script files: running them under several setups, and saying where they go another way.

use super::driver::Driver;
use super::script::{Action, Counter, Cut, Script, Step};
use crate::config::Config;
use crate::engine::Metrics;
use crate::error::{Error, Result};

/// How a script is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Workers.
    pub partitions: usize,
    pub cut: Cut,
}

/// What a script has come to: what came out of each step, and a text for each that was to be another.
#[derive(Debug, Default)]
pub struct Played {
    pub came: Vec<Vec<String>>,
    pub failures: Vec<String>,
}

/// All setups that a script is to be run under.
pub fn setups(script: &Script) -> Vec<Setup> {
    let with = |&partitions: &usize| script.cuts.iter().map(move |&cut| Setup { partitions, cut });
    script.partitions.iter().flat_map(with).collect()
}

/// Runs a text of one script under all its setups: what failed, a text each, with its line.
///
/// Failure: a script that cannot be read.
pub fn check(text: &str) -> Result<Vec<String>> {
    let script = Script::parse(text)?;
    let mut failures: Vec<(String, Vec<String>)> = Vec::new();
    let setups = setups(&script);
    for setup in &setups {
        let name = format!("{} workers, {:?}", setup.partitions, setup.cut).to_lowercase();
        for failure in play(&script, *setup)?.failures {
            match failures.iter_mut().find(|(known, _)| *known == failure) {
                Some((_, names)) => names.push(name.clone()),
                None => failures.push((failure, vec![name.clone()])),
            }
        }
    }
    let show = |(failure, names): (String, Vec<String>)| match names.len() == setups.len() {
        true => failure,
        false => format!("{failure}\n(with {})", names.join("; ")),
    };
    Ok(failures.into_iter().map(show).collect())
}

/// A script with what really comes out of it, under its first setup.
///
/// Failure: a script that cannot be read.
pub fn rewrite(text: &str) -> Result<String> {
    let script = Script::parse(text)?;
    let setup = setups(&script)[0];
    Ok(script.with_expected(&play(&script, setup)?.came))
}

/// Runs a script once.
pub fn play(script: &Script, setup: Setup) -> Result<Played> {
    let config = Config { partitions: setup.partitions, strict: script.strict, ..Config::default() };
    let mut driver = Driver::new(config)?;
    script.sources.iter().for_each(|(name, source)| driver.source(name, *source));
    script.sinks.iter().for_each(|name| driver.sink(name));
    let mut played = Played::default();
    for step in &script.steps {
        let came = take_step(script, &mut driver, step, setup);
        if !fits(step, &came, setup) {
            played.failures.push(format!(
                "{}: other rows came out:\n{}\nexpected:\n{}",
                step.line,
                shown(&came),
                shown(&step.expected)
            ));
        }
        // What a failure says is a part of it: it stays as it was written.
        let kept = is_part_of_error(step) && fits(step, &came, setup);
        played.came.push(if kept { step.expected.clone() } else { came });
    }
    Ok(played)
}

fn shown(lines: &[String]) -> String {
    if lines.is_empty() { "  (nothing)".to_string() } else { format!("  {}", lines.join("\n  ")) }
}

fn is_part_of_error(step: &Step) -> bool {
    matches!(step.actions.last(), Some(Action::Fails(_)))
}

/// Workers put their rows out in any order among themselves; one alone does not.
fn fits(step: &Step, came: &[String], setup: Setup) -> bool {
    if is_part_of_error(step) {
        return came.join("\n").contains(&step.expected.join("\n")) && !came.is_empty();
    }
    if setup.partitions == 1 {
        return came == step.expected;
    }
    let sorted = |lines: &[String]| {
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        lines
    };
    sorted(came) == sorted(&step.expected)
}

/// What comes out of a step; an error is a line of its own.
fn take_step(script: &Script, driver: &mut Driver, step: &Step, setup: Setup) -> Vec<String> {
    let mut came = Vec::new();
    let failed = |error: Error| error.to_string().lines().map(str::to_string).collect::<Vec<_>>();
    for action in &step.actions {
        match act(script, driver, action, setup) {
            Ok(lines) => came.extend(lines),
            Err(error) => {
                let mut lines = failed(error);
                lines[0] = format!("error: {}", lines[0]);
                came.extend(lines);
            }
        }
    }
    match driver.settle() {
        Ok(lines) => came.extend(lines),
        Err(error) => came.push(format!("error: {}", error.message())),
    }
    came
}

fn act(script: &Script, driver: &mut Driver, action: &Action, setup: Setup) -> Result<Vec<String>> {
    match action {
        Action::Execute(sql) => driver.execute(sql)?,
        Action::Query(sql) => driver.query(sql)?,
        Action::Explain(sql) => {
            return Ok(driver.explain(sql)?.lines().map(|line| line.trim_end().to_string()).collect());
        }
        Action::Fails(sql) => {
            return match driver.query(sql) {
                Err(error) => Ok(error.to_string().lines().map(str::to_string).collect()),
                Ok(()) => Err(Error::user("the query was to be refused, and was not")),
            };
        }
        Action::Push { table, partition, rows } => {
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            let size = if setup.cut == Cut::Rows { 1 } else { rows.len().max(1) };
            for rows in rows.chunks(size) {
                driver.push_lines(table, *partition, rows)?;
            }
        }
        Action::Clock(by) => driver.advance(*by),
        Action::Watermark { table, partition, time } => driver.watermark(table, *partition, time)?,
        Action::End { table: Some(table), partition } => driver.end(table, *partition)?,
        Action::End { table: None, .. } => {
            script.sources.iter().try_for_each(|(name, _)| driver.end(name, None))?;
        }
        Action::Cancel => driver.cancel(),
        Action::Restart { partitions } => driver.restart(*partitions)?,
        Action::Counters(counters) => {
            return counters.iter().filter_map(|counter| wrong(counter, driver.metrics())).collect();
        }
    }
    Ok(Vec::new())
}

/// What a counter really is, where it is not as it should be.
fn wrong(counter: &Counter, metrics: &Metrics) -> Option<Result<String>> {
    let Counter { name, comparison, value } = counter;
    let real = match name.as_str() {
        "in" => metrics.rows_in,
        "out" => metrics.rows_out,
        "late" => metrics.late_rows,
        "unplaced" => metrics.unplaced_rows,
        "filtered" => metrics.filtered_rows,
        "future" => metrics.future_rows,
        "bad" => metrics.bad_rows,
        "state" => metrics.operators.iter().map(|operator| operator.state_bytes).sum(),
        _ => return Some(Err(Error::user(format!("no counter has this name: {name}")))),
    };
    let holds = match comparison {
        '<' => real < *value,
        '>' => real > *value,
        _ => real == *value,
    };
    (!holds).then(|| Ok(format!("{name}={real}, not {comparison}{value}")))
}
