//! A scalar kernel of a shared library.

use std::fmt;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use millstream_native::{Arg, Kernel, Output, Text, Word, abi};
use smallvec::SmallVec;

use super::column::{self, Ready, Run};
use crate::batch::{Argument, Column};
use crate::error::{Error, Result};
use crate::function::scalar::write::and_validity;
use crate::function::{KernelContext, ScalarKernel};

/// A kernel with the types that it says it has.
pub(super) struct NativeScalar {
    kernel: Kernel,
    args: Vec<DataType>,
    result: DataType,
}

impl NativeScalar {
    pub(super) fn new(kernel: Kernel, args: Vec<DataType>, result: DataType) -> Self {
        NativeScalar { kernel, args, result }
    }
}

struct Call<'c> {
    kernel: &'c Kernel,
    args: &'c [Arg<'c>],
    rows: usize,
}

impl Run for Call<'_> {
    fn fixed<T: Word>(&self, is_bits: bool, out: Output<'_, T>) -> std::result::Result<(), String> {
        self.kernel.evaluate(self.args, self.rows, is_bits, out)
    }

    fn text(&self, out: &Text) -> std::result::Result<ArrayRef, String> {
        self.kernel.evaluate_text(self.args, self.rows, out)
    }
}

impl ScalarKernel for NativeScalar {
    fn name(&self) -> &str {
        &self.kernel.name
    }

    fn result_type(&self) -> DataType {
        self.result.clone()
    }

    fn evaluate(&self, context: &KernelContext, args: &[Argument<'_>], rows: usize, out: &mut Column) -> Result<()> {
        let is_strict = !self.kernel.has(abi::TAKES_NULLS);
        if is_strict && args.iter().any(Argument::constant_is_null) {
            *out = Column::Constant(new_null_array(&self.result, 1));
            return Ok(());
        }
        let ready = args.iter().zip(&self.args).map(|(arg, data_type)| Ready::new(arg, data_type, rows));
        let ready = ready.collect::<Result<SmallVec<[Ready<'_>; 4]>>>()?;
        let lent: SmallVec<[Arg<'_>; 4]> = ready.iter().map(Ready::arg).collect();
        let mut there = Vec::new();
        let has_nulls = is_strict && and_validity(context.level, args.iter(), rows, &mut there);
        let call = Call { kernel: &self.kernel, args: &lent, rows };
        column::result(&call, &self.result, rows, has_nulls.then_some(&there[..]), out)
            .map_err(|why| Error::user(format!("the function {} failed: {why}", self.kernel.name)))
    }

    fn is_deterministic(&self) -> bool {
        !self.kernel.has(abi::VOLATILE)
    }

    fn can_fail(&self) -> bool {
        !self.kernel.has(abi::INFALLIBLE)
    }

    fn cost(&self) -> f64 {
        1.0
    }
}

impl fmt::Debug for NativeScalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NativeScalar({}{})", self.kernel.name, self.kernel.signature)
    }
}
