//! How many rows a plan gives, by what is known of its tables: a guess, to choose an order and a side by.
//!
//! Source      Selinger et al. 1979; a column's domain is not narrowed by filters, so that a join with a filtered key
//!             side keeps the share of rows that the filter keeps (containment).

use arrow::datatypes::DataType;
use datafusion_common::{Column, JoinType, ScalarValue};
use datafusion_expr::expr::{InList, Like};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Distinct, Expr, Join, LogicalPlan, Operator, TableScan};

use crate::sql::catalog::CatalogTable;

/// Rows of a table of which nothing is known.
const ROWS_UNKNOWN: f64 = 100_000.0;
/// Share of rows that pass an equality with one value, where the column's values are not known.
const EQUAL: f64 = 0.05;
/// The same for an order comparison, and for a condition of an unknown kind.
const RANGE: f64 = 0.33;
const LIKE: f64 = 0.1;
/// The least share that a range is thought to leave.
const SHARE_MIN: f64 = 0.001;
/// The share of groups that pass a condition on an aggregate: HAVING mostly looks for the few.
const HAVING: f64 = 0.1;

/// What is known or guessed of a plan's rows.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub rows: f64,
    /// One per column of the plan.
    pub columns: Vec<ColumnStatistics>,
}

/// What is known or guessed of a column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnStatistics {
    /// How many values there are, before any filter.
    pub domain: f64,
    /// How many rows the table has that it comes from.
    pub table_rows: f64,
    /// Its least and greatest value, where it is a number or a time.
    pub range: Option<(f64, f64)>,
}

impl Statistics {
    /// The statistics of a plan.
    pub fn of(plan: &LogicalPlan) -> Statistics {
        match plan {
            LogicalPlan::TableScan(scan) => Self::of_scan(scan),
            LogicalPlan::Filter(filter) => {
                let input = Self::of(&filter.input);
                let share = match filter.input.as_ref() {
                    LogicalPlan::Aggregate(_) => HAVING,
                    plan => share(&filter.predicate, plan, &input),
                };
                Statistics { rows: at_least_one(input.rows * share), ..input }
            }
            LogicalPlan::Projection(projection) => {
                let input = Self::of(&projection.input);
                let column = |expr: &Expr| input.column(expr, &projection.input).unwrap_or(input.unknown());
                Statistics { rows: input.rows, columns: projection.expr.iter().map(column).collect() }
            }
            LogicalPlan::Aggregate(aggregate) => {
                let input = Self::of(&aggregate.input);
                let keys = aggregate.group_expr.iter();
                let keys: Vec<ColumnStatistics> =
                    keys.map(|key| input.column(key, &aggregate.input).unwrap_or(input.unknown())).collect();
                let groups = keys.iter().map(|key| key.domain).product::<f64>().min(input.rows);
                let mut columns = keys;
                columns.resize(plan.schema().fields().len(), unknown(groups));
                for column in &mut columns {
                    column.domain = column.domain.min(groups);
                    column.table_rows = groups;
                }
                Statistics { rows: at_least_one(groups), columns }
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = Self::of(input);
                let groups = input.columns.iter().map(|column| column.domain).product::<f64>().min(input.rows);
                Statistics { rows: at_least_one(groups), ..input }
            }
            LogicalPlan::Limit(limit) => {
                let input = Self::of(&limit.input);
                let fetch = limit.get_fetch_type().ok().and_then(|fetch| match fetch {
                    datafusion_expr::FetchType::Literal(rows) => rows,
                    datafusion_expr::FetchType::UnsupportedExpr => None,
                });
                Statistics { rows: fetch.map_or(input.rows, |fetch| input.rows.min(fetch as f64)), ..input }
            }
            LogicalPlan::Union(union) => {
                let inputs: Vec<Statistics> = union.inputs.iter().map(|input| Self::of(input)).collect();
                let rows = inputs.iter().map(|input| input.rows).sum();
                Self::unknown_columns(rows, plan)
            }
            LogicalPlan::Join(join) => Self::of_join(join),
            LogicalPlan::Values(values) => Self::unknown_columns(values.values.len() as f64, plan),
            LogicalPlan::EmptyRelation(_) => Self::unknown_columns(1.0, plan),
            _ => match plan.inputs()[..] {
                [input] => {
                    let input = Self::of(input);
                    if input.columns.len() == plan.schema().fields().len() {
                        input
                    } else {
                        Self::unknown_columns(input.rows, plan)
                    }
                }
                _ => Self::unknown_columns(ROWS_UNKNOWN, plan),
            },
        }
    }

    fn unknown_columns(rows: f64, plan: &LogicalPlan) -> Statistics {
        Statistics { rows: at_least_one(rows), columns: vec![unknown(rows); plan.schema().fields().len()] }
    }

    fn unknown(&self) -> ColumnStatistics {
        unknown(self.rows)
    }

    fn of_scan(scan: &TableScan) -> Statistics {
        let Some(table) = scan.source.downcast_ref::<CatalogTable>() else {
            return Self::unknown_columns(ROWS_UNKNOWN, &LogicalPlan::TableScan(scan.clone()));
        };
        let rows = table.table.row_count().map_or(ROWS_UNKNOWN, |rows| rows as f64);
        let schema = scan.source.schema();
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let column = |&column: &usize| {
            let range = table.table.column_range(column).map(|(least, greatest)| (least as f64, greatest as f64));
            let whole =
                schema.field(column).data_type().is_integer() || schema.field(column).data_type() == &DataType::Date32;
            let spread = range.filter(|_| whole).map_or(f64::MAX, |(least, greatest)| greatest - least + 1.0);
            let distinct = table.table.distinct_count(column).map_or(f64::MAX, |count| count as f64);
            ColumnStatistics { domain: at_least_one(rows.min(spread).min(distinct)), table_rows: rows, range }
        };
        let columns = scan.projection.as_ref().unwrap_or(&all).iter().map(column).collect();
        let fetch = scan.fetch.map_or(f64::MAX, |fetch| fetch as f64);
        Statistics { rows: at_least_one(rows.min(fetch)), columns }
    }

    fn of_join(join: &Join) -> Statistics {
        let (left, right) = (Self::of(&join.left), Self::of(&join.right));
        let keys: Vec<(Option<ColumnStatistics>, Option<ColumnStatistics>)> =
            join.on.iter().map(|(l, r)| (left.column(l, &join.left), right.column(r, &join.right))).collect();
        let pairs = pairs(&left, &right, &keys) * join.filter.as_ref().map_or(1.0, |_| RANGE);
        // The share of left rows that have a match: of the values there are, those that the right side has.
        let matched = |from: &Statistics, to: &Statistics| {
            if keys.is_empty() {
                RANGE
            } else {
                (pairs / from.rows.max(1.0)).min(to.rows / domain(&keys, from, to)).min(1.0)
            }
        };
        let rows = match join.join_type {
            JoinType::Inner => pairs,
            JoinType::Left => pairs.max(left.rows),
            JoinType::Right => pairs.max(right.rows),
            JoinType::Full => pairs.max(left.rows + right.rows),
            JoinType::LeftSemi => left.rows * matched(&left, &right),
            JoinType::RightSemi => right.rows * matched(&right, &left),
            JoinType::LeftAnti => left.rows * (1.0 - matched(&left, &right)).max(0.1),
            JoinType::RightAnti => right.rows * (1.0 - matched(&right, &left)).max(0.1),
            JoinType::LeftMark => left.rows,
            JoinType::RightMark => right.rows,
        };
        let mut columns = match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns,
            _ => left.columns.into_iter().chain(right.columns).collect(),
        };
        columns.resize(join.schema.fields().len(), unknown(2.0));
        Statistics { rows: at_least_one(rows), columns }
    }

    /// What is known of an expression over the plan's columns, when it is nothing but one of them.
    pub fn column(&self, expr: &Expr, plan: &LogicalPlan) -> Option<ColumnStatistics> {
        match expr {
            Expr::Alias(alias) => self.column(&alias.expr, plan),
            Expr::Cast(cast) => self.column(&cast.expr, plan),
            Expr::Column(column) => self.of_column(column, plan),
            _ => None,
        }
    }

    fn of_column(&self, column: &Column, plan: &LogicalPlan) -> Option<ColumnStatistics> {
        plan.schema().maybe_index_of_column(column).and_then(|index| self.columns.get(index).copied())
    }
}

/// How many pairs of rows have equal keys; keys that are no columns are `None`.
pub fn pairs(
    left: &Statistics,
    right: &Statistics,
    keys: &[(Option<ColumnStatistics>, Option<ColumnStatistics>)],
) -> f64 {
    if keys.is_empty() {
        return left.rows * right.rows;
    }
    at_least_one(left.rows * right.rows / domain(keys, left, right))
}

/// How many keys there are: of both sides' domains the smaller one, for mostly it is the key that the other refers to.
fn domain(keys: &[(Option<ColumnStatistics>, Option<ColumnStatistics>)], left: &Statistics, right: &Statistics) -> f64 {
    let side = |of: &dyn Fn(usize) -> Option<ColumnStatistics>, statistics: &Statistics| {
        let columns: Vec<ColumnStatistics> =
            (0..keys.len()).map(|key| of(key).unwrap_or(statistics.unknown())).collect();
        let rows = columns.iter().map(|column| column.table_rows).fold(1.0, f64::max);
        columns.iter().map(|column| column.domain).product::<f64>().min(rows)
    };
    at_least_one(side(&|key| keys[key].0, left).min(side(&|key| keys[key].1, right)))
}

/// The share of rows for which a condition over the plan's columns is true.
pub fn share(predicate: &Expr, plan: &LogicalPlan, statistics: &Statistics) -> f64 {
    let mut product = 1.0;
    // Bounds of one column from both sides are a range: each for itself would say far too much.
    let mut bounds: Vec<(&Expr, f64, f64)> = Vec::new();
    for conjunct in split_conjunction(predicate) {
        match bound(conjunct, plan, statistics) {
            None => product *= share_of(conjunct, plan, statistics),
            Some((column, from, to)) => match bounds.iter_mut().find(|(known, ..)| *known == column) {
                None => bounds.push((column, from, to)),
                Some((_, known_from, known_to)) => (*known_from, *known_to) = (known_from.max(from), known_to.min(to)),
            },
        }
    }
    bounds.iter().fold(product, |product, (_, from, to)| product * (to - from).max(SHARE_MIN))
}

/// What a comparison of a column with a constant leaves of the column's range, as shares of it.
fn bound<'a>(expr: &'a Expr, plan: &LogicalPlan, statistics: &Statistics) -> Option<(&'a Expr, f64, f64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let (column, op, constant) = match (is_constant(left), is_constant(right)) {
        (false, true) => (left, *op, right),
        (true, false) => (right, op.swap()?, left),
        _ => return None,
    };
    let share = below(column, constant, plan, statistics)?;
    match op {
        Operator::Lt | Operator::LtEq => Some((column, 0.0, share)),
        Operator::Gt | Operator::GtEq => Some((column, share, 1.0)),
        _ => None,
    }
}

fn share_of(expr: &Expr, plan: &LogicalPlan, statistics: &Statistics) -> f64 {
    let equal = |column: &Expr| statistics.column(column, plan).map_or(EQUAL, |known| equal_share(&known));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => share_of(left, plan, statistics) * share_of(right, plan, statistics),
            Operator::Or => {
                let (left, right) = (share_of(left, plan, statistics), share_of(right, plan, statistics));
                left + right - left * right
            }
            Operator::Eq => {
                if is_constant(right) {
                    equal(left)
                } else {
                    equal(right)
                }
            }
            Operator::NotEq => 1.0 - equal(left),
            Operator::Lt | Operator::LtEq => below(left, right, plan, statistics).unwrap_or(RANGE),
            Operator::Gt | Operator::GtEq => below(left, right, plan, statistics).map_or(RANGE, |share| 1.0 - share),
            Operator::LikeMatch | Operator::ILikeMatch | Operator::RegexMatch => LIKE,
            _ => RANGE,
        },
        Expr::Not(inner) => 1.0 - share_of(inner, plan, statistics),
        // Joins ask for it of every key, and keys are seldom null.
        Expr::IsNotNull(_) | Expr::IsNotFalse(_) => 0.99,
        Expr::IsNull(_) => EQUAL,
        Expr::Like(Like { negated, .. }) | Expr::SimilarTo(Like { negated, .. }) => negate(LIKE, *negated),
        Expr::InList(InList { expr, list, negated }) => negate((equal(expr) * list.len() as f64).min(0.9), *negated),
        Expr::Between(between) => {
            let low = below(&between.expr, &between.low, plan, statistics);
            let high = below(&between.expr, &between.high, plan, statistics);
            let share = low.zip(high).map_or(RANGE * RANGE, |(low, high)| (high - low).max(0.0));
            negate(share, between.negated)
        }
        Expr::Literal(ScalarValue::Boolean(Some(value)), _) => {
            if *value {
                1.0
            } else {
                0.0
            }
        }
        _ => RANGE,
    }
}

/// A column of strings or floats whose domain is only known to be no larger than its table says little of one value.
fn equal_share(column: &ColumnStatistics) -> f64 {
    if column.range.is_some() || column.domain < column.table_rows { 1.0 / column.domain } else { EQUAL }
}

/// The share of rows below a constant, by the column's range.
fn below(left: &Expr, right: &Expr, plan: &LogicalPlan, statistics: &Statistics) -> Option<f64> {
    if is_constant(left) && !is_constant(right) {
        return below(right, left, plan, statistics).map(|share| 1.0 - share);
    }
    let (least, greatest) = statistics.column(left, plan)?.range?;
    let value = number(right)?;
    Some(((value - least) / (greatest - least).max(1.0)).clamp(SHARE_MIN, 1.0 - SHARE_MIN))
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        _ => false,
    }
}

/// A constant in the unit of ranges: numbers as they are, times in ticks of their type.
fn number(expr: &Expr) -> Option<f64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value {
        ScalarValue::Date32(Some(days)) => Some(*days as f64),
        ScalarValue::TimestampSecond(Some(ticks), _)
        | ScalarValue::TimestampMillisecond(Some(ticks), _)
        | ScalarValue::TimestampMicrosecond(Some(ticks), _)
        | ScalarValue::TimestampNanosecond(Some(ticks), _) => Some(*ticks as f64),
        ScalarValue::Int64(Some(value)) => Some(*value as f64),
        ScalarValue::Int32(Some(value)) => Some(*value as f64),
        ScalarValue::Int16(Some(value)) => Some(*value as f64),
        ScalarValue::Int8(Some(value)) => Some(*value as f64),
        ScalarValue::UInt64(Some(value)) => Some(*value as f64),
        ScalarValue::UInt32(Some(value)) => Some(*value as f64),
        ScalarValue::UInt16(Some(value)) => Some(*value as f64),
        ScalarValue::UInt8(Some(value)) => Some(*value as f64),
        ScalarValue::Decimal128(Some(value), ..) => Some(*value as f64),
        _ => None,
    }
}

fn negate(share: f64, negated: bool) -> f64 {
    if negated { 1.0 - share } else { share }
}

fn unknown(rows: f64) -> ColumnStatistics {
    ColumnStatistics { domain: at_least_one(rows), table_rows: at_least_one(rows), range: None }
}

fn at_least_one(rows: f64) -> f64 {
    rows.max(1.0)
}
