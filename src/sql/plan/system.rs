//! System columns by name: a block that names `_offset` and its kin reads tables that have them, and `*` leaves them out.
//!
//! A table stands in the plan with the system columns that its block names: `SELECT *, _offset FROM t` is read as
//! `SELECT * EXCLUDE (_offset), _offset FROM "t with _offset" AS t`.
//!
//! Invariants  a column of the table's own that goes by such a name is an ordinary column.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use sqlparser::ast::{
    ExcludeSelectItem, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join, JoinConstraint,
    JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::Span;

use super::context::Context;
use super::define::normalize;
use crate::error::{Error, Result};
use crate::pipeline::SystemColumn;
use crate::sql::parse::place;

/// Between the name of a table and those of its system columns.
const WITH: &str = " with ";

/// The table and the system columns that a name from here stands for.
pub(super) fn split(name: &str) -> Option<(&str, Vec<SystemColumn>)> {
    let (table, columns) = name.rsplit_once(WITH)?;
    let columns = columns.split(", ").map(SystemColumn::from_name).collect::<Option<Vec<_>>>()?;
    Some((table, columns))
}

/// The name of the table alone, where a name stands for a table with system columns.
pub fn plain(name: &str) -> &str {
    split(name).map_or(name, |(table, _)| table)
}

/// Columns, and behind them every system column there could be: what a definition may speak of before its source is opened.
pub(super) fn with_all(schema: &SchemaRef) -> SchemaRef {
    let is_free = |column: &SystemColumn| schema.index_of(column.name()).is_err();
    let system = SystemColumn::ALL.into_iter().filter(is_free).map(SystemColumn::field);
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(system).collect::<Vec<_>>()))
}

/// Rewrites every block that names a system column.
///
/// Failure: a column that the table's source does not have.
pub(super) fn rewrite(context: &Context<'_>, query: &mut Query) -> Result<()> {
    let mut rewriter = Rewriter { context, shadows: Vec::new() };
    match query.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter<'a> {
    context: &'a Context<'a>,
    /// Names of the WITH clauses around, which hide tables.
    shadows: Vec<Vec<String>>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.shadows.push(tables.map(|table| normalize(&table.alias.name)).collect());
        let mut ordered = Mentions::default();
        if let Some(order_by) = &query.order_by {
            let _ = order_by.visit(&mut ordered);
        }
        match self.body(&mut query.body, ordered) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.shadows.pop();
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    fn body(&self, body: &mut SetExpr, ordered: Mentions) -> Result<()> {
        match body {
            SetExpr::Select(select) => self.block(select, ordered),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, Mentions::default())?;
                self.body(right, Mentions::default())
            }
            _ => Ok(()),
        }
    }

    fn block(&self, select: &mut Select, ordered: Mentions) -> Result<()> {
        let mentions = mentions(select, ordered);
        if mentions.is_empty() {
            return Ok(());
        }
        let mut tables = Vec::new();
        let mut all_known = true;
        for from in &mut select.from {
            collect(from, &mut tables, &mut all_known);
        }
        for table in &mut tables {
            self.look_up(table);
            all_known &= table.known.is_some();
        }
        for mention in &mentions {
            want(mention, &mut tables, all_known)?;
        }
        tables.retain(|table| !table.wanted.is_empty());
        let marked: Vec<Marked> = tables
            .iter()
            .map(|table| Marked { qualifier: table.qualifier.clone(), columns: table.wanted.clone() })
            .collect();
        tables.into_iter().for_each(TableInFrom::mark);
        if marked.is_empty() {
            return Ok(());
        }
        let at = place(mentions[0].span);
        if joins(select).any(|join| matches!(constraint(join), Some(JoinConstraint::Natural))) {
            let message = "system columns cannot be read of a NATURAL JOIN, which would join by them; name the columns with USING";
            return Err(Error::user(message).at(at));
        }
        leave_out(select, &marked).map_err(|e| e.at(at))
    }

    /// Finds out what a table has, unless WITH hides it.
    fn look_up(&self, table: &mut TableInFrom<'_>) {
        if self.shadows.iter().flatten().any(|shadow| *shadow == table.name) {
            return;
        }
        let Ok(Some(found)) = self.context.table(&table.name) else { return };
        let has_own = |column: &SystemColumn| found.has_column(column.name());
        let own = SystemColumn::ALL.into_iter().filter(has_own).collect();
        let has = found.table.system_columns().to_vec();
        table.known = Some(Known { own, has, source: found.table.describe() });
    }
}

/// A system column that a block names.
struct Mention {
    column: SystemColumn,
    qualifier: Option<String>,
    span: Span,
    /// Whether it stands in a subquery, which may have the column itself.
    is_nested: bool,
}

#[derive(Default)]
struct Mentions {
    found: Vec<Mention>,
    depth: usize,
}

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let (qualifier, ident) = match expr {
            Expr::Identifier(ident) => (None, ident),
            Expr::CompoundIdentifier(idents) => match idents.as_slice() {
                [.., table, ident] => (Some(normalize(table)), ident),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if let Some(column) = SystemColumn::from_name(&normalize(ident)) {
            let is_nested = self.depth > 0;
            if qualifier.is_some() || !is_nested {
                self.found.push(Mention { column, qualifier, span: ident.span, is_nested });
            }
        }
        ControlFlow::Continue(())
    }
}

/// The system columns that a block names, outside of the queries in its FROM.
fn mentions(select: &Select, ordered: Mentions) -> Vec<Mention> {
    let aliases: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(normalize(alias)),
            _ => None,
        })
        .collect();
    let mut mentions = Mentions::default();
    let _ = select.projection.visit(&mut mentions);
    let mut later = ordered;
    let _ = select.group_by.visit(&mut later);
    let _ = select.having.visit(&mut later);
    let _ = select.qualify.visit(&mut later);
    later.found.retain(|mention| mention.qualifier.is_some() || !aliases.contains(mention.column.name()));
    let _ = select.distinct.visit(&mut mentions);
    let _ = select.selection.visit(&mut mentions);
    let _ = select.named_window.visit(&mut mentions);
    for join in joins(select) {
        if let Some(JoinConstraint::On(condition)) = constraint(join) {
            let _ = condition.visit(&mut mentions);
        }
        if let JoinOperator::AsOf { match_condition, .. } = &join.join_operator {
            let _ = match_condition.visit(&mut mentions);
        }
    }
    for factor in select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)))
    {
        if let TableFactor::Table { args: Some(args), .. } = factor {
            let _ = args.visit(&mut mentions);
        }
    }
    mentions.found.extend(later.found);
    mentions.found
}

fn joins(select: &Select) -> impl Iterator<Item = &Join> {
    select.from.iter().flat_map(|from| &from.joins)
}

fn constraint(join: &Join) -> Option<&JoinConstraint> {
    use JoinOperator::*;
    match &join.join_operator {
        Join(constraint)
        | Inner(constraint)
        | Left(constraint)
        | LeftOuter(constraint)
        | Right(constraint)
        | RightOuter(constraint)
        | FullOuter(constraint)
        | Semi(constraint)
        | LeftSemi(constraint)
        | RightSemi(constraint)
        | Anti(constraint)
        | LeftAnti(constraint)
        | RightAnti(constraint) => Some(constraint),
        AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}

/// A table that a block reads by its name.
struct TableInFrom<'a> {
    /// As the catalog has it.
    name: String,
    qualifier: String,
    slot: Slot<'a>,
    /// What is known of it; `None`: it is a view, a name of WITH, or not there.
    known: Option<Known>,
    wanted: Vec<SystemColumn>,
}

struct Known {
    /// Columns of its own that go by such names.
    own: Vec<SystemColumn>,
    has: Vec<SystemColumn>,
    source: String,
}

/// Where the table's name stands.
enum Slot<'a> {
    From(&'a mut TableFactor),
    /// The argument of a table function.
    Argument(&'a mut Expr),
}

/// A table that has been given system columns.
struct Marked {
    qualifier: String,
    columns: Vec<SystemColumn>,
}

impl TableInFrom<'_> {
    /// Writes the wanted columns into the table's name.
    fn mark(self) {
        let columns: Vec<&str> = self.wanted.iter().map(|column| column.name()).collect();
        let marked = |span: Span| {
            let value = format!("{}{WITH}{}", self.name, columns.join(", "));
            Ident { value, quote_style: Some('"'), span }
        };
        match self.slot {
            Slot::From(TableFactor::Table { name, alias, .. }) => {
                let span = name.0.first().and_then(ObjectNamePart::as_ident).map_or(Span::empty(), |ident| ident.span);
                *name = ObjectName::from(vec![marked(span)]);
                let own = Ident { value: self.qualifier, quote_style: Some('"'), span };
                alias.get_or_insert(TableAlias { explicit: true, name: own, columns: Vec::new(), at: None });
            }
            Slot::From(_) => {}
            Slot::Argument(expr) => {
                let span = sqlparser::ast::Spanned::span(expr);
                *expr = Expr::Identifier(marked(span));
            }
        }
    }
}

/// The tables of a FROM; `all_known` falls where it reads anything else.
fn collect<'a>(from: &'a mut TableWithJoins, tables: &mut Vec<TableInFrom<'a>>, all_known: &mut bool) {
    let joined = from.joins.iter_mut().map(|join| &mut join.relation);
    for factor in std::iter::once(&mut from.relation).chain(joined) {
        collect_factor(factor, tables, all_known);
    }
}

fn collect_factor<'a>(factor: &'a mut TableFactor, tables: &mut Vec<TableInFrom<'a>>, all_known: &mut bool) {
    match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => collect(table_with_joins, tables, all_known),
        TableFactor::Table { args: None, name, alias, .. } => {
            let parts = name.0.iter().map(|part| part.as_ident().map(normalize)).collect::<Option<Vec<_>>>();
            let Some(parts) = parts else { return };
            let name = parts.join(".");
            let qualifier = alias.as_ref().map_or_else(|| name.clone(), |alias| normalize(&alias.name));
            tables.push(TableInFrom { name, qualifier, slot: Slot::From(factor), known: None, wanted: Vec::new() });
        }
        TableFactor::Table { args: Some(args), alias, .. } => {
            collect_argument(args.args.first_mut(), alias.as_ref(), tables, all_known);
        }
        TableFactor::TableFunction { expr: Expr::Function(function), alias } => match &mut function.args {
            FunctionArguments::List(list) => {
                collect_argument(list.args.first_mut(), alias.as_ref(), tables, all_known);
            }
            _ => *all_known = false,
        },
        _ => *all_known = false,
    }
}

/// The table that a table function is over.
fn collect_argument<'a>(
    argument: Option<&'a mut FunctionArg>,
    alias: Option<&TableAlias>,
    tables: &mut Vec<TableInFrom<'a>>,
    all_known: &mut bool,
) {
    let expr = match argument {
        Some(
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
            | FunctionArg::Named { arg: FunctionArgExpr::Expr(expr), .. },
        ) => expr,
        _ => {
            *all_known = false;
            return;
        }
    };
    let Expr::Identifier(ident) = &*expr else {
        *all_known = false;
        return;
    };
    let name = normalize(ident);
    let qualifier = alias.map_or_else(|| name.clone(), |alias| normalize(&alias.name));
    tables.push(TableInFrom { name, qualifier, slot: Slot::Argument(expr), known: None, wanted: Vec::new() });
}

/// Notes a column with the tables that it can be of. `all_known`: whether the block reads nothing else.
fn want(mention: &Mention, tables: &mut [TableInFrom<'_>], all_known: bool) -> Result<()> {
    let (column, mut is_there, mut sources) = (mention.column, false, Vec::new());
    let is_meant = |table: &&mut TableInFrom<'_>| match &mention.qualifier {
        Some(qualifier) => table.qualifier == *qualifier,
        None => true,
    };
    for table in tables.iter_mut().filter(is_meant) {
        let Some(known) = &table.known else { continue };
        is_there |= known.own.contains(&column);
        if known.own.contains(&column) {
            continue;
        }
        if known.has.contains(&column) {
            is_there = true;
            if !table.wanted.contains(&column) {
                table.wanted.push(column);
            }
        }
        sources.push(format!("{} ({}) has {}", table.name, known.source, list(&known.has)));
    }
    let is_sure = !sources.is_empty() && (mention.qualifier.is_some() || all_known) && !mention.is_nested;
    if is_there || !is_sure {
        return Ok(());
    }
    let message = format!("the source has no {}: {}", column.name(), sources.join("; "));
    Err(Error::user(message).at(place(mention.span)))
}

fn list(columns: &[SystemColumn]) -> String {
    match columns {
        [] => "no system columns".to_string(),
        columns => columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", "),
    }
}

/// Leaves the system columns out of every `*` of a block.
fn leave_out(select: &mut Select, marked: &[Marked]) -> Result<()> {
    let mut seen = HashSet::new();
    let is_ambiguous = marked.iter().flat_map(|table| &table.columns).any(|column| !seen.insert(*column));
    let all: Vec<SystemColumn> = marked.iter().flat_map(|table| table.columns.iter().copied()).collect();
    for item in &mut select.projection {
        match item {
            SelectItem::Wildcard(_) if is_ambiguous => {
                let message =
                    "`*` over several tables of which the same system column is read: write `a.*, b.*` instead";
                return Err(Error::user(message));
            }
            SelectItem::Wildcard(options) => exclude(options, &all),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let name = name.0.last().and_then(ObjectNamePart::as_ident).map(normalize);
                let table = marked.iter().find(|table| Some(&table.qualifier) == name.as_ref());
                if let Some(table) = table {
                    exclude(options, &table.columns);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn exclude(options: &mut WildcardAdditionalOptions, columns: &[SystemColumn]) {
    let new = columns.iter().map(|column| ObjectName::from(vec![Ident::new(column.name())]));
    let mut names: Vec<ObjectName> = match options.opt_exclude.take() {
        None => Vec::new(),
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
    };
    names.extend(new);
    options.opt_exclude = Some(ExcludeSelectItem::Multiple(names));
}
