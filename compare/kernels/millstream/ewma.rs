//! An average over time whose weights halve every minute, as an aggregate of closures.

use millstream::Result;
use millstream::engine::Engine;
use millstream::function::custom::{Fold, Timestamp};

/// Sum and weight as of a time, in microseconds.
type Weighted = (f64, f64, i64);

/// Both fade to the later time: a minute halves a weight.
fn merge(state: &mut Weighted, other: &Weighted) {
    let last = state.2.max(other.2);
    let fade = |(.., at): &Weighted| 0.5_f64.powf((last as f64 - *at as f64) / 60e6);
    let (mine, theirs) = (fade(state), fade(other));
    *state = (state.0 * mine + other.0 * theirs, state.1 * mine + other.1 * theirs, last);
}

pub fn register(engine: &Engine) -> Result<()> {
    let init = || (0.0, 0.0, i64::MIN);
    let update = |state: &mut Weighted, x: f64, at: Timestamp| merge(state, &(x, 1.0, at.0));
    let finish = |(sum, weight, _): &Weighted| (*weight > 0.0).then(|| sum / weight);
    engine.aggregate("ewma", Fold::new(init, update, merge, finish))
}
