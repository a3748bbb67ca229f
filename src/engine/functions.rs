//! The users' own functions: how they come to an engine.

use std::sync::Arc;

use super::Engine;
use crate::error::Result;
use crate::function::custom::{Aggregate, AggregateDefinition, Function, Scalar, ScalarFn};
use crate::sql::{AggregateUDF, FunctionInfo, Registry, ScalarUDF, WindowUDF, known_functions};

impl Engine {
    /// Makes a plain Rust function over values known to SQL, at the speed of the engine's own.
    ///
    /// ```
    /// let engine = millstream::engine::Engine::default();
    /// engine.scalar("hypotenuse", |a: f64, b: f64| a.hypot(b))?;
    /// # Ok::<(), millstream::Error>(())
    /// ```
    ///
    /// What it may take and return stands at [`Scalar::new`]; with attributes and a description it is registered as a
    /// [`Scalar`]. The same name with other types adds a signature.
    pub fn scalar<M: 'static>(&self, name: &str, function: impl ScalarFn<M>) -> Result<()> {
        self.register(Scalar::new(name, function))
    }

    /// Makes an aggregate known to SQL: an [`Aggregate`] of your own, or a [`Fold`](crate::function::custom::Fold) of
    /// closures.
    pub fn aggregate(&self, name: &str, aggregate: impl Aggregate) -> Result<()> {
        self.register(AggregateDefinition::new(name, aggregate))
    }

    /// Makes a function known to SQL: a [`Scalar`], a [`Vector`](crate::function::custom::Vector), an
    /// [`AggregateDefinition`], or what `#[millstream::kernel]` makes of a function.
    ///
    /// Failure: a name that SQL could not call.
    pub fn register(&self, function: impl Into<Function>) -> Result<()> {
        self.catalog().functions_mut().add(function.into())
    }

    /// All functions that SQL may name here, with what is told of them.
    pub fn functions(&self) -> Vec<FunctionInfo> {
        known_functions(&self.catalog())
    }

    /// Makes a scalar function written for DataFusion known to SQL.
    pub fn register_udf(&self, function: impl Into<Arc<ScalarUDF>>) {
        self.catalog().functions_mut().add_udf(function.into());
    }

    /// Makes an aggregate function written for DataFusion known to SQL.
    pub fn register_udaf(&self, function: impl Into<Arc<AggregateUDF>>) {
        self.catalog().functions_mut().add_udaf(function.into());
    }

    /// Makes a window function written for DataFusion known to SQL.
    pub fn register_udwf(&self, function: impl Into<Arc<WindowUDF>>) {
        self.catalog().functions_mut().add_udwf(function.into());
    }

    /// What a package of DataFusion's functions registers itself with: it is a `FunctionRegistry`. Its functions are
    /// known when the registry is dropped.
    pub fn function_registry(&self) -> Registry<'_> {
        let functions = self.catalog().functions().clone();
        Registry::new(functions, |functions| *self.catalog().functions_mut() = functions)
    }
}
