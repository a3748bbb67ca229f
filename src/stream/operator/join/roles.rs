//! What a kind of join does with the rows of each side, seen from the table: the side in it and the side passing by.

use crate::pipeline::{JoinKind, JoinSide};

/// What leaves of a side beside pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Nothing,
    /// Rows without a match, the other side's columns NULL.
    Unmatched,
    /// Rows with a match, alone.
    Semi,
    /// Rows without a match, alone.
    Anti,
    /// All rows, with whether they have a match.
    Mark,
}

/// A kind of join seen from its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roles {
    /// Whether pairs leave.
    pub pairs: bool,
    pub probe: Alone,
    pub build: Alone,
}

impl Roles {
    pub(super) fn new(kind: JoinKind, build: JoinSide) -> Roles {
        let (pairs, left, right) = match kind {
            JoinKind::Inner => (true, Alone::Nothing, Alone::Nothing),
            JoinKind::Left => (true, Alone::Unmatched, Alone::Nothing),
            JoinKind::Right => (true, Alone::Nothing, Alone::Unmatched),
            JoinKind::Full => (true, Alone::Unmatched, Alone::Unmatched),
            JoinKind::LeftSemi => (false, Alone::Semi, Alone::Nothing),
            JoinKind::RightSemi => (false, Alone::Nothing, Alone::Semi),
            JoinKind::LeftAnti => (false, Alone::Anti, Alone::Nothing),
            JoinKind::RightAnti => (false, Alone::Nothing, Alone::Anti),
            JoinKind::LeftMark => (false, Alone::Mark, Alone::Nothing),
            JoinKind::RightMark => (false, Alone::Nothing, Alone::Mark),
        };
        match build {
            JoinSide::Left => Roles { pairs, probe: right, build: left },
            JoinSide::Right => Roles { pairs, probe: left, build: right },
        }
    }

    /// Whether nothing leaves but pairs.
    pub(super) fn only_pairs(self) -> bool {
        self.pairs && self.probe == Alone::Nothing && self.build == Alone::Nothing
    }

    /// Whether an empty table means that nothing leaves.
    pub(super) fn nothing_without_build(self) -> bool {
        matches!(self.probe, Alone::Nothing | Alone::Semi)
    }
}
