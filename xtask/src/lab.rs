use crate::cargo::{cargo, in_workspace};

/// A command of the lab's program, passed on.
#[derive(clap::Args)]
pub(crate) struct Lab {
    /// Cargo features of the lab: a backend, or `tui`
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// The command's own arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Lab {
    /// Builds the lab, for speed, and runs its `command`.
    pub(crate) fn run(mut self, command: &str) -> anyhow::Result<()> {
        in_workspace(&mut self.arguments, "--config")?;
        let mut line: Vec<String> = ["run", "--release", "--bin", "lab"]
            .map(String::from)
            .to_vec();
        if !self.features.is_empty() {
            line.extend(["--features".into(), self.features.join(",")]);
        }
        line.extend(["--".into(), command.into()]);
        line.extend(self.arguments);
        cargo(line, &[])
    }
}
