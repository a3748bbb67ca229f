//! The command line: arguments in, library calls out.
//!
//! Place       `command` does the work; here only what belongs to a process: its allocator and its exit code.
#![forbid(unsafe_code)]

mod command;

/// A library never chooses the allocator; our binary does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::main()
}
