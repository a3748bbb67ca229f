//! Sessions as they were and as they are, as retractions and updates.
//!
//! ```text
//! (k, 0, 14, 2)  a row inside  -U (k, 0, 14, 2)  +U (k, 0, 14, 3)
//! and one behind              -D (k, 0, 14, 3)  +I (k, 0, 17, 4)
//! joined with another one     -D (k, 0, 17, 4)  -D (k, 18, 30, 1)  +I (k, 0, 30, 6)
//! ```

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;

use super::super::changes::{arrays, push_changes, rows};
use super::SessionAggregate;
use crate::batch::Change;
use crate::error::Result;
use crate::pipeline::EmitMode;
use crate::stream::operator::Next;
use crate::time::Bounds;

/// What was told of sessions.
pub(super) struct SessionChanges {
    /// The types of the operator's output.
    types: Vec<DataType>,
    /// For each session number, whether its result was told, and its key and bounds then.
    told: Vec<bool>,
    keys: Vec<u32>,
    bounds: Vec<Bounds>,
    /// The batch that last touched a session number.
    marks: Vec<u64>,
    batch: u64,
    /// Sessions to be told, in the order in which rows touched them.
    touched: Vec<u32>,
    /// Those told before that a touched one stands for, and which: sorted by it.
    before: Vec<(u32, u32)>,
    old: Vec<ArrayRef>,
}

impl SessionChanges {
    pub(super) fn new(types: Vec<DataType>) -> Self {
        SessionChanges {
            types,
            told: Vec::new(),
            keys: Vec::new(),
            bounds: Vec::new(),
            marks: Vec::new(),
            batch: 0,
            touched: Vec::new(),
            before: Vec::new(),
            old: Vec::new(),
        }
    }

    /// Closed sessions have said all.
    pub(super) fn forget(&mut self, closed: &[u32]) {
        for &session in closed {
            if let Some(told) = self.told.get_mut(session as usize) {
                *told = false;
            }
        }
    }

    fn grow(&mut self, count: usize) {
        self.told.resize(count.max(self.told.len()), false);
        self.keys.resize(count.max(self.keys.len()), 0);
        self.bounds.resize(count.max(self.bounds.len()), Bounds { start: 0, end: 0 });
        self.marks.resize(count.max(self.marks.len()), 0);
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.told.capacity() + self.marks.capacity() * 8 + self.keys.capacity() * 4 + self.bounds.capacity() * 16
    }
}

impl SessionAggregate {
    /// Writes what was told of the sessions that rows have touched, before their states change.
    pub(super) fn note_old(&mut self) -> Result<()> {
        let changes = &mut self.changes;
        changes.batch += 1;
        changes.grow(self.sessions.len());
        changes.touched.clear();
        for &session in &self.placed {
            let mark = &mut changes.marks[session as usize];
            if *mark != changes.batch {
                *mark = changes.batch;
                changes.touched.push(session);
            }
        }
        let told = &changes.told;
        let touched = changes.touched.iter().map(|&session| (session, session));
        let absorbed = self.absorbed.iter().map(|&session| (self.sessions.root(session), session));
        changes.before.clear();
        changes.before.extend(touched.chain(absorbed).filter(|(_, session)| told[*session as usize]));
        changes.before.sort_unstable();
        changes.before.dedup();
        let old: Vec<u32> = changes.before.iter().map(|(_, session)| *session).collect();
        let keys: Vec<u32> = old.iter().map(|&session| changes.keys[session as usize]).collect();
        let bounds: Vec<Bounds> = old.iter().map(|&session| changes.bounds[session as usize]).collect();
        self.write(&old, &keys, &bounds)?;
        self.changes.old = arrays(&mut self.out, old.len(), &self.changes.types)?;
        Ok(())
    }

    /// Compares with the sessions as they are now, and pushes what has changed.
    pub(super) fn tell_new(&mut self, next: &mut Next<'_>) -> Result<()> {
        let touched = std::mem::take(&mut self.changes.touched);
        self.write_open(&touched)?;
        let new = arrays(&mut self.out, touched.len(), &self.changes.types)?;
        let (old_rows, new_rows) = (rows(&self.changes.old)?, rows(&new)?);
        let before = &self.changes.before;
        let (mut picks, mut changes) = (Vec::new(), Vec::new());
        for (at, &session) in touched.iter().enumerate() {
            let from = before.partition_point(|(root, _)| *root < session);
            let to = before.partition_point(|(root, _)| *root <= session);
            if to - from == 1 && old_rows.row(from) == new_rows.row(at) {
                continue;
            }
            // Where the bounds move it is another row to whoever knows rows by their window.
            let stays =
                |told: u32| told == session && self.changes.bounds[told as usize] == self.sessions.bounds(session);
            let updates = to - from == 1 && stays(before[from].1);
            let taken_back = if updates { Change::UPDATE_BEFORE } else { Change::DELETE };
            for old in from..to {
                picks.push(old as u32);
                changes.push(taken_back);
            }
            picks.push((before.len() + at) as u32);
            changes.push(if updates { Change::UPDATE_AFTER } else { Change::INSERT });
        }
        let picks = UInt32Array::from(picks);
        let pairs = self.changes.old.iter().zip(&new);
        let columns = pairs.map(|(old, new)| Ok(take(&concat(&[old.as_ref(), new.as_ref()])?, &picks, None)?));
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        for (_, session) in &self.changes.before {
            self.changes.told[*session as usize] = false;
        }
        self.note_told(&touched);
        self.changes.touched = touched;
        push_changes(&columns, &changes, self.batch_rows, next)
    }

    /// Notes that sessions were told as they are now.
    pub(super) fn note_told(&mut self, sessions: &[u32]) {
        self.changes.grow(self.sessions.len());
        for &session in sessions {
            self.changes.told[session as usize] = true;
            self.changes.keys[session as usize] = self.sessions.key(session);
            self.changes.bounds[session as usize] = self.sessions.bounds(session);
        }
    }

    /// Gives what was told the new numbers: those of the sessions kept, all of which were told. The memory of the others is
    /// given back.
    pub(super) fn renumber_told(&mut self) {
        let changes = &mut self.changes;
        (changes.told, changes.keys) = (Vec::new(), Vec::new());
        (changes.bounds, changes.marks) = (Vec::new(), Vec::new());
        if self.emit == EmitMode::Changes {
            let open = self.sessions.all_open();
            self.note_told(&open);
        }
    }
}
