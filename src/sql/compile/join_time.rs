//! How far apart the rows of a pair are in time, read off a join's conditions in whatever form they are written.
//!
//! ```text
//! b.ts BETWEEN a.ts - INTERVAL '5' SECOND AND a.ts + INTERVAL '1' MINUTE     -5s <= b.ts - a.ts <= 1m
//! a.ts <= b.ts AND b.ts - a.ts < INTERVAL '1' MINUTE                         0 <= b.ts - a.ts <= 1m less a tick
//! a.window_end = b.window_end                                                0 <= ... <= 0
//! ```

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_expr::expr::{Between, Cast};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, Operator};

use super::Compiler;
use super::columns::Columns;
use crate::pipeline::{NodeId, TimeBound, TimeColumn, WindowColumn, ticks_per_second, time_unit};

/// A time bound, and the conditions it leaves over.
pub(super) struct Bounded {
    pub bound: TimeBound,
    pub rest: Vec<Expr>,
}

/// A sum of time columns and a number of ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Linear {
    left: Option<(usize, i8)>,
    right: Option<(usize, i8)>,
    ticks: i64,
}

impl Compiler {
    /// The columns of a node that tell when rows before a time no longer come.
    pub(super) fn time_columns(&self, node: NodeId) -> Vec<TimeColumn> {
        let plain = |column: usize| TimeColumn { column, shift: 0, checks_lateness: true };
        let mut found: Vec<TimeColumn> = Vec::new();
        if let Some(closed) = self.closed.get(&node) {
            for (column, which) in closed.columns.iter().enumerate() {
                let shift = match which {
                    None => continue,
                    Some(WindowColumn::Start) => match closed.kind.size_ticks() {
                        Some(size) => size - 1,
                        None => continue,
                    },
                    Some(WindowColumn::End) => -1,
                    Some(WindowColumn::Time) => 0,
                };
                found.push(TimeColumn { column, shift, checks_lateness: false });
            }
        }
        let own = &self.nodes[node];
        let times = own.time.iter().map(|time| time.column);
        found.extend(times.chain(self.other_times.get(&node).into_iter().flatten().copied()).map(plain));
        if own.bounded && own.time.is_none() {
            // Nothing comes after its end, and nothing is known before.
            let times = own.schema.fields().iter().enumerate();
            let times = times.filter(|(_, field)| time_unit(field.data_type()).is_some());
            found.extend(times.map(|(column, _)| TimeColumn { column, shift: 0, checks_lateness: false }));
        }
        found
    }

    /// The time between the rows of a pair, where both sides' rows can be forgotten by it.
    ///
    /// `on` are pairs of equal expressions, `conditions` what a pair must fulfil as well.
    pub(super) fn time_bound(
        &self,
        [left, right]: [NodeId; 2],
        columns: &[Columns; 2],
        on: &[(Expr, Expr)],
        conditions: &[Expr],
    ) -> Option<Bounded> {
        let (left_times, right_times) = (self.time_columns(left), self.time_columns(right));
        let type_of = |node: NodeId, column: usize| self.nodes[node].schema.field(column).data_type();
        let mut best: Option<(usize, Bounded)> = None;
        for left_time in &left_times {
            let data_type = type_of(left, left_time.column);
            for right_time in right_times.iter().filter(|time| type_of(right, time.column) == data_type) {
                let reader = Reader { columns, data_type, left: left_time.column, right: right_time.column };
                let Some((lower, upper, rest)) = reader.bounds(on, conditions) else { continue };
                let bound = TimeBound { left: *left_time, right: *right_time, lower, upper, hold: 0 };
                let ends = usize::from(lower.is_some()) + usize::from(upper.is_some());
                if best.as_ref().is_none_or(|(known, _)| *known < ends) {
                    best = Some((ends, Bounded { bound, rest }));
                }
            }
        }
        best.map(|(_, bounded)| bounded)
    }
}

/// Reads conditions on two time columns.
struct Reader<'a> {
    columns: &'a [Columns; 2],
    data_type: &'a DataType,
    left: usize,
    right: usize,
}

impl Reader<'_> {
    /// The bounds of `right - left`, and the conditions that say something else; `None` without any bound.
    fn bounds(&self, on: &[(Expr, Expr)], conditions: &[Expr]) -> Option<(Option<i64>, Option<i64>, Vec<Expr>)> {
        let (mut lower, mut upper, mut rest) = (None::<i64>, None::<i64>, Vec::new());
        let mut narrow = |low: Option<i64>, high: Option<i64>| {
            lower = low.map_or(lower, |low| Some(lower.map_or(low, |known| known.max(low))));
            upper = high.map_or(upper, |high| Some(upper.map_or(high, |known| known.min(high))));
        };
        for (left, right) in on {
            if let Some((low, high)) = self.compared(left, Operator::Eq, right) {
                narrow(low, high);
            }
        }
        for conjunct in conditions.iter().flat_map(split_conjunction) {
            match self.condition(conjunct) {
                Some((low, high)) => narrow(low, high),
                None => rest.push(conjunct.clone()),
            }
        }
        (lower.is_some() || upper.is_some()).then_some((lower, upper, rest))
    }

    fn condition(&self, expr: &Expr) -> Option<(Option<i64>, Option<i64>)> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.compared(left, *op, right),
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let (low_a, high_a) = self.compared(expr, Operator::GtEq, low)?;
                let (low_b, high_b) = self.compared(expr, Operator::LtEq, high)?;
                Some((low_a.or(low_b), high_a.or(high_b)))
            }
            _ => None,
        }
    }

    /// What a comparison says of `right - left`.
    fn compared(&self, a: &Expr, op: Operator, b: &Expr) -> Option<(Option<i64>, Option<i64>)> {
        let sum = self.linear(a)?.minus(self.linear(b)?)?;
        let (op, ticks) = match (sum.left?.1, sum.right?.1) {
            // right - left + ticks op 0
            (-1, 1) => (op, sum.ticks.checked_neg()?),
            // left - right + ticks op 0
            (1, -1) => (op.swap()?, sum.ticks),
            _ => return None,
        };
        match op {
            Operator::Eq => Some((Some(ticks), Some(ticks))),
            Operator::GtEq => Some((Some(ticks), None)),
            Operator::Gt => Some((Some(ticks.checked_add(1)?), None)),
            Operator::LtEq => Some((None, Some(ticks))),
            Operator::Lt => Some((None, Some(ticks.checked_sub(1)?))),
            _ => None,
        }
    }

    fn linear(&self, expr: &Expr) -> Option<Linear> {
        match expr {
            Expr::Alias(alias) => self.linear(&alias.expr),
            Expr::Column(_) => self.column(expr),
            Expr::Literal(value, _) => Some(Linear { ticks: self.ticks(value)?, ..Linear::default() }),
            Expr::Negative(inner) => Linear::default().minus(self.linear(inner)?),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
                self.linear(left)?.minus(self.linear(right)?)
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
                self.linear(left)?.minus(Linear::default().minus(self.linear(right)?)?)
            }
            // A cast of a difference, or to the type that the column has anyway.
            Expr::Cast(Cast { expr, field }) => {
                let to = field.data_type();
                let same = to == self.data_type || matches!(to, DataType::Interval(_) | DataType::Duration(_));
                self.linear(expr).filter(|_| same)
            }
            _ => None,
        }
    }

    fn column(&self, expr: &Expr) -> Option<Linear> {
        if self.columns[0].plain(expr) == Some(self.left) {
            return Some(Linear { left: Some((self.left, 1)), ..Linear::default() });
        }
        let right = self.columns[1].plain(expr) == Some(self.right);
        right.then(|| Linear { right: Some((self.right, 1)), ..Linear::default() })
    }

    /// A span of time in ticks of the columns' unit, where it is a whole number of them whatever the day.
    fn ticks(&self, value: &ScalarValue) -> Option<i64> {
        let DataType::Timestamp(unit, zone) = self.data_type else { return None };
        let day_ns = match zone.as_deref() {
            None | Some("UTC" | "+00:00" | "Z") => Some(86_400_000_000_000_i128),
            Some(_) => None,
        };
        let days_ns = |days: i32| if days == 0 { Some(0) } else { Some(i128::from(days) * day_ns?) };
        let ns = match value {
            ScalarValue::IntervalMonthDayNano(Some(span)) if span.months == 0 => {
                days_ns(span.days)? + i128::from(span.nanoseconds)
            }
            ScalarValue::IntervalDayTime(Some(span)) => days_ns(span.days)? + i128::from(span.milliseconds) * 1_000_000,
            ScalarValue::IntervalYearMonth(Some(0)) => 0,
            ScalarValue::DurationSecond(Some(ticks)) => i128::from(*ticks) * 1_000_000_000,
            ScalarValue::DurationMillisecond(Some(ticks)) => i128::from(*ticks) * 1_000_000,
            ScalarValue::DurationMicrosecond(Some(ticks)) => i128::from(*ticks) * 1_000,
            ScalarValue::DurationNanosecond(Some(ticks)) => i128::from(*ticks),
            _ => return None,
        };
        let tick_ns = i128::from(ticks_per_second(TimeUnit::Nanosecond) / ticks_per_second(*unit));
        (ns % tick_ns == 0).then_some(ns / tick_ns).and_then(|ticks| i64::try_from(ticks).ok())
    }
}

impl Linear {
    fn minus(self, other: Linear) -> Option<Linear> {
        fn column(a: Option<(usize, i8)>, b: Option<(usize, i8)>) -> Option<(usize, i8)> {
            match (a, b) {
                (Some((at, a)), Some((_, b))) => Some((at, a - b)).filter(|(_, times)| *times != 0),
                (None, Some((at, b))) => Some((at, -b)),
                (a, None) => a,
            }
        }
        Some(Linear {
            left: column(self.left, other.left),
            right: column(self.right, other.right),
            ticks: self.ticks.checked_sub(other.ticks)?,
        })
    }
}
