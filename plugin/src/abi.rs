//! `include/millstream_kernel.h` in Rust, for both sides of the boundary.
//!
//! Invariants  within a major version a structure only grows at its end; a shorter one has null where it ends.

use std::ffi::{c_char, c_void};

/// The version that this engine speaks: the major number in the upper half, the minor one in the lower.
pub const VERSION: u32 = 1 << 16 | 1;

/// Equal arguments may give other results.
pub const VOLATILE: u32 = 1;
/// No argument makes it fail.
pub const INFALLIBLE: u32 = 2;
/// It is given nulls; else a null argument makes a null result.
pub const TAKES_NULLS: u32 = 4;
/// An aggregate whose result depends on the order of the rows.
pub const ORDER_SENSITIVE: u32 = 8;

/// A column in the Arrow C Data Interface.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the Arrow C Data Interface says what each is")]
pub struct ArrowArray {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    pub dictionary: *mut ArrowArray,
    pub release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub private_data: *mut c_void,
}

/// Where a failing call puts its reason.
#[repr(C)]
#[derive(Debug)]
pub struct ErrorMessage {
    /// UTF-8 with a zero byte at the end.
    pub message: [c_char; 256],
}

/// Evaluates a scalar kernel.
pub type Evaluate = unsafe extern "C" fn(
    args: *const *const ArrowArray,
    rows: i64,
    out: *mut ArrowArray,
    error: *mut ErrorMessage,
) -> i32;
/// Takes rows into states, or out of them.
pub type Update = unsafe extern "C" fn(
    states: *mut c_void,
    groups: *const u32,
    mask: *const u64,
    args: *const *const ArrowArray,
    rows: i64,
    error: *mut ErrorMessage,
) -> i32;
/// Takes rows into one state.
pub type UpdateOne = unsafe extern "C" fn(
    state: *mut c_void,
    mask: *const u64,
    args: *const *const ArrowArray,
    rows: i64,
    error: *mut ErrorMessage,
) -> i32;
/// Makes an empty state.
pub type Init = unsafe extern "C" fn(state: *mut c_void);
/// Takes another state in.
pub type Merge = unsafe extern "C" fn(state: *mut c_void, other: *const c_void, error: *mut ErrorMessage) -> i32;
/// Writes results of groups.
pub type Finish = unsafe extern "C" fn(
    states: *const c_void,
    groups: *const u32,
    rows: i64,
    out: *mut ArrowArray,
    error: *mut ErrorMessage,
) -> i32;

/// The description of a kernel.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the header says what each is")]
pub struct KernelDescription {
    pub abi_version: u32,
    pub struct_size: u32,
    pub name: *const c_char,
    pub signature: *const c_char,
    pub doc: *const c_char,
    pub flags: u32,
    pub evaluate: Option<Evaluate>,
    pub state_size: u64,
    pub init: Option<Init>,
    pub update: Option<Update>,
    pub merge: Option<Merge>,
    pub finish: Option<Finish>,
    pub retract: Option<Update>,
    /// Since 1.1.
    pub update_one: Option<UpdateOne>,
}

// SAFETY: a description is constant data of a library that stays loaded, and its functions may be called from any
// thread: the contract says so.
unsafe impl Send for KernelDescription {}
// SAFETY: as above.
unsafe impl Sync for KernelDescription {}
