use crate::cargo::{cargo, installed};
use crate::parity;

/// Runs every check in turn and stops at the first that fails.
pub(crate) fn run() -> anyhow::Result<()> {
    step("format");
    cargo(["fmt", "--all", "--check"], &[])?;

    step("tests");
    match installed("nextest") {
        true => cargo(["nextest", "run", "--workspace"], &[])?,
        false => cargo(["test", "--workspace", "--lib", "--bins", "--tests"], &[])?,
    }

    step("documentation tests");
    cargo(["test", "--workspace", "--doc"], &[])?;

    step("parity with transformers");
    parity::check()?;

    step("quick demo");
    let demo = "run --bin moe-lm -- --quick --out target/demo-quick";
    cargo(demo.split(' '), &[])?;

    step("lints");
    let clippy = "clippy --workspace --all-targets -- --deny warnings";
    cargo(clippy.split(' '), &[])?;

    step("documentation");
    cargo(
        ["doc", "--workspace", "--no-deps"],
        &[("RUSTDOCFLAGS", "--deny warnings")],
    )
}

fn step(name: &str) {
    println!("\n== {name}");
}
