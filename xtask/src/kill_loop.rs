use clap::Args;

use crate::cargo::cargo;

/// How often to kill.
#[derive(Args)]
pub(crate) struct KillLoop {
    /// The number of kills
    #[arg(default_value_t = 200)]
    kills: usize,
}

impl KillLoop {
    /// Runs `tests/tests/run/crash.rs` with so many kills and prints when they hit.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let arguments = "test --workspace --test run -- --nocapture crash::a_run_killed";
        let kills = self.kills.to_string();
        cargo(arguments.split(' '), &[("BURN_GROW_KILLS", &kills)])
    }
}
