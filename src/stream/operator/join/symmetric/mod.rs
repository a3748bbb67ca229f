//! Both sides are kept, and each row meets the rows of the other side that came before it.
//!
//! ```text
//! batch of one side ─▶ pairs with the rows kept of the other ─▶ residual ─▶ out, each pair with the row's weight
//!        │                       └─▶ their counts of matches: rows that were alone no longer are, and the other way
//!        └─▶ kept, with the count of matches it has found
//! ```
//! Owns        the rows of both sides, while something that comes can still match them or take them back.
//! Invariants  what has left, folded up, is the join of what has come. A batch never gives a row and takes it back.
//!             With a time bound a row is kept until the watermark has passed the last time that could match it, and no
//!             row that is not late can miss one it would have matched.

mod saved; // in a snapshot

use std::collections::{BTreeSet, HashMap};

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use millstream_kernels::bitmap;
use smallvec::SmallVec;

use self::saved::section_name;
use super::roles::{Alone, Roles};
use super::side::{Given, Ranges, Side, arguments};
use super::writer::{Source, Writer, to_physical};
use crate::batch::{Argument, Batch, Change, Column, true_rows};
use crate::error::{Error, Result};
use crate::expression::Evaluator;
use crate::function::KernelContext;
use crate::pipeline::{JoinSide, JoinSpec, SymmetricSpec};
use crate::state::{Asked, Pairs, Section, Walk};
use crate::stream::operator::{Ending, Next, Operator};

/// Rows per section of a snapshot.
const SECTION_ROWS: usize = 1 << 16;

/// A running join that keeps both sides.
pub struct SymmetricJoin {
    spec: SymmetricSpec,
    nulls_match: bool,
    pairs_leave: bool,
    sides: [Side; 2],
    residual: Option<Residual>,
    writer: Writer,
    context: KernelContext,
    batch_rows: usize,
    late_rows: u64,
    /// The clock when the last batch set out; it does not go back.
    now: i64,
    scratch: Scratch,
}

/// Memory that goes from batch to batch.
#[derive(Default)]
struct Scratch {
    given: Given,
    ranges: Ranges,
    hashes: Vec<u64>,
    column_hashes: Vec<u64>,
    pairs: Pairs,
    physical: Vec<u16>,
    /// How many matches each row of the batch has found.
    found: Vec<u32>,
    counts: Vec<u32>,
    /// Kept rows of the other side that have found their first match.
    gained: Vec<u32>,
    /// Kept rows of the other side that have lost their last one.
    lost: BTreeSet<u32>,
    taken: Vec<u32>,
    /// Whether the rows that are taken back are out of the map already.
    out_already: bool,
    stamps: Vec<i64>,
}

/// A condition over pairs, and the columns of both sides that it reads.
struct Residual {
    evaluator: Evaluator,
    /// The column of left ++ right, and whose it is.
    columns: Vec<(usize, JoinSide, usize)>,
    batch: Batch,
    mask: Vec<u64>,
    kept: Vec<u16>,
}

impl SymmetricJoin {
    /// A join of inputs with these columns.
    ///
    /// Failure: a column whose type cannot be kept.
    pub fn new(
        spec: &JoinSpec,
        symmetric: &SymmetricSpec,
        schemas: [&SchemaRef; 2],
        seed: u64,
        context: KernelContext,
        batch_rows: usize,
    ) -> Result<Self> {
        let roles = Roles::new(spec.kind, JoinSide::Right);
        let columns = schemas[0].fields().len() + schemas[1].fields().len();
        let writer = Writer::new(spec, schemas);
        let residual = spec.residual.as_ref().map(|program| {
            let mut batch = Batch::default();
            batch.columns.resize_with(columns, Column::default);
            let read = program.inputs().into_iter().filter_map(|column| match Source::of(column, schemas) {
                Source::Column(side, at) => Some((column, side, at)),
                Source::Mark => None,
            });
            Residual {
                columns: read.collect(),
                evaluator: Evaluator::new(program.clone(), context),
                batch,
                mask: Vec::new(),
                kept: Vec::new(),
            }
        });
        let side = |side: JoinSide, alone: Alone| {
            let leaves = roles.pairs || alone != Alone::Nothing;
            let mut needed = if leaves { writer.columns(side) } else { Vec::new() };
            let read = residual.iter().flat_map(|residual| &residual.columns);
            needed.extend(read.filter(|(_, of, _)| *of == side).map(|(_, _, column)| *column));
            Side::new(spec, symmetric, side, schemas[index(side)], (needed, alone), seed, context)
        };
        let sides = [side(JoinSide::Left, roles.probe)?, side(JoinSide::Right, roles.build)?];
        Ok(SymmetricJoin {
            spec: symmetric.clone(),
            nulls_match: spec.nulls_match,
            pairs_leave: roles.pairs,
            sides,
            residual,
            writer,
            context,
            batch_rows,
            late_rows: 0,
            now: i64::MIN,
            scratch: Scratch::default(),
        })
    }

    fn take(&mut self, port: JoinSide, batch: &Batch, next: &mut Next<'_>) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = self.take_with(&mut scratch, port, batch, next);
        self.scratch = scratch;
        taken
    }

    fn take_with(&mut self, scratch: &mut Scratch, port: JoinSide, batch: &Batch, next: &mut Next<'_>) -> Result<()> {
        let side = &mut self.sides[index(port)];
        side.evaluator.run(batch)?;
        let side = &self.sides[index(port)];
        let arguments = arguments(&side.evaluator, batch);
        side.hash(&arguments, self.context, &mut scratch.column_hashes, &mut scratch.hashes)?;
        let weights = weights(batch, side, &arguments)?;
        scratch.given.sort(side, batch, &arguments, weights.as_deref(), self.nulls_match)?;
        self.late_rows += scratch.given.late_rows;
        if let (Some(bound), Some(time)) = (&self.spec.time, side.time) {
            scratch.ranges.fill(&arguments[time], port, bound.lower, bound.upper)?;
        }
        drop(arguments);
        scratch.lost.clear();
        for change in [Change::DELETE, Change::INSERT] {
            let sign = usize::from(!change.is_retraction());
            if !scratch.given.meeting[sign].is_empty() || !scratch.given.lone[sign].is_empty() {
                if change.is_retraction() {
                    self.take_known(scratch, port, batch)?;
                }
                self.meet(scratch, port, batch, change, next)?;
                self.leave_alone(scratch, port, batch, change, next)?;
                self.keep(scratch, port, batch, change)?;
            }
        }
        self.told_lost(scratch, port.other(), next)
    }

    /// Pairs the rows of the batch up with those kept of the other side.
    fn meet(
        &mut self,
        scratch: &mut Scratch,
        port: JoinSide,
        batch: &Batch,
        change: Change,
        next: &mut Next<'_>,
    ) -> Result<()> {
        let sign = usize::from(!change.is_retraction());
        let (own, other) = both(&mut self.sides, port);
        scratch.found.clear();
        scratch.found.resize(own.evaluator.rows(), 0);
        if other.map.is_empty() || scratch.given.meeting[sign].is_empty() {
            return Ok(());
        }
        let arguments = arguments(&own.evaluator, batch);
        let range = self.spec.time.as_ref().map(|_| scratch.ranges.range());
        let asked = Asked {
            keys: &arguments[..own.key_count],
            hashes: &scratch.hashes,
            rows: &scratch.given.meeting[sign],
            range,
        };
        let mut walk = Walk::default();
        loop {
            scratch.pairs.asked.clear();
            scratch.pairs.held.clear();
            let done = other.map.find(&asked, &mut walk, self.batch_rows, &mut scratch.pairs)?;
            if let Some(residual) = &mut self.residual {
                residual.narrow(batch, port, other, &mut scratch.pairs, &mut scratch.physical, self.context)?;
            }
            scratch.pairs.asked.iter().for_each(|&row| scratch.found[row as usize] += 1);
            if other.alone != Alone::Nothing {
                count(other, &scratch.pairs.held, change, &mut scratch.gained, &mut scratch.lost);
                told_gained(&mut self.writer, &self.spec, port.other(), other, &scratch.gained, next)?;
            }
            if self.pairs_leave && !scratch.pairs.held.is_empty() {
                to_physical(batch, &scratch.pairs.asked, &mut scratch.physical);
                self.writer.pairs(batch, port, &scratch.physical, other.held(), &scratch.pairs.held, change, next)?;
            }
            if done {
                return Ok(());
            }
        }
    }

    /// Where rows are forgotten by their age, takes those out that are taken back, and passes over the ones that were
    /// forgotten: what was told of them stays.
    fn take_known(&mut self, scratch: &mut Scratch, port: JoinSide, batch: &Batch) -> Result<()> {
        let side = &mut self.sides[index(port)];
        scratch.out_already = side.ttl.is_some() && side.keeps;
        if !scratch.out_already {
            return Ok(());
        }
        let arguments = arguments(&side.evaluator, batch);
        let kept: SmallVec<[Argument<'_>; 8]> = side.kept.iter().map(|&output| arguments[output]).collect();
        let mut known = Vec::new();
        let asked = &scratch.given.meeting[0];
        let tell = |row: u16, found: bool| known.extend(found.then_some(row));
        side.map.remove_known(&kept, side.evaluator.rows(), asked, &mut scratch.taken, tell)?;
        scratch.given.meeting[0] = known;
        Ok(())
    }

    /// Sends what leaves of the batch's own rows alone, as far as it is known.
    fn leave_alone(
        &mut self,
        scratch: &mut Scratch,
        port: JoinSide,
        batch: &Batch,
        change: Change,
        next: &mut Next<'_>,
    ) -> Result<()> {
        let sign = usize::from(!change.is_retraction());
        let side = &self.sides[index(port)];
        if side.alone == Alone::Nothing {
            return Ok(());
        }
        if change.is_retraction() && scratch.out_already {
            // Matches that were forgotten since were told all the same.
            for (&row, &id) in scratch.given.meeting[0].iter().zip(&scratch.taken) {
                scratch.found[row as usize] = side.map.count(id);
            }
        }
        // Rows that can have no match any more need not wait for one.
        let waits = !self.spec.at_once && side.keeps;
        for matched in [false, true] {
            let Some(mark) = visible(side.alone, matched) else { continue };
            let meeting = scratch.given.meeting[sign].iter().filter(|_| matched || !waits);
            let meeting = meeting.filter(|&&row| (scratch.found[row as usize] > 0) == matched);
            let lone = scratch.given.lone[sign].iter().filter(|_| !matched);
            let mut rows: Vec<u16> = meeting.chain(lone).copied().collect();
            rows.sort_unstable();
            to_physical(batch, &rows, &mut scratch.physical);
            self.writer.own(batch, port, &scratch.physical, mark, change, next)?;
        }
        Ok(())
    }

    /// Keeps the batch's rows, or forgets the ones they take back.
    fn keep(&mut self, scratch: &mut Scratch, port: JoinSide, batch: &Batch, change: Change) -> Result<()> {
        let side = &mut self.sides[index(port)];
        if !side.keeps {
            return Ok(());
        }
        let arguments = arguments(&side.evaluator, batch);
        let kept: SmallVec<[Argument<'_>; 8]> = side.kept.iter().map(|&output| arguments[output]).collect();
        if change.is_retraction() && scratch.out_already {
            return side.map.release();
        }
        if change.is_retraction() {
            let rows = side.evaluator.rows();
            side.map.remove(&kept, rows, &scratch.given.meeting[0], &mut scratch.taken)?;
            return side.map.release();
        }
        let rows = &scratch.given.meeting[1];
        scratch.counts.clear();
        if side.map.shape().counted {
            scratch.counts.extend(rows.iter().map(|&row| scratch.found[row as usize]));
        }
        scratch.stamps.clear();
        if side.ttl.is_some() {
            scratch.stamps.resize(rows.len(), self.now);
        }
        side.map.append_stamped(&kept, &scratch.hashes, rows, &scratch.counts, &scratch.stamps)
    }

    /// Corrects what was said of rows that have lost their last match.
    fn told_lost(&mut self, scratch: &mut Scratch, port: JoinSide, next: &mut Next<'_>) -> Result<()> {
        if scratch.lost.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = scratch.lost.iter().copied().collect();
        let side = &self.sides[index(port)];
        for ids in ids.chunks(self.batch_rows) {
            for (matched, change) in [(true, Change::DELETE), (false, Change::INSERT)] {
                if let Some(mark) = visible(side.alone, matched) {
                    self.writer.held(port, side.held(), ids, mark, change, next)?;
                }
            }
        }
        Ok(())
    }

    /// Lets go of the rows that nothing to come can match, and sends those that have had no match.
    fn expire(&mut self, port: JoinSide, threshold: Option<i64>, next: &mut Next<'_>) -> Result<()> {
        let side = &mut self.sides[index(port)];
        let unmatched_leaves = !self.spec.at_once && visible(side.alone, false).is_some();
        let mut unmatched = Vec::new();
        match threshold {
            Some(threshold) => side.map.expire(threshold, unmatched_leaves.then_some(&mut unmatched)),
            None if unmatched_leaves => {
                let all = side.map.ids(SECTION_ROWS);
                unmatched.extend(all.into_iter().flatten().filter(|&id| side.map.count(id) == 0));
            }
            None => {}
        }
        self.leave_unmatched(port, &unmatched, next)?;
        let side = &mut self.sides[index(port)];
        match threshold {
            Some(_) => side.map.release(),
            None => side.clear(self.context),
        }
    }

    /// Sends kept rows that have had no match and can have none any more.
    fn leave_unmatched(&mut self, port: JoinSide, unmatched: &[u32], next: &mut Next<'_>) -> Result<()> {
        let side = &self.sides[index(port)];
        let Some(mark) = visible(side.alone, false) else { return Ok(()) };
        for ids in unmatched.chunks(self.batch_rows) {
            self.writer.held(port, side.held(), ids, mark, Change::INSERT, next)?;
        }
        Ok(())
    }

    /// Forgets the rows that came too long before `now`. What was told of them stays.
    fn age(&mut self, now: i64, next: &mut Next<'_>) -> Result<()> {
        self.now = self.now.max(now);
        for port in [JoinSide::Left, JoinSide::Right] {
            let side = &mut self.sides[index(port)];
            let Some(ttl) = side.ttl else { continue };
            let mut unmatched = Vec::new();
            side.map.forget_before(self.now.saturating_sub(ttl).saturating_add(1), &mut unmatched);
            if !self.spec.at_once {
                self.leave_unmatched(port, &unmatched, next)?;
            }
            self.sides[index(port)].map.release()?;
        }
        Ok(())
    }
}

fn index(side: JoinSide) -> usize {
    match side {
        JoinSide::Left => 0,
        JoinSide::Right => 1,
    }
}

/// The side at `port`, and the other one.
fn both(sides: &mut [Side; 2], port: JoinSide) -> (&mut Side, &mut Side) {
    let [left, right] = sides;
    match port {
        JoinSide::Left => (left, right),
        JoinSide::Right => (right, left),
    }
}

/// Whether a row leaves alone when it has a match, or has none, and the mark it leaves with.
fn visible(alone: Alone, matched: bool) -> Option<bool> {
    let leaves = match alone {
        Alone::Nothing => false,
        Alone::Unmatched | Alone::Anti => !matched,
        Alone::Semi => matched,
        Alone::Mark => true,
    };
    leaves.then_some(matched)
}

/// The weight of each selected row, where some are taken back: 0 for rows that are given and taken back at once.
fn weights(batch: &Batch, side: &Side, arguments: &[Argument<'_>]) -> Result<Option<Vec<i8>>> {
    let Some(changes) = batch.selected_changes() else { return Ok(None) };
    let mut weights: Vec<i8> = changes.iter().map(|change| change.weight() as i8).collect();
    if weights.iter().all(|weight| *weight > 0) {
        return Ok(None);
    }
    if weights.iter().all(|weight| *weight < 0) {
        return Ok(Some(weights));
    }
    let types = &side.evaluator.program().output_types;
    let kept = side.kept.iter();
    let fields = kept.clone().map(|&output| SortField::new(types[output].clone())).collect();
    let arrays = kept.map(|&output| arguments[output].to_array(&types[output])).collect::<Result<Vec<ArrayRef>>>()?;
    let rows = match arrays.is_empty() {
        true => None,
        false => Some(RowConverter::new(fields)?.convert_columns(&arrays)?),
    };
    // Rows of no columns are equal.
    let bytes = |row: usize| rows.as_ref().map_or(&[][..], |rows| rows.row(row).data());
    let mut net: HashMap<&[u8], i64> = HashMap::new();
    for (row, weight) in weights.iter().enumerate() {
        *net.entry(bytes(row)).or_default() += i64::from(*weight);
    }
    for (row, weight) in weights.iter_mut().enumerate() {
        let left = net.get_mut(bytes(row)).expect("added up above");
        if left.signum() == i64::from(*weight) {
            *left -= i64::from(*weight);
        } else {
            *weight = 0;
        }
    }
    Ok(Some(weights))
}

/// Counts matches of kept rows; those that have their first one, and those that have lost their last.
fn count(side: &mut Side, held: &[u32], change: Change, gained: &mut Vec<u32>, lost: &mut BTreeSet<u32>) {
    gained.clear();
    for &id in held {
        match side.map.add(id, change.weight() as i32) {
            (_, 0) => {
                lost.insert(id);
            }
            (0, _) if !lost.remove(&id) => gained.push(id),
            _ => {}
        }
    }
}

/// Corrects what was said of rows that have found their first match.
fn told_gained(
    writer: &mut Writer,
    spec: &SymmetricSpec,
    port: JoinSide,
    side: &Side,
    gained: &[u32],
    next: &mut Next<'_>,
) -> Result<()> {
    if gained.is_empty() {
        return Ok(());
    }
    if let Some(mark) = visible(side.alone, false).filter(|_| spec.at_once) {
        writer.held(port, side.held(), gained, mark, Change::DELETE, next)?;
    }
    match visible(side.alone, true) {
        Some(mark) => writer.held(port, side.held(), gained, mark, Change::INSERT, next),
        None => Ok(()),
    }
}

impl Residual {
    /// Keeps the pairs for which the condition is true.
    fn narrow(
        &mut self,
        batch: &Batch,
        port: JoinSide,
        other: &Side,
        pairs: &mut Pairs,
        physical: &mut Vec<u16>,
        context: KernelContext,
    ) -> Result<()> {
        if pairs.held.is_empty() {
            return Ok(());
        }
        to_physical(batch, &pairs.asked, physical);
        for &(column, side, at) in &self.columns {
            let out = &mut self.batch.columns[column];
            match side == port {
                true => batch.columns[at].gather_into(physical, out)?,
                false => other.held().gather(at, &pairs.held, out)?,
            }
        }
        self.batch.rows = pairs.held.len();
        self.evaluator.run(&self.batch)?;
        let rows = self.evaluator.rows();
        let passed = true_rows(context.level, &self.evaluator.output(&self.batch, 0), rows, &mut self.mask)?;
        if passed < rows {
            bitmap::to_selection(context.level, &self.mask, rows, &mut self.kept);
            for (to, &from) in self.kept.iter().take(passed).enumerate() {
                pairs.asked[to] = pairs.asked[from as usize];
                pairs.held[to] = pairs.held[from as usize];
            }
            pairs.asked.truncate(passed);
            pairs.held.truncate(passed);
        }
        Ok(())
    }
}

impl Operator for SymmetricJoin {
    fn push(&mut self, port: usize, batch: &mut Batch, next: &mut Next<'_>) -> Result<()> {
        self.age(batch.now, next)?;
        self.take(if port == 0 { JoinSide::Left } else { JoinSide::Right }, batch, next)
    }

    fn tick(&mut self, now: i64, next: &mut Next<'_>) -> Result<()> {
        self.age(now, next)
    }

    fn next_tick(&self) -> Option<i64> {
        self.sides.iter().filter_map(|side| side.map.first_stamp()?.checked_add(side.ttl?)).min()
    }

    fn watermark(&mut self, watermark: i64, next: &mut Next<'_>) -> Result<()> {
        let Some(bound) = self.spec.time.clone() else { return next.watermark(watermark) };
        for side in [JoinSide::Left, JoinSide::Right] {
            if let Some(threshold) = bound.expires_before(side, watermark) {
                self.expire(side, Some(threshold), next)?;
            }
        }
        next.watermark(watermark.saturating_sub(bound.hold))
    }

    fn end_input(&mut self, port: usize, ending: Ending, next: &mut Next<'_>) -> Result<()> {
        if ending == Ending::Flush {
            // Nothing more can match the rows of the other side.
            let side = if port == 0 { JoinSide::Right } else { JoinSide::Left };
            self.expire(side, None, next)?;
            self.sides[index(side)].keeps = false;
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        self.sections(JoinSide::Left, &mut sections)?;
        self.sections(JoinSide::Right, &mut sections)?;
        Ok(sections)
    }

    fn restore(&mut self, sections: Vec<Section>) -> Result<()> {
        let of = |side: JoinSide| move |section: &Section| section.name == section_name(side);
        let (left, others): (Vec<Section>, Vec<Section>) = sections.into_iter().partition(of(JoinSide::Left));
        let (right, others): (Vec<Section>, Vec<Section>) = others.into_iter().partition(of(JoinSide::Right));
        if let Some(section) = others.first() {
            return Err(Error::bug(format!("a join does not take this part of a snapshot: {}", section.name)));
        }
        self.restore_side(JoinSide::Left, left)?;
        self.restore_side(JoinSide::Right, right)
    }

    fn size_bytes(&self) -> usize {
        self.sides.iter().map(|side| side.map.size_bytes()).sum()
    }

    fn remarks(&self) -> String {
        let [left, right] = &self.sides;
        format!("{} and {} rows kept", left.map.len(), right.map.len())
    }

    fn late_rows(&self) -> u64 {
        self.late_rows
    }
}
