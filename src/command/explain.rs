//! `millstream explain`: a step of the way of each query in a text. Definitions take effect, queries do not run.

use std::io::Write;

use millstream::engine::{Engine, ExplainKind, Statement};
use millstream::error::Error;

use super::Stop;
use super::arguments::{ExplainArguments, Step};
use super::run::bind;

pub fn run(arguments: &ExplainArguments) -> Result<(), Stop> {
    let engine = Engine::default();
    bind(&engine, &arguments.source)?;
    let text = arguments.text.read()?;
    let mut shown = 0;
    for parsed in engine.parse(&text)? {
        let explained = engine.explain(parsed, kind(arguments.step)).map_err(|error| error.in_text(&text))?;
        if let Statement::Text(explained) = explained {
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

fn kind(step: Step) -> ExplainKind {
    match step {
        Step::Syntax => ExplainKind::Syntax,
        Step::Logical => ExplainKind::Logical,
        Step::Optimized => ExplainKind::Optimized,
        Step::Pipeline => ExplainKind::Pipeline,
    }
}
