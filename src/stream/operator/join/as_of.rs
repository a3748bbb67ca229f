//! For each left row the nearest right row of its key: ASOF joins, and joins with a table as of a time.
//!
//! ```text
//! both in event time    left rows wait until the watermark has passed them: then all right rows before are known
//! otherwise             the right side is read whole, then left rows pass by it as they come
//! ```
//! Owns        the left rows that wait; of the right side, the rows of each key that a left row to come can ask for.
//! Invariants  a left row leaves once. A late left row is dropped and counted; a late right row counts from the watermark on
//!             for which it was late, so no left row that has left would have met it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use smallvec::SmallVec;

use super::as_of_changes::least_last;
use super::side::{Side, arguments};
use super::versions::{DELETED, Version, Versions};
use super::writer::{Writer, to_physical};
use crate::batch::{Argument, Batch, Change, Column, KernelColumn, Kind, Selection};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{AsOfSpec, JoinKind, JoinSide, JoinSpec};
use crate::state::{GroupIndex, Multimap, NO_GROUP, Section, SectionRoute, hash_keys};
use crate::stream::operator::{Ending, Next, Operator};

/// Rows per section of a snapshot.
const SECTION_ROWS: usize = 1 << 16;
const LEFT: &str = "as of left 1";
const RIGHT: &str = "as of right 1";

/// A running join by the nearest.
pub struct AsOfJoin {
    spec: AsOfSpec,
    /// Whether left rows without a right one leave too.
    outer: bool,
    left: Side,
    right: Side,
    order_types: [DataType; 2],
    index: GroupIndex,
    versions: Vec<Versions>,
    /// Bytes of lists that have more than one version.
    list_bytes: usize,
    watermark: i64,
    right_ended: bool,
    /// Whether the right side was cut off: what would leave could be wrong.
    held: bool,
    arrivals: u64,
    late_rows: u64,
    writer: Writer,
    context: KernelContext,
    batch_rows: usize,
    groups: Vec<u32>,
    ids: Vec<u32>,
    /// Left rows that have waited, in the columns of their input.
    waited: Batch,
}

impl AsOfJoin {
    /// A join of inputs with these columns.
    ///
    /// Failure: a column whose type cannot be kept.
    pub fn new(
        spec: &JoinSpec,
        as_of: &AsOfSpec,
        schemas: [&SchemaRef; 2],
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Result<Self> {
        let writer = Writer::new(spec, schemas);
        let side = |side: JoinSide, order: usize, keys_wait: bool| {
            let mut needed = writer.columns(side);
            needed.push(order);
            needed.extend(as_of.ties.iter().filter(|_| side == JoinSide::Right));
            if keys_wait {
                needed.extend(spec.keys(side).inputs());
            }
            Side::of_rows(spec, side, schemas[usize::from(side == JoinSide::Right)], needed, order, seed, context)
        };
        let (left, right) = (side(JoinSide::Left, as_of.left, true)?, side(JoinSide::Right, as_of.right, false)?);
        let index = GroupIndex::new(right.key_types().to_vec(), seed, context.level);
        let mut waited = Batch::default();
        waited.columns.resize_with(schemas[0].fields().len(), Column::default);
        let order_type = |side: usize, column: usize| schemas[side].field(column).data_type().clone();
        Ok(AsOfJoin {
            outer: spec.kind == JoinKind::Left,
            order_types: [order_type(0, as_of.left), order_type(1, as_of.right)],
            spec: as_of.clone(),
            left,
            right,
            index,
            versions: Vec::new(),
            list_bytes: 0,
            watermark: i64::MIN,
            right_ended: false,
            held: false,
            arrivals: 0,
            late_rows: 0,
            writer,
            context,
            batch_rows,
            groups: Vec::new(),
            ids: Vec::new(),
            waited,
        })
    }

    fn take_right(&mut self, batch: &Batch) -> Result<()> {
        self.right.evaluator.run(batch)?;
        let rows = self.right.evaluator.rows();
        let arguments = arguments(&self.right.evaluator, batch);
        let time = &arguments[self.right.time.expect("the order is kept")];
        let orders = orders(time, &self.order_types[1])?;
        let keys = &arguments[..self.right.key_count];
        let changes = batch.selected_changes();
        let marks = batch.selected_watermarks();
        let is_deleted = |row: u16| changes.as_ref().is_some_and(|changes| changes[row as usize].is_retraction());
        let counts = |row: &u16| {
            let at = *row as usize;
            (!time.is_null(at) || is_deleted(*row)) && keys.iter().all(|key| !key.is_null(at))
        };
        let wanted: Vec<u16> = (0..rows).map(|row| row as u16).filter(counts).collect();
        self.index.lookup(keys, rows, &mut self.groups)?;
        self.versions.resize_with(self.index.len().max(self.versions.len()), Versions::default);
        let given: Vec<u16> = wanted.iter().copied().filter(|&row| !is_deleted(row)).collect();
        let kept: SmallVec<[Argument<'_>; 8]> = self.right.kept.iter().map(|&output| arguments[output]).collect();
        let ties = match self.spec.versions {
            true => {
                let first = self.arrivals;
                self.arrivals += rows as u64;
                (first..self.arrivals).collect()
            }
            false => row_ties(&kept, &self.right.map, rows, self.context)?,
        };
        self.right.map.append(&kept, &vec![0; rows], &given, &[])?;
        let mut ids = std::mem::take(&mut self.ids);
        self.right.map.last_ids(given.len(), &mut ids);
        follow_moved(&mut self.right.map, &mut self.versions);
        let mut next_id = ids.iter().copied();
        let mut gone = Vec::new();
        for row in wanted {
            let id = if is_deleted(row) { DELETED } else { next_id.next().expect("a number per row given") };
            let late = marks.as_ref().map_or(i64::MIN, |marks| marks[row as usize]);
            let versions = &mut self.versions[self.groups[row as usize] as usize];
            let before = versions.more_bytes();
            // A tombstone may have nothing but its key: then the key ends with its last version.
            let order = if time.is_null(row as usize) { versions.last_order() } else { Some(orders[row as usize]) };
            let Some(order) = order else { continue };
            versions.push(Version { order, tie: ties[row as usize], from: order.max(late), id });
            if self.spec.on_watermark {
                versions.prune(self.watermark, &mut gone);
            }
            self.list_bytes = self.list_bytes + versions.more_bytes() - before;
        }
        self.ids = ids;
        self.right.map.forget(&gone);
        self.right.map.release()?;
        follow_moved(&mut self.right.map, &mut self.versions);
        Ok(())
    }

    fn take_left(&mut self, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.left.evaluator.run(batch)?;
        let rows = self.left.evaluator.rows();
        if self.right_ended {
            let all: Vec<u16> = (0..rows).map(|row| row as u16).collect();
            let on_time = self.without_late(batch, all)?;
            return self.resolve(batch, &on_time, next);
        }
        let (mut waiting, mut alone) = (Vec::new(), Vec::new());
        let on_time = self.without_late(batch, (0..rows).map(|row| row as u16).collect())?;
        let arguments = arguments(&self.left.evaluator, batch);
        let time = &arguments[self.left.time.expect("the order is kept")];
        for row in on_time {
            if time.is_null(row as usize) { alone.push(row) } else { waiting.push(row) }
        }
        let kept: SmallVec<[Argument<'_>; 8]> = self.left.kept.iter().map(|&output| arguments[output]).collect();
        self.left.map.append(&kept, &vec![0; rows], &waiting, &[])?;
        drop(kept);
        drop(arguments);
        self.resolve(batch, &alone, next)
    }

    /// The rows that are not late; the others are counted.
    fn without_late(&mut self, batch: &Batch, rows: Vec<u16>) -> Result<Vec<u16>> {
        let Some(marks) = batch.selected_watermarks().filter(|_| self.spec.on_watermark) else { return Ok(rows) };
        let time = self.left.evaluator.output(batch, self.left.time.expect("the order is kept"));
        let orders = orders(&time, &self.order_types[0])?;
        let count = rows.len();
        let is_in_time = |row: &u16| time.is_null(*row as usize) || orders[*row as usize] >= marks[*row as usize];
        let kept: Vec<u16> = rows.into_iter().filter(is_in_time).collect();
        self.late_rows += (count - kept.len()) as u64;
        Ok(kept)
    }

    /// Sends rows of a batch, which the left program has run over, beside the nearest right ones.
    fn resolve(&mut self, batch: &Batch, rows: &[u16], next: &mut Next<'_>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let arguments = arguments(&self.left.evaluator, batch);
        let time = &arguments[self.left.time.expect("the order is kept")];
        let orders = orders(time, &self.order_types[0])?;
        let keys = &arguments[..self.left.key_count];
        self.index.find(keys, self.left.evaluator.rows(), &mut self.groups)?;
        let (mut met, mut held, mut alone) = (Vec::new(), Vec::new(), Vec::new());
        for &row in rows {
            let at = row as usize;
            let known = !time.is_null(at) && keys.iter().all(|key| !key.is_null(at)) && self.groups[at] != NO_GROUP;
            let found = if known {
                self.versions[self.groups[at] as usize].nearest(orders[at], self.spec.nearest)
            } else {
                None
            };
            match found {
                Some(id) => {
                    met.push(row);
                    held.push(id);
                }
                None => alone.push(row),
            }
        }
        drop(arguments);
        let mut physical = Vec::new();
        to_physical(batch, &met, &mut physical);
        self.writer.pairs(batch, JoinSide::Left, &physical, self.right.held(), &held, Change::INSERT, next)?;
        if self.outer {
            to_physical(batch, &alone, &mut physical);
            self.writer.own(batch, JoinSide::Left, &physical, false, Change::INSERT, next)?;
        }
        Ok(())
    }

    /// Where the right side has a primary key, that decides between its rows of one order: the least.
    fn rank_ties(&mut self) -> Result<()> {
        let places = |column: &usize| self.right.places[*column].expect("what is read is kept");
        let places: Vec<usize> = self.spec.ties.iter().map(places).collect();
        let tied = |versions: &&mut Versions| versions.iter().nth(1).is_some();
        let mut tied: Vec<&mut Version> = self.versions.iter_mut().filter(tied).flat_map(Versions::iter_mut).collect();
        if places.is_empty() || tied.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = tied.iter().map(|version| version.id).collect();
        let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); places.len()];
        for ids in ids.chunks(SECTION_ROWS) {
            for (piece, &place) in pieces.iter_mut().zip(&places) {
                let mut column = Column::default();
                self.right.map.gather(place, ids, &mut column)?;
                piece.push(column.to_array(&self.right.map.shape().types[place], ids.len(), &Selection::default())?);
            }
        }
        let whole = |piece: Vec<ArrayRef>| concat(&piece.iter().map(|array| array.as_ref()).collect::<Vec<_>>());
        let keys = pieces.into_iter().map(|piece| Ok(whole(piece)?)).collect::<Result<Vec<ArrayRef>>>()?;
        let written = least_last(&self.right, &places)?.convert_columns(&keys)?;
        let mut order: Vec<usize> = (0..tied.len()).collect();
        order.sort_by(|&a, &b| written.row(a).cmp(&written.row(b)));
        for (rank, at) in order.into_iter().enumerate() {
            tied[at].tie = rank as u64;
        }
        Ok(())
    }

    /// Sends the waiting left rows before `watermark`.
    fn pass(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        let mut ids = Vec::new();
        self.left.map.expire(watermark, Some(&mut ids));
        let mut waited = std::mem::take(&mut self.waited);
        let passed = ids.chunks(self.batch_rows).try_for_each(|ids| {
            for (column, place) in self.left.places.iter().enumerate() {
                if let Some(place) = place {
                    self.left.map.gather(*place, ids, &mut waited.columns[column])?;
                }
            }
            waited.rows = ids.len();
            self.left.evaluator.run(&waited)?;
            let all: Vec<u16> = (0..ids.len()).map(|row| row as u16).collect();
            self.resolve(&waited, &all, next)
        });
        self.waited = waited;
        passed?;
        self.left.map.release()
    }

    fn left_section(&mut self, ids: &[u32]) -> Result<Section> {
        let mut batch = Batch::default();
        batch.columns.resize_with(self.waited.columns.len(), Column::default);
        for (column, place) in self.left.places.iter().enumerate() {
            if let Some(place) = place {
                self.left.map.gather(*place, ids, &mut batch.columns[column])?;
            }
        }
        batch.rows = ids.len();
        self.left.evaluator.run(&batch)?;
        section(LEFT, &self.left.evaluator, &batch, self.left.key_count, &self.left.kept)
    }

    /// Versions as rows: key, what is kept of them, order, tie, from, and whether there is a row at all.
    fn right_sections(&mut self, out: &mut Vec<Section>) -> Result<()> {
        let all: Vec<(u32, Version)> = (0u32..)
            .zip(&self.versions)
            .flat_map(|(group, versions)| versions.iter().map(move |version| (group, *version)))
            .collect();
        let types = self.right.map.shape().types.clone();
        for all in all.chunks(SECTION_ROWS) {
            let groups: Vec<u32> = all.iter().map(|(group, _)| *group).collect();
            let mut fields = Vec::new();
            let mut arrays: Vec<ArrayRef> = Vec::new();
            let mut add = |data_type: &DataType, mut column: Column| -> Result<()> {
                fields.push(Field::new(format!("c{}", fields.len()), data_type.clone(), true));
                arrays.push(column.to_array(data_type, all.len(), &Selection::default())?);
                Ok(())
            };
            for (key, data_type) in self.right.key_types().iter().enumerate() {
                let mut column = Column::default();
                self.index.keys(key, &groups, &mut column)?;
                add(data_type, column)?;
            }
            // A deleted key has no row: another row's values stand for it, and are not read.
            let any = all.iter().map(|(_, version)| version.id).find(|id| *id != DELETED);
            for (place, data_type) in types.iter().enumerate() {
                let column = match any {
                    None => Column::Constant(arrow::array::new_null_array(data_type, 1)),
                    Some(any) => {
                        let id = |(_, version): &(u32, Version)| if version.id == DELETED { any } else { version.id };
                        let ids: Vec<u32> = all.iter().map(id).collect();
                        let mut column = Column::default();
                        self.right.map.gather(place, &ids, &mut column)?;
                        column
                    }
                };
                add(data_type, column)?;
            }
            let number = |of: fn(&Version) -> i64| {
                let values: Int64Array = all.iter().map(|(_, version)| Some(of(version))).collect();
                Column::Array(Arc::new(values))
            };
            add(&DataType::Int64, number(|version| version.order))?;
            add(&DataType::Int64, number(|version| version.tie as i64))?;
            add(&DataType::Int64, number(|version| version.from))?;
            add(&DataType::Int64, number(|version| i64::from(version.id == DELETED)))?;
            let key_count = self.right.key_count;
            let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
            out.push(Section { name: RIGHT.to_string(), rows, route: route(key_count) });
        }
        Ok(())
    }

    fn restore_left(&mut self, section: &Section) -> Result<()> {
        let columns = loaded(section, self.left.key_count + self.left.kept.len())?;
        let rows = section.rows.num_rows();
        let arguments: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(rows)).collect();
        let all: Vec<u16> = (0..rows).map(|row| row as u16).collect();
        self.left.map.append(&arguments[self.left.key_count..], &vec![0; rows], &all, &[])
    }

    fn restore_right(&mut self, section: &Section) -> Result<()> {
        let (keys, kept) = (self.right.key_count, self.right.kept.len());
        let columns = loaded(section, keys + kept + 4)?;
        let rows = section.rows.num_rows();
        let arguments: Vec<Argument<'_>> = columns.iter().map(|column| column.argument(rows)).collect();
        let number = |at: usize| section.rows.column(keys + kept + at).as_primitive::<Int64Type>().clone();
        let (order, tie, from, deleted) = (number(0), number(1), number(2), number(3));
        self.index.lookup(&arguments[..keys], rows, &mut self.groups)?;
        self.versions.resize_with(self.index.len().max(self.versions.len()), Versions::default);
        let given: Vec<u16> = (0..rows).filter(|row| deleted.value(*row) == 0).map(|row| row as u16).collect();
        self.right.map.append(&arguments[keys..keys + kept], &vec![0; rows], &given, &[])?;
        let mut ids = Vec::new();
        self.right.map.last_ids(given.len(), &mut ids);
        let mut next_id = ids.into_iter();
        for row in 0..rows {
            let id = match deleted.value(row) {
                0 => next_id.next().expect("a number per row given"),
                _ => DELETED,
            };
            let tie = tie.value(row) as u64;
            self.arrivals = if self.spec.versions { self.arrivals.max(tie + 1) } else { 0 };
            let version = Version { order: order.value(row), tie, from: from.value(row), id };
            let versions = &mut self.versions[self.groups[row] as usize];
            let before = versions.more_bytes();
            versions.push(version);
            self.list_bytes = self.list_bytes + versions.more_bytes() - before;
        }
        Ok(())
    }
}

/// What decides between right rows of one key and order: the rows themselves, so that arrival does not.
pub(super) fn row_ties(kept: &[Argument<'_>], map: &Multimap, rows: usize, context: KernelContext) -> Result<Vec<u64>> {
    let mut hashes = Vec::new();
    // The same in each run: no seed of the query.
    hash_keys(context.level, 0, kept, &map.shape().types, rows, &mut Vec::new(), &mut hashes)?;
    Ok(hashes)
}

/// Takes over the new numbers of right rows, where they have some.
fn follow_moved(map: &mut Multimap, versions: &mut [Versions]) {
    let Some(old) = map.take_moved() else { return };
    for version in versions.iter_mut().flat_map(Versions::iter_mut).filter(|version| version.id != DELETED) {
        version.id = old.binary_search(&version.id).expect("a version's row is kept") as u32;
    }
}

fn route(key_count: usize) -> SectionRoute {
    if key_count == 0 { SectionRoute::First } else { SectionRoute::Key { key_count } }
}

/// The keys and the kept columns of a batch that a side's program has run over.
fn section(name: &str, evaluator: &Evaluator, batch: &Batch, key_count: usize, kept: &[usize]) -> Result<Section> {
    let types = &evaluator.program().output_types;
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for output in (0..key_count).chain(kept.iter().copied()) {
        fields.push(Field::new(format!("c{}", fields.len()), types[output].clone(), true));
        arrays.push(evaluator.output(batch, output).to_array(&types[output])?);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
    Ok(Section { name: name.to_string(), rows, route: route(key_count) })
}

/// The columns of a section, which must be this many.
fn loaded(section: &Section, count: usize) -> Result<Vec<KernelColumn>> {
    if section.rows.num_columns() != count {
        let message = format!("a snapshot's rows of a join have {} columns", section.rows.num_columns());
        return Err(Error::bug(message));
    }
    Ok(section.rows.columns().iter().map(|array| KernelColumn::new(Column::Array(array.clone()))).collect())
}

/// Values as integers in the same order. Those under nulls mean nothing.
pub(super) fn orders(column: &Argument<'_>, data_type: &DataType) -> Result<Vec<i64>> {
    macro_rules! orders {
        ($($kind:ident: $native:ty, $value:ident => $order:expr;)+) => {
            match Kind::of(data_type) {
                $(Kind::$kind => {
                    let values = column.values::<$native>()?;
                    let order = |$value: $native| -> i64 { $order };
                    match column.is_constant() {
                        true => vec![order(values[0]); column.rows()],
                        false => values.iter().map(|value| order(*value)).collect(),
                    }
                })+
                _ => return Err(Error::bug(format!("an order was to be made of {data_type}"))),
            }
        };
    }
    Ok(orders! {
        I8: i8, value => i64::from(value);
        I16: i16, value => i64::from(value);
        I32: i32, value => i64::from(value);
        I64: i64, value => value;
        U8: u8, value => i64::from(value);
        U16: u16, value => i64::from(value);
        U32: u32, value => i64::from(value);
        U64: u64, value => (value ^ 1 << 63) as i64;
        F32: f32, value => float_order(f64::from(value));
        F64: f64, value => float_order(value);
    })
}

/// The order of floats: -0.0 as 0.0, NaN after all others.
fn float_order(value: f64) -> i64 {
    let bits = if value.is_nan() { f64::NAN.abs() } else { value + 0.0 }.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl Operator for AsOfJoin {
    fn wants(&self, port: usize) -> bool {
        self.spec.on_watermark || port == 1 || self.right_ended || self.held
    }

    fn push(&mut self, port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        match port {
            1 => self.take_right(batch),
            _ if self.held => Ok(()),
            _ => self.take_left(batch, next),
        }
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        if self.spec.on_watermark {
            self.watermark = watermark;
            self.pass(watermark, next)?;
        }
        next.watermark(watermark)
    }

    fn end_input(&mut self, port: usize, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Hold {
            self.held |= port == 1 && !self.spec.on_watermark;
        } else if port == 1 {
            // All right rows are known: nobody has to wait any more.
            self.right_ended = true;
            self.rank_ties()?;
            self.pass(i64::MAX, next)?;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        for ids in self.left.map.ids(SECTION_ROWS) {
            sections.push(self.left_section(&ids)?);
        }
        self.right_sections(&mut sections)?;
        Ok(sections)
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        for section in sections {
            match section.name.as_str() {
                LEFT => self.restore_left(&section)?,
                RIGHT => self.restore_right(&section)?,
                other => return Err(Error::bug(format!("a join does not take this part of a snapshot: {other}"))),
            }
        }
        Ok(())
    }

    fn size_bytes(&self) -> usize {
        self.left.map.size_bytes()
            + self.right.map.size_bytes()
            + self.index.size_bytes()
            + self.versions.capacity() * size_of::<Versions>()
            + self.list_bytes
    }

    fn remarks(&self) -> String {
        let (keys, versions) = (self.versions.len(), self.right.map.len());
        format!("{versions} versions of {keys} keys, {} rows waiting", self.left.map.len())
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
