use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use cargo_metadata::Message;
use clap::Args;

use crate::cargo::{run, target, variable, workspace};
use crate::device::{DEVICE, Device};

/// The most that a packed kit may take, in bytes: what can be carried to a lent machine.
const LIMIT: u64 = 60_000_000;

/// The name of a program in the kit, and the target that cargo builds it from.
const PROGRAMS: [(&str, &str); 5] = [
    ("lab", "lab"),
    ("checks", "device"),
    ("bench-moe", "moe"),
    ("bench-expansion", "expansion"),
    ("bench-growth", "cost"),
];

/// Where they are.
const PACKAGES: [&str; 3] = ["lab", "burn-grow-moe", "burn-grow-tests"];

#[derive(Args)]
pub(crate) struct Gpu {
    /// The device to build for and to run on
    #[arg(value_enum, default_value_t = Device::Cuda)]
    device: Device,
    /// Packs the programs into this folder instead, for a machine that has a card, but neither
    /// network nor Rust: `sh on-card.sh` there
    #[arg(long, value_name = "FOLDER")]
    pack: Option<PathBuf>,
    /// Puts LLVM from PyPI where the build of `cuda` looks for one before it downloads it
    #[arg(long)]
    llvm_from_pypi: bool,
}

impl Gpu {
    /// Builds the programs for a card, and runs them or packs them.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let scripts = workspace()?.join("xtask/gpu");
        if self.llvm_from_pypi {
            run(Command::new("sh").arg(scripts.join("llvm-from-pypi.sh")))?;
        }
        let gpu = target()?.join("gpu");
        let programs = gpu.join("programs");
        stage(&programs, &self.built()?)?;
        let script = scripts.join("on-card.sh");
        match &self.pack {
            None => run(Command::new("sh")
                .arg(script)
                .arg(&programs)
                .arg(gpu.join("report"))
                .env(DEVICE, self.device.name())),
            Some(folder) => pack(&programs, &script, &absolute(folder)?),
        }
    }

    /// Builds everything in one cargo command, so that Burn is built once, and returns the program
    /// of each target.
    fn built(&self) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let feature = |package: &str| format!("{package}/{}", self.device.name());
        let features = PACKAGES.map(feature).join(",");
        let mut cargo = Command::new(variable("CARGO")?)
            .args([
                "build",
                "--release",
                "--message-format=json-render-diagnostics",
            ])
            .args(PACKAGES.map(|package| format!("--package={package}")))
            .args(["--bin", "lab", "--test", "device"])
            .args(["--bench", "moe", "--bench", "expansion", "--bench", "cost"])
            .arg(format!("--features={features}"))
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
            .current_dir(workspace()?)
            .stdout(Stdio::piped())
            .spawn()?;
        let messages = cargo.stdout.take().context("cargo's messages")?;
        let mut built = BTreeMap::new();
        for message in Message::parse_stream(BufReader::new(messages)) {
            if let Message::CompilerArtifact(artifact) = message?
                && let Some(program) = artifact.executable
            {
                built.insert(artifact.target.name, program.into_std_path_buf());
            }
        }
        ensure!(cargo.wait()?.success(), "the build failed");
        Ok(built)
    }
}

/// Copies the programs, and the text that the demonstration trains on, into one folder.
fn stage(folder: &Path, built: &BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (name, target) in PROGRAMS {
        let program = built
            .get(target)
            .with_context(|| format!("cargo built no `{target}`"))?;
        fs::copy(program, folder.join(name))?;
    }
    let presets = workspace()?.join("lab/experiments/presets");
    fs::copy(presets.join("gpu-100m.toml"), folder.join("gpu-100m.toml"))?;
    run(Command::new(folder.join("lab"))
        .arg("corpus")
        .arg(folder.join("corpus.txt"))
        .current_dir(workspace()?))
}

/// Packs the programs, with the script that unpacks and runs them beside them.
fn pack(programs: &Path, script: &Path, kit: &Path) -> anyhow::Result<()> {
    if kit.exists() {
        fs::remove_dir_all(kit)?;
    }
    fs::create_dir_all(kit)?;
    let archive = kit.join("programs.tar.xz");
    // Every program holds the same LLVM: the window has to reach back over a whole program. It
    // leaves nothing for a second thread, which would only ask for twice the memory.
    run(Command::new("tar")
        .arg("--create")
        .arg("--use-compress-program=xz --threads=1 --lzma2=preset=6,dict=256MiB")
        .arg("--file")
        .arg(&archive)
        .arg("--directory")
        .arg(programs)
        // With it, the archive takes 63 MB.
        .arg("--exclude=./bench-growth")
        .arg("."))?;
    fs::copy(script, kit.join("on-card.sh"))?;
    let size = fs::metadata(&archive)?.len();
    println!("{}: {:.1} MB", archive.display(), size as f64 / 1e6);
    if size > LIMIT {
        bail!("a kit of at most {} MB can be carried", LIMIT / 1_000_000);
    }
    Ok(())
}
