//! The shell: SQL by hand, statement by statement.
//!
//! Invariants  an error ends the statement, never the shell; ctrl-C stops the query, or drops the line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use millstream::error::Error;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::arguments::{RunArguments, read_file};
use super::complete::Complete;
use super::run;
use super::session::{Manner, Session};
use super::{Stop, complain};

/// Commands of the shell itself, and what they do.
pub const DOT_COMMANDS: &[(&str, &str)] = &[
    (".help", "show this list"),
    (".tables", "list tables and views"),
    (".schema [NAME]", "show the columns of a table, or of all"),
    (".read FILE", "run a file of SQL"),
    (".timer on|off", "show or hide what a query took"),
    (".quit", "leave; so does ctrl-D"),
];

const GREETING: &str = "Statements end with a semicolon; .help lists commands, ctrl-C stops a query, ctrl-D leaves.";

struct Shell {
    session: Session,
    editor: Editor<Complete, FileHistory>,
}

pub fn run(arguments: &RunArguments) -> Result<(), Stop> {
    let manner = Manner { is_quiet: arguments.quiet, has_summary: !arguments.quiet, has_notes: true };
    let session = Session::new(run::engine(arguments)?, run::output(arguments), manner)?;
    let config = Config::builder().auto_add_history(true).build();
    let mut editor = Editor::with_config(config).map_err(unusable)?;
    editor.set_helper(Some(Complete::new(session.engine.clone())));
    let history = history_path();
    if let Some(path) = &history {
        // There is none before the first time.
        let _ = editor.load_history(path);
    }
    if !arguments.quiet {
        session.say(&format!("millstream {}\n{GREETING}", env!("CARGO_PKG_VERSION")));
    }
    let mut shell = Shell { session, editor };
    let ended = shell.converse();
    if let Some(path) = history
        && let Err(error) = keep_history(&mut shell.editor, &path)
    {
        shell.session.say(&format!("the history cannot be kept: {}: {error}", path.display()));
    }
    ended
}

fn unusable(error: ReadlineError) -> Error {
    Error::outside("the terminal cannot be used").caused_by(error)
}

impl Shell {
    fn converse(&mut self) -> Result<(), Stop> {
        loop {
            let text = match self.editor.readline("millstream> ") {
                Ok(text) => text,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(unusable(error).into()),
            };
            let done = match text.trim() {
                ".quit" | ".exit" => return Ok(()),
                command if command.starts_with('.') => self.command(command),
                _ => self.session.run_text(&text),
            };
            match done {
                Ok(()) => {}
                Err(Stop::Failed(error)) => complain(&error),
                Err(Stop::Interrupted(_)) => self.session.say("stopped; the answer is incomplete"),
                Err(Stop::Unread) => return Ok(()),
            }
        }
    }

    fn command(&mut self, command: &str) -> Result<(), Stop> {
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, argument.trim()) {
            (".help", _) => self.help(),
            (".tables", _) => self.session.run_text("SHOW TABLES")?,
            (".schema", "") => self.all_schemas()?,
            (".schema", table) => self.session.run_text(&format!("DESCRIBE {table}"))?,
            (".read", "") => return Err(Error::user("which file? .read FILE").into()),
            (".read", file) => self.session.run_text(&read_file(Path::new(file.trim_matches(['\'', '"'])))?)?,
            (".timer", "on") => self.session.manner.has_summary = true,
            (".timer", "off") => self.session.manner.has_summary = false,
            (".timer", _) => return Err(Error::user("on or off? .timer on, .timer off").into()),
            _ => return Err(Error::user(format!("unknown command: {name}; .help lists them")).into()),
        }
        Ok(())
    }

    fn help(&self) {
        let mut text = String::new();
        for (command, what) in DOT_COMMANDS {
            writeln!(text, "{command:16}{what}").expect("memory takes all");
        }
        self.session.say(text.trim_end());
    }

    fn all_schemas(&mut self) -> Result<(), Stop> {
        let helper = self.editor.helper().expect("set when the shell began");
        for table in helper.tables() {
            self.session.say(&format!("{table}:"));
            self.session.run_text(&format!("DESCRIBE \"{}\"", table.replace('"', "\"\"")))?;
        }
        Ok(())
    }
}

/// Where the history is kept: in the user's state directory.
fn history_path() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/state")))
        .or_else(|| variable("LOCALAPPDATA"))?;
    Some(state.join("millstream").join("history"))
}

fn keep_history(editor: &mut Editor<Complete, FileHistory>, path: &Path) -> Result<(), ReadlineError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    editor.save_history(path)
}
