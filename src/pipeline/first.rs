//! What an ORDER BY with LIMIT tells the scan below it: how far its first rows reach. Rows behind them need not be read.
//!
//! ```text
//! first rows so far ─▶ the first key of the worst of them, as a number ─▶ Cutoff ─▶ the scan, through filters,
//!                                                                                   projections and joins
//! ```
//! Place       planned over the finished pipeline; lowered by sorts and ranks, and by scans that see all that the rows
//!             have to pass; asked by scans that know how.
//! Invariants  a cutoff only ever goes down, and never below the first key of a row that is among the first: whoever asks
//!             late, or never, leaves less out and gives the same answer. Nothing waits for it. Which rows are left out
//!             depends on who was quicker, so nothing that may fail for a row stands between the scan and the ORDER BY.
//! Source      "Top-k filters" of several engines; the numbers are those of `batch::first_keys`.

use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use arrow::compute::SortOptions;

use super::{
    ChangeMode, Changelog, Completion, JoinKind, JoinSide, JoinSpec, JoinStrategy, NodeId, Pipeline, RankFunction,
    RankSpec, SortSpec, Spec,
};
use crate::batch::has_numbers;
use crate::expression::{Operand, Program};

/// Keys kept at most to tell the worst one; of more rows the sort tells it, less often.
const KEYS_MAX: usize = 1 << 12;
/// Bytes of a string that is kept to tell it from others with the same number.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// The first key behind which no row is wanted: its number, and of strings with this number the last one.
#[derive(Debug)]
pub struct Cutoff {
    number: AtomicU64,
    text: RwLock<Option<(u64, Arc<[u8]>)>>,
}

impl Default for Cutoff {
    fn default() -> Self {
        Cutoff { number: AtomicU64::new(u64::MAX), text: RwLock::default() }
    }
}

impl Cutoff {
    /// Rows with a greater number are not wanted; `u64::MAX` while nothing is known.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// How far the first rows reach now. `options` are those of the first key.
    pub fn reach(&self, options: SortOptions) -> Reach {
        let number = self.number();
        let text = self.text.read().unwrap_or_else(PoisonError::into_inner);
        let text = text.as_ref().filter(|(of, _)| *of == number).map(|(_, text)| text.clone());
        Reach { number, text, descending: options.descending }
    }

    /// Says that as many rows as are wanted have this number at most.
    pub fn lower(&self, number: u64) {
        self.number.fetch_min(number, Ordering::Relaxed);
    }

    /// The same of rows that have no later string either.
    fn lower_to(&self, key: &Key) {
        self.lower(key.number);
        let Some(text) = &key.text else { return };
        let mut known = self.text.write().unwrap_or_else(PoisonError::into_inner);
        let is_less = known.as_ref().is_none_or(|(number, known)| {
            let by_text = if key.descending { known.cmp(text) } else { text.cmp(known) };
            key.number.cmp(number).then(by_text).is_lt()
        });
        if is_less {
            *known = Some((key.number, text.clone()));
        }
    }
}

/// How far the first rows reached when it was asked.
#[derive(Debug)]
pub struct Reach {
    number: u64,
    text: Option<Arc<[u8]>>,
    descending: bool,
}

impl Reach {
    /// Whether nothing is known yet.
    pub fn is_all(&self) -> bool {
        self.number == u64::MAX
    }

    /// Whether a row with a first key of this number, and of strings this text, does not come behind.
    #[inline]
    pub fn holds<'a>(&self, number: u64, text: impl FnOnce() -> Option<&'a [u8]>) -> bool {
        if number != self.number {
            return number < self.number;
        }
        match (&self.text, tells_null(number)) {
            (Some(last), false) => {
                text().is_none_or(|text| if self.descending { text >= &last[..] } else { text <= &last[..] })
            }
            _ => true,
        }
    }
}

/// Whether a number may be that of a null: its text is nobody's.
fn tells_null(number: u64) -> bool {
    number == 0 || number == u64::MAX
}

/// A first key: its number and, of a string, its bytes.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    number: u64,
    /// `None`: not known, so the last one with this number.
    text: Option<Arc<[u8]>>,
    descending: bool,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_text = || match (&self.text, &other.text) {
            (None, None) => std::cmp::Ordering::Equal,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), None) => std::cmp::Ordering::Less,
            (Some(a), Some(b)) => {
                if self.descending {
                    b.cmp(a)
                } else {
                    a.cmp(b)
                }
            }
        };
        self.number.cmp(&other.number).then_with(by_text)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The first keys of the first rows seen, as many as rows are wanted.
#[derive(Debug)]
pub struct LeastKeys {
    wanted: usize,
    heap: BinaryHeap<Key>,
    options: SortOptions,
    text_bytes: usize,
}

impl LeastKeys {
    /// Of so many wanted rows.
    pub fn new(wanted: usize, options: SortOptions) -> Self {
        LeastKeys { wanted, heap: BinaryHeap::new(), options, text_bytes: 0 }
    }

    /// Whether so many rows can be followed.
    pub fn can_follow(wanted: usize) -> bool {
        (1..=KEYS_MAX).contains(&wanted)
    }

    /// Takes the first key of a row: its number and, of strings, its text. Returns whether the row may be among the first
    /// of those seen.
    #[inline]
    pub fn add<'a>(&mut self, number: u64, text: impl FnOnce() -> Option<&'a [u8]>) -> bool {
        let is_full = self.heap.len() >= self.wanted;
        match self.heap.peek() {
            Some(worst) if is_full && number > worst.number => false,
            // Without a text none is before another.
            Some(worst) if is_full && number == worst.number && tells_null(number) => true,
            _ => self.take(number, if tells_null(number) { None } else { text() }, is_full),
        }
    }

    fn take(&mut self, number: u64, text: Option<&[u8]>, is_full: bool) -> bool {
        let descending = self.options.descending;
        let kept = text.filter(|text| text.len() <= TEXT_BYTES_MAX);
        if is_full {
            let Some(mut worst) = self.heap.peek_mut() else { return false };
            let by_text = match (kept, &worst.text) {
                (Some(text), Some(last)) => {
                    if descending {
                        last[..].cmp(text)
                    } else {
                        text.cmp(last)
                    }
                }
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, _) => std::cmp::Ordering::Equal,
            };
            match number.cmp(&worst.number).then(by_text) {
                std::cmp::Ordering::Greater => return false,
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => {
                    self.text_bytes -= worst.text.as_ref().map_or(0, |text| text.len());
                    self.text_bytes += kept.map_or(0, <[u8]>::len);
                    *worst = Key { number, text: kept.map(Arc::from), descending };
                    return true;
                }
            }
        }
        self.text_bytes += kept.map_or(0, <[u8]>::len);
        self.heap.push(Key { number, text: kept.map(Arc::from), descending });
        true
    }

    /// Lowers a cutoff to the greatest of them, once there are as many as are wanted.
    pub fn tell(&self, cutoff: &Cutoff) {
        if let Some(worst) = self.heap.peek().filter(|_| self.heap.len() >= self.wanted) {
            cutoff.lower_to(worst);
        }
    }

    pub fn size_bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Key>() + self.text_bytes
    }
}

/// Which scan may leave out what comes behind the first rows of which node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstRoute {
    /// The ORDER BY, or the rank.
    pub by: NodeId,
    pub scan: NodeId,
    /// The column among the scan's.
    pub column: usize,
    pub options: SortOptions,
    /// How many rows are wanted.
    pub wanted: usize,
    /// Whether each row of the scan that meets the filter right above it, if there is one, is a row of the ORDER BY or
    /// several: then the scan can tell by itself how far the first ones reach.
    pub is_whole: bool,
    /// Whether that filter may fail: then it sees each row first.
    pub may_fail: bool,
}

/// All routes of a pipeline; at most one per scan.
pub fn first_routes(pipeline: &Pipeline) -> Vec<FirstRoute> {
    let mut routes = Vec::new();
    for (by, node) in pipeline.nodes.iter().enumerate() {
        let (program, column, options, wanted) = match &node.spec {
            Spec::Sort(SortSpec { program, options, fetch: Some(fetch) }) => (program, 0, options.first(), *fetch),
            Spec::Rank(spec) if ranks_once(spec) => {
                (&spec.program, 0, spec.order.first(), usize::try_from(spec.last).unwrap_or(usize::MAX))
            }
            _ => continue,
        };
        let (Some(&options), Some(Operand::Input(column))) = (options, program.outputs.get(column)) else { continue };
        if can_fail(program) {
            continue;
        }
        // Rows that share a rank are more than ranks are wanted.
        let is_whole = !matches!(&node.spec, Spec::Rank(spec) if spec.function == RankFunction::DenseRank);
        let route = FirstRoute { by, scan: 0, column: *column, options, wanted, is_whole, may_fail: false };
        descend(pipeline, node.inputs[0], route, &mut routes);
    }
    routes
}

/// Whether a rank is one over all rows, which come once and stay.
fn ranks_once(spec: &RankSpec) -> bool {
    spec.key_count == 0 && spec.completion == Completion::End && !spec.takes_back && spec.ttl.is_none()
}

fn can_fail(program: &Program) -> bool {
    program.steps.iter().any(|step| step.kernel.can_fail())
}

/// Adds the scans whose rows have the key in `route.column` of a node, each in rows of their own.
fn descend(pipeline: &Pipeline, id: NodeId, mut route: FirstRoute, found: &mut Vec<FirstRoute>) {
    let node = &pipeline.nodes[id];
    // What others read as well must have all of its rows.
    if node.changes != ChangeMode::Append || !node.bounded || pipeline.readers(id) > 1 {
        return;
    }
    match &node.spec {
        Spec::Scan(scan) => {
            let counts_rows = scan.watermark.is_some() || scan.fetch.is_some() || scan.compute.is_some();
            let fits = has_numbers(node.schema.field(route.column).data_type()) && scan.system.is_empty();
            if fits && !counts_rows && scan.table.takes_keys() && scan.table.changelog() == Changelog::Append {
                found.push(FirstRoute { scan: id, ..route });
            }
        }
        Spec::Filter(filter) => {
            let is_scanned = matches!(pipeline.nodes[node.inputs[0]].spec, Spec::Scan(_));
            let may_fail = filter.conjuncts.iter().any(|program| can_fail(program));
            if is_scanned || !may_fail {
                route.is_whole &= is_scanned;
                descend(pipeline, node.inputs[0], FirstRoute { may_fail, ..route }, found);
            }
        }
        Spec::Project(project) => {
            if let (Operand::Input(column), false) = (project.program.outputs[route.column], can_fail(&project.program))
            {
                descend(pipeline, node.inputs[0], FirstRoute { column, ..route }, found);
            }
        }
        Spec::Union => node.inputs.iter().for_each(|&input| descend(pipeline, input, route.clone(), found)),
        Spec::Join(spec) => descend_join(pipeline, id, spec, route, found),
        _ => {}
    }
}

/// Down the side of a join that passes by the table, where each row's rows have its own values.
fn descend_join(pipeline: &Pipeline, id: NodeId, spec: &JoinSpec, mut route: FirstRoute, found: &mut Vec<FirstRoute>) {
    use JoinKind::*;
    let JoinStrategy::Hash { build, .. } = spec.strategy else { return };
    let programs = [&spec.left_keys, &spec.right_keys].into_iter().chain(&spec.residual);
    if spec.each_once || programs.into_iter().any(|program| can_fail(program)) {
        return;
    }
    let inputs = &pipeline.nodes[id].inputs;
    let left_count = pipeline.nodes[inputs[0]].schema.fields().len();
    let count = left_count + pipeline.nodes[inputs[1]].schema.fields().len();
    let (side, column) = match spec.outputs[route.column] {
        mark if mark >= count => return,
        left if left < left_count => (JoinSide::Left, left),
        right => (JoinSide::Right, right - left_count),
    };
    let (keeps, stays) = match side {
        JoinSide::Left => {
            (matches!(spec.kind, Inner | Left | LeftSemi | LeftAnti | LeftMark), matches!(spec.kind, Left | LeftMark))
        }
        JoinSide::Right => (
            matches!(spec.kind, Inner | Right | RightSemi | RightAnti | RightMark),
            matches!(spec.kind, Right | RightMark),
        ),
    };
    if keeps && side == build.other() {
        route.is_whole &= stays;
        descend(pipeline, inputs[(side == JoinSide::Right) as usize], FirstRoute { column, ..route }, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: SortOptions = SortOptions { descending: false, nulls_first: false };
    const DOWN: SortOptions = SortOptions { descending: true, nulls_first: false };

    #[test]
    fn the_least_numbers_are_followed() {
        let (mut least, cutoff) = (LeastKeys::new(3, UP), Cutoff::default());
        let mut add = |number| {
            let is_among = least.add(number, || None);
            least.tell(&cutoff);
            (is_among, cutoff.number())
        };
        assert_eq!([9, 5].map(&mut add), [(true, u64::MAX); 2]);
        assert_eq!([7, 10, 9, 6, 8, 5].map(add), [(true, 9), (false, 9), (true, 9), (true, 7), (false, 7), (true, 6)]);
        assert!(!LeastKeys::can_follow(0) && !LeastKeys::can_follow(usize::MAX));
    }

    #[test]
    fn strings_with_one_number_are_told_apart() {
        for options in [UP, DOWN] {
            let (mut least, cutoff) = (LeastKeys::new(2, options), Cutoff::default());
            let words = if options.descending { ["b", "c", "a", "d"] } else { ["c", "b", "d", "a"] };
            let long = "x".repeat(TEXT_BYTES_MAX + 1);
            assert!(least.add(7, || Some(long.as_bytes())));
            let among = words.map(|word| least.add(7, || Some(word.as_bytes())));
            assert_eq!(among, [true, true, false, true], "{options:?}");
            least.tell(&cutoff);
            let reach = cutoff.reach(options);
            let held = ["a", "b", "c", "d"].map(|word| reach.holds(7, || Some(word.as_bytes())));
            assert_eq!(held, if options.descending { [false, false, true, true] } else { [true, true, false, false] });
            assert!(reach.holds(6, || None) && !reach.holds(8, || None) && reach.holds(7, || None));
            cutoff.lower(5);
            assert!(cutoff.reach(options).holds(5, || Some(b"z")), "of this number no string is known");
        }
    }

    #[test]
    fn nulls_have_no_text() {
        for number in [0, u64::MAX] {
            let (mut least, cutoff) = (LeastKeys::new(1, UP), Cutoff::default());
            assert!(least.add(number, || Some(b"a")) && least.add(number, || Some(b"b")));
            least.tell(&cutoff);
            assert!(cutoff.reach(UP).holds(number, || Some(b"c")));
        }
    }
}
