use crate::cargo::{cargo, in_workspace};

#[derive(clap::Args)]
pub(crate) struct Plan {
    /// The planner's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Plan {
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        in_workspace(&mut self.arguments, "--config")?;
        let command = ["run", "--quiet", "--bin", "moe-plan", "--"].map(String::from);
        cargo(command.into_iter().chain(self.arguments), &[])
    }
}
