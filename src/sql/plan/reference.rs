//! What is told of each function: SHOW FUNCTIONS and the reference in the documentation are made of it.
//!
//! The library's functions carry their own documentation; the engine's own group functions have theirs here, and users'
//! functions bring it when they are registered.

use std::collections::BTreeMap;

use datafusion_expr::{AggregateUDF, Documentation, ScalarUDF, WindowUDF};

use super::examples::example;
use super::functions::{FUNCTIONS, WINDOW_FUNCTIONS};
use crate::sql::bridge::function::{
    AggregateOverload, ScalarOverload, aggregate_overloads, scalar_overloads, type_name,
};
use crate::sql::catalog::Catalog;
use crate::sql::users::Doc;

/// A function as users see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    pub name: String,
    /// `scalar`, `aggregate`, `window` or `group`; several where a name is more than one.
    pub kind: String,
    /// How it is called, a line per signature where these have types.
    pub signature: String,
    /// What it does, in a sentence.
    pub description: String,
    /// A call of it as SQL, where there is one.
    pub example: String,
    /// The name of the function that this is another name of.
    pub alias_of: Option<String>,
}

/// All functions that SQL may name, by name.
pub fn functions(catalog: &Catalog) -> Vec<FunctionInfo> {
    let mut all: BTreeMap<String, FunctionInfo> = BTreeMap::new();
    let mut add = |info: FunctionInfo| match all.get_mut(&info.name) {
        Some(known) if known.kind != info.kind => known.kind = format!("{}, {}", known.kind, info.kind),
        Some(known) => *known = info,
        None => drop(all.insert(info.name.clone(), info)),
    };
    let users = catalog.functions();
    FUNCTIONS.scalars.iter().for_each(|(name, function)| add(with_doc(scalar(name, function), &FUNCTIONS.docs)));
    let lambdas = FUNCTIONS.higher.iter();
    lambdas.for_each(|(name, function)| add(of_library(name, "scalar", function.name(), function.documentation())));
    FUNCTIONS.aggregates.iter().for_each(|(name, function)| add(aggregate(name, function)));
    FUNCTIONS.windows.iter().for_each(|(name, function)| add(window(name, function)));
    for name in WINDOW_FUNCTIONS {
        let (signature, description) = group_doc(name);
        let signature = signature.replacen("f_start", name, 1).replacen("f_end", name, 1);
        add(info(name, "group", signature, description.to_string(), group_example(name), None));
    }
    let theirs = users.scalars.iter().map(|(name, function)| scalar(name, function));
    let theirs = theirs.chain(users.aggregates.iter().map(|(name, function)| aggregate(name, function)));
    let theirs = theirs.chain(users.windows.iter().map(|(name, function)| window(name, function)));
    for (name, function) in catalog.sql_functions() {
        let does = format!("{}, an expression of SQL.", function.body());
        let signature = function.signature(name);
        all.insert(name.clone(), info(name, "scalar", signature, does, String::new(), None));
    }
    for info in theirs {
        all.insert(info.name.clone(), with_doc(info, &users.docs));
    }
    all.into_values().collect()
}

/// With what its maker tells of it, if anything.
fn with_doc(mut info: FunctionInfo, docs: &BTreeMap<String, Doc>) -> FunctionInfo {
    if let Some(doc) = docs.get(&info.name) {
        info.description = doc.text.clone();
        info.example = doc.example.clone();
    }
    info
}

/// How one of the engine's own group functions is called, and what it does.
fn group_doc(name: &str) -> (&'static str, &'static str) {
    match name {
        "tumble" => ("tumble([time,] size [, offset])", "Gapless windows of one size, each row in one of them."),
        "hop" => ("hop([time,] slide, size [, offset])", "Windows of one size that start every slide."),
        "session" => ("session([time,] gap)", "Windows of rows that are no more than a gap apart."),
        "cumulate" => ("cumulate([time,] step, size)", "Windows that grow by a step until they have their size."),
        "tumble_rows" => ("tumble_rows(count)", "Windows of so many rows each."),
        "hop_rows" => ("hop_rows(slide, count)", "Windows of so many rows that start every slide rows."),
        "tumble_start" | "hop_start" | "session_start" | "cumulate_start" => {
            ("f_start(...)", "The start of the window that the query groups by.")
        }
        _ => ("f_end(...)", "The end of the window that the query groups by."),
    }
}

/// A query that groups by one of them.
fn group_example(name: &str) -> String {
    let (window, bound) = match name.rsplit_once('_') {
        Some((window, "start" | "end")) => (window, format!("{name}(at, ..), ")),
        _ => (name, String::new()),
    };
    let args = match window {
        "tumble" => "INTERVAL '10' SECOND",
        "hop" | "cumulate" => "INTERVAL '5' SECOND, INTERVAL '10' SECOND",
        "session" => "INTERVAL '3' SECOND",
        "tumble_rows" => return format!("SELECT count(*) {ROWS} GROUP BY tumble_rows(2)"),
        _ => return format!("SELECT count(*) {ROWS} GROUP BY hop_rows(1, 2)"),
    };
    let bound = bound.replace("..", args);
    format!("SELECT {bound}count(*) {ROWS} GROUP BY {window}(at, {args})")
}

const ROWS: &str = "FROM (VALUES (TIMESTAMP '2026-01-01 00:00:01'), (TIMESTAMP '2026-01-01 00:00:12')) AS t(at)";

fn scalar(name: &str, function: &ScalarUDF) -> FunctionInfo {
    let Some(overloads) = scalar_overloads(function) else {
        return of_library(name, "scalar", function.name(), function.documentation());
    };
    let signatures = overloads.iter().map(|overload| match overload {
        ScalarOverload::Exact(args, kernel) => {
            let args: Vec<String> = args.iter().map(type_name).collect();
            format!("{name}({}) -> {}", args.join(", "), type_name(&kernel.result_type()))
        }
        ScalarOverload::Any(_) => format!("{name}(...)"),
    });
    let signatures: Vec<String> = signatures.collect();
    info(name, "scalar", signatures.join("\n"), String::new(), String::new(), None)
}

fn aggregate(name: &str, function: &AggregateUDF) -> FunctionInfo {
    let Some(overloads) = aggregate_overloads(function) else {
        return of_library(name, "aggregate", function.name(), function.documentation());
    };
    let signatures = overloads.iter().map(|overload| match overload {
        AggregateOverload::Exact(args, function) => {
            let args: Vec<String> = args.iter().map(type_name).collect();
            format!("{name}({}) -> {}", args.join(", "), type_name(&function.result_type()))
        }
        AggregateOverload::Any(_) => format!("{name}(...)"),
    });
    let signatures: Vec<String> = signatures.collect();
    info(name, "aggregate", signatures.join("\n"), String::new(), String::new(), None)
}

fn window(name: &str, function: &WindowUDF) -> FunctionInfo {
    of_library(name, "window", function.name(), function.documentation())
}

fn of_library(name: &str, kind: &str, real: &str, documentation: Option<&Documentation>) -> FunctionInfo {
    let alias_of = (name != real).then(|| real.to_string());
    let ours = example(real).map(str::to_string);
    let Some(documentation) = documentation else {
        return info(name, kind, format!("{name}(...)"), String::new(), ours.unwrap_or_default(), alias_of);
    };
    let signature = one_line(&documentation.syntax_example).replacen(real, name, 1);
    let theirs = || documentation.sql_example.as_deref().and_then(first_statement);
    let example = ours.or_else(theirs).unwrap_or_default();
    info(name, kind, signature, first_sentence(&documentation.description), example, alias_of)
}

fn info(
    name: &str,
    kind: &str,
    signature: String,
    description: String,
    example: String,
    alias_of: Option<String>,
) -> FunctionInfo {
    FunctionInfo { name: name.to_string(), kind: kind.to_string(), signature, description, example, alias_of }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first sentence of a text, on one line.
fn first_sentence(text: &str) -> String {
    let text = one_line(text);
    let ends = text.match_indices(". ").map(|(at, _)| at);
    // `e.g. ` and its like end nothing: a sentence ends before a capital.
    let end = ends.into_iter().find(|&at| {
        let before = text[..at].ends_with("e.g") || text[..at].ends_with("i.e") || text[..at].ends_with("etc");
        !before && text[at + 2..].chars().next().is_some_and(char::is_uppercase)
    });
    end.map_or(text.clone(), |end| text[..=end].to_string())
}

/// The first query of an example as it is shown at a prompt.
fn first_statement(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("```"));
    let mut statement = String::new();
    for line in lines {
        let line = line.trim_start_matches('>').trim();
        if line.starts_with('+') || line.starts_with('|') {
            break;
        }
        if !statement.is_empty() {
            statement.push(' ');
        }
        statement.push_str(line);
        if line.ends_with(';') {
            break;
        }
    }
    let statement = statement.trim().trim_end_matches(';').to_string();
    statement.to_lowercase().starts_with("select").then_some(statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_sentence_and_statement() {
        assert_eq!(first_sentence("Does a, e.g. b.\n  And more. So."), "Does a, e.g. b.");
        assert_eq!(first_sentence("one"), "one");
        let shown = "```sql\n> SELECT a(1),\n  b;\n+---+\n| 1 |\n```";
        assert_eq!(first_statement(shown).as_deref(), Some("SELECT a(1), b"));
        assert_eq!(first_statement("> CREATE TABLE t"), None);
    }
}
