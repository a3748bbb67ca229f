//! Expressions as texts for EXPLAIN and errors: as the planner's library shows them, but intervals as SQL writes them.

use datafusion_expr::Expr;

use crate::function::custom::Interval;
use crate::function::dialect::interval_text;

/// How the library shows an interval begins and ends.
const OPEN: &str = "IntervalMonthDayNano { ";
const CLOSE: &str = " }";

/// An expression as a text.
pub(super) fn shown(expr: &Expr) -> String {
    with_intervals(&expr.human_display().to_string())
}

/// `IntervalMonthDayNano { months: 0, days: 1, nanoseconds: 0 }` as `INTERVAL '1 day'`.
fn with_intervals(mut text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    while let Some(at) = text.find(OPEN) {
        let inside = &text[at + OPEN.len()..];
        let Some((interval, end)) = inside.find(CLOSE).and_then(|end| Some((read(&inside[..end])?, end))) else {
            break;
        };
        written.push_str(&text[..at]);
        written.push_str(&format!("INTERVAL '{}'", interval_text(interval)));
        text = &inside[end + CLOSE.len()..];
    }
    written + text
}

/// `months: 0, days: 1, nanoseconds: 0`.
fn read(text: &str) -> Option<Interval> {
    let mut parts = text.split(", ");
    let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix(": ")?.parse::<i64>().ok();
    let (months, days) = (i32::try_from(part("months")?).ok()?, i32::try_from(part("days")?).ok()?);
    Some(Interval { months, days, nanoseconds: part("nanoseconds")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_as_sql_writes_them() {
        let cases = [
            ("a + IntervalMonthDayNano { months: 0, days: 1, nanoseconds: 0 }", "a + INTERVAL '1 day'"),
            (
                "IntervalMonthDayNano { months: 14, days: -2, nanoseconds: 3500000000 } PRECEDING",
                "INTERVAL '1 year 2 mons -2 days +00:00:03.5' PRECEDING",
            ),
            ("IntervalMonthDayNano { odd }", "IntervalMonthDayNano { odd }"),
            ("a", "a"),
        ];
        for (text, expected) in cases {
            assert_eq!(with_intervals(text), expected);
        }
    }
}
