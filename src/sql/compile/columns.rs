//! What the columns of a plan node are in the pipeline.

use arrow::datatypes::{DataType, Schema};
use datafusion_common::{Column, DFSchema};
use datafusion_expr::Expr;

use crate::error::{Error, Result};
use crate::pipeline::WindowColumn;
use crate::sql::bridge::foreign;

use super::place::{place_of, place_of_column};

/// The columns that expressions may read: the plan's names for them, and where each of them is.
#[derive(Debug, Clone)]
pub struct Columns {
    pub schema: DFSchema,
    /// One per field of `schema`.
    pub slots: Vec<Slot>,
    /// The batch's column that carries the event time whose watermark expressions may ask for.
    pub time: Option<usize>,
}

/// Where a column of the plan is.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// A column of the batch.
    Input { index: usize, data_type: DataType },
    /// A column of the window that the aggregate above will make; no batch has it yet.
    Window(WindowColumn),
}

impl Columns {
    /// Every column of the plan node is the column of the batch with the same number.
    pub fn whole(schema: &DFSchema, batch: &Schema) -> Columns {
        assert_eq!(schema.fields().len(), batch.fields().len(), "a node has the columns of its plan");
        let slots = batch.fields().iter().enumerate();
        let slots = slots.map(|(index, field)| Slot::Input { index, data_type: field.data_type().clone() });
        Columns { schema: schema.clone(), slots: slots.collect(), time: None }
    }

    /// The slot a column stands for. Failure: a name the plan does not have here.
    pub fn slot(&self, column: &Column) -> Result<&Slot> {
        let index = self.schema.index_of_column(column).map_err(|e| foreign(e).at(place_of_column(column)))?;
        Ok(&self.slots[index])
    }

    /// What the plan calls a column of the batch; nothing where it has no name for it.
    pub fn name_of_input(&self, input: usize) -> String {
        let is_it = |slot: &Slot| matches!(slot, Slot::Input { index, .. } if *index == input);
        self.slots.iter().position(is_it).map_or_else(String::new, |at| self.schema.field(at).name().clone())
    }

    /// The batch's column that `expr` is, when it is nothing but a column.
    pub fn plain(&self, expr: &Expr) -> Option<usize> {
        match self.plain_slot(expr)? {
            Slot::Input { index, .. } => Some(*index),
            Slot::Window(_) => None,
        }
    }

    /// The window column that `expr` is, when it is nothing but one.
    pub fn plain_window(&self, expr: &Expr) -> Option<WindowColumn> {
        match self.plain_slot(expr)? {
            Slot::Window(column) => Some(*column),
            Slot::Input { .. } => None,
        }
    }

    /// Whether `expr` reads a window column anywhere.
    pub fn reads_window(&self, expr: &Expr) -> bool {
        expr.column_refs().into_iter().any(|column| matches!(self.slot(column), Ok(Slot::Window(_))))
    }

    /// The same columns where an aggregate has put out window columns, the first of them at `first`.
    pub fn after_window(&self, outputs: &[WindowColumn], first: usize, data_type: &DataType) -> Columns {
        let slot = |slot: &Slot| match slot {
            Slot::Window(column) => match outputs.iter().position(|output| output == column) {
                Some(position) => Slot::Input { index: first + position, data_type: data_type.clone() },
                None => slot.clone(),
            },
            input => input.clone(),
        };
        Columns { schema: self.schema.clone(), slots: self.slots.iter().map(slot).collect(), time: None }
    }

    /// The window columns that `expr` reads.
    pub fn window_columns(&self, expr: &Expr) -> Vec<WindowColumn> {
        let slots = expr.column_refs().into_iter().map(|column| self.slot(column));
        slots.filter_map(|slot| if let Ok(Slot::Window(column)) = slot { Some(*column) } else { None }).collect()
    }

    /// The batch's column and type of a column. Failure: a window column, which no batch has.
    pub fn input(&self, column: &Column) -> Result<(usize, DataType)> {
        match self.slot(column)? {
            Slot::Input { index, data_type } => Ok((*index, data_type.clone())),
            Slot::Window(_) => Err(Error::bug(format!("a window column is read before its window: {column}"))),
        }
    }

    fn plain_slot(&self, expr: &Expr) -> Option<&Slot> {
        match expr {
            Expr::Alias(alias) => self.plain_slot(&alias.expr),
            Expr::Column(column) => self.slot(column).ok(),
            _ => None,
        }
    }
}

/// The name an expression goes by in an error message.
pub fn refuse(expr: &Expr, why: &str) -> Error {
    Error::user(format!("{why}: {}", crate::sql::shown::shown(expr))).at(place_of(expr))
}
