//! `millstream run`, `millstream -c`, and SQL from a pipe.

use std::io::Write;

use millstream::engine::Engine;
use millstream::error::Result;

use super::Stop;
use super::arguments::RunArguments;
use super::output::Output;
use super::session::{Manner, Session};

pub fn run(arguments: &RunArguments) -> Result<(), Stop> {
    let text = arguments.text.read()?;
    let mut session = Session::new(engine(arguments)?, output(arguments), Manner::of_command(arguments.quiet))?;
    let ended = session.run_text(&text);
    if ended.is_ok() && arguments.keep_open {
        session.stay();
    }
    if arguments.stats.is_some() && !matches!(ended, Err(Stop::Failed(_))) {
        // Asked for, but nobody there: the query has done its work all the same.
        let _ = writeln!(std::io::stderr(), "{}", session.stats.to_json());
    }
    ended
}

/// The engine that the arguments describe.
pub fn engine(arguments: &RunArguments) -> Result<Engine> {
    let engine =
        Engine::new(millstream::config::Config { keep_open: arguments.keep_open, ..arguments.engine.config() });
    arguments.engine.load.iter().try_for_each(|library| engine.load(library).map(|_| ()))?;
    bind(&engine, &arguments.source)?;
    Ok(engine)
}

/// Binds tables to files.
pub fn bind(engine: &Engine, sources: &[(String, String)]) -> Result<()> {
    sources.iter().try_for_each(|(name, path)| engine.register_file(name, path))
}

/// Where the arguments want the rows.
pub fn output(arguments: &RunArguments) -> Output {
    Output { format: arguments.format, file: arguments.sink.clone(), fold: arguments.fold }
}
