//! `CASE`, and `AND` and `OR` that must not look at their right side everywhere.
//!
//! ```text
//! x WHEN 1 THEN 'a' WHEN 2 THEN 'b' ...   a table, where values and results are given and there are some
//! WHEN a < 1 THEN b ELSE c                 all of it for all rows, and a choice by masks: where nothing can fail or costs
//! WHEN b <> 0 THEN a / b                   each branch for the rows that take it
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::expr::Case;
use datafusion_expr::{BinaryExpr, Expr, Operator, lit};

use super::lazy::Side;
use super::native::{NativeCall, binary_op};
use super::{Expressions, Value};
use crate::error::Result;
use crate::expression::{Branch, Branches, Operand, Part, Program};
use crate::function::ScalarKernel;
use crate::function::scalar;
use crate::sql::bridge;
use crate::sql::compile::columns::{Columns, Slot};
use crate::sql::compile::types::engine_value;

/// From this many values on, a table is faster than comparing with each.
const TABLE_VALUES_MIN: usize = 4;

/// `CASE x WHEN ...` whose values and results the query gives.
struct Table<'e> {
    on: &'e Expr,
    values: Vec<&'e ScalarValue>,
    results: Vec<&'e ScalarValue>,
}

impl Expressions<'_> {
    /// The kernel of a CASE that may be computed for all rows.
    pub(super) fn case_call(&self, expr: &Expr, case: &Case) -> Result<Option<NativeCall>> {
        if let Some(call) = self.table_call(expr, case)? {
            return Ok(Some(call));
        }
        let conditions = self.conditions(case)?;
        if conditions.is_empty() || !self.is_light(expr)? {
            return Ok(None);
        }
        let mut args = Vec::with_capacity(2 * conditions.len() + 1);
        for (condition, (_, result)) in conditions.into_iter().zip(&case.when_then_expr) {
            args.extend([condition, result.as_ref().clone()]);
        }
        args.extend(case.else_expr.as_deref().cloned());
        let result_type = self.engine_type_of(expr)?;
        for result in args.iter().skip(1).step_by(2).chain(case.else_expr.as_deref()) {
            if self.engine_type_of(result)? != result_type {
                return Ok(None);
            }
        }
        let kernel = scalar::choice(&result_type, case.else_expr.is_some());
        Ok(kernel.map(|kernel| NativeCall { key: format!("case of {}", args.len()), kernel, args }))
    }

    /// Whether no part of a CASE can fail or costs more than a few cycles a row.
    pub(super) fn is_light(&self, expr: &Expr) -> Result<bool> {
        Ok(match expr {
            Expr::Column(_) | Expr::Literal(..) => true,
            Expr::Alias(alias) => self.is_light(&alias.expr)?,
            // Their kernels never fail; asking for one would ask the same of their parts again.
            Expr::Case(_) | Expr::Not(_) | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::Between(_) => {
                !self.any_child(expr, |child| Ok(!self.is_light(child)?))?
            }
            Expr::BinaryExpr(binary) if binary_op(binary.op).is_none() => false,
            Expr::BinaryExpr(_) | Expr::Negative(_) | Expr::Cast(_) => {
                !self.any_child(expr, |child| Ok(!self.is_light(child)?))? && self.is_cheap_and_safe(expr)?
            }
            _ => false,
        })
    }

    /// Each condition as one of its own; none where they cannot be written so.
    fn conditions(&self, case: &Case) -> Result<Vec<Expr>> {
        let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref().clone());
        let conditions: Vec<Expr> = match &case.expr {
            Some(base) if base.is_volatile() => return Ok(Vec::new()),
            Some(base) => whens.map(|when| base.as_ref().clone().eq(when)).collect(),
            None => whens.collect(),
        };
        for condition in &conditions {
            if self.engine_type_of(condition)? != DataType::Boolean {
                return Ok(Vec::new());
            }
        }
        Ok(conditions)
    }

    fn table_call(&self, expr: &Expr, case: &Case) -> Result<Option<NativeCall>> {
        let Some(table) = Table::of(case).filter(|table| table.values.len() >= TABLE_VALUES_MIN) else {
            return Ok(None);
        };
        let (on_type, result_type) = (self.engine_type_of(table.on)?, self.engine_type_of(expr)?);
        let Some(values) = column_of(&table.values, &on_type)? else { return Ok(None) };
        let Some(results) = column_of(&table.results, &result_type)? else { return Ok(None) };
        let key = format!("table {:?} {:?}", table.values, table.results);
        let kernel = scalar::lookup(&values, &results);
        Ok(kernel.map(|kernel| NativeCall { key, kernel, args: vec![table.on.clone()] }))
    }

    /// The steps of a CASE whose branches are computed for the rows that take them; `None`: DataFusion does.
    pub(super) fn branches(&mut self, expr: &Expr) -> Result<Option<Value>> {
        match expr {
            Expr::Case(case) => self.case_branches(expr, case),
            Expr::BinaryExpr(binary) if self.is_lazy(expr)? => self.connective(expr, binary),
            _ => Ok(None),
        }
    }

    fn case_branches(&mut self, expr: &Expr, case: &Case) -> Result<Option<Value>> {
        let result_type = self.engine_type_of(expr)?;
        if !scalar::can_choose(&result_type) || self.conditions(case)?.is_empty() {
            return Ok(None);
        }
        // What all branches compare with is computed once.
        let (given, base) = match case.expr.as_deref() {
            Some(base) if !matches!(base, Expr::Column(_)) => {
                let given = Given::new(self, base)?;
                let column = given.column.clone();
                (Some(given), Some(column))
            }
            base => (None, base.cloned()),
        };
        let columns = given.as_ref().map_or(self.columns, |given| &given.columns);
        let part = |expr: &Expr, data_type: &DataType| -> Result<Program> {
            let mut expressions = Expressions::new(columns);
            expressions.output_as(expr, data_type)?;
            Ok(expressions.builder.finish())
        };
        let mut parts = Vec::new();
        for (when, then) in &case.when_then_expr {
            let condition = match &base {
                Some(base) => base.clone().eq(when.as_ref().clone()),
                None => when.as_ref().clone(),
            };
            parts.push(part(&condition, &DataType::Boolean)?);
            parts.push(part(then, &result_type)?);
        }
        if let Some(otherwise) = &case.else_expr {
            parts.push(part(otherwise, &result_type)?);
        }
        let given = given.as_ref().map(|given| (given.input, given.operand));
        self.add_branches(expr, parts, given, result_type)
    }

    /// `a AND b`, `a OR b`: the right side is looked at where the left one does not decide, or the dear one where the
    /// cheap one does not.
    fn connective(&mut self, expr: &Expr, binary: &BinaryExpr) -> Result<Option<Value>> {
        let Some(op) = binary_op(binary.op) else { return Ok(None) };
        let Some(kernel) = scalar::binary(op, &DataType::Boolean, &DataType::Boolean) else { return Ok(None) };
        let (first, second) = match self.dearer_side(binary)? {
            Some(Side::Left) => (&binary.right, &binary.left),
            _ => (&binary.left, &binary.right),
        };
        let given = Given::new(self, first)?;
        let is_and = binary.op == Operator::And;
        let mut decided = Expressions::new(&given.columns);
        decided.output(&if is_and { !given.column.clone() } else { given.column.clone() })?;
        let mut value = Expressions::new(&given.columns);
        value.output(&lit(!is_and))?;
        let mut both = Expressions::new(&given.columns);
        let (left, right) = (both.compile(&given.column)?, both.compile(second)?);
        let right = both.convert(right, &DataType::Boolean)?;
        let operand = both.builder.step(op.symbol().to_string(), kernel, vec![left.operand, right.operand]);
        both.builder.output(operand, DataType::Boolean);
        let parts = [decided, value, both].map(|part| part.builder.finish()).to_vec();
        self.add_branches(expr, parts, Some((given.input, given.operand)), DataType::Boolean)
    }

    /// Adds the step of a kernel with these parts, conditions and results in turn, over the columns that they read.
    fn add_branches(
        &mut self,
        expr: &Expr,
        mut parts: Vec<Program>,
        given: Option<(usize, Operand)>,
        result_type: DataType,
    ) -> Result<Option<Value>> {
        let mut inputs: Vec<usize> = parts.iter().flat_map(Program::inputs).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let names: Vec<String> = inputs.iter().map(|input| self.columns.name_of_input(*input)).collect();
        for part in &mut parts {
            part.renumber_inputs(|input| inputs.iter().position(|known| *known == input).expect("collected above"));
            part.names.clone_from(&names);
        }
        let mut parts = parts.into_iter().map(Arc::new);
        let (mut branches, mut otherwise) = (Vec::new(), None::<Part>);
        while let Some(first) = parts.next() {
            match parts.next() {
                Some(result) => branches.push(Branch { condition: first, result }),
                None => otherwise = Some(first),
            }
        }
        let Some(kernel) = Branches::new(branches, otherwise, result_type.clone()) else { return Ok(None) };
        let arg = |input: usize| match given {
            Some((number, given)) if input == number => given,
            _ => Operand::Input(input),
        };
        let args = inputs.into_iter().map(arg).collect();
        let operand = self.builder.step(format!("branches {expr:?}"), Arc::new(kernel) as Arc<dyn ScalarKernel>, args);
        Ok(Some(Value { operand, data_type: result_type }))
    }
}

/// A part that is computed for all rows before the branches, and the columns with it among them.
struct Given {
    columns: Columns,
    column: Expr,
    operand: Operand,
    /// Its number among the inputs of branches: above that of every column, and of what was given further out.
    input: usize,
}

impl Given {
    fn new(expressions: &mut Expressions<'_>, expr: &Expr) -> Result<Given> {
        let value = expressions.compile(expr)?;
        let mut columns = expressions.columns.clone();
        // A name that no query can write, and that no value given around this one has.
        let name = format!("\u{0}{} {expr}", columns.slots.len());
        let field = Arc::new(Field::new(&name, value.data_type.clone(), true));
        let given = DFSchema::new_with_metadata(vec![(None, field)], Default::default()).map_err(bridge::foreign)?;
        columns.schema = columns.schema.join(&given).map_err(bridge::foreign)?;
        let input = usize::MAX / 2 + columns.slots.len();
        columns.slots.push(Slot::Input { index: input, data_type: value.data_type });
        Ok(Given { input, columns, column: Expr::Column(Column::new_unqualified(name)), operand: value.operand })
    }
}

impl<'e> Table<'e> {
    /// The table that a CASE is, if it compares one thing with given values only.
    fn of(case: &'e Case) -> Option<Table<'e>> {
        let mut table: Option<Table<'e>> = None;
        for (when, then) in &case.when_then_expr {
            let Expr::Literal(result, _) = then.as_ref() else { return None };
            let (on, values) = match &case.expr {
                Some(base) => (base.as_ref(), vec![literal(when)?]),
                None => compared(when)?,
            };
            let table = table.get_or_insert_with(|| Table { on, values: Vec::new(), results: Vec::new() });
            if table.on != on {
                return None;
            }
            // Nothing equals a null.
            for value in values.into_iter().filter(|value| !value.is_null()) {
                table.values.push(value);
                table.results.push(result);
            }
        }
        let mut table = table.filter(|table| !table.on.is_volatile() && !matches!(table.on, Expr::Literal(..)))?;
        table.results.push(match &case.else_expr {
            Some(otherwise) => literal(otherwise)?,
            None => &ScalarValue::Null,
        });
        Some(table)
    }
}

/// `x = 1`, `x IN (1, 2)`, or several of that with OR between: what is compared, and with what.
fn compared(condition: &Expr) -> Option<(&Expr, Vec<&ScalarValue>)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => match (literal(left), literal(right)) {
            (None, Some(value)) => Some((left, vec![value])),
            (Some(value), None) => Some((right, vec![value])),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((on, mut values), (other, more)) = (compared(left)?, compared(right)?);
            values.extend(more);
            (on == other).then_some((on, values))
        }
        Expr::InList(list) if !list.negated => {
            Some((&list.expr, list.list.iter().map(literal).collect::<Option<_>>()?))
        }
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// Values as a column of this type; `None` where one is of another.
fn column_of(values: &[&ScalarValue], data_type: &DataType) -> Result<Option<ArrayRef>> {
    let mut arrays = Vec::with_capacity(values.len());
    for value in values {
        arrays.push(if value.is_null() { new_null_array(data_type, 1) } else { engine_value(value)? });
    }
    if arrays.is_empty() || arrays.iter().any(|array| array.data_type() != data_type) {
        return Ok(None);
    }
    Ok(Some(concat(&arrays.iter().map(|array| array.as_ref() as &dyn Array).collect::<Vec<_>>())?))
}
