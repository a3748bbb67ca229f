//! Syntax trees to logical plans: names get their meaning, windows become nodes, definitions change the catalog.
//!
//! Place       between `parse` and `compile`. DataFusion's planner does the work; its hooks are in `context`, `relation`,
//!             `types` and `functions`, and what it cannot do is done on the syntax tree before (`group`) or around it.

mod query; //      a query to its plan
mod refuse; //     clauses that would be ignored
mod group; //      windows in GROUP BY
mod outputs; //    names of columns that nobody named
mod same_cast; //  casts of one thing beside one another
mod relation; //   table functions
mod unnest; //     lists in FROM
mod spread; //     (x).*
mod pivot; //      PIVOT, UNPIVOT
mod emission; //   EMIT, ALLOW LATENESS, LATE DATA TO
mod shape; //      window functions to kinds of windows
mod window; //     the logical node of windows
mod as_of; //      the logical node of joins by the nearest
mod using; //      RIGHT and FULL JOIN by common columns
mod outer_aggregate; // aggregates in a subquery that belong to the query around it
mod optional; //   scalar subqueries that may have no row
mod row_in; //     rows behind which IN and a query stand
mod set_keys; //   keys of ROLLUP and its kin
mod single_row; // the logical node of scalar subqueries
mod set_operation; // the logical node of INTERSECT ALL and EXCEPT ALL
mod event_time; // the column that carries event time
mod duration; //   intervals
mod system; //   columns that SELECT * does not show
mod context; //    what DataFusion's planner asks
mod functions; //  the functions there are
mod field; //     fields of structs
mod interval; //   intervals so often
mod text; //       SUBSTRING, OVERLAY, POSITION
mod cast; //       casts to lengths, and to units of intervals
mod clock; //      now(), proctime() and current_watermark(ts)
mod types; //      names of types
mod names; //      a second try for names in another case
mod operator; //   the logical node of users' operators
mod define; //     CREATE, DROP
mod sql_function; // functions that are an expression
mod user_type; //  CREATE TYPE
mod function; //   CREATE FUNCTION, DROP FUNCTION
mod watermark; //  WATERMARK FOR
mod rules; //      options about watermarks
mod computed; //   columns that a table computes
mod view; //       CREATE VIEW
mod insert; //     INSERT INTO
mod show; //       SHOW, DESCRIBE
mod reference; //  what is told of functions
mod examples; //   calls of those that show none

pub(super) use as_of::{AsOf, AsOfNode};
pub(super) use context::WorkTable;
pub use emission::Firing;
pub use function::FunctionDefinition;
pub(super) use functions::{FUNCTIONS, is_window_function};
pub(super) use operator::OperatorNode;
pub use reference::{FunctionInfo, functions as known_functions};
pub(super) use set_operation::{SetOperationNode, keep_counts};
pub(super) use single_row::SingleRowNode;
pub(super) use sql_function::{SqlFunction, SqlFunctions};
pub(super) use system::plain;
pub(super) use user_type::UserTypes;
pub(super) use window::{WindowKeys, WindowNode};

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, Result as PlanResult, ScalarValue};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use self::context::Context;
use super::catalog::{Catalog, Kept, Relation, TableKind};
use super::error::from_datafusion;
use super::optimize::{exactly, optimize};
use super::parse::{CreateView, ExplainKind, Parsed, QueryStatement, Setting, StateTtl, Statement, state_ttl};
use super::stack::with_deep_stack;
use crate::error::{Error, Place, Result};
use crate::pipeline::{Connectors, EmitMode, TableDefinition, WatermarkRules};

/// A query, planned and optimized: what `compile` makes a pipeline of.
#[derive(Debug, Clone)]
pub struct LogicalQuery {
    pub plan: LogicalPlan,
    /// What EMIT says; `None`: what fits the input.
    pub emit: Option<EmitMode>,
    /// Where it says so.
    pub emit_place: Option<Place>,
    /// What it says beyond that: by the clock, and about late rows.
    pub firing: Firing,
    /// How long state without a window is kept.
    pub state_ttl: StateTtl,
    /// Whether its answer is kept up to date: every step gives changes, unless EMIT says otherwise.
    pub is_continuous: bool,
    /// The statement's text.
    pub text: String,
    /// Where the statement starts.
    pub place: Place,
}

impl LogicalQuery {
    /// Whether groups that it asks for in several places are computed once: what fires or is forgotten does so in each place.
    pub fn shares_groups(&self) -> bool {
        self.emit.is_none() && !self.is_continuous && self.state_ttl.of.is_empty()
    }
}

/// What a statement asks of the engine.
#[derive(Debug)]
pub enum Planned {
    /// Run it and hand out its rows.
    Query(LogicalQuery),
    /// Run it into a sink.
    Insert { sink: TableDefinition, query: LogicalQuery },
    /// Run it into a new sink, or without one into a new table in memory.
    CreateTableAs { name: String, sink: Option<TableDefinition>, query: LogicalQuery },
    /// Make a table in memory of these columns.
    CreateMemory { kept: Box<Kept>, schema: SchemaRef },
    /// Make a view that is kept up to date by a query.
    CreateMaterialized { kept: Box<Kept>, query: LogicalQuery },
    /// Drop what is kept in memory, with `cascade` also what depends on it; then say this.
    DropKept { names: Vec<String>, cascade: bool, message: String },
    /// Load a function from a shared library.
    CreateFunction(FunctionDefinition),
    /// Change a setting of the session.
    Set(Setting),
    /// Nothing more: the catalog has changed.
    Done(String),
    /// Print a step of the query's way.
    Explain(Box<Explain>),
    /// Run it and tell what each operator did.
    Analyze(LogicalQuery),
    /// Hand out these rows.
    Rows(RecordBatch),
}

/// The steps of a query's way, as text; the last one, the pipeline, is made of `query`.
#[derive(Debug)]
pub struct Explain {
    pub kind: ExplainKind,
    pub query: LogicalQuery,
    pub syntax: String,
    pub logical: String,
    pub optimized: String,
}

/// Plans a statement, or carries out a definition.
///
/// Failure: a user's error with its place in the text that was parsed.
pub fn plan(catalog: &mut Catalog, connectors: &dyn Connectors, parsed: &Parsed) -> Result<Planned> {
    with_deep_stack(|| plan_with_names(catalog, connectors, parsed))
}

fn plan_with_names(catalog: &mut Catalog, connectors: &dyn Connectors, parsed: &Parsed) -> Result<Planned> {
    let mut parsed = parsed.clone();
    loop {
        let error = match plan_once(catalog, connectors, &parsed) {
            Ok(planned) => return Ok(planned),
            Err(error) => error,
        };
        // Each try quotes at least one more name, so there is an end.
        match names::exact(&parsed, &error) {
            Some(next) => parsed = next?,
            None => return Err(with_place(error, &parsed)),
        }
    }
}

/// Looks for the name that an error ends with, when nobody knows its place.
fn with_place(error: Error, parsed: &Parsed) -> Error {
    if error.place().is_some() {
        return error;
    }
    let message = error.message().to_string();
    let named = message.rsplit_once(": ").map(|(_, rest)| rest.split([';', ' ', '(']).next().unwrap_or(rest));
    let quoted = message.split('\'').nth(1);
    let written: &[&str] = match named {
        Some("window_start") => &[
            "window_start",
            "tumble",
            "tumble_start",
            "hop",
            "hop_start",
            "cumulate",
            "cumulate_start",
            "session",
            "session_start",
            "tumble_rows",
            "hop_rows",
        ],
        Some("window_end") => &["window_end", "tumble_end", "hop_end", "cumulate_end", "session_end"],
        _ => &[],
    };
    let column = |name: &str| parsed.place_of_name(name.rsplit('.').next().unwrap_or(name));
    let place = written.iter().copied().chain(named).chain(quoted);
    let place = place.into_iter().find_map(|name| parsed.place_of_name(name).or_else(|| column(name)));
    error.at(place)
}

/// Changes the catalog only when all has gone well.
fn plan_once(catalog: &mut Catalog, connectors: &dyn Connectors, parsed: &Parsed) -> Result<Planned> {
    let known = catalog.clone();
    let context = Context::new(&known, connectors, CONFIG.clone());
    match &parsed.statement {
        Statement::CreateTable(statement) => {
            let name = define::relation_name(&statement.name)?;
            if let Some(done) = define::check_free(catalog, &name, statement.or_replace, statement.if_not_exists)? {
                return Ok(Planned::Done(done));
            }
            let entry = define::create_table(&context, statement)?;
            if entry.options.get("connector").is_some_and(|name| name.eq_ignore_ascii_case("memory")) {
                let (kept, schema) = define::memory(entry)?;
                return Ok(Planned::CreateMemory { kept: Box::new(kept), schema });
            }
            catalog.define(entry);
            Ok(Planned::Done(format!("table {name} created")))
        }
        Statement::CreateView(statement) => {
            let name = define::relation_name(&statement.name)?;
            if let Some(done) = define::check_free(catalog, &name, statement.or_replace, statement.if_not_exists)? {
                return Ok(Planned::Done(done));
            }
            if statement.is_materialized {
                context.follow();
                let query = plan_view(&context, statement, parsed)?.query;
                let (primary_key, computed) = (Vec::new(), Vec::new());
                let (kind, watermark_rules) = (TableKind::MaterializedView, WatermarkRules::default());
                let kept =
                    Kept { name, kind, primary_key, is_append: false, watermark: None, watermark_rules, computed };
                return Ok(Planned::CreateMaterialized { kept: Box::new(kept), query });
            }
            let view = define::create_view(&context, statement, parsed)?;
            catalog.insert(Relation::View(Arc::new(view)));
            Ok(Planned::Done(format!("view {name} created")))
        }
        Statement::Drop(statement) => define::drop_relations(catalog, statement),
        Statement::Subscribe(name) => {
            context.follow();
            Ok(Planned::Query(plan_query(&context, &everything_of(name)?, parsed)?.query))
        }
        Statement::CreateFunction(statement) => function::create(&context, statement).map(Planned::CreateFunction),
        Statement::CreateSqlFunction(statement) => {
            let (name, function) = sql_function::create(&context, statement)?;
            catalog.define_function(&name, function);
            Ok(Planned::Done(format!("function {name} created")))
        }
        Statement::CreateType(statement) => {
            let (name, data_type) = user_type::create(&context, statement)?;
            catalog.define_type(&name, data_type);
            Ok(Planned::Done(format!("type {name} created")))
        }
        Statement::DropType { names, if_exists } => user_type::drop(catalog, names, *if_exists).map(Planned::Done),
        Statement::NamedFunction(statement) => function::named(statement).map(Planned::Done),
        Statement::DropFunction { names, if_exists } => function::drop(catalog, names, *if_exists).map(Planned::Done),
        Statement::Set(setting) => Ok(Planned::Set(*setting)),
        Statement::ShowTables => show::tables(catalog).map(Planned::Rows),
        Statement::ShowFunctions => show::functions(catalog).map(Planned::Rows),
        Statement::Describe(name) => describe(&context, name).map(Planned::Rows),
        Statement::DescribeQuery(statement) => {
            let steps = plan_query(&context, statement, parsed)?;
            show::columns(steps.query.plan.schema().as_arrow(), None).map(Planned::Rows)
        }
        Statement::Explain(kind, inner) => {
            let steps = match &**inner {
                Statement::CreateView(statement) => {
                    context.follow();
                    plan_view(&context, statement, parsed)?
                }
                inner => plan_runnable(&context, inner, parsed)?.steps()?,
            };
            let Steps { query, syntax, logical } = steps;
            let optimized = query.plan.display_indent().to_string();
            Ok(Planned::Explain(Box::new(Explain { kind: *kind, query, syntax, logical, optimized })))
        }
        Statement::Analyze(inner) => Ok(Planned::Analyze(plan_runnable(&context, inner, parsed)?.steps()?.query)),
        Statement::Query(_) | Statement::Insert(_) | Statement::CreateTableAs(_) => {
            Ok(match plan_runnable(&context, &parsed.statement, parsed)? {
                Runnable::Query(steps) => Planned::Query(steps.query),
                Runnable::Insert(sink, steps) => Planned::Insert { sink, query: steps.query },
                Runnable::CreateTableAs(name, sink, steps) => Planned::CreateTableAs { name, sink, query: steps.query },
                Runnable::Nothing(message) => Planned::Done(message),
            })
        }
    }
}

/// The query that keeps a materialized view.
fn plan_view(context: &Context<'_>, statement: &CreateView, parsed: &Parsed) -> Result<Steps> {
    let plan = view::plan_statement(context, statement)?;
    let query = QueryStatement { query: statement.query.clone(), emit: statement.emit.clone() };
    finish(context, plan, &query, parsed)
}

/// A query and what it went through.
struct Steps {
    query: LogicalQuery,
    syntax: String,
    logical: String,
}

/// Statements that run a query.
enum Runnable {
    Query(Steps),
    Insert(TableDefinition, Steps),
    CreateTableAs(String, Option<TableDefinition>, Steps),
    /// `IF NOT EXISTS`, and it does.
    Nothing(String),
}

impl Runnable {
    fn steps(self) -> Result<Steps> {
        match self {
            Runnable::Query(steps) | Runnable::Insert(_, steps) | Runnable::CreateTableAs(_, _, steps) => Ok(steps),
            Runnable::Nothing(message) => Err(Error::user(format!("nothing to explain: {message}"))),
        }
    }
}

fn plan_runnable(context: &Context<'_>, statement: &Statement, parsed: &Parsed) -> Result<Runnable> {
    match statement {
        Statement::Query(statement) => Ok(Runnable::Query(plan_query(context, statement, parsed)?)),
        Statement::Insert(statement) => {
            let sink = insert::sink(context, &statement.sink)?;
            let plan = query::plan(context, &statement.query.query)?;
            let plan = insert::fit(plan, &sink, &statement.columns)?;
            Ok(Runnable::Insert(sink, finish(context, plan, &statement.query, parsed)?))
        }
        Statement::CreateTableAs(statement) => {
            let name = define::relation_name(&statement.name)?;
            if let Some(done) =
                define::check_unused(context.catalog, &name, statement.or_replace, statement.if_not_exists)?
            {
                return Ok(Runnable::Nothing(done));
            }
            let steps = plan_query(context, &statement.query, parsed)?;
            let sink = (!statement.options.is_empty()).then(|| TableDefinition {
                name: name.clone(),
                schema: Some(Arc::new(steps.query.plan.schema().as_arrow().clone())),
                options: statement.options.clone(),
                primary_key: Vec::new(),
            });
            Ok(Runnable::CreateTableAs(name, sink, steps))
        }
        _ => Err(Error::bug("only statements that run a query come here")),
    }
}

/// `SELECT * FROM name`.
fn everything_of(name: &sqlparser::ast::ObjectName) -> Result<QueryStatement> {
    let text = format!("SELECT * FROM {name}");
    match super::parse::parse(&text)?.pop().map(|parsed| parsed.statement) {
        Some(Statement::Query(query)) => Ok(query),
        _ => Err(Error::bug(format!("a query was written: {text}"))),
    }
}

fn plan_query(context: &Context<'_>, statement: &QueryStatement, parsed: &Parsed) -> Result<Steps> {
    let plan = query::plan(context, &statement.query)?;
    finish(context, plan, statement, parsed)
}

fn finish(context: &Context<'_>, plan: LogicalPlan, statement: &QueryStatement, parsed: &Parsed) -> Result<Steps> {
    let firing = Firing::plan(context, statement.emit.as_ref())?;
    let plan = if firing.late_sink.is_some() { emission::keep_all_columns(plan)? } else { plan };
    let logical = plan.display_indent().to_string();
    let started = clock::moment(context.catalog.statement_time());
    let emit = statement.emit.as_ref();
    let syntax = format!("{:#}{}", statement.query, emission::shown(emit));
    let (emit, emit_place) = (emit.and_then(|emit| emit.mode), emit.and_then(|emit| emit.place));
    let hinted = state_ttl(&parsed.text).map_err(|e| e.at(Some(parsed.place)))?;
    let state_ttl = StateTtl { otherwise: context.catalog.state_ttl(), ..hinted };
    let mut query = LogicalQuery {
        plan,
        emit,
        emit_place,
        firing,
        state_ttl,
        is_continuous: context.follows(),
        text: parsed.text.clone(),
        place: parsed.place,
    };
    let shares_groups = query.shares_groups();
    query.plan = optimize(query.plan, &CONFIG, started, shares_groups).map_err(from_datafusion)?;
    Ok(Steps { query, syntax, logical })
}

fn describe(context: &Context<'_>, name: &sqlparser::ast::ObjectName) -> Result<RecordBatch> {
    use datafusion_expr::planner::ContextProvider;
    let reference =
        datafusion_sql::planner::object_name_to_table_reference(name.clone(), true).map_err(from_datafusion)?;
    let at = super::parse::place(sqlparser::ast::Spanned::span(name));
    let source = context.get_table_source(reference).map_err(|e| from_datafusion(e).at(at))?;
    show::columns(&source.schema(), source.downcast_ref())
}

/// DataFusion's settings, the same for all statements.
static CONFIG: LazyLock<Arc<ConfigOptions>> = LazyLock::new(|| {
    let mut options = ConfigOptions::default();
    options.sql_parser.collect_spans = true;
    options.sql_parser.map_string_types_to_utf8view = true;
    options.optimizer.filter_null_join_keys = true;
    options.optimizer.skip_failed_rules = false;
    Arc::new(options)
});

/// Brings an expression's types into agreement and folds its constants.
fn simplify(expr: Expr, schema: &DFSchema, config: &Arc<ConfigOptions>) -> PlanResult<Expr> {
    let context =
        SimplifyContext::builder().with_schema(Arc::new(schema.clone())).with_config_options(config.clone()).build();
    let simplifier = ExprSimplifier::new(context);
    let expr = simplifier.coerce(expr, schema)?;
    exactly(expr, schema, |expr| simplifier.simplify(expr))
}

/// The value of an expression without columns.
fn constant(expr: &Expr, schema: &DFSchema) -> Result<Option<ScalarValue>> {
    match simplify(expr.clone(), schema, &CONFIG).map_err(from_datafusion)? {
        Expr::Literal(value, _) => Ok(Some(value)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
