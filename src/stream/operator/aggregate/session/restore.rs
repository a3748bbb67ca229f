//! Open sessions as a section of a snapshot: keys, where the session lies, then its states.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};

use super::SessionAggregate;
use crate::error::Result;
use crate::pipeline::EmitMode;
use crate::state::Section;
use crate::stream::operator::saved;

const NAME: &str = "sessions 1";
/// Start, last row, and how far back it links.
const PLACE_COLUMNS: usize = 3;

impl SessionAggregate {
    pub(super) fn save(&mut self) -> Result<Vec<Section>> {
        let open = self.sessions.all_open();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<u32> = open.iter().map(|&session| self.sessions.key(session)).collect();
        let mut columns = saved::keys_of(&self.index, &self.shape.key_types, &keys)?;
        let key_count = columns.len();
        let numbers = |of: &dyn Fn(u32) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(open.iter().map(|&session| of(session))))
        };
        columns.push(numbers(&|session| self.sessions.bounds(session).start));
        columns.push(numbers(&|session| self.sessions.last_and_reach(session).0));
        columns.push(numbers(&|session| self.sessions.last_and_reach(session).1));
        columns.extend(self.states.pick(&open)?.save(open.len())?);
        Ok(vec![saved::section(NAME, columns, open.len(), key_count)?])
    }

    pub(super) fn load(&mut self, section: &Section) -> Result<()> {
        let key_count = self.shape.key_types.len();
        let first = key_count + PLACE_COLUMNS;
        saved::check(section, NAME, first + self.shape.state_columns())?;
        let columns = section.rows.columns();
        let keys = saved::find_keys(&mut self.index, &columns[..key_count], section.rows.num_rows())?;
        self.sessions.grow_keys(self.index.len());
        let (starts, lasts) = (saved::integers(section, key_count)?, saved::integers(section, key_count + 1)?);
        let reaches = saved::integers(section, key_count + 2)?;
        let place = |(row, &key): (usize, &u32)| {
            self.sessions.restore(key, starts.value(row), lasts.value(row), reaches.value(row))
        };
        let sessions: Vec<u32> = keys.iter().enumerate().map(place).collect();
        self.known = self.sessions.len();
        self.states.load(&sessions, self.known, &columns[first..])?;
        if self.emit == EmitMode::Changes {
            self.note_told(&sessions);
        }
        Ok(())
    }
}
