//! The users' own functions: how they come to an engine.

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};

use super::Engine;
use crate::error::{Error, Result};
use crate::function::custom::{Aggregate, AggregateDefinition, Function, Scalar, ScalarFn};
use crate::function::native;
use crate::pipeline::{FileFormat, Table};
use crate::sql::{
    AggregateUDF, FunctionDefinition, FunctionInfo, Registry, ScalarUDF, WindowUDF, known_functions, type_name,
};
use crate::stream::operator::{OperatorClosure, OperatorPlan, TableClosure};

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

    /// Makes a file format known by a name: in `WITH (format = 'name')`, and by its endings wherever a path stands.
    ///
    /// Failure: a name or an ending that is taken; connectors of the caller's that open no files.
    pub fn format(&self, name: &str, format: impl FileFormat) -> Result<()> {
        let endings = format.endings().iter().map(|ending| ending.to_string()).collect::<Vec<_>>();
        self.inner.connectors.register_format(name, Arc::new(format))?;
        self.catalog().add_endings(&endings);
        Ok(())
    }

    /// Makes a source known as a function in FROM: `SELECT * FROM name(constants...)`.
    ///
    /// `table` is called for each call in a query, with its arguments as arrays of length 1.
    pub fn table_function(
        &self,
        name: &str,
        table: impl Fn(&[ArrayRef]) -> Result<Arc<dyn Table>> + Send + Sync + 'static,
    ) {
        self.catalog().functions_mut().add_table(name, Arc::new(TableClosure(table)));
    }

    /// Makes an operator known as a function in FROM: `SELECT * FROM name(TABLE t, constants...)`.
    ///
    /// `bind` is called with the columns of the table and the arguments, arrays of length 1 (a column's name is a text),
    /// and tells what comes out, where the rows must be, and how an instance is made: an
    /// [`Operator`](crate::stream::operator::Operator) like those of the engine.
    pub fn operator(
        &self,
        name: &str,
        bind: impl Fn(&SchemaRef, &[ArrayRef]) -> Result<OperatorPlan> + Send + Sync + 'static,
    ) {
        self.catalog().functions_mut().add_operator(name, Arc::new(OperatorClosure(bind)));
    }

    /// Loads the kernels that a shared library offers and gives their names.
    ///
    /// What is loaded runs with all the rights of this process: load only what is trusted. Statements may do so only
    /// where [`Config::allow_native`](crate::config::Config) says so.
    ///
    /// Failure: no library, or one for another version of the kernel interface.
    pub fn load(&self, library: impl AsRef<Path>) -> Result<Vec<String>> {
        let functions = native::load_all(library.as_ref())?;
        let names = functions.iter().map(|function| function.name.clone()).collect();
        functions.into_iter().try_for_each(|function| self.register(function))?;
        Ok(names)
    }

    /// Loads the function that a statement declares, under the name it gives.
    pub(super) fn create_function(&self, definition: FunctionDefinition) -> Result<String> {
        let FunctionDefinition { name, args, returns, library, symbol, place } = definition;
        self.check_native().map_err(|e| e.at(place))?;
        let mut function = native::load(&library, &symbol).map_err(|e| e.at(place))?;
        if function.args != args || native::result_type(&function) != returns {
            let types = |args: &[DataType], result: &DataType| {
                let args: Vec<String> = args.iter().map(type_name).collect();
                format!("({}) RETURNS {}", args.join(", "), type_name(result))
            };
            let (theirs, ours) = (types(&function.args, &native::result_type(&function)), types(&args, &returns));
            return Err(Error::user(format!("the kernel is {theirs}, and not {ours}: {symbol}")).at(place));
        }
        function.name = name.clone();
        self.register(function)?;
        Ok(format!("function {name} created"))
    }

    fn check_native(&self) -> Result<()> {
        if self.config().allow_native {
            return Ok(());
        }
        Err(Error::user(
            "native code is not allowed here; the engine's owner does, by --allow-native or Config::allow_native",
        ))
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

    /// Makes a window function written for DataFusion known to SQL: OVER gives it whole partitions, sorted, with their
    /// frames and peers. Where partitions of a stream do not end, queries that call it are refused.
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
