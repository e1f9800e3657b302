use crate::cargo::cargo;

/// Builds the remote devices, which no other command does, and runs `tests/remote`: several minutes at first.
pub(crate) fn run() -> anyhow::Result<()> {
    // In the workspace's own build directory, where what both build alike is found again.
    let package = [
        "--manifest-path",
        "tests/remote/Cargo.toml",
        "--target-dir",
        "target",
        "--locked",
    ];
    cargo(["test"].into_iter().chain(package), &[])?;
    let lints = ["--all-targets", "--", "--deny", "warnings"];
    cargo(["clippy"].into_iter().chain(package).chain(lints), &[])
}
