//! The watermark before each row of a batch, as a list whose memory is reused.

/// A watermark for every row, or none at all when inactive.
#[derive(Debug, Default)]
pub struct Watermarks {
    active: bool,
    rows: Vec<i64>,
}

/// Written out because a derived `clone_from` takes new memory instead of its own.
impl Clone for Watermarks {
    fn clone(&self) -> Self {
        Watermarks { active: self.active, rows: self.rows.clone() }
    }

    fn clone_from(&mut self, from: &Self) {
        self.active = from.active;
        self.rows.clone_from(&from.rows);
    }
}

impl Watermarks {
    /// There are none; the memory stays.
    pub fn clear(&mut self) {
        self.active = false;
        self.rows.clear();
    }

    /// The watermark before each row; `None`: no row can be late.
    pub fn as_slice(&self) -> Option<&[i64]> {
        self.active.then_some(&self.rows[..])
    }

    pub fn as_mut_slice(&mut self) -> Option<&mut [i64]> {
        self.active.then_some(&mut self.rows[..])
    }

    pub fn is_some(&self) -> bool {
        self.active
    }

    /// Takes over those of `rows` of others, in this order; none if there are none.
    pub fn take_rows(&mut self, from: &Watermarks, rows: impl IntoIterator<Item = usize>) {
        self.clear();
        self.active = from.active;
        if from.active {
            self.rows.extend(rows.into_iter().map(|row| from.rows[row]));
        }
    }

    /// Makes it these, a watermark per row.
    pub fn set(&mut self, rows: &[i64]) {
        self.clear();
        self.active = true;
        self.rows.extend_from_slice(rows);
    }
}
