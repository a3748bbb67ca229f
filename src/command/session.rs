//! An engine, and how it talks to its user while statements run.
//!
//! Place       under run, demo and shell: each hands it texts.
//! Invariants  statements run one after another; a failure ends the text it is in and nothing else.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use millstream::engine::{Engine, Metrics, Parsed, Prepared, Running, Statement};
use millstream::error::Error;

use super::Stop;
use super::interrupt::Interrupts;
use super::output::Output;
use super::progress::{self, Progress};
use super::stats::Stats;

/// How long a query is left alone between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// An engine and its user.
pub struct Session {
    pub engine: Engine,
    pub output: Output,
    pub interrupts: Interrupts,
    pub stats: Stats,
    pub manner: Manner,
}

/// How much is told beside the results.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// No progress line.
    pub is_quiet: bool,
    /// What a query took, after it.
    pub has_summary: bool,
    /// What a statement without rows has done.
    pub has_notes: bool,
}

impl Manner {
    /// For commands: summaries only for a person at a terminal.
    pub fn of_command(is_quiet: bool) -> Manner {
        let has_summary = !is_quiet && std::io::stderr().is_terminal();
        Manner { is_quiet, has_summary, has_notes: false }
    }
}

impl Session {
    pub fn new(engine: Engine, output: Output, manner: Manner) -> Result<Session, Stop> {
        // A process that is to stay until a signal comes must not be ended by one that comes early.
        let interrupts = Interrupts::listen(engine.config().keep_open)?;
        Ok(Session { engine, output, interrupts, stats: Stats::default(), manner })
    }

    /// Runs all statements of a text.
    pub fn run_text(&mut self, text: &str) -> Result<(), Stop> {
        let statements = self.engine.parse(text)?;
        let last_query = statements.iter().rposition(Parsed::gives_rows);
        if self.output.file.is_some() && last_query.is_none() {
            let message = "no statement gives rows for the sink; the last one may be a SELECT, or leave the sink out";
            return Err(Error::user(message).into());
        }
        for (number, statement) in statements.iter().enumerate() {
            let is_last = Some(number) == last_query;
            self.run_statement(statement, is_last).map_err(|stop| match stop {
                Stop::Failed(error) => Stop::Failed(error.in_text(text)),
                other => other,
            })?;
        }
        Ok(())
    }

    fn run_statement(&mut self, parsed: &Parsed, is_last: bool) -> Result<(), Stop> {
        match self.engine.prepare(parsed)? {
            Statement::Done(message) => self.note(&message),
            Statement::Text(text) => {
                let mut out = std::io::stdout().lock();
                writeln!(out, "{}", text.trim_end())?;
                out.flush()?;
            }
            Statement::Rows(rows) => {
                let mut sink = self.output.open(rows.schema(), false, is_last)?;
                sink.write(&rows, None)?;
                sink.finish()?;
            }
            Statement::Query(prepared) => self.run_query(prepared, is_last)?,
        }
        Ok(())
    }

    fn run_query(&mut self, prepared: Prepared, is_last: bool) -> Result<(), Stop> {
        if !self.manner.is_quiet {
            prepared.warnings().iter().for_each(|warning| self.say(&format!("warning: {}", warning.message())));
        }
        let progress = Progress::new(&prepared, self.manner.is_quiet);
        let (is_bounded, has_sink) = (prepared.is_bounded(), prepared.has_sink());
        let running = match has_sink {
            true => self.engine.run(prepared)?,
            false => {
                let sink = self.output.open(prepared.schema(), prepared.is_updating(), is_last)?;
                self.engine.start_into(&prepared, progress.beside(sink))?
            }
        };
        let (metrics, took, signal) = self.watch(running, progress)?;
        if self.manner.has_summary {
            let written = match has_sink || !self.output.is_table(is_last) {
                true => format!("{} rows written in ", metrics.rows_out),
                false => String::new(),
            };
            self.say(&format!("{written}{}", progress::summary(&metrics, took)));
        } else if has_sink {
            self.note(&format!("{} rows written", metrics.rows_out));
        }
        self.stats.add(&metrics, took);
        match signal {
            // An endless query ends by a signal; that is no failure.
            Some(signal) if is_bounded && !self.engine.config().keep_open => Err(Stop::Interrupted(signal)),
            _ => Ok(()),
        }
    }

    /// Waits for a query's end. The first signal asks it to come to one, the second does not ask.
    fn watch(&self, mut running: Running, mut progress: Progress) -> Result<(Metrics, Duration, Option<u8>), Stop> {
        let hearing = self.interrupts.hear();
        let mut asked = None;
        let mut pause = Duration::from_micros(50);
        while !running.is_finished() {
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK_EVERY);
            progress.show(|| running.metrics());
            match (hearing.take(), asked) {
                (None, _) => {}
                (Some(signal), None) => {
                    asked = Some(signal);
                    running.cancel();
                }
                (Some(signal), Some(_)) => {
                    running.control().abort();
                    // Not joined: it may be waiting for the outside, and the user waits no longer.
                    std::mem::forget(running);
                    return Err(Stop::Interrupted(signal));
                }
            }
        }
        let metrics = running.wait()?;
        Ok((metrics, progress.elapsed(), asked))
    }

    /// Keeps the process there until a signal ends it.
    pub fn stay(&self) {
        let hearing = self.interrupts.hear();
        while hearing.take().is_none() {
            std::thread::sleep(LOOK_EVERY * 10);
        }
    }

    fn note(&self, message: &str) {
        if self.manner.has_notes && !message.is_empty() {
            self.say(message);
        }
    }

    /// Says something beside the results.
    pub fn say(&self, message: &str) {
        // What is said beside the results is not missed when nobody listens.
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}
