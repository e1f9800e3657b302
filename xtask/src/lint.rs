use std::process::Command;

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::cargo::{answers, cargo, run, workspace};
use crate::links;
use crate::steps::Steps;

#[derive(Args)]
pub(crate) struct Lint {
    /// Runs one check alone; a tool that is not installed is an error then
    #[arg(long, value_enum)]
    only: Option<Check>,
    /// Also asks the advisory database about the dependencies, which takes a network
    #[arg(long)]
    advisories: bool,
}

impl Lint {
    /// Runs the checks in turn and stops at the first that fails.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if let Some(check) = self.only {
            check.require_tool()?;
        }
        let mut steps = Steps::default();
        for check in Check::value_variants() {
            if self.only.is_none_or(|only| only == *check) {
                steps.run(check.name(), || check.run())?;
            }
        }
        if self.advisories {
            Check::Dependencies.require_tool()?;
            steps.run("advisories", || cargo(["deny", "check", "advisories"], &[]))?;
        }
        steps.finish();
        Ok(())
    }
}

/// One check of what is written, without running any of it.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Check {
    /// `cargo fmt`
    Format,
    /// Lock files that are out of date
    Locks,
    /// `typos`
    Spelling,
    /// `cargo deny`: licences, sources and duplicates of the dependencies
    Dependencies,
    /// Links and anchors of every page
    Links,
    /// `cargo clippy`
    Clippy,
}

impl Check {
    /// Those that take seconds.
    pub(crate) const QUICK: [Self; 5] = [
        Self::Format,
        Self::Locks,
        Self::Spelling,
        Self::Dependencies,
        Self::Links,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Locks => "lock files",
            Self::Spelling => "spelling",
            Self::Dependencies => "dependencies",
            Self::Links => "links",
            Self::Clippy => "clippy",
        }
    }

    /// Runs the check, or says that it was skipped for want of its tool.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(tool) = self.missing_tool() {
            println!("skipped: {tool} is not installed (`cargo install --locked {tool}`)");
            return Ok(());
        }
        match self {
            Self::Format => cargo(["fmt", "--all", "--check"], &[]),
            Self::Locks => lock_files(),
            Self::Spelling => run(Command::new("typos").current_dir(workspace()?)),
            Self::Dependencies => {
                let offline = ["deny", "check", "bans", "licenses", "sources"];
                cargo(offline, &[])
            }
            Self::Links => links::check(),
            Self::Clippy => {
                let clippy = "clippy --workspace --all-targets -- --deny warnings";
                cargo(clippy.split(' '), &[])
            }
        }
    }

    fn require_tool(self) -> anyhow::Result<()> {
        if let Some(tool) = self.missing_tool() {
            bail!("{tool} is missing: `cargo install --locked {tool}`");
        }
        Ok(())
    }

    /// The package of the program that the check needs, if that is not installed.
    fn missing_tool(self) -> Option<&'static str> {
        let (package, program) = match self {
            Self::Spelling => ("typos-cli", "typos"),
            Self::Dependencies => ("cargo-deny", "cargo-deny"),
            _ => return None,
        };
        (!answers(program)).then_some(package)
    }
}

/// Checks the lock files of the workspaces that this one's build leaves alone, too: their users
/// would find them stale.
fn lock_files() -> anyhow::Result<()> {
    for workspace in [".", "fuzz", "tests/remote"] {
        let manifest = format!("{workspace}/Cargo.toml");
        let unchanged = ["update", "--workspace", "--locked", "--manifest-path"];
        cargo(unchanged.into_iter().chain([manifest.as_str()]), &[])?;
    }
    Ok(())
}
