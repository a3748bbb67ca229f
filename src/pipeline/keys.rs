//! What a join's table tells the scans of the other side: which keys it has. Rows with others need not be read.
//!
//! ```text
//! table complete ─▶ its keys ─▶ Keys: a bit per value of their range, or a Bloom filter where they lie far apart
//!                                 └─▶ scans below the other side, through filters, projections, joins and groups
//! ```
//! Place       planned over the finished pipeline; published by hash joins, asked by scans that know how.
//! Invariants  a row that is left out could have met no row of the table, nor changed any row that does. A scan that asks
//!             waits for the table; a table never hangs on the scans that wait for it.
//! Source      sideways information passing; Bloom 1970.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{ChangeMode, Changelog, EmitMode, JoinKind, JoinSide, JoinSpec, JoinStrategy, NodeId, Pipeline, Spec};
use crate::batch::{Argument, Kind};
use crate::error::Result;
use crate::expression::Operand;

/// Bits at most of a set with a bit per value: 16 MiB.
const BITS_MAX: u64 = 1 << 27;
/// Ranges of that many values always get a bit per value; wider ones while there are at most so many values per key.
const RANGE_SMALL: u64 = 1 << 16;
const SPREAD_MAX: u64 = 128;
/// The share of a column's values from which on asking for keys does not pay.
const COVERED: f64 = 0.7;

/// Keys of one column: whole numbers, dates and times, as their integers.
#[derive(Debug)]
pub enum Keys {
    /// A bit per value from the least key on.
    Bits { least: i64, words: Vec<u64>, range: u64, count: u64 },
    /// Between the least and the greatest, and perhaps others: a word of a few bits per key.
    Bloom { least: i64, greatest: i64, words: Vec<u64> },
}

/// Whether keys of this kind can be told.
pub fn has_keys(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, I8 | I16 | I32 | I64 | U8 | U16 | U32)
}

impl Keys {
    /// The set of these values.
    pub fn new(values: &[i64]) -> Keys {
        let (Some(&least), Some(&greatest)) = (values.iter().min(), values.iter().max()) else {
            return Keys::Bits { least: 0, words: Vec::new(), range: 0, count: 0 };
        };
        let range = (greatest as i128 - least as i128 + 1).min(u64::MAX as i128) as u64;
        if range <= BITS_MAX && (range <= RANGE_SMALL || range <= (values.len() as u64).saturating_mul(SPREAD_MAX)) {
            let mut words = vec![0u64; range.div_ceil(64) as usize];
            for &value in values {
                let at = value.wrapping_sub(least) as u64;
                words[(at / 64) as usize] |= 1 << (at % 64);
            }
            let count = words.iter().map(|word| u64::from(word.count_ones())).sum();
            return Keys::Bits { least, words, range, count };
        }
        let mut words = vec![0u64; (values.len() / 4).next_power_of_two().max(1)];
        for &value in values {
            let (word, bits) = bloom(value, words.len());
            words[word] |= bits;
        }
        Keys::Bloom { least, greatest, words }
    }

    /// Whether a value is among them; with a Bloom filter, whether it may be.
    #[inline(always)]
    pub fn holds(&self, value: i64) -> bool {
        match self {
            Keys::Bits { least, words, range, .. } => {
                let at = value.wrapping_sub(*least) as u64;
                at < *range && words[(at / 64) as usize] >> (at % 64) & 1 == 1
            }
            Keys::Bloom { least, greatest, words } => {
                let (word, bits) = bloom(value, words.len());
                (*least..=*greatest).contains(&value) && words[word] & bits == bits
            }
        }
    }

    /// Writes which of `rows` rows have such a key as bits into `mask`, and returns how many. A null is no key.
    pub fn find(&self, column: &Argument<'_>, rows: usize, mask: &mut Vec<u64>) -> Result<usize> {
        macro_rules! by_kind {
            ($($kind:ident: $native:ty),+) => {
                match column.kind() {
                    $(Kind::$kind => {
                        let values = column.values::<$native>()?;
                        self.find_in(values, column.is_constant(), rows, mask);
                    })+
                    _ => mask.resize(rows.div_ceil(64), u64::MAX),
                }
            };
        }
        mask.clear();
        by_kind!(I8: i8, I16: i16, I32: i32, I64: i64, U8: u8, U16: u16, U32: u32);
        if let Some(validity) = column.validity() {
            mask.iter_mut().zip(validity).for_each(|(word, valid)| *word &= valid);
        }
        if column.constant_is_null() {
            mask.fill(0);
        }
        if let (Some(last), left @ 1..) = (mask.last_mut(), rows % 64) {
            *last &= (1 << left) - 1;
        }
        Ok(mask.iter().map(|word| word.count_ones() as usize).sum())
    }

    fn find_in<T: Copy + Into<i64>>(&self, values: &[T], is_constant: bool, rows: usize, mask: &mut Vec<u64>) {
        if is_constant {
            let word = if self.holds(values[0].into()) { u64::MAX } else { 0 };
            return mask.resize(rows.div_ceil(64), word);
        }
        match self {
            Keys::Bits { least, words, range, .. } => mask.extend(values[..rows].chunks(64).map(|values| {
                values.iter().enumerate().fold(0u64, |word, (at, &value)| {
                    let place = value.into().wrapping_sub(*least) as u64;
                    // Read whether it counts or not: which rows match cannot be guessed.
                    let bit = words.get((place / 64) as usize).map_or(0, |bits| bits >> (place % 64) & 1);
                    word | (bit & u64::from(place < *range)) << at
                })
            })),
            Keys::Bloom { .. } => mask.extend(values[..rows].chunks(64).map(|values| {
                let bit = |(at, &value): (usize, &T)| u64::from(self.holds(value.into())) << at;
                values.iter().enumerate().map(bit).fold(0, |word, bit| word | bit)
            })),
        }
    }

    /// Whether most values of a range are among them.
    pub fn cover(&self, (least, greatest): (i64, i64)) -> bool {
        let values = greatest.abs_diff(least) as f64 + 1.0;
        matches!(self, Keys::Bits { count, .. } if *count as f64 >= values * COVERED)
    }

    /// Whether none of them lies in a range.
    pub fn miss(&self, (from, to): (i64, i64)) -> bool {
        match self {
            Keys::Bloom { least, greatest, .. } => to < *least || from > *greatest,
            Keys::Bits { range: 0, .. } => true,
            Keys::Bits { least, words, range, .. } => {
                let greatest = least.wrapping_add((*range - 1) as i64);
                let (from, to) = (from.max(*least), to.min(greatest));
                let at = |value: i64| value.wrapping_sub(*least) as u64;
                from > to || {
                    let (first, last) = ((at(from) / 64) as usize, (at(to) / 64) as usize);
                    let inside = words[first + 1..last.max(first + 1)].iter().any(|word| *word != 0);
                    let begins = words[first] & u64::MAX << (at(from) % 64);
                    let ends = u64::MAX >> (63 - at(to) % 64);
                    let edges = if first == last { begins & ends } else { begins | words[last] & ends };
                    edges == 0 && !inside
                }
            }
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        let (Keys::Bits { words, .. } | Keys::Bloom { words, .. }) = self;
        words.capacity() * 8
    }

    /// In a few words, for EXPLAIN ANALYZE.
    pub fn describe(&self) -> &'static str {
        match self {
            Keys::Bits { .. } => "bits",
            Keys::Bloom { .. } => "bloom",
        }
    }
}

/// The word of a value in a Bloom filter, and its bits there.
#[inline(always)]
fn bloom(value: i64, words: usize) -> (usize, u64) {
    let hash = (value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ hash >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let bits = 1 << (hash & 63) | 1 << (hash >> 6 & 63) | 1 << (hash >> 12 & 63) | 1 << (hash >> 18 & 63);
    ((hash >> 32) as usize & (words - 1), bits)
}

/// The keys of a table that is being made, in one or several workers, and who waits for them.
#[derive(Default)]
pub struct KeyFilter {
    parts: Mutex<Vec<Vec<i64>>>,
    /// How many workers tell theirs, and how many have not yet.
    workers: AtomicUsize,
    missing: AtomicUsize,
    ready: OnceLock<Keys>,
    waker: OnceLock<Arc<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for KeyFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFilter").field("ready", &self.ready.get().map(Keys::describe)).finish_non_exhaustive()
    }
}

impl KeyFilter {
    /// Says how many workers will tell keys, and who is to be woken when all have.
    pub fn expect(&self, workers: usize, waker: Arc<dyn Fn() + Send + Sync>) {
        self.workers.store(workers, Ordering::SeqCst);
        self.missing.store(workers, Ordering::SeqCst);
        let _ = self.waker.set(waker);
    }

    /// Takes the keys of one worker; with the last one's they are complete.
    pub fn add(&self, values: Vec<i64>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(values);
        if self.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            let keys = match &parts[..] {
                [all] => Keys::new(all),
                several => Keys::new(&several.concat()),
            };
            parts.clear();
            let _ = self.ready.set(keys);
            if let Some(waker) = self.waker.get() {
                waker();
            }
        }
    }

    /// Bytes held, as far as they are on the account of one of the workers that tell.
    pub fn share_bytes(&self) -> usize {
        self.keys().map_or(0, Keys::size_bytes) / self.workers.load(Ordering::SeqCst).max(1)
    }

    /// The keys, once they are complete.
    pub fn keys(&self) -> Option<&Keys> {
        self.ready.get()
    }
}

/// Where the keys of a join's table can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRoute {
    pub join: NodeId,
    /// Which of the join's keys.
    pub key: usize,
    pub scan: NodeId,
    /// The column among the scan's.
    pub column: usize,
}

/// All routes of a pipeline.
pub fn key_routes(pipeline: &Pipeline) -> Vec<KeyRoute> {
    let mut routes = Vec::new();
    for (join, node) in pipeline.nodes.iter().enumerate() {
        let Spec::Join(spec) = &node.spec else { continue };
        let Some(probe) = side_without_strangers(spec) else { continue };
        let input = node.inputs[(probe == JoinSide::Right) as usize];
        let keys = spec.keys(probe);
        for (key, operand) in keys.outputs.iter().enumerate() {
            if let (Operand::Input(column), true) = (operand, has_keys(Kind::of(&keys.output_types[key]))) {
                let mut found = Vec::new();
                descend(pipeline, input, *column, &mut found);
                routes.extend(found.into_iter().map(|(scan, column)| KeyRoute { join, key, scan, column }));
            }
        }
    }
    routes
}

/// The side that passes by the table, if its rows without a match leave nothing.
fn side_without_strangers(spec: &JoinSpec) -> Option<JoinSide> {
    use JoinKind::*;
    let JoinStrategy::Hash { build, .. } = spec.strategy else { return None };
    if spec.nulls_match || spec.null_aware || spec.each_once {
        return None;
    }
    let fits = match build {
        JoinSide::Right => matches!(spec.kind, Inner | Right | LeftSemi | RightSemi | RightAnti | RightMark),
        JoinSide::Left => matches!(spec.kind, Inner | Left | LeftSemi | RightSemi | LeftAnti | LeftMark),
    };
    fits.then_some(build.other())
}

/// The scans whose rows with other values in `column` of a node could be left out.
fn descend(pipeline: &Pipeline, id: NodeId, column: usize, found: &mut Vec<(NodeId, usize)>) {
    let node = &pipeline.nodes[id];
    // What others read as well must have all of its rows.
    if node.changes != ChangeMode::Append || !node.bounded || pipeline.readers(id) > 1 {
        return;
    }
    match &node.spec {
        Spec::Scan(scan) => {
            let counts_rows = scan.watermark.is_some() || scan.fetch.is_some() || scan.compute.is_some();
            if !counts_rows && scan.table.takes_keys() && scan.table.changelog() == Changelog::Append {
                found.push((id, column));
            }
        }
        Spec::Filter(_) => descend(pipeline, node.inputs[0], column, found),
        Spec::Sort(sort) if sort.fetch.is_none() => descend(pipeline, node.inputs[0], column, found),
        Spec::Project(project) => {
            if let Operand::Input(input) = project.program.outputs[column] {
                descend(pipeline, node.inputs[0], input, found);
            }
        }
        Spec::Union => node.inputs.iter().for_each(|&input| descend(pipeline, input, column, found)),
        Spec::Aggregate(spec) => {
            let by_key = column < spec.key_count && spec.window.is_none() && spec.standing_groups.is_empty();
            if let (true, EmitMode::Final, Some(Operand::Input(input))) =
                (by_key, spec.emit, spec.program.outputs.get(column))
            {
                descend(pipeline, node.inputs[0], *input, found);
            }
        }
        Spec::Join(spec) => descend_join(pipeline, id, spec, column, found),
        _ => {}
    }
}

/// Down a side of a join whose rows each stand in the rows of the join with their own values; and where the column is a
/// key, down the other side, whose rows with other values meet none that count.
fn descend_join(pipeline: &Pipeline, id: NodeId, spec: &JoinSpec, column: usize, found: &mut Vec<(NodeId, usize)>) {
    use JoinKind::*;
    if !matches!(spec.strategy, JoinStrategy::Hash { .. }) || spec.each_once || spec.null_aware || spec.nulls_match {
        return;
    }
    let inputs = &pipeline.nodes[id].inputs;
    let left_count = pipeline.nodes[inputs[0]].schema.fields().len();
    let count = left_count + pipeline.nodes[inputs[1]].schema.fields().len();
    let (side, own) = match spec.outputs[column] {
        mark if mark >= count => return,
        left if left < left_count => (JoinSide::Left, left),
        right => (JoinSide::Right, right - left_count),
    };
    let keeps = match side {
        JoinSide::Left => matches!(spec.kind, Inner | Left | LeftSemi | LeftAnti | LeftMark),
        JoinSide::Right => matches!(spec.kind, Inner | Right | RightSemi | RightAnti | RightMark),
    };
    if !keeps {
        return;
    }
    let input_of = |side: JoinSide| inputs[(side == JoinSide::Right) as usize];
    descend(pipeline, input_of(side), own, found);
    let (keys, others) = (spec.keys(side), spec.keys(side.other()));
    for (key, operand) in keys.outputs.iter().enumerate() {
        if let (true, Operand::Input(other)) = (*operand == Operand::Input(own), others.outputs[key]) {
            descend(pipeline, input_of(side.other()), other, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[i64], form: &str) {
        let keys = Keys::new(values);
        assert_eq!(keys.describe(), form);
        assert!(values.iter().all(|&value| keys.holds(value)));
        let among = |from: i64, to: i64| (from..to).filter(|&value| keys.holds(value)).count();
        if form == "bits" {
            let distinct: std::collections::BTreeSet<i64> = values.iter().copied().collect();
            let (least, greatest) = (distinct.first().copied().unwrap_or(0), distinct.last().copied().unwrap_or(0));
            assert_eq!(among(least.saturating_sub(99), greatest.saturating_add(99)), distinct.len());
            for from in [-300, -70, -69, 0, 6, 8, 100, 101, 299_900, 299_901] {
                for to in [from, from + 1, from + 63, from + 64, from + 200, from + 1000] {
                    let none = !values.iter().any(|value| (from..=to).contains(value));
                    assert_eq!(keys.miss((from, to)), none, "{from}..={to}");
                }
            }
            let span = (greatest - least + 1) as usize;
            assert_eq!(keys.cover((least, greatest)), distinct.len() * 10 >= span * 7);
        } else {
            assert!(among(1 << 40, (1 << 40) + 100_000) < 10_000, "few strangers pass");
        }
    }

    #[test]
    fn keys_are_found_and_strangers_mostly_not() {
        check(&[], "bits");
        check(&[5], "bits");
        check(&[-70, 7, 7, 1000], "bits");
        check(&(0..3000).map(|key| key * 100).collect::<Vec<_>>(), "bits");
        check(&(0..3000).map(|key| key * 1_000_003_000_000).collect::<Vec<_>>(), "bloom");
        check(&[i64::MIN, 0, i64::MAX], "bloom");
    }

    #[test]
    fn a_filter_is_ready_when_all_have_told() {
        let woken = Arc::new(AtomicUsize::new(0));
        let (filter, count) = (KeyFilter::default(), woken.clone());
        filter.expect(
            2,
            Arc::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
            }),
        );
        filter.add(vec![1, 2]);
        assert!(filter.keys().is_none());
        filter.add(vec![9]);
        let keys = filter.keys().expect("both have told");
        assert!(keys.holds(2) && keys.holds(9) && !keys.holds(3));
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    }
}
