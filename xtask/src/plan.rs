use std::path::absolute;

use crate::cargo::cargo;

#[derive(clap::Args)]
pub(crate) struct Plan {
    /// The planner's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Plan {
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        // The planner runs in the workspace, wherever it was asked for.
        for index in 0..self.arguments.len() {
            if let Some(file) = self.arguments[index].strip_prefix("--config=") {
                self.arguments[index] = format!("--config={}", absolute(file)?.display());
            } else if index > 0 && self.arguments[index - 1] == "--config" {
                self.arguments[index] = absolute(&self.arguments[index])?.display().to_string();
            }
        }
        let command = ["run", "--quiet", "--bin", "moe-plan", "--"].map(String::from);
        cargo(command.into_iter().chain(self.arguments), &[])
    }
}
