//! The suites: which queries, over which tables, of which size.

use millstream::error::{Error, Result};

use super::digest::Digest;
use super::{BenchArguments, EmitWord, Origin, SuiteName, published};

/// A suite as it was asked for.
pub struct Suite {
    pub name: &'static str,
    /// The tables it reads, by the name of their generator.
    pub data: &'static str,
    pub scale: f64,
    pub origin: Origin,
    pub emit: Option<EmitWord>,
    pub cases: Vec<Case>,
}

/// One query.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// What it asks, in a few words.
    pub what: String,
    /// One or more statements; the last one gives the answer, or puts it into a table.
    pub sql: String,
    /// The same question for DuckDB, where it is put in other words.
    pub duckdb: Option<String>,
    /// And for Flink.
    pub flink: Option<String>,
    /// The answer at some scales, as DuckDB has given it.
    pub answers: Vec<(f64, Digest)>,
}

/// The queries of a suite that come with the program: name and text.
macro_rules! cases {
    ($folder:literal: $($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../../benches/query/", $folder, "/", $name, ".bench")))),+]
    };
}

const NEXMARK: &[(&str, &str)] = cases!("nexmark": "q0" "q1" "q2" "q3" "q4" "q5" "q6" "q7" "q8" "q9" "q10" "q11" "q12"
    "q13" "q14" "q15" "q16" "q17" "q18" "q19" "q20" "q21" "q22");
const TPCH: &[(&str, &str)] = cases!("tpch": "q01" "q02" "q03" "q04" "q05" "q06" "q07" "q08" "q09" "q10" "q11" "q12"
    "q13" "q14" "q15" "q16" "q17" "q18" "q19" "q20" "q21" "q22");
const H2O: &[(&str, &str)] = cases!("h2o": "g1" "g2" "g3" "g4" "g5" "g6" "g7" "g8" "g9" "g10" "j1" "j2" "j3" "j4" "j5");
const CORE: &[(&str, &str)] = cases!("core": "f1" "f2" "f3" "a1" "g1" "g2" "g3" "g4" "d1" "d2" "w1" "w2" "j1" "s1");
const WINDOWS: &[(&str, &str)] = cases!("windows": "t1" "t2" "t3" "t4" "h1" "h2" "h3" "c1" "c2" "c3" "s1" "s2");

impl Suite {
    /// The suite that the arguments name.
    ///
    /// Failure: a query it does not have; a folder without queries.
    pub fn new(arguments: &BenchArguments) -> Result<Suite> {
        let (name, data, built_in, scale, origin) = match arguments.suite {
            SuiteName::Nexmark => ("nexmark", "nexmark", NEXMARK, 10e6, Origin::Memory),
            SuiteName::Tpch => ("tpch", "tpch", TPCH, 1.0, Origin::Parquet),
            SuiteName::H2o => ("h2o", "h2o", H2O, 10e6, Origin::Parquet),
            SuiteName::Clickbench => ("clickbench", "hits", &[][..], 1e6, Origin::Parquet),
            SuiteName::Latency => return Err(Error::bug("latency has no tables")),
            SuiteName::Core => ("core", "nexmark", CORE, 10e6, Origin::Memory),
            SuiteName::Windows => ("windows", "nexmark", WINDOWS, 10e6, Origin::Memory),
        };
        let scale = arguments.scale.unwrap_or(scale);
        if arguments.suite != SuiteName::Tpch && scale.fract() != 0.0 {
            let message = format!("--scale of {name} is a whole number of events or rows, found: {scale}");
            return Err(Error::user(message));
        }
        let mut suite = Suite {
            name,
            data,
            scale,
            origin: arguments.from.unwrap_or(origin),
            emit: arguments.emit,
            cases: match &arguments.queries {
                Some(folder) => published::read(folder, arguments.suite)?,
                None => built_in.iter().map(|(name, text)| Case::read(name, text, scale)).collect(),
            },
        };
        if suite.cases.is_empty() {
            return Err(Error::user("no queries to run; name a folder of .sql files with --queries"));
        }
        suite.keep(&arguments.query)?;
        Ok(suite)
    }

    fn keep(&mut self, wanted: &[String]) -> Result<()> {
        if let Some(unknown) = wanted.iter().find(|name| !self.cases.iter().any(|case| case.is_called(name))) {
            let known: Vec<&str> = self.cases.iter().map(|case| case.name.as_str()).collect();
            let message = format!("unknown query of {}: {unknown}; there are: {}", self.name, known.join(", "));
            return Err(Error::user(message));
        }
        if !wanted.is_empty() {
            self.cases.retain(|case| wanted.iter().any(|name| case.is_called(name)));
        }
        Ok(())
    }

    /// The scale as it stands in names of folders.
    pub fn scale_text(&self) -> String {
        if self.scale.fract() == 0.0 { format!("{:.0}", self.scale) } else { format!("{}", self.scale) }
    }
}

impl Case {
    /// Reads a file of sections: `-- what`, `-- query`, `-- duckdb`, `-- flink`, and `-- answers`, a line per scale.
    fn read(name: &str, text: &str, scale: f64) -> Case {
        let section = |title: &str| {
            let from = text.find(&format!("-- {title}\n"))? + title.len() + 4;
            Some(text[from..].split("\n-- ").next().unwrap_or_default().trim().to_string())
        };
        let fill = |sql: String| sql.replace("{fraction}", &format!("{:.10}", 0.0001 / scale));
        Case {
            name: name.to_string(),
            what: section("what").unwrap_or_default(),
            sql: fill(section("query").unwrap_or_default()),
            duckdb: section("duckdb").map(fill),
            flink: section("flink"),
            answers: section("answers").unwrap_or_default().lines().filter_map(recorded).collect(),
        }
    }

    /// The answer that is recorded for a scale.
    pub fn answer_at(&self, scale: f64) -> Option<&Digest> {
        self.answers.iter().find(|(known, _)| *known == scale).map(|(_, digest)| digest)
    }

    /// `q1` is also `q01`.
    fn is_called(&self, name: &str) -> bool {
        let plain = |name: &str| {
            let (letters, digits) = name.split_at(name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len()));
            (letters.to_ascii_lowercase(), digits.trim_start_matches('0').to_string())
        };
        self.name.eq_ignore_ascii_case(name) || plain(&self.name) == plain(name)
    }
}

/// A line of a scale and its answer.
fn recorded(line: &str) -> Option<(f64, Digest)> {
    let (scale, answer) = line.split_once(' ')?;
    Some((scale.parse().ok()?, Digest::read(answer)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_question_and_a_query() {
        for (name, text) in [NEXMARK, TPCH, H2O, CORE, WINDOWS].concat() {
            let case = Case::read(name, text, 1.0);
            assert!(!case.what.is_empty() && case.sql.contains("SELECT"), "{name}: {case:?}");
            assert!(!case.sql.contains('{'), "{name}: something is left to fill in");
            let lines = text.split_once("-- answers\n").map_or(0, |(_, answers)| answers.trim().lines().count());
            assert_eq!(case.answers.len(), lines, "{name}: an answer that cannot be read");
        }
    }

    #[test]
    fn a_query_is_found_with_and_without_zeros() {
        let case = Case::read("q01", "-- what\nx\n\n-- query\nSELECT 1", 1.0);
        assert!(case.is_called("q1") && case.is_called("Q01") && !case.is_called("q11"));
    }
}
