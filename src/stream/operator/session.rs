//! Puts session columns behind the rows: rows wait until their session is closed.
//!
//! Place       after exchange by the keys of the sessions, where sessions are read as rows.
//! Owns        the rows of open sessions, as columns; where each lies and which comes after it in its session.
//! Invariants  as of [`Sessions`]. Rows of a session leave together, in the order of arrival; of sessions that became
//!             one, the rows of the one that began first go first.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, new_empty_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, SchemaRef};
use smallvec::SmallVec;

use super::aggregate::Sessions;
use super::{Ending, Next, Operator, saved};
use crate::batch::{Argument, Batch, Column, Flat, ROWS_MAX, Selection, Values, without_waste};
use crate::error::Result;
use crate::expression::{Evaluator, Program};
use crate::function::KernelContext;
use crate::pipeline::WindowColumn;
use crate::state::{GroupIndex, Section};
use crate::time::{Bounds, END, START};

/// No row.
const NONE: u32 = u32::MAX;
/// More rows that are gone than these are worth making the columns anew.
const GONE_MIN: usize = 1 << 10;
const NAME: &str = "session rows 1";
/// Start, last row, and how far back the session links.
const PLACE_COLUMNS: usize = 3;

/// A running session table function. Its input has the keys first, then the columns to put out.
pub struct SessionRows {
    key_types: Vec<DataType>,
    /// The types of the columns to put out.
    types: Vec<DataType>,
    inputs: Evaluator,
    times: Evaluator,
    index: GroupIndex,
    sessions: Sessions,
    seed: u64,
    context: KernelContext,
    batch_rows: usize,
    /// Rows in pieces, a column per type; where each row lies, and the next one of its session.
    pieces: Vec<Vec<ArrayRef>>,
    places: Vec<(u32, u32)>,
    next: Vec<u32>,
    /// The first and the last row of each session.
    ends: Vec<(u32, u32)>,
    held: usize,
    piece_bytes: usize,
    late_rows: u64,
    unplaced_rows: u64,
    keys: Vec<u32>,
    absorbed: Vec<u32>,
    closed: Vec<u32>,
    whole: Selection,
}

impl SessionRows {
    /// `schema` is that of the input, `time` the time column in it.
    pub fn new(
        gap: i64,
        schema: &SchemaRef,
        key_count: usize,
        time: usize,
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Self {
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let all: Vec<(usize, DataType)> = types.iter().cloned().enumerate().collect();
        let key_types = types[..key_count].to_vec();
        SessionRows {
            index: GroupIndex::new(key_types.clone(), seed, context.level),
            key_types,
            inputs: Evaluator::new(Arc::new(Program::columns(&all)), context),
            times: Evaluator::new(Arc::new(Program::columns(&[(time, types[time].clone())])), context),
            types: types[key_count..].to_vec(),
            sessions: Sessions::new(gap),
            seed,
            context,
            batch_rows: batch_rows.min(ROWS_MAX),
            pieces: Vec::new(),
            places: Vec::new(),
            next: Vec::new(),
            ends: Vec::new(),
            held: 0,
            piece_bytes: 0,
            late_rows: 0,
            unplaced_rows: 0,
            keys: Vec::new(),
            absorbed: Vec::new(),
            closed: Vec::new(),
            whole: Selection::default(),
        }
    }

    /// Puts a row of the last piece behind those of its session.
    fn keep(&mut self, session: u32, at: u32) {
        let row = self.places.len() as u32;
        self.places.push((self.pieces.len() as u32, at));
        self.next.push(NONE);
        self.append(session, (row, row));
        self.held += 1;
    }

    /// Puts a list of rows behind those of a session.
    fn append(&mut self, session: u32, (first, last): (u32, u32)) {
        self.ends.resize(self.sessions.len().max(self.ends.len()), (NONE, NONE));
        let ends = &mut self.ends[session as usize];
        if ends.0 == NONE {
            *ends = (first, last);
        } else {
            self.next[ends.1 as usize] = first;
            ends.1 = last;
        }
    }

    fn join_absorbed(&mut self) {
        let mut absorbed = std::mem::take(&mut self.absorbed);
        absorbed.sort_unstable();
        self.ends.resize(self.sessions.len().max(self.ends.len()), (NONE, NONE));
        for session in absorbed.drain(..) {
            let ends = std::mem::replace(&mut self.ends[session as usize], (NONE, NONE));
            if ends.0 != NONE {
                self.append(self.sessions.root(session), ends);
            }
        }
        self.absorbed = absorbed;
    }

    fn close(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        let mut closed = std::mem::take(&mut self.closed);
        self.sessions.close(watermark, &mut closed);
        let (mut rows, mut bounds) = (Vec::new(), Vec::new());
        for &session in &closed {
            let (mut row, window) = (self.ends[session as usize].0, self.sessions.bounds(session));
            while row != NONE {
                rows.push(row);
                bounds.push(window);
                row = self.next[row as usize];
            }
            self.ends[session as usize] = (NONE, NONE);
        }
        for (rows, bounds) in rows.chunks(self.batch_rows).zip(bounds.chunks(self.batch_rows)) {
            self.push_rows(rows, bounds, next)?;
        }
        self.held -= rows.len();
        self.sessions.forget(&closed);
        self.closed = closed;
        self.compact()
    }

    fn push_rows(&self, rows: &[u32], bounds: &[Bounds], next: &mut Next<'_>) -> Result<()> {
        let columns = (0..self.types.len()).map(|column| self.gather(column, rows));
        let mut batch = Batch::from_arrays(columns.collect::<Result<Vec<_>>>()?, rows.len());
        for which in [WindowColumn::Start, WindowColumn::End, WindowColumn::Time] {
            let mut flat = Flat::new(Values::I64(bounds.iter().map(|window| which.of(*window)).collect()));
            flat.rows = rows.len();
            batch.columns.push(Column::Flat(flat));
        }
        next.push(&mut batch)
    }

    /// The values of some rows.
    fn gather(&self, column: usize, rows: &[u32]) -> Result<ArrayRef> {
        if rows.is_empty() {
            return Ok(new_empty_array(&self.types[column]));
        }
        let mut pieces: Vec<u32> = rows.iter().map(|&row| self.places[row as usize].0).collect();
        pieces.sort_unstable();
        pieces.dedup();
        let arrays: Vec<&dyn Array> =
            pieces.iter().map(|&piece| self.pieces[piece as usize][column].as_ref() as &dyn Array).collect();
        let place = |&row: &u32| {
            let (piece, at) = self.places[row as usize];
            (pieces.partition_point(|known| *known < piece), at as usize)
        };
        Ok(interleave(&arrays, &rows.iter().map(place).collect::<Vec<_>>())?)
    }

    /// Makes the columns anew when most rows or sessions in them are gone.
    fn compact(&mut self) -> Result<()> {
        if let Some(kept) = self.sessions.compact() {
            self.ends = kept.sessions.iter().map(|&session| self.ends[session as usize]).collect();
            let shape = (&self.key_types[..], self.seed, self.context.level);
            self.index = super::aggregate::moved(&self.index, shape, &kept.keys)?;
        }
        if self.places.len() <= 2 * self.held + GONE_MIN {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(self.held);
        let mut next = Vec::with_capacity(self.held);
        for ends in self.ends.iter_mut().filter(|ends| ends.0 != NONE) {
            let (mut row, first) = (ends.0, rows.len() as u32);
            while row != NONE {
                rows.push(row);
                next.push(rows.len() as u32);
                row = self.next[row as usize];
            }
            *ends = (first, rows.len() as u32 - 1);
            next[rows.len() - 1] = NONE;
        }
        let columns = (0..self.types.len()).map(|column| self.gather(column, &rows).map(without_waste));
        self.pieces = vec![columns.collect::<Result<Vec<_>>>()?];
        self.places = (0..rows.len() as u32).map(|row| (0, row)).collect();
        self.next = next;
        self.weigh();
        Ok(())
    }

    fn weigh(&mut self) {
        let of_piece = |piece: &Vec<ArrayRef>| piece.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        self.piece_bytes = self.pieces.iter().map(of_piece).sum();
    }

    /// All rows that wait, session by session.
    fn waiting(&self) -> (Vec<u32>, Vec<u32>) {
        let (mut rows, mut sessions) = (Vec::new(), Vec::new());
        for session in self.sessions.all_open() {
            let mut row = self.ends[session as usize].0;
            while row != NONE {
                rows.push(row);
                sessions.push(session);
                row = self.next[row as usize];
            }
        }
        (rows, sessions)
    }
}

impl Operator for SessionRows {
    fn push(&mut self, _port: usize, batch: &mut Batch, _next: &mut Next<'_>) -> Result<()> {
        self.inputs.run(batch)?;
        self.times.run(batch)?;
        {
            let keys: SmallVec<[Argument<'_>; 4]> =
                (0..self.key_types.len()).map(|key| self.inputs.output(batch, key)).collect();
            self.index.lookup(&keys, self.inputs.rows(), &mut self.keys)?;
        }
        self.sessions.grow_keys(self.index.len());
        let watermarks = batch.selected_watermarks();
        let times = self.times.output(batch, 0);
        let values = times.values::<i64>()?;
        let (mut rows, mut placed) = (Vec::new(), Vec::new());
        for row in 0..times.rows() {
            if times.is_null(row) {
                self.unplaced_rows += 1;
                continue;
            }
            let time = if times.is_constant() { values[0] } else { values[row] };
            let watermark = watermarks.as_ref().map_or(START, |watermarks| watermarks[row]);
            match self.sessions.take(self.keys[row], time, watermark, &mut self.absorbed) {
                Some(session) => {
                    rows.push(row as u16);
                    placed.push(session);
                }
                None => self.late_rows += 1,
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.join_absorbed();
        self.whole.clone_from(&batch.selection);
        batch.selection.narrow(&rows);
        let first = self.key_types.len();
        let columns = batch.columns[first..].iter_mut().zip(&self.types);
        let columns = columns.map(|(column, data_type)| column.to_array(data_type, batch.rows, &batch.selection));
        let piece = columns.map(|column| column.map(without_waste)).collect::<Result<Vec<ArrayRef>>>()?;
        batch.selection.clone_from(&self.whole);
        self.piece_bytes += piece.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        for (at, &session) in placed.iter().enumerate() {
            self.keep(self.sessions.root(session), at as u32);
        }
        self.pieces.push(piece);
        Ok(())
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        self.close(watermark, next)?;
        // A session that is still open ends at the watermark or after; its last tick is one before.
        next.watermark(if watermark == START || watermark == END { watermark } else { watermark - 1 })
    }

    fn finish(&mut self, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Flush { self.close(END, next) } else { Ok(()) }
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let (rows, sessions) = self.waiting();
        let keys: Vec<u32> = sessions.iter().map(|&session| self.sessions.key(session)).collect();
        let mut columns = saved::keys_of(&self.index, &self.key_types, &keys)?;
        let numbers = |of: &dyn Fn(u32) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(sessions.iter().map(|&session| of(session))))
        };
        columns.push(numbers(&|session| self.sessions.bounds(session).start));
        columns.push(numbers(&|session| self.sessions.last_and_reach(session).0));
        columns.push(numbers(&|session| self.sessions.last_and_reach(session).1));
        for column in 0..self.types.len() {
            columns.push(self.gather(column, &rows)?);
        }
        Ok(vec![saved::section(NAME, columns, rows.len(), self.key_types.len())?])
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in &sections {
            let key_count = self.key_types.len();
            saved::check(section, NAME, key_count + PLACE_COLUMNS + self.types.len())?;
            let columns = section.rows.columns();
            let keys = saved::find_keys(&mut self.index, &columns[..key_count], section.rows.num_rows())?;
            self.sessions.grow_keys(self.index.len());
            let (starts, lasts) = (saved::integers(section, key_count)?, saved::integers(section, key_count + 1)?);
            let reaches = saved::integers(section, key_count + 2)?;
            for (row, &key) in keys.iter().enumerate() {
                let (start, last, reach) = (starts.value(row), lasts.value(row), reaches.value(row));
                let session = self.sessions.restore(key, start, last, reach);
                self.keep(session, row as u32);
            }
            self.pieces.push(columns[key_count + PLACE_COLUMNS..].to_vec());
            self.weigh();
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        let rows = self.places.capacity() * 8 + self.next.capacity() * 4 + self.ends.capacity() * 8;
        self.index.size_bytes() + self.sessions.size_bytes() + self.piece_bytes + rows
    }

    fn remarks(&self) -> String {
        format!("open sessions {}, rows waiting {}", self.sessions.open(), self.held)
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }

    fn unplaced_rows(&self) -> u64 {
        self.unplaced_rows
    }
}
