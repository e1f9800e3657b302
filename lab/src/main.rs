//! The demonstration's command line.

use std::process::ExitCode;

use clap::Parser;
use moe_lm::cli::Cli;

// Training allocates and frees a graph every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    env_logger::init();
    let cli = Cli::parse();
    match moe_lm::demo(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        // What a shell reports for a program stopped by Ctrl-C.
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
