//! TPC-H: the eight tables of the benchmark, made as they are read.
//!
//! Place       a source without bytes: `tpchgen` makes the rows of the standard's dbgen, a piece of a table at a time.
//! Invariants  a table of a scale factor has the same rows on any machine, in any number of pieces.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatchReader;
use tpchgen::generators as rows;
use tpchgen_arrow as columns;

use super::datagen::options::Options;
use super::fit::{Fit, normal_schema};
use super::pieces::{Piece, PieceScan};
use super::records::{ReadPlan, RecordReader, Records};
use crate::error::{Error, Result};
use crate::pipeline::{Progress, Scan, ScanRequest, Table, TableDefinition};

/// The tables there are.
pub const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];
const OPTIONS: [&str; 3] = ["connector", "table", "scale"];
const SCALE_MAX: f64 = 100_000.0;
/// Rows of a piece, about: enough that a generator's start does not count, few enough that all workers have some.
const PIECE_ROWS: i64 = 250_000;

/// Opens a TPC-H table. Failure: an unknown option, table or scale; declared columns that are not the table's.
pub fn table(definition: &TableDefinition) -> Result<Arc<dyn Table>> {
    let options = Options::new(definition);
    options.refuse_unknown("tpch", &OPTIONS, |_| false)?;
    let name = options.text("table").unwrap_or(&definition.name).to_ascii_lowercase();
    let Some(kind) = TABLES.iter().copied().find(|known| *known == name) else {
        let known = TABLES.join(", ");
        return Err(Error::user(format!("option 'table' must be a table of TPC-H: '{name}'; known are {known}")));
    };
    let scale = options.number("scale", 0.0, SCALE_MAX)?.unwrap_or(1.0);
    if scale <= 0.0 {
        return Err(Error::user("option 'scale' must be above 0, such as '0.01' or '1'"));
    }
    let made = made_schema(kind);
    let schema = match &definition.schema {
        Some(declared) => declared.clone(),
        None => normal_schema(&made),
    };
    let fit = Arc::new(Fit::new(&schema, &made)?);
    Ok(Arc::new(Tpch { kind, scale, schema, fit }))
}

/// One of the tables, at one scale.
#[derive(Debug)]
struct Tpch {
    kind: &'static str,
    scale: f64,
    schema: SchemaRef,
    fit: Arc<Fit>,
}

impl Tpch {
    fn rows(&self) -> i64 {
        let scale = self.scale;
        match self.kind {
            "customer" => rows::CustomerGenerator::calculate_row_count(scale, 1, 1),
            "lineitem" => 4 * rows::OrderGenerator::calculate_row_count(scale, 1, 1),
            "orders" => rows::OrderGenerator::calculate_row_count(scale, 1, 1),
            "part" => rows::PartGenerator::calculate_row_count(scale, 1, 1),
            "partsupp" => rows::PartSuppGenerator::calculate_row_count(scale, 1, 1),
            "supplier" => rows::SupplierGenerator::calculate_row_count(scale, 1, 1),
            "nation" => 25,
            _ => 5,
        }
    }
}

impl Table for Tpch {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("tpch {} at scale {}", self.kind, self.scale)
    }

    /// Of `lineitem` only nearly: an order has one to seven lines.
    fn row_count(&self) -> Option<u64> {
        u64::try_from(self.rows()).ok()
    }

    fn open(&self, request: &ScanRequest) -> Result<Arc<dyn Scan>> {
        let progress = Arc::new(Progress::default());
        let plan = ReadPlan {
            fit: self.fit.clone(),
            picked: Arc::new(self.fit.pick(&request.projection)),
            batch_rows: request.batch_rows,
            progress: progress.clone(),
            source: "tpch".into(),
        };
        let pieces = (self.rows() / PIECE_ROWS + 1) as i32;
        let piece = |number: i32| {
            let (kind, scale, plan) = (self.kind, self.scale, plan.clone());
            let open = move || {
                let records = Generated { rows: generator(kind, scale, number, pieces), plan: plan.clone() };
                Ok(Box::new(RecordReader::new(records, plan.clone())) as Box<dyn crate::pipeline::Reader>)
            };
            Piece { rows: None, turn: 0, open: Box::new(open) }
        };
        let pieces = (1..=pieces).map(piece).collect();
        Ok(Arc::new(PieceScan::new(vec![pieces], None, progress)))
    }
}

/// What a generator makes, cut down to the columns that are read.
struct Generated {
    rows: Box<dyn RecordBatchReader + Send>,
    plan: ReadPlan,
}

impl Records for Generated {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(record) = self.rows.next().transpose()? else { return Ok(None) };
        Ok(Some(record.project(&self.plan.picked.file_columns)?))
    }
}

/// The rows of piece `part` of `parts`, counted from 1.
fn generator(kind: &str, scale: f64, part: i32, parts: i32) -> Box<dyn RecordBatchReader + Send> {
    match kind {
        "customer" => Box::new(columns::CustomerArrow::new(rows::CustomerGenerator::new(scale, part, parts))),
        "lineitem" => Box::new(columns::LineItemArrow::new(rows::LineItemGenerator::new(scale, part, parts))),
        "orders" => Box::new(columns::OrderArrow::new(rows::OrderGenerator::new(scale, part, parts))),
        "part" => Box::new(columns::PartArrow::new(rows::PartGenerator::new(scale, part, parts))),
        "partsupp" => Box::new(columns::PartSuppArrow::new(rows::PartSuppGenerator::new(scale, part, parts))),
        "supplier" => Box::new(columns::SupplierArrow::new(rows::SupplierGenerator::new(scale, part, parts))),
        "nation" => Box::new(columns::NationArrow::new(rows::NationGenerator::new(scale, part, parts))),
        _ => Box::new(columns::RegionArrow::new(rows::RegionGenerator::new(scale, part, parts))),
    }
}

fn made_schema(kind: &str) -> SchemaRef {
    let schema = match kind {
        "customer" => columns::CustomerArrow::schema_ref(),
        "lineitem" => columns::LineItemArrow::schema_ref(),
        "orders" => columns::OrderArrow::schema_ref(),
        "part" => columns::PartArrow::schema_ref(),
        "partsupp" => columns::PartSuppArrow::schema_ref(),
        "supplier" => columns::SupplierArrow::schema_ref(),
        "nation" => columns::NationArrow::schema_ref(),
        _ => columns::RegionArrow::schema_ref(),
    };
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{read_all, whole};
    use super::*;

    /// Rows of a table.
    fn count(name: &str, scale: &str) -> usize {
        let options = [("table", name), ("scale", scale)].map(|(key, value)| (key.to_string(), value.to_string()));
        let definition =
            TableDefinition { name: name.into(), schema: None, options: options.into(), primary_key: Vec::new() };
        let table = table(&definition).expect("a table of the benchmark");
        read_all(table.as_ref(), &whole(table.as_ref())).iter().map(RecordBatch::num_rows).sum()
    }

    #[test]
    fn tables_have_the_rows_of_the_standard() {
        for (name, rows) in [("region", 5), ("nation", 25), ("supplier", 100), ("part", 2_000), ("orders", 15_000)] {
            assert_eq!(count(name, "0.01"), rows, "{name}");
        }
        assert_eq!(count("lineitem", "0.01"), 60_175);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let definition = TableDefinition {
            name: "lines".into(),
            schema: None,
            options: Default::default(),
            primary_key: Vec::new(),
        };
        let message = table(&definition).expect_err("there is none of this name").to_string();
        assert!(message.contains("'lines'") && message.contains("lineitem"), "{message}");
    }
}
