//! Queries of a folder, as their authors wrote them; only where tables come from and go to is replaced.

use std::path::{Path, PathBuf};

use millstream::error::{Error, Result};

use super::SuiteName;
use super::suite::Case;

/// Reads the `.sql` files of a folder, by their names; files of definitions (`ddl...`, `insert...`) are no queries.
pub fn read(folder: &Path, suite: SuiteName) -> Result<Vec<Case>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|e| Error::outside(format!("cannot read the folder of queries: {}", folder.display())).caused_by(e))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort_by_key(|path| order(path));
    let mut cases = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("ddl") || name.starts_with("insert") {
            continue;
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::outside(format!("cannot read the query: {}", path.display())).caused_by(e))?;
        let sql = if suite == SuiteName::Nexmark { with_our_tables(&text) } else { text };
        cases.push(Case {
            what: format!("as in {}", path.display()),
            name,
            duckdb: Some(sql.clone()),
            flink: None,
            answers: Vec::new(),
            sql,
        });
    }
    if suite == SuiteName::Nexmark {
        cases.iter_mut().for_each(|case| case.duckdb = None);
    }
    Ok(cases)
}

/// `q2` before `q10`.
fn order(path: &Path) -> (String, u64) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap_or(name.len());
    (name[..digits].to_string(), name[digits..].parse().unwrap_or(0))
}

/// Leaves the tables that come with the suite out, and lets sinks take rows and drop them: each `WITH (...)` is replaced.
fn with_our_tables(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
    let bare = lines.collect::<Vec<_>>().join("\n");
    let statements = bare.split(';').filter(|statement| !statement.trim().is_empty());
    let kept = statements.filter(|statement| !statement.contains("side_input ("));
    kept.map(with_blackhole).collect::<Vec<_>>().join(";\n")
}

fn with_blackhole(statement: &str) -> String {
    let is_table = statement.trim_start().to_ascii_uppercase().starts_with("CREATE TABLE");
    match statement.rfind("WITH (").filter(|_| is_table) {
        Some(at) => {
            let kept = statement[..at].trim_end();
            // Folders of a file sink; what drops rows has none.
            let kept = kept.rfind(") PARTITIONED BY").map_or(kept, |at| &kept[..=at]);
            format!("{kept} WITH ('connector' = 'blackhole')")
        }
        None => statement.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connectors_are_replaced() {
        let text = "-- a note; of theirs\nCREATE TABLE s (a BIGINT, d STRING) PARTITIONED BY (d) WITH (\n 'connector' = 'x');\n\
                    CREATE TABLE side_input (key BIGINT) WITH ('y' = 'z');\nINSERT INTO s SELECT a, d FROM bid;\n";
        let ours = with_our_tables(text);
        assert!(ours.contains("CREATE TABLE s (a BIGINT, d STRING) WITH ('connector' = 'blackhole')"), "{ours}");
        assert!(ours.contains("INSERT INTO s SELECT a, d FROM bid") && !ours.contains("side_input"), "{ours}");
    }
}
