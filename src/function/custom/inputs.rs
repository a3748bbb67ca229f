//! The arguments of a row as a tuple, for aggregates.

use arrow::datatypes::DataType;

use super::argument::Arg;
use crate::batch::Argument;
use crate::error::Result;

/// A tuple of [`Arg`]s.
pub trait Inputs: 'static {
    type Items<'a>;
    type Sources<'a>: Copy;
    type Memories;
    type Chunks<'a>: Copy;
    /// Whether some argument is given nulls.
    const TAKES_NULLS: bool;
    /// Whether what stands under nulls may be calculated with.
    const IS_HARMLESS: bool;

    fn data_types() -> Vec<DataType>;
    /// Per argument, whether it is given nulls.
    fn takes_nulls() -> Vec<bool>;
    fn memories() -> Self::Memories;
    fn open<'a>(args: &[Argument<'a>]) -> Result<Self::Sources<'a>>;
    fn chunks<'s: 'm, 'm>(
        sources: Self::Sources<'s>,
        start: usize,
        rows: usize,
        memories: &'m mut Self::Memories,
    ) -> Self::Chunks<'m>;
    /// The values of a row of the chunk.
    fn get<'c>(chunks: Self::Chunks<'c>, row: usize) -> Self::Items<'c>;
    /// Rows of the chunk as a chunk of their own.
    fn part<'c>(chunks: Self::Chunks<'c>, first: usize, rows: usize) -> Self::Chunks<'c>;
}

/// A function that takes a row into a state. `M` tells functions of different signatures apart.
pub trait UpdateFn<S, M>: Send + Sync + 'static {
    type Inputs: Inputs;
    fn call(&self, state: &mut S, input: <Self::Inputs as Inputs>::Items<'_>);
}

macro_rules! inputs {
    ($($type:ident $index:tt),+) => {
        impl<$($type: Arg + 'static),+> Inputs for ($($type,)+) {
            type Items<'a> = ($($type::Item<'a>,)+);
            type Sources<'a> = ($($type::Source<'a>,)+);
            type Memories = ($($type::Memory,)+);
            type Chunks<'a> = ($($type::Chunk<'a>,)+);
            const TAKES_NULLS: bool = false $(|| $type::TAKES_NULLS)+;
            const IS_HARMLESS: bool = true $(&& $type::IS_HARMLESS)+;

            fn data_types() -> Vec<DataType> {
                vec![$($type::data_type()),+]
            }

            fn takes_nulls() -> Vec<bool> {
                vec![$($type::TAKES_NULLS),+]
            }

            #[inline(always)]
            fn memories() -> Self::Memories {
                ($($type::memory(),)+)
            }

            fn open<'a>(args: &[Argument<'a>]) -> Result<Self::Sources<'a>> {
                Ok(($($type::open(&args[$index])?,)+))
            }

            #[inline(always)]
            fn chunks<'s: 'm, 'm>(
                sources: Self::Sources<'s>,
                start: usize,
                rows: usize,
                memories: &'m mut Self::Memories,
            ) -> Self::Chunks<'m> {
                ($($type::chunk(sources.$index, start, rows, &mut memories.$index),)+)
            }

            #[inline(always)]
            fn get<'c>(chunks: Self::Chunks<'c>, row: usize) -> Self::Items<'c> {
                ($($type::get(chunks.$index, row),)+)
            }

            #[inline(always)]
            fn part<'c>(chunks: Self::Chunks<'c>, first: usize, rows: usize) -> Self::Chunks<'c> {
                ($($type::part(chunks.$index, first, rows),)+)
            }
        }

        impl<S, Func, $($type: Arg + 'static),+> UpdateFn<S, fn($($type),+)> for Func
        where
            Func: Send + Sync + 'static,
            Func: Fn(&mut S, $($type),+) + for<'a> Fn(&mut S, $($type::Item<'a>),+),
        {
            type Inputs = ($($type,)+);

            #[inline(always)]
            fn call(&self, state: &mut S, input: <Self::Inputs as Inputs>::Items<'_>) {
                #[inline(always)]
                #[allow(non_snake_case, clippy::too_many_arguments, reason = "one per argument, called as its type")]
                fn apply<S, $($type),+>(function: &impl Fn(&mut S, $($type),+), state: &mut S, $($type: $type),+) {
                    // Not through the reference as a function: see `closure`.
                    (*function)(state, $($type),+);
                }
                apply(self, state, $(input.$index),+);
            }
        }
    };
}
inputs!(A 0);
inputs!(A 0, B 1);
inputs!(A 0, B 1, C 2);
inputs!(A 0, B 1, C 2, D 3);
inputs!(A 0, B 1, C 2, D 3, E 4);
inputs!(A 0, B 1, C 2, D 3, E 4, F 5);
