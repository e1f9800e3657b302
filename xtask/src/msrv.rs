use std::process::Command;

use anyhow::Context;

use crate::cargo::{self, cargo, output, toolchain, variable, workspace};

const CHECK: [&str; 3] = ["check", "--workspace", "--all-targets"];

/// Checks the workspace with the oldest Rust version that its manifest promises: `rust-version`.
///
/// The pinned toolchain is that version at present, and nothing else need be installed then.
pub(crate) fn run() -> anyhow::Result<()> {
    let promised = variable("CARGO_PKG_RUST_VERSION")?
        .into_string()
        .ok()
        .context("a `rust-version` that is not UTF-8")?;
    let version = output(
        Command::new("rustc")
            .arg("--version")
            .current_dir(workspace()?),
    )?;
    let number = version.split(' ').nth(1).unwrap_or_default();
    if number == promised || number.starts_with(&format!("{promised}.")) {
        println!("the pinned toolchain, {number}, is the oldest promised one");
        return cargo(CHECK, &[]);
    }
    println!("checking with Rust {promised}; {number} is pinned");
    let arguments = ["cargo"].into_iter().chain(CHECK).collect::<Vec<_>>();
    cargo::run(toolchain(promised, &arguments).current_dir(workspace()?))
}
