//! The users' own aggregates: a plain state per group, and what rows do to it.
//!
//! Place       beside the engine's own aggregates, behind the same trait: plain, in windows (a hop merges panes), over
//!             changes (rows are taken back), with FILTER and DISTINCT, across partitions.
//! Owns        the states, side by side in a vector of the table. What a state holds beside itself is counted.

use std::marker::PhantomData;

use super::inputs::{Inputs, UpdateFn};
use super::state::State;
use super::value::Return;

/// An aggregate function. [`Fold`] makes one of closures.
pub trait Aggregate: Send + Sync + 'static {
    /// What a row gives: `(f64,)`, `(&'static str, Option<i64>)`. A row with a null where no `Option` is counts for nothing.
    type Input: Inputs;
    /// What is kept per group.
    type State: State;
    /// The result: a value, perhaps none, perhaps an error.
    type Output: Return;

    /// The state of a group without rows. Merging it into another one changes nothing.
    fn init(&self) -> Self::State;

    /// Takes a row in.
    fn update(&self, state: &mut Self::State, input: <Self::Input as Inputs>::Items<'_>);

    /// Takes in what another state has seen; its rows come after this one's.
    fn merge(&self, state: &mut Self::State, other: &Self::State);

    /// The result, without disturbing the state.
    fn finish(&self, state: &Self::State) -> Self::Output;

    /// Whether `retract` is there: then changes and sliding frames are answered without starting anew.
    fn can_retract(&self) -> bool {
        false
    }

    /// Takes a row out again that was taken in before.
    fn retract(&self, _state: &mut Self::State, _input: <Self::Input as Inputs>::Items<'_>) {}

    /// Whether `unmerge` is there and leaves exactly what was before the merge: then a hop takes old panes out of its
    /// windows instead of merging all of them again.
    const CAN_UNMERGE: bool = false;

    /// Takes out again what another state has brought.
    fn unmerge(&self, _state: &mut Self::State, _other: &Self::State) {}

    /// Whether the result depends on the order of the rows.
    fn is_order_sensitive(&self) -> bool {
        false
    }

    /// Takes many rows of one group in, none of them null; `rows` of them, which `Inputs::get` reads. Says whether it
    /// did: by default not, and they come one by one.
    fn update_run(&self, _state: &mut Self::State, _run: <Self::Input as Inputs>::Chunks<'_>, _rows: usize) -> bool {
        false
    }
}

/// An aggregate of closures.
///
/// ```
/// use millstream::function::custom::Fold;
///
/// let sum_of_squares = Fold::new(
///     || 0.0,
///     |sum: &mut f64, x: f64| *sum += x * x,
///     |sum, other| *sum += other,
///     |sum| *sum,
/// )
/// .retract(|sum: &mut f64, x: f64| *sum -= x * x);
/// millstream::engine::Engine::default().aggregate("sum_of_squares", sum_of_squares).expect("a name that is free");
/// ```
pub struct Fold<S, U, N, G, F, R, X, V, M> {
    init: N,
    update: U,
    merge: G,
    finish: F,
    retract: R,
    unmerge: X,
    run: V,
    is_order_sensitive: bool,
    marker: PhantomData<fn() -> (S, M)>,
}

impl<S: State, U, N, G, F, O, M> Fold<S, U, N, G, F, Absent, Absent, Absent, M>
where
    N: Fn() -> S + Send + Sync + 'static,
    U: UpdateFn<S, M>,
    G: Fn(&mut S, &S) + Send + Sync + 'static,
    F: Fn(&S) -> O + Send + Sync + 'static,
    O: Return,
{
    /// The state without rows; what a row does to it; what another state does to it; the result.
    pub fn new(init: N, update: U, merge: G, finish: F) -> Self {
        let (retract, unmerge, run) = (Absent, Absent, Absent);
        Fold { init, update, merge, finish, retract, unmerge, run, is_order_sensitive: false, marker: PhantomData }
    }
}

impl<S: State, U, N, G, F, R, X, V, M> Fold<S, U, N, G, F, R, X, V, M>
where
    U: UpdateFn<S, M>,
{
    /// How a row is taken out again.
    pub fn retract<T, W>(self, retract: T) -> Fold<S, U, N, G, F, Retract<T, W>, X, V, M>
    where
        T: UpdateFn<S, W, Inputs = U::Inputs>,
    {
        let Fold { init, update, merge, finish, unmerge, run, is_order_sensitive, marker, .. } = self;
        let retract = Retract(retract, PhantomData);
        Fold { init, update, merge, finish, retract, unmerge, run, is_order_sensitive, marker }
    }

    /// How another state is taken out again, leaving exactly what was before the merge: then a hop takes old panes out
    /// of its windows instead of merging all of them anew.
    pub fn unmerge<T>(self, unmerge: T) -> Fold<S, U, N, G, F, R, Unmerge<T>, V, M>
    where
        T: Fn(&mut S, &S) + Send + Sync + 'static,
    {
        let Fold { init, update, merge, finish, retract, run, is_order_sensitive, marker, .. } = self;
        Fold { init, update, merge, finish, retract, unmerge: Unmerge(unmerge), run, is_order_sensitive, marker }
    }

    /// How many rows of one group are taken in at once, none of them null: the arguments as a tuple of slices, all of
    /// one length, where they are numbers or times. It must do what `update` does for each of them.
    ///
    /// ```
    /// use millstream::function::custom::Fold;
    ///
    /// let sum = Fold::new(|| 0_i64, |sum: &mut i64, x: i64| *sum += x, |sum, other| *sum += other, |sum| *sum);
    /// let sum = sum.run(|sum: &mut i64, (values,): (&[i64],)| *sum += values.iter().sum::<i64>());
    /// millstream::engine::Engine::default().aggregate("total", sum).expect("a name that is free");
    /// ```
    pub fn run<T>(self, run: T) -> Fold<S, U, N, G, F, R, X, Run<T>, M>
    where
        T: for<'c> Fn(&mut S, <U::Inputs as Inputs>::Chunks<'c>) + Send + Sync + 'static,
    {
        let Fold { init, update, merge, finish, retract, unmerge, is_order_sensitive, marker, .. } = self;
        Fold { init, update, merge, finish, retract, unmerge, run: Run(run), is_order_sensitive, marker }
    }
}

impl<S, U, N, G, F, R, X, V, M> Fold<S, U, N, G, F, R, X, V, M> {
    /// The result depends on the order of the rows: they come in the order of the input.
    #[must_use]
    pub fn order_sensitive(mut self) -> Self {
        self.is_order_sensitive = true;
        self
    }
}

/// What a [`Fold`] was not given.
pub struct Absent;

/// How a [`Fold`] takes rows out.
pub trait RetractFn<S, I: Inputs>: Send + Sync + 'static {
    const IS_THERE: bool;
    fn call(&self, state: &mut S, input: I::Items<'_>);
}

impl<S, I: Inputs> RetractFn<S, I> for Absent {
    const IS_THERE: bool = false;
    fn call(&self, _: &mut S, _: I::Items<'_>) {}
}

/// A closure that takes a row out.
pub struct Retract<V, W>(V, PhantomData<fn() -> W>);

impl<S, I: Inputs, V: UpdateFn<S, W, Inputs = I>, W: 'static> RetractFn<S, I> for Retract<V, W> {
    const IS_THERE: bool = true;
    #[inline(always)]
    fn call(&self, state: &mut S, input: I::Items<'_>) {
        self.0.call(state, input);
    }
}

/// How a [`Fold`] takes other states out.
pub trait UnmergeFn<S>: Send + Sync + 'static {
    const IS_THERE: bool;
    fn call(&self, state: &mut S, other: &S);
}

impl<S> UnmergeFn<S> for Absent {
    const IS_THERE: bool = false;
    fn call(&self, _: &mut S, _: &S) {}
}

/// A closure that takes a state out.
pub struct Unmerge<T>(T);

impl<S, T: Fn(&mut S, &S) + Send + Sync + 'static> UnmergeFn<S> for Unmerge<T> {
    const IS_THERE: bool = true;
    #[inline(always)]
    fn call(&self, state: &mut S, other: &S) {
        (self.0)(state, other);
    }
}

/// How a [`Fold`] takes many rows in.
pub trait RunFn<S, I: Inputs>: Send + Sync + 'static {
    /// Says whether it did.
    fn call(&self, state: &mut S, run: I::Chunks<'_>) -> bool;
}

impl<S, I: Inputs> RunFn<S, I> for Absent {
    #[inline(always)]
    fn call(&self, _: &mut S, _: I::Chunks<'_>) -> bool {
        false
    }
}

/// A closure that takes many rows in.
pub struct Run<T>(T);

impl<S, I: Inputs, T> RunFn<S, I> for Run<T>
where
    T: for<'c> Fn(&mut S, I::Chunks<'c>) + Send + Sync + 'static,
{
    #[inline(always)]
    fn call(&self, state: &mut S, run: I::Chunks<'_>) -> bool {
        (self.0)(state, run);
        true
    }
}

impl<S, U, N, G, F, R, X, V, M, O> Aggregate for Fold<S, U, N, G, F, R, X, V, M>
where
    S: State,
    U: UpdateFn<S, M>,
    N: Fn() -> S + Send + Sync + 'static,
    G: Fn(&mut S, &S) + Send + Sync + 'static,
    F: Fn(&S) -> O + Send + Sync + 'static,
    R: RetractFn<S, U::Inputs>,
    X: UnmergeFn<S>,
    V: RunFn<S, U::Inputs>,
    M: 'static,
    O: Return,
{
    type Input = U::Inputs;
    type State = S;
    type Output = O;
    const CAN_UNMERGE: bool = X::IS_THERE;

    fn init(&self) -> S {
        (self.init)()
    }

    #[inline(always)]
    fn update(&self, state: &mut S, input: <U::Inputs as Inputs>::Items<'_>) {
        self.update.call(state, input);
    }

    #[inline(always)]
    fn merge(&self, state: &mut S, other: &S) {
        (self.merge)(state, other);
    }

    #[inline(always)]
    fn unmerge(&self, state: &mut S, other: &S) {
        self.unmerge.call(state, other);
    }

    #[inline(always)]
    fn update_run(&self, state: &mut S, run: <U::Inputs as Inputs>::Chunks<'_>, _rows: usize) -> bool {
        self.run.call(state, run)
    }

    #[inline(always)]
    fn finish(&self, state: &S) -> O {
        (self.finish)(state)
    }

    fn can_retract(&self) -> bool {
        R::IS_THERE
    }

    #[inline(always)]
    fn retract(&self, state: &mut S, input: <U::Inputs as Inputs>::Items<'_>) {
        self.retract.call(state, input);
    }

    fn is_order_sensitive(&self) -> bool {
        self.is_order_sensitive
    }
}
