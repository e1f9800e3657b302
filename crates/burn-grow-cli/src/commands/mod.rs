//! The commands, one file each.

mod completions;
mod expand;
mod inspect;
mod options;
mod plan;
mod progress;
mod text;
mod upcycle;
mod verify;
mod written;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Widens a folder of safetensors, as `transformers` writes it, so that it computes what it did and
/// has room to learn more.
#[derive(Parser)]
#[command(
    name = "burn-grow",
    version,
    after_help = "A first time:\n  \
        burn-grow inspect llama                       which axes it has, and which can grow\n  \
        burn-grow plan llama --axis inner=2x          what would happen to every tensor\n  \
        burn-grow expand llama --axis inner=2x --out wide\n  \
        burn-grow verify llama wide                   made again, and compared\n\n\
        Experts out of a dense model, first what they would cost:\n  \
        burn-grow upcycle llama --to mixtral --experts 8 --top-k 2 --dry-run\n  \
        burn-grow upcycle llama --to mixtral --experts 8 --top-k 2 --out sparse\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage, 3 `verify` found a difference."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
    Plan(plan::PlanCommand),
    Expand(expand::Expand),
    Upcycle(upcycle::Upcycle),
    Verify(verify::Verify),
    Completions(completions::Completions),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Inspect(command) => command.run(),
            Command::Plan(command) => command.run(),
            Command::Expand(command) => command.run(),
            Command::Upcycle(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Completions(command) => command.run(),
        }
    }
}
