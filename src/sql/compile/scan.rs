//! `FROM table`: reads a table, with what helps it to read less.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::expr::Cast;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{BinaryExpr, Expr, Operator, TableScan};

use super::columns::Columns;
use super::expression::Expressions;
use super::place::place_of;
use super::types::engine_value;
use super::{Compiler, Result};
use crate::error::Error;
use crate::expression::Program;
use crate::pipeline::{
    ChangeMode, Changelog, Comparison, EventTime, Node, NodeId, Predicate, ScanSpec, Spec, SystemColumn, UpsertSpec,
    WatermarkSpec, time_unit,
};
use crate::sql::bridge::{foreign, scalar::to_type};
use crate::sql::catalog::{CatalogTable, Watermark};
use crate::sql::plan::plain;

impl Compiler {
    /// A scan; where the watermark needs columns that the query does not read, a projection above drops them again.
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<NodeId> {
        let Some(table) = scan.source.downcast_ref::<CatalogTable>() else {
            return Err(Error::bug(format!("a table of the catalog is expected: {}", scan.table_name)));
        };
        if let Some(lookup) = table.table.lookup() {
            let message = format!(
                "the table {} is asked by key and cannot be read as a whole; join it: JOIN {} ON {} = ...",
                table.name,
                table.name,
                lookup.key_names()
            );
            return Err(Error::user(message).at(scan.filters.first().and_then(place_of)));
        }
        let schema = scan.source.schema();
        let wanted: Vec<usize> = match &scan.projection {
            Some(projection) => projection.clone(),
            None => (0..schema.fields().len()).collect(),
        };
        let changelog = table.table.changelog();
        let key = match changelog {
            Changelog::Upsert => upsert_key(table, &schema)?,
            _ => Vec::new(),
        };
        let mut projection: Vec<usize> = key.iter().chain(&wanted).copied().collect();
        let mut seen = HashSet::new();
        projection.retain(|column| seen.insert(*column));
        let watermark = match &table.watermark {
            Some(watermark) => Some(scan_watermark(watermark, &table.name, &schema, &mut projection)?),
            None => None,
        };
        let (sources, compute) = self.computed(table, &schema, &projection)?;
        let own = table.table.schema().fields().len();
        let all = table.all_columns();
        let (sources, system): (Vec<usize>, Vec<usize>) = sources.into_iter().partition(|&source| source < own);
        let system = system.into_iter().filter_map(|column| SystemColumn::from_name(all.field(column).name()));
        let system: Vec<SystemColumn> = system.collect();
        let read = Arc::new(schema.project(&projection)?);
        let time = watermark.as_ref().and_then(|watermark| {
            let unit = time_unit(read.field(watermark.column).data_type())?;
            Some(EventTime { column: watermark.column, unit })
        });
        let columns = named(&schema)?;
        let spec = ScanSpec {
            name: plain(&scan.table_name.to_string()).to_string(),
            table: table.table.clone(),
            projection: sources,
            predicates: match changelog {
                // Where rows are counted none may be skipped.
                _ if system.contains(&SystemColumn::Offset) => Vec::new(),
                Changelog::Append => {
                    at_source(table, scan.filters.iter().flat_map(|f| predicates(f, &columns, &schema)))
                }
                // Of a key, a row that is skipped may be the last one.
                _ => Vec::new(),
            },
            system,
            compute,
            tuning: table.tuning,
            watermark,
            fetch: scan.fetch.filter(|_| changelog == Changelog::Append),
        };
        let bounded = table.table.is_bounded();
        let place = scan.filters.first().and_then(place_of);
        let changes = if changelog == Changelog::Append { ChangeMode::Append } else { ChangeMode::Updating };
        let inputs = Vec::new();
        let mut node = self.add(Node { spec: Spec::Scan(spec), inputs, schema: read, changes, time, bounded, place });
        if changelog == Changelog::Upsert {
            let (schema, time) = (self.nodes[node].schema.clone(), self.nodes[node].time.clone());
            let ttl = self.state_ttl_over(node);
            node = self.add_above(node, Spec::Upsert(UpsertSpec { key_count: key.len(), ttl }), schema, time);
        }
        if projection == wanted {
            return Ok(node);
        }
        let position = |column: &usize| projection.iter().position(|read| read == column).expect("all wanted are read");
        let order: Vec<usize> = wanted.iter().map(position).collect();
        let from = &self.nodes[node].schema;
        let schema = Arc::new(Schema::new(order.iter().map(|&at| from.fields()[at].clone()).collect::<Vec<_>>()));
        Ok(self.add_selection(node, &order, schema))
    }

    /// The columns of the source that give the table's columns of `projection`, and how; `None`: they are these columns.
    fn computed(
        &self,
        table: &CatalogTable,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<(Vec<usize>, Option<Arc<Program>>)> {
        let own: Vec<Option<usize>> = projection.iter().map(|&column| table.source_column(column)).collect();
        let is_own = |column: &usize| *column < table.table.schema().fields().len();
        if let Some(own) = own.iter().copied().collect::<Option<Vec<usize>>>()
            && own.iter().all(is_own)
        {
            return Ok((own, None));
        }
        let of = |column: usize| {
            let name = schema.field(column).name();
            table.computed.iter().find(|computed| computed.name == *name).expect("what no source has is computed")
        };
        let source = table.all_columns();
        let all = named(&source)?;
        let mut sources: Vec<usize> = own.iter().copied().flatten().collect();
        for (&column, _) in projection.iter().zip(&own).filter(|(_, own)| own.is_none()) {
            for read in of(column).expr.column_refs() {
                let (read, _) = all.input(read)?;
                if !sources.contains(&read) {
                    sources.push(read);
                }
            }
        }
        // System columns come last of what is read.
        sources.sort_by_key(|column| !is_own(column));
        let read = source.project(&sources)?;
        let columns = named(&read)?;
        let mut expressions = Expressions::new(&columns);
        for (&column, own) in projection.iter().zip(&own) {
            match own {
                Some(own) => {
                    let at = sources.iter().position(|source| source == own).expect("added above");
                    expressions.output_input(at, read.field(at).data_type().clone());
                }
                None => expressions.output_as(&of(column).expr, schema.field(column).data_type())?,
            }
        }
        Ok((sources, Some(expressions.finish())))
    }

    /// A node whose rows stay: `node`, with its changes folded up at the end where there are any.
    ///
    /// Failure: rows that come and go, of input that does not end.
    pub(super) fn folded(&mut self, node: NodeId, what: &str, instead: &str) -> Result<NodeId> {
        let Node { changes, bounded, .. } = self.nodes[node];
        if changes == ChangeMode::Append {
            return Ok(node);
        }
        if !bounded {
            let why = "cannot stand above rows that may be taken back of input that does not end";
            return Err(Error::user(format!("{what} {why}; {instead}")));
        }
        Ok(self.add_fold(node))
    }

    /// Folds the changes of a node up.
    pub(super) fn add_fold(&mut self, node: NodeId) -> NodeId {
        let schema = self.nodes[node].schema.clone();
        let fold = self.add_above(node, Spec::Fold, schema, None);
        self.nodes[fold].changes = ChangeMode::Append;
        fold
    }
}

/// The columns that the last row of each counts by.
fn upsert_key(table: &CatalogTable, schema: &SchemaRef) -> Result<Vec<usize>> {
    if table.primary_key.is_empty() {
        let message = "the last row per key counts in this table; declare PRIMARY KEY (...)";
        return Err(Error::user(format!("{message}: {}", table.name)));
    }
    table.primary_key.iter().map(|column| Ok(schema.index_of(column)?)).collect()
}

/// The conditions on columns that the source has, by their numbers there.
fn at_source(table: &CatalogTable, predicates: impl Iterator<Item = Predicate>) -> Vec<Predicate> {
    let count = table.table.schema().fields().len();
    let own = |predicate: Predicate| {
        let column = table.source_column(predicate.column).filter(|&column| column < count)?;
        Some(Predicate { column, ..predicate })
    };
    predicates.filter_map(own).collect()
}

/// Compiles the watermark over the scan's columns, adding those it reads to `projection`.
fn scan_watermark(
    watermark: &Watermark,
    table: &str,
    schema: &SchemaRef,
    projection: &mut Vec<usize>,
) -> Result<WatermarkSpec> {
    let all = named(schema)?;
    let time = schema.index_of(&watermark.column).map_err(|_| {
        Error::user(format!("the watermark's column is not in the table {table}: {}", watermark.column))
    })?;
    let mut needed = vec![time];
    for column in watermark.expr.column_refs() {
        needed.push(all.input(column)?.0);
    }
    needed.sort_unstable();
    for column in needed {
        if !projection.contains(&column) {
            projection.push(column);
        }
    }
    let time_type = schema.field(time).data_type();
    if time_unit(time_type).is_none() {
        let message = format!("a watermark needs a column of type TIMESTAMP: {} is {time_type}", watermark.column);
        return Err(Error::user(message).at(place_of(&watermark.expr)));
    }
    let read = schema.project(projection)?;
    let columns = named(&read)?;
    let mut expressions = Expressions::new(&columns);
    expressions.output_as(&watermark.expr, time_type)?;
    let column = projection.iter().position(|&column| column == time).expect("the time column was added above");
    let rises = rises(&watermark.expr, &watermark.column, time_type);
    Ok(WatermarkSpec { program: expressions.finish(), column, rises, rules: watermark.rules.clone() })
}

/// Whether a watermark is the event time itself, or a fixed span before or after it.
fn rises(watermark: &Expr, time: &str, time_type: &DataType) -> bool {
    let is_time = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == time);
    match watermark {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus | Operator::Plus, right }) => {
            is_time(left) && matches!(&**right, Expr::Literal(span, _) if is_fixed(span, time_type))
        }
        expr => is_time(expr),
    }
}

/// Whether an interval is the same span wherever it begins: months are not, and days are not where clocks are changed.
fn is_fixed(span: &ScalarValue, time_type: &DataType) -> bool {
    let has_zone = matches!(time_type, DataType::Timestamp(_, Some(_)));
    match span {
        ScalarValue::IntervalMonthDayNano(Some(span)) => span.months == 0 && (span.days == 0 || !has_zone),
        ScalarValue::IntervalDayTime(Some(span)) => span.days == 0 || !has_zone,
        ScalarValue::DurationSecond(Some(_))
        | ScalarValue::DurationMillisecond(Some(_))
        | ScalarValue::DurationMicrosecond(Some(_))
        | ScalarValue::DurationNanosecond(Some(_)) => true,
        _ => false,
    }
}

/// Columns of the table under their own names, as the watermark knows them.
fn named(schema: &Schema) -> Result<Columns> {
    let planned = DFSchema::try_from(schema.clone()).map_err(foreign)?;
    Ok(Columns::whole(&planned, schema))
}

/// The conjuncts of a filter that a source can use to skip data.
fn predicates(filter: &Expr, columns: &Columns, schema: &SchemaRef) -> Vec<Predicate> {
    let mut found = Vec::new();
    for conjunct in split_conjunction(filter) {
        match conjunct {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                found.extend(predicate(left, *op, right, columns, schema));
            }
            Expr::Between(between) if !between.negated => {
                found.extend(predicate(&between.expr, Operator::GtEq, &between.low, columns, schema));
                found.extend(predicate(&between.expr, Operator::LtEq, &between.high, columns, schema));
            }
            _ => (),
        }
    }
    found
}

fn predicate(left: &Expr, op: Operator, right: &Expr, columns: &Columns, schema: &SchemaRef) -> Option<Predicate> {
    if let (Expr::Literal(..), Some(op)) = (left, op.swap()) {
        return if matches!(right, Expr::Literal(..)) { None } else { predicate(right, op, left, columns, schema) };
    }
    let column = unqualified(left, columns)?;
    let value = literal(right)?;
    let op = match op {
        Operator::Eq => Comparison::Eq,
        Operator::NotEq => Comparison::NotEq,
        Operator::Lt => Comparison::Lt,
        Operator::LtEq => Comparison::LtEq,
        Operator::Gt => Comparison::Gt,
        Operator::GtEq => Comparison::GtEq,
        _ => return None,
    };
    let data_type = schema.field(column).data_type();
    let value = to_type(&value, data_type).ok()?;
    (!value.is_null(0)).then_some(Predicate { column, op, value })
}

/// The table's column that a filter names: by its own name, whatever alias the scan goes by.
fn unqualified(expr: &Expr, columns: &Columns) -> Option<usize> {
    match expr {
        Expr::Column(column) => columns.schema.index_of_column_by_name(None, &column.name),
        _ => None,
    }
}

/// A literal that was not made narrower by a cast.
fn literal(expr: &Expr) -> Option<ArrayRef> {
    match expr {
        Expr::Literal(value, _) => engine_value(value).ok(),
        Expr::Cast(Cast { expr, .. }) if matches!(expr.as_ref(), Expr::Literal(..)) => None,
        _ => None,
    }
}
