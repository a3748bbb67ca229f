//! What a row means to the answer: inserted, deleted, or one half of an update.

/// One row's effect on the answer: the sign is its weight, the size tells an update from an insert or a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Change(pub i8);

impl Change {
    pub const INSERT: Change = Change(1);
    pub const UPDATE_AFTER: Change = Change(2);
    pub const DELETE: Change = Change(-1);
    pub const UPDATE_BEFORE: Change = Change(-2);

    /// +1 where the row is given, -1 where it is taken back.
    pub fn weight(self) -> i64 {
        self.0.signum() as i64
    }

    /// Whether the row takes back one given before.
    pub fn is_retraction(self) -> bool {
        self.0 < 0
    }

    /// The word that sinks show in `_op`.
    pub fn word(self) -> &'static str {
        match self.0 {
            1 => "+I",
            2 => "+U",
            -2 => "-U",
            _ => "-D",
        }
    }

    /// The change a sink's word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "+I" => Some(Self::INSERT),
            "+U" => Some(Self::UPDATE_AFTER),
            "-U" => Some(Self::UPDATE_BEFORE),
            "-D" => Some(Self::DELETE),
            _ => None,
        }
    }
}
