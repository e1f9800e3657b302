use crate::cargo::{cargo, in_workspace};

#[derive(clap::Args)]
pub(crate) struct Experiment {
    /// Cargo features of the experiments: a backend
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// The experiment, and its own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Experiment {
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        in_workspace(&mut self.arguments, "--config")?;
        let mut command = ["run", "--release", "--bin", "moe-experiment"]
            .map(String::from)
            .to_vec();
        if !self.features.is_empty() {
            command.extend(["--features".into(), self.features.join(",")]);
        }
        command.push("--".into());
        command.extend(self.arguments);
        cargo(command, &[])
    }
}
