//! The users' own functions, by name: closures and kernels of ours, and functions written for DataFusion.
//!
//! Invariants  names are lower case, as SQL makes names that are not quoted. Registering a name again adds a signature to
//!             a function of ours, or takes the place of one with the same; any other function of the name is replaced.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::bridge::function::{
    AggregateOverload, ScalarOverload, aggregate_overloads, aggregate_udf, scalar_overloads, scalar_udf,
};
use crate::error::{Error, Result};
use crate::function::ScalarKernel;
use crate::function::custom::{Body, Function};
use crate::pipeline::{OperatorFunction, TableFunction};

/// Functions that a catalog adds to the library's.
#[derive(Debug, Clone, Default)]
pub struct UserFunctions {
    pub(super) scalars: BTreeMap<String, Arc<ScalarUDF>>,
    pub(super) aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    pub(super) windows: BTreeMap<String, Arc<WindowUDF>>,
    /// Functions in FROM that are sources.
    pub(super) tables: BTreeMap<String, Arc<dyn TableFunction>>,
    /// Functions in FROM that are operators over a table.
    pub(super) operators: BTreeMap<String, Arc<dyn OperatorFunction>>,
    /// What they do and how they are called, where their makers say so.
    pub(super) docs: BTreeMap<String, Doc>,
}

/// What is told of a function.
#[derive(Debug, Clone, Default)]
pub struct Doc {
    pub text: String,
    pub example: String,
}

impl UserFunctions {
    /// Takes a function of ours in.
    ///
    /// Failure: a name that SQL could not call.
    pub fn add(&mut self, function: Function) -> Result<()> {
        let Function { name, doc, example, args, body } = function;
        let name = name.to_lowercase();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) || name.starts_with(|c: char| c.is_numeric()) {
            return Err(Error::user(format!("a function's name is made of letters, digits and _: {name:?}")));
        }
        match body {
            Body::Scalar { kernel, trying } => {
                self.aggregates.remove(&name);
                self.add_scalar(&name, args.clone(), kernel);
                if let Some(trying) = trying {
                    let name = format!("try_{name}");
                    let text = format!("{doc} NULL where it fails.");
                    // The same call under the other name.
                    let example = if example.is_empty() { String::new() } else { format!("try_{example}") };
                    self.docs.insert(name.clone(), Doc { text: text.trim().to_string(), example });
                    self.add_scalar(&name, args, trying);
                }
            }
            Body::Aggregate(function) => {
                self.scalars.remove(&name);
                let known = self.aggregates.get(&name).and_then(|function| aggregate_overloads(function));
                let mut overloads = known.map(<[_]>::to_vec).unwrap_or_default();
                overloads.retain(|known| !matches!(known, AggregateOverload::Exact(types, _) if *types == args));
                overloads.push(AggregateOverload::Exact(args, function));
                self.aggregates.insert(name.clone(), Arc::new(aggregate_udf(&name, overloads)));
            }
        }
        if !doc.is_empty() || !self.docs.contains_key(&name) {
            self.docs.insert(name, Doc { text: doc, example });
        }
        Ok(())
    }

    fn add_scalar(&mut self, name: &str, args: Vec<DataType>, kernel: Arc<dyn ScalarKernel>) {
        let known = self.scalars.get(name).and_then(|function| scalar_overloads(function));
        let mut overloads = known.map(<[_]>::to_vec).unwrap_or_default();
        overloads.retain(|known| !matches!(known, ScalarOverload::Exact(types, _) if *types == args));
        overloads.push(ScalarOverload::Exact(args, kernel));
        self.scalars.insert(name.to_string(), Arc::new(scalar_udf(name, overloads)));
    }

    /// Makes a source known as a function in FROM.
    pub fn add_table(&mut self, name: &str, function: Arc<dyn TableFunction>) {
        self.operators.remove(&name.to_lowercase());
        self.tables.insert(name.to_lowercase(), function);
    }

    /// Makes an operator known as a function in FROM.
    pub fn add_operator(&mut self, name: &str, function: Arc<dyn OperatorFunction>) {
        self.tables.remove(&name.to_lowercase());
        self.operators.insert(name.to_lowercase(), function);
    }

    /// Forgets a function and says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.docs.remove(name);
        let tried = format!("try_{name}");
        let is_ours = self.scalars.get(&tried).is_some_and(|function| scalar_overloads(function).is_some());
        if is_ours && self.scalars.contains_key(name) {
            self.scalars.remove(&tried);
            self.docs.remove(&tried);
        }
        let scalar = self.scalars.remove(name).is_some();
        let aggregate = self.aggregates.remove(name).is_some();
        let window = self.windows.remove(name).is_some();
        scalar || aggregate || window
    }

    /// Makes a scalar function known under its name and its aliases; what had its name.
    pub fn add_udf(&mut self, function: Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
        self.aggregates.remove(function.name());
        for alias in function.aliases() {
            self.scalars.insert(alias.clone(), function.clone());
        }
        self.docs.remove(function.name());
        self.scalars.insert(function.name().to_string(), function)
    }

    /// Makes an aggregate function known under its name and its aliases; what had its name.
    pub fn add_udaf(&mut self, function: Arc<AggregateUDF>) -> Option<Arc<AggregateUDF>> {
        self.scalars.remove(function.name());
        for alias in function.aliases() {
            self.aggregates.insert(alias.clone(), function.clone());
        }
        self.docs.remove(function.name());
        self.aggregates.insert(function.name().to_string(), function)
    }

    /// Makes a window function known under its name and its aliases; what had its name.
    pub fn add_udwf(&mut self, function: Arc<WindowUDF>) -> Option<Arc<WindowUDF>> {
        for alias in function.aliases() {
            self.windows.insert(alias.clone(), function.clone());
        }
        self.windows.insert(function.name().to_string(), function)
    }
}
