//! `FROM UNNEST(a, b) [WITH ORDINALITY] AS t (x, y)` and `FROM generate_series(1, 10)`.
//!
//! ```text
//! Projection: a AS x, b AS y
//!   Unnest: a, b                     side by side; the ordinality is one more list, 1 to the length of the longest
//!     Projection: a, b
//!       EmptyRelation: one row       what the lists are made of is LATERAL: columns of the tables before
//! ```

use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchema, NullHandling, UnnestOptions};
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use sqlparser::ast::{self, TableAlias};

use super::define::normalize;
use super::functions::FUNCTIONS;
use crate::batch::engine_type;
use crate::error::{Error, Result};
use crate::sql::error::from_datafusion;

/// Functions that make a list, which FROM takes apart.
pub(super) const SERIES: &[&str] = &["generate_series", "range"];

/// Lists in FROM: a row for each of their elements, and where it stands in them if `with_ordinality`.
///
/// A list of structs has a column for each field where the alias names as many.
pub(super) fn plan(
    lists: Vec<ast::Expr>,
    with_ordinality: bool,
    default_name: &str,
    alias: Option<&TableAlias>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let nothing = DFSchema::empty();
    let lists = lists.into_iter().map(|list| context.sql_to_expr(list, &nothing).map_err(from_datafusion));
    let lists = lists.collect::<Result<Vec<Expr>>>()?;
    let (mut elements, mut taken) = (Vec::new(), Vec::new());
    for list in lists {
        let data_type = list.get_type(&nothing).map_err(from_datafusion)?;
        // Views of lists are read as lists, and a struct as a list of one, whose fields are columns in any case.
        let list = match &data_type {
            DataType::ListView(_) | DataType::LargeListView(_) => cast(list, engine_type(&data_type)),
            DataType::Struct(_) => FUNCTIONS.scalars["make_array"].call(vec![list]),
            _ => list,
        };
        match list.get_type(&nothing).map_err(from_datafusion)? {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                elements.push(element.data_type().clone());
            }
            DataType::Null => elements.push(DataType::Null),
            other => {
                let shown = list.human_display();
                return Err(Error::user(format!("UNNEST in FROM takes lists and structs, not {other}: {shown}")));
            }
        }
        taken.push((list, matches!(data_type, DataType::Struct(_))));
    }
    let (lists, of_struct): (Vec<Expr>, Vec<bool>) = taken.into_iter().unzip();
    if lists.is_empty() {
        return Err(Error::user("UNNEST takes at least one list"));
    }
    let names = Names { alias, default_name, with_ordinality, of_struct };
    build(lists, &elements, &names).map_err(from_datafusion)
}

/// What the columns are called.
struct Names<'a> {
    alias: Option<&'a TableAlias>,
    default_name: &'a str,
    with_ordinality: bool,
    /// Which of the lists is a struct alone.
    of_struct: Vec<bool>,
}

impl Names<'_> {
    fn given(&self) -> usize {
        self.alias.map_or(0, |alias| alias.columns.len())
    }

    /// The name of the only column: the table's, as in `FROM UNNEST(xs) AS x`.
    fn single(&self) -> String {
        match self.alias.filter(|alias| alias.columns.is_empty()) {
            Some(alias) => normalize(&alias.name),
            None => self.default_name.to_string(),
        }
    }
}

fn build(lists: Vec<Expr>, elements: &[DataType], names: &Names<'_>) -> datafusion_common::Result<LogicalPlan> {
    let count = lists.len();
    let placeholder = |at: usize| Column::new_unqualified(format!("__unnest_{at}"));
    let ordinality = names.with_ordinality.then(|| ordinals(&lists)).transpose()?;
    let columns = lists.into_iter().chain(ordinality).enumerate();
    let columns: Vec<Expr> = columns.map(|(at, list)| list.alias(&placeholder(at).name)).collect();
    let taken = (0..columns.len()).map(placeholder).collect();
    let options = UnnestOptions::new().with_null_handling(NullHandling::Drop);
    let unnested = LogicalPlanBuilder::empty(true).project(columns)?.unnest_columns_with_options(taken, options)?;
    let mut exprs: Vec<Expr> = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        let column = Expr::Column(placeholder(at));
        match element {
            DataType::Struct(fields) if names.of_struct[at] || wants_fields(names, elements) => {
                let get_field = &FUNCTIONS.scalars["get_field"];
                let field = |name: &str| get_field.call(vec![column.clone(), lit(name)]).alias(name);
                exprs.extend(fields.iter().map(|of| field(of.name())));
            }
            _ if count == 1 => exprs.push(column.alias(names.single())),
            _ if at == 0 => exprs.push(column.alias(names.default_name)),
            _ => exprs.push(column.alias(format!("{}_{}", names.default_name, at + 1))),
        }
    }
    if names.with_ordinality {
        exprs.push(Expr::Column(placeholder(count)).alias("ordinality"));
    }
    unnested.project(exprs)?.build()
}

/// Whether the alias has a name for each field of the structs in the lists.
fn wants_fields(names: &Names<'_>, elements: &[DataType]) -> bool {
    let width = |element: &DataType| if let DataType::Struct(fields) = element { fields.len() } else { 1 };
    let all: usize = elements.iter().map(width).sum();
    all != elements.len() && names.given() == all + usize::from(names.with_ordinality)
}

/// 1 to the length of the longest list.
fn ordinals(lists: &[Expr]) -> datafusion_common::Result<Expr> {
    let scalars = &FUNCTIONS.scalars;
    let length = |list: &Expr| {
        let length = cast(scalars["array_length"].call(vec![list.clone()]), DataType::Int64);
        scalars["coalesce"].call(vec![length, lit(0_i64)])
    };
    let lengths: Vec<Expr> = lists.iter().map(length).collect();
    let longest = if lengths.len() == 1 { lengths[0].clone() } else { scalars["greatest"].call(lengths) };
    Ok(scalars["generate_series"].call(vec![lit(1_i64), longest]))
}
