use std::process::Command;

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::cargo::{cargo, run, target, workspace};
use crate::device::{DEVICE, Device};
use crate::python::{self, PYTHON};

#[derive(Args)]
pub(crate) struct Bench {
    /// What to time
    #[arg(value_enum, default_value_t = What::Growth)]
    what: What,
    /// How many threads `moe` and `expansion` have, and what they are compared with
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How many billion parameters `expansion` widens; it takes up to 60 GB of memory for each
    #[arg(long, default_value_t = 0.2)]
    billions: f64,
    /// How many gigabytes the folder of `files` has; it takes up to five times as many on the disk
    #[arg(long, default_value_t = 4.0)]
    gigabytes: f64,
    /// Where the model of `moe` and `expansion` lies; its feature of Burn is built in
    #[arg(long, value_enum, default_value_t = Device::Flex)]
    device: Device,
    /// Hides AVX-512 from the model and from PyTorch (Linux on x86-64, with a C compiler)
    #[arg(long)]
    avx2: bool,
    /// Counts the time of the processor, for a machine that is busy with other work (`moe`, one
    /// thread)
    #[arg(long)]
    cpu_time: bool,
}

/// What cargo runs the benchmarks with.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";
/// The variable that tells a benchmark the size of its model.
const BILLIONS: &str = "BURN_GROW_BILLIONS";
/// The variable that tells it the size of its folder.
const GIGABYTES: &str = "BURN_GROW_GIGABYTES";
/// The variable that tells Rust how many threads to use.
const THREADS: &str = "RAYON_NUM_THREADS";

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// What growing costs, as ratios to what it is part of (`tests/benches/cost.rs`)
    Growth,
    /// The MoE transformer against PyTorch and the machine's peak
    /// (`crates/burn-grow-moe/benches/moe.rs`)
    Moe,
    /// Widening a transformer and its optimizer, against copying as many bytes
    /// (`crates/burn-grow-moe/benches/expansion.rs`)
    Expansion,
    /// The peak memory of training, run by run (`tests/benches/memory.rs`)
    Memory,
    /// What rehearsing a run costs (`tests/benches/rehearsal.rs`)
    Rehearsal,
    /// Expanding a folder on the command line, against `cp` of what it writes
    /// (`crates/burn-grow-cli/benches/files.rs`)
    Files,
}

impl Bench {
    /// Builds in release and prints the ratios.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match self.what {
            What::Growth => bench("burn-grow-tests", "cost", &[], &[]),
            What::Memory => bench("burn-grow-tests", "memory", &[], &[]),
            What::Rehearsal => bench("burn-grow-tests", "rehearsal", &[], &[]),
            What::Expansion => {
                let (threads, billions) = (self.threads.to_string(), self.billions.to_string());
                let environment = [
                    (DEVICE, self.device.name()),
                    (THREADS, &threads),
                    (BILLIONS, &billions),
                ];
                bench("burn-grow-moe", "expansion", &self.features(), &environment)
            }
            What::Files => {
                let gigabytes = self.gigabytes.to_string();
                bench("burn-grow-cli", "files", &[], &[(GIGABYTES, &gigabytes)])
            }
            What::Moe => self.moe(),
        }
    }

    /// What builds the device in: on Flex, which is there by default, with the widest vectors of this
    /// machine.
    fn features(&self) -> Vec<&'static str> {
        match self.device {
            Device::Flex if avx512() => vec!["--features=burn-core/x86-v4"],
            Device::Flex => Vec::new(),
            device => vec!["--features", device.name()],
        }
    }

    fn moe(&self) -> anyhow::Result<()> {
        let threads = self.threads.to_string();
        let device = self.device.name();
        let mut environment = vec![(THREADS, threads.as_str()), (DEVICE, device)];
        let runner = self.avx2.then(without_avx512).transpose()?;
        if let Some(runner) = &runner {
            environment.push((RUNNER, runner));
        }
        if self.cpu_time {
            if self.threads > 1 {
                bail!("the time of the processor compares programs of one thread only");
            }
            environment.push(("BURN_GROW_CPU_TIME", "1"));
        }
        let python = python::find()?;
        match &python {
            Ok(interpreter) => environment.push((PYTHON, interpreter)),
            Err(reason) => println!("without PyTorch: {reason}"),
        }
        let features = self.features();
        if self.device != Device::Flex {
            return bench("burn-grow-moe", "moe", &features, &environment);
        }
        for path in [None, Some("--no-default-features")] {
            let arguments: Vec<_> = features.iter().copied().chain(path).collect();
            bench("burn-grow-moe", "moe", &arguments, &environment)?;
        }
        Ok(())
    }
}

fn bench(
    package: &str,
    name: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let bench = ["bench", "--package", package, "--bench", name];
    cargo(bench.iter().chain(arguments), environment)
}

/// Builds what hides AVX-512 from a program. Returns the command that runs one with it.
fn without_avx512() -> anyhow::Result<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("AVX-512 can be hidden on Linux on x86-64 only");
    }
    let library = target()?.join("avx2.so");
    run(Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(workspace()?.join("xtask/src/avx2.c")))?;
    Ok(format!("env LD_PRELOAD={}", library.display()))
}

/// Tells if this machine has the widest vectors, which Burn's matrix products use only if built for
/// them.
fn avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}
