//! Steps that are done in one pass: arithmetic that a comparison alone reads, and the comparison.
//!
//! Invariants  they follow each other in the program, so nothing that may fail changes places; where the one pass cannot
//!             tell, they are run one by one.

use std::ops::Range;

use millstream_kernels::fused::STEPS_MAX;
use smallvec::SmallVec;

use super::{Operand, Program};
use crate::function::ScalarKernel;
use crate::function::scalar::{Fused, FusedOperand};

/// A run of steps that one kernel does.
#[derive(Debug)]
pub(super) struct FusedSteps {
    /// The steps, and so the registers: only that of the last is written.
    pub(super) steps: Range<usize>,
    /// What they read that none of them writes.
    pub(super) args: SmallVec<[Operand; 4]>,
    pub(super) kernel: Fused,
    /// Whether some batch had rows that it could not tell of: then it is not tried again.
    pub(super) is_refused: bool,
}

/// The runs of steps of a program that fuse.
pub(super) fn fused_steps(program: &Program) -> Vec<FusedSteps> {
    let mut uses = vec![0; program.steps.len()];
    for operand in program.steps.iter().flat_map(|step| &step.args).chain(&program.outputs) {
        if let Operand::Register(register) = operand {
            uses[*register] += 1;
        }
    }
    let ends = program.steps.iter().filter(|step| Fused::ends_with(step.kernel.as_ref()));
    ends.filter_map(|step| fuse(program, first_of(program, step.register, &uses)..step.register + 1)).collect()
}

/// The first of the steps right before `last` that are its own: of each the result is read once, by one of them.
fn first_of(program: &Program, last: usize, uses: &[usize]) -> usize {
    let reads = |steps: Range<usize>, register: usize| {
        program.steps[steps].iter().any(|step| step.args.contains(&Operand::Register(register)))
    };
    let mut first = last;
    while first > last.saturating_sub(STEPS_MAX) {
        let before = first - 1;
        let is_own = uses[before] == 1 && reads(first..last + 1, before);
        if !is_own || !Fused::takes(program.steps[before].kernel.as_ref()) {
            break;
        }
        first = before;
    }
    first
}

fn fuse(program: &Program, steps: Range<usize>) -> Option<FusedSteps> {
    let mut args: SmallVec<[Operand; 4]> = SmallVec::new();
    let mut operand = |operand: Operand| match operand {
        Operand::Register(register) if steps.contains(&register) => FusedOperand::Step(register - steps.start),
        outer => FusedOperand::Argument(args.iter().position(|known| *known == outer).unwrap_or_else(|| {
            args.push(outer);
            args.len() - 1
        })),
    };
    let mut operands = Vec::new();
    for step in &program.steps[steps.clone()] {
        let [left, right] = step.args[..] else { return None };
        operands.push((operand(left), operand(right)));
    }
    let kernels: Vec<&dyn ScalarKernel> =
        program.steps[steps.clone()].iter().map(|step| step.kernel.as_ref()).collect();
    let kernel = Fused::new(&kernels, &operands)?;
    Some(FusedSteps { steps, args, kernel, is_refused: false })
}
