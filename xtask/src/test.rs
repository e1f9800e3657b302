use crate::cargo::{answers, cargo};
use crate::docs;
use crate::lint::Check;
use crate::steps::Steps;

/// Runs every check in turn and stops at the first that fails.
///
/// Every cargo command takes the whole workspace, so that all have the same features of Burn:
/// another selection of packages builds it anew.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut steps = Steps::default();
    for check in Check::QUICK {
        steps.run(check.name(), || check.run())?;
    }
    steps.run("tests", tests)?;
    steps.run("documentation tests", || {
        cargo(["test", "--workspace", "--doc"], &[])
    })?;
    steps.run("quick demo", quick_demo)?;
    steps.run(Check::Clippy.name(), || Check::Clippy.run())?;
    steps.run("documentation", docs::interface)?;
    steps.finish();
    Ok(())
}

fn tests() -> anyhow::Result<()> {
    if answers("cargo-nextest") {
        cargo(["nextest", "run", "--workspace"], &[])
    } else {
        cargo(["test", "--workspace", "--lib", "--bins", "--tests"], &[])
    }
}

fn quick_demo() -> anyhow::Result<()> {
    let demo = "run --bin lab -- demo --quick --out target/demo-quick";
    cargo(demo.split(' '), &[])
}
