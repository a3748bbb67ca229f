//! Which rows of a batch still count, as a list of row numbers whose memory is reused.

/// An ascending list of row numbers, or all rows when inactive.
#[derive(Debug, Default)]
pub struct Selection {
    active: bool,
    rows: Vec<u16>,
}

/// Written out because a derived `clone_from` takes new memory instead of its own.
impl Clone for Selection {
    fn clone(&self) -> Self {
        Selection { active: self.active, rows: self.rows.clone() }
    }

    fn clone_from(&mut self, from: &Self) {
        self.active = from.active;
        self.rows.clone_from(&from.rows);
    }
}

impl Selection {
    /// All rows count again; the memory stays.
    pub fn clear(&mut self) {
        self.active = false;
        self.rows.clear();
    }

    /// The selected row numbers, or `None` when all rows count.
    pub fn as_slice(&self) -> Option<&[u16]> {
        self.active.then_some(&self.rows[..])
    }

    /// How many of `rows` physical rows count.
    pub fn rows(&self, rows: usize) -> usize {
        if self.active { self.rows.len() } else { rows }
    }

    /// Makes the selection active and lends its list to be written.
    pub fn begin(&mut self) -> &mut Vec<u16> {
        self.active = true;
        self.rows.clear();
        &mut self.rows
    }

    /// Leaves those of `rows` physical rows that count and for which `stays` is true; `kept` is memory to do it in.
    pub fn retain(&mut self, rows: usize, mut stays: impl FnMut(usize) -> bool, kept: &mut Vec<u16>) {
        kept.clear();
        match self.as_slice() {
            None => kept.extend((0..rows).filter(|&row| stays(row)).map(|row| row as u16)),
            Some(selected) => {
                let left = selected.iter().enumerate().filter(|(_, row)| stays(**row as usize));
                kept.extend(left.map(|(place, _)| place as u16));
            }
        }
        if kept.len() < self.rows(rows) {
            self.narrow(kept);
        }
    }

    /// Keeps the rows at `kept`, positions within the current selection.
    pub fn narrow(&mut self, kept: &[u16]) {
        if !self.active {
            self.begin().extend_from_slice(kept);
            return;
        }
        for (to, &from) in kept.iter().enumerate() {
            debug_assert!(from as usize >= to, "positions ascend");
            self.rows[to] = self.rows[from as usize];
        }
        self.rows.truncate(kept.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrows_twice() {
        let mut selection = Selection::default();
        selection.narrow(&[1, 3, 5, 7]);
        selection.narrow(&[0, 2]);
        assert_eq!(selection.as_slice(), Some(&[1u16, 5][..]));
        assert_eq!(selection.rows(10), 2);
        selection.retain(10, |row| row > 1, &mut Vec::new());
        assert_eq!(selection.as_slice(), Some(&[5u16][..]));
    }
}
