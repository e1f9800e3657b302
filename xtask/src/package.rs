use std::fs;

use anyhow::bail;
use clap::Args;

use crate::cargo::{cargo, target, workspace};

#[derive(Args)]
pub(crate) struct Package {
    /// Also packages what is not committed
    #[arg(long)]
    allow_dirty: bool,
}

impl Package {
    /// Packages every crate of `crates/` and builds each from its package, those it depends on first.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let names = published()?;
        let target = target()?.display().to_string();
        // Asked for by name, the folder is used for all packages: each would build Burn in its own otherwise.
        let mut command = vec!["package", "--locked", "--target-dir", &target];
        if self.allow_dirty {
            command.push("--allow-dirty");
        }
        for name in &names {
            command.extend(["--package", name]);
        }
        cargo(command, &[])
    }
}

/// The names of the published crates: what lies in `crates/` is, and nothing else.
fn published() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in fs::read_dir(workspace()?.join("crates"))? {
        names.push(folder?.file_name().to_string_lossy().into_owned());
    }
    if names.is_empty() {
        bail!("no crates in `crates`");
    }
    names.sort();
    Ok(names)
}
