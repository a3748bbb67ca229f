//! Tables in memory, and the way from text to a compiled pipeline.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringViewArray};
use arrow::array::{Decimal128Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result as PlanResult, TableReference, plan_err};
use datafusion_expr::planner::{ContextProvider, ExprPlanner};
use datafusion_expr::{AggregateUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, WindowUDF, col, lit};
use datafusion_optimizer::{Analyzer, Optimizer, OptimizerContext};
use datafusion_sql::parser::{DFParser, Statement};
use datafusion_sql::planner::{ParserOptions, SqlToRel};

use crate::error::{Error, Result};
use crate::pipeline::{EmitMode, Pipeline, Scan, ScanRequest, Table, TableDefinition, WindowKind};
use crate::sql::catalog::{CatalogTable, Watermark};
use crate::sql::compile::compile_plan;
use crate::sql::plan::WindowNode;

/// A table that the naive runner reads and nobody opens.
#[derive(Debug)]
struct Memory {
    bounded: bool,
}

impl Table for Memory {
    fn schema(&self) -> SchemaRef {
        rows().schema()
    }

    fn is_bounded(&self) -> bool {
        self.bounded
    }

    fn describe(&self) -> String {
        "memory".to_string()
    }

    fn row_count(&self) -> Option<u64> {
        None
    }

    fn open(&self, _: &ScanRequest) -> Result<Arc<dyn Scan>> {
        Err(Error::bug("the naive runner reads the rows itself"))
    }
}

/// The rows of every table here: `t` is a file, `s` the same rows as an endless stream with a watermark on `ts`.
pub fn rows() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "k",
            Arc::new(StringViewArray::from(vec![
                Some("a"),
                Some("b"),
                Some("a"),
                None,
                Some("b"),
                Some("a long key of b"),
            ])),
        ),
        ("i", Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), Some(4), None, Some(i64::MAX)]))),
        ("j", Arc::new(Int32Array::from(vec![Some(10), Some(0), Some(-3), Some(7), Some(0), Some(5)]))),
        ("f", Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), Some(-0.0), Some(2.5), None, Some(0.0)]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(false), None]))),
        ("d", Arc::new(Decimal128Array::from(vec![100, 250, 333, -50, 0, 1]).with_precision_and_scale(10, 2).unwrap())),
        ("ts", Arc::new(TimestampMillisecondArray::from(vec![0, 1_000, 9_999, 10_000, 15_000, 31_000]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn source(name: &str, bounded: bool) -> Arc<dyn TableSource> {
    let table = Arc::new(Memory { bounded });
    let watermark = (!bounded).then(|| Watermark {
        column: "ts".to_string(),
        expr: col("ts") - lit(datafusion_common::ScalarValue::new_interval_dt(0, 5_000)),
    });
    let definition = TableDefinition { name: name.to_string(), schema: None, options: Default::default() };
    Arc::new(CatalogTable::new(definition, table, watermark, Vec::new()))
}

/// What the planner may ask for.
struct World {
    options: ConfigOptions,
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl World {
    fn new(more: Vec<ScalarUDF>) -> Self {
        let mut scalars = HashMap::new();
        let nested = datafusion_functions_nested::all_default_nested_functions();
        let all = datafusion_functions::all_default_functions().into_iter().chain(nested);
        for function in all.chain(more.into_iter().map(Arc::new)) {
            for name in function.aliases().iter().chain([&function.name().to_string()]) {
                scalars.insert(name.clone(), function.clone());
            }
        }
        let mut aggregates = HashMap::new();
        for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
            for name in function.aliases().iter().chain([&function.name().to_string()]) {
                aggregates.insert(name.clone(), function.clone());
            }
        }
        World {
            options: ConfigOptions::default(),
            scalars,
            aggregates,
            planners: vec![
                Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
                Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
                Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
                Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
                Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
                Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
            ],
        }
    }
}

impl ContextProvider for World {
    fn get_table_source(&self, name: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        match name.table() {
            "t" => Ok(source("t", true)),
            "s" => Ok(source("s", false)),
            "t_tumbled" => Ok(windows("t", WindowKind::Tumble { size: 10_000, offset: 0 })),
            "t_hopped" => Ok(windows("t", WindowKind::Hop { size: 20_000, slide: 10_000, offset: 0 })),
            "s_tumbled" => Ok(windows("s", WindowKind::Tumble { size: 10_000, offset: 0 })),
            other => plan_err!("no such table: {other}"),
        }
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).cloned()
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<datafusion_expr::HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }
}

/// Plans a query and optimizes it by DataFusion's rules, as the engine does.
pub fn planned(sql: &str, functions: Vec<ScalarUDF>) -> LogicalPlan {
    let world = World::new(functions);
    let statement = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
    let options = ParserOptions::default().with_collect_spans(true);
    let Statement::Statement(statement) = statement else { panic!("a query is expected") };
    let plan = SqlToRel::new_with_options(&world, options).sql_statement_to_plan(*statement).unwrap();
    optimized(plan)
}

fn optimized(plan: LogicalPlan) -> LogicalPlan {
    let options = Arc::new(ConfigOptions::default());
    let plan = Analyzer::new().execute_and_check(plan, &options, |_, _| {}).unwrap();
    let unwanted = [
        "single_distinct_aggregation_to_group_by",
        "common_sub_expression_eliminate",
        "extract_leaf_expressions",
        "push_down_leaf_projections",
    ];
    let rules = Optimizer::new().rules.into_iter().filter(|rule| !unwanted.contains(&rule.name())).collect();
    Optimizer::with_rules(rules).optimize(plan, &OptimizerContext::new(), |_, _| {}).unwrap()
}

/// A table in windows, as a view: how queries spell windows belongs to another room.
#[derive(Debug)]
struct Windows(LogicalPlan);

impl TableSource for Windows {
    fn schema(&self) -> SchemaRef {
        self.0.schema().inner().clone()
    }

    fn get_logical_plan(&self) -> Option<std::borrow::Cow<'_, LogicalPlan>> {
        Some(std::borrow::Cow::Borrowed(&self.0))
    }
}

fn windows(table: &str, kind: WindowKind) -> Arc<dyn TableSource> {
    let scan = LogicalPlanBuilder::scan(table, source(table, table == "t"), None).unwrap().build().unwrap();
    Arc::new(Windows(WindowNode::try_new(scan, kind, col("ts")).unwrap().into_plan()))
}

/// Compiles a query under an EMIT clause.
pub fn compiled_with(sql: &str, emit: Option<EmitMode>) -> Result<Pipeline> {
    compile_plan(&planned(sql, Vec::new()), emit)
}

/// Compiles a query.
pub fn compiled(sql: &str) -> Pipeline {
    compiled_with(sql, None).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Why a query is refused.
pub fn refused(sql: &str, emit: Option<EmitMode>) -> String {
    compiled_with(sql, emit).map(|p| crate::pipeline::explain(&p)).expect_err("refused").to_string()
}
