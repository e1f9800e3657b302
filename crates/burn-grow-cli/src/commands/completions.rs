use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Prints completions for a shell
///
/// For bash, for example: `source <(burn-grow completions bash)`.
#[derive(Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut command = Cli::command();
        clap_complete::generate(
            self.shell,
            &mut command,
            "burn-grow",
            &mut std::io::stdout(),
        );
        Ok(ExitCode::SUCCESS)
    }
}
