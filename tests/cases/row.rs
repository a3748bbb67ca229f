//! Rows as text, and when two of them are the same.

use millstream::arrow::array::{ArrayRef, RecordBatch};
use millstream::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::tally::Outcome;

/// The cells of all rows as text, `NULL` for null.
pub fn cells(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, String> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Result<Vec<Vec<String>>, String> = batch.columns().iter().map(column).collect();
        let columns = columns?;
        rows.extend((0..batch.num_rows()).map(|row| columns.iter().map(|cells| cells[row].clone()).collect()));
    }
    Ok(rows)
}

fn column(column: &ArrayRef) -> Result<Vec<String>, String> {
    let options = FormatOptions::default().with_null("NULL");
    let text = ArrayFormatter::try_new(column, &options).map_err(|e| e.to_string())?;
    Ok((0..column.len()).map(|row| text.value(row).to_string()).collect())
}

/// A line per row, cells apart by a blank, `(empty)` for an empty text.
pub fn lines(batches: &[RecordBatch]) -> Result<Vec<String>, String> {
    let word = |cell: String| if cell.is_empty() { "(empty)".to_string() } else { cell };
    let line = |row: Vec<String>| row.into_iter().map(word).collect::<Vec<_>>().join(" ");
    Ok(cells(batches)?.into_iter().map(line).collect())
}

/// Whether rows found are those expected, in any order unless it counts.
pub fn compare<T: std::fmt::Debug>(
    found: Vec<T>,
    expected: Vec<T>,
    is_ordered: bool,
    same: impl Fn(&T, &T) -> bool,
) -> Outcome {
    let equal = found.len() == expected.len()
        && if is_ordered {
            found.iter().zip(&expected).all(|(a, b)| same(a, b))
        } else {
            // In some order both, so that a row is mostly found at once.
            let sorted = |rows: &'_ [T]| -> Vec<usize> {
                let texts: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
                let mut order: Vec<usize> = (0..rows.len()).collect();
                order.sort_by(|a, b| texts[*a].cmp(&texts[*b]));
                order
            };
            let mut left: Vec<&T> = sorted(&expected).into_iter().map(|at| &expected[at]).collect();
            sorted(&found).into_iter().map(|at| &found[at]).all(|row| {
                let at = left.iter().position(|other| same(row, other));
                at.map(|at| left.remove(at)).is_some()
            })
        };
    match equal {
        true => Outcome::Passed,
        false => Outcome::Different(format!("found    {found:?}\n  expected {expected:?}")),
    }
}

/// Rows are the same when their words are, numbers by value.
pub fn same_line(found: &str, expected: &str) -> bool {
    let (found, expected) = (normal(found), normal(expected));
    // The recorded answers have blanks put together.
    let words = |row: &str| row.split_whitespace().map(str::to_string).collect::<Vec<_>>();
    let (found, expected) = (words(&found), words(&expected));
    found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| same_word(a, b))
}

/// Equal words, or numbers that are nearly the same; bytes with `\x` in front or without.
pub fn same_word(a: &str, b: &str) -> bool {
    a == b
        || b.strip_prefix("\\x") == Some(a)
        || match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || (a.is_nan() && b.is_nan()),
            _ => false,
        }
}

/// Booleans, timestamps, lists, stretches of time and empty values as one of their spellings.
fn normal(row: &str) -> String {
    let row = row.replace(", ", ",").replace('[', "{").replace(']', "}");
    // Texts stand in quotes in some lists; members of objects keep theirs.
    let row = if row.contains("\":") { row } else { row.replace('"', "") };
    let words = row.split(' ').map(|word| match word {
        "(empty)" | "\\x" => String::new(),
        word => word.split_inclusive(['{', ',', '}']).map(normal_part).collect(),
    });
    let row = words.collect::<Vec<String>>().join(" ");
    let is_time = |at: usize| row[..at].ends_with(|c: char| c.is_ascii_digit()) && at >= 10;
    let mut normal = row.clone();
    for (at, _) in row.match_indices('T') {
        if is_time(at) {
            normal.replace_range(at..=at, " ");
        }
    }
    normal
}

/// A word, or a part of a list with what ends it.
fn normal_part(part: &str) -> String {
    let word = part.trim_end_matches(['{', ',', '}']);
    let end = &part[word.len()..];
    let is_time = |text: &str| text.len() >= 8 && text.ends_with(|c: char| c.is_ascii_digit()) && text.contains(':');
    let word = match word {
        "t" => "true".to_string(),
        "f" => "false".to_string(),
        word => match word.strip_suffix('Z').filter(|time| is_time(time)) {
            Some(time) => format!("{time}+00:00"),
            None => seconds(word).map_or_else(|| word.to_string(), days_and_time),
        },
    };
    word + end
}

/// The whole seconds of a stretch of time, `PT1900799S`.
fn seconds(word: &str) -> Option<i64> {
    word.strip_prefix("PT")?.strip_suffix('S')?.parse().ok()
}

/// `21 days 23:59:59`
fn days_and_time(seconds: i64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
    match days {
        0 => time,
        1 => format!("1 day {time}"),
        days => format!("{days} days {time}"),
    }
}

/// Cells of different engines are the same: booleans, times, lists and blanks in one spelling, numbers by value, records
/// by their values.
pub fn same_cell(found: &str, expected: &str) -> bool {
    if found == "NULL" {
        return matches!(expected, "NULL" | "null" | "");
    }
    if let (Some((months, seconds)), Some((other_months, other_seconds))) = (interval(found), interval(expected)) {
        return months == other_months && (seconds - other_seconds).abs() < 1e-6;
    }
    // A record may be told without the names of its fields.
    let is_bare = |text: &str| text.starts_with('{') && !text.contains([':', '=']);
    let found = if found.starts_with('{') && is_bare(expected) { without_names(found) } else { found.to_string() };
    let words = |text: &str| -> Vec<String> {
        let text = normal(text.trim()).to_lowercase().replace(['"', '\''], "");
        let words = text.split([' ', ',', '{', '}', ':', '=']).filter(|word| !word.is_empty() && !is_field(word));
        // Midnight may be left away, as may the zone of none.
        let words = words.map(|word| word.trim_end_matches("+00").to_string());
        words.filter(|word| word != "00" && word != "00z").collect()
    };
    let (a, b) = (words(&found), words(expected));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same_word(a, b))
}

/// `{a: 1, b: 2}` as `{1, 2}`.
fn without_names(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.strip_suffix(':') {
        Some(name) if name.starts_with('{') => "{",
        Some(_) => "",
        None => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The name of a record's field that has none of its own.
fn is_field(word: &str) -> bool {
    let number = word.strip_prefix("expr$").or_else(|| word.strip_prefix('c'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The months and seconds of an interval: `1 year -2 days 04:05:06`, `3 hours 61 secs ago`, whatever its units are.
fn interval(text: &str) -> Option<(i64, f64)> {
    let (text, sign) = text.strip_suffix(" ago").map_or((text, 1), |text| (text, -1));
    let (mut months, mut seconds) = (0, 0.0);
    let mut words = text.split_whitespace();
    let mut is_interval = false;
    while let Some(word) = words.next() {
        if let [hours, minutes, rest] = word.split(':').collect::<Vec<_>>()[..] {
            let negative = if hours.starts_with('-') { -1.0 } else { 1.0 };
            let hours: f64 = hours.trim_start_matches(['-', '+']).parse().ok()?;
            seconds += negative * (hours * 3_600.0 + minutes.parse::<f64>().ok()? * 60.0 + rest.parse::<f64>().ok()?);
            continue;
        }
        let count: f64 = word.trim_start_matches('+').parse().ok()?;
        let unit = words.next()?.trim_end_matches('s').to_lowercase();
        let of_seconds = match unit.as_str() {
            "year" | "mon" | "month" => 0.0,
            "day" => 86_400.0,
            "hour" => 3_600.0,
            "min" | "minute" => 60.0,
            "sec" | "second" => 1.0,
            _ => return None,
        };
        months += count as i64 * i64::from(of_seconds == 0.0) * if unit == "year" { 12 } else { 1 };
        seconds += count * of_seconds;
        is_interval = true;
    }
    is_interval.then_some((sign * months, sign as f64 * seconds))
}
