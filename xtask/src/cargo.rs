use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// Runs one cargo command in the workspace and fails with it.
pub(crate) fn cargo<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    // Both as `cargo xtask` sets them: what was compiled in may be of another checkout.
    let variable = |name| std::env::var_os(name).context("run this as `cargo xtask`");
    let workspace = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("..");
    let mut command = Command::new(variable("CARGO")?);
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(workspace);
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Whether a cargo subcommand is installed.
pub(crate) fn installed(subcommand: &str) -> bool {
    let program = format!("cargo-{subcommand}");
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
