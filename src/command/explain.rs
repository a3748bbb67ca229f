//! `millstream explain`: a step of the way of each query in a text. Definitions take effect, queries do not run.

use std::io::Write;

use millstream::engine::{Engine, Statement};
use millstream::error::Error;
use millstream::sql::ExplainKind;
use millstream::sql::parse::{Parsed, Statement as Syntax};

use super::Stop;
use super::arguments::{ExplainArguments, Step};
use super::run::bind;

pub fn run(arguments: &ExplainArguments) -> Result<(), Stop> {
    let engine = Engine::default();
    bind(&engine, &arguments.source)?;
    let text = arguments.text.read()?;
    let mut shown = 0;
    for parsed in engine.parse(&text)? {
        let parsed = explaining(parsed, arguments.step);
        if let Statement::Text(explained) = engine.prepare(&parsed).map_err(|error| error.in_text(&text))? {
            if shown > 0 {
                writeln!(std::io::stdout())?;
            }
            writeln!(std::io::stdout(), "{}", explained.trim_end())?;
            shown += 1;
        }
    }
    match shown {
        0 => Err(Error::user("no statement to explain; give a query, an INSERT or a CREATE TABLE ... AS").into()),
        _ => Ok(()),
    }
}

/// The statement, explained instead of run if it is one that runs.
fn explaining(mut parsed: Parsed, step: Step) -> Parsed {
    let kind = match step {
        Step::Syntax => ExplainKind::Syntax,
        Step::Logical => ExplainKind::Logical,
        Step::Optimized => ExplainKind::Optimized,
        Step::Pipeline => ExplainKind::Pipeline,
    };
    if matches!(parsed.statement, Syntax::Query(_) | Syntax::Insert(_) | Syntax::CreateTableAs(_)) {
        parsed.statement = Syntax::Explain(kind, Box::new(parsed.statement));
    }
    parsed
}
