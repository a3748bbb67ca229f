//! An aggregate function of ours as one that DataFusion can plan.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result as ForeignResult, not_impl_err, plan_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::utils::AggregateOrderSensitivity;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility};

use super::coerce::{choose, signature};
use crate::batch::engine_type;
use crate::function::AggregateFunction;

/// Binds an aggregate function to the types of its arguments.
pub type AggregateBinder = Arc<dyn Fn(&[DataType]) -> Option<Arc<dyn AggregateFunction>> + Send + Sync>;

/// One way to call an aggregate function.
#[derive(Clone)]
pub enum AggregateOverload {
    /// With these types, which the planner casts to.
    Exact(Vec<DataType>, Arc<dyn AggregateFunction>),
    /// With any types that the binder answers for.
    Any(AggregateBinder),
}

/// An aggregate function whose states are ours.
struct StatesFunction {
    name: String,
    signature: Signature,
    overloads: Vec<AggregateOverload>,
}

/// A function for the catalog.
pub fn aggregate_udf(name: &str, overloads: Vec<AggregateOverload>) -> AggregateUDF {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    AggregateUDF::from(StatesFunction { name: name.to_string(), signature, overloads })
}

/// The function behind a planned one, if it is one of ours. `types` are the engine's.
pub fn aggregate_function(function: &AggregateUDF, types: &[DataType]) -> Option<Arc<dyn AggregateFunction>> {
    ours(function)?.bind(types)
}

/// The ways to call a function, if it is one of ours.
pub fn aggregate_overloads(function: &AggregateUDF) -> Option<&[AggregateOverload]> {
    Some(&ours(function)?.overloads)
}

fn ours(function: &AggregateUDF) -> Option<&StatesFunction> {
    (function.inner().as_ref() as &dyn Any).downcast_ref::<StatesFunction>()
}

impl StatesFunction {
    fn bind(&self, types: &[DataType]) -> Option<Arc<dyn AggregateFunction>> {
        let types: Vec<DataType> = types.iter().map(engine_type).collect();
        self.overloads.iter().find_map(|overload| match overload {
            AggregateOverload::Exact(args, function) => (*args == types).then(|| function.clone()),
            AggregateOverload::Any(bind) => bind(&types),
        })
    }
}

impl AggregateUDFImpl for StatesFunction {
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
            AggregateOverload::Exact(args, _) => Some(&args[..]),
            AggregateOverload::Any(_) => None,
        });
        let known: Vec<&[DataType]> = known.collect();
        Ok(known[choose(&self.name, &known, arg_types)?].to_vec())
    }

    fn return_type(&self, arg_types: &[DataType]) -> ForeignResult<DataType> {
        match self.bind(arg_types) {
            Some(function) => Ok(function.result_type()),
            None => plan_err!("{} does not exist", signature(&self.name, arg_types)),
        }
    }

    /// A function that takes its rows in any order passes over ORDER BY.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        let is_sensitive = |overload: &AggregateOverload| match overload {
            AggregateOverload::Exact(_, function) => function.is_order_sensitive(),
            AggregateOverload::Any(_) => true,
        };
        match self.overloads.iter().any(is_sensitive) {
            true => AggregateOrderSensitivity::HardRequirement,
            false => AggregateOrderSensitivity::Insensitive,
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
        let same = |(a, b): (&AggregateOverload, &AggregateOverload)| match (a, b) {
            (AggregateOverload::Exact(_, a), AggregateOverload::Exact(_, b)) => Arc::ptr_eq(a, b),
            (AggregateOverload::Any(a), AggregateOverload::Any(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        self.name == other.name
            && self.overloads.len() == other.overloads.len()
            && self.overloads.iter().zip(&other.overloads).all(same)
    }
}

impl Eq for StatesFunction {}

impl Hash for StatesFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
