//! `millstream generate`: files of test data.

use std::path::Path;

use millstream::engine::Engine;
use millstream::error::Error;
use millstream::stream::source::measurements;

use super::Stop;
use super::arguments::{Generate, GenerateArguments};
use super::output::Output;
use super::session::{Manner, Session};

pub fn run(arguments: &GenerateArguments) -> Result<(), Stop> {
    match &arguments.what {
        Generate::Measurements { path, rows, seed } => {
            let answer = measurements::write(path, *rows, *seed)?;
            let mut expected = path.as_os_str().to_owned();
            expected.push(".expected.csv");
            Ok(measurements::write_expected(Path::new(&expected), &answer)?)
        }
        Generate::Nexmark { path, entity, events, seed } => nexmark(path, entity, *events, *seed),
    }
}

fn nexmark(path: &Path, entity: &str, events: u64, seed: u64) -> Result<(), Stop> {
    if !entity.chars().all(|letter| letter.is_ascii_alphabetic()) {
        return Err(
            Error::user(format!("unknown type of event: '{entity}'; known are bid, auction, person, all")).into()
        );
    }
    let text = format!(
        "CREATE TABLE events WITH ('connector' = 'nexmark', 'type' = '{entity}', 'events' = '{events}', 'seed' = '{seed}');\n\
         SELECT * FROM events;"
    );
    let output = Output { file: Some(path.to_path_buf()), ..Output::default() };
    // One partition writes the events in their order.
    let engine = Engine::new(millstream::config::Config { partitions: 1, ..Default::default() });
    Session::new(engine, output, Manner::of_command(false))?.run_text(&text)
}
