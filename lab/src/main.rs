//! The lab's program.

use std::process::ExitCode;

use clap::Parser;
use lab::cli::Cli;

// Training allocates and frees a graph every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    env_logger::init();
    match Cli::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        // What a shell reports for a program stopped by Ctrl-C.
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
