//! The command line.

mod corpus;
mod demo;
mod plan;
mod run;
mod sample;

use std::path::Path;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use corpus::CorpusCli;
pub use demo::DemoCli;
pub use plan::{PlanCli, Planned, PlannedGrowth};
pub use run::{ListCli, RunCli};
pub use sample::{SampleCli, sample};

use crate::page;

/// The experiments on burn-grow: what is run, measured and published.
#[derive(Clone, Debug, Parser)]
#[command(name = "lab", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    Demo(DemoCli),
    Corpus(CorpusCli),
    Run(RunCli),
    List(ListCli),
    /// Renews the published evidence from the results
    Page,
    Plan(PlanCli),
    Sample(SampleCli),
}

impl Cli {
    /// Does what is asked for, and tells whether all of it is done.
    ///
    /// # Errors
    ///
    /// As the command.
    pub fn run(&self) -> Result<bool> {
        match &self.command {
            Command::Demo(demo) => demo.run(),
            Command::Corpus(corpus) => corpus.run().map(|()| true),
            Command::Run(run) => run.run(),
            Command::List(list) => list.run(),
            Command::Page => page::renew(Path::new("")).map(|()| true),
            Command::Plan(plan) => {
                println!("{}", plan.text()?);
                Ok(true)
            }
            Command::Sample(cli) => {
                print!("{}", sample(cli)?);
                Ok(true)
            }
        }
    }
}
