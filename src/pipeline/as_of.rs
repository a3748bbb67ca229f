//! Joins by the nearest: for each left row, the one right row that is nearest in time, or in another order.

/// How a join by the nearest is run.
#[derive(Debug, Clone)]
pub struct AsOfSpec {
    /// What the left side is ordered by: a column of it.
    pub left: usize,
    pub right: usize,
    pub nearest: Nearest,
    /// Whether a right row takes the place of one with the same key and time that came before it.
    pub versions: bool,
    /// Whether both are event times: a left row leaves when the watermark has passed it. Else the right side, which ends,
    /// is read whole before the left one.
    pub on_watermark: bool,
    /// Whether what a left row meets is corrected when rows of either side come and go: all rows of both are kept.
    pub changes: bool,
    /// The primary key of the right side, whose least decides between right rows of one order; without one, any does, always
    /// the same. Not with `on_watermark`.
    pub ties: Vec<usize>,
}

/// Which right row a left row meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearest {
    /// The last one before the left row or beside it.
    AtOrBefore,
    Before,
    /// The first one after the left row or beside it.
    AtOrAfter,
    After,
}

impl Nearest {
    /// The comparison of the left row with the right one.
    pub fn sign(self) -> &'static str {
        match self {
            Nearest::AtOrBefore => ">=",
            Nearest::Before => ">",
            Nearest::AtOrAfter => "<=",
            Nearest::After => "<",
        }
    }
}
