//! Running cargo and other programs in the workspace.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, bail};

/// Runs one cargo command in the workspace and fails with it.
pub(crate) fn cargo<S: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = S>,
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    run(Command::new(variable("CARGO")?)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(workspace()?))
}

/// Runs one command and fails with it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {status}");
    }
    Ok(())
}

/// Runs one command and returns what it prints.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {}\n{errors}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A command under another toolchain than the one that `cargo xtask` runs under.
pub(crate) fn toolchain(name: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.arg("run").arg(name).args(arguments);
    for variable in ["CARGO", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

/// The folder of the workspace.
pub(crate) fn workspace() -> anyhow::Result<PathBuf> {
    Ok(Path::new(&variable("CARGO_MANIFEST_DIR")?)
        .join("..")
        .canonicalize()?)
}

/// The folder that cargo builds in.
pub(crate) fn target() -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(workspace()?.join(target))
}

/// Makes the file that `option` names absolute: programs run in the workspace, wherever they were
/// asked for.
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

/// Reads a variable that cargo sets at run time: what was compiled in may be of another checkout.
pub(crate) fn variable(name: &str) -> anyhow::Result<OsString> {
    std::env::var_os(name).context("run this as `cargo xtask`")
}

/// Tells if a program is installed: it answers with its version.
pub(crate) fn answers(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}
