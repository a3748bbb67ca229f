//! Text to syntax trees: several statements at once, with the words that streams need.
//!
//! Place       the first step of the query's way; `plan` takes what comes out.
//! Invariants  sqlparser and DataFusion's parser are wrapped, not forked: what they do not know is cut out of the tokens
//!             or rewritten before they see it, so that every place still points into the user's text.

mod statement; //  the statements there are
mod define; //     WATERMARK FOR, CREATE STREAM, option keys
mod computed; //   columns that a table computes
mod window; //     WINDOW TUMBLING(...), TUMBLE(TABLE ...)
mod buffer; //     ROWS WINDOW BUFFER n ROWS
mod emit; //       EMIT ...
mod hints; //      /*+ STATE_TTL(...) */
mod set; //        SET name = value
mod function; //   CREATE FUNCTION
mod user_type; //  CREATE TYPE
mod as_of; //      ASOF JOIN, FOR SYSTEM_TIME AS OF
mod unpivot; //    UNPIVOT of several columns
mod dialect; //    what is read
mod tokens; //     tokens and their places
mod trying; //     TRY(f(x))
mod spelling; //   other engines' spellings of functions
pub(super) mod written; // names of columns that are rewritten
mod interval; //   intervals of several units, and so often
mod joins; //      SEMI JOIN, CROSS APPLY
mod distinct_on; // SELECT DISTINCT ON (...)
mod literal; //    '{1,2}'::INT[]
mod order_key; //  what a key of an order stands for
mod lists; //      MAP['a', 1], GROUP BY DISTINCT a
mod values; //     VALUES 1, 2
mod rows; //       (x).*, ARRAY(query)
mod arrows; //     lambdas, and members of JSON
mod forms; //      |x| x + 1, TRIM(BOTH FROM x), AS MATERIALIZED, FETCH FIRST
mod types; //      INT ARRAY, INTERVAL '2' DAYS
mod numbers; //    10_000
mod depth; //      how deep a statement may be

pub(crate) use as_of::SYSTEM_TIME;
pub use computed::ComputedColumn;
pub use define::WatermarkClause;
pub use emit::Emit;
pub use function::{CreateFunction, CreateSqlFunction, NamedFunction};
pub use hints::StateTtl;
pub(super) use hints::state_ttl;
pub(super) use interval::interval_text;
pub(super) use rows::{ALL_FIELDS, ARRAY_ROWS};
pub use set::Setting;
pub(super) use spelling::row_function;
pub use statement::{
    CreateTable, CreateTableAs, CreateView, Drop, Dropped, ExplainKind, Insert, QueryStatement, Statement,
};
pub(crate) use tokens::{place, place_of_words};
pub(crate) use unpivot::UNPIVOT;
pub use user_type::{CreateType, TypeIs};
pub(super) use window::PARTITION_ARGUMENT;
pub(crate) use window::nanoseconds;

use std::ops::Range;

use sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use crate::error::{Place, Result};
use crate::sql::stack::with_deep_stack;

/// One statement of a text.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub statement: Statement,
    /// The statement's own text, without the semicolon.
    pub text: String,
    /// The bytes of the whole text that it covers.
    pub range: Range<usize>,
    /// Where it starts; places in errors are places in the whole text.
    pub place: Place,
    tokens: Vec<TokenWithSpan>,
}

/// A name to be written exactly.
#[derive(Debug)]
pub(super) struct Replacement {
    /// What to look for, in lower case.
    pub(super) name: String,
    /// Where to look; `None`: everywhere in the statement.
    pub(super) within: Option<Span>,
    /// What to put there.
    pub(super) put: Put,
}

/// What a name becomes.
#[derive(Debug)]
pub(super) enum Put {
    /// The quoted name.
    Exact(String),
    /// SQL that the name stands for.
    Sql(&'static str),
}

/// Cuts a text into statements and reads each.
///
/// Failure: the first mistake found, with its place in the whole text.
pub fn parse(text: &str) -> Result<Vec<Parsed>> {
    with_deep_stack(|| parse_all(text))
}

fn parse_all(text: &str) -> Result<Vec<Parsed>> {
    let tokens = tokens::tokenize(text)?;
    let pieces = tokens.split(|token| token.token == Token::SemiColon).filter(|piece| !piece.is_empty());
    pieces.map(|piece| Parsed::new(text, piece)).collect()
}

impl Parsed {
    fn new(text: &str, piece: &[TokenWithSpan]) -> Result<Parsed> {
        let statement = statement::parse(piece)?;
        let place = tokens::place_of(piece).expect("a statement has tokens, each with a place");
        let (start, end) = (piece[0].span.start, piece[piece.len() - 1].span.end);
        let range = tokens::offset(text, start)..tokens::offset(text, end);
        Ok(Parsed { statement, text: text[range.clone()].to_string(), range, place, tokens: piece.to_vec() })
    }

    /// Whether it puts rows out, to wherever its caller wants them.
    pub fn gives_rows(&self) -> bool {
        use Statement::{Describe, DescribeQuery, Query, ShowFunctions, ShowTables};
        matches!(self.statement, Query(_) | ShowTables | ShowFunctions | Describe(_) | DescribeQuery(_))
    }

    /// The statement with unquoted names replaced by quoted ones; `None` when nothing was found.
    pub(super) fn with_exact_names(&self, replacements: &[Replacement]) -> Option<Result<Parsed>> {
        let mut tokens = self.tokens.clone();
        let mut changed = false;
        for Replacement { name, within, put } in replacements {
            let inside = |span: Span| within.is_none_or(|within| span.start >= within.start && span.end <= within.end);
            let fits =
                |token: &TokenWithSpan| inside(token.span) && tokens::word(token).is_some_and(|word| &word == name);
            let mut found: Vec<usize> = (0..tokens.len()).filter(|&at| fits(&tokens[at])).collect();
            if within.is_some() {
                found = found.pop().into_iter().collect(); // the column of `table.column`
            }
            // From behind, so that places found stay true.
            for at in found.into_iter().rev() {
                let span = tokens[at].span;
                match put {
                    Put::Exact(exact) => tokens[at] = tokens::make_word(exact, Some('"'), span),
                    Put::Sql(sql) => {
                        let mut put = tokens::tokenize(sql).expect("SQL of ours");
                        put.iter_mut().for_each(|token| token.span = span);
                        tokens.splice(at..=at, put);
                    }
                }
                changed = true;
            }
        }
        changed.then(|| Ok(Parsed { statement: statement::parse(&tokens)?, tokens, ..self.clone() }))
    }

    /// Where a name stands in the statement, unquoted or quoted.
    pub(super) fn place_of_name(&self, name: &str) -> Option<Place> {
        let is_name = |token: &&TokenWithSpan| match &token.token {
            Token::Word(word) if word.quote_style.is_none() => word.value.eq_ignore_ascii_case(name),
            Token::Word(word) => word.value == name,
            Token::SingleQuotedString(text) => text == name,
            _ => false,
        };
        self.tokens.iter().find(is_name).and_then(|token| place(token.span))
    }
}

#[cfg(test)]
mod tests;
