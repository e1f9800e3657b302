//! The project's commands: `cargo xtask demo`, `sample`, `experiment`, `plan`, `test`, `parity`, `kill-loop`, `remote`, `fuzz` and
//! `bench`.

mod bench;
mod cargo;
mod demo;
mod experiment;
mod fuzz;
mod kill_loop;
mod parity;
mod plan;
mod python;
mod remote;
mod sample;
mod test;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The commands of burn-grow")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trains a small language model that widens mid-run, beside its controls (`-- --help`)
    #[command(disable_help_flag = true)]
    Demo(demo::Demo),
    /// Runs an experiment, or goes on with it: all its arms, over seeds (`--list`, `--help`)
    #[command(disable_help_flag = true)]
    Experiment(experiment::Experiment),
    /// Prints what an expansion would do and cost, before anything is trained (`--help`)
    #[command(disable_help_flag = true)]
    Plan(plan::Plan),
    /// Continues a text with a model of the demonstration, before and after it grew (`--help`)
    #[command(disable_help_flag = true)]
    Sample(sample::Sample),
    /// Checks everything: format, lints, documentation, tests, and the quick demo
    Test,
    /// Compares the transformer of experts with Hugging Face's, and writes `docs/src/reference/parity.md`
    Parity,
    /// Kills a growing run again and again and checks that it ends as if nothing had happened
    KillLoop(kill_loop::KillLoop),
    /// Tests runs over devices of other processes, which `test` leaves out: they take minutes to build
    Remote,
    /// Feeds damaged checkpoints and hostile plans to the library; needs a nightly toolchain and cargo-fuzz
    Fuzz(fuzz::Fuzz),
    /// Prints what growing costs, or how fast the transformer of experts is, as ratios
    Bench(bench::Bench),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Experiment(experiment) => experiment.run(),
        Command::Plan(plan) => plan.run(),
        Command::Sample(sample) => sample.run(),
        Command::Test => test::run(),
        Command::Parity => parity::run(),
        Command::KillLoop(kills) => kills.run(),
        Command::Remote => remote::run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Bench(bench) => bench.run(),
    }
}
