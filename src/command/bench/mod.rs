//! `millstream bench`: the queries of the field's benchmarks, answers checked, other engines beside.
//!
//! ```text
//! suite ─▶ data: Parquet files, made once ─▶ measure: each query, each partition count ─▶ report: table, JSON, page
//!                                        └─▶ peers: the same queries in other engines ─┘
//! ```

mod suite; //     which queries, over which tables
mod data; //      the tables as files, made once
mod published; // queries of a folder, as their authors wrote them
mod measure; //   one query, timed and checked
mod digest; //    an answer as a few numbers
mod machine; //   CPU time, memory, bandwidth
mod peers; //     other engines
mod report; //    results as text, JSON and a page
mod plot; //      bars and curves
mod latency; //   from the moment an event was due to the moment its result leaves
mod histogram; // how long that took, of millions of events

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use millstream::error::{Error, Result};

use super::Stop;
use measure::Measured;
use peers::Peer;
use suite::Suite;

#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Which queries to run
    pub suite: SuiteName,
    /// Only these queries, such as q5,q7
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub query: Vec<String>,
    /// A folder of .sql files to run in place of the queries that come with the suite
    #[arg(long, value_name = "DIR")]
    pub queries: Option<PathBuf>,
    /// How large: events (nexmark, core, windows), scale factor (tpch), rows (h2o, clickbench)
    #[arg(long, value_name = "N", value_parser = number)]
    pub scale: Option<f64>,
    /// Owner threads per query; several counts are run one after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: Vec<u32>,
    /// How often each query runs; the least time counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: u32,
    /// Where rows are read from
    #[arg(long, value_name = "PLACE")]
    pub from: Option<Origin>,
    /// When results leave: once they are final, or with every change
    #[arg(long, value_name = "WHEN")]
    pub emit: Option<EmitWord>,
    /// Other engines to run the same queries in, through Python where they are installed
    #[arg(long, value_name = "ENGINE", value_delimiter = ',')]
    pub against: Vec<Peer>,
    /// Write the results as a page
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// How long input gathers, of latency [default: 1ms]
    #[arg(long, value_name = "DURATION", value_parser = super::arguments::duration)]
    pub linger: Option<Duration>,
    /// Where the tables are kept between runs [default: a folder for temporary files]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// The suites there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SuiteName {
    /// An auction site: 23 queries over a stream of people, auctions and bids
    Nexmark,
    /// A wholesaler: 22 queries over eight tables
    Tpch,
    /// Groups and joins over one table of ten million rows
    H2o,
    /// A web log: queries come from --queries
    Clickbench,
    /// Filters, groups, windows and a join over bids
    Core,
    /// Tumbling, hopping, cumulating and session windows over bids
    Windows,
    /// How long events take through a query, at parts of the rate it sustains
    Latency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    Memory,
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EmitWord {
    Final,
    Changes,
}

/// What a run has come to.
pub struct Results {
    pub suite: &'static str,
    pub scale: f64,
    pub scale_text: String,
    pub origin: Origin,
    pub machine: machine::Machine,
    pub measured: Vec<Measured>,
    pub peers: Vec<peers::PeerResult>,
    pub notes: Vec<String>,
}

pub fn run(arguments: &BenchArguments) -> std::result::Result<(), Stop> {
    arguments.check()?;
    if arguments.suite == SuiteName::Latency {
        return latency::run(arguments);
    }
    let suite = Suite::new(arguments)?;
    let folder = folder(arguments, &suite)?;
    data::prepare(&suite, &folder)?;
    let machine = machine::Machine::look();
    let mut out = std::io::stdout();
    writeln!(out, "{}", report::heading(&suite, &machine))?;
    let (peers, notes) = peers::run(arguments, &suite, &folder)?;
    let tables = data::Tables::load(&suite, &folder)?;
    let mut measured = Vec::new();
    for case in &suite.cases {
        for &partitions in &arguments.partitions {
            let result = measure::run(&suite, case, &tables, partitions as usize, arguments.repeat, &peers);
            writeln!(out, "{}", report::line(&suite, &result))?;
            out.flush()?;
            measured.push(result);
        }
    }
    let failed = measured.iter().filter(|measured| measured.is_bad()).count();
    let results = Results {
        suite: suite.name,
        scale: suite.scale,
        scale_text: suite.scale_text(),
        origin: suite.origin,
        machine,
        measured,
        peers,
        notes,
    };
    writeln!(out, "{}", report::summary(&results))?;
    if let Some(path) = &arguments.json {
        write(path, &format!("{:#}\n", report::json(&results)))?;
    }
    if let Some(path) = &arguments.report {
        write(path, &report::page(&results))?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Error::user(format!("queries that failed or gave another answer: {failed}")).into()),
    }
}

impl BenchArguments {
    /// Refuses what cannot be done before anything is run.
    fn check(&self) -> Result<()> {
        if let Some(at) = self.query.iter().position(String::is_empty) {
            let given = self.query.join(",");
            let message = format!("--query names no query at item {} of '{given}'; take the comma away", at + 1);
            return Err(Error::user(message));
        }
        for path in [&self.json, &self.report].into_iter().flatten() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                let message = format!("there is no folder for the results: {}; make it first", folder.display());
                return Err(Error::outside(message));
            }
        }
        Ok(())
    }
}

/// Where the suite's tables are, made if it is not there.
fn folder(arguments: &BenchArguments, suite: &Suite) -> Result<PathBuf> {
    let root = arguments.data.clone().unwrap_or_else(|| std::env::temp_dir().join("millstream-bench"));
    let folder = root.join(format!("{}-{}", suite.data, suite.scale_text()));
    std::fs::create_dir_all(&folder)
        .map_err(|e| Error::outside(format!("cannot make the folder of tables: {}", folder.display())).caused_by(e))?;
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)
        .map_err(|e| Error::outside(format!("cannot write the results: {}", path.display())).caused_by(e))
}

/// Reads a number with a unit: `0.01`, `10M`, `1e6`.
fn number(text: &str) -> std::result::Result<f64, String> {
    let bad = || "must be a number above 0, such as 0.01, 100000 or 10M".to_string();
    let plain = text.replace('_', "");
    let (digits, unit) = match plain.chars().last() {
        Some('k' | 'K') => (&plain[..plain.len() - 1], 1e3),
        Some('m' | 'M') => (&plain[..plain.len() - 1], 1e6),
        Some('g' | 'G' | 'b' | 'B') => (&plain[..plain.len() - 1], 1e9),
        _ => (&plain[..], 1.0),
    };
    match digits.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number * unit),
        _ => Err(bad()),
    }
}
