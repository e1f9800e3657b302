use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::cargo::{answers, cargo, run, target, workspace};
use crate::lint::Check;
use crate::steps::Steps;

/// The version of mdBook that the book is written for.
const MDBOOK: &str = "0.5.4";

#[derive(Args)]
pub(crate) struct Docs {
    /// Opens the book in a browser
    #[arg(long)]
    open: bool,
}

impl Docs {
    /// Checks every link, the numbers of the evidence against the rows they come from, and the
    /// documentation of the interface, then builds the book in `target/book`.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut steps = Steps::default();
        steps.run(Check::Links.name(), || Check::Links.run())?;
        steps.run("numbers", numbers)?;
        steps.run("interface", interface)?;
        steps.run("book", || self.book())?;
        steps.finish();
        Ok(())
    }

    fn book(&self) -> anyhow::Result<()> {
        let mut command = Command::new(mdbook()?);
        command.args(["build", "docs"]).current_dir(workspace()?);
        if self.open {
            command.arg("--open");
        }
        run(&mut command)
    }
}

/// Checks that the pages say what the rows of results give, and no number beside.
fn numbers() -> anyhow::Result<()> {
    cargo(["test", "--workspace", "--test", "lab", "results"], &[])
}

/// Builds the documentation of every public item, warnings denied: broken links are warnings.
pub(crate) fn interface() -> anyhow::Result<()> {
    cargo(
        ["doc", "--workspace", "--no-deps"],
        &[("RUSTDOCFLAGS", "--deny warnings")],
    )
}

/// The program `mdbook`: an installed one, or one of our own in `target/tools`, which is made if it
/// is not there.
fn mdbook() -> anyhow::Result<PathBuf> {
    let installed = PathBuf::from("mdbook");
    if answers(&installed) {
        return Ok(installed);
    }
    let root = target()?.join("tools");
    let built = root.join("bin").join("mdbook");
    if !answers(&built) {
        println!(
            "mdbook is not installed: building version {MDBOOK} in {}",
            root.display()
        );
        let root = root.display().to_string();
        let install = [
            "install",
            "mdbook",
            "--locked",
            "--version",
            MDBOOK,
            "--root",
            &root,
        ];
        cargo(install, &[])?;
    }
    Ok(built)
}
