//! The states of a user's aggregate as a table like those of the engine's own.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder};
use arrow::datatypes::DataType;
use fearless_simd::dispatch;
use millstream_kernels::level::Level;
use millstream_kernels::{bitmap, grouped};

use super::aggregate::Aggregate;
use super::argument::CHUNK;
use super::inputs::Inputs;
use super::lanes::{LANES, LANES_OF_NUMBERS, Lanes};
use super::state::{Encode, State};
use super::value::{Return, Value};
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::AggregateFunction;
use crate::function::aggregate::table::{Native, Rows, Table};
use crate::function::scalar::write::and_validity;

/// An aggregate function to be registered with an engine.
#[derive(Clone)]
pub struct AggregateDefinition {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) example: String,
    pub(super) args: Vec<DataType>,
    pub(super) function: Arc<dyn AggregateFunction>,
}

impl AggregateDefinition {
    /// A function called `name`.
    pub fn new<A: Aggregate>(name: impl Into<String>, aggregate: A) -> Self {
        let name = name.into();
        let native = Native {
            name: name.clone().into(),
            result_type: <A::Output as Return>::Value::data_type(),
            can_retract: aggregate.can_retract(),
            is_order_sensitive: aggregate.is_order_sensitive(),
            empty: States {
                name: name.as_str().into(),
                aggregate: Arc::new(aggregate),
                states: Vec::new(),
                heap_bytes: 0,
                validity: Vec::new(),
                picked: Vec::new(),
            },
        };
        let (doc, example) = (String::new(), String::new());
        AggregateDefinition { name, doc, example, args: A::Input::data_types(), function: Arc::new(native) }
    }

    /// What it does, in a sentence: `SHOW FUNCTIONS` tells it.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// A call of it, as SQL.
    #[must_use]
    pub fn example(mut self, example: impl Into<String>) -> Self {
        self.example = example.into();
        self
    }
}

/// States per group, and the aggregate that changes them.
struct States<A: Aggregate> {
    name: Arc<str>,
    aggregate: Arc<A>,
    states: Vec<A::State>,
    /// Bytes that the states hold beside themselves.
    heap_bytes: usize,
    validity: Vec<u64>,
    /// Rows of a chunk that count.
    picked: Vec<u16>,
}

impl<A: Aggregate> States<A> {
    /// Whether states hold memory of their own, which is counted.
    const HAS_HEAP: bool = std::mem::needs_drop::<A::State>();
    /// The largest state that is worth having in lanes.
    const LANE_BYTES: usize = 64;

    /// Runs what calls the user's code; its panic is an error.
    fn guard<T>(name: &str, run: impl FnOnce() -> T) -> Result<T> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|panic| Error::kernel_panicked(name, &*panic))
    }

    fn add(&mut self, rows: &Rows<'_>, args: &[Argument<'_>], mask: Option<&[u64]>) -> Result<()> {
        let sources = A::Input::open(args)?;
        let lanes = rows.is_plain()
            && !Self::HAS_HEAP
            && size_of::<A::State>() <= Self::LANE_BYTES
            && !self.aggregate.is_order_sensitive();
        if !lanes {
            let (aggregate, states, heap_bytes) = (&*self.aggregate, &mut self.states[..], &mut self.heap_bytes);
            return Self::guard(&self.name, || {
                dispatch!(rows.level, _simd => add_by_group(aggregate, states, sources, rows, mask, heap_bytes));
            });
        }
        let (is_number, count) = (size_of::<A::State>() <= size_of::<u64>(), rows.count());
        // What stands under nulls may make it panic; then only what is there counts. No state has changed.
        let blends = mask.filter(|_| is_number && A::Input::IS_HARMLESS && count >= LANES_OF_NUMBERS);
        if let Some(words) = blends
            && self.in_lanes(rows.level, |lanes| lanes.blend::<LANES_OF_NUMBERS>(sources, count, words)).is_ok()
        {
            return Ok(());
        }
        self.in_lanes(rows.level, |lanes| match mask {
            None if is_number => lanes.all::<LANES_OF_NUMBERS>(sources, count),
            None => lanes.all::<LANES>(sources, count),
            Some(words) if is_number => lanes.picked::<LANES_OF_NUMBERS>(sources, count, words),
            Some(words) => lanes.picked::<LANES>(sources, count, words),
        })
    }

    fn in_lanes(&mut self, level: Level, run: impl FnOnce(&mut Lanes<'_, A>)) -> Result<()> {
        let (aggregate, state, picked) = (&*self.aggregate, &mut self.states[0], &mut self.picked);
        let mut lanes = Lanes { aggregate, state, picked, level };
        Self::guard(&self.name, || run(&mut lanes))
    }
}

/// Takes a chunk in at once, where the aggregate can.
#[inline(always)]
fn run<A: Aggregate>(
    aggregate: &A,
    state: &mut A::State,
    chunks: <A::Input as Inputs>::Chunks<'_>,
    rows: usize,
    heap: &mut isize,
) -> bool {
    if !States::<A>::HAS_HEAP {
        return aggregate.update_run(state, chunks, rows);
    }
    let before = state.heap_bytes() as isize;
    let is_done = aggregate.update_run(state, chunks, rows);
    *heap += state.heap_bytes() as isize - before;
    is_done
}

#[inline(always)]
fn add_by_group<A: Aggregate>(
    aggregate: &A,
    states: &mut [A::State],
    sources: <A::Input as Inputs>::Sources<'_>,
    rows: &Rows<'_>,
    mask: Option<&[u64]>,
    heap_bytes: &mut usize,
) {
    let mut memories = A::Input::memories();
    let mut heap = *heap_bytes as isize;
    for start in (0..rows.count()).step_by(CHUNK) {
        let count = CHUNK.min(rows.count() - start);
        let chunks = A::Input::chunks(sources, start, count, &mut memories);
        let groups = &rows.groups[start..start + count];
        let mask = mask.map(|words| &words[start / 64..]);
        let counted = |state: &mut A::State, change: &dyn Fn(&mut A::State)| {
            let before = state.heap_bytes() as isize;
            change(state);
            state.heap_bytes() as isize - before
        };
        match rows.weights {
            None if mask.is_none() && rows.is_plain() && run(aggregate, &mut states[0], chunks, count, &mut heap) => {}
            None if States::<A>::HAS_HEAP => grouped::update(groups, mask, states, |state, row| {
                heap += counted(state, &|state| aggregate.update(state, A::Input::get(chunks, row)));
            }),
            None => grouped::update(groups, mask, states, |state, row| {
                aggregate.update(state, A::Input::get(chunks, row));
            }),
            Some(weights) => grouped::update(groups, mask, states, |state, row| {
                let input = A::Input::get(chunks, row);
                let before = state.heap_bytes() as isize;
                match weights[start + row] < 0 {
                    true => aggregate.retract(state, input),
                    false => aggregate.update(state, input),
                }
                heap += state.heap_bytes() as isize - before;
            }),
        }
    }
    *heap_bytes = heap.max(0) as usize;
}

impl<A: Aggregate> Table for States<A> {
    const TAKES_NULLS: bool = A::Input::TAKES_NULLS;
    const CAN_UNMERGE: bool = A::CAN_UNMERGE;

    fn grow(&mut self, group_count: usize) {
        while self.states.len() < group_count {
            let state = self.aggregate.init();
            self.heap_bytes += state.heap_bytes();
            self.states.push(state);
        }
    }

    fn update(&mut self, rows: &Rows<'_>, args: &[Argument<'_>]) -> Result<()> {
        if !Self::TAKES_NULLS {
            return self.add(rows, args, rows.validity);
        }
        // The rows' own mask knows the filter only: some arguments are given their nulls, others not.
        let takes_nulls = A::Input::takes_nulls();
        let strict = args.iter().zip(&takes_nulls).filter(|(_, takes)| !**takes).map(|(arg, _)| arg);
        let mut words = std::mem::take(&mut self.validity);
        let mut is_masked = and_validity(rows.level, strict, rows.count(), &mut words);
        match rows.validity {
            Some(filter) if is_masked => {
                bitmap::and_with(rows.level, &mut words, &filter[..bitmap::words(rows.count())]);
            }
            Some(filter) => {
                words.clear();
                words.extend_from_slice(&filter[..bitmap::words(rows.count())]);
                is_masked = true;
            }
            None => {}
        }
        let added = self.add(rows, args, is_masked.then_some(&words[..]));
        self.validity = words;
        added
    }

    fn merge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        let (aggregate, states) = (&*self.aggregate, &mut self.states);
        let mut heap = self.heap_bytes as isize;
        Self::guard(&self.name, || {
            for (from, &group) in other.states.iter().zip(groups) {
                let state = &mut states[group as usize];
                let before = if Self::HAS_HEAP { state.heap_bytes() as isize } else { 0 };
                aggregate.merge(state, from);
                heap += if Self::HAS_HEAP { state.heap_bytes() as isize - before } else { 0 };
            }
        })?;
        self.heap_bytes = heap.max(0) as usize;
        Ok(())
    }

    fn unmerge(&mut self, groups: &[u32], other: &Self) -> Result<()> {
        let (aggregate, states) = (&*self.aggregate, &mut self.states);
        let mut heap = self.heap_bytes as isize;
        Self::guard(&self.name, || {
            for (from, &group) in other.states.iter().zip(groups) {
                let state = &mut states[group as usize];
                let before = state.heap_bytes() as isize;
                aggregate.unmerge(state, from);
                heap += state.heap_bytes() as isize - before;
            }
        })?;
        self.heap_bytes = heap.max(0) as usize;
        Ok(())
    }

    fn pick(&self, groups: &[u32]) -> Option<Self> {
        let states: Vec<A::State> = groups.iter().map(|&group| self.states[group as usize].clone()).collect();
        let heap_bytes = if Self::HAS_HEAP { states.iter().map(State::heap_bytes).sum() } else { 0 };
        let (name, aggregate) = (self.name.clone(), self.aggregate.clone());
        Some(States { name, aggregate, states, heap_bytes, validity: Vec::new(), picked: Vec::new() })
    }

    fn finish(&mut self, groups: &[u32], out: &mut Column) -> Result<()> {
        let mut validity = match out {
            Column::Flat(flat) => std::mem::take(flat.validity_mut(0)),
            _ => Vec::new(),
        };
        bitmap::fill(&mut validity, groups.len(), true);
        let finished = Self::guard(&self.name, || finish(&*self.aggregate, &self.states, groups, &mut validity, out))?;
        finished.map_err(|message| Error::user(format!("{message}; {}", self.name)))?;
        if let Column::Flat(flat) = out {
            let complete = bitmap::all_set(&validity, groups.len());
            *flat.validity_mut(0) = validity;
            if complete {
                flat.set_all_valid();
            }
        }
        Ok(())
    }

    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BinaryView]
    }

    fn save(&self, group_count: usize) -> Result<Vec<ArrayRef>> {
        let mut column = BinaryViewBuilder::with_capacity(group_count);
        let mut bytes = Vec::new();
        for state in &self.states[..group_count] {
            bytes.clear();
            state.save().encode(&mut bytes);
            column.append_value(&bytes);
        }
        Ok(vec![Arc::new(column.finish())])
    }

    fn load(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let wrong = || Error::bug(format!("saved states are not of this {}", self.name));
        let column = columns[0].as_binary_view_opt().ok_or_else(wrong)?;
        for row in 0..column.len() {
            let mut bytes = column.value(row);
            let saved = <A::State as State>::Saved::decode(&mut bytes).filter(|_| bytes.is_empty());
            let state = A::State::load(saved.ok_or_else(wrong)?);
            self.heap_bytes += state.heap_bytes();
            self.states.push(state);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.states.clear();
        self.heap_bytes = 0;
    }

    fn size_bytes(&self) -> usize {
        self.states.capacity() * size_of::<A::State>()
            + self.heap_bytes
            + self.validity.capacity() * 8
            + self.picked.capacity() * 2
    }
}

/// Writes the results of groups, and into `validity` which are there.
fn finish<A: Aggregate>(
    aggregate: &A,
    states: &[A::State],
    groups: &[u32],
    validity: &mut [u64],
    out: &mut Column,
) -> Result<(), String> {
    type ValueOf<A> = <<A as Aggregate>::Output as Return>::Value;
    let mut sink = ValueOf::<A>::begin(out, groups.len());
    for start in (0..groups.len()).step_by(CHUNK) {
        let rows = CHUNK.min(groups.len() - start);
        let mut chunk = ValueOf::<A>::chunk(&mut sink, start, rows);
        for (row, &group) in groups[start..start + rows].iter().enumerate() {
            match aggregate.finish(&states[group as usize]).resolve()? {
                Some(value) => ValueOf::<A>::put(&mut chunk, row, value),
                None => bitmap::clear(validity, start + row),
            }
        }
        drop(chunk);
        ValueOf::<A>::end_chunk(&mut sink, start, rows);
    }
    let complete = bitmap::all_set(validity, groups.len());
    ValueOf::<A>::finish(sink, groups.len(), (!complete).then_some(&*validity), out);
    Ok(())
}

impl<A: Aggregate> Clone for States<A> {
    fn clone(&self) -> Self {
        States {
            name: self.name.clone(),
            aggregate: self.aggregate.clone(),
            states: self.states.clone(),
            heap_bytes: self.heap_bytes,
            validity: Vec::new(),
            picked: Vec::new(),
        }
    }
}

impl<A: Aggregate> fmt::Debug for States<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({} of {} groups)", self.name, self.states.len())
    }
}
