//! Aggregates of users' own that all say what `SUM(x * x)` says, by as many ways as the engine has of running them.

use millstream::engine::Engine;
use millstream::function::custom::{Aggregate, Fold, Inputs, State};

/// Merged where states meet, started anew where rows go.
pub const MERGED: &str = "squares_merged";
/// Rows and states are taken out, runs of rows taken in.
pub const INVERTIBLE: &str = "squares_invertible";
/// The values themselves, in memory of each state's own; it is saved as something else than it is.
pub const KEPT: &str = "squares_kept";

/// Sum and count.
type Pair = (i64, i64);

fn add(state: &mut Pair, x: i64) {
    *state = (state.0 + x * x, state.1 + 1);
}

fn merge(state: &mut Pair, other: &Pair) {
    *state = (state.0 + other.0, state.1 + other.1);
}

fn finish(state: &Pair) -> Option<i64> {
    (state.1 > 0).then_some(state.0)
}

struct Kept;

#[derive(Clone, Default)]
struct Values(Vec<i64>);

impl State for Values {
    type Saved = (Vec<i64>, String);

    fn save(&self) -> Self::Saved {
        (self.0.clone(), format!("{} values", self.0.len()))
    }

    fn load((values, text): Self::Saved) -> Self {
        assert_eq!(text, format!("{} values", values.len()), "what was saved comes back");
        Values(values)
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }
}

impl Aggregate for Kept {
    type Input = (i64,);
    type State = Values;
    type Output = Option<i64>;

    fn init(&self) -> Values {
        Values::default()
    }

    fn update(&self, state: &mut Values, (x,): <Self::Input as Inputs>::Items<'_>) {
        state.0.push(x);
    }

    fn merge(&self, state: &mut Values, other: &Values) {
        state.0.extend_from_slice(&other.0);
    }

    fn finish(&self, state: &Values) -> Option<i64> {
        (!state.0.is_empty()).then(|| state.0.iter().map(|x| x * x).sum())
    }

    fn can_retract(&self) -> bool {
        true
    }

    fn retract(&self, state: &mut Values, (x,): <Self::Input as Inputs>::Items<'_>) {
        let at = state.0.iter().position(|kept| *kept == x).expect("only what was taken in is taken out");
        state.0.swap_remove(at);
    }

    fn update_run(&self, state: &mut Values, (values,): <Self::Input as Inputs>::Chunks<'_>, rows: usize) -> bool {
        assert_eq!(values.len(), rows, "a run has as many values as rows");
        state.0.extend_from_slice(values);
        true
    }
}

/// Makes all of them known.
pub fn register(engine: &Engine) {
    engine.aggregate(MERGED, Fold::new(|| (0, 0), add, merge, finish)).expect("a name that is free");
    let invertible = Fold::new(|| (0, 0), add, merge, finish)
        .retract(|state: &mut Pair, x: i64| *state = (state.0 - x * x, state.1 - 1))
        .unmerge(|state: &mut Pair, other: &Pair| *state = (state.0 - other.0, state.1 - other.1))
        .run(|state: &mut Pair, (values,): (&[i64],)| {
            *state = (state.0 + values.iter().map(|x| x * x).sum::<i64>(), state.1 + values.len() as i64);
        });
    engine.aggregate(INVERTIBLE, invertible).expect("a name that is free");
    engine.aggregate(KEPT, Kept).expect("a name that is free");
}
