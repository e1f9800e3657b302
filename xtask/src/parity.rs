use anyhow::{Context, bail};
use clap::Args;

use crate::cargo::{cargo, workspace};
use crate::python::{self, PYTHON};

#[derive(Args)]
pub(crate) struct Parity {
    /// Compares without writing the page, and passes where there is no Python to compare with
    #[arg(long)]
    check: bool,
}

impl Parity {
    /// Compares the MoE transformer and the families of the command line with `transformers`, the
    /// optimizer with PyTorch's, and factors that follow widths with those of `mup`.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let interpreter = match python::find()? {
            Ok(interpreter) => interpreter,
            Err(reason) if self.check => {
                println!("skipped, only the committed cases were compared: {reason}");
                return Ok(());
            }
            Err(reason) => bail!("nothing to compare with: {reason}"),
        };
        if self.check {
            return compare(&[(PYTHON, &interpreter)]);
        }
        let table = workspace()?.join("docs/src/reference/parity.md");
        let table = table.to_str().context("a path that is not UTF-8")?;
        compare(&[(PYTHON, &interpreter), ("BURN_GROW_PARITY_TABLE", table)])
    }
}

fn compare(environment: &[(&str, &str)]) -> anyhow::Result<()> {
    let test = "test --workspace --test it --test model -- --nocapture";
    let names = ["hf_parity", "mup_parity", "torch_parity"];
    cargo(test.split(' ').chain(names), environment)
}
