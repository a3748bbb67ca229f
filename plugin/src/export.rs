//! What the macro's code calls: loops over rows, and descriptions that stay.

use std::ffi::{CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{self, ArrowArray, ErrorMessage, Evaluate, Finish, Init, KernelDescription, Merge, Update, UpdateOne};
use crate::value::{Column, Input, Output, Returned};

/// Runs a call; its error or panic becomes the error's text.
pub fn guarded(error: Option<&mut ErrorMessage>, run: impl FnOnce() -> Result<(), String>) -> i32 {
    let message = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => return 0,
        Ok(Err(message)) => message,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            format!("it panicked: {}", text.unwrap_or("no message"))
        }
    };
    if let Some(error) = error {
        let room = error.message.len() - 1;
        let mut end = message.len().min(room);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        error.message.fill(0);
        for (to, from) in error.message.iter_mut().zip(&message.as_bytes()[..end]) {
            *to = *from as c_char;
        }
    }
    1
}

/// Looks at an argument.
///
/// # Safety
/// There are that many arguments, and this one is of type `T`.
pub unsafe fn column<'a, T: Input<'a>>(args: *const *const ArrowArray, index: usize) -> Column {
    // SAFETY: the caller's.
    unsafe { Column::new(*args.add(index)) }
}

/// Whether a row's value is null and not given to the kernel.
///
/// # Safety
/// The column has that row.
#[inline(always)]
pub unsafe fn is_missing<'a, T: Input<'a>>(column: Column, row: usize) -> bool {
    // SAFETY: the caller's.
    !T::TAKES_NULLS && unsafe { column.is_null(row) }
}

/// The value of a row.
///
/// # Safety
/// The column is of type `T` and has that row.
#[inline(always)]
pub unsafe fn value<'a, T: Input<'a>>(column: Column, row: usize) -> T {
    // SAFETY: the caller's.
    unsafe { T::get(column, row) }
}

/// The name of a type in SQL.
pub fn sql<'a, T: Input<'a>>() -> &'static str {
    T::SQL
}

/// Whether a type is given nulls.
pub fn takes_nulls<'a, T: Input<'a>>() -> bool {
    T::TAKES_NULLS
}

/// Writes the result of each row; `None` is null.
///
/// # Safety
/// `out` has room for `rows` rows of the result's type, or is empty where that is text.
#[inline(always)]
pub unsafe fn evaluate<R: Returned>(
    rows: i64,
    out: *mut ArrowArray,
    function: impl Fn(usize) -> Option<R>,
) -> Result<(), String> {
    if R::Value::IS_TEXT {
        // SAFETY: the caller's.
        return unsafe { evaluate_text(rows, out, function) };
    }
    // SAFETY: an output of fixed width has both buffers.
    let (validity, values) = unsafe {
        let buffers = (*out).buffers;
        ((*buffers).cast_mut().cast::<u8>(), (*buffers.add(1)).cast_mut())
    };
    for row in 0..rows as usize {
        match function(row).map_or(Ok(None), R::resolve)? {
            // SAFETY: the output has room for that row.
            Some(value) => unsafe { value.put(values, row) },
            // SAFETY: the validity has a bit for that row.
            None => unsafe { *validity.add(row / 8) &= !(1 << (row % 8)) },
        }
    }
    Ok(())
}

/// An array that this library owns until it is released.
struct Owned {
    validity: Vec<u8>,
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    buffers: [*const c_void; 3],
}

unsafe fn evaluate_text<R: Returned>(
    rows: i64,
    out: *mut ArrowArray,
    function: impl Fn(usize) -> Option<R>,
) -> Result<(), String> {
    let mut owned = Box::new(Owned {
        validity: vec![0; (rows as usize).div_ceil(8)],
        offsets: vec![0],
        bytes: Vec::new(),
        buffers: [std::ptr::null(); 3],
    });
    let mut nulls = 0;
    for row in 0..rows as usize {
        match function(row).map_or(Ok(None), R::resolve)? {
            Some(value) => {
                owned.bytes.extend_from_slice(value.bytes());
                owned.validity[row / 8] |= 1 << (row % 8);
            }
            None => nulls += 1,
        }
        let end = i32::try_from(owned.bytes.len()).map_err(|_| "the texts of a batch exceed two gigabytes")?;
        owned.offsets.push(end);
    }
    owned.buffers = [owned.validity.as_ptr().cast(), owned.offsets.as_ptr().cast(), owned.bytes.as_ptr().cast()];
    let owned = Box::into_raw(owned);
    // SAFETY: `out` is an array that is there to be filled; `owned` stays until `release`.
    unsafe {
        out.write(ArrowArray {
            length: rows,
            null_count: nulls,
            offset: 0,
            n_buffers: 3,
            n_children: 0,
            buffers: (&raw mut (*owned).buffers).cast(),
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: Some(release),
            private_data: owned.cast(),
        });
    }
    Ok(())
}

unsafe extern "C" fn release(array: *mut ArrowArray) {
    // SAFETY: called once, for an array that `evaluate_text` has made.
    unsafe {
        drop(Box::from_raw((*array).private_data.cast::<Owned>()));
        (*array).release = None;
    }
}

/// Takes rows into the states of their groups.
///
/// # Safety
/// Each group has a state of type `S`; `mask` is null or has a bit per row.
#[inline(always)]
pub unsafe fn update<S>(
    states: *mut c_void,
    groups: *const u32,
    mask: *const u64,
    rows: i64,
    take_in: impl Fn(&mut S, usize),
) {
    for row in 0..rows as usize {
        // SAFETY: the caller's. States lie `stride` bytes apart.
        unsafe {
            if !mask.is_null() && *mask.add(row / 64) >> (row % 64) & 1 == 0 {
                continue;
            }
            let at = states.cast::<u8>().add(*groups.add(row) as usize * stride::<S>());
            take_in(&mut *at.cast::<S>(), row);
        }
    }
}

/// As many states take the rows of one group in turn, so that one row need not wait for the one before.
const LANES: usize = 8;

/// Takes rows into one state.
///
/// # Safety
/// `state` is one of type `S`; `mask` is null or has a bit per row.
#[inline(always)]
pub unsafe fn update_one<S: Copy>(
    state: *mut c_void,
    mask: *const u64,
    rows: i64,
    init: impl Fn() -> S,
    take_in: impl Fn(&mut S, usize),
    merge: impl Fn(&mut S, &S),
) {
    let mut lanes = [init(); LANES];
    if mask.is_null() {
        let whole = rows as usize / LANES * LANES;
        for first in (0..whole).step_by(LANES) {
            for (lane, state) in lanes.iter_mut().enumerate() {
                take_in(state, first + lane);
            }
        }
        (whole..rows as usize).for_each(|row| take_in(&mut lanes[row % LANES], row));
    } else {
        for row in 0..rows as usize {
            // SAFETY: the mask has a bit for that row.
            if unsafe { *mask.add(row / 64) } >> (row % 64) & 1 == 1 {
                take_in(&mut lanes[row % LANES], row);
            }
        }
    }
    // SAFETY: the caller's.
    let state = unsafe { &mut *state.cast::<S>() };
    lanes.iter().for_each(|lane| merge(state, lane));
}

/// The state of a group.
///
/// # Safety
/// Group `row` has a state of type `S`, which lives for `'a`.
pub unsafe fn state<'a, S>(states: *const c_void, groups: *const u32, row: usize) -> &'a S {
    // SAFETY: the caller's.
    unsafe { &*states.cast::<u8>().add(*groups.add(row) as usize * stride::<S>()).cast::<S>() }
}

/// Bytes of a state: those of the type, up to a multiple of eight.
const fn stride<S>() -> usize {
    size_of::<S>().next_multiple_of(8)
}

/// A description with the texts it points at.
pub struct Description {
    description: Box<KernelDescription>,
    _texts: [CString; 3],
}

/// The functions of an aggregate.
pub struct Aggregate {
    pub init: Init,
    pub update: Update,
    pub merge: Merge,
    pub finish: Finish,
    pub update_one: UpdateOne,
}

impl Description {
    fn new(name: &str, types: &[&str], result: &str, doc: &str, takes_nulls: bool) -> Self {
        let text = |text: &str| CString::new(text.trim().replace('\0', "")).unwrap_or_default();
        let texts = [text(name), text(&format!("({}) -> {result}", types.join(", "))), text(doc)];
        let description = Box::new(KernelDescription {
            abi_version: abi::VERSION,
            struct_size: size_of::<KernelDescription>() as u32,
            name: texts[0].as_ptr(),
            signature: texts[1].as_ptr(),
            doc: texts[2].as_ptr(),
            flags: if takes_nulls { abi::TAKES_NULLS } else { 0 },
            evaluate: None,
            state_size: 0,
            init: None,
            update: None,
            merge: None,
            finish: None,
            retract: None,
            update_one: None,
        });
        Description { description, _texts: texts }
    }

    /// The description of a scalar.
    pub fn scalar(name: &str, types: &[&str], result: &str, doc: &str, takes_nulls: bool, evaluate: Evaluate) -> Self {
        let mut made = Self::new(name, types, result, doc, takes_nulls);
        made.description.evaluate = Some(evaluate);
        made
    }

    /// The description of an aggregate with states of type `S`.
    pub fn aggregate<S: Copy>(
        name: &str,
        types: &[&str],
        result: &str,
        doc: &str,
        takes_nulls: bool,
        functions: Aggregate,
    ) -> Self {
        const { assert!(align_of::<S>() <= 8, "states are aligned to eight bytes") };
        let mut made = Self::new(name, types, result, doc, takes_nulls);
        let description = &mut made.description;
        description.state_size = stride::<S>() as u64;
        description.init = Some(functions.init);
        description.update = Some(functions.update);
        description.merge = Some(functions.merge);
        description.finish = Some(functions.finish);
        description.update_one = Some(functions.update_one);
        made
    }

    /// Where it lies.
    pub fn as_ptr(&self) -> *const KernelDescription {
        &*self.description
    }
}

/// A list of descriptions with a null pointer at its end.
pub struct List(Vec<*const KernelDescription>);

// SAFETY: the pointers are to descriptions that stay for good and do not change.
unsafe impl Send for List {}
// SAFETY: as above.
unsafe impl Sync for List {}

impl List {
    /// A list of these.
    pub fn new(mut all: Vec<*const KernelDescription>) -> Self {
        all.push(std::ptr::null());
        List(all)
    }

    /// Where it lies.
    pub fn as_ptr(&self) -> *const *const KernelDescription {
        self.0.as_ptr()
    }
}

// SAFETY: a description is constant, and so are the texts it points at.
unsafe impl Send for Description {}
// SAFETY: as above.
unsafe impl Sync for Description {}
