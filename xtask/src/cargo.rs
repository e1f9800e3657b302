use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, bail};

/// Runs one cargo command in the workspace and fails with it.
pub(crate) fn cargo<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut command = Command::new(variable("CARGO")?);
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(workspace()?);
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// The folder of the workspace.
pub(crate) fn workspace() -> anyhow::Result<PathBuf> {
    Ok(Path::new(&variable("CARGO_MANIFEST_DIR")?).join(".."))
}

/// Makes the file that `option` names absolute: programs run in the workspace, wherever they were asked for.
pub(crate) fn in_workspace(arguments: &mut [String], option: &str) -> anyhow::Result<()> {
    let joined = format!("{option}=");
    for index in 0..arguments.len() {
        if let Some(file) = arguments[index].strip_prefix(&joined) {
            arguments[index] = format!("{joined}{}", absolute(file)?.display());
        } else if index > 0 && arguments[index - 1] == option {
            arguments[index] = absolute(&arguments[index])?.display().to_string();
        }
    }
    Ok(())
}

/// As `cargo xtask` sets it: what was compiled in may be of another checkout.
fn variable(name: &str) -> anyhow::Result<OsString> {
    std::env::var_os(name).context("run this as `cargo xtask`")
}

/// Whether a cargo subcommand is installed.
pub(crate) fn installed(subcommand: &str) -> bool {
    let program = format!("cargo-{subcommand}");
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
