//! What the command line does: a file per command, and what they share.
//!
//! Place       above the engine; nobody names it.
//! Invariants  results go to stdout, everything else to stderr; one clear message per failure, and the exit code says
//!             whose turn it is: 0 nobody's, 1 the user's, 2 the outside's, 3 ours.

mod arguments; // words into settings
mod run; //       run a text of SQL
mod test; //      run scripts of arrivals
mod explain; //   show a step of a query's way
mod kernel; //    lay out a project for kernels
mod generate; //  make test data
mod demo; //      ten million events, one query
mod bench; //     the queries of known benchmarks, timed and checked
mod shell; //     SQL by hand
mod complete; //  what could follow in the shell
mod session; //   an engine, and how it talks to its user
mod output; //    where rows of results go
mod progress; //  the line that shows work being done
mod interrupt; // ctrl-C and its kin
mod stats; //     the counters of what has run
mod show; //      numbers and times for people

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use millstream::error::{Error, Kind};

use arguments::{Arguments, Command};

/// Why a command stopped before its end.
pub enum Stop {
    Failed(Error),
    /// A signal ended it, and what it was at is incomplete: its number, as shells count them.
    Interrupted(u8),
    /// Whoever read our output has seen enough.
    Unread,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind() {
            Kind::Cancelled if is_of_reader(&error) => Stop::Unread,
            _ => Stop::Failed(error),
        }
    }
}

/// Whether a query was cancelled because whoever read its rows went away.
fn is_of_reader(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Stop::Unread,
            _ => Stop::Failed(Error::outside("cannot write to the terminal or pipe").caused_by(error)),
        }
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(asked) => {
            // Help and version are asked for; anything else is a mistake. Nobody listening is no reason to fail.
            let _ = asked.print();
            return ExitCode::from(if asked.use_stderr() { Kind::User.exit_code() } else { 0 });
        }
    };
    // One deep stack for all that is parsed and planned, instead of one for each statement.
    match millstream::engine::with_deep_stack(|| dispatch(arguments)) {
        Ok(()) | Err(Stop::Unread) => ExitCode::SUCCESS,
        Err(Stop::Interrupted(signal)) => ExitCode::from(128 + signal),
        Err(Stop::Failed(error)) => {
            complain(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<(), Stop> {
    match arguments.command {
        Some(Command::Run(run)) => run::run(&run),
        Some(Command::Test(test)) => test::run(&test),
        Some(Command::Explain(explain)) => explain::run(&explain),
        Some(Command::Kernel(kernel)) => kernel::run(&kernel),
        Some(Command::Generate(generate)) => generate::run(&generate),
        Some(Command::Demo(demo)) => demo::run(&demo),
        Some(Command::Bench(bench)) => bench::run(&bench),
        None if arguments.run.names_no_text() && std::io::stdin().is_terminal() => shell::run(&arguments.run),
        None => run::run(&arguments.run),
    }
}

/// Says what went wrong, with causes that the message does not tell already. The user's own errors tell all themselves.
fn complain(error: &Error) {
    let mut text = format!("error: {error}");
    let mut cause = if error.kind() == Kind::User { None } else { std::error::Error::source(error) };
    while let Some(this) = cause {
        let because = this.to_string();
        let gist = because.split(" (os error").next().unwrap_or_default().to_lowercase();
        if !text.to_lowercase().contains(&gist) {
            text.push_str(&format!("\n  because: {because}"));
        }
        cause = this.source();
    }
    // With nobody to listen, there is nothing left to say.
    let _ = writeln!(std::io::stderr(), "{text}");
}
