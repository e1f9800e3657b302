use crate::cargo::cargo;

#[derive(clap::Args)]
pub(crate) struct Sample {
    /// The sampler's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Sample {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let command =
            ["run", "--release", "--quiet", "--bin", "moe-sample", "--"].map(String::from);
        cargo(command.into_iter().chain(self.arguments), &[])
    }
}
