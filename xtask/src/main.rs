//! The project's commands. `cargo xtask --help` lists them, CONTRIBUTING.md says when to use which.

mod bench;
mod cargo;
mod device;
mod docs;
mod fuzz;
mod gpu;
mod kill_loop;
mod lab;
mod links;
mod lint;
mod msrv;
mod package;
mod parity;
mod python;
mod remote;
mod steps;
mod test;
mod test_device;

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
    Demo(lab::Lab),
    /// Runs an experiment, or goes on with it: all its runs, over seeds (`--list`, `--help`)
    #[command(disable_help_flag = true)]
    Experiment(lab::Lab),
    /// Prints what an expansion would do and cost, before anything is trained (`--help`)
    #[command(disable_help_flag = true)]
    Plan(lab::Lab),
    /// Continues a text with a model of the demonstration, before and after it grew (`--help`)
    #[command(disable_help_flag = true)]
    Sample(lab::Lab),
    /// Checks everything that has to pass: lints, links, tests, the quick demo, documentation
    Test,
    /// Computes what depends on the device on another one than Flex, and compares
    TestDevice(test_device::TestDevice),
    /// Checks format, lock files, spelling, licences and advisories, and runs clippy
    Lint(lint::Lint),
    /// Checks links and the documentation of the interface, and builds the book
    Docs(docs::Docs),
    /// Packages the published crates and builds each from its package, in the order of release
    Package(package::Package),
    /// Checks that the workspace compiles with the oldest Rust version it promises
    Msrv,
    /// Compares the MoE transformer and the families of the command line with Hugging Face's and
    /// writes the parity page
    Parity(parity::Parity),
    /// Kills a growing run again and again and checks that it ends as if nothing had happened
    KillLoop(kill_loop::KillLoop),
    /// Tests runs over devices of other processes, which `test` leaves out: they take minutes to
    /// build
    Remote,
    /// Feeds damaged checkpoints and hostile plans to the library; needs a nightly toolchain and
    /// cargo-fuzz
    Fuzz(fuzz::Fuzz),
    /// Checks and times everything on a graphics card, or packs what does so for another machine
    Gpu(gpu::Gpu),
    /// Prints what growing costs, or how fast the MoE transformer is, as ratios
    Bench(bench::Bench),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Demo(lab) => lab.run("demo"),
        Command::Experiment(lab) => lab.run("run"),
        Command::Plan(lab) => lab.run("plan"),
        Command::Sample(lab) => lab.run("sample"),
        Command::Test => test::run(),
        Command::TestDevice(test) => test.run(),
        Command::Lint(lint) => lint.run(),
        Command::Docs(docs) => docs.run(),
        Command::Package(package) => package.run(),
        Command::Msrv => msrv::run(),
        Command::Parity(parity) => parity.run(),
        Command::KillLoop(kills) => kills.run(),
        Command::Remote => remote::run(),
        Command::Fuzz(fuzz) => fuzz.run(),
        Command::Gpu(gpu) => gpu.run(),
        Command::Bench(bench) => bench.run(),
    }
}
