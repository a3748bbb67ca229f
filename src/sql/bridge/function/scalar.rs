//! A scalar function of ours as one that DataFusion can plan.
//!
//! Where only DataFusion can run an expression (a branch of CASE), it calls the kernel through here.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result as ForeignResult, ScalarValue, plan_err};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::coerce::{choose, signature};
use crate::batch::{Batch, Column, engine_type};
use crate::expression::{Builder, Evaluator, Operand};
use crate::function::{KernelContext, ScalarKernel};

/// Finds the kernel of a function for the types of its arguments.
pub type ScalarBinder = Arc<dyn Fn(&[DataType]) -> Option<Arc<dyn ScalarKernel>> + Send + Sync>;

/// One way to call a function.
#[derive(Clone)]
pub enum ScalarOverload {
    /// With these types, which the planner casts to.
    Exact(Vec<DataType>, Arc<dyn ScalarKernel>),
    /// With any types that the binder answers for.
    Any(ScalarBinder),
}

/// A scalar function whose kernels are ours.
struct KernelFunction {
    name: String,
    signature: Signature,
    overloads: Vec<ScalarOverload>,
}

/// A function for the catalog.
pub fn scalar_udf(name: &str, overloads: Vec<ScalarOverload>) -> ScalarUDF {
    let is_deterministic = |overload: &ScalarOverload| match overload {
        ScalarOverload::Exact(_, kernel) => kernel.is_deterministic(),
        ScalarOverload::Any(_) => true,
    };
    let volatility = if overloads.iter().all(is_deterministic) { Volatility::Immutable } else { Volatility::Volatile };
    let signature = Signature::new(TypeSignature::UserDefined, volatility);
    ScalarUDF::from(KernelFunction { name: name.to_string(), signature, overloads })
}

/// The kernel behind a planned function, if it is one of ours. `types` are the engine's.
pub fn scalar_kernel(function: &ScalarUDF, types: &[DataType]) -> Option<Arc<dyn ScalarKernel>> {
    ours(function)?.bind(types)
}

/// The ways to call a function, if it is one of ours.
pub fn scalar_overloads(function: &ScalarUDF) -> Option<&[ScalarOverload]> {
    Some(&ours(function)?.overloads)
}

fn ours(function: &ScalarUDF) -> Option<&KernelFunction> {
    (function.inner().as_ref() as &dyn std::any::Any).downcast_ref::<KernelFunction>()
}

impl KernelFunction {
    /// The kernel for arguments of exactly these types.
    fn bind(&self, types: &[DataType]) -> Option<Arc<dyn ScalarKernel>> {
        let types: Vec<DataType> = types.iter().map(engine_type).collect();
        self.overloads.iter().find_map(|overload| match overload {
            ScalarOverload::Exact(args, kernel) => (*args == types).then(|| kernel.clone()),
            ScalarOverload::Any(bind) => bind(&types),
        })
    }

    fn kernel(&self, types: &[DataType]) -> ForeignResult<Arc<dyn ScalarKernel>> {
        match self.bind(types) {
            Some(kernel) => Ok(kernel),
            None => plan_err!("{} does not exist", signature(&self.name, types)),
        }
    }
}

impl ScalarUDFImpl for KernelFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> ForeignResult<Vec<DataType>> {
        if self.bind(arg_types).is_some() {
            return Ok(arg_types.to_vec());
        }
        let known = self.overloads.iter().filter_map(|overload| match overload {
            ScalarOverload::Exact(args, _) => Some(&args[..]),
            ScalarOverload::Any(_) => None,
        });
        let known: Vec<&[DataType]> = known.collect();
        Ok(known[choose(&self.name, &known, arg_types)?].to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> ForeignResult<DataType> {
        Ok(self.kernel(arg_types)?.result_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(|arg| engine_type(&arg.data_type())).collect();
        let kernel = self.kernel(&types)?;
        let mut batch = Batch { rows: args.number_rows, ..Batch::default() };
        for (arg, data_type) in args.args.into_iter().zip(&types) {
            let arg = arg.cast_to(data_type, None)?;
            batch.columns.push(match arg {
                ColumnarValue::Array(array) => Column::Array(array),
                ColumnarValue::Scalar(value) => Column::Constant(value.to_array()?),
            });
        }
        let result = kernel.result_type();
        let mut builder = Builder::default();
        let call = builder.step(self.name.clone(), kernel, (0..types.len()).map(Operand::Input).collect());
        builder.output(call, result.clone());
        let mut evaluator = Evaluator::new(Arc::new(builder.finish()), KernelContext::default());
        let ours = |error| DataFusionError::External(Box::new(error));
        evaluator.run(&batch).map_err(ours)?;
        match evaluator.output(&batch, 0).column() {
            Column::Constant(value) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(value, 0)?)),
            _ => {
                let array = evaluator.output(&batch, 0).to_array(&result).map_err(ours)?;
                Ok(ColumnarValue::Array(array))
            }
        }
    }
}

impl fmt::Debug for KernelFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelFunction({})", self.name)
    }
}

impl PartialEq for KernelFunction {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&ScalarOverload, &ScalarOverload)| match (a, b) {
            (ScalarOverload::Exact(_, a), ScalarOverload::Exact(_, b)) => Arc::ptr_eq(a, b),
            (ScalarOverload::Any(a), ScalarOverload::Any(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        self.name == other.name
            && self.overloads.len() == other.overloads.len()
            && self.overloads.iter().zip(&other.overloads).all(same)
    }
}

impl Eq for KernelFunction {}

impl Hash for KernelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
