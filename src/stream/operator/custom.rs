//! Operators of the users' own, and table functions of closures.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;

use super::Operator;
use crate::error::{Error, Result};
use crate::function::KernelContext;
use crate::pipeline::{BoundOperator, CustomSpec, OperatorFunction, Placement, Table, TableFunction};

/// Makes the instances of an operator, one per worker.
pub struct Maker(Box<dyn Fn(KernelContext) -> Box<dyn Operator> + Send + Sync>);

/// What a call of an operator function gives, and how it runs.
pub struct OperatorPlan(BoundOperator);

impl OperatorPlan {
    /// An operator that puts out columns of `schema`; `make` gives an instance for each worker.
    ///
    /// Its rows come from anywhere, none of them is ever taken back, and it has no event time, unless another method says
    /// so.
    pub fn new(
        schema: SchemaRef,
        make: impl Fn(KernelContext) -> Box<dyn Operator> + Send + Sync + 'static,
    ) -> OperatorPlan {
        OperatorPlan(BoundOperator {
            schema,
            event_time: None,
            placement: Placement::Anywhere,
            takes_changes: false,
            maker: Arc::new(Maker(Box::new(make))),
        })
    }

    /// Column `column` of the output still is the event time of the input: no row comes out that is older than a
    /// watermark that went through before.
    #[must_use]
    pub fn event_time(mut self, column: usize) -> Self {
        self.0.event_time = Some(column);
        self
    }

    /// Rows that are equal in these columns of the input come to one instance.
    #[must_use]
    pub fn by_key(mut self, columns: Vec<usize>) -> Self {
        self.0.placement = Placement::ByKey(columns);
        self
    }

    /// All rows come to one instance.
    #[must_use]
    pub fn together(mut self) -> Self {
        self.0.placement = Placement::Together;
        self
    }

    /// It takes rows that are taken back, and takes back what it made of them.
    #[must_use]
    pub fn takes_changes(mut self) -> Self {
        self.0.takes_changes = true;
        self
    }
}

/// An operator function of a closure.
pub struct OperatorClosure<F>(pub F);

impl<F> OperatorFunction for OperatorClosure<F>
where
    F: Fn(&SchemaRef, &[ArrayRef]) -> Result<OperatorPlan> + Send + Sync,
{
    fn bind(&self, input: &SchemaRef, args: &[ArrayRef]) -> Result<BoundOperator> {
        let OperatorPlan(bound) = (self.0)(input, args)?;
        let columns = bound.schema.fields().len();
        if bound.event_time.is_some_and(|column| column >= columns) {
            return Err(Error::user("the event time is a column that the operator does not put out"));
        }
        match &bound.placement {
            Placement::ByKey(keys) if keys.iter().any(|&key| key >= input.fields().len()) => {
                Err(Error::user("a key of the operator is a column that its input does not have"))
            }
            _ => Ok(bound),
        }
    }
}

impl<F> fmt::Debug for OperatorClosure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorClosure")
    }
}

/// A table function of a closure.
pub struct TableClosure<F>(pub F);

impl<F> TableFunction for TableClosure<F>
where
    F: Fn(&[ArrayRef]) -> Result<Arc<dyn Table>> + Send + Sync,
{
    fn table(&self, args: &[ArrayRef]) -> Result<Arc<dyn Table>> {
        (self.0)(args)
    }
}

impl<F> fmt::Debug for TableClosure<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TableClosure")
    }
}

/// An instance of a user's operator.
pub fn custom(spec: &CustomSpec, context: KernelContext) -> Result<Box<dyn Operator>> {
    let maker = spec.operator.maker.downcast_ref::<Maker>();
    let maker = maker.ok_or_else(|| Error::bug(format!("nobody knows how to make the operator {}", spec.name)))?;
    Ok((maker.0)(context))
}
