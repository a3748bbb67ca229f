//! An aggregate function of ours as one that DataFusion can plan.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result as ForeignResult, not_impl_err, plan_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility};

use crate::function::AggregateFunction;

/// Binds an aggregate function to the types of its arguments.
pub type AggregateBinder = Arc<dyn Fn(&[DataType]) -> Option<Arc<dyn AggregateFunction>> + Send + Sync>;

/// An aggregate function whose states are ours.
struct StatesFunction {
    name: String,
    signature: Signature,
    bind: AggregateBinder,
}

/// A function for the catalog: `bind` gives it for the types it is called with.
///
/// `arg_types` lists the types it takes, which the planner casts to; `None`: any that `bind` answers for.
pub fn aggregate_udf(name: &str, arg_types: Option<Vec<DataType>>, bind: AggregateBinder) -> AggregateUDF {
    let takes = arg_types.map_or(TypeSignature::UserDefined, TypeSignature::Exact);
    let signature = Signature::new(takes, Volatility::Immutable);
    AggregateUDF::from(StatesFunction { name: name.to_string(), signature, bind })
}

/// The function behind a planned one, if it is one of ours.
pub fn aggregate_function(function: &AggregateUDF, types: &[DataType]) -> Option<Arc<dyn AggregateFunction>> {
    let ours = (function.inner().as_ref() as &dyn Any).downcast_ref::<StatesFunction>()?;
    (ours.bind)(types)
}

impl AggregateUDFImpl for StatesFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> ForeignResult<Vec<DataType>> {
        self.return_type(arg_types)?;
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> ForeignResult<DataType> {
        match (self.bind)(arg_types) {
            Some(function) => Ok(function.result_type()),
            None => plan_err!("{} does not take arguments of these types: {arg_types:?}", self.name),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs) -> ForeignResult<Box<dyn Accumulator>> {
        not_impl_err!("{} cannot be called with ORDER BY or IGNORE NULLS", self.name)
    }
}

impl fmt::Debug for StatesFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatesFunction({})", self.name)
    }
}

impl PartialEq for StatesFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.bind, &other.bind)
    }
}

impl Eq for StatesFunction {}

impl Hash for StatesFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
