//! What `cargo xtask plan` runs.

use std::process::ExitCode;

use clap::Parser;
use moe_lm::planning::{PlanCli, plan};

fn main() -> ExitCode {
    match plan(&PlanCli::parse()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
