//! What `cargo xtask sample` runs.

use std::process::ExitCode;

use clap::Parser;
use moe_lm::sample::{SampleCli, sample};

fn main() -> ExitCode {
    match sample(&SampleCli::parse()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprint!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
