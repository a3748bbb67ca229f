//! Rows of one group, taken in by several states in turn, so that one row need not wait for the one before.
//!
//! For as long as a chunk takes, the lanes are held in a copy that nothing else has seen, so that the compiler can keep it in
//! registers: the lanes themselves are handed out to be merged, which it may not look into.
//!
//! Invariants  the lanes are merged into the group's state when all rows are in: a panic before leaves it as it was, but
//!             for runs that the aggregate takes in itself.

use fearless_simd::dispatch;
use millstream_kernels::bitmap;
use millstream_kernels::level::Level;

use super::aggregate::Aggregate;
use super::argument::CHUNK;
use super::inputs::Inputs;

/// As many states take the rows of a group; of numbers as many as fill four vectors.
pub(super) const LANES: usize = 8;
pub(super) const LANES_OF_NUMBERS: usize = 32;

/// The one group of a table.
pub(super) struct Lanes<'a, A: Aggregate> {
    pub aggregate: &'a A,
    pub state: &'a mut A::State,
    /// Memory for the rows of a chunk that count.
    pub picked: &'a mut Vec<u16>,
    pub level: Level,
}

type Sources<'a, A> = <<A as Aggregate>::Input as Inputs>::Sources<'a>;

impl<A: Aggregate> Lanes<'_, A> {
    /// Takes all rows in.
    pub fn all<const N: usize>(&mut self, sources: Sources<'_, A>, count: usize) {
        let (aggregate, state) = (self.aggregate, &mut *self.state);
        dispatch!(self.level, _simd => {
            let mut memories = A::Input::memories();
            let mut lanes: [A::State; N] = std::array::from_fn(|_| aggregate.init());
            for start in (0..count).step_by(CHUNK) {
                let rows = CHUNK.min(count - start);
                let chunks = A::Input::chunks(sources, start, rows, &mut memories);
                if aggregate.update_run(state, chunks, rows) {
                    continue;
                }
                let mut held = lanes.clone();
                for step in 0..rows / N {
                    let part = A::Input::part(chunks, step * N, N);
                    for (lane, state) in held.iter_mut().enumerate() {
                        aggregate.update(state, A::Input::get(part, lane));
                    }
                }
                lanes = held;
                for row in rows / N * N..rows {
                    aggregate.update(&mut lanes[row % N], A::Input::get(chunks, row));
                }
            }
            lanes.iter().for_each(|lane| aggregate.merge(state, lane));
        });
    }

    /// Takes every row in and keeps what came of it where `words` says so: for states that are no more than a number, and
    /// for arguments of which any value may be calculated with.
    pub fn blend<const N: usize>(&mut self, sources: Sources<'_, A>, count: usize, words: &[u64]) {
        let (aggregate, state) = (self.aggregate, &mut *self.state);
        dispatch!(self.level, _simd => {
            let mut memories = A::Input::memories();
            let mut lanes: [A::State; N] = std::array::from_fn(|_| aggregate.init());
            for start in (0..count).step_by(CHUNK) {
                let rows = CHUNK.min(count - start);
                let chunks = A::Input::chunks(sources, start, rows, &mut memories);
                let mut held = lanes.clone();
                for step in 0..rows / N {
                    let part = A::Input::part(chunks, step * N, N);
                    let first = start + step * N;
                    let bits = words[first / 64] >> (first % 64);
                    for (lane, state) in held.iter_mut().enumerate() {
                        let mut next = state.clone();
                        aggregate.update(&mut next, A::Input::get(part, lane));
                        // Written in any case: a store under a mask would have to be waited for.
                        *state = if bits >> lane & 1 == 1 { next } else { state.clone() };
                    }
                }
                lanes = held;
                for row in (rows / N * N..rows).filter(|&row| bitmap::get(words, start + row)) {
                    aggregate.update(&mut lanes[row % N], A::Input::get(chunks, row));
                }
            }
            lanes.iter().for_each(|lane| aggregate.merge(state, lane));
        });
    }

    /// Takes the rows in that `words` has.
    pub fn picked<const N: usize>(&mut self, sources: Sources<'_, A>, count: usize, words: &[u64]) {
        let (aggregate, state, picked, level) = (self.aggregate, &mut *self.state, &mut *self.picked, self.level);
        dispatch!(level, _simd => {
            let mut memories = A::Input::memories();
            let mut lanes: [A::State; N] = std::array::from_fn(|_| aggregate.init());
            for start in (0..count).step_by(CHUNK) {
                let rows = CHUNK.min(count - start);
                let chunks = A::Input::chunks(sources, start, rows, &mut memories);
                bitmap::to_selection(level, &words[start / 64..], rows, picked);
                let steps = picked.chunks_exact(N);
                for (lane, &row) in steps.remainder().iter().enumerate() {
                    aggregate.update(&mut lanes[lane], A::Input::get(chunks, row as usize));
                }
                for step in steps {
                    for (lane, state) in lanes.iter_mut().enumerate() {
                        aggregate.update(state, A::Input::get(chunks, step[lane] as usize));
                    }
                }
            }
            lanes.iter().for_each(|lane| aggregate.merge(state, lane));
        });
    }
}
