//! The tables of the suites: Parquet files that are made once and kept, and their rows in memory where these are wanted.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream::arrow::array::RecordBatch;
use millstream::config::Config;
use millstream::engine::Engine;
use millstream::error::{Error, Result};
use millstream::stream::source::memory::MemoryTable;
use millstream::stream::source::tpch;

use super::Origin;
use super::suite::Suite;

/// Rows per batch in memory.
const BATCH_ROWS: usize = 8_192;

/// The columns that carry event time, and how far rows may be behind.
const NEXMARK_COLUMNS: [(&str, &str); 3] = [
    (
        "person",
        "id BIGINT, name VARCHAR, `emailAddress` VARCHAR, `creditCard` VARCHAR, city VARCHAR, state VARCHAR, \
         `dateTime` TIMESTAMP(3), extra VARCHAR",
    ),
    (
        "auction",
        "id BIGINT, `itemName` VARCHAR, description VARCHAR, `initialBid` BIGINT, reserve BIGINT, `dateTime` TIMESTAMP(3), \
         expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra VARCHAR",
    ),
    (
        "bid",
        "auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` TIMESTAMP(3), \
         extra VARCHAR",
    ),
];

/// One table of a suite.
struct Made {
    name: &'static str,
    /// A query that gives its rows, after the statements before it.
    sql: String,
}

/// Makes the files that are not there yet.
pub fn prepare(suite: &Suite, folder: &Path) -> Result<()> {
    for made in tables(suite) {
        let path = file(folder, made.name);
        if path.exists() {
            continue;
        }
        if std::io::stderr().is_terminal() {
            let _ = writeln!(std::io::stderr(), "making {}", path.display());
        }
        let engine = Engine::new(Config { partitions: 1, ..Config::default() });
        let mut statements: Vec<&str> = made.sql.split(';').collect();
        let query = statements.pop().unwrap_or_default();
        for statement in statements {
            engine.execute(statement)?;
        }
        // A file that is there is whole: half of one never has the name.
        let half = folder.join(format!("{}.half.parquet", made.name));
        engine.execute(&format!("INSERT INTO '{}' {query}", half.display()))?;
        std::fs::rename(&half, &path)
            .map_err(|e| Error::outside(format!("cannot name the table: {}", path.display())).caused_by(e))?;
    }
    Ok(())
}

/// Where a table is.
pub fn file(folder: &Path, table: &str) -> PathBuf {
    folder.join(format!("{table}.parquet"))
}

/// The names of the suite's tables.
pub fn names(suite: &Suite) -> Vec<&'static str> {
    tables(suite).into_iter().map(|made| made.name).collect()
}

fn tables(suite: &Suite) -> Vec<Made> {
    let scale = suite.scale;
    match suite.data {
        "nexmark" => {
            let events = scale as u64;
            let table = |name: &'static str| Made {
                name,
                sql: format!(
                    "CREATE TABLE made WITH ('connector' = 'nexmark', 'type' = '{name}', 'events' = '{events}'); \
                     SELECT * FROM made"
                ),
            };
            let side = "CREATE TABLE made (key BIGINT) WITH ('connector' = 'datagen', 'rows' = '10000', \
                        'fields.key.kind' = 'sequence', 'fields.key.start' = '0'); \
                        SELECT key, 'value ' || CAST(key AS VARCHAR) AS value FROM made";
            let side = Made { name: "side_input", sql: side.to_string() };
            NEXMARK_COLUMNS.iter().map(|(name, _)| table(name)).chain([side]).collect()
        }
        "tpch" => {
            let table = |name: &'static str| Made {
                name,
                sql: format!(
                    "CREATE TABLE made WITH ('connector' = 'tpch', 'table' = '{name}', 'scale' = '{scale}'); \
                     SELECT * FROM made"
                ),
            };
            tpch::TABLES.iter().map(|name| table(name)).collect()
        }
        "h2o" => h2o(scale as u64),
        _ => vec![Made { name: "hits", sql: hits(scale as u64) }],
    }
}

/// The tables of the db-benchmark: `x` for groups; `j`, `small`, `medium` and `big` for joins.
fn h2o(rows: u64) -> Vec<Made> {
    let groups = (rows / 100).max(1);
    let random =
        |name: &str, min: u64, max: u64| format!("'fields.{name}.min' = '{min}', 'fields.{name}.max' = '{max}'");
    let x = format!(
        "CREATE TABLE made (a BIGINT, b BIGINT, c BIGINT, id4 BIGINT, id5 BIGINT, id6 BIGINT, v1 BIGINT, v2 BIGINT, \
         v3 BIGINT) WITH ('connector' = 'datagen', 'rows' = '{rows}', 'seed' = '1', {}, {}, {}, {}, {}, {}, {}, {}, {}); \
         SELECT 'id' || LPAD(CAST(a AS VARCHAR), 3, '0') AS id1, 'id' || LPAD(CAST(b AS VARCHAR), 3, '0') AS id2, \
         'id' || LPAD(CAST(c AS VARCHAR), 10, '0') AS id3, id4, id5, id6, v1, v2, v3 / 1000000.0 AS v3 FROM made",
        random("a", 1, 100),
        random("b", 1, 100),
        random("c", 1, groups),
        random("id4", 1, 100),
        random("id5", 1, 100),
        random("id6", 1, groups),
        random("v1", 1, 5),
        random("v2", 1, 15),
        random("v3", 0, 100_000_000),
    );
    let (small, medium) = ((rows / 1_000_000).max(1), (rows / 1_000).max(1));
    // One key in ten of `j` has no match.
    let over = |count: u64| count + count.div_ceil(10);
    let j = format!(
        "CREATE TABLE made (id1 BIGINT, id2 BIGINT, id3 BIGINT, v1 BIGINT) WITH ('connector' = 'datagen', \
         'rows' = '{rows}', 'seed' = '2', {}, {}, {}, {}); \
         SELECT id1, id2, id3, 'id' || CAST(id1 AS VARCHAR) AS id4, 'id' || CAST(id2 AS VARCHAR) AS id5, \
         'id' || CAST(id3 AS VARCHAR) AS id6, v1 / 1000000.0 AS v1 FROM made",
        random("id1", 1, over(small)),
        random("id2", 1, over(medium)),
        random("id3", 1, over(rows)),
        random("v1", 0, 100_000_000),
    );
    let right = |name: &'static str, key: &str, text: &str, count: u64, seed: u64| {
        let sql = format!(
            "CREATE TABLE made (k BIGINT, v2 BIGINT) WITH ('connector' = 'datagen', 'rows' = '{count}', \
             'seed' = '{seed}', 'fields.k.kind' = 'sequence', 'fields.k.start' = '1', {}); \
             SELECT k AS {key}, 'id' || CAST(k AS VARCHAR) AS {text}, v2 / 1000000.0 AS v2 FROM made",
            random("v2", 0, 100_000_000)
        );
        Made { name, sql }
    };
    vec![
        Made { name: "x", sql: x },
        Made { name: "j", sql: j },
        right("small", "id1", "id4", small, 3),
        right("medium", "id2", "id5", medium, 4),
        right("big", "id3", "id6", rows, 5),
    ]
}

/// A web log with the columns and the shape of ClickBench's `hits`; how its values are spread is in the file of SQL.
fn hits(rows: u64) -> String {
    include_str!("../../../benches/query/clickbench/hits.sql").replace("{rows}", &rows.to_string())
}

/// The tables of a suite, ready to be put into engines.
pub struct Tables {
    files: Vec<(&'static str, PathBuf)>,
    /// Rows in memory, where the suite reads them from there.
    batches: Vec<(&'static str, Vec<RecordBatch>)>,
    columns: Vec<(&'static str, &'static str)>,
}

impl Tables {
    /// Finds the files, and reads them where rows are wanted in memory.
    pub fn load(suite: &Suite, folder: &Path) -> Result<Tables> {
        let files: Vec<_> = names(suite).into_iter().map(|name| (name, file(folder, name))).collect();
        let mut batches = Vec::new();
        if suite.origin == Origin::Memory {
            for (name, path) in &files {
                let engine = Engine::new(Config { partitions: 1, batch_rows: BATCH_ROWS, ..Config::default() });
                let rows = engine.sql(&format!("SELECT * FROM '{}'", path.display()))?.collect()?;
                batches.push((*name, rows));
            }
        }
        let columns = if suite.data == "nexmark" { NEXMARK_COLUMNS.to_vec() } else { Vec::new() };
        Ok(Tables { files, batches, columns })
    }

    /// Makes the tables known to an engine: from memory in as many source partitions as it has, else as files.
    pub fn register(&self, engine: &Engine) -> Result<()> {
        for (name, columns) in &self.columns {
            let watermark = "WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND";
            engine.execute(&format!("CREATE TABLE {name} ({columns}, {watermark})"))?;
        }
        if self.batches.is_empty() {
            return self.files.iter().try_for_each(|(name, path)| engine.register_file(name, path));
        }
        let partitions = engine.config().partitions.max(1);
        for (name, batches) in &self.batches {
            let Some(first) = batches.first() else {
                return Err(Error::user(format!("the table is empty, choose a larger scale: {name}")));
            };
            let mut parts = vec![Vec::new(); partitions];
            for (at, batch) in batches.iter().enumerate() {
                parts[at % partitions].push(batch.clone());
            }
            parts.retain(|part| !part.is_empty());
            let table = MemoryTable::with_partitions(first.schema(), parts)?;
            engine.register_table(name, Arc::new(table))?;
        }
        Ok(())
    }
}
