//! Kernels that see whole columns: what closures over values cannot say.
//!
//! Invariants  a kernel sees the selected rows of a batch only, gathered where a filter left some out; strings are views,
//!             booleans are bits, a constant is one value; the output is there before it is called, with the length that
//!             it must have.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use millstream_kernels::level::Level;

use crate::batch::{Argument, Column, Fixed, Kind, Values, engine_type};
use crate::error::{Error, Result};
use crate::function::scalar::write::and_validity;
use crate::function::{KernelContext, ScalarKernel};

/// A kernel over columns; closures of this shape are ones.
pub trait VectorKernel: Send + Sync + 'static {
    /// Computes the call's output.
    ///
    /// Failure: an error with a reason the user understands; values under nulls must not cause one.
    fn evaluate(&self, call: &mut VectorCall<'_, '_>) -> Result<()>;
}

impl<F: Fn(&mut VectorCall<'_, '_>) -> Result<()> + Send + Sync + 'static> VectorKernel for F {
    fn evaluate(&self, call: &mut VectorCall<'_, '_>) -> Result<()> {
        self(call)
    }
}

/// One call of a [`VectorKernel`]: arguments, output, and what the CPU can do.
pub struct VectorCall<'c, 'a> {
    args: &'c [Argument<'a>],
    rows: usize,
    level: Level,
    result: &'c DataType,
    out: &'c mut Column,
}

impl<'a> VectorCall<'_, 'a> {
    /// Rows to compute.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What this CPU can do, or what a test wants it to: for `fearless_simd::dispatch!`.
    pub fn level(&self) -> Level {
        self.level
    }

    /// An argument: its values, its validity, whether it is constant, and the Arrow array it is where it is one.
    pub fn arg(&self, index: usize) -> Argument<'a> {
        self.args[index]
    }

    /// Makes the output null where an argument is null, and says whether there are such rows.
    ///
    /// Call it after [`output`](Self::output).
    pub fn nulls_of_args(&mut self) -> bool {
        let Column::Flat(flat) = &mut *self.out else { return false };
        let mut words = std::mem::take(flat.validity_mut(0));
        let is_nullable = and_validity(self.level, self.args.iter(), self.rows, &mut words);
        *flat.validity_mut(0) = words;
        if !is_nullable {
            flat.set_all_valid();
        }
        is_nullable
    }

    /// The validity of the output, a bit per row, to be written in full; call it after [`output`](Self::output).
    pub fn validity(&mut self) -> &mut [u64] {
        match &mut *self.out {
            Column::Flat(flat) => flat.validity_mut(self.rows),
            _ => &mut [],
        }
    }

    /// The output's values, a machine value per row, of any content. No row is null unless
    /// [`nulls_of_args`](Self::nulls_of_args) or [`validity`](Self::validity) says so.
    ///
    /// Failure: the result's type is another one.
    pub fn output<T: Fixed>(&mut self) -> Result<&mut [T]> {
        if Kind::of(self.result) != T::KIND {
            return Err(Error::user(format!("the output is {}, and not {:?}", self.result, T::KIND)));
        }
        let rows = self.rows;
        let flat = self.out.flat_mut(|v| T::of_values(v).is_some(), || T::into_values(Vec::new()));
        flat.rows = rows;
        flat.set_all_valid();
        let values = T::of_values_mut(&mut flat.values).expect("made of this type above");
        values.resize(rows, T::default());
        Ok(values)
    }

    /// The output's values as bits, row `i` at bit `i % 64` of word `i / 64`; those past the last row must be zero.
    ///
    /// Failure: the result's type is another one.
    pub fn output_bits(&mut self) -> Result<&mut [u64]> {
        if *self.result != DataType::Boolean {
            return Err(Error::user(format!("the output is {}, and not BOOLEAN", self.result)));
        }
        let rows = self.rows;
        let flat = self.out.flat_mut(|v| matches!(v, Values::Bool(_)), || Values::Bool(Vec::new()));
        flat.rows = rows;
        flat.set_all_valid();
        match &mut flat.values {
            Values::Bool(words) => {
                words.resize(rows.div_ceil(64), 0);
                Ok(words)
            }
            _ => Err(Error::bug("made of bits above")),
        }
    }

    /// Makes an Arrow array the output: for strings, lists and structs.
    pub fn output_array(&mut self, array: ArrayRef) {
        *self.out = Column::Array(array);
    }

    /// Makes all rows null.
    pub fn output_null(&mut self) {
        *self.out = Column::Constant(new_null_array(self.result, 1));
    }
}

/// Lends memory that this thread keeps from call to call; it comes as the last borrower of this type left it.
pub fn with_scratch<T: 'static, R>(run: impl FnOnce(&mut Vec<T>) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<HashMap<TypeId, Box<dyn Any>>> = RefCell::default();
    }
    let taken = SCRATCH.with_borrow_mut(|memory| memory.remove(&TypeId::of::<T>()));
    let mut memory = taken.and_then(|memory| memory.downcast::<Vec<T>>().ok()).unwrap_or_default();
    let result = run(&mut memory);
    SCRATCH.with_borrow_mut(|all| all.insert(TypeId::of::<T>(), memory));
    result
}

/// A vector kernel to be registered with an engine.
#[derive(Clone)]
pub struct Vector {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) example: String,
    pub(super) args: Vec<DataType>,
    result: DataType,
    kernel: Arc<dyn VectorKernel>,
    is_deterministic: bool,
    can_fail: bool,
    cost: f64,
}

impl Vector {
    /// A function called `name` over columns of these types, which callers' arguments are cast to.
    pub fn new(name: impl Into<String>, args: &[DataType], result: DataType, kernel: impl VectorKernel) -> Self {
        Vector {
            name: name.into(),
            doc: String::new(),
            example: String::new(),
            args: args.iter().map(engine_type).collect(),
            result: engine_type(&result),
            kernel: Arc::new(kernel),
            is_deterministic: true,
            can_fail: true,
            cost: 1.0,
        }
    }

    /// What it does, in a sentence.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<String>) -> Self {
        self.doc = doc.into();
        self
    }

    /// A call of it, as SQL.
    #[must_use]
    pub fn example(mut self, example: impl Into<String>) -> Self {
        self.example = example.into();
        self
    }

    /// Equal arguments may give other results.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.is_deterministic = false;
        self
    }

    /// No argument makes it fail.
    #[must_use]
    pub fn infallible(mut self) -> Self {
        self.can_fail = false;
        self
    }

    /// About how many nanoseconds a row takes.
    #[must_use]
    pub fn cost(mut self, nanoseconds: f64) -> Self {
        self.cost = nanoseconds;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel, guarded.
    pub fn kernel(&self) -> Arc<dyn ScalarKernel> {
        Arc::new(Guarded(self.clone()))
    }
}

/// A vector kernel that is watched: its panics are errors, and what it made has the shape it must have.
struct Guarded(Vector);

impl ScalarKernel for Guarded {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn result_type(&self) -> DataType {
        self.0.result.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let Vector { name, result, kernel, .. } = &self.0;
        // What an earlier batch left must not pass for an answer.
        if !matches!(out, Column::Flat(_)) {
            *out = Column::default();
        }
        if let Column::Flat(flat) = out {
            flat.rows = usize::MAX;
        }
        let mut call = VectorCall { args, rows, level: context.level, result, out };
        let evaluated = catch_unwind(AssertUnwindSafe(|| kernel.evaluate(&mut call)));
        let checked = match evaluated {
            Ok(Ok(())) => check(name, result, rows, out),
            Ok(Err(error)) => Err(error.context(format!("function {name}"))),
            Err(panic) => Err(Error::kernel_panicked(name, &*panic)),
        };
        if checked.is_err() {
            *out = Column::default();
        }
        checked
    }

    fn is_deterministic(&self) -> bool {
        self.0.is_deterministic
    }

    fn can_fail(&self) -> bool {
        self.0.can_fail
    }

    fn cost(&self) -> f64 {
        self.0.cost
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector({})", self.0.name)
    }
}

/// Refuses a column of another length or type than was asked for.
pub(super) fn check(name: &str, result: &DataType, rows: usize, out: &mut Column) -> Result<()> {
    let wrong_rows = |made: usize| Err(Error::user(format!("the function {name} made {made} rows of {rows}")));
    let wrong_type = |made: &dyn fmt::Display| {
        Err(Error::user(format!("the function {name} made a column of another type: {made} instead of {result}")))
    };
    match out {
        Column::Flat(flat) if flat.rows == usize::MAX => {
            Err(Error::user(format!("the function {name} made no output")))
        }
        Column::Flat(flat) if Kind::of(result) != flat.values.kind() => {
            wrong_type(&format!("{:?}", flat.values.kind()))
        }
        Column::Flat(flat) if flat.rows != rows => wrong_rows(flat.rows),
        Column::Array(array) | Column::Constant(array) if array.data_type() != result => {
            // The same values in another encoding are made what they should be.
            if engine_type(array.data_type()) != *result {
                return wrong_type(array.data_type());
            }
            let array = arrow::compute::cast(array, result)?;
            *out = if matches!(out, Column::Constant(_)) { Column::Constant(array) } else { Column::Array(array) };
            check(name, result, rows, out)
        }
        Column::Array(array) if array.len() != rows => wrong_rows(array.len()),
        Column::Constant(array) if array.len() != 1 => wrong_rows(array.len()),
        _ => Ok(()),
    }
}
