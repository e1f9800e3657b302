use crate::cargo::cargo;

/// Builds in release and prints the ratios of `tests/benches/cost.rs`.
pub(crate) fn run() -> anyhow::Result<()> {
    cargo(
        ["bench", "--package", "burn-grow-tests", "--bench", "cost"],
        &[],
    )
}
