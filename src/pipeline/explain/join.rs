//! A join as EXPLAIN shows it: kind, keys, further conditions, how it is run.

use arrow::datatypes::Schema;

use super::{names_of, show_all};
use crate::pipeline::{JoinKind, JoinSide, JoinSpec, JoinStrategy};

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
            text + &format!(", table of {}{}", side(*build), if *everywhere { " everywhere" } else { "" })
        }
    }
}

/// What a join keeps, and what bounds it.
pub(super) fn state(join: &JoinSpec) -> &'static str {
    match &join.strategy {
        JoinStrategy::Hash { build: JoinSide::Left, .. } => "all rows of left",
        JoinStrategy::Hash { build: JoinSide::Right, .. } => "all rows of right",
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
