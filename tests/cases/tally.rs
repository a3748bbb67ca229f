//! What came of the cases of a suite, counted and told.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use serde_json::Value;

/// Before the message of an error that is the engine's own.
const BUG: &str = "bug: ";

/// Characters of a reason that tell it from others.
const REASON_CHARS: usize = 90;

/// What came of one case.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    Passed,
    /// Refused by the planner, or failed with a user's error.
    Refused(String),
    /// Another answer, as text: what was found, what was expected.
    Different(String),
    /// An answer where the suite has an error.
    Answered(String),
}

/// The folder of cases; nothing runs without one.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("MILLSTREAM_CASES").map(PathBuf::from)
}

/// The cases of a suite, a line each.
pub fn lines(name: &str) -> Vec<Value> {
    let Some(folder) = folder() else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join("cases").join(name)).expect("the file of cases");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The message of an error, marked where it is the engine's own.
pub fn told(error: millstream::Error) -> String {
    let mark = if error.kind() == millstream::Kind::Bug { BUG } else { "" };
    format!("{mark}{error}")
}

/// Counts of a suite.
pub struct Tally {
    suite: &'static str,
    counts: BTreeMap<&'static str, usize>,
    refusals: BTreeMap<String, usize>,
    bugs: Vec<String>,
}

impl Tally {
    pub fn new(suite: &'static str) -> Self {
        Tally { suite, counts: BTreeMap::new(), refusals: BTreeMap::new(), bugs: Vec::new() }
    }

    /// Runs a case, unless `CASE` asks for others; a panic is a bug.
    ///
    /// `agreed`: a second engine gives the answer that the suite expects.
    pub fn run(&mut self, id: &str, agreed: bool, sql: &str, case: impl FnOnce() -> Outcome) {
        if !id.contains(&std::env::var("CASE").unwrap_or_default()) {
            return;
        }
        let outcome = catch_unwind(AssertUnwindSafe(case))
            .unwrap_or_else(|_| Outcome::Refused(format!("{BUG}a panic on the caller's thread")));
        self.note(id, agreed, sql, outcome);
    }

    fn note(&mut self, id: &str, agreed: bool, sql: &str, outcome: Outcome) {
        let mark = if agreed { " (agreed)" } else { "" };
        let suite = self.suite;
        let word = match outcome {
            Outcome::Passed => "passed",
            Outcome::Refused(reason) => {
                if reason.starts_with(BUG) || reason.contains("panicked") {
                    self.bugs.push(format!("{id}: {reason}\n  {sql}"));
                }
                println!("== {suite} refused{mark} {id}: {sql}\n  {}", reason.replace('\n', "\n  "));
                *self.refusals.entry(plain(&reason)).or_default() += 1;
                if agreed {
                    *self.counts.entry("refused, agreed on").or_default() += 1;
                }
                "refused"
            }
            Outcome::Different(text) => {
                println!("== {suite} different{mark} {id}: {sql}\n  {text}");
                if agreed {
                    *self.counts.entry("different, agreed on").or_default() += 1;
                }
                "different"
            }
            Outcome::Answered(text) => {
                println!("== {suite} answered {id}: {sql}\n  {text}");
                "answered and should fail"
            }
        };
        *self.counts.entry(word).or_default() += 1;
        *self.counts.entry("cases").or_default() += 1;
    }

    /// Prints the counts and the reasons; fails on bugs.
    pub fn finish(self) {
        let mut refusals: Vec<_> = self.refusals.into_iter().collect();
        refusals.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let suite = self.suite;
        let reasons: Vec<_> =
            refusals.iter().map(|(reason, count)| format!("{suite} {count:4} refused: {reason}\n")).collect();
        println!("{}{suite}: {:?}", reasons.concat(), self.counts);
        assert!(self.bugs.is_empty(), "{}", self.bugs.join("\n"));
    }
}

/// The first line of a reason, without the names and numbers of its case.
fn plain(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    line.chars().map(digits).take(REASON_CHARS).collect()
}
