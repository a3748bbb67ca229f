//! Calling kernels: columns as the contract has them, and a look at what comes back.

use std::ffi::c_void;

use arrow::array::{ArrayRef, make_array};
use arrow::datatypes::DataType;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi};

use crate::abi::{ArrowArray, ErrorMessage, KernelDescription};
use crate::library::Kernel;

/// A machine value of a column.
pub trait Word: Copy + Default + private::Plain {}

mod private {
    /// A type whose every pattern of bits is a value.
    pub trait Plain {}
}

macro_rules! words {
    ($($word:ty)*) => { $(impl private::Plain for $word {} impl Word for $word {})* };
}
words!(i8 i16 i32 i64 i128 u8 u16 u32 u64 f32 f64);

/// A column that is lent to a kernel.
#[derive(Debug, Clone, Copy)]
pub struct Arg<'a> {
    rows: usize,
    validity: Option<&'a [u64]>,
    first: *const c_void,
    second: Option<*const c_void>,
}

impl<'a> Arg<'a> {
    /// Values of fixed width, `validity` a bit per row. Panics: when the validity does not cover them.
    pub fn fixed<T: Word>(values: &'a [T], validity: Option<&'a [u64]>) -> Arg<'a> {
        Arg { rows: values.len(), validity: cover(validity, values.len()), first: values.as_ptr().cast(), second: None }
    }

    /// Booleans, a bit per row. Panics: when the bits or the validity do not cover `rows`.
    pub fn bits(words: &'a [u64], rows: usize, validity: Option<&'a [u64]>) -> Arg<'a> {
        let words = cover(Some(words), rows).expect("given");
        Arg { rows, validity: cover(validity, rows), first: words.as_ptr().cast(), second: None }
    }

    /// Texts or bytes. Panics: when the offsets or the validity do not cover the rows, or lead out of the bytes.
    pub fn text(offsets: &'a [i32], bytes: &'a [u8], validity: Option<&'a [u64]>) -> Arg<'a> {
        let rows = offsets.len().checked_sub(1).expect("an offset more than rows");
        assert!(
            offsets.is_sorted() && offsets[0] >= 0 && offsets[rows] as usize <= bytes.len(),
            "texts lie in the bytes"
        );
        Arg {
            rows,
            validity: cover(validity, rows),
            first: offsets.as_ptr().cast(),
            second: Some(bytes.as_ptr().cast()),
        }
    }
}

fn cover(words: Option<&[u64]>, rows: usize) -> Option<&[u64]> {
    assert!(words.is_none_or(|words| words.len() >= rows.div_ceil(64)), "a bit per row");
    words
}

/// Where a kernel of fixed width puts its result.
#[derive(Debug)]
pub struct Output<'a, T> {
    /// Gets a value per row.
    pub values: &'a mut Vec<T>,
    /// Gets a bit per row.
    pub validity: &'a mut Vec<u64>,
}

/// Where a kernel of texts puts its result.
#[derive(Debug)]
pub struct Text {
    /// `Utf8` or `Binary`.
    pub data_type: DataType,
}

/// The states of an aggregate, side by side.
#[derive(Debug, Clone, Default)]
pub struct States {
    /// As words, so that states are aligned.
    words: Vec<u64>,
}

/// Words behind the end of an output, which no kernel may touch.
const GUARD: usize = 8;
const GUARD_BYTE: u8 = 0xa5;

/// A column's description in memory that stays where it is during a call.
struct Lent {
    buffers: [*const c_void; 3],
    array: ArrowArray,
}

fn lend(args: &[Arg<'_>]) -> Vec<Lent> {
    let lent = |arg: &Arg<'_>| Lent {
        buffers: [
            arg.validity.map_or(std::ptr::null(), |words| words.as_ptr().cast()),
            arg.first,
            arg.second.unwrap_or(std::ptr::null()),
        ],
        array: ArrowArray {
            length: arg.rows as i64,
            null_count: if arg.validity.is_some() { -1 } else { 0 },
            offset: 0,
            n_buffers: if arg.second.is_some() { 3 } else { 2 },
            n_children: 0,
            buffers: std::ptr::null_mut(),
            children: std::ptr::null_mut(),
            dictionary: std::ptr::null_mut(),
            release: None,
            private_data: std::ptr::null_mut(),
        },
    };
    let mut all: Vec<Lent> = args.iter().map(lent).collect();
    // The vector does not grow any more: from here on the columns stay where they are.
    all.iter_mut().for_each(|lent| lent.array.buffers = lent.buffers.as_mut_ptr());
    all
}

fn empty() -> ArrowArray {
    ArrowArray {
        length: 0,
        null_count: 0,
        offset: 0,
        n_buffers: 0,
        n_children: 0,
        buffers: std::ptr::null_mut(),
        children: std::ptr::null_mut(),
        dictionary: std::ptr::null_mut(),
        release: None,
        private_data: std::ptr::null_mut(),
    }
}

/// Runs a call and makes an error of what it says.
fn told(run: impl FnOnce(*mut ErrorMessage) -> i32) -> Result<(), String> {
    let mut error = ErrorMessage { message: [0; 256] };
    if run(&mut error) == 0 {
        return Ok(());
    }
    let bytes = error.message.iter().map(|&c| c as u8).take_while(|&c| c != 0);
    let text = String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned();
    Err(if text.is_empty() { "it failed without a reason".to_string() } else { text })
}

/// Lends an output of fixed width to `run`, and looks at it afterwards.
fn fixed<T: Word>(
    rows: usize,
    out: Output<'_, T>,
    is_bits: bool,
    run: impl FnOnce(*mut ArrowArray) -> Result<(), String>,
) -> Result<(), String> {
    let count = if is_bits { rows.div_ceil(64) } else { rows };
    let guard = GUARD * 8 / size_of::<T>().min(8);
    if is_bits {
        out.values.clear();
    }
    out.values.resize(count + guard, T::default());
    out.validity.clear();
    out.validity.resize(rows.div_ceil(64), u64::MAX);
    out.validity.resize(rows.div_ceil(64) + GUARD, u64::from_ne_bytes([GUARD_BYTE; 8]));
    // SAFETY: the last `guard` values are memory of the vector; any bytes are values of a plain type.
    unsafe {
        let behind = out.values.as_mut_ptr().add(count).cast::<u8>();
        std::ptr::write_bytes(behind, GUARD_BYTE, guard * size_of::<T>());
    }
    let mut buffers: [*const c_void; 2] = [out.validity.as_mut_ptr().cast(), out.values.as_mut_ptr().cast()];
    let mut array = ArrowArray { length: rows as i64, n_buffers: 2, buffers: buffers.as_mut_ptr(), ..empty() };
    let ran = run(&mut array);
    // SAFETY: the same bytes as above, to be read.
    let behind = unsafe {
        let behind = out.values.as_ptr().add(count).cast::<u8>();
        std::slice::from_raw_parts(behind, guard * size_of::<T>())
    };
    let is_whole = behind.iter().all(|&byte| byte == GUARD_BYTE)
        && out.validity[rows.div_ceil(64)..].iter().all(|word| *word == u64::from_ne_bytes([GUARD_BYTE; 8]));
    out.values.truncate(count);
    out.validity.truncate(rows.div_ceil(64));
    ran?;
    if !is_whole {
        return Err("it wrote past the end of its output".to_string());
    }
    if array.length != rows as i64 {
        return Err(format!("it made {} rows of {rows}", array.length));
    }
    Ok(())
}

/// Takes a text output over from the kernel that made it.
fn text(
    rows: usize,
    data_type: &DataType,
    run: impl FnOnce(*mut ArrowArray) -> Result<(), String>,
) -> Result<ArrayRef, String> {
    let mut array = empty();
    let ran = run(&mut array);
    if array.release.is_none() {
        ran?;
        return Err("it made no output".to_string());
    }
    // SAFETY: the structures are the same, and this one is moved: it is released once, by its new owner.
    let owned = unsafe { FFI_ArrowArray::from_raw((&raw mut array).cast()) };
    ran?;
    if array_length(&owned) != rows {
        return Err(format!("it made {} rows of {rows}", array_length(&owned)));
    }
    let schema = FFI_ArrowSchema::try_from(data_type).map_err(|e| e.to_string())?;
    // SAFETY: the array was made by the kernel as one of this type; that its offsets and texts hold together is looked
    // at below.
    let data = unsafe { from_ffi(owned, &schema) }.map_err(|e| e.to_string())?;
    data.validate_full().map_err(|e| format!("it made an array that is none: {e}"))?;
    Ok(make_array(data))
}

fn array_length(array: &FFI_ArrowArray) -> usize {
    array.len()
}

impl Kernel {
    /// Evaluates a scalar kernel of fixed width. Panics: when an argument has other rows, or it is no scalar.
    pub fn evaluate<T: Word>(
        &self,
        args: &[Arg<'_>],
        rows: usize,
        is_bits: bool,
        out: Output<'_, T>,
    ) -> Result<(), String> {
        fixed(rows, out, is_bits, |out| self.run(args, rows, out))
    }

    /// Evaluates a scalar kernel of texts or bytes.
    pub fn evaluate_text(&self, args: &[Arg<'_>], rows: usize, out: &Text) -> Result<ArrayRef, String> {
        text(rows, &out.data_type, |out| self.run(args, rows, out))
    }

    fn run(&self, args: &[Arg<'_>], rows: usize, out: *mut ArrowArray) -> Result<(), String> {
        assert!(args.iter().all(|arg| arg.rows == rows), "columns of one length");
        let evaluate = self.description.evaluate.expect("a scalar kernel");
        let lent = lend(args);
        let pointers: Vec<*const ArrowArray> = lent.iter().map(|lent| &raw const lent.array).collect();
        // SAFETY: the columns and the output are there during the call, with the lengths and buffers they claim; the
        // signature that says their types was the kernel's own.
        told(|error| unsafe { evaluate(pointers.as_ptr(), rows as i64, out, error) })
    }

    /// Makes room for the states of `count` groups, new ones empty.
    pub fn grow(&self, states: &mut States, count: usize) {
        let words = self.state_size() / 8;
        let KernelDescription { init, .. } = self.description;
        let init = init.expect("an aggregate");
        let known = states.words.len() / words;
        if count > known {
            states.words.resize(count * words, 0);
            for state in states.words[known * words..].chunks_exact_mut(words) {
                // SAFETY: a state is as many bytes as the kernel asked for, and aligned as it was told.
                unsafe { init(state.as_mut_ptr().cast()) };
            }
        }
    }

    /// Takes rows into states, or out of them. Panics: when a group has no state, or something does not cover the rows.
    pub fn update(
        &self,
        states: &mut States,
        groups: &[u32],
        mask: Option<&[u64]>,
        args: &[Arg<'_>],
        retract: bool,
    ) -> Result<(), String> {
        let count = states.words.len() / (self.state_size() / 8);
        // As a maximum, which is vector arithmetic, for it is looked at for every row.
        let last = groups.iter().fold(0, |last, &group| last.max(group));
        assert!(groups.is_empty() || (last as usize) < count, "each group has a state");
        assert!(args.iter().all(|arg| arg.rows == groups.len()), "columns of one length");
        let mask = cover(mask, groups.len()).map_or(std::ptr::null(), <[u64]>::as_ptr);
        let KernelDescription { update, retract: take_out, update_one, .. } = self.description;
        let run = if retract { take_out } else { update }.expect("an aggregate that can");
        let lent = lend(args);
        let pointers: Vec<*const ArrowArray> = lent.iter().map(|lent| &raw const lent.array).collect();
        let rows = groups.len() as i64;
        let states = states.words.as_mut_ptr().cast();
        if let (1, false, Some(run)) = (count, retract, update_one) {
            // SAFETY: there is one state, which all rows belong to, and the columns cover the rows; see above.
            return told(|error| unsafe { run(states, mask, pointers.as_ptr(), rows, error) });
        }
        // SAFETY: every group number has a state, and the columns cover the rows; see above.
        told(|error| unsafe { run(states, groups.as_ptr(), mask, pointers.as_ptr(), rows, error) })
    }

    /// Takes state `from` of `other` into state `to`. Panics: when one is not there.
    pub fn merge(&self, states: &mut States, to: usize, other: &States, from: usize) -> Result<(), String> {
        let words = self.state_size() / 8;
        let merge = self.description.merge.expect("an aggregate");
        let state = states.words[to * words..][..words].as_mut_ptr().cast();
        let other = other.words[from * words..][..words].as_ptr().cast();
        // SAFETY: both are states of this kernel.
        told(|error| unsafe { merge(state, other, error) })
    }

    /// Writes the results of groups. Panics: when a group has no state.
    pub fn finish<T: Word>(
        &self,
        states: &States,
        groups: &[u32],
        is_bits: bool,
        out: Output<'_, T>,
    ) -> Result<(), String> {
        fixed(groups.len(), out, is_bits, |out| self.finish_into(states, groups, out))
    }

    /// Gives the results of groups whose type is text.
    pub fn finish_text(&self, states: &States, groups: &[u32], out: &Text) -> Result<ArrayRef, String> {
        text(groups.len(), &out.data_type, |out| self.finish_into(states, groups, out))
    }

    fn finish_into(&self, states: &States, groups: &[u32], out: *mut ArrowArray) -> Result<(), String> {
        let count = states.words.len() / (self.state_size() / 8);
        assert!(groups.iter().all(|&group| (group as usize) < count), "each group has a state");
        let finish = self.description.finish.expect("an aggregate");
        let states = states.words.as_ptr().cast();
        // SAFETY: every group number has a state; the output is there during the call.
        told(|error| unsafe { finish(states, groups.as_ptr(), groups.len() as i64, out, error) })
    }
}

impl States {
    /// The bytes of a state of `size` bytes.
    pub fn bytes(&self, index: usize, size: usize) -> Vec<u8> {
        let words = &self.words[index * (size / 8)..][..size / 8];
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// Adds a state that was saved as bytes; says whether they are as many as a state has.
    pub fn push_bytes(&mut self, bytes: &[u8], size: usize) -> bool {
        if bytes.len() != size {
            return false;
        }
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight at a time"));
        self.words.extend(bytes.chunks_exact(8).map(word));
        true
    }

    /// Forgets all states and keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.words.capacity() * 8
    }
}
