//! The functions of DataFusion that SQL may name: one list, package by package.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

use super::field::FieldPlanner;
use super::interval::IntervalPlanner;
use super::outer_aggregate::OuterAggregatePlanner;
use super::text::TextPlanner;
use crate::function::scalar::{self as kernels, JsonStyle};
use crate::function::{ScalarKernel, dialect};
use crate::sql::bridge::function::{ScalarOverload, beside, mend_times, scalar_udf};
use crate::sql::users::{Doc, UserFunctions};

/// All functions by name and alias.
pub(in crate::sql) struct Functions {
    pub(in crate::sql) scalars: BTreeMap<String, Arc<ScalarUDF>>,
    /// Those that take lambdas.
    pub(in crate::sql) higher: BTreeMap<String, Arc<HigherOrderUDF>>,
    pub(in crate::sql) aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    pub(in crate::sql) windows: BTreeMap<String, Arc<WindowUDF>>,
    pub(in crate::sql) planners: Vec<Arc<dyn ExprPlanner>>,
    /// What the engine's own functions tell of themselves.
    pub(in crate::sql) docs: BTreeMap<String, Doc>,
}

/// The packages, made once per process.
pub(in crate::sql) static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let mut scalars = BTreeMap::new();
    let packages =
        [datafusion_functions::all_default_functions(), datafusion_functions_nested::all_default_nested_functions()];
    for function in packages.into_iter().flatten() {
        for alias in function.aliases() {
            scalars.insert(alias.clone(), function.clone());
        }
        scalars.insert(function.name().to_string(), function);
    }
    // They ask DataFusion's own scans; here a source tells by columns: `_partition`, `_offset`.
    for source_dependent in ["input_file_name", "file_row_index"] {
        scalars.remove(source_dependent);
    }
    if let Some(now) = scalars.get("now").cloned() {
        scalars.insert("localtimestamp".to_string(), now);
    }
    if let Some(trunc) = scalars.get("trunc").cloned() {
        scalars.insert("truncate".to_string(), trunc);
    }
    for name in ["date_trunc", "datetrunc", "date_bin"] {
        if let Some(function) = scalars.get_mut(name) {
            *function = Arc::new(mend_times(function.clone()));
        }
    }
    scalars.insert("proctime".to_string(), Arc::new(super::clock::proctime()));
    scalars.insert("current_watermark".to_string(), Arc::new(super::clock::current_watermark()));
    let mut own = UserFunctions::default();
    for function in dialect::functions() {
        own.add(function).expect("the engine's own functions have names that SQL can call");
    }
    scalars.extend(own.scalars);
    for (name, text, example, bind) in OF_ANY_TYPE {
        let overload = ScalarOverload::Any(Arc::new(bind));
        scalars.insert(name.to_string(), Arc::new(scalar_udf(name, vec![overload])));
        own.docs.insert(name.to_string(), Doc { text: text.to_string(), example: example.to_string() });
    }
    let mut of_bytes = UserFunctions::default();
    for function in dialect::functions_of_bytes() {
        of_bytes.add(function).expect("the engine's own functions have names that SQL can call");
    }
    // Aliases are the same function.
    for function in scalars.values_mut() {
        if let Some(ours) = of_bytes.scalars.get(function.name()) {
            *function = Arc::new(beside(ours.clone(), function.clone()));
        }
    }
    let mut higher = BTreeMap::new();
    for function in datafusion_functions_nested::all_default_higher_order_functions() {
        let others =
            LAMBDA_NAMES.iter().filter(|(_, name)| *name == function.name()).map(|(other, _)| other.to_string());
        for name in function.aliases().iter().cloned().chain(others).chain([function.name().to_string()]) {
            higher.insert(name, function.clone());
        }
    }
    let mut aggregates = BTreeMap::new();
    for function in datafusion_functions_aggregate::all_default_aggregate_functions() {
        for alias in function.aliases() {
            aggregates.insert(alias.clone(), function.clone());
        }
        aggregates.insert(function.name().to_string(), function);
    }
    let mut windows = BTreeMap::new();
    for function in datafusion_functions_window::all_default_window_functions() {
        for alias in function.aliases() {
            windows.insert(alias.clone(), function.clone());
        }
        windows.insert(function.name().to_string(), function);
    }
    let planners: Vec<Arc<dyn ExprPlanner>> = vec![
        Arc::new(OuterAggregatePlanner),
        Arc::new(FieldPlanner),
        Arc::new(IntervalPlanner),
        Arc::new(TextPlanner),
        Arc::new(datafusion_functions::core::planner::CoreFunctionPlanner::default()),
        Arc::new(datafusion_functions_nested::planner::NestedFunctionPlanner),
        Arc::new(datafusion_functions_nested::planner::FieldAccessPlanner),
        Arc::new(datafusion_functions::datetime::planner::DatetimeFunctionPlanner),
        Arc::new(datafusion_functions::unicode::planner::UnicodeFunctionPlanner),
        Arc::new(datafusion_functions_aggregate::planner::AggregateFunctionPlanner),
        Arc::new(datafusion_functions_window::planner::WindowFunctionPlanner),
    ];
    Functions { scalars, higher, aggregates, windows, planners, docs: own.docs }
});

/// A name, what it does, a call, and the kernel for the types of arguments.
type OfAnyType = (&'static str, &'static str, &'static str, fn(&[DataType]) -> Option<Arc<dyn ScalarKernel>>);

/// The engine's own functions of values of any type.
const OF_ANY_TYPE: &[OfAnyType] = &[
    ("to_json", "A value as JSON text.", "to_json([1, 2])", |types| match types {
        [value] => Some(kernels::to_json(value, JsonStyle::Compact)),
        _ => None,
    }),
    (
        "to_jsonb",
        "A value as JSON text, with blanks behind commas and colons.",
        "to_jsonb([1, 2])",
        |types| match types {
            [value] => Some(kernels::to_json(value, JsonStyle::Spaced)),
            _ => None,
        },
    ),
    ("nested_text", "A list, a struct or a map as a text: what CAST gives.", "nested_text([1, NULL])", |types| {
        match types {
            [value] => kernels::nested_text(value),
            _ => None,
        }
    }),
    ("pg_typeof", "The type of a value by the name that PostgreSQL has for it.", "pg_typeof(1)", |types| match types {
        [value] => Some(kernels::type_name(value)),
        _ => None,
    }),
    (
        "array_mode",
        "The value that a list has most often; of several the first. NULL does not count.",
        "array_mode([1, 2, 2, 3])",
        |types| match types {
            [list] => kernels::array_mode(list),
            _ => None,
        },
    ),
    (
        "array_insert",
        "A list with a value put in at a place, counted from 1, or from the end by -1; gaps are NULL.",
        "array_insert([1, 2, 4], 3, 3)",
        |types| match types {
            [list, place, value] => kernels::array_insert(list, place, value),
            _ => None,
        },
    ),
];

/// What other engines call functions that take lambdas.
const LAMBDA_NAMES: &[(&str, &str)] =
    &[("transform", "array_transform"), ("array_exists", "array_any_match"), ("filter", "array_filter")];

/// The engine's own group functions, which the planner turns into windows before it looks for functions.
pub(super) const WINDOW_FUNCTIONS: &[&str] = &[
    "tumble",
    "tumble_start",
    "tumble_end",
    "hop",
    "hop_start",
    "hop_end",
    "cumulate",
    "cumulate_start",
    "cumulate_end",
    "session",
    "session_start",
    "session_end",
    "tumble_rows",
    "hop_rows",
];

/// Whether the engine has a window function of this name, in lower case.
pub(in crate::sql) fn is_window_function(name: &str) -> bool {
    WINDOW_FUNCTIONS.contains(&name)
}
