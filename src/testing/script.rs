//! Script files: what they say, and how they are read.
//!
//! ```text
//! # a comment                             anywhere a line begins
//! source bids, 2 partitions, bounded      a scripted table; unbounded with one partition unless it says otherwise
//! sink late                               a scripted sink
//! partitions 1 2                          workers to try it with; 1 2 3 unless it says otherwise
//! cuts rows                               how pushed rows are cut into batches: whole, rows, or both (as without this)
//!
//! sql                                     definitions, up to an empty line
//! CREATE TABLE bids (at TIMESTAMP(3), n BIGINT, WATERMARK FOR at AS at)
//!
//! query                                   the query under test
//! SELECT ...
//!
//! push bids 0                             rows for a source partition; then everything happens that can
//! 00:00:01 | 5
//! ----                                    what comes out, exactly; without this line: nothing
//! +I 5
//! ```
//! Other steps: `clock 5s`, `watermark bids 0 00:00:10`, `end bids 0`, `end bids`, `end`, `cancel`, `counters late=1
//! in=5 state<1000`; `explain` and `fails` take a query, and what stands below `----` is its pipeline, or a part of the
//! error. A step may be several of these lines, one after the other.

use std::ops::Range;
use std::time::Duration;

use super::stage::Source;
use crate::error::{Error, Place, Result};

/// How rows that are pushed together are cut into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All in one batch.
    Whole,
    /// Each in a batch of its own.
    Rows,
}

/// A script as it was read.
#[derive(Debug, Clone)]
pub struct Script {
    /// Scripted tables, by name.
    pub sources: Vec<(String, Source)>,
    pub sinks: Vec<String>,
    /// The numbers of workers to try it with.
    pub partitions: Vec<usize>,
    pub cuts: Vec<Cut>,
    /// Whether queries are refused whose state grows without a bound.
    pub strict: bool,
    pub steps: Vec<Step>,
    /// The file's lines.
    pub(super) lines: Vec<String>,
}

/// What is done before everything happens that can, and what then comes out.
#[derive(Debug, Clone)]
pub struct Step {
    /// The first of its lines, from 1.
    pub line: usize,
    pub(super) actions: Vec<Action>,
    /// What comes out, a line per row.
    pub expected: Vec<String>,
    /// The lines of the file, from 0, that say what comes out, the `----` among them; empty where there is none.
    pub(super) expected_lines: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Execute(String),
    Query(String),
    Explain(String),
    Fails(String),
    Push { table: String, partition: usize, rows: Vec<String> },
    Clock(Duration),
    Watermark { table: String, partition: usize, time: String },
    End { table: Option<String>, partition: Option<usize> },
    Cancel,
    Restart { partitions: Option<usize> },
    Counters(Vec<Counter>),
}

/// `late=1`, `state<1000`.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    pub(super) name: String,
    pub(super) comparison: char,
    pub(super) value: u64,
}

const STEPS: &[&str] =
    &["sql", "query", "explain", "fails", "push", "clock", "watermark", "end", "cancel", "counters", "restart"];

impl Script {
    /// Reads a script.
    ///
    /// Failure: a line that means nothing here, with its place.
    pub fn parse(text: &str) -> Result<Script> {
        let mut script = Script {
            sources: Vec::new(),
            sinks: Vec::new(),
            partitions: vec![1, 2, 3],
            cuts: vec![Cut::Whole, Cut::Rows],
            strict: false,
            steps: Vec::new(),
            lines: text.lines().map(str::to_string).collect(),
        };
        let mut at = 0;
        while at < script.lines.len() {
            let line = script.lines[at].trim().to_string();
            if line.is_empty() || line.starts_with('#') {
                at += 1;
                continue;
            }
            if is_step(&line) {
                at = script.read_step(at)?;
            } else {
                script.read_setting(&line).map_err(|e| at_line(e, at))?;
                at += 1;
            }
        }
        if script.steps.is_empty() {
            return Err(Error::user(
                "there is nothing to test: a script has steps, such as `query`, `push TABLE 0` and `fails`; docs/testing.md",
            ));
        }
        Ok(script)
    }

    fn read_setting(&mut self, line: &str) -> Result<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "source" => {
                let mut parts = rest.split(',').map(str::trim);
                let name = parts.next().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| Error::user("a source needs a name"))?;
                let mut source = Source::default();
                for part in parts {
                    match part.split_once(' ') {
                        Some((count, "partition" | "partitions")) => source.partitions = number(count)?,
                        None if part == "bounded" => source.bounded = true,
                        None if part == "retract" => source.retracts = true,
                        _ => {
                            let message = "a source is bounded, retract, or has N partitions";
                            return Err(Error::user(format!("{message}: {part}")));
                        }
                    }
                }
                self.sources.push((name.to_string(), source));
            }
            "sink" if !rest.is_empty() => self.sinks.push(rest.trim().to_string()),
            "partitions" => self.partitions = rest.split_whitespace().map(number).collect::<Result<_>>()?,
            "strict" if rest.is_empty() => self.strict = true,
            "cuts" => {
                let cut = |word: &str| match word {
                    "whole" => Ok(Cut::Whole),
                    "rows" => Ok(Cut::Rows),
                    _ => Err(Error::user(format!("cuts are whole or rows: {word}"))),
                };
                self.cuts = rest.split_whitespace().map(cut).collect::<Result<_>>()?;
            }
            _ => {
                return Err(Error::user(format!(
                    "a step or a setting was expected: {word}; steps: {}",
                    STEPS.join(", ")
                )));
            }
        }
        match self.partitions.is_empty() || self.cuts.is_empty() || self.partitions.contains(&0) {
            true => Err(Error::user(format!("this leaves nothing to try: {line}"))),
            false => Ok(()),
        }
    }

    /// Reads the step that begins at a line; the line behind it.
    fn read_step(&mut self, first: usize) -> Result<usize> {
        let is_blank = |line: &String| line.trim().is_empty();
        let length = self.lines[first..].iter().position(is_blank).unwrap_or(self.lines.len() - first);
        let block = first..first + length;
        let dashes = block.clone().find(|&at| self.lines[at].trim_end() == "----");
        let said = first..dashes.unwrap_or(block.end);
        let mut actions = Vec::new();
        let mut at = said.start;
        while at < said.end {
            let below = (at + 1..said.end).find(|&below| is_step(&self.lines[below])).unwrap_or(said.end);
            let arguments: Vec<String> = self.lines[at + 1..below].to_vec();
            let action = action(self.lines[at].trim(), arguments).map_err(|e| at_line(e, at))?;
            actions.push(action);
            at = below;
        }
        let expected_lines = dashes.unwrap_or(block.end)..block.end;
        let expected = self.lines[expected_lines.clone()].iter().skip(1).map(|line| line.trim_end().to_string());
        self.steps.push(Step { line: first + 1, actions, expected: expected.collect(), expected_lines });
        Ok(block.end)
    }

    /// The script with other lines for what comes out of each step.
    pub(super) fn with_expected(&self, expected: &[Vec<String>]) -> String {
        let mut text = String::new();
        let mut at = 0;
        let mut add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        for (step, expected) in self.steps.iter().zip(expected) {
            self.lines[at..step.expected_lines.start].iter().for_each(|line| add(line));
            if !expected.is_empty() {
                add("----");
                expected.iter().for_each(|line| add(line));
            }
            at = step.expected_lines.end;
        }
        self.lines[at..].iter().for_each(|line| add(line));
        text
    }
}

fn is_step(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    STEPS.contains(&word) && !line.contains('|')
}

fn action(line: &str, below: Vec<String>) -> Result<Action> {
    let mut words = line.split_whitespace();
    let step = words.next().unwrap_or_default();
    let mut arguments: Vec<&str> = words.collect();
    let takes_lines = matches!(step, "sql" | "query" | "explain" | "fails" | "push");
    if !takes_lines && !below.is_empty() {
        return Err(Error::user(format!("{step} takes no lines below: {}", below[0])));
    }
    let wrong = || Error::user(format!("this step cannot be read: {line}"));
    let mut argument = |what: &str| match arguments.is_empty() {
        true => Err(Error::user(format!("{step} needs {what}"))),
        false => Ok(arguments.remove(0).to_string()),
    };
    let action = match step {
        "sql" => Action::Execute(below.join("\n")),
        "query" => Action::Query(below.join("\n")),
        "explain" => Action::Explain(below.join("\n")),
        "fails" => Action::Fails(below.join("\n")),
        "push" => {
            let table = argument("a source")?;
            let partition = argument("a partition").map_or(Ok(0), |text| number(&text))?;
            let rows = below.into_iter().filter(|line| !line.starts_with('#')).collect();
            Action::Push { table, partition, rows }
        }
        "clock" => Action::Clock(duration(argument("a duration, such as 5s")?.trim_start_matches('+'))?),
        "watermark" => {
            let (table, partition) = (argument("a source")?, number(&argument("a partition")?)?);
            Action::Watermark { table, partition, time: argument("a time, such as 00:00:10")? }
        }
        "end" => {
            let table = argument("").ok();
            let partition = argument("").ok().map(|text| number(&text)).transpose()?;
            Action::End { table, partition }
        }
        "cancel" => Action::Cancel,
        "restart" => {
            let partitions = match argument("") {
                Ok(word) if word == "partitions" => match number(&argument("a number of workers")?)? {
                    0 => return Err(Error::user("a query needs one worker at least: restart partitions 0")),
                    count => Some(count),
                },
                Ok(_) => return Err(wrong()),
                Err(_) => None,
            };
            Action::Restart { partitions }
        }
        "counters" => {
            let mut counters = Vec::new();
            while let Ok(text) = argument("") {
                let at = text.find(['=', '<', '>']).ok_or_else(wrong)?;
                let (name, rest) = text.split_at(at);
                let comparison = rest.chars().next().ok_or_else(wrong)?;
                counters.push(Counter { name: name.to_string(), comparison, value: number(&rest[1..])? });
            }
            Action::Counters(counters)
        }
        _ => return Err(wrong()),
    };
    if arguments.is_empty() { Ok(action) } else { Err(wrong()) }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::user(format!("a number was expected: {text}")))
}

/// `1h30m`, `5s`, `250ms`.
fn duration(text: &str) -> Result<Duration> {
    let wrong = || Error::user(format!("a duration was expected, such as 5s or 1m30s: {text}"));
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0).ok_or_else(wrong)?;
        let (count, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let micros = match &tail[..letters] {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return Err(wrong()),
        };
        let count: u64 = number(count)?;
        sum += Duration::from_micros(count.checked_mul(micros).ok_or_else(wrong)?);
        rest = &tail[letters..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(sum) }
}

fn at_line(error: Error, line: usize) -> Error {
    error.at(Some(Place { line: line as u64 + 1, column: 1, width: 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(duration("1m30s").ok(), Some(Duration::from_secs(90)));
        assert_eq!(duration("250ms").ok(), Some(Duration::from_millis(250)));
        for bad in ["", "5", "s", "5x", "-5s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn expected_lines_can_be_put_in_another_way() {
        let text = "source t\n\nsql\nSELECT 1\n\nquery\nSELECT 2\n\npush t 0\n1 | 2\n----\n3\n\nend\n";
        let script = Script::parse(text).expect("a script");
        assert_eq!(script.steps.len(), 4);
        let expected: Vec<Vec<String>> = script.steps.iter().map(|step| step.expected.clone()).collect();
        assert_eq!(script.with_expected(&expected), text);
        let other = [vec![], vec![], vec![], vec!["x".to_string()]];
        let rewritten = script.with_expected(&other);
        assert!(rewritten.ends_with("push t 0\n1 | 2\n\nend\n----\nx\n"), "{rewritten}");
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, message) in [
            ("fly away", "a step or a setting was expected: fly"),
            ("source t, 2 wings", "a source is bounded, retract, or has N partitions: 2 wings"),
            ("clock soon", "a duration was expected"),
            ("cuts none", "cuts are whole or rows: none"),
        ] {
            let error = Script::parse(&format!("# first\n{text}\n")).expect_err("a mistake");
            assert!(error.message().contains(message), "{error}");
            assert_eq!(error.place().map(|place| place.line), Some(2));
        }
    }
}
