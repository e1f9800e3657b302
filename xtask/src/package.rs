use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::cargo::{cargo, target, workspace};
use crate::links::join;

/// What a package consists of, beside what cargo adds.
const CONTENTS: [&str; 5] = [
    "Cargo.toml",
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "src",
];
const ADDED: [&str; 3] = ["Cargo.toml.orig", "Cargo.lock", ".cargo_vcs_info.json"];

/// What names a file beside the one it stands in.
const REFERENCES: [&str; 4] = [
    "include_str!(\"",
    "include_bytes!(\"",
    "include!(\"",
    "#[path = \"",
];

#[derive(Args)]
pub(crate) struct Package {
    /// Also packages what is not committed
    #[arg(long)]
    allow_dirty: bool,
}

impl Package {
    /// Packages every crate of `crates/`, builds each from its package after those that it depends
    /// on, and looks at what is in the packages.
    ///
    /// Nothing has to be published for that: cargo takes the packages for a registry of their own.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let names = published()?;
        // One for all packages: without it, each would build Burn in a folder of its own.
        let folder = target()?.join("packages");
        forget(&folder, &names)?;
        let mut command = vec!["package".to_owned(), "--locked".into()];
        command.extend(["--target-dir".into(), folder.display().to_string()]);
        if self.allow_dirty {
            command.push("--allow-dirty".into());
        }
        for name in &names {
            command.extend(["--package".into(), name.clone()]);
        }
        cargo(command, &[("CARGO_PROFILE_DEV_DEBUG", "false")])?;
        let version = env!("CARGO_PKG_VERSION");
        for name in &names {
            let package = folder.join("package").join(format!("{name}-{version}"));
            inspect(&package).with_context(|| format!("the package of {name}"))?;
        }
        println!(
            "{} packages in {}",
            names.len(),
            folder.join("package").display()
        );
        Ok(())
    }
}

/// The names of the published crates: all of `crates/`, and no others.
fn published() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in fs::read_dir(workspace()?.join("crates"))? {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Lets cargo build the crates anew: it takes a package of the same version for the one that it
/// built before.
fn forget(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let fingerprints = folder.join("debug").join(".fingerprint");
    if !fingerprints.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&fingerprints)? {
        let entry = entry?;
        let unit = entry.file_name().to_string_lossy().into_owned();
        let package = unit
            .rsplit_once('-')
            .map_or(unit.as_str(), |(package, _)| package);
        if names.iter().any(|name| name == package) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Checks that a package holds what it should, nothing else, and names no file outside of it.
fn inspect(package: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(package)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = CONTENTS.iter().chain(&ADDED).any(|known| *known == name);
        ensure!(known, "{name} should not be in it");
    }
    for name in CONTENTS {
        let path = package.join(name);
        let empty = path.is_file() && fs::read_to_string(&path)?.lines().count() < 3;
        ensure!(path.exists() && !empty, "{name} is missing");
    }
    for file in sources(&package.join("src"))? {
        let text = fs::read_to_string(&file)?;
        let folder = file
            .strip_prefix(package)?
            .parent()
            .unwrap_or(Path::new(""));
        for reference in REFERENCES
            .iter()
            .flat_map(|start| text.split(start).skip(1))
        {
            let named = reference.split('"').next().unwrap_or_default();
            if join(folder, named).is_none_or(|path| !package.join(path).exists()) {
                bail!("{} names {named}, which is not in it", file.display());
            }
        }
    }
    Ok(())
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
