use crate::cargo::{cargo, installed};
use crate::parity;

/// Runs every check in turn and stops at the first that fails.
pub(crate) fn run() -> anyhow::Result<()> {
    step("format");
    cargo(["fmt", "--all", "--check"], &[])?;

    step("lock files");
    // Those of the workspaces that this one's build leaves alone would be found stale by their users.
    for workspace in [".", "fuzz", "tests/remote"] {
        let manifest = format!("{workspace}/Cargo.toml");
        let unchanged = ["update", "--workspace", "--locked", "--manifest-path"];
        cargo(unchanged.into_iter().chain([manifest.as_str()]), &[])?;
    }

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
    let demo = "run --bin lab -- demo --quick --out target/demo-quick";
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
