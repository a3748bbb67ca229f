//! Kernels for Millstream as shared libraries.
//!
//! A crate of type `cdylib` with this in it, once built, is loaded by `--load` or `CREATE FUNCTION ... LANGUAGE NATIVE`:
//!
//! ```
//! millstream_plugin::kernels! {
//!     /// The longest side of a right triangle.
//!     fn hypotenuse(a: f64, b: f64) -> f64 {
//!         a.hypot(b)
//!     }
//!
//!     /// The square root, and an error for what has none.
//!     fn root(x: f64) -> Result<f64, String> {
//!         if x < 0.0 { Err(format!("{x} has no root")) } else { Ok(x.sqrt()) }
//!     }
//!
//!     /// What stands before the @ of an address.
//!     fn mailbox(address: &str) -> Option<String> {
//!         address.split_once('@').map(|(mailbox, _)| mailbox.to_string())
//!     }
//!
//!     /// The sum of squares.
//!     aggregate squares(sum: f64 = 0.0, x: f64) -> f64 {
//!         update { *sum += x * x }
//!         merge(other) { *sum += *other }
//!         finish { *sum }
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Arguments and results are numbers, `bool`, texts (`&str` in, `String` out), or an `Option` of one; a result may be a
//! `Result` with anything that can be shown as its error. A null where no `Option` is makes a null, or a row that does
//! not count. Panics stop at the boundary and fail the call. A state is a type that is [`Copy`], without pointers.

pub mod abi; //     the structures of the contract
#[doc(hidden)]
pub mod export; //  what the macro calls
mod value; //       types that cross the boundary

pub use value::{Input, Output, Returned};

/// Exports functions and aggregates as kernels, each under its name, and all of them as `millstream_kernels`.
#[macro_export]
macro_rules! kernels {
    ($($items:tt)*) => {
        $crate::__kernels!([] $($items)*);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __kernels {
    // All done: the list of all.
    ([$($done:ident)*]) => {
        #[doc(hidden)]
        pub mod millstream_kernels_list {
            /// All kernels of this library, a null pointer last.
            #[unsafe(no_mangle)]
            pub extern "C" fn millstream_kernels() -> *const *const $crate::abi::KernelDescription {
                static LIST: ::std::sync::OnceLock<$crate::export::List> = ::std::sync::OnceLock::new();
                LIST.get_or_init(|| $crate::export::List::new(vec![$(super::$done::$done()),*])).as_ptr()
            }
        }
    };
    // A scalar function.
    ([$($done:ident)*]
        $(#[doc = $doc:literal])* fn $name:ident($($arg:ident: $type:ty),+ $(,)?) -> $result:ty $body:block
        $($rest:tt)*
    ) => {
        $(#[doc = $doc])*
        #[inline]
        pub fn $name($($arg: $type),+) -> $result $body

        #[doc(hidden)]
        pub mod $name {
            #[allow(unused_imports, reason = "types of the crate may stand in a signature")]
            use super::*;

            unsafe extern "C" fn evaluate(
                args: *const *const $crate::abi::ArrowArray,
                rows: i64,
                out: *mut $crate::abi::ArrowArray,
                error: *mut $crate::abi::ErrorMessage,
            ) -> i32 {
                // SAFETY: the engine lends a message that is there during the call.
                $crate::export::guarded(unsafe { error.as_mut() }, || {
                    let mut next = 0..;
                    $(
                        let index = next.next().unwrap_or(0);
                        // SAFETY: the engine passes as many columns as the signature has, of those types.
                        let $arg = unsafe { $crate::export::column::<$type>(args, index) };
                    )+
                    // SAFETY: the columns cover `rows`, and the output has room for them.
                    unsafe {
                        $crate::export::evaluate::<$result>(rows, out, |row| {
                            if $( $crate::export::is_missing::<$type>($arg, row) )||+ {
                                return None;
                            }
                            Some(super::$name($( $crate::export::value::<$type>($arg, row) ),+))
                        })
                    }
                })
            }

            /// The description of the kernel.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> *const $crate::abi::KernelDescription {
                static DESCRIPTION: ::std::sync::OnceLock<$crate::export::Description> = ::std::sync::OnceLock::new();
                DESCRIPTION
                    .get_or_init(|| {
                        let mut takes_nulls = false;
                        let mut types = Vec::new();
                        $(
                            takes_nulls |= $crate::export::takes_nulls::<$type>();
                            types.push($crate::export::sql::<$type>());
                        )+
                        let doc = concat!($($doc),*);
                        let result = <$result as $crate::Returned>::RESULT;
                        $crate::export::Description::scalar(stringify!($name), &types, result, doc, takes_nulls, evaluate)
                    })
                    .as_ptr()
            }
        }
        $crate::__kernels!([$($done)* $name] $($rest)*);
    };
    // An aggregate.
    ([$($done:ident)*]
        $(#[doc = $doc:literal])*
        aggregate $name:ident($state:ident: $state_type:ty = $init:expr, $($arg:ident: $type:ty),+ $(,)?) -> $result:ty {
            update $update:block
            merge($other:ident) $merge:block
            finish $finish:block
            $(retract $retract:block)?
        }
        $($rest:tt)*
    ) => {
        #[doc(hidden)]
        pub mod $name {
            #[allow(unused_imports, reason = "types of the crate may stand in a signature")]
            use super::*;

            type State = $state_type;

            fn empty() -> State {
                $init
            }

            unsafe extern "C" fn init(state: *mut ::std::ffi::c_void) {
                let empty = ::std::panic::catch_unwind(empty);
                // Nothing can be told from here: a state that cannot be made is all zeros.
                if let Ok(empty) = empty {
                    // SAFETY: the engine lends as many bytes as the description asks for, aligned to eight.
                    unsafe { state.cast::<State>().write(empty) };
                }
            }

            #[inline]
            fn take_in($state: &mut State, $($arg: $type),+) $update

            #[inline]
            fn take_from($state: &mut State, $other: &State) $merge

            #[inline]
            fn result($state: &State) -> $result $finish

            unsafe extern "C" fn update(
                states: *mut ::std::ffi::c_void,
                groups: *const u32,
                mask: *const u64,
                args: *const *const $crate::abi::ArrowArray,
                rows: i64,
                error: *mut $crate::abi::ErrorMessage,
            ) -> i32 {
                // SAFETY: the engine lends a message that is there during the call.
                $crate::export::guarded(unsafe { error.as_mut() }, || {
                    let mut next = 0..;
                    $(
                        let index = next.next().unwrap_or(0);
                        // SAFETY: the engine passes as many columns as the signature has, of those types.
                        let $arg = unsafe { $crate::export::column::<$type>(args, index) };
                    )+
                    // SAFETY: each group has a state, and the columns cover the rows.
                    unsafe {
                        $crate::export::update::<State>(states, groups, mask, rows, |state, row| {
                            if $( $crate::export::is_missing::<$type>($arg, row) )||+ {
                                return;
                            }
                            take_in(state, $( $crate::export::value::<$type>($arg, row) ),+)
                        })
                    };
                    Ok(())
                })
            }

            unsafe extern "C" fn update_one(
                state: *mut ::std::ffi::c_void,
                mask: *const u64,
                args: *const *const $crate::abi::ArrowArray,
                rows: i64,
                error: *mut $crate::abi::ErrorMessage,
            ) -> i32 {
                // SAFETY: the engine lends a message that is there during the call.
                $crate::export::guarded(unsafe { error.as_mut() }, || {
                    let mut next = 0..;
                    $(
                        let index = next.next().unwrap_or(0);
                        // SAFETY: the engine passes as many columns as the signature has, of those types.
                        let $arg = unsafe { $crate::export::column::<$type>(args, index) };
                    )+
                    let take_in = |state: &mut State, row: usize| {
                        // SAFETY: the columns cover the rows.
                        unsafe {
                            if $( $crate::export::is_missing::<$type>($arg, row) )||+ {
                                return;
                            }
                            take_in(state, $( $crate::export::value::<$type>($arg, row) ),+)
                        }
                    };
                    // SAFETY: the engine lends a state of this aggregate.
                    unsafe { $crate::export::update_one::<State>(state, mask, rows, empty, take_in, take_from) };
                    Ok(())
                })
            }

            unsafe extern "C" fn merge(
                state: *mut ::std::ffi::c_void,
                other: *const ::std::ffi::c_void,
                error: *mut $crate::abi::ErrorMessage,
            ) -> i32 {
                // SAFETY: both are states of this aggregate, and not the same one.
                let (state, other) = unsafe { (&mut *state.cast::<State>(), &*other.cast::<State>()) };
                // SAFETY: the engine lends a message that is there during the call.
                $crate::export::guarded(unsafe { error.as_mut() }, || {
                    take_from(state, other);
                    Ok(())
                })
            }

            unsafe extern "C" fn finish(
                states: *const ::std::ffi::c_void,
                groups: *const u32,
                rows: i64,
                out: *mut $crate::abi::ArrowArray,
                error: *mut $crate::abi::ErrorMessage,
            ) -> i32 {
                // SAFETY: the engine lends a message that is there during the call.
                $crate::export::guarded(unsafe { error.as_mut() }, || {
                    // SAFETY: each group has a state, and the output has room for a row per group.
                    unsafe {
                        $crate::export::evaluate::<$result>(rows, out, |row| {
                            Some(result($crate::export::state::<State>(states, groups, row)))
                        })
                    }
                })
            }

            /// The description of the kernel.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> *const $crate::abi::KernelDescription {
                static DESCRIPTION: ::std::sync::OnceLock<$crate::export::Description> = ::std::sync::OnceLock::new();
                DESCRIPTION
                    .get_or_init(|| {
                        let mut takes_nulls = false;
                        let mut types = Vec::new();
                        $(
                            takes_nulls |= $crate::export::takes_nulls::<$type>();
                            types.push($crate::export::sql::<$type>());
                        )+
                        let doc = concat!($($doc),*);
                        let result = <$result as $crate::Returned>::RESULT;
                        let functions = $crate::export::Aggregate { init, update, merge, finish, update_one };
                        $crate::export::Description::aggregate::<State>(
                            stringify!($name), &types, result, doc, takes_nulls, functions,
                        )
                    })
                    .as_ptr()
            }
        }
        $crate::__kernels!([$($done)* $name] $($rest)*);
    };
}
