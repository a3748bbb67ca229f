//! A plain Rust function over values as loops over columns.
//!
//! The loop is compiled once per CPU level with the function inlined, so that arithmetic becomes vector arithmetic. A
//! chunk of rows at a time:
//!
//! ```text
//! no nulls                       every row
//! nulls, floats and booleans     every row too: what stands under nulls does no harm, and the result is null there
//! nulls, anything else           the rows that are not null, a word of 64 at a time
//! all but the first constant     the constants are read once, and what follows from them alone is computed once
//! one text, few distinct         a text met before in the batch gives the row of its result
//! ```
//!
//! Invariants  the function is called as what it is, never through a reference as a function: the standard library's call
//!             through a reference is not inlined across codegen units, and a call per row is no vector arithmetic.

use std::ops::Range;

use arrow::datatypes::DataType;
use fearless_simd::dispatch;
use millstream_kernels::bitmap;
use millstream_kernels::level::Level;

use super::argument::{Arg, CHUNK};
use super::memo::Memo;
use super::value::{Done, Return, StringWriter, Value, pack};
use crate::batch::{Argument, Column};
use crate::error::Result;
use crate::function::scalar::write::and_validity;

/// What a function takes and gives.
#[derive(Debug, Clone)]
pub struct Signature {
    pub args: Vec<DataType>,
    /// Per argument, whether it is given nulls.
    pub takes_nulls: Vec<bool>,
    pub result: DataType,
    /// Whether it can return an error.
    pub can_fail: bool,
    /// Whether it can return none.
    pub can_be_null: bool,
    /// Whether arguments under nulls may be given to it.
    pub is_harmless: bool,
}

/// A call over a batch.
pub struct Call<'c, 'a> {
    pub level: Level,
    pub args: &'c [Argument<'a>],
    pub rows: usize,
    /// Which arguments' nulls make a null.
    pub strict: &'c [bool],
    /// Whether rows under nulls are evaluated like all others.
    pub evaluates_nulls: bool,
    /// Whether an error is a null.
    pub is_try: bool,
    /// Whether equal texts give equal results, and looking for them is worth it.
    pub remembers: bool,
}

/// The first row that failed, and why.
#[derive(Debug)]
pub struct Failure {
    pub row: usize,
    pub message: String,
}

/// A function that can be called for every row of a batch. `M` tells functions of different signatures apart.
pub trait ScalarFn<M>: Send + Sync + 'static {
    fn signature() -> Signature;

    /// Computes a column; `Some` when a row failed, and then `out` holds nothing of use.
    fn evaluate(&self, call: &Call<'_, '_>, out: &mut Column) -> Result<Option<Failure>>;
}

/// Which rows of the result are there.
struct Validity {
    words: Vec<u64>,
    /// Whether some argument is null somewhere.
    of_args: bool,
    /// Whether the function's own nulls are kept.
    of_results: bool,
}

impl Validity {
    fn new<R: Return>(call: &Call<'_, '_>, out: &mut Column) -> Validity {
        let mut words = match out {
            Column::Flat(flat) => std::mem::take(flat.validity_mut(0)),
            _ => Vec::new(),
        };
        let strict = call.args.iter().zip(call.strict).filter(|(_, strict)| **strict).map(|(arg, _)| arg);
        let of_args = and_validity(call.level, strict, call.rows, &mut words);
        let of_results = R::CAN_BE_NULL || (R::CAN_FAIL && call.is_try);
        if of_results && !of_args {
            bitmap::fill(&mut words, call.rows, true);
        }
        Validity { words, of_args, of_results }
    }

    /// The words of a chunk, when only those rows are to be evaluated.
    #[inline(always)]
    fn mask(&self, call: &Call<'_, '_>, start: usize) -> Option<&[u64]> {
        (self.of_args && !call.evaluates_nulls).then(|| &self.words[start / 64..])
    }

    #[inline(always)]
    fn end_chunk<R: Return>(&mut self, start: usize, there: &[bool]) {
        if (R::CAN_BE_NULL || R::CAN_FAIL) && self.of_results {
            let mut packed = [0; CHUNK / 64];
            pack(there, &mut packed);
            self.words[start / 64..].iter_mut().zip(packed).for_each(|(word, packed)| *word &= packed);
        }
    }

    fn finish<V: Value>(self, sink: V::Sink, rows: usize, out: &mut Column) {
        let is_nullable = (self.of_args || self.of_results) && !bitmap::all_set(&self.words, rows);
        V::finish(sink, rows, is_nullable.then_some(&self.words[..]), out);
        if let Column::Flat(flat) = out {
            *flat.validity_mut(0) = self.words;
            if !is_nullable {
                flat.set_all_valid();
            }
        }
    }
}

/// Evaluates the rows of a chunk, all or those of a mask.
#[inline(always)]
fn each<'t, R: Return>(
    rows: usize,
    mask: Option<&[u64]>,
    is_try: bool,
    target: &mut <R::Value as Value>::Chunk<'t>,
    there: &mut [bool; CHUNK],
    function: impl Fn(usize, &mut <R::Value as Value>::Chunk<'t>) -> R,
) -> Option<Failure> {
    if R::CAN_BE_NULL || R::CAN_FAIL {
        there.fill(true);
    }
    let Some(mask) = mask else { return run(0..rows, is_try, target, there, &function) };
    for first in (0..rows).step_by(64) {
        let mut word = mask[first / 64];
        if word == u64::MAX {
            let failure = run(first..first + 64, is_try, target, there, &function);
            if failure.is_some() {
                return failure;
            }
            continue;
        }
        while word != 0 {
            let row = first + word.trailing_zeros() as usize;
            word &= word - 1;
            let failure = run(row..row + 1, is_try, target, there, &function);
            if failure.is_some() {
                return failure;
            }
        }
    }
    None
}

/// Evaluates rows, one after the other, up to the first that fails.
#[inline(always)]
fn run<'t, R: Return, F: Fn(usize, &mut <R::Value as Value>::Chunk<'t>) -> R>(
    rows: Range<usize>,
    is_try: bool,
    target: &mut <R::Value as Value>::Chunk<'t>,
    there: &mut [bool; CHUNK],
    function: &F,
) -> Option<Failure> {
    let mut failed = None;
    for row in rows {
        let result = (*function)(row, target);
        let (put, missing) = (|value| R::Value::put(target, row, value), || there[row] = false);
        if result.settle(put, missing, |message| failed = Some(message)) {
            // Only what can fail comes here.
            if !is_try {
                return failed.map(|message| Failure { row, message });
            }
            there[row] = false;
        }
    }
    None
}

/// The body of `evaluate`, for a function that is applied to the values of a row, and `$target` for one that writes.
macro_rules! evaluate {
    ($self:ident, $call:ident, $out:ident, $result:ty, $apply:ident, [$($target:ident)?],
        $first:ident $first_source:ident $first_memory:ident
        $(, $type:ident $source:ident $memory:ident $index:tt)*
    ) => {{
        let call = $call;
        let $first_source = $first::open(&call.args[0])?;
        $(let $source = $type::open(&call.args[$index])?;)*
        let mut $first_memory = $first::memory();
        $(let mut $memory = $type::memory();)*
        let mut validity = Validity::new::<$result>(call, $out);
        let mut sink = <$result as Return>::Value::begin($out, call.rows);
        let mut there = [true; CHUNK];
        let hoisted = call.args.len() > 1 && call.args[1..].iter().all(Argument::is_constant);
        let is_text = [$first::IS_TEXT $(, $type::IS_TEXT)*];
        let varying = call.args.iter().position(|arg| !arg.is_constant()).unwrap_or(0);
        let mut memo = Memo::new(call.remembers && is_text[varying]);
        let failure = dispatch!(call.level, _simd => {
            let mut failure = None;
            let mut start = 0;
            while start < call.rows && failure.is_none() {
                let rows = CHUNK.min(call.rows - start);
                let $first_memory = $first::chunk($first_source, start, rows, &mut $first_memory);
                $(let $memory = $type::chunk($source, start, rows, &mut $memory);)*
                let mask = validity.mask(call, start);
                if memo.is_on() {
                    let view = |row: usize| match varying {
                        0 => $first::view($first_memory, row),
                        $($index => $type::view($memory, row),)*
                        _ => 0,
                    };
                    let same = |row: usize, other: usize| match varying {
                        0 => $first::same($first_source, row, other),
                        $($index => $type::same($source, row, other),)*
                        _ => false,
                    };
                    there.fill(true);
                    for row in (0..rows).filter(|&row| super::argument::is_set(mask, row)) {
                        let known = memo.find(view(row), start + row, same);
                        if let Some(known) = known {
                            <$result as Return>::Value::copy(&mut sink, known, start + row);
                            continue;
                        }
                        let mut target = <$result as Return>::Value::chunk(&mut sink, start, rows);
                        $( let $target = &mut *target; $target.writer.clear(); )?
                        let result = $apply(
                            $self, $first::get($first_memory, row) $(, $type::get($memory, row))*
                            $(, &mut $target.writer)?
                        );
                        match result.resolve() {
                            Ok(Some(value)) => {
                                <$result as Return>::Value::put(&mut target, row, value);
                                memo.keep(view(row), start + row);
                            }
                            Ok(None) => there[row] = false,
                            Err(_) if call.is_try => there[row] = false,
                            Err(message) => {
                                failure = Some(Failure { row, message });
                                break;
                            }
                        }
                    }
                    memo.end_chunk();
                } else {
                    let mut target = <$result as Return>::Value::chunk(&mut sink, start, rows);
                    let (target, there) = (&mut target, &mut there);
                    failure = if hoisted {
                        each::<$result>(rows, mask, call.is_try, target, there, #[inline(always)] |row, _target| {
                            $( let $target = &mut **_target; $target.writer.clear(); )?
                            $apply(
                                $self, $first::get($first_memory, row) $(, $type::get($memory, 0))*
                                $(, &mut $target.writer)?
                            )
                        })
                    } else {
                        each::<$result>(rows, mask, call.is_try, target, there, #[inline(always)] |row, _target| {
                            $( let $target = &mut **_target; $target.writer.clear(); )?
                            $apply(
                                $self, $first::get($first_memory, row) $(, $type::get($memory, row))*
                                $(, &mut $target.writer)?
                            )
                        })
                    };
                }
                <$result as Return>::Value::end_chunk(&mut sink, start, rows);
                validity.end_chunk::<$result>(start, &there[..rows]);
                if let Some(failure) = &mut failure {
                    failure.row += start;
                }
                start += rows;
            }
            failure
        });
        if failure.is_none() {
            validity.finish::<<$result as Return>::Value>(sink, call.rows, $out);
        }
        Ok(failure)
    }};
}

macro_rules! functions {
    ($first:ident $first_source:ident $first_memory:ident
        $(, $type:ident $source:ident $memory:ident $index:tt)*
    ) => {
        impl<Func, R, $first $(, $type)*> ScalarFn<fn($first $(, $type)*) -> R> for Func
        where
            Func: Send + Sync + 'static,
            // The first tells the types from the closure, the second lets it be called with what a column lends.
            Func: Fn($first $(, $type)*) -> R + for<'a> Fn($first::Item<'a> $(, $type::Item<'a>)*) -> R,
            $first: Arg, $($type: Arg,)*
            R: Return,
        {
            fn signature() -> Signature {
                Signature {
                    args: vec![$first::data_type() $(, $type::data_type())*],
                    takes_nulls: vec![$first::TAKES_NULLS $(, $type::TAKES_NULLS)*],
                    result: R::Value::data_type(),
                    can_fail: R::CAN_FAIL,
                    can_be_null: R::CAN_BE_NULL,
                    is_harmless: !R::CAN_FAIL && $first::IS_HARMLESS $(&& $type::IS_HARMLESS)*,
                }
            }

            #[allow(non_snake_case, reason = "a value is called as its type")]
            fn evaluate(&self, call: &Call<'_, '_>, out: &mut Column) -> Result<Option<Failure>> {
                #[inline(always)]
                #[allow(clippy::too_many_arguments, reason = "one per argument of the closure")]
                fn apply<R, $first $(, $type)*>(
                    function: &impl Fn($first $(, $type)*) -> R, $first: $first $(, $type: $type)*
                ) -> R {
                    (*function)($first $(, $type)*)
                }
                evaluate!(
                    self, call, out, R, apply, [], $first $first_source $first_memory
                    $(, $type $source $memory $index)*
                )
            }
        }

        impl<Func, R, $first $(, $type)*> ScalarFn<(StringWriter, fn($first $(, $type)*) -> R)> for Func
        where
            Func: Send + Sync + 'static,
            Func: Fn($first $(, $type)*, &mut StringWriter) -> R
                + for<'a> Fn($first::Item<'a> $(, $type::Item<'a>)*, &mut StringWriter) -> R,
            $first: Arg, $($type: Arg,)*
            R: Done,
        {
            fn signature() -> Signature {
                Signature {
                    args: vec![$first::data_type() $(, $type::data_type())*],
                    takes_nulls: vec![$first::TAKES_NULLS $(, $type::TAKES_NULLS)*],
                    result: DataType::Utf8View,
                    can_fail: R::Return::CAN_FAIL,
                    can_be_null: R::Return::CAN_BE_NULL,
                    is_harmless: !R::Return::CAN_FAIL && $first::IS_HARMLESS $(&& $type::IS_HARMLESS)*,
                }
            }

            #[allow(non_snake_case, reason = "a value is called as its type")]
            fn evaluate(&self, call: &Call<'_, '_>, out: &mut Column) -> Result<Option<Failure>> {
                #[inline(always)]
                #[allow(clippy::too_many_arguments, reason = "one per argument of the closure")]
                fn apply<R: Done, $first $(, $type)*>(
                    function: &impl Fn($first $(, $type)*, &mut StringWriter) -> R,
                    $first: $first $(, $type: $type)*, writer: &mut StringWriter,
                ) -> R::Return {
                    (*function)($first $(, $type)*, writer).done()
                }
                evaluate!(
                    self, call, out, R::Return, apply, [target], $first $first_source $first_memory
                    $(, $type $source $memory $index)*
                )
            }
        }
    };
}

functions!(A a_source a);
functions!(A a_source a, B b_source b 1);
functions!(A a_source a, B b_source b 1, C c_source c 2);
functions!(A a_source a, B b_source b 1, C c_source c 2, D d_source d 3);
functions!(A a_source a, B b_source b 1, C c_source c 2, D d_source d 3, E e_source e 4);
functions!(A a_source a, B b_source b 1, C c_source c 2, D d_source d 3, E e_source e 4, F f_source f 5);
functions!(A a_source a, B b_source b 1, C c_source c 2, D d_source d 3, E e_source e 4, F f_source f 5, G g_source g 6);
functions!(
    A a_source a, B b_source b 1, C c_source c 2, D d_source d 3, E e_source e 4, F f_source f 5, G g_source g 6,
    H h_source h 7
);
