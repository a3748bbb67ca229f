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

use crate::batch::{Batch, Column};
use crate::expression::{Builder, Evaluator, Operand};
use crate::function::{KernelContext, ScalarKernel};

/// Finds the kernel of a function for the types of its arguments.
pub type ScalarBinder = Arc<dyn Fn(&[DataType]) -> Option<Arc<dyn ScalarKernel>> + Send + Sync>;

/// A scalar function whose kernels are ours.
struct KernelFunction {
    name: String,
    signature: Signature,
    bind: ScalarBinder,
}

/// A function for the catalog: `bind` gives its kernel for the types it is called with.
///
/// `arg_types` lists the types it takes, which the planner casts to; `None`: any that `bind` answers for.
pub fn scalar_udf(name: &str, arg_types: Option<Vec<DataType>>, bind: ScalarBinder) -> ScalarUDF {
    let takes = arg_types.map_or(TypeSignature::UserDefined, TypeSignature::Exact);
    let deterministic = match &takes {
        TypeSignature::Exact(types) => bind(types).is_none_or(|kernel| kernel.is_deterministic()),
        _ => true,
    };
    let volatility = if deterministic { Volatility::Immutable } else { Volatility::Volatile };
    ScalarUDF::from(KernelFunction { name: name.to_string(), signature: Signature::new(takes, volatility), bind })
}

/// The kernel behind a planned function, if it is one of ours.
pub fn scalar_kernel(function: &ScalarUDF, types: &[DataType]) -> Option<Arc<dyn ScalarKernel>> {
    let ours = (function.inner().as_ref() as &dyn std::any::Any).downcast_ref::<KernelFunction>()?;
    (ours.bind)(types)
}

impl KernelFunction {
    fn kernel(&self, types: &[DataType]) -> ForeignResult<Arc<dyn ScalarKernel>> {
        match (self.bind)(types) {
            Some(kernel) => Ok(kernel),
            None => plan_err!("{} does not take arguments of these types: {types:?}", self.name),
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
        self.kernel(arg_types)?;
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> ForeignResult<DataType> {
        Ok(self.kernel(arg_types)?.result_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> ForeignResult<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let kernel = self.kernel(&types)?;
        let mut batch = Batch { rows: args.number_rows, ..Batch::default() };
        for arg in args.args {
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
        self.name == other.name && Arc::ptr_eq(&self.bind, &other.bind)
    }
}

impl Eq for KernelFunction {}

impl Hash for KernelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
