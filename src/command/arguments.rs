//! The words of the command line, and how they become settings.

use std::path::PathBuf;
use std::time::Duration;

use super::bench::BenchArguments;
use clap::{Args, Parser, Subcommand, ValueEnum};
use millstream::config::Config;
use millstream::error::{Error, Result};

/// An SQL engine for streams and tables.
///
/// Without a command: runs -c SQL, or SQL from a pipe, or opens a shell.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run statements; the rows of queries go to stdout, or the last one's to a file
    Run(RunArguments),
    /// Show how a query would run, without running it
    Explain(ExplainArguments),
    /// Run scripts of arrivals and compare what comes out
    Test(TestArguments),
    /// Lay out a project for kernels of your own
    Kernel(KernelArguments),
    /// Make a file of test data
    Generate(GenerateArguments),
    /// Ask for the busiest auctions among ten million generated events
    Demo(DemoArguments),
    /// Run the queries of a known benchmark, check their answers, and compare with other engines
    Bench(BenchArguments),
}

#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pub text: TextArguments,
    /// Bind a table to a file, glob or directory; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = binding)]
    pub source: Vec<(String, String)>,
    /// Write the last query's rows to a file; the format follows from its name
    #[arg(long, value_name = "PATH")]
    pub sink: Option<PathBuf>,
    /// How rows are written [default: by the sink's name, or a table]
    #[arg(long)]
    pub format: Option<FormatWord>,
    /// Write the final answer instead of the changes that lead to it
    #[arg(long = "final")]
    pub fold: bool,
    /// Do not close open windows at the end of input; wait for SIGTERM or ctrl-C
    #[arg(long)]
    pub keep_open: bool,
    /// Print counters on stderr at the end
    #[arg(long, value_name = "FORMAT")]
    pub stats: Option<StatsFormat>,
    /// No progress and no summaries on stderr
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub engine: EngineArguments,
}

/// Where the SQL is.
#[derive(Debug, Args)]
pub struct TextArguments {
    /// The SQL to run
    #[arg(short = 'c', long = "command", value_name = "SQL", conflicts_with = "sql")]
    pub command: Option<String>,
    /// A file of SQL; - is stdin
    #[arg(long, value_name = "FILE")]
    pub sql: Option<PathBuf>,
}

/// The bounds of an engine.
#[derive(Debug, Args)]
pub struct EngineArguments {
    /// Rows per batch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_rows: Option<u32>,
    /// Owner threads per query [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub partitions: Option<u32>,
    /// Bytes that operators may hold, such as 512MiB [default: no bound]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<usize>,
    /// Refuse queries whose state grows for as long as their input comes
    #[arg(long)]
    pub strict: bool,
    /// Forget groups without a window once no row of theirs has come for so long, such as 1h [default: never]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub state_ttl: Option<Duration>,
    /// Let input without an end gather for so long, such as 1ms, unless a batch is full [default: not at all]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub linger: Option<Duration>,
    /// Let SQL load native code: CREATE FUNCTION ... LANGUAGE NATIVE
    #[arg(long)]
    pub allow_native: bool,
    /// Load the kernels of a shared library; may be repeated
    #[arg(long, value_name = "LIBRARY")]
    pub load: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExplainArguments {
    #[command(flatten)]
    pub text: TextArguments,
    /// Bind a table to a file, glob or directory; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = binding)]
    pub source: Vec<(String, String)>,
    /// How far to follow the query's way
    #[arg(long, default_value = "pipeline")]
    pub step: Step,
}

#[derive(Debug, Args)]
pub struct TestArguments {
    /// Scripts, or folders of files named *.test
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write what really comes out into the scripts
    #[arg(long)]
    pub update: bool,
}

#[derive(Debug, Args)]
pub struct KernelArguments {
    #[command(subcommand)]
    pub what: Kernel,
}

#[derive(Debug, Subcommand)]
pub enum Kernel {
    /// Make a folder with a crate that builds to a shared library of kernels
    New {
        /// The folder, and the name of the crate
        path: PathBuf,
        /// Where Millstream's sources are, to build with instead of the registry's
        #[arg(long, value_name = "PATH")]
        sdk: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct GenerateArguments {
    #[command(subcommand)]
    pub what: Generate,
}

#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Temperatures of weather stations as CSV, and the exact answer beside it
    #[command(name = "1brc")]
    Measurements {
        /// The file to write; the answer goes to PATH.expected.csv
        path: PathBuf,
        #[arg(long, default_value_t = 1_000_000, value_parser = count)]
        rows: u64,
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Events of an auction site, in the format of the file's name
    Nexmark {
        /// The file to write
        path: PathBuf,
        /// bid, auction, person, or all of them in one table
        #[arg(long = "type", default_value = "bid", value_name = "TYPE")]
        entity: String,
        /// Events of all types: of fifty, one is a person, three are auctions, the rest bids
        #[arg(long, default_value_t = 1_000_000, value_parser = count)]
        events: u64,
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// How many events to generate
    #[arg(long, default_value_t = 10_000_000, value_parser = count)]
    pub events: u64,
    #[command(flatten)]
    pub engine: EngineArguments,
}

/// The formats of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatWord {
    Table,
    Csv,
    Tsv,
    #[value(alias = "json", alias = "jsonl")]
    Ndjson,
    Parquet,
    Arrow,
    Avro,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    Json,
}

/// The steps of a query's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    Syntax,
    Logical,
    Optimized,
    Pipeline,
}

impl FormatWord {
    /// The word that the option 'format' takes.
    pub fn option(self) -> &'static str {
        match self {
            FormatWord::Table => "table",
            FormatWord::Csv => "csv",
            FormatWord::Tsv => "tsv",
            FormatWord::Ndjson => "ndjson",
            FormatWord::Parquet => "parquet",
            FormatWord::Arrow => "arrow",
            FormatWord::Avro => "avro",
        }
    }
}

impl RunArguments {
    /// Whether no SQL was given: then it comes from stdin, or from a person.
    pub fn names_no_text(&self) -> bool {
        self.text.command.is_none() && self.text.sql.is_none()
    }
}

impl TextArguments {
    /// The SQL: from the command line, a file, or stdin.
    pub fn read(&self) -> Result<String> {
        match (&self.command, &self.sql) {
            (Some(text), _) => Ok(text.clone()),
            (None, Some(path)) if path.as_os_str() != "-" => read_file(path),
            _ => std::io::read_to_string(std::io::stdin())
                .map_err(|e| Error::outside("cannot read SQL from stdin").caused_by(e)),
        }
    }
}

/// Reads a file of SQL.
pub fn read_file(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::outside(format!("cannot read SQL: {}", path.display())).caused_by(e))
}

impl EngineArguments {
    /// The engine's settings, where they are not its own defaults.
    pub fn config(&self) -> Config {
        let default = Config::default();
        Config {
            batch_rows: self.batch_rows.map_or(default.batch_rows, |rows| rows as usize),
            partitions: self.partitions.map_or(default.partitions, |partitions| partitions as usize),
            memory_bytes: self.memory.or(default.memory_bytes),
            strict: self.strict,
            state_ttl: self.state_ttl.filter(|ttl| !ttl.is_zero()),
            linger: self.linger.unwrap_or(default.linger),
            allow_native: self.allow_native,
            ..default
        }
    }
}

/// Reads a duration such as `5s` or `1m30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    millstream::engine::duration(text).ok_or_else(|| "must be a duration such as 5s or 250ms".to_string())
}

/// Reads `NAME=PATH`. Names are lower case unless quoted, as in SQL.
fn binding(text: &str) -> Result<(String, String), String> {
    let (name, path) = text.split_once('=').ok_or("must be NAME=PATH")?;
    let quoted = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let name = quoted.map_or_else(|| name.to_lowercase(), |name| name.replace("\"\"", "\""));
    match (name.is_empty(), path.is_empty()) {
        (true, _) => Err("the table's name is missing: must be NAME=PATH".to_string()),
        (_, true) => Err("the path is missing: must be NAME=PATH".to_string()),
        _ => Ok((name, path.to_string())),
    }
}

/// Reads a number of bytes with a unit: `512MiB`, `1.5GB`, `65536`.
fn size(text: &str) -> Result<usize, String> {
    const UNITS: &[(&str, u64)] = &[
        ("b", 1),
        ("k", 1 << 10),
        ("kb", 1_000),
        ("kib", 1 << 10),
        ("m", 1 << 20),
        ("mb", 1_000_000),
        ("mib", 1 << 20),
        ("g", 1 << 30),
        ("gb", 1_000_000_000),
        ("gib", 1 << 30),
        ("tb", 1_000_000_000_000),
        ("tib", 1 << 40),
        ("", 1),
    ];
    let bad = || "must be a size such as 512MiB or 2GB".to_string();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim().to_lowercase());
    let (_, unit) = UNITS.iter().find(|(word, _)| *word == unit).ok_or_else(bad)?;
    let bytes = match number.parse::<u64>() {
        Ok(number) => number.checked_mul(*unit).ok_or_else(bad)?,
        Err(_) => (number.parse::<f64>().map_err(|_| bad())? * *unit as f64) as u64,
    };
    match usize::try_from(bytes) {
        Ok(0) | Err(_) => Err(bad()),
        Ok(bytes) => Ok(bytes),
    }
}

/// Reads a count: `1000000`, `1_000_000`, `10M`, `1e6`.
fn count(text: &str) -> Result<u64, String> {
    let bad = || "must be a count such as 1000000 or 10M".to_string();
    let plain = text.replace(['_', ','], "");
    let split = plain.len() - plain.chars().last().filter(char::is_ascii_alphabetic).map_or(0, char::len_utf8);
    let (number, unit) = plain.split_at(split);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "b" | "g" => 1_000_000_000,
        _ => return Err(bad()),
    };
    match number.parse::<u64>() {
        Ok(number) => number.checked_mul(unit).ok_or_else(bad),
        Err(_) => {
            let exact = number.parse::<f64>().map_err(|_| bad())? * unit as f64;
            let whole = (0.0..1e18).contains(&exact) && exact.fract() == 0.0;
            if whole { Ok(exact as u64) } else { Err(bad()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expected: Option<usize>| assert_eq!(size(text).ok(), expected, "{text}");
        check("512MiB", Some(512 << 20));
        check("1.5GiB", Some(3 << 29));
        check("2GB", Some(2_000_000_000));
        check("64k", Some(65_536));
        check("65536", Some(65_536));
        check("1 MiB", Some(1 << 20));
        for bad in ["", "MiB", "0", "-1", "1xb", "1.2.3MB", "99999999999999TiB"] {
            check(bad, None);
        }
    }

    #[test]
    fn counts() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(count(text).ok(), expected, "{text}");
        check("10M", Some(10_000_000));
        check("1_000", Some(1_000));
        check("1e6", Some(1_000_000));
        check("1.5k", Some(1_500));
        check("0", Some(0));
        for bad in ["", "M", "-1", "1.5", "1x", "ä"] {
            check(bad, None);
        }
    }

    #[test]
    fn bindings() {
        assert_eq!(binding("Bids=a=b.csv"), Ok(("bids".to_string(), "a=b.csv".to_string())));
        assert_eq!(binding("\"Bids\"=x"), Ok(("Bids".to_string(), "x".to_string())));
        assert!(binding("bids").is_err() && binding("=x").is_err() && binding("x=").is_err());
    }
}
