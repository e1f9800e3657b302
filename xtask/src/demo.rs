use crate::cargo::cargo;

#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Cargo features of the demonstration: a backend, or `tui`
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// The demonstration's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut command: Vec<String> = ["run", "--release", "--bin", "moe-lm"]
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
