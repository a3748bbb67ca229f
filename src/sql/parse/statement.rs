//! The statements there are, and how a syntax tree becomes one of them.

use std::collections::BTreeMap;

use datafusion_sql::parser::{CreateExternalTable, DFParserBuilder, Statement as Tree};
use sqlparser::ast::{
    self, ColumnDef, ColumnOption, CreateTableOptions, HiveDistributionStyle, Ident, ObjectName, ObjectType, Query,
    SqlOption, TableConstraint, TableObject,
};
use sqlparser::tokenizer::TokenWithSpan;

use super::arrows;
use super::as_of;
use super::buffer;
use super::computed::{self, ComputedColumn};
use super::define::{self, WatermarkClause};
use super::depth;
use super::distinct_on;
use super::emit::{self, Emit};
use super::forms;
use super::function::{self, CreateFunction, CreateSqlFunction, NamedFunction};
use super::joins;
use super::lists;
use super::numbers;
use super::rows;
use super::set::{self, Setting};
use super::spelling;
use super::tokens::{DIALECT, is_word, place, place_of, starts_with};
use super::trying;
use super::types;
use super::unpivot;
use super::user_type::{self, CreateType};
use super::window;
use crate::error::{Error, Result};
use crate::sql::error;

/// A statement as the user wrote it, names not yet resolved.
#[derive(Debug, Clone)]
pub enum Statement {
    Query(QueryStatement),
    CreateTable(Box<CreateTable>),
    CreateTableAs(CreateTableAs),
    CreateView(CreateView),
    Insert(Insert),
    Drop(Drop),
    CreateFunction(CreateFunction),
    CreateSqlFunction(Box<CreateSqlFunction>),
    NamedFunction(NamedFunction),
    CreateType(CreateType),
    DropType {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    DropFunction {
        names: Vec<ObjectName>,
        if_exists: bool,
    },
    Explain(ExplainKind, Box<Statement>),
    Analyze(Box<Statement>),
    /// `SET name = value`.
    Set(Setting),
    ShowTables,
    ShowFunctions,
    Describe(ObjectName),
    DescribeQuery(QueryStatement),
    /// `SUBSCRIBE name`: what is there, and every change from then on.
    Subscribe(ObjectName),
}

/// A query, and when its results leave.
#[derive(Debug, Clone)]
pub struct QueryStatement {
    pub query: Box<Query>,
    pub emit: Option<Emit>,
}

/// `CREATE TABLE`, `CREATE STREAM`, `CREATE EXTERNAL TABLE`.
#[derive(Debug, Clone)]
pub struct CreateTable {
    pub name: ObjectName,
    /// Empty: infer them.
    pub columns: Vec<ColumnDef>,
    pub primary_key: Vec<Ident>,
    pub watermark: Option<WatermarkClause>,
    /// Columns that follow from the others.
    pub computed: Vec<ComputedColumn>,
    pub options: BTreeMap<String, String>,
    /// `UNBOUNDED`: to be read as if it did not end.
    pub is_unbounded: bool,
    pub or_replace: bool,
    pub if_not_exists: bool,
}

/// `CREATE TABLE ... AS query`.
#[derive(Debug, Clone)]
pub struct CreateTableAs {
    pub name: ObjectName,
    /// Empty: a table in memory.
    pub options: BTreeMap<String, String>,
    pub or_replace: bool,
    pub if_not_exists: bool,
    pub query: QueryStatement,
}

/// `CREATE VIEW`.
#[derive(Debug, Clone)]
pub struct CreateView {
    pub name: ObjectName,
    pub columns: Vec<Ident>,
    pub query: Box<Query>,
    /// `MATERIALIZED`: its rows are kept, and kept up to date.
    pub is_materialized: bool,
    /// Of a materialized view only.
    pub emit: Option<Emit>,
    pub or_replace: bool,
    pub if_not_exists: bool,
}

/// `INSERT INTO sink [(columns)] query`.
#[derive(Debug, Clone)]
pub struct Insert {
    pub sink: ObjectName,
    pub columns: Vec<Ident>,
    pub query: QueryStatement,
}

/// `DROP TABLE`, `DROP VIEW`, `DROP MATERIALIZED VIEW`.
#[derive(Debug, Clone)]
pub struct Drop {
    pub names: Vec<ObjectName>,
    pub what: Dropped,
    pub if_exists: bool,
    /// `CASCADE`: with the views over them.
    pub cascade: bool,
}

/// What a DROP takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    Table,
    View,
    MaterializedView,
}

/// How far EXPLAIN follows the query's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainKind {
    Syntax,
    Logical,
    Optimized,
    Pipeline,
}

/// Reads one statement.
pub(super) fn parse(tokens: &[TokenWithSpan]) -> Result<Statement> {
    match () {
        _ if starts_with(tokens, &["EXPLAIN"]) => parse_explain(tokens),
        _ if function::is_create(tokens) => function::parse(&types::rewrite(tokens.to_vec())),
        _ if user_type::is_create(tokens) => user_type::parse(&types::rewrite(tokens.to_vec())),
        _ if starts_with(tokens, &["SET"]) => set::parse(tokens).map(Statement::Set),
        _ if starts_with(tokens, &["SHOW"]) => parse_show(tokens),
        _ if starts_with(tokens, &["SUBSCRIBE"]) => parse_subscribe(tokens),
        _ if starts_with(tokens, &["DESCRIBE"]) || starts_with(tokens, &["DESC"]) => parse_describe(tokens),
        _ => parse_other(tokens),
    }
}

fn parse_explain(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let kinds: &[(&str, ExplainKind)] = &[
        ("SYNTAX", ExplainKind::Syntax),
        ("LOGICAL", ExplainKind::Logical),
        ("OPTIMIZED", ExplainKind::Optimized),
        ("PIPELINE", ExplainKind::Pipeline),
    ];
    let nothing = || Error::user("EXPLAIN needs a statement to explain").at(place_of(&tokens[..1]));
    let rest = &tokens[1..];
    let first = rest.first().ok_or_else(nothing)?;
    let kind = kinds.iter().find(|(word, _)| is_word(first, word)).map(|(_, kind)| *kind);
    let is_analyze = is_word(first, "ANALYZE");
    if is_word(first, "VERBOSE") || is_word(first, "FORMAT") {
        let message = "EXPLAIN takes SYNTAX, LOGICAL, OPTIMIZED, PIPELINE or ANALYZE";
        return Err(Error::user(message).at(place_of(&rest[..1])));
    }
    let explained = if kind.is_some() || is_analyze { &rest[1..] } else { rest };
    if explained.is_empty() {
        return Err(nothing());
    }
    let statement = Box::new(parse(explained)?);
    let is_explained = match &*statement {
        Statement::Query(_) | Statement::CreateTableAs(_) | Statement::Insert(_) => true,
        Statement::CreateView(view) => view.is_materialized && !is_analyze,
        _ => false,
    };
    if !is_explained {
        let message = match is_analyze {
            true => "EXPLAIN ANALYZE takes a query, an INSERT or a CREATE TABLE ... AS",
            false => "EXPLAIN takes a query, an INSERT, a CREATE TABLE ... AS or a CREATE MATERIALIZED VIEW",
        };
        return Err(Error::user(message).at(place_of(&explained[..1])));
    }
    Ok(match kind {
        _ if is_analyze => Statement::Analyze(statement),
        kind => Statement::Explain(kind.unwrap_or(ExplainKind::Pipeline), statement),
    })
}

fn parse_show(tokens: &[TokenWithSpan]) -> Result<Statement> {
    match &tokens[1..] {
        [what] if is_word(what, "TABLES") => Ok(Statement::ShowTables),
        [what] if is_word(what, "FUNCTIONS") => Ok(Statement::ShowFunctions),
        rest => Err(Error::user("SHOW takes TABLES or FUNCTIONS").at(place_of(rest).or(place_of(tokens)))),
    }
}

fn parse_describe(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let rest = &tokens[1..];
    if ["SELECT", "WITH", "VALUES", "FROM"].iter().any(|word| starts_with(rest, &[word])) {
        return match parse(rest)? {
            Statement::Query(query) => Ok(Statement::DescribeQuery(query)),
            _ => Err(Error::user("DESCRIBE takes a table or a query").at(place_of(rest))),
        };
    }
    let rest = if starts_with(rest, &["TABLE"]) { &rest[1..] } else { rest };
    parse_name(rest).map(Statement::Describe)
}

fn parse_subscribe(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let rest = if starts_with(&tokens[1..], &["TO"]) { &tokens[2..] } else { &tokens[1..] };
    parse_name(rest).map(Statement::Subscribe)
}

/// A name and nothing behind it.
fn parse_name(rest: &[TokenWithSpan]) -> Result<ObjectName> {
    let mut parser =
        DFParserBuilder::new(rest.to_vec()).with_dialect(&DIALECT).build().map_err(error::from_datafusion)?;
    let name = parser.parser.parse_object_name(false).map_err(|e| error::from_parser(&e, rest))?;
    let end = parser.parser.peek_token();
    if end.token != sqlparser::tokenizer::Token::EOF {
        return Err(Error::user(format!("expected the end of the statement, found: {}", end.token)).at(place(end.span)));
    }
    Ok(name)
}

fn parse_other(tokens: &[TokenWithSpan]) -> Result<Statement> {
    let (mut tokens, emit) = emit::cut(&buffer::rewrite(arrows::rewrite(lists::rewrite(forms::rewrite(
        types::rewrite(tokens.to_vec()),
    ))?))?)?;
    let (mut watermark, mut computed) = (None, Vec::new());
    if starts_with(&tokens, &["CREATE"]) {
        define::check_create(&mut tokens)?;
        if !tokens.iter().take(4).any(|token| is_word(token, "VIEW")) {
            (tokens, watermark) = define::cut_watermark(tokens)?;
            (tokens, computed) = computed::cut(tokens)?;
            tokens = define::plain_types(define::quote_column_names(define::quote_option_keys(tokens)));
        }
    }
    let tokens = unpivot::rewrite(as_of::rewrite(window::rewrite(tokens)?)?)?;
    let tokens = numbers::join(tokens)?;
    let mut parser =
        DFParserBuilder::new(tokens.clone()).with_dialect(&DIALECT).build().map_err(error::from_datafusion)?;
    let mut trees = parser.parse_statements().map_err(|e| error::from_statement(e, &tokens))?;
    let mut tree = trees.pop_front().ok_or_else(|| Error::user("the statement is empty").at(place_of(&tokens)))?;
    if let Tree::Statement(statement) = &mut tree {
        depth::check(statement).map_err(|e| e.at(place_of(&tokens[..1])))?;
        trying::rewrite(statement)?;
        spelling::rewrite(statement)?;
        joins::rewrite(statement);
        distinct_on::rewrite(statement)?;
        forms::rewrite_fetch(statement)?;
        rows::rewrite(statement);
    }
    let emit_place = emit.as_ref().map(|emit| emit.place);
    let mut statement = convert(tree, emit, watermark).map_err(|e| e.at(place_of(&tokens[..1])))?;
    match &mut statement {
        Statement::CreateTable(table) => table.computed = computed,
        _ if !computed.is_empty() => {
            return Err(Error::user("only CREATE TABLE takes computed columns").at(place(computed[0].name.span)));
        }
        _ => {}
    }
    let is_plain_view = matches!(&statement, Statement::CreateView(view) if !view.is_materialized);
    if let (Some(place), true) =
        (emit_place, is_plain_view || matches!(statement, Statement::CreateTable(_) | Statement::Drop(_)))
    {
        return Err(Error::user("EMIT does not go with a definition; say it in the query that reads it").at(place));
    }
    Ok(statement)
}

fn convert(tree: Tree, emit: Option<Emit>, watermark: Option<WatermarkClause>) -> Result<Statement> {
    match tree {
        Tree::Statement(statement) => convert_sql(*statement, emit, watermark),
        Tree::CreateExternalTable(table) => {
            convert_external(table, watermark).map(|table| Statement::CreateTable(Box::new(table)))
        }
        Tree::CopyTo(_) => Err(Error::user("COPY is not supported; use INSERT INTO 'path' SELECT ...")),
        Tree::Explain(_) => Err(Error::bug("EXPLAIN is read before")),
        Tree::Reset(_) => Err(Error::user("RESET is not supported")),
    }
}

fn convert_sql(statement: ast::Statement, emit: Option<Emit>, watermark: Option<WatermarkClause>) -> Result<Statement> {
    use ast::Statement as S;
    match statement {
        S::Query(query) => Ok(Statement::Query(QueryStatement { query, emit })),
        S::CreateTable(table) => convert_table(table, emit, watermark),
        S::CreateView(view) => convert_view(view, emit).map(Statement::CreateView),
        S::Insert(insert) => convert_insert(insert, emit).map(Statement::Insert),
        S::DropFunction(drop) => {
            let names = drop.func_desc.into_iter().map(|function| function.name).collect();
            Ok(Statement::DropFunction { names, if_exists: drop.if_exists })
        }
        S::Drop { object_type, if_exists, names, cascade, .. } => {
            let what = match object_type {
                ObjectType::Table => Dropped::Table,
                ObjectType::View => Dropped::View,
                ObjectType::MaterializedView => Dropped::MaterializedView,
                ObjectType::Type => return Ok(Statement::DropType { names, if_exists }),
                other => {
                    return Err(Error::user(format!("DROP {other} is not supported; use DROP TABLE or DROP VIEW")));
                }
            };
            Ok(Statement::Drop(Drop { names, what, if_exists, cascade }))
        }
        other => {
            let text = other.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            Err(Error::user(format!("statement not supported: {}", words.join(" "))))
        }
    }
}

fn convert_table(table: ast::CreateTable, emit: Option<Emit>, watermark: Option<WatermarkClause>) -> Result<Statement> {
    let ignored = [
        (!matches!(table.hive_distribution, HiveDistributionStyle::NONE), "PARTITIONED BY"),
        (table.partition_by.is_some() || table.partition_of.is_some(), "PARTITION BY"),
        (table.cluster_by.is_some() || table.clustered_by.is_some(), "CLUSTER BY"),
        (table.order_by.is_some(), "ORDER BY"),
        (table.inherits.is_some(), "INHERITS"),
        (table.like.is_some() || table.clone.is_some(), "LIKE (list the columns)"),
    ];
    refuse_ignored("CREATE TABLE", &ignored)?;
    let ast::CreateTable { name, columns, constraints, table_options, query, or_replace, if_not_exists, .. } = table;
    let options = match table_options {
        CreateTableOptions::None => BTreeMap::new(),
        CreateTableOptions::With(options) | CreateTableOptions::Options(options) => convert_options(options)?,
        other => return Err(Error::user(format!("table options must stand in WITH (...), found: {other}"))),
    };
    if let Some(query) = query {
        if !columns.is_empty() || watermark.is_some() || !constraints.is_empty() {
            return Err(Error::user("CREATE TABLE ... AS takes its columns from the query; leave the column list out"));
        }
        let query = QueryStatement { query, emit };
        return Ok(Statement::CreateTableAs(CreateTableAs { name, options, or_replace, if_not_exists, query }));
    }
    let primary_key = primary_key(&columns, &constraints)?;
    Ok(Statement::CreateTable(Box::new(CreateTable {
        name,
        columns,
        primary_key,
        watermark,
        computed: Vec::new(),
        options,
        is_unbounded: false,
        or_replace,
        if_not_exists,
    })))
}

fn convert_external(table: CreateExternalTable, watermark: Option<WatermarkClause>) -> Result<CreateTable> {
    let CreateExternalTable { name, columns, file_type, locations, constraints, options: given, .. } = table;
    let path = match <[String; 1]>::try_from(locations) {
        Ok([path]) => path,
        Err(paths) => {
            return Err(Error::user(format!(
                "one LOCATION is supported, found: {}; use a pattern such as 'dir/*.csv'",
                paths.len()
            )));
        }
    };
    if !table.table_partition_cols.is_empty() {
        return Err(Error::user("PARTITIONED BY is not supported"));
    }
    let mut options = BTreeMap::from([
        ("connector".to_string(), "file".to_string()),
        ("format".to_string(), file_type.to_lowercase()),
        ("path".to_string(), path),
    ]);
    for (key, value) in given {
        let key = key.to_lowercase();
        let key = key.strip_prefix("format.").unwrap_or(&key).to_string();
        options.insert(key, value_text(&value));
    }
    let primary_key = primary_key(&columns, &constraints)?;
    let (is_unbounded, or_replace, if_not_exists) = (table.unbounded, table.or_replace, table.if_not_exists);
    let computed = Vec::new();
    Ok(CreateTable {
        name,
        columns,
        primary_key,
        watermark,
        computed,
        options,
        is_unbounded,
        or_replace,
        if_not_exists,
    })
}

fn convert_view(view: ast::CreateView, emit: Option<Emit>) -> Result<CreateView> {
    let ast::CreateView { name, columns, query, materialized, or_replace, if_not_exists, .. } = view;
    let columns = columns.into_iter().map(|column| column.name).collect();
    Ok(CreateView { name, columns, query, is_materialized: materialized, emit, or_replace, if_not_exists })
}

fn convert_insert(insert: ast::Insert, emit: Option<Emit>) -> Result<Insert> {
    let refuse =
        |what: &str| Err(Error::user(format!("INSERT with {what} is not supported; use INSERT INTO table SELECT ...")));
    let ignored = [
        (insert.on.is_some() || insert.or.is_some() || insert.ignore || insert.replace_into, "a rule for conflicts"),
        (insert.overwrite, "OVERWRITE"),
        (insert.partitioned.is_some(), "PARTITION"),
        (insert.returning.is_some() || insert.output.is_some(), "RETURNING"),
        (!insert.assignments.is_empty(), "SET"),
    ];
    refuse_ignored("INSERT", &ignored)?;
    let TableObject::TableName(sink) = insert.table else { return refuse("a function") };
    let Some(query) = insert.source else { return refuse("no query") };
    let mut columns = Vec::new();
    for name in insert.columns {
        match name.0.last().and_then(|part| part.as_ident()) {
            Some(column) if name.0.len() == 1 => columns.push(column.clone()),
            _ => return Err(Error::user(format!("expected a column, found: {name}"))),
        }
    }
    Ok(Insert { sink, columns, query: QueryStatement { query, emit } })
}

/// Refuses clauses that would be passed over in silence.
fn refuse_ignored(statement: &str, ignored: &[(bool, &str)]) -> Result<()> {
    match ignored.iter().find(|(is_there, _)| *is_there) {
        Some((_, what)) => Err(Error::user(format!("{statement} does not take {what}"))),
        None => Ok(()),
    }
}

fn primary_key(columns: &[ColumnDef], constraints: &[TableConstraint]) -> Result<Vec<Ident>> {
    let mut key: Vec<Ident> = Vec::new();
    for column in columns {
        if column.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_))) {
            key.push(column.name.clone());
        }
    }
    for constraint in constraints {
        let TableConstraint::PrimaryKey(primary) = constraint else {
            return Err(Error::user(format!("table constraint not supported: {constraint}")));
        };
        if !key.is_empty() {
            return Err(Error::user("a table has one primary key at most"));
        }
        for column in &primary.columns {
            match &column.column.expr {
                ast::Expr::Identifier(ident) => key.push(ident.clone()),
                other => return Err(Error::user(format!("a primary key takes columns, found: {other}"))),
            }
        }
    }
    Ok(key)
}

fn convert_options(given: Vec<SqlOption>) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for option in given {
        let SqlOption::KeyValue { key, value } = &option else {
            return Err(Error::user(format!("expected 'key' = 'value' in WITH, found: {option}")));
        };
        let text = match value {
            ast::Expr::Value(value) => value_text(&value.value),
            ast::Expr::Identifier(ident) => ident.value.clone(),
            ast::Expr::UnaryOp { .. } => value.to_string(),
            other => {
                return Err(
                    Error::user(format!("option {} takes a constant, found: {other}", key.value)).at(place(key.span))
                );
            }
        };
        if options.insert(key.value.to_lowercase(), text).is_some() {
            return Err(Error::user(format!("option given twice: {}", key.value)).at(place(key.span)));
        }
    }
    Ok(options)
}

/// A constant as an option's text: strings without their quotes.
fn value_text(value: &ast::Value) -> String {
    match value.clone().into_string() {
        Some(text) => text,
        None => value.to_string(),
    }
}
