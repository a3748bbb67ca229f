//! Arithmetic and a comparison over it as one kernel: `a * 3 + b > 2000` without the columns between.
//!
//! Invariants  it gives what its steps give one after the other, or says that it does not: where a row may overflow, a null
//!             or not, the steps themselves tell.

use arrow::datatypes::DataType;
use millstream_kernels::fused::{self, Fuse, STEPS_MAX, Source, Step};
use millstream_kernels::{arithmetic, compare};
use smallvec::SmallVec;

use super::write::{self, Side};
use super::{BinaryOp, for_kind};
use crate::batch::{Argument, Column, Fixed, Kind};
use crate::error::Result;
use crate::function::{KernelContext, ScalarKernel};

/// What a step of it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FusedOperand {
    /// One of the arguments.
    Argument(usize),
    /// What an earlier step gives.
    Step(usize),
}

type Sides = (FusedOperand, FusedOperand);
type Run = fn(&Fused, &KernelContext, &[Argument<'_>], usize, &mut Column) -> Result<bool>;

/// Sums, differences and products of numbers of one type, and a comparison at their end.
#[derive(Debug)]
pub struct Fused {
    steps: SmallVec<[(arithmetic::Op, Sides); STEPS_MAX]>,
    compared: (compare::Op, Sides),
    run: Run,
}

impl Fused {
    /// `None` where there is no such kernel; `operands` are those of each of the steps, the last of which compares.
    pub fn new(kernels: &[&dyn ScalarKernel], operands: &[Sides]) -> Option<Fused> {
        let (last, first) = kernels.split_last()?;
        let compared = (compared(last.operator()?)?, *operands.last()?);
        let data_type = first.first()?.result_type();
        if first.len() > STEPS_MAX || first.iter().any(|kernel| kernel.result_type() != data_type) {
            return None;
        }
        let step = |(kernel, sides): (&&dyn ScalarKernel, &Sides)| Some((calculated(kernel.operator()?)?, *sides));
        let steps = first.iter().zip(operands).map(step).collect::<Option<_>>()?;
        Some(Fused { steps, compared, run: run_of(&data_type)? })
    }

    /// Whether `kernel` may be one of the steps before the last.
    pub fn takes(kernel: &dyn ScalarKernel) -> bool {
        kernel.operator().and_then(calculated).is_some() && run_of(&kernel.result_type()).is_some()
    }

    /// Whether `kernel` may be the last step.
    pub fn ends_with(kernel: &dyn ScalarKernel) -> bool {
        kernel.operator().and_then(compared).is_some()
    }

    /// Computes `rows` booleans into `out`, as [`ScalarKernel::evaluate`] does; `false`: the steps are to be run instead.
    pub fn evaluate(
        &self,
        context: &KernelContext,
        args: &[Argument<'_>],
        rows: usize,
        out: &mut Column,
    ) -> Result<bool> {
        (self.run)(self, context, args, rows, out)
    }
}

fn run_of(data_type: &DataType) -> Option<Run> {
    for_kind!(Kind::of(data_type), run as Run: I64 i64, F64 f64)
}

fn calculated(op: BinaryOp) -> Option<arithmetic::Op> {
    match op {
        BinaryOp::Add => Some(arithmetic::Op::Add),
        BinaryOp::Sub => Some(arithmetic::Op::Sub),
        BinaryOp::Mul => Some(arithmetic::Op::Mul),
        _ => None,
    }
}

fn compared(op: BinaryOp) -> Option<compare::Op> {
    match op {
        BinaryOp::Eq => Some(compare::Op::Eq),
        BinaryOp::NotEq => Some(compare::Op::Ne),
        BinaryOp::Lt => Some(compare::Op::Lt),
        BinaryOp::LtEq => Some(compare::Op::Le),
        BinaryOp::Gt => Some(compare::Op::Gt),
        BinaryOp::GtEq => Some(compare::Op::Ge),
        _ => None,
    }
}

fn run<T: Fixed + Fuse>(
    kernel: &Fused,
    context: &KernelContext,
    args: &[Argument<'_>],
    rows: usize,
    out: &mut Column,
) -> Result<bool> {
    let sources = args.iter().map(|arg| match write::side::<T>(arg, rows)? {
        Side::Column(values) => Ok(Source::Column(values)),
        Side::Constant(value) => Ok(Source::Constant(value)),
    });
    let sources: SmallVec<[Source<'_, T>; 2 * STEPS_MAX]> = sources.collect::<Result<_>>()?;
    let source = |operand: FusedOperand| match operand {
        FusedOperand::Argument(argument) => sources[argument],
        FusedOperand::Step(step) => Source::Step(step),
    };
    let step = |&(op, (left, right)): &(arithmetic::Op, Sides)| Step { op, left: source(left), right: source(right) };
    let steps: SmallVec<[Step<'_, T>; STEPS_MAX]> = kernel.steps.iter().map(step).collect();
    let (op, (left, right)) = kernel.compared;
    let mut fits = false;
    write::booleans(context.level, args, rows, out, |out| {
        fits = fused::compare(context.level, &steps, op, source(left), source(right), rows, out);
        Ok(())
    })?;
    Ok(fits)
}
