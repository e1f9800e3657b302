use crate::cargo::cargo;

/// Builds the remote devices, which no other command does, and runs `tests/remote`: several minutes
/// at first.
pub(crate) fn run() -> anyhow::Result<()> {
    // With the profile and the build folder of the main workspace, what both build alike is built
    // once.
    let profile = ["--config", "Cargo.toml"];
    let package = [
        "--manifest-path",
        "tests/remote/Cargo.toml",
        "--target-dir",
        "target",
        "--locked",
    ];
    let lints = ["--all-targets", "--", "--deny", "warnings"];
    cargo(profile.into_iter().chain(["test"]).chain(package), &[])?;
    cargo(
        profile
            .into_iter()
            .chain(["clippy"])
            .chain(package)
            .chain(lints),
        &[],
    )
}
