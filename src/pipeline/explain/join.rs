//! A join as EXPLAIN shows it: kind, keys, further conditions, how it is run.

use arrow::datatypes::{Schema, TimeUnit};

use super::{names_of, show_all, show_duration};
use crate::pipeline::{JoinKind, JoinSide, JoinSpec, JoinStrategy, LookupSpec, SymmetricSpec, TimeBound, time_unit};

/// `inner on a = b and (c < d), table of right`.
pub(super) fn describe(join: &JoinSpec, inputs: &[&Schema]) -> String {
    let [left, right] = inputs else { return String::new() };
    let (left, right) = (names_of(left), names_of(right));
    let equal = if join.nulls_match { "is not distinct from" } else { "=" };
    let keys = show_all(&join.left_keys, &left).into_iter().zip(show_all(&join.right_keys, &right));
    let mut conditions: Vec<String> = keys.map(|(left, right)| format!("{left} {equal} {right}")).collect();
    let both: Vec<String> = left.into_iter().chain(right).collect();
    conditions.extend(join.residual.iter().flat_map(|residual| show_all(residual, &both)));
    let mut text = kind(join.kind).to_string();
    if join.null_aware {
        text += " null-aware";
    }
    if join.each_once {
        text += " each once";
    }
    if !conditions.is_empty() {
        text += &format!(" on {}", conditions.join(" and "));
    }
    match &join.strategy {
        JoinStrategy::Hash { build, everywhere } => {
            let everywhere = match *everywhere {
                0 | 1 => String::new(),
                usize::MAX => " everywhere".to_string(),
                most => format!(" everywhere up to {most} workers"),
            };
            text + &format!(", table of {}{everywhere}", side(*build))
        }
        JoinStrategy::Symmetric(SymmetricSpec { lookup: true, .. }) => text + ", as right is when left comes",
        JoinStrategy::Symmetric(symmetric) => match &symmetric.time {
            None => text + ", both kept",
            Some(bound) => text + &format!(", {}", describe_time(bound, inputs)),
        },
        JoinStrategy::AsOf(as_of) => {
            let names = |side: usize, column: usize| inputs[side].field(column).name().clone();
            let (of_left, of_right) = (names(0, as_of.left), names(1, as_of.right));
            let text = text
                + &match as_of.versions {
                    true => format!(", version of {of_right} at {of_left}"),
                    false => format!(", nearest {of_left} {} {of_right}", as_of.nearest.sign()),
                };
            if as_of.changes { text + ", corrected" } else { text }
        }
    }
}

/// `left with customers by id = customer and (tier > 1), 100000 keys kept for 1m`.
pub(super) fn describe_lookup(lookup: &LookupSpec, names: &[String]) -> String {
    let table = &lookup.lookup.schema;
    let keys = lookup.lookup.keys.iter().zip(show_all(&lookup.keys, names));
    let mut conditions: Vec<String> =
        keys.map(|(&key, from)| format!("{} = {from}", table.field(key).name())).collect();
    let both: Vec<String> = names.iter().cloned().chain(names_of(table)).collect();
    conditions.extend(lookup.conditions.iter().flat_map(|condition| show_all(condition, &both)));
    let options = lookup.lookup.options;
    let ttl = options.cache_ttl.map_or(String::new(), |ttl| {
        let ticks = i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX);
        format!(" for {}", show_duration(ticks, TimeUnit::Microsecond))
    });
    let text = format!("{} with {} by {}", kind(lookup.kind), lookup.name, conditions.join(" and "));
    text + &format!(", {} keys kept{ttl}", options.cache_keys_max)
}

/// `right.ts between left.ts - 5s and left.ts + 1m`.
fn describe_time(bound: &TimeBound, inputs: &[&Schema]) -> String {
    let (left, right) = (inputs[0].field(bound.left.column), inputs[1].field(bound.right.column));
    let unit = time_unit(left.data_type()).unwrap_or(TimeUnit::Microsecond);
    let (left, right) = (left.name(), right.name());
    let end = |ticks: i64| match ticks {
        0 => left.clone(),
        later if later > 0 => format!("{left} + {}", show_duration(later, unit)),
        earlier => format!("{left} - {}", show_duration(earlier.saturating_neg(), unit)),
    };
    match (bound.lower, bound.upper) {
        (Some(0), Some(0)) => format!("{left} = {right}"),
        (Some(lower), Some(upper)) => format!("{right} between {} and {}", end(lower), end(upper)),
        (Some(lower), None) => format!("{right} from {} on", end(lower)),
        (None, Some(upper)) => format!("{right} up to {}", end(upper)),
        (None, None) => "both kept".to_string(),
    }
}

/// What a join keeps, and what bounds it.
pub(super) fn state(join: &JoinSpec) -> String {
    if let JoinStrategy::Symmetric(symmetric) = &join.strategy
        && symmetric.ttl != [None; 2]
    {
        return state_by_age(symmetric);
    }
    let fixed = match &join.strategy {
        JoinStrategy::Hash { build: JoinSide::Left, .. } => "all rows of left",
        JoinStrategy::Hash { build: JoinSide::Right, .. } => "all rows of right",
        JoinStrategy::Symmetric(symmetric) if symmetric.recalls() => "rows of right, and what each row of left has met",
        JoinStrategy::Symmetric(SymmetricSpec { lookup: true, .. }) => "rows of right, grows with them",
        JoinStrategy::Symmetric(symmetric) => match symmetric.time.as_ref().map(|bound| (bound.lower, bound.upper)) {
            Some((Some(_), Some(_))) => "rows of both until the watermark passes their last match, bounded",
            Some((Some(_), None)) => {
                "rows of left, grows with them; of right until the watermark passes their last match"
            }
            Some((None, Some(_))) => {
                "rows of left until the watermark passes their last match; of right, grows with them"
            }
            _ => "rows of both, grows with them: add a time bound or windows",
        },
        JoinStrategy::AsOf(as_of) if as_of.changes => "rows of both, grows with them",
        JoinStrategy::AsOf(as_of) => match as_of.on_watermark {
            true => "rows of left until the watermark passes them; the last row per key of right, grows with its keys",
            false => "all rows of right",
        },
    };
    fixed.to_string()
}

/// `rows of left that came in the last 1h; of right, grows with them`.
fn state_by_age(symmetric: &SymmetricSpec) -> String {
    let side = |name: &str, ttl: Option<i64>| match ttl {
        Some(ttl) => format!("of {name} that came in the last {}", show_duration(ttl, TimeUnit::Microsecond)),
        None => format!("of {name}, grows with them"),
    };
    let (left, right) = (side("left", symmetric.ttl[0]), side("right", symmetric.ttl[1]));
    match symmetric.lookup {
        true if symmetric.recalls() => format!("rows {right}; what rows have met {left}"),
        true => format!("rows {right}"),
        false => format!("rows {left}; {right}"),
    }
}

fn kind(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "inner",
        JoinKind::Left => "left",
        JoinKind::Right => "right",
        JoinKind::Full => "full",
        JoinKind::LeftSemi => "left semi",
        JoinKind::RightSemi => "right semi",
        JoinKind::LeftAnti => "left anti",
        JoinKind::RightAnti => "right anti",
        JoinKind::LeftMark => "left mark",
        JoinKind::RightMark => "right mark",
    }
}

fn side(side: JoinSide) -> &'static str {
    match side {
        JoinSide::Left => "left",
        JoinSide::Right => "right",
    }
}
