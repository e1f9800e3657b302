use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::cargo::{answers, toolchain, workspace};

/// How long to fuzz.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// The minutes that each target runs
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Runs one target alone
    #[arg(long, value_enum)]
    only: Option<Target>,
}

/// A target of `fuzz/`.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Target {
    /// Damaged checkpoints
    Checkpoint,
    /// Hostile blueprints, expansions, plans and configurations
    Blueprint,
    /// Folders for the command line whose index, headers and configuration lie
    Folder,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Blueprint => "blueprint",
            Self::Folder => "folder",
        }
    }
}

impl Fuzz {
    /// Runs the targets of `fuzz/` in turn, stops at the first crash, and prints how often each one
    /// ran.
    ///
    /// Without a sanitizer: the workspace forbids unsafe code, and Burn builds far faster so.
    /// Arithmetic that overflows and assertions that fail do crash.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if !answers("cargo-fuzz") {
            bail!("cargo-fuzz is missing: `cargo install cargo-fuzz`");
        }
        let nightly = toolchain("nightly", &["rustc", "--version"]).output();
        if !nightly.is_ok_and(|output| output.status.success()) {
            bail!("a nightly toolchain is missing: `rustup toolchain install nightly`");
        }
        let mut tally = Vec::new();
        for target in Target::value_variants() {
            if self.only.is_none_or(|only| only == *target) {
                let target = target.name();
                tally.push(format!("{target}: {}", self.fuzz(target)?));
            }
        }
        println!("\n{}", tally.join("\n"));
        Ok(())
    }

    /// Runs `target` and returns what it says of itself last.
    fn fuzz(&self, target: &str) -> anyhow::Result<String> {
        println!("\n== {target}");
        let seconds = 60 * self.minutes;
        let time = format!("-max_total_time={seconds}");
        // Long inputs from the start, as short ones change little; each has ten seconds and 2 GiB.
        let arguments = ["cargo", "fuzz", "run", "--sanitizer", "none", target];
        let mut command = toolchain("nightly", &arguments);
        command
            .args(["--", "-len_control=0", "-timeout=10", &time])
            .env("RAYON_NUM_THREADS", "1")
            .current_dir(workspace()?)
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let (mut coverage, mut runs) = (String::new(), String::new());
        for line in BufReader::new(child.stderr.take().context("no output")?).lines() {
            let line = line?;
            eprintln!("{line}");
            if let Some((_, counters)) = line.split_once(" cov: ") {
                coverage = counters.split(" lim: ").next().unwrap_or_default().into();
            } else if line.starts_with("Done ") {
                runs = line.replace("Done ", "");
            }
        }
        match child.wait()? {
            status if status.success() => Ok(format!("{runs}, no crash, cov: {coverage}")),
            status => bail!("{target} crashed ({status}): see fuzz/artifacts/{target}"),
        }
    }
}
