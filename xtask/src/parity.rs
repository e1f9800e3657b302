use anyhow::{Context, bail};

use crate::cargo::{cargo, workspace};
use crate::python::{self, PYTHON};

/// Compares with `transformers` if there is Python for it, and says so if there is not.
pub(crate) fn check() -> anyhow::Result<()> {
    match python::find()? {
        Ok(interpreter) => compare(&[(PYTHON, &interpreter)]),
        Err(reason) => {
            println!("skipped, only the committed cases were compared: {reason}");
            Ok(())
        }
    }
}

/// Compares with `transformers` and writes the tables.
pub(crate) fn run() -> anyhow::Result<()> {
    match python::find()? {
        Ok(interpreter) => {
            let table = workspace()?
                .canonicalize()?
                .join("docs/src/reference/parity.md");
            let table = table.to_str().context("a path that is no text")?;
            compare(&[(PYTHON, &interpreter), ("BURN_GROW_PARITY_TABLE", table)])
        }
        Err(reason) => bail!("nothing to compare with: {reason}"),
    }
}

fn compare(environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let test = "test --workspace --test hf_parity -- --nocapture";
    cargo(test.split(' '), environment)
}
