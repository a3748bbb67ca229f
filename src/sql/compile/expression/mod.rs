//! Logical expressions → the steps of a program.
//!
//! Place       every plan node with expressions goes through here; the optimizer has coerced their types already.
//! Invariants  a step's column has the engine's type for what the plan says. What SQL must not evaluate is not
//!             evaluated: branches of CASE and COALESCE, and the right side of AND and OR where it could fail.

mod case; //    CASE, and AND and OR that look at one side first
mod foreign; // calls that DataFusion runs
mod interval; // constant intervals as ticks
mod lazy; //    what may be evaluated though a branch is not taken
mod native; //  calls that kernels of our own run

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::{Expr, ExprSchemable};

use super::columns::{Columns, refuse};
use super::place::place_of;
use super::types::{engine_type, engine_value};
use crate::error::Result;
use crate::expression::{Builder, Operand, Program};
use crate::sql::bridge;

/// Compiles expressions over the same columns into one program.
pub struct Expressions<'a> {
    columns: &'a Columns,
    builder: Builder,
}

/// A compiled expression: where its column is, and the type it has there.
#[derive(Debug, Clone)]
pub struct Value {
    pub operand: Operand,
    pub data_type: DataType,
}

impl<'a> Expressions<'a> {
    pub fn new(columns: &'a Columns) -> Self {
        Expressions { columns, builder: Builder::default() }
    }

    /// Compiles the expressions as outputs of one program.
    pub fn program<'e>(columns: &'a Columns, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<Arc<Program>> {
        let mut expressions = Expressions::new(columns);
        for expr in exprs {
            expressions.output(expr)?;
        }
        Ok(expressions.finish())
    }

    /// Compiles `expr` as the next output and says what type it has.
    pub fn output(&mut self, expr: &Expr) -> Result<DataType> {
        let value = self.compile(expr)?;
        self.builder.output(value.operand, value.data_type.clone());
        Ok(value.data_type)
    }

    /// Compiles `expr` as the next output, cast to `data_type` where it has another one.
    pub fn output_as(&mut self, expr: &Expr, data_type: &DataType) -> Result<()> {
        let value = self.compile(expr)?;
        let value = self.convert(value, data_type)?;
        self.builder.output(value.operand, value.data_type);
        Ok(())
    }

    /// Puts a column of the batch out as it is.
    pub fn output_input(&mut self, index: usize, data_type: DataType) {
        self.builder.output(Operand::Input(index), data_type);
    }

    /// Puts one value out for all rows.
    pub fn output_constant(&mut self, value: ArrayRef) {
        let data_type = value.data_type().clone();
        let value = self.builder.constant(value);
        self.builder.output(value, data_type);
    }

    pub fn finish(self) -> Arc<Program> {
        Arc::new(self.builder.finish())
    }

    /// Compiles an expression into steps, or finds the equal ones that are there.
    pub fn compile(&mut self, expr: &Expr) -> Result<Value> {
        match expr {
            Expr::Alias(alias) => self.compile(&alias.expr),
            Expr::Column(column) => {
                let (index, data_type) = self.columns.input(column)?;
                Ok(Value { operand: Operand::Input(index), data_type })
            }
            Expr::Literal(value, _) => {
                let array = engine_value(value)?;
                let data_type = array.data_type().clone();
                Ok(Value { operand: self.builder.constant(array), data_type })
            }
            Expr::Cast(cast) if self.is_renaming(&cast.expr, cast.field.data_type())? => self.compile(&cast.expr),
            _ => {
                refuse_unsupported(expr)?;
                let value = match self.native_call(expr)? {
                    Some(call) => self.native(call),
                    None => match self.branches(expr)? {
                        Some(value) => Ok(value),
                        None => self.foreign(expr),
                    },
                }?;
                self.builder.set_place(value.operand, place_of(expr));
                Ok(value)
            }
        }
    }

    /// Whether a cast changes nothing inside the engine, as from one kind of string to another.
    fn is_renaming(&self, from: &Expr, to: &DataType) -> Result<bool> {
        Ok(self.engine_type_of(from)? == engine_type(to))
    }

    /// The type an expression has inside the engine.
    pub fn type_of(&self, expr: &Expr) -> Result<DataType> {
        self.engine_type_of(expr)
    }

    pub(super) fn engine_type_of(&self, expr: &Expr) -> Result<DataType> {
        match expr {
            Expr::Alias(alias) => self.engine_type_of(&alias.expr),
            Expr::Column(column) => Ok(self.columns.input(column)?.1),
            _ => Ok(engine_type(&self.plan_type_of(expr)?)),
        }
    }

    /// The type the plan gives an expression.
    fn plan_type_of(&self, expr: &Expr) -> Result<DataType> {
        expr.get_type(self.schema()).map_err(bridge::foreign)
    }

    pub fn schema(&self) -> &'a DFSchema {
        &self.columns.schema
    }
}

/// Refuses what no program can evaluate.
fn refuse_unsupported(expr: &Expr) -> Result<()> {
    let why = match expr {
        Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
            "a subquery that depends on its surroundings in this way cannot be joined to them; join the tables instead"
        }
        Expr::OuterReferenceColumn(..) => {
            "a subquery that depends on its surroundings in this way cannot be joined to them; join the tables instead"
        }
        Expr::WindowFunction(_) => "a function with OVER stands where none may",
        Expr::AggregateFunction(_) => "an aggregate function stands where none may",
        Expr::Placeholder(_) => "a placeholder has no value; write the value into the query",
        Expr::Unnest(_) => "UNNEST cannot stand here; put it into FROM or the SELECT list",
        _ => return Ok(()),
    };
    Err(refuse(expr, why))
}
