use std::fs;

use clap::Args;

use crate::cargo::{cargo, target};
use crate::device::{DEVICE, Device};

#[derive(Args)]
pub(crate) struct TestDevice {
    /// Where to compute; its feature of Burn is built in
    #[arg(value_enum)]
    device: Device,
    /// Runs a few of the checks only, those that a software driver gets through in minutes
    #[arg(long)]
    short: bool,
    /// Runs the checks with this in their name only
    #[arg(long, conflicts_with = "short")]
    only: Option<String>,
}

impl TestDevice {
    /// Builds the checks of `tests/tests/device` for one device, runs them there and on Flex, and
    /// prints how far apart the two are.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let name = self.device.name();
        let feature = format!("burn-grow-tests/{name}");
        // All packages that have code for a device: testing one of them then builds no Burn anew.
        let mut command = vec!["test", "--test", "device"];
        match self.device {
            Device::Flex => command.push("--workspace"),
            _ => {
                for package in ["burn-grow-tests", "burn-grow-kernels", "burn-grow-moe"] {
                    command.extend(["--package", package]);
                }
                command.extend(["--features", &feature]);
            }
        }
        let checks = match (self.short, &self.only) {
            (true, _) => "short",
            (false, only) => only.as_deref().unwrap_or_default(),
        };
        let mut environment = vec![
            (DEVICE, name),
            ("BURN_GROW_CHECKS", checks),
            // Fast kernels do not matter here, and looking for them takes minutes without a card.
            ("CUBECL_AUTOTUNE_LEVEL", "minimal"),
            ("BENCH_WARMUP_MS", "0"),
        ];
        // Mesa's software driver asks for this folder.
        let runtime = target()?.join("runtime");
        let runtime_name = runtime.to_string_lossy();
        if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            fs::create_dir_all(&runtime)?;
            environment.push(("XDG_RUNTIME_DIR", &runtime_name));
        }
        cargo(command, &environment)
    }
}
