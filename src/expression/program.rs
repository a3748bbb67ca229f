//! A program: a straight list of kernel calls over inputs, constants and registers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::error::Place;
use crate::function::ScalarKernel;

/// Where a kernel's argument comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A column of the batch.
    Input(usize),
    /// One of the program's constants.
    Constant(usize),
    /// What an earlier step wrote.
    Register(usize),
}

/// A value that stands for all rows: an Arrow array of length 1.
#[derive(Debug, Clone)]
pub struct Constant(pub ArrayRef);

/// One kernel call.
#[derive(Debug, Clone)]
pub struct Step {
    pub kernel: Arc<dyn ScalarKernel>,
    pub args: Vec<Operand>,
    /// The register written; equal to the number of the step.
    pub register: usize,
    /// Where in the SQL text what it computes stands.
    pub place: Option<Place>,
}

/// Expressions compiled together, sharing what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub steps: Vec<Step>,
    pub constants: Vec<Constant>,
    pub outputs: Vec<Operand>,
    pub output_types: Vec<DataType>,
    /// What the inputs are called, for errors; may be empty.
    pub names: Vec<String>,
}

impl Program {
    /// The program that puts input columns out as they are.
    pub fn columns(columns: &[(usize, DataType)]) -> Program {
        Program {
            outputs: columns.iter().map(|(column, _)| Operand::Input(*column)).collect(),
            output_types: columns.iter().map(|(_, data_type)| data_type.clone()).collect(),
            ..Program::default()
        }
    }

    /// The same with these outputs only.
    pub fn picked(&self, outputs: &[usize]) -> Program {
        Program {
            outputs: outputs.iter().map(|&output| self.outputs[output]).collect(),
            output_types: outputs.iter().map(|&output| self.output_types[output].clone()).collect(),
            ..self.clone()
        }
    }

    /// Whether every output is an input as it is.
    pub fn is_selection_of_inputs(&self) -> bool {
        self.steps.is_empty() && self.outputs.iter().all(|output| matches!(output, Operand::Input(_)))
    }

    /// The input columns it reads, ascending.
    pub fn inputs(&self) -> Vec<usize> {
        let read = self.steps.iter().flat_map(|step| &step.args).chain(&self.outputs);
        let mut inputs: Vec<usize> = read
            .filter_map(|operand| if let Operand::Input(column) = operand { Some(*column) } else { None })
            .collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }

    /// Gives each input another number.
    pub fn renumber_inputs(&mut self, number: impl Fn(usize) -> usize) {
        let read = self.steps.iter_mut().flat_map(|step| &mut step.args).chain(&mut self.outputs);
        for operand in read {
            if let Operand::Input(input) = operand {
                *input = number(*input);
            }
        }
    }

    /// One operand as text, with its arguments folded in.
    pub fn show(&self, operand: Operand, names: &[String]) -> String {
        match operand {
            Operand::Input(column) => names.get(column).cloned().unwrap_or_else(|| format!("#{column}")),
            Operand::Constant(constant) => show_constant(&self.constants[constant]),
            Operand::Register(register) => {
                let step = &self.steps[register];
                let args: Vec<String> = step.args.iter().map(|arg| self.show(*arg, names)).collect();
                step.kernel.show(&args)
            }
        }
    }
}

fn show_constant(constant: &Constant) -> String {
    let options = arrow::util::display::FormatOptions::new().with_null("NULL");
    match arrow::util::display::ArrayFormatter::try_new(&constant.0, &options) {
        Ok(formatter) => {
            let text = formatter.value(0).to_string();
            let quoted = matches!(constant.0.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
            if quoted { format!("'{text}'") } else { text }
        }
        Err(_) => "?".to_string(),
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.outputs.iter().map(|output| self.show(*output, &[])).collect();
        f.write_str(&shown.join(", "))
    }
}

/// Builds a program and shares equal steps between expressions.
#[derive(Default)]
pub struct Builder {
    program: Program,
    types: Vec<DataType>,
    known: HashMap<(String, Vec<Operand>), usize>,
}

impl Builder {
    /// Adds a kernel call, or finds the equal one that is there. `key` names the kernel with all its settings.
    pub fn step(&mut self, key: String, kernel: Arc<dyn ScalarKernel>, args: Vec<Operand>) -> Operand {
        let deterministic = kernel.is_deterministic();
        if deterministic && let Some(&register) = self.known.get(&(key.clone(), args.clone())) {
            return Operand::Register(register);
        }
        let register = self.program.steps.len();
        self.types.push(kernel.result_type());
        if deterministic {
            self.known.insert((key, args.clone()), register);
        }
        self.program.steps.push(Step { kernel, args, register, place: None });
        Operand::Register(register)
    }

    /// Says where in the SQL text the step that wrote `operand` stands, unless that is known.
    pub fn set_place(&mut self, operand: Operand, place: Option<Place>) {
        if let Operand::Register(register) = operand {
            let known = &mut self.program.steps[register].place;
            *known = known.or(place);
        }
    }

    /// Adds a constant: an array of length 1.
    pub fn constant(&mut self, value: ArrayRef) -> Operand {
        assert_eq!(value.len(), 1, "a constant is one value");
        let same = |c: &Constant| c.0.data_type() == value.data_type() && c.0.to_data() == value.to_data();
        if let Some(at) = self.program.constants.iter().position(same) {
            return Operand::Constant(at);
        }
        self.program.constants.push(Constant(value));
        Operand::Constant(self.program.constants.len() - 1)
    }

    /// Adds an output of type `data_type`.
    pub fn output(&mut self, operand: Operand, data_type: DataType) {
        self.program.outputs.push(operand);
        self.program.output_types.push(data_type);
    }

    pub fn finish(self) -> Program {
        self.program
    }
}
