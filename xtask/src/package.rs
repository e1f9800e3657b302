use std::path::{Path, PathBuf};
use std::{env, fs};

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
            inspect(&package).with_context(|| format!("in the package of {name}"))?;
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
    let folders = entries(&workspace()?.join("crates"))?;
    let mut names: Vec<_> = folders.iter().map(|folder| name(folder)).collect();
    names.sort();
    Ok(names)
}

/// Removes what cargo keeps of earlier packages: where the version is the same it would build those.
fn forget(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let of_ours = |entry: &str| {
        let name = entry.rsplit_once('-').map_or(entry, |(name, _)| name);
        names.iter().any(|ours| ours == name)
    };
    remove(&folder.join("debug").join(".fingerprint"), of_ours)?;
    // Unpacked packages, in folders named by registry; those of this machine's folders have no host.
    for registry in entries(&cargo_home()?.join("registry").join("src"))? {
        if name(&registry).starts_with('-') {
            remove(&registry, of_ours)?;
        }
    }
    Ok(())
}

/// Removes the folders in `folder` whose names `picks` picks.
fn remove(folder: &Path, picks: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for path in entries(folder)? {
        if picks(&name(&path)) {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

/// What is in a folder, and nothing if there is none.
fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    entries.collect()
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(env::home_dir()?.join(".cargo")))
        .context("no home folder")
}

/// Checks that a package holds what it should, nothing else, and names no file outside of it.
fn inspect(package: &Path) -> anyhow::Result<()> {
    for path in entries(package)? {
        let mut known = CONTENTS.iter().chain(&ADDED);
        let known = known.any(|known| *known == name(&path));
        ensure!(known, "{} should not be in it", path.display());
    }
    for content in CONTENTS {
        let path = package.join(content);
        let empty = path.is_file() && fs::read_to_string(&path)?.lines().count() < 3;
        ensure!(path.exists() && !empty, "{content} is missing");
    }
    for file in sources(&package.join("src"))? {
        let text = fs::read_to_string(&file)?;
        for rest in text.split("CARGO_MANIFEST_DIR").skip(1) {
            // As in `concat!(env!("CARGO_MANIFEST_DIR"), "/src/file.rs")`.
            let named = rest.strip_prefix("\"), \"/");
            let named = named.and_then(|rest| rest.split('"').next());
            if named.is_none_or(|path| !package.join(path).exists()) {
                bail!("{} reads what only a checkout has", file.display());
            }
        }
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
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}
