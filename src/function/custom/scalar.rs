//! A closure as a scalar function: its name, its attributes, and the kernel it becomes.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;

use super::closure::{Call, Failure, ScalarFn, Signature};
use crate::batch::{Argument, Column, Selection};
use crate::error::{Error, Result};
use crate::function::{KernelContext, ScalarKernel};

/// What a function promises beside its types.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributes {
    /// Equal arguments give equal results: calls are shared, folded and remembered.
    pub deterministic: bool,
    /// No argument makes it fail or panic: it may be evaluated before conditions that stand before it, and on whatever
    /// stands under nulls.
    pub infallible: bool,
    /// Greater first arguments never give smaller results: groups by it of event time close with the watermark.
    pub monotonic: bool,
    /// Whether a null argument makes a null, though the function would take it.
    pub strict: bool,
    /// About how many nanoseconds a row takes: cheaper conditions are evaluated first.
    pub cost: f64,
}

/// Makes the kernel of a function, or the one whose errors are nulls.
type Make = dyn Fn(&Scalar, bool) -> Arc<dyn ScalarKernel> + Send + Sync;

/// Makes the kernel of calls with constants.
type ForConstants = dyn Fn(&[Option<ArrayRef>]) -> Option<Arc<dyn ScalarKernel>> + Send + Sync;

/// A scalar function to be registered with an engine.
#[derive(Clone)]
pub struct Scalar {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) example: String,
    pub(super) attributes: Attributes,
    pub(super) signature: Signature,
    make: Arc<Make>,
    for_constants: Option<Arc<ForConstants>>,
}

impl Scalar {
    /// A function called `name` that evaluates `function` for each row.
    ///
    /// It takes one to eight arguments: numbers, `bool`, `&str`, `&[u8]`, [`Decimal`](super::Decimal),
    /// [`Timestamp`](super::Timestamp) and its kin, or an `Option` of one of them to be given nulls. It returns one of
    /// these (texts as `String`), an `Option` or a `Result` of it; or it takes a
    /// [`&mut StringWriter`](super::StringWriter) last and writes its text there.
    pub fn new<M: 'static>(name: impl Into<String>, function: impl ScalarFn<M>) -> Scalar {
        fn signature<M, F: ScalarFn<M>>(_: &F) -> Signature {
            F::signature()
        }
        let signature = signature(&function);
        let function = Arc::new(function);
        let attributes = Attributes {
            deterministic: true,
            infallible: signature.is_harmless,
            monotonic: false,
            strict: false,
            cost: 1.0,
        };
        let make = move |scalar: &Scalar, is_try: bool| Arc::new(scalar.kernel_of(&function, is_try)) as _;
        let (doc, example) = (String::new(), String::new());
        Scalar { name: name.into(), doc, example, attributes, signature, make: Arc::new(make), for_constants: None }
    }

    fn kernel_of<M: 'static, F: ScalarFn<M>>(&self, function: &Arc<F>, is_try: bool) -> Closure<F, M> {
        let Signature { takes_nulls, result, can_fail, is_harmless, can_be_null, .. } = &self.signature;
        let attributes = &self.attributes;
        Closure {
            name: if is_try { format!("try_{}", self.name) } else { self.name.clone() },
            function: function.clone(),
            result: result.clone(),
            strict: takes_nulls.iter().map(|takes_nulls| attributes.strict || !takes_nulls).collect(),
            evaluates_nulls: *is_harmless || (attributes.infallible && !can_fail),
            can_fail: *can_fail && !is_try || !attributes.infallible,
            is_deterministic: attributes.deterministic,
            is_monotonic: attributes.monotonic && attributes.deterministic && !can_be_null && !is_try,
            cost: attributes.cost,
            is_try,
            for_constants: self.for_constants.clone().filter(|_| !is_try),
            marker: PhantomData,
        }
    }

    /// Gives calls a kernel of their own where some arguments are constants: a pattern is made ready once, not per row. See
    /// [`ScalarKernel::for_constants`], also for what `make` is given; it answers `None` where it has nothing better.
    #[must_use]
    pub fn for_constants(
        mut self,
        make: impl Fn(&[Option<ArrayRef>]) -> Option<Arc<dyn ScalarKernel>> + Send + Sync + 'static,
    ) -> Self {
        self.for_constants = Some(Arc::new(make));
        self
    }

    /// What it does, in a sentence: `SHOW FUNCTIONS` tells it.
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

    /// Any null argument makes a null.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.attributes.strict = true;
        self
    }

    /// Equal arguments may give other results: no call is shared, folded or remembered.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.attributes.deterministic = false;
        self
    }

    /// No argument makes it fail or panic, not even what stands under nulls.
    #[must_use]
    pub fn infallible(mut self) -> Self {
        self.attributes.infallible = true;
        self
    }

    /// Greater first arguments never give smaller results, the other arguments being the same. Where it is called with
    /// event time as a key of GROUP BY, over input that does not end, groups leave when the watermark says that no row of
    /// them comes any more, and their state with them. One that returns an `Option` is not asked.
    #[must_use]
    pub fn monotonic(mut self) -> Self {
        self.attributes.monotonic = true;
        self
    }

    /// About how many nanoseconds a row takes, 1 by default.
    #[must_use]
    pub fn cost(mut self, nanoseconds: f64) -> Self {
        self.attributes.cost = nanoseconds;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// What it does.
    pub fn description(&self) -> &str {
        &self.doc
    }

    /// The kernel; one whose errors are nulls when `is_try`.
    pub fn kernel(&self, is_try: bool) -> Arc<dyn ScalarKernel> {
        (self.make)(self, is_try)
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({} {:?})", self.name, self.signature)
    }
}

/// A closure as a kernel.
struct Closure<F, M> {
    name: String,
    function: Arc<F>,
    result: DataType,
    strict: Vec<bool>,
    evaluates_nulls: bool,
    can_fail: bool,
    is_deterministic: bool,
    is_monotonic: bool,
    cost: f64,
    is_try: bool,
    for_constants: Option<Arc<ForConstants>>,
    marker: PhantomData<fn() -> M>,
}

impl<F: ScalarFn<M>, M> Closure<F, M> {
    fn call(
        &self,
        context: &KernelContext,
        args: &[Argument<'_>],
        rows: usize,
        out: &mut Column,
        evaluates_nulls: bool,
    ) -> Result<()> {
        let call = Call {
            level: context.level,
            args,
            rows,
            strict: &self.strict,
            evaluates_nulls,
            is_try: self.is_try,
            remembers: self.is_deterministic,
        };
        let mut panicked = None;
        let failed = match catch_unwind(AssertUnwindSafe(|| self.function.evaluate(&call, out))) {
            Ok(result) => result?,
            Err(panic) => {
                panicked = Some(panic);
                None
            }
        };
        let Some(panic) = panicked else {
            return failed.map_or(Ok(()), |failure| Err(self.failed(&failure, args)));
        };
        let has_nulls = args.iter().any(|arg| arg.validity().is_some());
        if evaluates_nulls && has_nulls {
            // Perhaps it was what stands under a null: only what is there counts.
            return self.call(context, args, rows, out, false);
        }
        *out = Column::default();
        Err(Error::kernel_panicked(&self.name, &*panic))
    }

    /// The error of a row, with what the function was given there.
    fn failed(&self, failure: &Failure, args: &[Argument<'_>]) -> Error {
        let shown: Vec<String> = args.iter().map(|arg| shown(arg, failure.row)).collect();
        let Failure { row, message } = failure;
        Error::user(format!("{message}; {}({}), row {row} of its batch", self.name, shown.join(", ")))
    }
}

impl<F: ScalarFn<M>, M: 'static> ScalarKernel for Closure<F, M> {
    fn name(&self) -> &str {
        &self.name
    }

    fn result_type(&self) -> DataType {
        self.result.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        if args.iter().zip(&self.strict).any(|(arg, strict)| *strict && arg.constant_is_null()) {
            *out = Column::Constant(new_null_array(&self.result, 1));
            return Ok(());
        }
        if self.is_deterministic && rows > 0 && args.iter().all(Argument::is_constant) {
            let mut one = Column::default();
            self.call(context, args, 1, &mut one, false)?;
            *out = Column::Constant(one.to_array(&self.result, 1, &Selection::default())?);
            return Ok(());
        }
        self.call(context, args, rows, out, self.evaluates_nulls)
    }

    fn for_constants(&self, constants: &[Option<ArrayRef>]) -> Option<Arc<dyn ScalarKernel>> {
        self.for_constants.as_ref()?(constants)
    }

    fn is_deterministic(&self) -> bool {
        self.is_deterministic
    }

    fn can_fail(&self) -> bool {
        self.can_fail
    }

    fn is_monotonic(&self) -> bool {
        self.is_monotonic
    }

    fn cost(&self) -> f64 {
        self.cost
    }
}

impl<F, M> fmt::Debug for Closure<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Closure({})", self.name)
    }
}

/// What an argument is in a row, as text.
pub(super) fn shown(arg: &Argument<'_>, row: usize) -> String {
    if arg.is_null(row) {
        return "NULL".to_string();
    }
    let array = match arg.column() {
        Column::Constant(array) => return array_value_to_string(array, 0).unwrap_or_else(|_| "?".to_string()),
        Column::Array(array) => array.slice(row, 1),
        Column::Dictionary(dictionary) => match dictionary.flatten() {
            Ok(array) => array.slice(row, 1),
            Err(_) => return "?".to_string(),
        },
        Column::Flat(flat) => {
            use crate::batch::Values::*;
            return match &flat.values {
                Bool(words) => millstream_kernels::bitmap::get(words, row).to_string(),
                I8(v) => v[row].to_string(),
                I16(v) => v[row].to_string(),
                I32(v) => v[row].to_string(),
                I64(v) => v[row].to_string(),
                U8(v) => v[row].to_string(),
                U16(v) => v[row].to_string(),
                U32(v) => v[row].to_string(),
                U64(v) => v[row].to_string(),
                F32(v) => v[row].to_string(),
                F64(v) => v[row].to_string(),
                I128(v) => v[row].to_string(),
            };
        }
    };
    let text = array_value_to_string(&array, 0).unwrap_or_else(|_| "?".to_string());
    let is_text = matches!(array.data_type(), DataType::Utf8View | DataType::Utf8);
    if is_text { format!("'{}'", text.chars().take(40).collect::<String>()) } else { text }
}
